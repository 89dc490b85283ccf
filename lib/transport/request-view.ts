import type { AxiosInstance, AxiosRequestHeaders, InternalAxiosRequestConfig } from 'axios';
import { bodyView, type RequestBody } from '../http/body.js';

/** What a view asks of the call it shows; each is asked only when a scheme looks. */
export interface ViewSource {
  urlOf(config: InternalAxiosRequestConfig): URL;
  readonly signal: AbortSignal;
  readonly now: number;
  readonly client: AxiosInstance;
  readonly key: object;
}

/** One attempt as a scheme sees it. Everything is read when asked for: most schemes look at next to nothing. */
export class RequestView {
  readonly method: string;
  readonly headers: AxiosRequestHeaders;
  readonly attempt: number;
  #config: InternalAxiosRequestConfig;
  readonly #source: ViewSource;
  #url: URL | undefined;
  #body: RequestBody | undefined;

  constructor(config: InternalAxiosRequestConfig, attempt: number, source: ViewSource) {
    this.method = (config.method ?? 'get').toUpperCase();
    this.headers = config.headers;
    this.attempt = attempt;
    this.#config = config;
    this.#source = source;
  }

  /** It has left: what it was made from is the adapter's now, who may write to it as following a redirect does. */
  left(config: InternalAxiosRequestConfig): void {
    this.#config = config;
  }

  get url(): URL {
    return (this.#url ??= this.#source.urlOf(this.#config));
  }
  /** The URL that a scheme has looked at, and perhaps signed: then it is this one that must be sent. */
  get seenUrl(): URL | undefined {
    return this.#url;
  }
  get body(): RequestBody {
    return (this.#body ??= bodyView(this.#config.data));
  }
  get signal(): AbortSignal {
    return this.#source.signal;
  }
  get now(): number {
    return this.#source.now;
  }
  get client(): AxiosInstance {
    return this.#source.client;
  }
  get exchange(): object {
    return this.#source.key;
  }
}
