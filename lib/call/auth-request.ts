import type { Axios, AxiosInstance, AxiosRequestHeaders, InternalAxiosRequestConfig } from 'axios';
import { bodyView, type RequestBody } from '../http/body.js';
import type { Principal } from '../schemes/scheme-state.js';
import type { AuthRequest } from '../schemes/scheme.js';
import { resolveUrl } from '../transport/origin.js';

type Config = InternalAxiosRequestConfig;

/** A call, as far as its requests need it. */
export interface RequestingCall {
  readonly instance: { readonly client: AxiosInstance; readonly resender: Axios };
  readonly principal: Principal;
  readonly waits: { readonly signal: AbortSignal; for(work: Promise<void>): Promise<void> };
  readonly exchange: object;
}

/** One attempt as a scheme sees it. Properties are computed when they are read: most schemes read few of them. */
export class CallRequest implements AuthRequest {
  readonly method: string;
  readonly headers: AxiosRequestHeaders;
  /** The snapshot that is sent. After that, the call's own config: adapters write to the snapshot when they follow redirects. */
  sentConfig: Config;
  /** The URL if it was read, so that a scheme may have signed or modified it. */
  urlRead: URL | undefined = undefined;
  /** The URL before a scheme could write to it. undefined: not read yet. */
  urlGiven: string | undefined = undefined;
  private _body: RequestBody | undefined = undefined;

  constructor(
    config: Config,
    readonly attempt: number,
    readonly origin: string,
    /** A function, since inspectors print everything else, and the call leads to the session. */
    private readonly _call: () => RequestingCall,
  ) {
    this.method = (config.method ?? 'get').toUpperCase();
    this.headers = config.headers;
    this.sentConfig = config;
  }

  /** The same attempt for the config of a redirect. */
  of(config: Config): CallRequest {
    return new CallRequest(config, this.attempt, this.origin, this._call);
  }

  /** Resolves with `work`, unless the call may not wait for it any longer. */
  waitFor(work: Promise<void>): Promise<void> {
    return this._call().waits.for(work);
  }

  get url(): URL {
    if (!this.urlRead) {
      const url: string | undefined = this._call().instance.resender.getUri(this.sentConfig);
      this.urlRead = resolveUrl(url || '');
      this.urlGiven = this.urlRead.href;
    }
    return this.urlRead;
  }
  /** The URL without a scheme's modifications, which may be credentials. */
  get cleanUrl(): URL {
    return this.urlGiven === undefined ? this.url : new URL(this.urlGiven);
  }
  get body(): RequestBody {
    return (this._body ??= bodyView(this.sentConfig.data));
  }
  get signal(): AbortSignal {
    return this._call().waits.signal;
  }
  get now(): number {
    return this._call().principal.main.serverNow(this.origin);
  }
  get client(): AxiosInstance {
    return this._call().instance.client;
  }
  get exchange(): object {
    return this._call().exchange;
  }
}
