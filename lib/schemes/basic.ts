import { type MaybePromise, whenReady } from '../maybe-promise.js';
import { AuthError } from '../errors.js';
import { safeGet } from '../safe-read.js';
import { toBase64, utf8 } from './hash.js';
import { appCredential } from './app-credential.js';
import type { AuthScheme } from './scheme.js';

/** A user-id and a password (RFC 7617 §2). Neither may contain control characters, nor the user-id a colon. */
export interface BasicCredentials {
  /** The user-id, without a colon. */
  username: string;
  /** The password; may be empty. */
  password: string;
}

// eslint-disable-next-line no-control-regex -- RFC 7617 §2 forbids them
const CONTROL = /[\x00-\x1f\x7f]/;

/**
 * Returns a scheme that sends a user-id and a password (Basic, RFC 7617) in UTF-8.
 *
 * @param credentials One pair, an array of pairs, or a function. An array is tried in order after a 401, and later calls begin
 *   with the pair that was accepted. A function is called at every attempt and once more after a 401. The call is replayed if the
 *   credentials have changed. null or undefined: the call is sent without credentials.
 * @throws TypeError for any other value. A character that RFC 7617 §2 forbids rejects the call with ERR_AUTH_INVALID_CREDENTIAL.
 */
export function basic(
  credentials:
    BasicCredentials | readonly BasicCredentials[] | (() => MaybePromise<BasicCredentials | null | undefined>),
): AuthScheme {
  if (typeof credentials === 'function') return fromFunction(credentials);
  const list = Array.isArray(credentials)
    ? [...(credentials as readonly BasicCredentials[])]
    : [credentials as BasicCredentials];
  if (list.length === 0) throw new TypeError('basic() takes credentials, but got an empty array');
  list.forEach(assertShape);
  return inOrder(list);
}

/** Each call begins with the pair that was accepted last, and tries the following ones after refusals. */
function inOrder(list: readonly BasicCredentials[]): AuthScheme {
  let accepted = 0;
  /** For each call, the index of its first pair, and the number of pairs that were refused. */
  const calls = new WeakMap<object, { first: number; refused: number }>();
  const indexOf = ({ first, refused }: { first: number; refused: number }): number => (first + refused) % list.length;
  return {
    name: 'Basic',
    credentialHeaders: ['Authorization'],
    maxChallenges: list.length - 1,
    authorize({ exchange, headers }) {
      const call = calls.get(exchange) ?? { first: accepted, refused: 0 };
      calls.set(exchange, call);
      const credentials = list[indexOf(call)];
      if (credentials) headers.set('Authorization', encode(credentials));
    },
    onChallenge({ request }) {
      const call = calls.get(request.exchange);
      return call !== undefined && ++call.refused < list.length;
    },
    onAnswer({ request, response, isRefusal }) {
      const call = calls.get(request.exchange);
      // A 429 or 5xx does not say that they were read.
      if (call && !isRefusal && response.status < 429) accepted = indexOf(call);
    },
  };
}

function fromFunction(credentials: () => MaybePromise<BasicCredentials | null | undefined>): AuthScheme {
  const ask = (): MaybePromise<string | undefined> =>
    whenReady(credentials(), (found) => {
      if (found === null || found === undefined) return undefined;
      assertShape(found);
      return encode(found);
    });
  return { name: 'Basic', ...appCredential('Authorization', ask) };
}

function encode({ username, password }: BasicCredentials): string {
  refuse('username', CONTROL.test(username) || username.includes(':'), username);
  refuse('password', CONTROL.test(password), password);
  return `Basic ${toBase64(utf8(`${username}:${password}`))}`;
}

function refuse(field: string, isWrong: boolean, value: string): void {
  if (!isWrong && !/\p{Surrogate}/u.test(value)) return;
  throw new AuthError(
    'ERR_AUTH_INVALID_CREDENTIAL',
    `basic(): the ${field} contains a ${field === 'username' ? 'colon, a ' : ''}control character or half of a surrogate pair (RFC 7617 §2).`,
  );
}

function assertShape(credentials: unknown): void {
  const [username, password] = [safeGet(credentials, 'username'), safeGet(credentials, 'password')];
  if (typeof username !== 'string' || typeof password !== 'string') {
    throw new TypeError(
      `basic() takes { username, password }, both strings, but got username: ${typeof username}, password: ${typeof password}`,
    );
  }
}
