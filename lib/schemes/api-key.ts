import { type MaybePromise, whenReady } from '../maybe-promise.js';
import { check } from '../check.js';
import { isObject, withoutPrototype } from '../safe-read.js';
import { invalidCredential, isHeaderName } from '../http/header-values.js';
import { appCredential } from './app-credential.js';
import type { AuthScheme } from './scheme.js';

/**
 * Returns a scheme that sends an API key in a header.
 *
 * @param key The key, or a function for keys that rotate. A function is called at every attempt and once more after a 401. The
 *   call is replayed if the key has changed. null or undefined: the call is sent without a key.
 * @param options `header`: the name of the header. Default `X-API-Key`.
 * @throws TypeError for other values. A key that is empty or has characters that a header may not carry rejects the call with
 *   ERR_AUTH_INVALID_CREDENTIAL.
 */
export function apiKey(
  key: string | (() => MaybePromise<string | null | undefined>),
  options: { header?: string | undefined } = {},
): AuthScheme {
  check(isObject(options), 'apiKey(): options', 'an object', options);
  const { header = 'X-API-Key' } = withoutPrototype(options);
  // The messages do not repeat the values: either may be the key.
  if (typeof key !== 'string' && typeof key !== 'function')
    throw new TypeError(`apiKey(): \`key\` takes a string or a function, but got ${typeof key}`);
  if (!isHeaderName(header)) throw new TypeError('apiKey(): `header` takes the name of a header (RFC 9110 §5.1)');
  const ask = (): MaybePromise<string | undefined> =>
    whenReady(typeof key === 'function' ? key() : key, (value) => {
      if (value === '') throw invalidCredential(header);
      return value ?? undefined;
    });
  return { name: header, ...appCredential(header, ask) };
}
