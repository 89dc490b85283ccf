import type { AxiosInstance } from 'axios';
import type { Tell } from '../events.js';
import type { LedgerStatus } from './ledger.js';
import type { Tokens } from './tokens.js';

/** What a session looks like from outside. The object stays the same until something in it changes. */
export interface SessionSnapshot {
  /** `unknown`: the store has not answered yet. `expired`: the refresh token was refused, and nobody has signed in since. */
  readonly status: 'unknown' | 'signed-out' | 'signed-in' | 'expired';
  readonly refreshing: boolean;
  /** Epoch ms; undefined where nobody said. */
  readonly expiresAt: number | undefined;
  /** Grows with every change of the tokens. */
  readonly generation: number;
}

/** Lends an instance without interceptors to a refresh. */
export type LendClient = () => AxiosInstance;

/** Who follows a session: the instances it serves, which hear events, and the listeners of `subscribe`. */
export class Audience {
  readonly #instances = new Map<Tell, LendClient>();
  readonly #listeners = new Set<() => void>();
  readonly #watch: () => () => void;
  #stopWatching: (() => void) | undefined;
  #snapshot: SessionSnapshot = { status: 'unknown', refreshing: false, expiresAt: undefined, generation: 0 };

  /** `watch` begins to follow the store; it is called while anybody is here. */
  constructor(watch: () => () => void) {
    this.#watch = watch;
  }

  get snapshot(): SessionSnapshot {
    return this.#snapshot;
  }

  /** The client of the instance that joined first. */
  get client(): LendClient | undefined {
    for (const lend of this.#instances.values()) return lend;
    return undefined;
  }

  readonly tell: Tell = (happening) => {
    for (const tell of this.#instances.keys()) tell(happening);
  };

  join(tell: Tell, client: LendClient): () => void {
    this.#instances.set(tell, client);
    return this.#entered(() => this.#instances.delete(tell));
  }

  subscribe(listener: () => void): () => void {
    // The same function may subscribe twice, and each subscription ends by itself.
    const entry = (): void => {
      listener();
    };
    this.#listeners.add(entry);
    return this.#entered(() => this.#listeners.delete(entry));
  }

  publish(status: LedgerStatus, refreshing: boolean, tokens: Tokens | null, generation: number): void {
    const next: SessionSnapshot = {
      status: status === 'vacant' ? 'signed-out' : status,
      refreshing,
      expiresAt: tokens?.expiresAt,
      generation,
    };
    const keys = Object.keys(next) as (keyof SessionSnapshot)[];
    if (keys.every((key) => next[key] === this.#snapshot[key])) return;
    this.#snapshot = next;
    for (const listener of this.#listeners) queueMicrotask(listener);
  }

  #entered(leave: () => void): () => void {
    this.#stopWatching ??= this.#watch();
    return () => {
      leave();
      if (this.#instances.size + this.#listeners.size > 0) return;
      this.#stopWatching?.();
      this.#stopWatching = undefined;
    };
  }
}
