import { alarm, type Clock } from '../clock.js';
import type { Tell } from '../events.js';
import { said } from '../own.js';
import { readStored, type MaybePromise, type StoredSession, type TokenStore } from './store.js';
import type { Tokens } from './tokens.js';

/** `vacant`: nothing was ever stored, so a refresh may be asked once who is signed in. */
export type LedgerStatus = 'unknown' | 'vacant' | 'signed-in' | 'signed-out' | 'expired';

/**
 * What is being entered. `refreshed` and `expired` is what this holder found out: the store has it first, and gives way to
 * whoever was earlier there. `initial` is in memory at once, and gives way to anything stored. `updated` is the same principal's news from the app, and gives way to another principal.
 * `principal` is another principal or nobody, and gives way to nothing.
 */
export type Entry = 'refreshed' | 'expired' | 'initial' | 'updated' | 'principal';

const STORE_TIME_LIMIT_MS = 2_000;
const WRITE_TRIES = 20;
const TRY_AGAIN_AFTER_MS = 5_000;

/**
 * What this holder knows of the session, and its dealings with the store. A store that throws, hangs or holds something
 * else is reported as degraded, and memory goes on alone.
 */
export class Ledger {
  status: LedgerStatus = 'unknown';
  tokens: Tokens | null = null;
  generation = 0;
  /** How often the principal changed as seen from here; a call that began in another turn is never sent again. */
  turn = 0;
  lifetimeMs = Infinity;
  readonly #store: TokenStore;
  readonly #clock: Clock;
  readonly #tell: Tell;
  readonly #changed: (what: 'tokens' | 'principal') => void;
  readonly #initial: Tokens | undefined;
  #epoch = 0;
  #obtainedAt = 0;
  /** The generation last seen in the store: what a write expects to replace. */
  #inStore: number | undefined;
  /** Memory has what the store has not, and must not be overrun by it. */
  #unwritten: 'initial' | 'updated' | 'principal' | undefined;
  /** A write that the store did not answer, and may have done all the same. */
  #unanswered: StoredSession | undefined;
  /** The store could not be read or written: a call after this instant has it tried again. */
  #tryAgainAt = Infinity;
  #loading: Promise<void> | undefined;
  #writing: Promise<void> | undefined;

  constructor(
    store: TokenStore,
    clock: Clock,
    tell: Tell,
    initial: Tokens | undefined,
    changed: (what: 'tokens' | 'principal') => void,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#tell = tell;
    this.#initial = initial;
    this.#changed = changed;
  }

  /** Ms until the access token expires, by whichever clock says less; Infinity where nothing is known. */
  get remainingMs(): number {
    const byAge = this.lifetimeMs - (this.#clock.monotonic() - this.#obtainedAt);
    return Math.min((this.tokens?.expiresAt ?? Infinity) - this.#clock.now(), byAge);
  }

  /** Reads the store if nobody has yet; at once where the store answers at once. */
  ready(): MaybePromise<void> {
    if (this.status !== 'unknown' || this.#loading) {
      if (this.#clock.monotonic() >= this.#tryAgainAt) {
        this.#tryAgainAt = Infinity;
        void this.reload();
      }
      return this.#loading;
    }
    const found = this.#ask('load', () => this.#store.load());
    if (!(found instanceof Promise)) {
      this.#open(found);
      return;
    }
    this.#loading = found.then((value) => {
      this.#loading = undefined;
      this.#open(value);
    });
    return this.#loading;
  }

