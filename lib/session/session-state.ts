import type { Clock } from '../clock.js';
import type { EventBody } from '../events.js';
import type { MaybePromise } from '../maybe-promise.js';
import type { Tokens } from './tokens.js';

/** `empty`: nothing was ever stored, so `refresh` may be called with reason missing. */
export type StateStatus = 'unknown' | 'empty' | 'signed-in' | 'signed-out' | 'expired';

/**
 * The cause of a change of the session.
 *
 * | change          | tokens      | in memory               | in a store                                   | gives way to             |
 * | --------------- | ----------- | ----------------------- | -------------------------------------------- | ------------------------ |
 * | `refreshed`     | new         | once the store has them | written                                      | anything written earlier |
 * | `refused`       | null        | once the store has it   | written: a sign-out of the same principal    | anything written earlier |
 * | `refused-here`  | null        | at once                 | left as it is: another holder asks once more | anything stored later    |
 * | `not-signed-in` | null        | at once                 | nothing is stored, nothing is written        | anything stored later    |
 * | `updated`       | new         | at once                 | written                                      | another principal        |
 * | `principal`     | new or null | at once                 | written, with the next epoch                 | nothing                  |
 */
export type SessionChange = 'refreshed' | 'refused' | 'refused-here' | 'not-signed-in' | 'updated' | 'principal';

/** The dependencies of a session state. */
export interface SessionStateDeps {
  readonly clock: Clock;
  /** Used only if nothing is stored at the first read. An access token of '' stands for a refresh token alone. */
  readonly initial: Tokens | undefined;
  /** A state emits `store-degraded` only. */
  readonly emit: (event: EventBody) => void;
  /**
   * Called synchronously, once per change. `loaded`: the first read, or tokens of the same principal that another holder
   * stored. Other changes of other holders are `refused` and `principal`, also for a session that vanished from its store.
   */
  readonly changed: (change: SessionChange | 'loaded') => void;
}

/** The tokens of one principal. A session reads and changes them through this interface, wherever they are kept. */
export interface SessionState {
  readonly status: StateStatus;
  readonly tokens: Tokens | null;
  /** Grows with every change of the tokens. */
  readonly generation: number;
  /** Grows whenever the principal changes, before the first await of that change. */
  readonly principalVersion: number;
  /** Ms until the access token expires, by the wall clock or by its age, whichever is less. Infinity if unknown. */
  readonly remainingMs: number;
  /** Ms from its receipt to its expiry. Infinity if unknown. */
  readonly lifetimeMs: number;
  /** Ms since its receipt. */
  readonly ageMs: number;
  /** Resolves once the state has been read; undefined: it has been. */
  ready(): Promise<void> | undefined;
  /** Reads the changes of other holders. `isLocked`: tries harder. Returns false if there may be some that cannot be read. */
  reload(isLocked?: boolean): MaybePromise<unknown>;
  /** Resolves with the tokens that it replaced, once it is stored or cannot be stored for now. Never rejects. */
  change(change: SessionChange, tokens: Tokens | null): Promise<Tokens | null>;
  /** Settles when the change that is being written has been. undefined: there is none. */
  readonly writing: Promise<void> | undefined;
  /** Runs `work` while no other holder runs theirs. `signal` ends the wait, not the work. Rejects if the lock could not be acquired. */
  exclusive(work: () => Promise<void>, signal: AbortSignal): Promise<void>;
  /** Follows the changes of other holders. Returns the function that stops it. */
  follow(): (() => void) | undefined;
}

/** A session in memory, of one holder. */
export class MemoryState implements SessionState {
  status: StateStatus = 'empty';
  tokens: Tokens | null = null;
  generation = 0;
  principalVersion = 0;
  writing: Promise<void> | undefined = undefined;
  lifetimeMs = Infinity;
  private _receivedAt = 0;

  constructor(protected readonly _deps: SessionStateDeps) {
    if (_deps.initial) this._set(_deps.initial, 1);
  }

  get ageMs(): number {
    return this._deps.clock.monotonic() - this._receivedAt;
  }
  get remainingMs(): number {
    return Math.min((this.tokens?.expiresAt ?? Infinity) - this._deps.clock.now(), this.lifetimeMs - this.ageMs);
  }

  ready(): Promise<void> | undefined {
    return undefined;
  }

  reload(): unknown {
    return undefined;
  }

  change(change: SessionChange, tokens: Tokens | null): Promise<Tokens | null> {
    const replaced = this.tokens;
    this._apply(change, tokens, this.generation + Number(change !== 'not-signed-in'));
    return Promise.resolve(replaced);
  }

  exclusive(...[work]: Parameters<SessionState['exclusive']>): Promise<void> {
    return work();
  }

  follow(): (() => void) | undefined {
    return undefined;
  }

  protected _apply(change: SessionChange | 'loaded', tokens: Tokens | null, generation: number): void {
    if (change === 'principal') this.principalVersion++;
    this._set(tokens, generation, change.startsWith('refused') ? 'expired' : 'signed-out');
    this._deps.changed(change);
  }

  /** `ended`: the status without tokens. */
  protected _set(tokens: Tokens | null, generation: number, ended: StateStatus = 'signed-out'): void {
    const { clock } = this._deps;
    if (this.tokens !== tokens) {
      this._receivedAt = clock.monotonic();
      this.lifetimeMs = (tokens?.expiresAt ?? Infinity) - clock.now();
    }
    this.status = tokens ? 'signed-in' : ended;
    this.tokens = tokens;
    this.generation = generation;
  }
}
