import { AxiosError, type AxiosAdapter, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios';
import { AuthError, hide } from '../errors.js';
import { ownValue, safeGet } from '../safe-read.js';
import { isReplayable } from '../http/body.js';
import { isPage, type Transport } from './adapter.js';
import { headerOf } from '../http/response-headers.js';
import { discard } from './discard.js';
import { fullUrl, resolveUrl } from './origin.js';

/** The limit of the Fetch standard. */
const MAX_REDIRECTS = 20;

/** Responses that a redirect fetched from another origin. A property, since other copies of the package may look, too. */
const FOREIGN = Symbol.for('axios-attach-auth.foreign');

export function markForeign(response: AxiosResponse): void {
  hide(response, FOREIGN, true);
}

/** Lower-case names of the headers to remove when a redirect leaves the origin; undefined: the redirect is refused. */
type CredentialHeaders = readonly string[] | undefined;

/**
 * Decides whether fetch follows redirects or this package does. When a redirect leaves the origin, fetch drops Authorization in
 * pages, but not in every runtime, and no other header. @returns true if {@link followRedirects} has to.
 */
export function takeRedirects(
  copy: InternalAxiosRequestConfig,
  transport: Transport,
  credentialHeaders: CredentialHeaders,
): boolean {
  const isTaken = isFollowedHere(copy, transport, credentialHeaders);
  if (isTaken || (transport !== 'http' && copy.maxRedirects === 0))
    copy.fetchOptions = { ...(copy.fetchOptions as object | undefined), redirect: 'manual' };
  return isTaken;
}

function isFollowedHere(
  copy: InternalAxiosRequestConfig,
  transport: Transport,
  credentialHeaders: CredentialHeaders = ['authorization'],
): boolean {
  if (transport === 'http' || transport === 'xhr') return false;
  const redirect = ownValue(copy.fetchOptions, 'redirect');
  if (copy.maxRedirects === 0 || (redirect !== undefined && redirect !== 'follow')) return false;
  if (transport === 'custom') return credentialHeaders.length > 0 && !isPage();
  return !isPage() || credentialHeaders.some((name) => name !== 'authorization');
}

interface Settled {
  readonly response: AxiosResponse | undefined;
  readonly failure?: { readonly error: unknown };
}

export interface FollowOptions {
  readonly send: AxiosAdapter;
  readonly origin: string;
  readonly credentialHeaders: CredentialHeaders;
  /** Writes the credentials anew: a signature for the old URL does not fit the new one. */
  readonly reauthorize?: (hop: InternalAxiosRequestConfig) => Promise<void>;
}

/** Sends, and follows redirects as the Fetch standard does (§4.4). Credentials are removed once one leaves the origin. */
export async function followRedirects(
  hop: InternalAxiosRequestConfig,
  { send, origin, credentialHeaders, reauthorize }: FollowOptions,
): Promise<AxiosResponse> {
  let hasLeft = false;
  for (let hops = 0; ; hops++) {
    const settled = await send(hop).then(
      (value): Settled => ({ response: value }),
      (error: unknown): Settled => ({
        response: safeGet(error as Partial<AxiosError> | undefined, 'response'),
        failure: { error },
      }),
    );
    const { response, failure } = settled;
    if (response?.status === 0 && isPage()) throw redirectHidden();
    if (response && hasLeft) markForeign(response);
    const target = response && redirectTarget(response, hop);
    if (failure && !target) throw failure.error;
    if (response && !target) return response;
    if (!response || !target) throw new TypeError('An adapter resolved without a response');
    // Written so that NaN is a limit, too.
    if (!(hops < (hop.maxRedirects ?? MAX_REDIRECTS))) {
      const message = 'Maximum number of redirects exceeded';
      throw new AxiosError(message, AxiosError.ERR_FR_TOO_MANY_REDIRECTS, hop, undefined, response);
    }
    discard(response.data);
    retarget(hop, target);
    hasLeft ||= target.url.origin !== origin;
    if (!hasLeft) await reauthorize?.(hop);
    else if (!credentialHeaders) throw redirectRefused();
    else {
      delete hop.auth;
      for (const name of [...credentialHeaders, 'authorization', 'cookie', 'proxy-authorization'])
        hop.headers.delete(name);
    }
  }
}

/** Returns whether a redirect fetched a response from another origin: then it does not judge our credentials. */
export function wasFetchedElsewhere(response: AxiosResponse, origin: string): boolean {
  if (ownValue(response, FOREIGN) === true) return true;
  const request: unknown = safeGet(response, 'request');
  const responseURL = safeGet(request, 'responseURL');
  const finalUrl =
    typeof responseURL === 'string' && responseURL !== ''
      ? responseURL
      : ownValue(ownValue(request, 'res'), 'responseUrl');
  // A mock may report a relative URL, or none.
  return finalUrl !== undefined && (originOf(finalUrl) ?? origin) !== origin;
}

interface Target {
  readonly url: URL;
  readonly becomesGet: boolean;
}

/** The target of a redirect; undefined if the response is not one, or if its body cannot be sent a second time. */
function redirectTarget(response: AxiosResponse, hop: InternalAxiosRequestConfig): Target | undefined {
  const location = isRedirect(response.status) ? headerOf(response, 'location') : undefined;
  const url = location === undefined ? undefined : parse(location, hop);
  const becomesGet = changesToGet(response.status, hop.method ?? 'get');
  return url && (becomesGet || isReplayable(hop.data)) ? { url, becomesGet } : undefined;
}

function retarget(hop: InternalAxiosRequestConfig, { url, becomesGet }: Target): void {
  hop.url = url.href;
  delete hop.baseURL;
  delete hop.params;
  if (!becomesGet) return;
  hop.method = 'get';
  hop.data = undefined;
  for (const name of ['type', 'length', 'encoding', 'language', 'location']) hop.headers.delete(`content-${name}`);
}

function changesToGet(status: number, method: string): boolean {
  const upper = method.toUpperCase();
  return status === 303 ? upper !== 'GET' && upper !== 'HEAD' : (status === 301 || status === 302) && upper === 'POST';
}

function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

function parse(location: string, from: InternalAxiosRequestConfig): URL | undefined {
  try {
    const next = new URL(location, resolveUrl(fullUrl(from)));
    return /^https?:$/.test(next.protocol) ? next : undefined;
  } catch {
    return undefined;
  }
}

export function redirectRefused(): AuthError {
  return new AuthError(
    'ERR_AUTH_FOREIGN_ORIGIN',
    'The server redirects to another origin. That origin must not get the body, which may hold a refresh token, so the redirect was ' +
      'not followed. Call the final URL.',
  );
}

function redirectHidden(): AuthError {
  return new AuthError(
    'ERR_AUTH_FOREIGN_ORIGIN',
    'The server redirects. A browser hides where to, and would send the credential along, so the redirect was not followed. ' +
      'Call the final URL, or send the credential in Authorization.',
  );
}

export function originOf(url: unknown): string | undefined {
  try {
    return new URL(String(url)).origin;
  } catch {
    return undefined;
  }
}
