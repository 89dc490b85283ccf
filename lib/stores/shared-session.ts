import { stopwatch } from '../clock.js';
import { isPromise, type MaybePromise } from '../maybe-promise.js';
import { MemoryState, type SessionChange, type SessionStateDeps } from '../session/session-state.js';
import type { Tokens } from '../session/tokens.js';
import { FAILED, StoreGuard, type Failed } from './store-guard.js';
import type { StoredSession, TokenStore } from './token-store.js';

const WRITE_TRIES = 20;
/** What was read by a holder that stood still for longer (a frozen tab, SIGSTOP) may have been replaced since. */
const FRESH_MS = 500;

type Written = Exclude<SessionChange, 'nobody' | 'refused-here'> | 'initial';

/** What one holder knows of a stored session. */
export class SharedState extends MemoryState {
  private readonly _guard: StoreGuard;
  private readonly _initial: Tokens | undefined;
  private _epoch = 0;
  /** The generation that was last seen in the store: a write expects to replace it. */
  private _inStore: number | undefined;
  /** The tokens that were last read. */
  private _found: Tokens | null = null;
  /** The stored generation that memory reflects; -1: none. */
  private _adopted = -1;
  /** The access token before the current one. If it is stored again, the store was put back to an older state. */
  private _previous: string | undefined;
  /** Memory holds this change and the store does not. Until it is written, nothing that is stored may replace it. */
  private _unwritten: 'initial' | 'updated' | 'principal' | undefined;
  /** A write that the store did not answer, and may have done. */
  private _unanswered: StoredSession | undefined;
  private _loading: Promise<void> | undefined;
  private _writing: Promise<void> | undefined;

  constructor(port: TokenStore, deps: SessionStateDeps) {
    super({ ...deps, initial: undefined });
    this._guard = new StoreGuard(port, deps.clock, deps.emit);
    this._initial = deps.initial;
    this.status = 'unknown';
  }

  override ready(): Promise<void> | undefined {
    if (this.status === 'unknown' && !this._loading) {
      this._loading = this._read((stored) => {
        this._loading = undefined;
        this._open(stored === FAILED ? undefined : stored);
      });
    } else if (this._guard.takeRetry()) void this.reload();
    return this._loading;
  }

  override reload(): Promise<void> | undefined {
    const busy = this.ready() ?? this._writing;
    if (busy) return busy;
    if (this._unwritten) return this._write(this._unwritten, this.tokens);
    const readingMs = stopwatch(this._deps.clock);
    const read = (): Promise<void> | undefined =>
      this._read((stored) => {
        if (stored !== FAILED) this._adopt(stored);
      });
    const again = (): Promise<void> | undefined => (readingMs() > FRESH_MS ? read() : undefined);
    const reading = read();
    return reading ? reading.then(again) : again();
  }

  override async change(change: SessionChange, tokens: Tokens | null): Promise<Tokens | null> {
    const { status, tokens: replaced } = this;
    if (change === 'nobody' || change === 'refused-here') return super.change(change, tokens);
    if (change === 'principal' || change === 'updated') {
      if (change === 'principal') this._epoch++;
      this._unwritten = this._unwritten === 'principal' ? 'principal' : change;
      this._apply(change, tokens, this.generation + 1);
    }
    await this._write(change, tokens);
    return status === 'unknown' ? this._found : replaced;
  }

  override exclusive(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    return this._guard.exclusive(work, signal);
  }

  override follow(): (() => void) | undefined {
    return this._guard.follow(() => {
      if (this.status !== 'unknown') void this.reload();
    });
  }

  protected override _set(...[status, tokens, generation]: Parameters<MemoryState['_set']>): void {
    if (tokens !== this.tokens) this._previous = this.tokens?.accessToken;
    super._set(status, tokens, generation);
  }

  private async _write(change: Written, tokens: Tokens | null): Promise<void> {
    const writing = (this._writing = this._writeThrough(change, tokens));
    await writing;
    if (this._writing === writing) this._writing = undefined;
  }

  /** Brings the store to what memory holds. A later change takes over, and a write that fails now is tried again later. */
  private async _writeThrough(change: Written, tokens: Tokens | null): Promise<void> {
    const { principalVersion } = this;
    const isOutdated = (): boolean =>
      principalVersion !== this.principalVersion || (!isResult(change) && tokens !== this.tokens);
    await this._loading;
    for (let tries = 0; tries < WRITE_TRIES && !isOutdated(); tries++) {
      const generation = Math.max(this.generation + Number(isResult(change)), (this._inStore ?? 0) + 1);
      const next: StoredSession = { version: 1, generation, epoch: this._epoch, tokens };
      const isWritten = await this._guard.compareAndSet(this._inStore, next);
      if (isWritten === true) this._inStore = this._adopted = generation;
      else if (isWritten === FAILED) this._unanswered = next;
      if (isOutdated()) return;
      if (isWritten !== false) {
        this._done(change, tokens, generation, isWritten === true);
        return;
      }
      const stored = await this._load();
      if (isOutdated()) return;
      if (stored !== FAILED && this._givesWay(stored, change, tokens)) return;
    }
    if (isOutdated()) return;
    // A store that refuses every write and shows nothing newer is broken.
    this._guard.degrade('write', { name: 'refused again and again' });
    this._done(change, tokens, this.generation + 1, false);
  }

