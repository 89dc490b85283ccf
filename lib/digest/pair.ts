import { systemClock } from '../clock.js';
import { AuthError } from '../errors.js';
import { safeGet } from '../safe-read.js';
import type { BasicCredentials } from '../schemes/basic.js';
import { toHex } from '../schemes/hash.js';

export function pairOf(given: unknown): BasicCredentials | undefined {
  const [username, password] = [safeGet(given, 'username'), safeGet(given, 'password')];
  return typeof username === 'string' && typeof password === 'string' ? { username, password } : undefined;
}

/** @throws AuthError for a control character or half a surrogate pair, which no quoted string may hold. */
export function checked(given: unknown): BasicCredentials {
  const pair = pairOf(given);
  // eslint-disable-next-line no-control-regex -- they are what is refused
  if (pair && !/[\x00-\x1f\x7f]|\p{Surrogate}/u.test(pair.username + pair.password)) return pair;
  throw new AuthError(
    'ERR_AUTH_INVALID_CREDENTIAL',
    'digest(): expected { username, password }, two strings without control characters. Look for a line break at the end of a secret.',
  );
}

export function clientNonce(): string {
  const bytes = new Uint8Array(16);
  // React Native has no crypto.
  const { crypto } = globalThis as Partial<typeof globalThis>;
  return toHex(crypto?.getRandomValues(bytes) ?? bytes.map(() => systemClock.random() * 256));
}
