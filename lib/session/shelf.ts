import type { MaybePromise } from '../maybe-promise.js';
import { alarm, type Clock } from '../clock.js';
import type { Emit } from '../events.js';
import { safeGet } from '../safe-read.js';
import { readStored, type StoredSession, type TokenStore } from './store.js';

const TIME_LIMIT_MS = 2_000;
const TRY_AGAIN_AFTER_MS = 5_000;

/** The store as its holder sees it: what it throws, leaves unanswered or holds of something else is told as degraded, and nothing more. */
export class Shelf {
  readonly #store: TokenStore;
  readonly #clock: Clock;
  readonly #tell: Emit;
  /** It could not be read or written: a call after this instant has it tried again. */
  #tryAgainAt = Infinity;

  constructor(store: TokenStore, clock: Clock, tell: Emit) {
    this.#store = store;
    this.#clock = clock;
    this.#tell = tell;
  }

  /** undefined where there is nothing, or nothing to be had; at once if the store answers at once. */
  load(): MaybePromise<StoredSession | undefined> {
    const found = this.#ask('load', () => this.#store.load());
    return found instanceof Promise ? found.then((value) => this.#read(value)) : this.#read(found);
  }

  /** undefined where the store did not say whether it is written. */
  compareAndSet(expected: number | undefined, next: StoredSession): MaybePromise<boolean | undefined> {
    return this.#ask('write', () => this.#store.compareAndSet(expected, next));
  }

  /** Has `onChange` called when the store tells of a change; a store that cannot is read when something is to be decided. */
  follow(onChange: () => void): (() => void) | undefined {
    const failed = (error: unknown): void => {
      this.degrade('subscribe', error);
    };
    try {
      const stop: unknown = safeGet(this.#store, 'subscribe')?.call(this.#store, onChange);
      if (typeof stop === 'function') return stop as () => void;
      Promise.resolve(stop).catch(failed);
    } catch (error) {
      failed(error);
    }
    return undefined;
  }

  /** Whether it failed, and that is so long ago that it may be asked again: true once. */
  takeRetry(): boolean {
    if (this.#clock.monotonic() < this.#tryAgainAt) return false;
    this.#tryAgainAt = Infinity;
    return true;
  }

  degrade(what: string, error: unknown): void {
    // The message of a store's own error could hold anything; its name and code do not.
    const detail = [safeGet(error, 'name'), safeGet(error, 'code')]
      .filter((part) => typeof part === 'string')
      .join(' ');
    this.#tell({ type: 'store-degraded', reason: `${what}: ${detail}; the session goes on in memory` });
  }

  #read(value: unknown): StoredSession | undefined {
    const stored = readStored(value);
    if (value !== undefined && !stored) this.degrade('load', { name: 'not a session of version 1' });
    return stored;
  }

  #ask<T>(what: string, question: () => MaybePromise<T>): MaybePromise<T | undefined> {
    const failed = (error: unknown): undefined => {
      this.#tryAgainAt = this.#clock.monotonic() + TRY_AGAIN_AFTER_MS;
      this.degrade(what, error);
      return undefined;
    };
    try {
      const answer = question();
      if (typeof (answer as { then?: unknown } | undefined)?.then !== 'function') return answer;
      return new Promise((resolve) => {
        const giveUp = (): void => {
          failed({ name: 'no answer within 2 s' });
          resolve(undefined);
        };
        const cancel = alarm(this.#clock, TIME_LIMIT_MS, giveUp, 'idle');
        void Promise.resolve(answer)
          .catch(failed)
          .then((value) => {
            cancel();
            resolve(value);
          });
      });
    } catch (error) {
      failed(error);
      return undefined;
    }
  }
}
