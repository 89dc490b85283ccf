import type { MaybePromise } from '../maybe-promise.js';
import type { Clock } from '../clock.js';
import type { Emit } from '../events.js';
import { Shelf } from './shelf.js';
import type { StoredSession, TokenStore } from './store.js';
import type { Tokens } from './tokens.js';

/** `vacant`: nothing was ever stored, so a refresh may be asked once who is signed in. */
export type LedgerStatus = 'unknown' | 'vacant' | 'signed-in' | 'signed-out' | 'expired';

/**
 * What is being entered. `refreshed` and `expired` is what this holder found out: the store has it first, and gives way to
 * whoever was earlier there. `initial` is in memory at once, and gives way to anything stored. `updated` is the same principal's news from the app, and gives way to another principal.
 * `principal` is another principal or nobody, and gives way to nothing.
 */
export type Entry = 'refreshed' | 'expired' | 'initial' | 'updated' | 'principal';

const WRITE_TRIES = 20;

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
  readonly #shelf: Shelf;
  readonly #clock: Clock;
  readonly #tell: Emit;
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
  #loading: Promise<void> | undefined;
  #writing: Promise<void> | undefined;

  constructor(
    store: TokenStore,
    clock: Clock,
    tell: Emit,
    initial: Tokens | undefined,
    changed: (what: 'tokens' | 'principal') => void,
  ) {
    this.#shelf = new Shelf(store, clock, tell);
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
      if (this.#shelf.takeRetry()) void this.reload();
      return this.#loading;
    }
    const found = this.#shelf.load();
    if (!(found instanceof Promise)) {
      this.#open(found);
      return;
    }
    this.#loading = found.then((stored) => {
      this.#loading = undefined;
      this.#open(stored);
    });
    return this.#loading;
  }

  /** Reads the store again, and takes over what another holder has written since; at once where the store answers at once. */
  reload(): MaybePromise<void> {
    // Our own write is news to us, too, where the store tells of it.
    const busy = this.ready() ?? this.#writing;
    if (busy) return busy;
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

  /** Hears from now on of what other holders write. */
  follow(): (() => void) | undefined {
    return this.#shelf.follow(() => {
      if (this.status !== 'unknown') void this.reload();
    });
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
      const isWritten = await this.#shelf.compareAndSet(this.#inStore, next);
      if (isWritten === true) this.#inStore = generation;
      if (isWritten === undefined) this.#unanswered = next;
      if (isOutdated()) return;
      if (isWritten !== false) {
        if (isWritten) this.#unwritten = undefined;
        else this.#keepUnwritten(isFound);
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
      } else if (this.#unwritten === 'initial' || (!isFound && latest.epoch > this.#epoch)) {
        // Its generation was ours alone, so what is stored may bear the same number.
        this.#unwritten = undefined;
        this.generation = latest.generation - 1;
        this.#adopt(latest);
        return;
      } else if (entry === 'refreshed' && !latest.tokens && latest.epoch === this.#epoch) {
        // Somebody who asked at the same time was refused, and took the session for dead: what the server gave us wins.
        continue;
      } else if (isFound) {
        const before = this.generation;
        this.#unwritten = undefined;
        this.#adopt(latest);
        if (before !== this.generation) return;
      }
    }
    if (isOutdated()) return;
    // A store that refuses every write and shows nothing newer is broken.
    this.#shelf.degrade('write', { name: 'refused again and again' });
    this.#keepUnwritten(isFound);
    this.#set(status, tokens, this.generation + 1);
    this.#changed('tokens');
  }

  /** What came of a refresh is not what the app began with any more: an older copy of that must not overrun it. */
  #keepUnwritten(isFound: boolean): void {
    if (!this.#unwritten || (isFound && this.#unwritten === 'initial')) this.#unwritten = 'updated';
  }

  #hasArrived({ generation, epoch, tokens }: StoredSession): boolean {
    const written = this.#unanswered;
    return (
      generation === written?.generation && epoch === this.#epoch && tokens?.accessToken === written.tokens?.accessToken
    );
  }

  #open(stored: StoredSession | undefined): void {
    // Somebody has signed in meanwhile: what is stored is found when that is written.
    if (this.status !== 'unknown') return;
    this.#inStore = stored?.generation;
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
    // The principal is the same, so nobody signed out: another holder's refresh was refused for good.
    else if (hadTokens && !stored.tokens) this.#set('expired', null, this.generation);
    this.#changed(isOther ? 'principal' : 'tokens');
  }

  #take({ tokens, generation, epoch }: StoredSession): void {
    this.#epoch = epoch;
    this.#set(tokens ? 'signed-in' : 'signed-out', tokens, generation);
  }

  #set(status: LedgerStatus, tokens: Tokens | null, generation: number): void {
    const hasEnded = status === 'expired' && this.status !== status;
    if (this.tokens !== tokens) {
      this.#obtainedAt = this.#clock.monotonic();
      this.lifetimeMs = (tokens?.expiresAt ?? Infinity) - this.#clock.now();
    }
    this.status = status;
    this.tokens = tokens;
    this.generation = generation;
    if (hasEnded) this.#tell({ type: 'session-expired', generation });
  }

  #load(): MaybePromise<StoredSession | undefined> {
    const seen = (stored: StoredSession | undefined): StoredSession | undefined => {
      this.#inStore = stored?.generation;
      return stored;
    };
    const found = this.#shelf.load();
    return found instanceof Promise ? found.then(seen) : seen(found);
  }
}