  private _done(change: Written, tokens: Tokens | null, generation: number, isStored: boolean): void {
    if (isStored) this._unwritten = undefined;
    // A refresh result must not be replaced by an older copy of what the app began with.
    else if (!this._unwritten || (isResult(change) && this._unwritten === 'initial')) this._unwritten = 'updated';
    if (isResult(change)) this._apply(change, tokens, generation);
    else if (generation !== this.generation) {
      this._set(this.status, tokens, generation);
      this._deps.changed('loaded');
    }
  }

  /** After a write that was refused: whether the change gives way to what is stored. */
  private _givesWay(stored: StoredSession | undefined, change: Written, tokens: Tokens | null): boolean {
    if (!stored) return this._adopted >= 0 && change !== 'principal' && this._vanish();
    if (this._hasArrived(stored)) {
      this._unwritten = undefined;
      this._adopted = stored.generation;
      return stored.tokens?.accessToken === tokens?.accessToken;
    }
    if (this._unwritten === 'principal') {
      this._epoch = Math.max(this._epoch, stored.epoch + 1);
      return false;
    }
    if (this._unwritten === 'initial' || (change === 'updated' && stored.epoch > this._epoch)) {
      // The generation in memory is that of an unwritten change, and may be the stored one by chance.
      this._adopted = -1;
    } else if (change === 'updated') return false;
    // Another holder was refused at the same time and took the session for dead: what the server gave us is newer.
    else if (change === 'refreshed' && !stored.tokens && stored.epoch === this._epoch) return false;
    this._unwritten = undefined;
    return this._adopt(stored);
  }

  private _hasArrived({ generation, epoch, tokens }: StoredSession): boolean {
    const written = this._unanswered;
    return (
      generation === written?.generation && epoch === this._epoch && tokens?.accessToken === written.tokens?.accessToken
    );
  }

  private _open(stored: StoredSession | undefined): void {
    // Somebody has signed in meanwhile: what is stored is found when that is written.
    if (this.status !== 'unknown') return;
    const initial = this._initial;
    if (stored) this._take(stored);
    else if (!initial) this.status = 'empty';
    else {
      this._set('signed-in', initial, 1);
      // A refresh token alone is no session yet: the first refresh makes it one.
      if (initial.accessToken) {
        this._unwritten = 'initial';
        void this._write('initial', initial);
      }
    }
    this._deps.changed('loaded');
  }

  /** Takes over what another holder has stored. Returns whether it did. */
  private _adopt(stored: StoredSession | undefined): boolean {
    if (this._unwritten) return false;
    if (!stored) return this._adopted >= 0 && this._vanish();
    const { generation, epoch, tokens } = stored;
    const accessToken = tokens?.accessToken;
    // It vanished and was stored anew, unless the store was put back to its state before.
    const isAnew =
      generation < this._adopted &&
      accessToken !== this.tokens?.accessToken &&
      (this._previous === undefined || accessToken !== this._previous);
    if (generation <= this._adopted && !isAnew) return false;
    const isOther = isAnew || epoch !== this._epoch;
    const hadTokens = this.tokens !== null;
    if (isOther) this.principalVersion++;
    const isEnd = !isOther && !tokens && (hadTokens || this.status === 'expired');
    this._take(stored, isEnd);
    this._deps.changed(isOther ? 'principal' : isEnd && hadTokens ? 'refused' : 'loaded');
    return true;
  }

  private _take({ tokens, generation, epoch }: StoredSession, isEnd = false): void {
    const least = this.status === 'unknown' ? 0 : this.generation + 1;
    this._epoch = epoch;
    this._adopted = generation;
    this._set(tokens ? 'signed-in' : isEnd ? 'expired' : 'signed-out', tokens, Math.max(generation, least));
  }

  /** The stored session is gone: it counts as one that was never stored, and the generation goes on. */
  private _vanish(): true {
    const hadTokens = this.tokens !== null;
    this._unwritten = undefined;
    this._adopted = -1;
    if (hadTokens) {
      this.principalVersion++;
      this._epoch++;
    }
    this._set('empty', null, this.generation + 1);
    this._deps.changed(hadTokens ? 'principal' : 'loaded');
    return true;
  }

  private _load(): MaybePromise<StoredSession | undefined | Failed> {
    const seen = (stored: StoredSession | undefined | Failed): StoredSession | undefined | Failed => {
      if (stored === FAILED) return stored;
      this._inStore = stored?.generation;
      this._found = stored?.tokens ?? null;
      return stored;
    };
    const found = this._guard.load();
    return isPromise(found) ? found.then(seen) : seen(found);
  }

  /** Hands what is stored to `then`, at once if the store answers at once. */
  private _read(then: (stored: StoredSession | undefined | Failed) => void): Promise<void> | undefined {
    const found = this._load();
    if (isPromise(found)) return found.then(then);
    then(found);
    return undefined;
  }
}

/** What a holder found out by a refresh: the store has it first, and it gives way to anything written earlier. */
function isResult(change: Written): change is 'refreshed' | 'refused' {
  return change === 'refreshed' || change === 'refused';
}
