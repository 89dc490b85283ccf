import type { AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import { AuthError, chainOf, hide } from '../errors.js';
import { ownValue, safeGet } from '../safe-read.js';
import { isPage, type ResolvedAdapter, type Transport } from './adapter.js';
import { originOf, type Redirects } from './foreign.js';
import { RELATIVE } from './origin.js';
import { guardStream } from './platform.node.js';
import { sendGuarded } from './redirects.node.js';

type Config = InternalAxiosRequestConfig;

/** One transmission. */
export interface Transmission extends Redirects {
  /** The call's own config: its response or error carries it. It is never written to. */
  readonly config: Config;
  readonly adapter: ResolvedAdapter;
  readonly isRepeated: boolean;
  /** Set if the attempt has failed for that reason, whatever code its caller sees. */
  isTimeout: boolean;
}

/** Sends one attempt. The adapter gets the copy with the credentials; the response or error gets the call's own config back. */
export async function send(copy: Config, transmission: Transmission): Promise<AxiosResponse> {
  const { config, adapter } = transmission;
  const { transport } = adapter;
  // Without it ECONNABORTED means a timeout and a browser's abort alike.
  if (transport === 'custom' || (copy.timeout && transport !== 'fetch'))
    copy.transitional = { ...copy.transitional, clarifyTimeoutError: true };
  // A page's HTTP cache would return the same refusal.
  if (transmission.isRepeated && transport === 'fetch' && isPage())
    copy.fetchOptions = { cache: 'reload', ...(copy.fetchOptions as object | undefined) };
  try {
    const response = await sendGuarded(copy, adapter, transmission);
    // An error that ends the stream later carries the copy.
    if (copy.responseType === 'stream') Object.assign(copy, config);
    return withOwnConfig(response, copy, transmission);
  } catch (error) {
    throw errorWithOwnConfig(error, copy, transmission);
  }
}

/** A URL that a scheme may have signed or modified. */
export interface ReadUrl {
  readonly origin: string;
  /** undefined: no scheme has read it. */
  readonly urlRead: URL | undefined;
  /** The URL before a scheme could modify it. */
  readonly urlGiven: string | undefined;
}

/**
 * Makes the adapter send the URL that a scheme has read.
 * @throws AuthError if the scheme has changed its origin.
 */
export function applyUrl(copy: Config, { origin, urlRead: url, urlGiven }: ReadUrl, transport: Transport): void {
  if (!url) return;
  const isModified = url.href !== urlGiven;
  // If the origin differs, the URL is a placeholder for a relative or an invalid one: leave it to axios.
  const isKnown = url.origin === origin;
  if (isModified && !isKnown && (origin !== RELATIVE || url.origin !== originOf(urlGiven)))
    throw new AuthError(
      'ERR_AUTH_FOREIGN_ORIGIN',
      `Not sent: the scheme changed the URL's origin from ${origin} to ${url.origin}. It may change path and query only.`,
    );
  // A mock finds its answer by the URL as the app wrote it.
  if (!isModified && (!isKnown || transport === 'custom')) return;
  copy.url = isKnown ? url.href : url.pathname + url.search;
  delete copy.baseURL;
  delete copy.allowAbsoluteUrls;
  delete copy.params;
}

function withOwnConfig(response: AxiosResponse, copy: Config, transmission: Transmission): AxiosResponse {
  replaceCopy(response, copy, transmission.config);
  if (transmission.adapter.transport !== 'xhr' && showsHeaders(response.request))
    hide(response, 'request', response.request);
  guardStream(response);
  return response;
}

function replaceCopy(holder: object, copy: Config, config: Config): void {
  // A frozen holder keeps the copy: then the copy loses the credentials.
  if (!Reflect.set(holder, 'config', config)) Object.assign(copy, config);
}

/** Node's ClientRequest and fetch's Request show the headers that were sent; an XMLHttpRequest does not. */
function showsHeaders(request: unknown): boolean {
  return safeGet(request, 'getHeader') !== undefined || safeGet(request, 'headers') !== undefined;
}

function errorWithOwnConfig(error: unknown, copy: Config, transmission: Transmission): unknown {
  const { config, adapter } = transmission;
  const chain = chainOf(error);
  // The fetch adapter may wrap its own errors, whose config is the copy.
  for (const at of chain) {
    if (safeGet(at, 'config')) replaceCopy(at, copy, config);
    const request = ownValue(at, 'request');
    if (request !== undefined) hide(at, 'request', request);
    const response = safeGet(at, 'response');
    if (response) withOwnConfig(response, copy, transmission);
  }
  const [failure] = chain;
  if (!failure || safeGet(failure, 'code') !== 'ETIMEDOUT') return error;
  transmission.isTimeout = true;
  const message = String(safeGet(failure, 'message'));
  const isClarified = message.startsWith('timeout') || message === config.timeoutErrorMessage;
  const isAsked = adapter.transport === 'fetch' || config.transitional?.clarifyTimeoutError === true;
  if (isClarified && !isAsked) Reflect.set(failure, 'code', 'ECONNABORTED');
  return error;
}
