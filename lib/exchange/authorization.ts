import type { InternalAxiosRequestConfig } from 'axios';
import type { Attachment } from '../attachment.js';
import { AuthError } from '../errors.js';
import { nameIn } from '../http/header-values.js';
import { fullUrl, resolveUrl, type Destination } from '../transport/origin.js';

/**
 * Whether the scheme may put credentials on this call. It stays out where the caller brought some, and where the URL
 * leads to somebody else.
 * @throws AuthError where the call must not be sent at all.
 */
export function mayAuthorize(
  config: InternalAxiosRequestConfig,
  { kind, origin, isSecure }: Destination,
  { policy }: Attachment,
): boolean {
  if (bringsItsOwn(config)) return false;
  if (kind === 'unknown') {
    throw new AuthError(
      'ERR_AUTH_FOREIGN_ORIGIN',
      `Nothing says that ${origin} may receive credentials: set the instance's baseURL, or attachAuth's origins: ['${origin}'].`,
    );
  }
  if (kind === 'foreign') {
    if (policy.foreignOrigin !== 'refuse') return false;
    throw new AuthError(
      'ERR_AUTH_FOREIGN_ORIGIN',
      `${origin} is none of the origins that may receive credentials (foreignOrigin: 'refuse').`,
    );
  }
  if (isSecure) return true;
  throw new AuthError(
    'ERR_AUTH_INSECURE',
    `${policy.scheme.name} credentials must not go to ${origin} unencrypted: use https, or allowInsecure.`,
  );
}

function bringsItsOwn(config: InternalAxiosRequestConfig): boolean {
  if (Object.hasOwn(config, 'auth') && config.auth) return true;
  const name = nameIn(config.headers, 'authorization');
  const brought: unknown = name && config.headers[name];
  // False is a header that axios lets nobody set.
  if (brought || brought === false) return true;
  if (!config.url?.includes('@') && !config.baseURL?.includes('@')) return false;
  const { username, password } = resolveUrl(fullUrl(config));
  return username + password !== '';
}
