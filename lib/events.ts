/** Why a call is sent again after an error. */
export type RetryReason = 'throttled' | 'status' | 'network' | 'timeout';

/**
 * What `onEvent` hears. `at` is epoch ms. Urls come without query and user-info, and no event ever holds a credential;
 * `generation` counts what the session has stored, so that two events can be told to speak of the same token.
 */
export type AuthEvent = { at: number } & (
  | { type: 'refreshing' | 'refreshed' | 'signed-in' | 'signed-out' | 'session-expired'; generation: number }
  | { type: 'refresh-failed'; generation: number; code: string; status?: number; willRetry: boolean }
  | { type: 'refresh-paused'; generation: number; until: number }
  | { type: 'revoke-failed'; code: string; status?: number }
  | { type: 'replay'; method: string; url: string; attempt: number }
  | { type: 'retry'; method: string; url: string; attempt: number; delayMs: number; reason: RetryReason }
  | { type: 'throttled'; key: string; resumesAt: number; waiting: number }
  | { type: 'resumed'; key: string }
  | { type: 'store-degraded'; reason: string }
);

/** An event without its time. */
export type EventBody = AuthEvent extends infer E ? (E extends { at: number } ? Omit<E, 'at'> : never) : never;

export type Emit = (event: EventBody) => void;

export type Tell = Emit;

const emitNothing: Emit = () => undefined;

/**
 * Hands events to `listener` in a microtask of their own, in order: a listener that throws, rejects or calls the
 * instance again meets no lock and changes nothing.
 */
export function teller(listener: ((event: AuthEvent) => unknown) | undefined, now: () => number): Emit {
  if (!listener) return emitNothing;
  return (body) => {
    const event = { at: now(), ...body };
    queueMicrotask(() => {
      try {
        void Promise.resolve(listener(event)).catch(() => undefined);
      } catch {
        // What a listener throws changes nothing.
      }
    });
  };
}
