import type { MaybePromise } from '../maybe-promise.js';
import { check } from '../check.js';
import { isObject, withoutPrototype } from '../safe-read.js';
import type { AuthRequest, AuthScheme } from './scheme.js';

/**
 * Returns a scheme whose headers the function `sign` makes from method, final URL, headers and body of each attempt.
 *
 * @param sign Called before every attempt, so that each has a new time and nonce. Returns the headers to add. `await
 *   request.body.bytes()` returns undefined for a stream or multipart form. Throw an error then if the signature has to cover the
 *   body.
 * @param options `name`: the scheme's name in messages, default `Signed`. `credentialHeaders`: headers that a redirect to another
 *   origin drops, in addition to those that `sign` returns.
 * @throws TypeError if `sign` is not a function. An invalid header value rejects the call with ERR_AUTH_INVALID_CREDENTIAL.
 */
export function signed(
  sign: (request: AuthRequest) => MaybePromise<Record<string, string>>,
  options: { name?: string | undefined; credentialHeaders?: readonly string[] | undefined } = {},
): AuthScheme {
  check(typeof sign === 'function', 'signed(): sign', 'a function that returns headers', sign);
  check(isObject(options), 'signed(): options', 'an object', options);
  const { name = 'Signed', credentialHeaders } = withoutPrototype(options);
  check(typeof name === 'string', 'signed(): name', 'a string', name);
  check(
    credentialHeaders === undefined || Array.isArray(credentialHeaders),
    'signed(): credentialHeaders',
    'an array of names',
    credentialHeaders,
  );
  return {
    name,
    credentialHeaders,
    async authorize(request) {
      const headers: unknown = await sign(request);
      check(isObject(headers), 'signed(): the result of sign', 'an object of headers', headers);
      // Headers and Map have entries, and no properties.
      const entries = Symbol.iterator in headers ? (headers as Map<string, unknown>) : Object.entries(headers);
      for (const [name, value] of entries as Iterable<[string, unknown]>) {
        check(
          typeof value === 'string' || typeof value === 'number',
          `signed(): the header ${name}`,
          'a string',
          value,
        );
        request.headers.set(name, value);
      }
    },
  };
}
