import type { Clock } from '../clock.js';
import type { Tell } from '../events.js';
import type { GuardedStore } from './guarded-store.js';
import type { MaybePromise, StoredSession } from './store.js';
import type { Tokens } from './tokens.js';

/** `vacant`: nothing was ever stored, so a refresh may be asked once who is signed in. */
export type LedgerStatus = 'unknown' | 'vacant' | 'signed-in' | 'signed-out' | 'expired';

const WRITE_TRIES = 20;

/**
 * What this holder knows of the session, and its dealings with the store. Memory changes first and at once, the store
 * follows by compare-and-set; a store that fails is reported, and memory goes on alone.
 */
export class Ledger {
  readonly #store: GuardedStore;
  readonly #clock: Clock;
  readonly #tell: Tell;
  readonly #initial: Tokens | undefined;
  readonly #changed: (what: 'tokens' | 'principal') => void;
  #status: LedgerStatus = 'unknown';
  #tokens: Tokens | null = null;
  #generation = 0;
  #epoch = 0;
  /** How often the principal changed as seen from here; a call that began in another turn is never sent again. */
  #turn = 0;
  /** The generation last seen in the store: what a write expects to replace. */
  #inStore: number | undefined;
  /** Memory is ahead of the store, by newer tokens of the same principal or by another one, and must not be overrun by it. */
  #ahead: 'same' | 'other' | undefined;
  #loading: Promise<void> | undefined;
  /** Monotonic instants by which the token has come of age, whatever the wall clock says. */
  #obtainedAt = 0;
  #lifetimeMs = Infinity;

  constructor(about: {
    store: GuardedStore;
    clock: Clock;
    tell: Tell;
    initial: Tokens | undefined;
    changed: (what: 'tokens' | 'principal') => void;
  }) {
    this.#store = about.store;
    this.#clock = about.clock;
    this.#tell = about.tell;
    this.#initial = about.initial;
    this.#changed = about.changed;
  }

  get status(): LedgerStatus {
    return this.#status;
  }
  get tokens(): Tokens | null {
    return this.#tokens;
  }
  get generation(): number {
    return this.#generation;
  }
  get turn(): number {
    return this.#turn;
  }

