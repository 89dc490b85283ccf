import type { MaybePromise } from '../maybe-promise.js';
import { withoutPrototype } from '../safe-read.js';
import type { AuthRequest, AuthScheme } from './scheme.js';

/**
 * A scheme of one's own: `sign` sees method, final URL, headers and body of every attempt and gives the headers to add.
 *
 * @param sign Called before every attempt, so that time and nonce are new in each. For the bytes of a body await
 *   `request.body.bytes()`; a stream or multipart form has none, and what cannot be signed should be refused, not signed wrongly.
 * @param options `name`: the scheme's name for messages, default `Signed`. `credentialHeaders`: headers to drop on a redirect
 *   to another origin besides those that `sign` gives.
 * @throws TypeError if `sign` is no function. A value that no header may carry rejects the call with
 *   ERR_AUTH_INVALID_CREDENTIAL.
 */
export function signed(
  sign: (request: AuthRequest) => MaybePromise<Record<string, string>>,
  options: { name?: string | undefined; credentialHeaders?: readonly string[] | undefined } = {},
): AuthScheme {
  if (typeof sign !== 'function')
    throw new TypeError(`signed() takes a function that gives headers, but got ${typeof sign}`);
  const { name = 'Signed', credentialHeaders } = withoutPrototype(options);
  if (credentialHeaders !== undefined && !Array.isArray(credentialHeaders)) {
    throw new TypeError('signed(): credentialHeaders takes an array of names');
  }
  return {
    name,
    credentialHeaders,
    async authorize(request) {
      const headers: unknown = await sign(request);
      if (typeof headers !== 'object' || headers === null) {
        throw new TypeError(
          `signed(): the function must give headers, but gave ${headers === null ? 'null' : typeof headers}`,
        );
      }
      for (const [name, value] of Object.entries(headers as Record<string, unknown>)) {
        if (typeof value !== 'string' && typeof value !== 'number')
          throw new TypeError(`signed(): the function must give strings, but gave ${typeof value} for ${name}`);
        request.headers.set(name, value);
      }
    },
  };
}
