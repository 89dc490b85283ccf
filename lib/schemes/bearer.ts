import { isPromise, type MaybePromise } from '../maybe-promise.js';
import { systemClock, type Clock } from '../clock.js';
import { atLeast, check, checkFunctions } from '../check.js';
import { isObject, withoutPrototype } from '../safe-read.js';
import { isSessionStore } from '../session/store.js';
import { accessTokenIn, readTokens, refreshTokenIn, tokensOf, type Tokens } from '../session/tokens.js';
import { bearerFunction } from './bearer-function.js';
import type { BearerScheme } from './bearer-scheme.js';
import { bearerSession, type BearerOptions } from './bearer-session.js';

/**
 * Sends a bearer token (RFC 6750) with each call: `Authorization: Bearer <token>`, or the `header` and `prefix` of the options.
 *
 * @param source A token, a function, or {@link BearerOptions} for a session that refreshes itself. The function is called at
 *   every attempt and once more after a 401. The call is sent again if the token has changed. null or undefined: sent without
 *   credentials.
 * @throws TypeError for wrong options. A token with anything but visible ASCII characters rejects the call with
 *   ERR_AUTH_INVALID_CREDENTIAL.
 */
export function bearer(source: string | (() => MaybePromise<string | null | undefined>)): BearerScheme;
export function bearer(source: BearerOptions): BearerScheme;
/** @internal */
export function bearer(
  source: string | (() => MaybePromise<string | null | undefined>) | BearerOptions,
  clock: Clock,
): BearerScheme;
export function bearer(
  source: string | (() => MaybePromise<string | null | undefined>) | BearerOptions,
  clock: Clock = systemClock,
): BearerScheme {
  if (typeof source === 'function') return bearerFunction(source);
  if (typeof source === 'string') return bearerSession(withoutPrototype({}), tokensOf(source), clock);
  const isOptions = isObject(source) && !isPromise(source as unknown);
  check(isOptions, 'bearer(): source', 'a token, a function or an object of options, no promise', source);
  const options = withoutPrototype(source);
  assertOptions(options);
  return bearerSession(options, readInitial(options, clock.now()), clock);
}

function readInitial({ tokens, refresh }: BearerOptions, now: number): Tokens | undefined {
  if (tokens === undefined) return undefined;
  const refreshToken = refreshTokenIn(tokens);
  const isAlone = accessTokenIn(tokens) === undefined;
  if (typeof refreshToken === 'string' && isAlone && refresh) return tokensOf('', refreshToken, 0);
  return readTokens(tokens, 'bearer(): `tokens`', now, 'earlier');
}

function assertOptions(options: BearerOptions): void {
  const { refresh, revoke, store, refreshAheadMs, refreshTimeoutMs, header, prefix } = options;
  checkFunctions({ 'bearer(): refresh': refresh, 'bearer(): revoke': revoke });
  check(
    store === undefined || isSessionStore(store),
    'bearer(): store',
    'a store of webStorageStore(), fileStore(), redisStore(), memoryStore() or tokenStore()',
    store,
  );
  atLeast(0, refreshAheadMs, 0, 'bearer(): refreshAheadMs');
  atLeast(1, refreshTimeoutMs, 1, 'bearer(): refreshTimeoutMs');
  const isText = (value: unknown, pattern: RegExp): boolean =>
    value === undefined || (typeof value === 'string' && pattern.test(value));
  check(isText(header, /^[\w-]+$/), 'bearer(): header', 'the name of a header', header);
  check(isText(prefix, /^[\x21-\x7e]*$/), 'bearer(): prefix', "a word of visible ASCII characters, or ''", prefix);
}
