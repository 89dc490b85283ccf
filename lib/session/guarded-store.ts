import { alarm, type Clock } from '../clock.js';
import type { Tell } from '../events.js';
import { readStored, type MaybePromise, type StoredSession, type TokenStore } from './store.js';

const TIME_LIMIT_MS = 2_000;

/**
 * A store that cannot hurt: one that throws, hangs or holds something else is reported as degraded, and answers as if
 * nothing were stored (`load`) or `'failed'` (`compareAndSet`), so that memory goes on alone.
 */
export class GuardedStore {
  readonly #store: TokenStore;
  readonly #clock: Clock;
  readonly #tell: Tell;

  constructor(store: TokenStore, clock: Clock, tell: Tell) {
    this.#store = store;
    this.#clock = clock;
    this.#tell = tell;
  }

  /** What is stored; at once where the store answers at once. */
  load(): MaybePromise<StoredSession | undefined> {
    let found: MaybePromise<unknown>;
    try {
      found = this.#store.load();
    } catch (error) {
      return this.#degrade('load', error);
    }
    if (!isPromise(found)) return this.#read(found);
    return this.#within('load', found).then((value) => this.#read(value));
  }

  async compareAndSet(expected: number | undefined, next: StoredSession): Promise<boolean | 'failed'> {
    try {
      const written = this.#store.compareAndSet(expected, next);
      return (isPromise(written) ? await this.#within('write', written) : written) ?? 'failed';
    } catch (error) {
      this.#degrade('write', error);
      return 'failed';
    }
  }

  /** Runs `work` alone among the holders of this store, where it can do that. */
  exclusive(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    return this.#store.exclusive ? this.#store.exclusive(work, { signal }) : work();
  }

  subscribe(onChange: () => void): () => void {
    try {
      return this.#store.subscribe?.(onChange) ?? (() => undefined);
    } catch (error) {
      this.#degrade('subscribe', error);
      return () => undefined;
    }
  }

  #read(value: unknown): StoredSession | undefined {
    const stored = readStored(value);
    return value === undefined || stored ? stored : this.#degrade('load', { name: 'not a session of version 1' });
  }

  #within<T>(what: string, work: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve) => {
      const cancel = alarm(this.#clock, TIME_LIMIT_MS, () => {
        resolve(this.#degrade(what, { name: `no answer within ${String(TIME_LIMIT_MS)} ms` }));
      });
      work.then(
        (value) => {
          cancel();
          resolve(value);
        },
        (error: unknown) => {
          cancel();
          resolve(this.#degrade(what, error));
        },
      );
    });
  }

  #degrade(what: string, error: unknown): undefined {
    // The message of a store's own error could hold anything; its name and code do not.
    const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
    const detail = [name, code].filter((part) => typeof part === 'string').join(' ');
    this.#tell({ type: 'store-degraded', reason: `${what}: ${detail || 'unknown'}; the session goes on in memory` });
    return undefined;
  }
}

function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | undefined | null)?.then === 'function';
}
