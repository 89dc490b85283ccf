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

/** Gives the real adapter a copy that carries the credentials, and gives what comes back the call's own config. */
export async function send(departure: Departure): Promise<AxiosResponse> {
  const { config, adapter, credentialHeaders } = departure;
  const copy = copyConfig(departure);
  const isFetch = adapter.transport === 'fetch';
  // A function may be a wrapper around the http adapter, as a mock's passThrough() is.
  const hasLeft =
    credentialHeaders.length > 0 && !isFetch ? guardRedirects(copy, departure.origin, credentialHeaders) : undefined;
  try {
    const response =
      isFetch && isFollowedHere(copy, credentialHeaders)
        ? await followRedirects(copy, adapter.send, departure.origin, credentialHeaders)
        : await adapter.send(copy);
    if (hasLeft?.()) cameFromElsewhere(response);
    return withOwnConfig(response, config);
  } catch (error) {
    const { response } = (error ?? {}) as Partial<AxiosError>;
    if (response && hasLeft?.()) cameFromElsewhere(response);
    throw errorWithOwnConfig(error, departure);
  }
}

function copyConfig({ config, headers, url, adapter }: Departure): InternalAxiosRequestConfig {
  const copy = Object.assign(
    Object.create(Object.getPrototypeOf(config) as object | null) as InternalAxiosRequestConfig,
    config,
  );
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