  /** Reads the store again, and takes over what another holder has written since; at once where the store answers at once. */
  reload(): MaybePromise<void> {
    const loading = this.ready();
    if (loading) return loading.then(() => this.reload());
    // Our own write is news to us, too, where the store tells of it.
    if (this.#writing) return this.#writing;
    if (this.#unwritten) return this.#write(this.#unwritten, this.status, this.tokens);
    const stored = this.#load();
    if (!(stored instanceof Promise)) {
      this.#adopt(stored);
      return;
    }
    return stored.then((found) => {
      this.#adopt(found);
    });
  }

  /** Hears from now on of what other holders write. A store that cannot tell is read again when something is to be decided. */
  follow(): (() => void) | undefined {
    try {
      return said(this.#store, 'subscribe')?.call(this.#store, () => {
        if (this.status !== 'unknown') void this.reload();
      });
    } catch (error) {
      this.#degrade('subscribe', error);
      return undefined;
    }
  }

  /** Enters a change; `initial`, `updated` and `principal` are in memory when this returns, in the store when the promise settles. */
  enter(entry: Entry, tokens: Tokens | null): Promise<void> {
    const status = entry === 'expired' ? entry : tokens ? 'signed-in' : 'signed-out';
    if (entry !== 'refreshed' && entry !== 'expired') {
      if (entry === 'principal') {
        this.turn++;
        this.#epoch++;
      }
      this.#unwritten = this.#unwritten === 'principal' ? 'principal' : entry;
      this.#set(status, tokens, this.generation + 1);
      this.#changed(entry === 'principal' ? 'principal' : 'tokens');
    }
    return this.#write(entry, status, tokens);
  }

  /** Told that nobody is signed in. Nothing is written, since nothing was stored. */
  leaveVacant(): void {
    if (this.status === 'vacant') this.status = 'signed-out';
  }

  async #write(entry: Entry, status: LedgerStatus, tokens: Tokens | null): Promise<void> {
    const writing = (this.#writing = this.#bring(entry, status, tokens));
    await writing;
    if (this.#writing === writing) this.#writing = undefined;
  }

  /** Brings the store and memory together; a later change takes over, and what cannot be written now is tried again later. */
  async #bring(entry: Entry, status: LedgerStatus, tokens: Tokens | null): Promise<void> {
    const { turn } = this;
    const isFound = entry === 'refreshed' || entry === 'expired';
    const isOutdated = (): boolean => turn !== this.turn || (!isFound && tokens !== this.tokens);
    await this.#loading;
    for (let tries = 0; tries < WRITE_TRIES && !isOutdated(); tries++) {
      const generation = Math.max(this.generation + Number(isFound), (this.#inStore ?? 0) + 1);
      const next: StoredSession = { version: 1, generation, epoch: this.#epoch, tokens };
      const isWritten = await this.#ask('write', () => this.#store.compareAndSet(this.#inStore, next));
      if (isWritten === true) this.#inStore = generation;
      if (isWritten === undefined) this.#unanswered = next;
      if (isOutdated()) return;
      if (isWritten !== false) {
        this.#unwritten = isWritten ? undefined : (this.#unwritten ?? 'updated');
        this.#set(status, tokens, generation);
        this.#changed('tokens');
        return;
      }
      const latest = await this.#load();
      if (!latest || isOutdated()) continue;
      if (this.#hasArrived(latest)) {
        this.#unwritten = undefined;
        if (latest.tokens?.accessToken === tokens?.accessToken) return;
      } else if (this.#unwritten === 'principal') {
        this.#epoch = Math.max(this.#epoch, latest.epoch + 1);
      } else if (this.#unwritten === 'initial') {
        // Its generation was ours alone, so what is stored may bear the same number.
        this.#unwritten = undefined;
        this.generation = latest.generation - 1;
        this.#adopt(latest);
        return;
      } else if (entry === 'refreshed' && !latest.tokens && latest.epoch === this.#epoch) {
        // Somebody who asked at the same time was refused, and took the session for dead: what the server gave us wins.
        continue;
      } else if (isFound || latest.epoch > this.#epoch) {
        const before = this.generation;
        this.#unwritten = undefined;
        this.#adopt(latest);
        if (before !== this.generation) return;
      }
    }
    if (isOutdated()) return;
    // A store that refuses every write and shows nothing newer is broken.
    this.#degrade('write', { name: 'refused again and again' });
    this.#unwritten ??= 'updated';
    this.#set(status, tokens, this.generation + 1);
    this.#changed('tokens');
  }

  #hasArrived({ generation, epoch, tokens }: StoredSession): boolean {
    const written = this.#unanswered;
    return (
      generation === written?.generation &&
      epoch === written.epoch &&
      epoch === this.#epoch &&
      tokens?.accessToken === written.tokens?.accessToken
    );
  }

  #open(value: unknown): void {
    if (this.status !== 'unknown') return;
    const stored = this.#read(value);
    if (stored) this.#take(stored);
    else if (this.#initial) void this.enter('initial', this.#initial);
    else this.status = 'vacant';
    this.#changed('tokens');
  }

  #adopt(stored: StoredSession | undefined): void {
    if (this.#unwritten || !stored || stored.generation <= this.generation) return;
    const isOther = stored.epoch !== this.#epoch;
    const hadTokens = this.tokens !== null;
    if (isOther) this.turn++;
    this.#take(stored);
    if (isOther) this.#tell({ type: stored.tokens ? 'signed-in' : 'signed-out', generation: this.generation });
    else if (hadTokens && !stored.tokens) {
      // The principal is the same, so nobody signed out: another holder's refresh was refused for good.
      this.status = 'expired';
      this.#tell({ type: 'session-expired', generation: this.generation });
    }
    this.#changed(isOther ? 'principal' : 'tokens');
  }

  #take({ tokens, generation, epoch }: StoredSession): void {
    this.#epoch = epoch;
    this.#set(tokens ? 'signed-in' : 'signed-out', tokens, generation);
  }

  #set(status: LedgerStatus, tokens: Tokens | null, generation: number): void {
    if (this.tokens !== tokens) {
      this.#obtainedAt = this.#clock.monotonic();
      this.lifetimeMs = (tokens?.expiresAt ?? Infinity) - this.#clock.now();
    }
    this.status = status;
    this.tokens = tokens;
    this.generation = generation;
  }

  #load(): MaybePromise<StoredSession | undefined> {
    const found = this.#ask('load', () => this.#store.load());
    return found instanceof Promise ? found.then((value) => this.#read(value)) : this.#read(found);
  }

  #read(value: unknown): StoredSession | undefined {
    const stored = readStored(value);
    if (value !== undefined && !stored) this.#degrade('load', { name: 'not a session of version 1' });
    this.#inStore = stored?.generation;
    return stored;
  }

  /** undefined where the store fails: at once if it answers at once. */
  #ask<T>(what: string, question: () => MaybePromise<T>): MaybePromise<T | undefined> {
    const failed = (error: unknown): undefined => {
      this.#tryAgainAt = this.#clock.monotonic() + TRY_AGAIN_AFTER_MS;
      this.#degrade(what, error);
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
        const cancel = alarm(this.#clock, STORE_TIME_LIMIT_MS, giveUp, 'idle');
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

  #degrade(what: string, error: unknown): void {
    // The message of a store's own error could hold anything; its name and code do not.
    const detail = [said(error, 'name'), said(error, 'code')].filter((part) => typeof part === 'string').join(' ');
    this.#tell({ type: 'store-degraded', reason: `${what}: ${detail}; the session goes on in memory` });
  }
}
