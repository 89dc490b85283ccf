import { alarm, type Clock } from '../clock.js';
import { refreshClient } from '../transport/refresh-client.js';
import { REQUEST_LIMIT_MS, type RevokeFunction } from './refresh-context.js';
import { classify } from './refresh-failure.js';
import type { SessionObservers } from './snapshot.js';
import type { Tokens } from './tokens.js';

/** Tells the server that a session has ended. Best effort: a failure is an event and nothing more. */
export type Revocation = (tokens: Tokens) => Promise<void>;

export function revocation(revoke: RevokeFunction, clock: Clock, observers: SessionObservers): Revocation {
  return async (tokens) => {
    const controller = new AbortController();
    const cancel = alarm(clock, REQUEST_LIMIT_MS, controller.abort.bind(controller, undefined), 'idle');
    try {
      await revoke({ tokens, client: refreshClient(observers.anyClient.client), signal: controller.signal });
    } catch (error) {
      const { code, status } = classify(error, { reason: 'manual', now: clock.now(), tokens });
      observers.emit({ type: 'revoke-failed', code, ...(status !== undefined && { status }) });
    } finally {
      cancel();
    }
  };
}
