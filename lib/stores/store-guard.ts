import { within, type Clock } from '../clock.js';
import type { Emit } from '../events.js';
import { safeGet } from '../safe-read.js';
import { NOT_OPENED, readStored, type StoredSession, type TokenStore } from './token-store.js';
import { isPromise, whenReady, type MaybePromise } from '../maybe-promise.js';

/** A store that answers later counts as unavailable. A call must not wait longer for a session that it may not need. */
const TIME_LIMIT_MS = 2_000;
const TRY_AGAIN_AFTER_MS = 5_000;

/** The store failed, or did not answer in time. */
export const FAILED: unique symbol = Symbol('failed');
export type Failed = typeof FAILED;

/** Accesses a store with a time limit. A failure emits an event, and the session continues in memory. */
export class StoreGuard {
  private readonly _store: TokenStore;
  private readonly _clock: Clock;
  private readonly _emit: Emit;
  /** Monotonic. After a failure, a call after this instant tries the store again. */
  private _tryAgainAt = Infinity;
  /** A store may announce a write before the write returns. */
  private _isAsking = false;

  constructor(store: TokenStore, clock: Clock, emit: Emit) {
    this._store = store;
    this._clock = clock;
    this._emit = emit;
  }

  /** undefined: nothing is stored. Synchronous if the store is. */
  load(): MaybePromise<StoredSession | undefined | Failed> {
    const found = this._ask('load', () => this._store.load());
    return whenReady(found, (value): StoredSession | undefined | Failed => {
      if (value === FAILED) return value;
      const stored = readStored(value);
      // A database may return null for nothing.
      if (!stored && value) {
        if (value === NOT_OPENED)
          this.degrade('load', { name: 'no key opens the stored session' }, 'it counts as no session');
        else this.degrade('load', { name: 'not a session of version 1' });
      }
      return stored;
    });
  }

  compareAndSet(expected: number | undefined, next: StoredSession): MaybePromise<boolean | Failed> {
    return this._ask('write', () => this._store.compareAndSet(expected, next));
  }

  /** Calls `onChange` when the store announces a change. A store without `subscribe` is read at each decision. */
  follow(onChange: () => void): (() => void) | undefined {
    const failed = this.degrade.bind(this, 'subscribe');
    const attempt = (work: () => unknown): unknown => {
      try {
        return work();
      } catch (error) {
        failed(error);
        return undefined;
      }
    };
    const stop = attempt(() =>
      safeGet(this._store, 'subscribe')?.call(this._store, () => {
        if (!this._isAsking) onChange();
      }),
    );
    if (typeof stop === 'function') return () => void attempt(stop as () => void);
    Promise.resolve(stop).catch(failed);
    return undefined;
  }

  async exclusive(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const lock = safeGet(this._store, 'exclusive');
    if (!lock) return work();
    let running = undefined as Promise<void> | undefined;
    try {
      await lock.call(this._store, () => (running ??= work()), { signal });
      if (!running) throw Object.assign(new Error('exclusive() ran no work'), { code: 'ENOLOCK' });
    } catch (error) {
      if (!running && !signal.aborted) this.degrade('lock', error, 'no refresh without the lock');
      throw error;
    }
  }

  /** Whether it failed long enough ago to be tried again: true once. */
  takeRetry(): boolean {
    if (this._clock.monotonic() < this._tryAgainAt) return false;
    this._tryAgainAt = Infinity;
    return true;
  }

  degrade(what: string, error: unknown, effect = 'the session is kept in memory'): void {
    // The message of a store's own error could hold anything; its name and code do not.
    const detail = ['name', 'code'].map((key) => safeGet(error, key)).filter((part) => typeof part === 'string');
    this._emit({ type: 'store-degraded', reason: `${what}: ${detail.join(' ')}; ${effect}` });
  }

  private _ask<T>(what: string, question: () => MaybePromise<T>): MaybePromise<T | Failed> {
    const failed = (error: unknown): Failed => {
      this._tryAgainAt = this._clock.monotonic() + TRY_AGAIN_AFTER_MS;
      this.degrade(what, error);
      return FAILED;
    };
    this._isAsking = true;
    try {
      const answer = question();
      if (!isPromise(answer)) return answer;
      return within(this._clock, TIME_LIMIT_MS, Promise.resolve(answer).catch(failed), () =>
        failed({ name: 'no answer within 2 s' }),
      );
    } catch (error) {
      return failed(error);
    } finally {
      this._isAsking = false;
    }
  }
}
