import type { AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import { AuthError } from '../errors.js';
import { safeGet } from '../safe-read.js';
import { parseUrl } from './origin.js';

/** The redirects of one send. */
export interface Redirects {
  readonly origin: string;
  /** Lower-case names of the headers to remove when a redirect leaves the origin; undefined: the redirect is refused. */
  readonly credentialHeaders: readonly string[] | undefined;
  /** Writes the credentials anew: a signature for the old URL does not fit the new one. */
  reauthorize?(hop: InternalAxiosRequestConfig): Promise<void>;
  /** A redirect has left the origin, even if another one came back. */
  hasLeftOrigin: boolean;
}

/** Makes fetch return redirects instead of following them. */
export function setManual(copy: InternalAxiosRequestConfig): void {
  copy.fetchOptions = { ...(copy.fetchOptions as object | undefined), redirect: 'manual' };
}

/** Returns whether a browser followed a redirect to another origin. */
export function wasFetchedElsewhere(response: AxiosResponse, origin: string): boolean {
  // Of an XMLHttpRequest. A mock may report a relative URL, or none.
  return (originOf(safeGet(safeGet(response, 'request'), 'responseURL')) ?? origin) !== origin;
}

export function redirectHidden(): AuthError {
  return new AuthError(
    'ERR_AUTH_FOREIGN_ORIGIN',
    'The redirect was not followed: a browser hides its target, and would send the credential to it. ' +
      'Call the final URL, or send the credential in Authorization.',
  );
}

export function redirectRefused(): AuthError {
  return new AuthError(
    'ERR_AUTH_FOREIGN_ORIGIN',
    'The redirect was not followed: it leads to another origin, which must not get a body with a refresh token. Call the final URL.',
  );
}

export function originOf(url: unknown): string | undefined {
  return parseUrl(url)?.origin;
}