  /** Ms until the access token expires, by whichever clock says less; Infinity where nothing is known. */
  get remainingMs(): number {
    const { expiresAt } = this.#tokens ?? {};
    if (expiresAt === undefined) return Infinity;
    const byAge = this.#lifetimeMs - (this.#clock.monotonic() - this.#obtainedAt);
    return Math.min(expiresAt - this.#clock.now(), byAge);
  }
  get lifetimeMs(): number {
    return this.#lifetimeMs;
  }

  /** Reads the store if nobody has yet; at once where the store answers at once. */
  ready(): MaybePromise<void> {
    if (this.#status !== 'unknown') return;
    if (this.#loading) return this.#loading;
    const found = this.#store.load();
    if (!(found instanceof Promise)) {
      this.#open(found);
      return;
    }
    this.#loading = found.then((stored) => {
      this.#loading = undefined;
      if (this.#status === 'unknown') this.#open(stored);
      else this.#inStore = stored?.generation;
    });
    return this.#loading;
  }

  /** Reads the store again, and takes over what another holder has written since. */
  async reload(): Promise<void> {
    await this.ready();
    if (this.#ahead) await this.#write(this.#turn);
    else this.#adopt(await this.#store.load());
  }

  /** A change that the app asked for: memory has it when this returns, the store when the promise settles. */
  change(status: 'signed-in' | 'signed-out', tokens: Tokens | null, principal: 'same' | 'other'): Promise<void> {
    if (principal === 'other') this.#turn++;
    this.#set(status, tokens, this.#generation + 1, this.#epoch + (principal === 'other' ? 1 : 0));
    if (this.#ahead !== 'other') this.#ahead = principal;
    this.#changed(principal === 'other' ? 'principal' : 'tokens');
    return this.#write(this.#turn);
  }

  /** Told that nobody is signed in: nothing is written, since nothing was stored. */
  leaveVacant(): void {
    if (this.#status !== 'vacant') return;
    this.#status = 'signed-out';
    this.#changed('tokens');
  }

  /** Writes refreshed tokens, unless the principal has changed or another holder was first; then its tokens are taken. */
  commit(tokens: Tokens, turn: number): Promise<void> {
    return this.#replace('signed-in', tokens, turn);
  }

  /** Ends the session whose refresh token was refused, unless another holder has newer tokens. */
  expire(turn: number): Promise<void> {
    return this.#replace('expired', null, turn);
  }

  /** The store first, then memory: for what this holder found out, and others may know better. */
  async #replace(status: 'signed-in' | 'expired', tokens: Tokens | null, turn: number): Promise<void> {
    for (let tries = 0; tries < WRITE_TRIES && turn === this.#turn; tries++) {
      const next = this.#record(tokens);
      const isWritten = await this.#store.compareAndSet(this.#inStore, next);
      if (turn !== this.#turn) return;
      if (isWritten !== false) {
        if (isWritten === true) this.#inStore = next.generation;
        this.#ahead = isWritten === 'failed' ? 'same' : undefined;
        this.#set(status, tokens, next.generation, next.epoch);
        this.#changed('tokens');
        return;
      }
      const before = this.#generation;
      this.#adopt(await this.#store.load());
      if (this.#generation !== before) return;
    }
    if (turn !== this.#turn) return;
    // A store that refuses every write and shows nothing newer is broken: memory goes on alone.
    this.#tell({ type: 'store-degraded', reason: 'write: refused again and again; the session goes on in memory' });
    this.#ahead = 'same';
    this.#set(status, tokens, this.#generation + 1, this.#epoch);
    this.#changed('tokens');
  }

  #record(tokens: Tokens | null): StoredSession {
    return { version: 1, generation: Math.max(this.#generation, this.#inStore ?? 0) + 1, epoch: this.#epoch, tokens };
  }

  #open(stored: StoredSession | undefined): void {
    this.#inStore = stored?.generation;
    if (stored) {
      this.#set(stored.tokens ? 'signed-in' : 'signed-out', stored.tokens, stored.generation, stored.epoch);
    } else if (this.#initial) {
      this.#set('signed-in', this.#initial, 1, 0);
      this.#ahead = 'same';
      void this.#write(this.#turn);
    } else {
      this.#status = 'vacant';
    }
    this.#changed('tokens');
  }

  #adopt(stored: StoredSession | undefined): void {
    this.#inStore = stored?.generation;
    if (this.#ahead || !stored || stored.generation <= this.#generation) return;
    const isOther = stored.epoch !== this.#epoch;
    if (isOther) this.#turn++;
    this.#set(stored.tokens ? 'signed-in' : 'signed-out', stored.tokens, stored.generation, stored.epoch);
    if (isOther || !stored.tokens) this.#tell({ type: stored.tokens ? 'signed-in' : 'signed-out', generation: stored.generation });
    this.#changed(isOther ? 'principal' : 'tokens');
  }

  #set(status: LedgerStatus, tokens: Tokens | null, generation: number, epoch: number): void {
    this.#status = status;
    this.#tokens = tokens;
    this.#generation = generation;
    this.#epoch = epoch;
    this.#obtainedAt = this.#clock.monotonic();
    this.#lifetimeMs = tokens?.expiresAt === undefined ? Infinity : tokens.expiresAt - this.#clock.now();
  }

  /** Brings the store up to memory; a later change takes over, and what cannot be written now is tried again later. */
  async #write(turn: number): Promise<void> {
    await this.#loading;
    for (let tries = 0; tries < WRITE_TRIES && turn === this.#turn && this.#ahead; tries++) {
      const tokens = this.#tokens;
      const next = { ...this.#record(tokens), generation: Math.max(this.#generation, (this.#inStore ?? 0) + 1) };
      const isWritten = await this.#store.compareAndSet(this.#inStore, next);
      if (isWritten === 'failed') return;
      if (isWritten) {
        this.#inStore = next.generation;
        if (turn !== this.#turn || tokens !== this.#tokens) continue;
        this.#generation = next.generation;
        this.#ahead = undefined;
        return;
      }
      const latest = await this.#store.load();
      this.#inStore = latest?.generation;
      if (turn !== this.#turn || !latest || latest.epoch < this.#epoch) continue;
      if (this.#ahead === 'other') this.#epoch = latest.epoch + 1;
      else if (latest.epoch > this.#epoch) {
        // Somebody signed out or in elsewhere: that wins over newer tokens of the principal before.
        this.#ahead = undefined;
        this.#adopt(latest);
      }
    }
  }
}
