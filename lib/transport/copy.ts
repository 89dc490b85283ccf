import type { AxiosError, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import { chainOf, hide } from '../errors.js';
import { ownValue, safeGet } from '../safe-read.js';
import type { ResolvedAdapter } from './adapter.js';
import { copyHeaders } from '../http/header-values.js';
import { fullUrl, isAbsoluteUrlDisputed } from './origin.js';
import { refuseProxyInClear } from './proxy.js';
import { cameFromElsewhere, followRedirects, guardRedirects, isNode, takeRedirects } from './redirects.js';

/** One attempt that is ready to leave. */
export interface Departure {
  /** The call's own config: what its answer or error will carry. It is never written to. */
  readonly config: InternalAxiosRequestConfig;
  /** What is sent: the snapshot that was judged, with the credentials on it. */
  readonly copy: InternalAxiosRequestConfig;
  /** Lower-case names of the headers that no other origin may see. */
  readonly credentialHeaders: readonly string[];
  /** The URL that was signed, where a scheme has looked at it. */
  readonly url: URL | undefined;
  readonly origin: string;
  readonly adapter: ResolvedAdapter;
  /** It has been sent before. */
  readonly isRepeated: boolean;
  /** The app does not mind who reads the credentials on their way. */
  readonly mayGoInClear: boolean;
}

/** One attempt on the wire: the real adapter gets a copy that carries the credentials, and what comes back the call's own config. */
export class Passage {
  readonly #departure: Departure;
  /** Whether a redirect has led to another origin, where the adapter can tell. */
  readonly #hasLeft: (() => boolean) | undefined;
  readonly #isFollowedHere: boolean;

  constructor(departure: Departure) {
    const { copy, adapter, origin, credentialHeaders } = departure;
    const { transport } = adapter;
    direct(departure);
    this.#departure = departure;
    // A function may be a wrapper around the http adapter or around fetch, as a mock's passThrough() is.
    if (credentialHeaders.length > 0 && transport !== 'fetch') {
      this.#hasLeft = guardRedirects(copy, origin, credentialHeaders);
      if (!departure.mayGoInClear && origin.startsWith('https:')) refuseProxyInClear(copy);
    }
    this.#isFollowedHere = takeRedirects(copy, transport, credentialHeaders);
    // A browser's cache would give the same refusal for as long as it may be kept.
    if (departure.isRepeated && transport === 'fetch' && !isNode)
      copy.fetchOptions = { cache: 'reload', ...(copy.fetchOptions as object | undefined) };
  }

  send(): Promise<AxiosResponse> {
    const { copy, adapter, origin, credentialHeaders } = this.#departure;
    return this.#isFollowedHere ? followRedirects(copy, adapter.send, origin, credentialHeaders) : adapter.send(copy);
  }

  /** The answer as its caller may see it. */
  received(response: AxiosResponse): AxiosResponse {
    const { config, copy } = this.#departure;
    if (this.#hasLeft?.()) cameFromElsewhere(response);
    // The error that a stream may still end with carries the copy.
    if (copy.responseType === 'stream') copy.headers = config.headers;
    return withOwnConfig(response, config);
  }

  /** The error as its caller may see it. */
  failed(error: unknown): unknown {
    const response = safeGet(error as Partial<AxiosError> | undefined, 'response');
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

/**
 * A call's config as it is now, with headers of its own. What is judged is this, and this is what is sent: whoever holds the
 * config may change it while a scheme or a server takes its time.
 */
export function snapshot(config: InternalAxiosRequestConfig): InternalAxiosRequestConfig {
  const copy = copyOf(config);
  copy.headers = copyHeaders(config.headers);
  return copy;
}

/** As `{ ...config }`, which takes four times as long where a config inherits nothing. */
export function copyOf(config: InternalAxiosRequestConfig): InternalAxiosRequestConfig {
  const copy = new Copy() as InternalAxiosRequestConfig;
  for (const key of Object.keys(config)) copy[key as 'data'] = config[key as 'data'] as unknown;
  for (const key of Object.getOwnPropertySymbols(config)) copy[key as never] = config[key as never];
  return copy;
}

/** Says what the adapter needs to know, and how to put the URL together that was judged. */
function direct({ copy, url, origin, adapter }: Departure): void {
  copy.adapter = adapter.send;
  // ECONNABORTED means a timeout and a browser's abort alike.
  if (adapter.transport === 'custom' || (copy.timeout && adapter.transport !== 'fetch'))
    copy.transitional = { ...copy.transitional, clarifyTimeoutError: true };
  // A URL of another origin only stood in, for one that is relative or none: what axios makes of that is its own matter.
  const signed = adapter.transport !== 'custom' && url?.origin === origin ? url.href : undefined;
  // axios's versions and adapters differ in what they make of an absolute URL that was forbidden; what was judged is what must be sent.
  const sent = signed ?? (isAbsoluteUrlDisputed(copy) ? fullUrl(copy) : undefined);
  if (sent !== undefined) {
    copy.url = sent;
    delete copy.baseURL;
    delete copy.allowAbsoluteUrls;
    if (signed !== undefined) delete copy.params;
  }
}

function withOwnConfig(response: AxiosResponse, config: InternalAxiosRequestConfig): AxiosResponse {
  response.config = config;
  // The socket behind it remembers the header block that it sent.
  hideOwn(response, 'request');
  const data = response.data as Record<string, unknown> | null | undefined;
  if (typeof data?.['pipe'] === 'function') {
    for (const key of ['req', 'socket', 'client']) hideOwn(data, key);
  }
  return response;
}

function hideOwn(holder: object, key: string): void {
  const value = ownValue(holder, key);
  if (value !== undefined) hide(holder, key, value);
}

const timeouts = new WeakSet();

/** Whether an error is a timeout, whatever code its caller is to see. */
export function isTimeout(error: unknown): boolean {
  return typeof error === 'object' && error !== null && timeouts.has(error);
}

function errorWithOwnConfig(error: unknown, { config, adapter }: Departure): unknown {
  const chain = chainOf(error);
  // The older fetch adapter wraps its own errors, whose config is the copy.
  for (const at of chain) {
    if (safeGet(at, 'config')) Object.assign(at, { config });
    hideOwn(at, 'request');
    const response = safeGet(at, 'response');
    if (response) withOwnConfig(response, config);
  }
  const [failure] = chain;
  if (!failure || safeGet(failure, 'code') !== 'ETIMEDOUT') return error;
  timeouts.add(failure);
  const isClarified = (failure.message ?? '').startsWith('timeout') || failure.message === config.timeoutErrorMessage;
  const isAsked = adapter.transport === 'fetch' || config.transitional?.clarifyTimeoutError === true;
  if (isClarified && !isAsked) failure.code = 'ECONNABORTED';
  return error;
}
