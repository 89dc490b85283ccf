import { alarm, type Clock } from '../clock.js';
import { refreshClient } from '../transport/refresh-client.js';
import { REQUEST_LIMIT_MS, type RevokeFunction } from './refresh-context.js';
import { classify } from './refresh-failure.js';
import type { SessionObservers } from './snapshot.js';
import type { Tokens } from './tokens.js';

/** Tells the server about sessions that have ended, as far as it can be reached. */
export class Revocation {
  constructor(
    private readonly _revoke: RevokeFunction,
    private readonly _clock: Clock,
    private readonly _observers: SessionObservers,
  ) {}

  /** Best effort: a failure is an event and nothing more. */
  async run(tokens: Tokens): Promise<void> {
    const controller = new AbortController();
    const cancel = alarm(
      this._clock,
      REQUEST_LIMIT_MS,
      () => {
        controller.abort();
      },
      'idle',
    );
    try {
      const client = refreshClient(this._observers.first?.client);
      await this._revoke({ tokens, client, signal: controller.signal });
    } catch (error) {
      const { code, status } = classify(error, { reason: 'manual', now: this._clock.now() });
      this._observers.emit({ type: 'revoke-failed', code, ...(status !== undefined && { status }) });
    } finally {
      cancel();
    }
  }
}
