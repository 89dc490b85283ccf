import type { InternalAxiosRequestConfig } from 'axios';
import type { Attachment } from '../attachment.js';
import { alarm } from '../clock.js';
import { AuthError } from '../errors.js';
import { watchCaller } from '../wire/caller.js';

/** How one call waits: every wait ends with the caller's signal, the deadline and detach(), and leaves nothing behind. */
export class Waiting {
  readonly #attachment: Attachment;
  readonly #deadlineMs: number;
  readonly #wallAtStart: number;
  readonly #monotonicAtStart: number;
  #config: InternalAxiosRequestConfig | undefined;
  #controller: AbortController | undefined;
  #stopSignal: (() => void) | undefined;
  #waitedMs = 0;

  constructor(attachment: Attachment, deadlineMs: number) {
    const { clock } = attachment;
    this.#attachment = attachment;
    this.#deadlineMs = deadlineMs;
    this.#wallAtStart = clock.now();
    this.#monotonicAtStart = clock.monotonic();
  }

  /** Whose signal and cancelToken end the waits from here on. */
  follow(config: InternalAxiosRequestConfig): void {
    this.#config = config;
  }

  get waitedMs(): number {
    return this.#waitedMs;
  }

  /** Until the deadline, by whichever clock has gone further. */
  get remainingMs(): number {
    const { clock } = this.#attachment;
    return this.#deadlineMs - Math.max(clock.now() - this.#wallAtStart, clock.monotonic() - this.#monotonicAtStart);
  }

  /** What `work` comes to, unless the wait is ended first; `leave` is called then. */
  async race<T>(work: Promise<T>, leave?: () => void): Promise<T> {
    const { clock } = this.#attachment;
    const from = clock.monotonic();
    try {
      return await new Promise<T>((resolve, reject) => {
        const stop = this.#onEnd((error) => {
          stop();
          leave?.();
          reject(error as Error);
        });
        work.then(
          (value) => {
            stop();
            resolve(value);
          },
          (error: unknown) => {
            stop();
            reject(error as Error);
          },
        );
      });
    } finally {
      this.#waitedMs += clock.monotonic() - from;
    }
  }

  sleep(delayMs: number): Promise<void> {
    let cancel = (): void => undefined;
    const asleep = new Promise<void>((resolve) => {
      cancel = alarm(this.#attachment.clock, delayMs, resolve);
    });
    return this.race(asleep, () => {
      cancel();
    });
  }

  /** A signal that ends when a wait would; it listens only until `rest()`. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    const controller = this.#controller;
    this.#stopSignal ??= this.#onEnd((error) => {
      this.rest();
      controller.abort(error);
    });
    return controller.signal;
  }

  /** Nobody looks at the signal any more. */
  rest(): void {
    this.#stopSignal?.();
    this.#stopSignal = undefined;
  }

  #onEnd(interrupt: (error: unknown) => void): () => void {
    const stops: (() => void)[] = [];
    let isOver = false;
    const end = (error: unknown): void => {
      if (isOver) return;
      isOver = true;
      // A microtask later the way out is known to everybody, also where the caller had cancelled before.
      queueMicrotask(() => {
        interrupt(error);
      });
    };
    stops.push(alarm(this.#attachment.clock, this.remainingMs, () => {
      end(deadlinePassed(this.#deadlineMs));
    }));
    stops.push(this.#attachment.whileWaiting(end));
    const unwatch = this.#config && watchCaller(this.#config, end);
    if (unwatch) stops.push(unwatch);
    return () => {
      isOver = true;
      for (const stop of stops.splice(0)) stop();
    };
  }
}

export function deadlinePassed(deadlineMs: number): AuthError {
  return new AuthError('ERR_AUTH_DEADLINE', `The call's deadline of ${String(deadlineMs)} ms passed before it could be sent (deadlineMs).`);
}
