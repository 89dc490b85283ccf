import type { InternalAxiosRequestConfig } from 'axios';
import { AuthError } from '../errors.js';
import type { BareReason } from '../events.js';
import { hasOwnHeader } from '../http/header-values.js';
import type { Policy } from '../policy.js';
import type { SchemeState } from '../schemes/scheme-state.js';
import { fullUrl, resolveUrl, type Destination } from '../transport/origin.js';

type Config = InternalAxiosRequestConfig;

/**
 * Returns the schemes that run for an attempt. Excludes all if it is for another origin, and those that write a header which the call has
 * set.
 * @throws AuthError if the call must not be sent at all.
 */
export function chooseSchemes(
  config: Config,
  destination: Destination,
  schemes: readonly SchemeState[],
  policy: Policy,
): { readonly schemes: readonly SchemeState[]; readonly bare?: BareReason } {
  if (schemes.length === 0) return { schemes, bare: 'none-given' };
  const isLeftOut = ({ credentialHeaders }: SchemeState): boolean => hasOwnCredentials(config, credentialHeaders);
  const running = schemes.some(isLeftOut) ? schemes.filter((state) => !isLeftOut(state)) : schemes;
  const [first] = running;
  if (!first) return { schemes: running, bare: 'own-credentials' };
  const { kind, origin, isSecure } = destination;
  if (kind === 'unknown')
    throw new AuthError(
      'ERR_AUTH_FOREIGN_ORIGIN',
      `Not sent: neither a \`baseURL\` nor \`origins\` allows ${origin} to receive credentials. Set the instance's \`baseURL\`, or attachAuth's \`origins: ['${origin}']\`.`,
    );
  if (kind === 'foreign') {
    if (policy.foreignOrigin !== 'refuse') return { schemes: [], bare: 'foreign-origin' };
    throw new AuthError(
      'ERR_AUTH_FOREIGN_ORIGIN',
      `Not sent: ${origin} is not one of the origins that may receive credentials (\`foreignOrigin: 'refuse'\`). Add it to \`origins\`.`,
    );
  }
  if (isSecure) return { schemes: running };
  throw new AuthError(
    'ERR_AUTH_INSECURE',
    `Not sent: ${String(first.scheme?.name)} credentials would go to ${origin} unencrypted. Use https, or \`allowInsecure\`.`,
  );
}

/** Returns whether the call sets one of these headers. For Authorization, axios's `auth` and user-info in the URL count, too. */
export function hasOwnCredentials(config: Config, names: readonly string[]): boolean {
  return names.some(
    (name) =>
      hasOwnHeader(config.headers, name) ||
      (name === 'authorization' && ((Object.hasOwn(config, 'auth') && Boolean(config.auth)) || hasUserInfo(config))),
  );
}

function hasUserInfo(config: Config): boolean {
  if (!config.url?.includes('@') && !config.baseURL?.includes('@')) return false;
  const { username, password } = resolveUrl(fullUrl(config));
  return username + password !== '';
}
