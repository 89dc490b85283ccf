import type { MaybePromise } from '../maybe-promise.js';
import { systemClock, type Clock } from '../clock.js';
import { withoutPrototype, safeGet } from '../safe-read.js';
import { readTokens, tokensOf } from '../session/tokens.js';
import { bearerFunction } from './bearer-function.js';
import type { BearerScheme } from './bearer-scheme.js';
import { bearerSession, type BearerOptions } from './bearer-session.js';

/**
 * The Bearer scheme (RFC 6750): `Authorization: Bearer <token>`.
 *
 * @param source A token; a function, asked at every attempt and once more after a 401 (the call is sent again if its answer
 *   has changed; null or undefined: the call goes bare); or {@link BearerOptions}, for a session that refreshes itself.
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
  const given: unknown = source;
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(
      `bearer() takes a token, a function or options, but got ${given === null ? 'null' : typeof given}`,
    );
  }
  const options = withoutPrototype(source);
  assertOptions(options);
  const { tokens } = options;
  const initial = tokens === undefined ? undefined : readTokens(tokens, 'bearer(): tokens', clock.now(), 'earlier');
  return bearerSession(options, initial, clock);
}

function assertOptions(options: BearerOptions): void {
  const { store, refresh, refreshAheadMs, refreshTimeoutMs } = options;
  const wrong = (option: string, takes: string, got: unknown): never => {
    throw new TypeError(
      `bearer(): ${option} takes ${takes}, but got ${typeof got === 'number' ? String(got) : typeof got}`,
    );
  };
  if (refresh !== undefined && typeof refresh !== 'function') wrong('refresh', 'a function', refresh);
  if (
    store !== undefined &&
    (typeof safeGet(store, 'load') !== 'function' || typeof safeGet(store, 'compareAndSet') !== 'function')
  ) {
    wrong('store', 'a TokenStore with load() and compareAndSet()', store);
  }
  if (refreshAheadMs !== undefined && !(typeof refreshAheadMs === 'number' && refreshAheadMs >= 0)) {
    wrong('refreshAheadMs', 'a number of ms, 0 or more', refreshAheadMs);
  }
  if (refreshTimeoutMs !== undefined && !(typeof refreshTimeoutMs === 'number' && refreshTimeoutMs > 0)) {
    wrong('refreshTimeoutMs', 'a number of ms above 0', refreshTimeoutMs);
  }
}
