import type { AxiosError, AxiosRequestHeaders, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import { hide } from '../errors.js';
import type { ResolvedAdapter } from './adapter.js';
import { fullUrl } from './origin.js';
import { cameFromElsewhere, followRedirects, guardRedirects, isFollowedHere } from './redirects.js';

/** One attempt that is ready to leave. */
export interface Departure {
  /** The call's own config: what its answer or error will carry. It is never written to. */
  readonly config: InternalAxiosRequestConfig;
  /** This attempt's own headers, credentials included. */
  readonly headers: AxiosRequestHeaders;
  /** Lower-case names of the headers that no other origin may see. */
  readonly credentialHeaders: readonly string[];
  /** The URL that was signed, where a scheme has looked at it. */
  readonly url: URL | undefined;
  readonly origin: string;
  readonly adapter: ResolvedAdapter;
}

/** One attempt on the wire: the real adapter gets a copy that carries the credentials, and what comes back the call's own config. */
export class Passage {
  readonly #departure: Departure;
  readonly #copy: InternalAxiosRequestConfig;
  /** Whether a redirect has led to another origin, where the adapter can tell. */
  readonly #hasLeft: (() => boolean) | undefined;

  constructor(departure: Departure) {
    const { adapter, origin, credentialHeaders } = departure;
    this.#departure = departure;
    this.#copy = copyConfig(departure);
    // A function may be a wrapper around the http adapter, as a mock's passThrough() is.
    if (credentialHeaders.length > 0 && adapter.transport !== 'fetch')
      this.#hasLeft = guardRedirects(this.#copy, origin, credentialHeaders);
  }

  send(): Promise<AxiosResponse> {
    const { adapter, origin, credentialHeaders } = this.#departure;
    return adapter.transport === 'fetch' && isFollowedHere(this.#copy, credentialHeaders)
      ? followRedirects(this.#copy, adapter.send, origin, credentialHeaders)
      : adapter.send(this.#copy);
  }

  /** The answer as its caller may see it. */
  received(response: AxiosResponse): AxiosResponse {
    if (this.#hasLeft?.()) cameFromElsewhere(response);
    return withOwnConfig(response, this.#departure.config);
  }

  /** The error as its caller may see it. */
  failed(error: unknown): unknown {
    const { response } = (error ?? {}) as Partial<AxiosError>;
    if (response && this.#hasLeft?.()) cameFromElsewhere(response);
    return errorWithOwnConfig(error, this.#departure);
  }
}

/** Inherits nothing that somebody could have polluted; and unlike what `Object.create(null)` makes it is quick to fill. */
class Copy {
  hasOwnProperty(name: PropertyKey): boolean {
    return Object.hasOwn(this, name);
  }
}
Object.setPrototypeOf(Copy.prototype, null);
Reflect.deleteProperty(Copy.prototype, 'constructor');

function copyConfig({ config, headers, url, adapter }: Departure): InternalAxiosRequestConfig {
  const copy = new Copy() as InternalAxiosRequestConfig;
  for (const key of Object.keys(config)) copy[key as 'data'] = config[key as 'data'] as unknown;
  for (const key of Object.getOwnPropertySymbols(config)) copy[key as never] = config[key as never];
  copy.headers = headers;
  copy.adapter = adapter.send;
  // ECONNABORTED means a timeout and a browser's abort alike.
  if (adapter.transport === 'custom' || (config.timeout && adapter.transport !== 'fetch'))
    copy.transitional = { ...config.transitional, clarifyTimeoutError: true };
  if (adapter.transport === 'custom') return copy;
  // axios 1.8.2 lets xhr and fetch go to an absolute URL that was forbidden; what was judged is what must be sent.
  const sent = url?.href ?? (config.allowAbsoluteUrls === false ? fullUrl(config) : undefined);
  if (sent !== undefined) {
    copy.url = sent;
    delete copy.baseURL;
    delete copy.allowAbsoluteUrls;
    if (url) delete copy.params;
  }
  if (adapter.transport === 'fetch' && config.maxRedirects === 0) {
    copy.fetchOptions = { ...(config.fetchOptions as object | undefined), redirect: 'manual' };
  }
  return copy;
}

function withOwnConfig(response: AxiosResponse, config: InternalAxiosRequestConfig): AxiosResponse {
  response.config = config;
  // The socket behind it remembers the header block that it sent.
  if (response.request !== undefined) hide(response, 'request', response.request);
  const data = response.data as Record<string, unknown> | null | undefined;
  if (typeof data?.['pipe'] === 'function') {
    for (const key of ['req', 'socket', 'client']) if (Object.hasOwn(data, key)) hide(data, key, data[key]);
  }
  return response;
}

const timeouts = new WeakSet();

/** Whether an error is a timeout, whatever code its caller is to see. */
export function isTimeout(error: unknown): boolean {
  return typeof error === 'object' && error !== null && timeouts.has(error);
}

function errorWithOwnConfig(error: unknown, { config, adapter }: Departure): unknown {
  const failure = error as Partial<AxiosError> | null;
  if (typeof failure !== 'object' || failure === null) return error;
  // The older fetch adapter wraps its own errors, whose config is the copy.
  let at: Partial<AxiosError> | undefined = failure;
  for (let depth = 0; typeof at === 'object' && depth < 8; depth++) {
    if ('config' in at) Object.assign(at, { config });
    if (at.request !== undefined) hide(at, 'request', at.request);
    if (at.response) withOwnConfig(at.response, config);
    at = at.cause as Partial<AxiosError> | undefined;
  }
  if (failure.code !== 'ETIMEDOUT') return error;
  timeouts.add(failure);
  const isClarified = (failure.message ?? '').startsWith('timeout') || failure.message === config.timeoutErrorMessage;
  const isAsked = adapter.transport === 'fetch' || config.transitional?.clarifyTimeoutError === true;
  if (isClarified && !isAsked) failure.code = 'ECONNABORTED';
  return error;
}
