import type { InternalAxiosRequestConfig } from 'axios';
import type { Attachment } from '../attachment.js';
import { alarm, type Cancel } from '../clock.js';
import { AuthError } from '../errors.js';
import { watchCaller } from '../wire/caller.js';

/** How one call waits: every wait ends with the caller's signal, the deadline and detach(), and leaves nothing behind. */
export class Waiting {
  /** Ms spent waiting so far. */
  waitedMs = 0;
  /** Whose signal and cancelToken end the waits. */
  config: InternalAxiosRequestConfig | undefined;
  /** The exchange's key, where its scheme has a say: then the wait ends with its principal, too. */
  principalOf: object | undefined;
  readonly #attachment: Attachment;
  readonly #deadlineMs: number;
  /** Monotonic. */
  readonly beganAt: number;
  readonly #beganWallAt: number;
  #controller: AbortController | undefined;
  #stopSignal: Cancel | undefined;

  constructor(attachment: Attachment, deadlineMs: number) {
    this.#attachment = attachment;
    this.#deadlineMs = deadlineMs;
    this.beganAt = attachment.clock.monotonic();
    this.#beganWallAt = attachment.clock.now();
  }

  /** Until the deadline. */
  get remainingMs(): number {
    const { clock } = this.#attachment;
    return this.#deadlineMs - Math.max(clock.monotonic() - this.beganAt, clock.now() - this.#beganWallAt);
  }

  /** @throws AuthError ERR_AUTH_DEADLINE once it has passed. */
  assertInTime(): void {
    if (this.remainingMs <= 0) throw this.#tooLate();
  }

  /** Between two waits nobody listens. @throws what would have ended one. */
  assertOngoing(): void {
    this.assertInTime();
    const ended: unknown[] = [];
    this.#onEnd((error) => ended.push(error))();
    if (ended.length > 0) throw ended[0];
  }

  /** What `work` comes to, unless the wait is ended first; `leave` is called in any case. */
  async race<T>(work: Promise<T>, leave?: Cancel): Promise<T> {
    const { clock } = this.#attachment;
    const from = clock.monotonic();
    let stop: Cancel | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        work.then(resolve, reject);
        stop = this.#onEnd(reject);
      });
    } finally {
      stop?.();
      leave?.();
      this.waitedMs += clock.monotonic() - from;
    }
  }

  sleep(delayMs: number): Promise<void> {
    let cancel: Cancel | undefined;
    const asleep = new Promise<void>((resolve) => {
      cancel = alarm(this.#attachment.clock, delayMs, resolve);
    });
    return this.race(asleep, cancel);
  }

  /** A signal that ends when a wait would; it listens only until `rest()`. */
  get signal(): AbortSignal {
    const controller = (this.#controller ??= new AbortController());
    this.#stopSignal ??= this.#onEnd((error) => {
      controller.abort(error);
    });
    return controller.signal;
  }

  /** Nobody looks at the signal any more. */
  rest(): void {
    this.#stopSignal?.();
    this.#stopSignal = undefined;
  }

  #onEnd(end: (error: unknown) => void): Cancel {
    const { clock } = this.#attachment;
    const stops = [
      alarm(clock, this.remainingMs, () => {
        end(this.#tooLate());
      }),
      this.#attachment.whileWaiting(end),
      this.config && watchCaller(this.config, end),
      this.principalOf && this.#attachment.hooks.whileSamePrincipal?.(this.principalOf, end),
    ];
    return () => {
      for (const stop of stops) stop?.();
    };
  }

  #tooLate(): AuthError {
    return new AuthError(
      'ERR_AUTH_DEADLINE',
      `The deadline of ${String(this.#deadlineMs)} ms passed before the call could be sent (deadlineMs).`,
    );
  }
}
