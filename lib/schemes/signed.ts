import type { MaybePromise } from '../maybe-promise.js';
import { withoutPrototype } from '../safe-read.js';
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
  if (typeof sign !== 'function')
    throw new TypeError(`signed() takes a function that returns headers, but got ${typeof sign}`);
  const { name = 'Signed', credentialHeaders } = withoutPrototype(options);
  if (credentialHeaders !== undefined && !Array.isArray(credentialHeaders)) {
    throw new TypeError('signed(): `credentialHeaders` takes an array of names');
  }
  return {
    name,
    credentialHeaders,
    async authorize(request) {
      const headers: unknown = await sign(request);
      if (typeof headers !== 'object' || headers === null) {
        throw new TypeError(
          `signed(): the function returned ${headers === null ? 'null' : typeof headers}. Return an object of headers.`,
        );
      }
      for (const [name, value] of Object.entries(headers as Record<string, unknown>)) {
        if (typeof value !== 'string' && typeof value !== 'number')
          throw new TypeError(
            `signed(): the function returned ${typeof value} for the header ${name}. Return a string.`,
          );
        request.headers.set(name, value);
      }
    },
  };
}
