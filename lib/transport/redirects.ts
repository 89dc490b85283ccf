import { AxiosError, type AxiosAdapter, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios';
import { AuthError } from '../errors.js';
import { ownValue, safeGet } from '../safe-read.js';
import { isReplayable } from '../http/body-kind.js';
import type { Transport } from './adapter.js';
import { headerOf } from '../http/response-headers.js';
import { discard } from './discard.js';
import { fullUrl, resolveUrl } from './origin.js';

const MOST_REDIRECTS = 20;

/** Answers that a redirect fetched from another origin. */
const fetchedElsewhere = new WeakSet<AxiosResponse>();

export function cameFromElsewhere(response: AxiosResponse): void {
  fetchedElsewhere.add(response);
}

/** Lower-case names of the headers that stay behind when a redirect leaves the origin; `undefined`: none may leave it. */
type Luggage = readonly string[] | undefined;

/**
 * http adapter: credentials stay behind when a redirect leaves the origin. axios drops Authorization alone, and before
 * 1.21.1 not towards a sub-domain. Returns whether one has left, be it to come back.
 */
export function guardRedirects(
  copy: InternalAxiosRequestConfig,
  origin: string,
  credentialHeaders: Luggage,
): () => boolean {
  const theirs = copy.beforeRedirect;
  let hasLeft = false;
  copy.beforeRedirect = (options, ...details) => {
    hasLeft ||= originOf(options['href']) !== origin;
    if (hasLeft && !credentialHeaders) throw redirectAbroad();
    const headers = (options['headers'] ?? {}) as Record<string, unknown>;
    for (const name of hasLeft ? Object.keys(headers) : []) {
      if (credentialHeaders?.includes(name.toLowerCase())) Reflect.deleteProperty(headers, name);
    }
    theirs?.(options, ...details);
  };
  return () => hasLeft;
}

export const isNode = typeof ownValue(ownValue(ownValue(globalThis, 'process'), 'versions'), 'node') === 'string';

/**
 * fetch adapter, and what may wrap it: it hands redirects to fetch, which knows of no credential but Authorization. Returns
 * whether they are followed here instead.
 */
export function takeRedirects(
  copy: InternalAxiosRequestConfig,
  transport: Transport,
  credentialHeaders: Luggage,
): boolean {
  const isTaken = isFollowedHere(copy, transport, credentialHeaders);
  if (isTaken || (transport !== 'http' && copy.maxRedirects === 0))
    copy.fetchOptions = { ...(copy.fetchOptions as object | undefined), redirect: 'manual' };
  return isTaken;
}

function isFollowedHere(
  copy: InternalAxiosRequestConfig,
  transport: Transport,
  credentialHeaders: Luggage = ['authorization'],
): boolean {
  if (transport === 'http' || transport === 'xhr') return false;
  const redirect = ownValue(copy.fetchOptions, 'redirect');
  if (copy.maxRedirects === 0 || (redirect !== undefined && redirect !== 'follow')) return false;
  if (transport === 'custom') return credentialHeaders.length > 0 && isNode;
  // A browser shows nobody where a redirect leads; there Authorization may go on, since fetch drops it at the border.
  return isNode || credentialHeaders.some((name) => name !== 'authorization');
}

/** Follows redirects as the Fetch standard does (§4.4), and leaves the credentials behind at the border. Most calls meet none. */
export function followRedirects(
  hop: InternalAxiosRequestConfig,
  adapter: AxiosAdapter,
  origin: string,
  credentialHeaders: Luggage,
): Promise<AxiosResponse> {
  const follow = (settled: PromiseSettledResult<AxiosResponse>): Promise<AxiosResponse> =>
    followOn(settled, hop, adapter, origin, credentialHeaders);
  return adapter(hop).then(
    (value) => (value.status > 0 && value.status < 300 ? value : follow({ status: 'fulfilled', value })),
    (reason: unknown) => follow({ status: 'rejected', reason }),
  );
}

async function followOn(
  first: PromiseSettledResult<AxiosResponse>,
  hop: InternalAxiosRequestConfig,
  adapter: AxiosAdapter,
  origin: string,
  credentialHeaders: Luggage,
): Promise<AxiosResponse> {
  let settled = first;
  let hasLeft = false;
  for (let hops = 0; ; hops++) {
    // Whatever validateStatus makes of a redirect, it is looked at first.
    const response =
      settled.status === 'fulfilled'
        ? settled.value
        : safeGet(settled.reason as Partial<AxiosError> | undefined, 'response');
    if (response?.status === 0 && !isNode) throw redirectInBrowser();
    if (response && hasLeft) fetchedElsewhere.add(response);
    const next = response && whereTo(response, hop);
    if (!response || !next) {
      if (settled.status === 'rejected') throw settled.reason;
      return settled.value;
    }
    // So that NaN is a limit, too.
    if (!(hops < (hop.maxRedirects ?? MOST_REDIRECTS))) {
      throw new AxiosError(
        'Maximum number of redirects exceeded',
        AxiosError.ERR_FR_TOO_MANY_REDIRECTS,
        hop,
        undefined,
        response,
      );
    }
    discard(response.data);
    prepare(hop, next);
    if (next.url.origin !== origin || hasLeft) {
      if (!credentialHeaders) throw redirectAbroad();
      hasLeft = true;
      delete hop.auth;
      for (const name of [...credentialHeaders, 'authorization', 'cookie', 'proxy-authorization'])
        hop.headers.delete(name);
    }
    [settled] = await Promise.allSettled([adapter(hop)]);
  }
}

/** Whether a redirect took the call to another origin: then the answer says nothing about our credentials. */
export function wasFetchedElsewhere(response: AxiosResponse, origin: string): boolean {
  if (fetchedElsewhere.has(response)) return true;
  const request: unknown = safeGet(response, 'request');
  const responseURL = safeGet(request, 'responseURL');
  const finalUrl =
    typeof responseURL === 'string' && responseURL !== ''
      ? responseURL
      : ownValue(ownValue(request, 'res'), 'responseUrl');
  // A mock may name a relative one, which tells nothing, or none.
  return finalUrl !== undefined && (originOf(finalUrl) ?? origin) !== origin;
}

interface Hop {
  readonly url: URL;
  readonly becomesGet: boolean;
}

/** Where an answer sends the call on to; undefined: nowhere, or its body cannot be sent a second time. */
function whereTo(response: AxiosResponse, hop: InternalAxiosRequestConfig): Hop | undefined {
  const location = isRedirect(response.status) ? headerOf(response, 'location') : undefined;
  const url = location === undefined ? undefined : parse(location, hop);
  const becomesGet = changesToGet(response.status, hop.method ?? 'get');
  return url && (becomesGet || isReplayable(hop.data)) ? { url, becomesGet } : undefined;
}

function prepare(hop: InternalAxiosRequestConfig, { url, becomesGet }: Hop): void {
  hop.url = url.href;
  delete hop.baseURL;
  delete hop.params;
  if (!becomesGet) return;
  hop.method = 'get';
  hop.data = undefined;
  for (const name of ['content-type', 'content-length', 'content-encoding', 'content-language', 'content-location']) {
    hop.headers.delete(name);
  }
}

function changesToGet(status: number, method: string): boolean {
  const upper = method.toUpperCase();
  return status === 303 ? upper !== 'GET' && upper !== 'HEAD' : (status === 301 || status === 302) && upper === 'POST';
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

function parse(location: string, from: InternalAxiosRequestConfig): URL | undefined {
  try {
    const next = new URL(location, resolveUrl(fullUrl(from)));
    return next.protocol === 'http:' || next.protocol === 'https:' ? next : undefined;
  } catch {
    return undefined;
  }
}

function redirectAbroad(): AuthError {
  return new AuthError(
    'ERR_AUTH_FOREIGN_ORIGIN',
    'The server answered with a redirect to another origin. What was sent, such as a refresh token, is for nobody else, so it ' +
      'was not followed. Call the final URL.',
  );
}

function redirectInBrowser(): AuthError {
  return new AuthError(
    'ERR_AUTH_FOREIGN_ORIGIN',
    'The server answered with a redirect. A browser does not show where it leads and would take the credentials along, so it ' +
      'was not followed. Call the final URL, or send the credential in Authorization.',
  );
}

function originOf(url: unknown): string | undefined {
  try {
    return new URL(String(url)).origin;
  } catch {
    return undefined;
  }
}
