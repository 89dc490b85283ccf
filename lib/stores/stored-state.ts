import { stopwatch } from '../clock.js';
import { whenReady, type MaybePromise } from '../maybe-promise.js';
import type { SessionChange, SessionStateDeps } from '../session/session-state.js';
import type { Tokens } from '../session/tokens.js';
import { HolderState } from './holder-state.js';
import { FAILED, StoreGuard, type Failed } from './store-guard.js';
import type { StoredSession, TokenStore } from './token-store.js';

/** After a longer stop of the holder (a frozen tab, SIGSTOP), the state that it read may have been replaced. */
const FRESH_MS = 500;

/** The changes that are written. `initial`: the app's own `tokens`. */
export type Written = Exclude<SessionChange, 'not-signed-in' | 'refused-here'> | 'initial';

/** What one holder reads of a stored session. SharedState writes it. */
export abstract class StoredState extends HolderState {
  protected readonly _guard: StoreGuard;
  protected _epoch = 0;
  /** The generation that was last seen in the store: a write expects to replace it. */
  protected _inStore: number | undefined = undefined;
  /** What was last read. */
  protected _found: StoredSession | undefined = undefined;
  /** The stored generation that memory reflects; -1: none. */
  protected _adopted = -1;
  /** Memory holds this change and the store does not. Until it is written, nothing that is stored may replace it. */
  protected _unwritten: 'initial' | 'updated' | 'principal' | undefined = undefined;
  protected _loading: Promise<void> | undefined = undefined;
  /** The access token before the current one. If it is stored again, the store was put back to an older state. */
  private _previous: string | null = null;
  /** Counts reads and writes. */
  protected _accesses = 0;
  /** The one that memory reflects. */
  protected _latest = 0;

  constructor(port: TokenStore, deps: SessionStateDeps) {
    super(deps);
    this._guard = new StoreGuard(port, deps.clock, deps.emit);
  }

  protected abstract _write(change: Written, tokens: Tokens | null): Promise<void>;

  override ready(): Promise<void> | undefined {
    if (this.status === 'unknown' && !this._loading) {
      this._loading = whenReady(this._load(), (stored): undefined => {
        this._loading = undefined;
        this._loaded(stored === FAILED ? undefined : stored);
      });
    } else if (this._guard.takeRetry()) void this.reload();
    return this._loading;
  }

  override reload(isLocked?: boolean): MaybePromise<unknown> {
    const busy = this.ready() ?? this.writing;
    // Another holder may have written meanwhile.
    if (busy) return busy.then(() => this.reload(isLocked));
    if (this._unwritten) return this._write(this._unwritten, this.tokens);
    const readingMs = stopwatch(this._deps.clock);
    const read = (): MaybePromise<boolean> => {
      const { _accesses: before } = this;
      return whenReady(this._load(), (stored) => {
        if (stored !== FAILED) this._adopt(stored);
        // A newer read may have been answered first. Nothing is missed if nothing was ever read.
        return this._latest > before || this._inStore === undefined;
      });
    };
    return whenReady(read(), (isKnown) => ((isKnown || !isLocked) && readingMs() <= FRESH_MS ? isKnown : read()));
  }

  override exclusive(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    return this._guard.exclusive(work, signal);
  }

  override follow(): (() => void) | undefined {
    return this._guard.follow(() => {
      if (this._loading || this.status !== 'unknown') void this.reload();
    });
  }

  protected override _set(...given: Parameters<HolderState['_set']>): void {
    if (given[0] !== this.tokens) this._previous = this.tokens?.accessToken ?? null;
    super._set(...given);
  }

  private _loaded(stored: StoredSession | undefined): void {
    // signIn() or signOut() ran before the first read ended. Its write reads the stored session itself.
    if (this.status !== 'unknown') return;
    this._open(stored);
    if (stored) this._reflect(stored);
    // A refresh token alone is no session yet: the first refresh makes it one.
    else if (this.tokens?.accessToken) {
      this._unwritten = 'initial';
      void this._write('initial', this.tokens);
    }
    this._deps.changed('loaded');
  }

  /** Takes over what another holder has stored. Returns whether it did. */
  protected _adopt(stored: StoredSession | undefined): boolean {
    if (this._unwritten) return false;
    if (!stored) return this._adopted >= 0 && this._vanish();
    const { generation, epoch, tokens } = stored;
    const accessToken = tokens?.accessToken;
    // It vanished and was stored anew, unless the store was restored to an earlier state.
    const isAnew =
      generation < this._adopted && accessToken !== this.tokens?.accessToken && accessToken !== this._previous;
    if (generation <= this._adopted && !isAnew) return false;
    const isOther = isAnew || epoch !== this._epoch;
    this._reflect(stored);
    this._take(tokens, generation, isOther);
    return true;
  }

  private _reflect({ generation, epoch }: StoredSession): void {
    this._epoch = epoch;
    this._adopted = generation;
  }

  /** The stored session has vanished. It counts as never stored, and the generation continues above the last one. */
  protected _vanish(): true {
    const hadTokens = this.tokens !== null;
    this._unwritten = undefined;
    this._adopted = -1;
    if (hadTokens) {
      this.principalVersion++;
      this._epoch++;
    }
    this._set(null, this.generation + 1, 'empty');
    this._deps.changed(hadTokens ? 'principal' : 'loaded');
    return true;
  }

  /** Synchronous if the store is. */
  protected _load(): MaybePromise<StoredSession | undefined | Failed> {
    const mine = ++this._accesses;
    return whenReady(this._guard.load(), (stored) => {
      // Reads may be answered in another order than they began.
      if (stored === FAILED || mine < this._latest) return FAILED;
      this._latest = mine;
      this._inStore = stored?.generation;
      this._found = stored;
      return stored;
    });
  }
}
