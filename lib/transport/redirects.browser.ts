import type { AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import { ownValue } from '../safe-read.js';
import { isPage, type ResolvedAdapter } from './adapter.js';
import { redirectHidden, setManual, type Redirects } from './foreign.js';

/**
 * See redirects.node.ts. In pages, fetch shows no redirect, and drops Authorization alone: with a credential in another header
 * it may follow none. Elsewhere it is not certain to drop anything, so the redirect settles the call.
 * @throws TypeError for axios's http adapter, which exists in Node alone.
 */
export function sendGuarded(
  copy: InternalAxiosRequestConfig,
  { send, transport }: ResolvedAdapter,
  { credentialHeaders = [] }: Redirects,
): Promise<AxiosResponse> {
  if (transport === 'http')
    throw new TypeError(
      'axios-attach-auth: its browser build was loaded, but this call uses the http adapter, whose redirects it does not ' +
        "guard. Let the bundler or test runner resolve the condition 'node' or 'default', or use the fetch or xhr adapter.",
    );
  const mayFollow = isPage() && credentialHeaders.every((name) => name === 'authorization' || !copy.headers.has(name));
  const isManual =
    transport === 'fetch' &&
    !mayFollow &&
    /^(?:follow|undefined)$/.test(String(ownValue(copy.fetchOptions, 'redirect')));
  if (isManual || copy.maxRedirects === 0) setManual(copy);
  if (!isManual || copy.maxRedirects === 0) return send(copy);
  return send(copy).then((response) => {
    if (response.status === 0) throw redirectHidden();
    return response;
  });
}
