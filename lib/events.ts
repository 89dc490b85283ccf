/** Why a call is sent again after an error. */
export type RetryReason = 'throttled' | 'status' | 'network' | 'timeout';

/** Why an attempt was sent without the scheme's credentials. */
export type BareReason = 'omitted' | 'own-credentials' | 'foreign-origin' | 'signed-out' | 'none-given';

/**
 * An event, as `onEvent` gets it. No event contains a credential.
 *
 * - `at`, `until`, `resumesAt`: epoch ms. `delayMs`: ms.
 * - `call`: the number of the call, as in its report. `attempt`: the number of the send that follows.
 * - `method`: upper case. `url`: without query and user-info.
 * - `generation`: counts the changes of a session's tokens. Two events with the same one are about the same token.
 * - `code`, `status`: an OAuth error code or a network code, and the status of the response, if there was one.
 * - `willRetry`: whether the refresh is sent again by itself.
 * - `key`: the limit, a path, an origin or the result of `keyOf`. `waiting`: the calls that wait for it.
 * - `why`: why the attempt was sent without credentials, as `bare` of a report.
 */
export type AuthEvent = { at: number } & (
  | { type: 'refreshing' | 'refreshed' | 'signed-in' | 'signed-out' | 'session-expired'; generation: number }
  | { type: 'refresh-failed'; generation: number; code: string; status?: number; willRetry: boolean }
  /** The circuit breaker has opened: no refresh until then (epoch ms). */
  | { type: 'refresh-paused'; generation: number; until: number }
  | { type: 'revoke-failed'; code: string; status?: number }
  /** A 401 that no scheme handled, for example because an interceptor still sets Authorization. */
  | { type: 'refusal-ignored'; call: number; method: string; url: string; status: number; why: BareReason }
  | { type: 'replay'; call: number; method: string; url: string; attempt: number }
  /** `delayMs`: the wait, jitter included. */
  | { type: 'retry'; call: number; method: string; url: string; attempt: number; delayMs: number; reason: RetryReason }
  | { type: 'throttled'; key: string; resumesAt: number; waiting: number }
  | { type: 'resumed'; key: string }
  | { type: 'store-degraded'; reason: string }
);

/** An event before its instant is known. */
export type EventBody = AuthEvent extends infer E ? (E extends { at: number } ? Omit<E, 'at'> : never) : never;

export type Emit = (event: EventBody) => void;

/**
 * Returns a function that calls `listener` in a separate microtask, in order. So the listener may call the instance again, and its errors
 * and rejections have no effect. After detach() it does nothing.
 */
export function emitter(
  listener: ((event: AuthEvent) => unknown) | undefined,
  now: () => number,
  instance: { readonly isDetached: boolean },
): Emit {
  if (!listener) return () => undefined;
  return (body) => {
    if (instance.isDetached) return;
    const event = { at: now(), ...body };
    Promise.resolve()
      .then(() => listener(event))
      .catch(() => undefined);
  };
}
