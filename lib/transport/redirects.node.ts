import { discard } from './discard.js';
import { ownValue, safeGet } from '../safe-read.js';
import { isPage, type ResolvedAdapter, type Transport } from './adapter.js';
import { systemClock } from '../clock.js';
import { redirectHidden, redirectRefused, setManual, type Redirects } from './foreign.js';
import { isReplayable } from '../http/body.js';
import { AxiosError, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios';
import { headerOf } from '../http/response-headers.js';
import { fullUrl, parseUrl, resolveUrl } from './origin.js';
import { bodyStream, hideIn } from './platform.node.js';
import { guardRedirects } from './redirect-guard.js';

/** The limit of the Fetch standard. */
const MAX_REDIRECTS = 20;

/** Sends a config without its credentials following a redirect to another origin, in Node, Bun, Deno and workers. */
export function sendGuarded(
  copy: InternalAxiosRequestConfig,
  { send, transport }: ResolvedAdapter,
  redirects: Redirects,
): Promise<AxiosResponse> {
  const { credentialHeaders } = redirects;
  // A custom adapter may wrap the http adapter or fetch, as a mock's passThrough() does.
  if (transport === 'http' || (transport !== 'fetch' && credentialHeaders?.length !== 0))
    guardRedirects(copy, redirects);
  const isTaken = isFollowedHere(copy, transport, credentialHeaders);
  if (isTaken || (transport !== 'http' && copy.maxRedirects === 0)) setManual(copy);
  // A body that was piped to the request leads to it, and errors show the body.
  hideIn(bodyStream(copy), ['_readableState']);
  // In plain JavaScript it may be a text.
  const endsAt = systemClock.monotonic() + Number((copy.timeout as unknown) ?? 0);
  const sent = send(copy);
  const follow = (): Promise<AxiosResponse> => followRedirects(sent, copy, { send, transport }, redirects, endsAt);
  return isTaken ? sent.then((response) => (isRedirect(response.status) ? follow() : response), follow) : sent;
}

/**
 * Returns whether fetch must not follow redirects. When one leaves the origin, fetch drops Authorization in pages, but not in every
 * runtime, and no other header.
 */
function isFollowedHere(
  copy: InternalAxiosRequestConfig,
  transport: Transport,
  credentialHeaders: readonly string[] = ['authorization'],
): boolean {
  if (transport === 'http' || transport === 'xhr') return false;
  const redirect = ownValue(copy.fetchOptions, 'redirect');
  if (copy.maxRedirects === 0 || (redirect !== undefined && redirect !== 'follow')) return false;
  if (transport === 'custom') return credentialHeaders.length > 0 && !isPage();
  return !isPage() || credentialHeaders.some((name) => name !== 'authorization');
}

/** Follows redirects as the Fetch standard does (§4.4). Credentials are removed once one leaves the origin. */
async function followRedirects(
  sent: Promise<AxiosResponse>,
  hop: InternalAxiosRequestConfig,
  { send, transport }: ResolvedAdapter,
  redirects: Redirects,
  endsAt: number,
): Promise<AxiosResponse> {
  const { origin } = redirects;
  for (let hops = 0; ; hops++) {
    const response = await sent.catch((error: unknown) => safeGet(error, 'response') as AxiosResponse | undefined);
    if (response?.status === 0 && isPage()) throw redirectHidden();
    const target = response && redirectTarget(response, hop);
    // A mock answers without a request of fetch, and what it answers is the result.
    const isFetched = transport === 'fetch' || safeGet(safeGet(response, 'request'), 'redirect') === 'manual';
    if (!response || !target || !isFetched) return sent;
    // Written so that NaN is a limit, too.
    if (!(hops < (hop.maxRedirects ?? MAX_REDIRECTS))) {
      const message = 'Maximum number of redirects exceeded';
      throw new AxiosError(message, AxiosError.ERR_FR_TOO_MANY_REDIRECTS, hop, undefined, response);
    }
    discard(response.data);
    retarget(hop, target);
    redirects.hasLeftOrigin ||= target.url.origin !== origin;
    const { credentialHeaders } = redirects;
    if (!redirects.hasLeftOrigin) await redirects.reauthorize?.(hop);
    else if (!credentialHeaders) throw redirectRefused();
    else {
      delete hop.auth;
      for (const name of [...credentialHeaders, 'authorization', 'cookie', 'proxy-authorization'])
        hop.headers.delete(name);
    }
    // The `timeout` of the call bounds all hops together.
    if (hop.timeout) hop.timeout = Math.max(1, endsAt - systemClock.monotonic());
    sent = send(hop);
  }
}

interface Target {
  readonly url: URL;
  readonly becomesGet: boolean;
}

/** The target of a redirect. undefined if the response is none, or if its body cannot be sent again. */
function redirectTarget(response: AxiosResponse, hop: InternalAxiosRequestConfig): Target | undefined {
  const location = isRedirect(response.status) && headerOf(response, 'location');
  const url = location ? parseUrl(decoded(location), resolveUrl(fullUrl(hop)).href) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) return undefined;
  const becomesGet = changesToGet(response.status, hop.method ?? 'get');
  return becomesGet || isReplayable(hop.data) ? { url, becomesGet } : undefined;
}

/** Headers show a byte per character, and fetch reads those of Location as UTF-8. */
function decoded(location: string): string {
  const isBytes = /^[\0-\xff]*$/.test(location);
  return isBytes ? new TextDecoder().decode(Uint8Array.from(location, (char) => char.charCodeAt(0))) : location;
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

/** A page's fetch gives a redirect that it hides the status 0. */
function isRedirect(status: number): boolean {
  return [0, 301, 302, 303, 307, 308].includes(status);
}
