import type { AxiosInstance } from 'axios';
import type { EventBody, Emit } from '../events.js';

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

/** Lends an instance without interceptors to a refresh; made when it is asked for. */
export interface Lender {
  readonly client: AxiosInstance;
}

/** An instance that a session serves. */
export interface Member extends Lender {
  readonly tell: Emit;
  /** Whoever waits there looks whether the session still is that of its call. */
  principalChanged(): void;
}

/** Who follows a session: the instances it serves, which hear its events, and the listeners of `subscribe`. */
export class Audience {
  snapshot: SessionSnapshot = { status: 'unknown', refreshing: false, expiresAt: undefined, generation: 0 };
  readonly #instances = new Set<Member>();
  readonly #listeners = new Set<() => void>();
  readonly #watch: () => (() => void) | undefined;
  #stopWatching: (() => void) | undefined;

  /** `watch` begins to follow the store; that goes on while anybody is here. */
  constructor(watch: () => (() => void) | undefined) {
    this.#watch = watch;
  }

  /** The instance that joined first. */
  get first(): Lender | undefined {
    return [...this.#instances][0];
  }

  tell(happening: EventBody): void {
    for (const { tell } of this.#instances) tell(happening);
  }

  principalChanged(): void {
    for (const member of this.#instances) member.principalChanged();
  }

  join(member: Member): () => void {
    this.#instances.add(member);
    return this.#entered(() => this.#instances.delete(member));
  }

  subscribe(listener: () => void): () => void {
    // The same function may subscribe twice, and each subscription ends by itself.
    const entry = (): void => {
      listener();
    };
    this.#listeners.add(entry);
    return this.#entered(() => this.#listeners.delete(entry));
  }

  publish(next: SessionSnapshot): void {
    if (JSON.stringify(next) === JSON.stringify(this.snapshot)) return;
    this.snapshot = next;
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
