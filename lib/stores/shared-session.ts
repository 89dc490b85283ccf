import type { SessionChange } from '../session/session-state.js';
import type { Tokens } from '../session/tokens.js';
import { FAILED } from './store-guard.js';
import { StoredState, type Written } from './stored-state.js';
import type { StoredSession } from './token-store.js';

const WRITE_TRIES = 20;

/** A session that several holders share through a store: compare-and-set, and read again what others have written. */
export class SharedState extends StoredState {
  /** A write that the store did not answer, and may have done. */
  private _unanswered: StoredSession | undefined = undefined;

  override async change(change: SessionChange, tokens: Tokens | null): Promise<Tokens | null> {
    const { status, tokens: replaced } = this;
    if (change === 'not-signed-in' || change === 'refused-here') return super.change(change, tokens);
    if (change === 'principal' || change === 'updated') {
      if (change === 'principal') this._epoch++;
      this._unwritten = this._unwritten === 'principal' ? 'principal' : change;
      this._apply(change, tokens, this.generation + 1);
    }
    await this._write(change, tokens);
    return status === 'unknown' ? (this._found?.tokens ?? this._initial ?? null) : replaced;
  }

  protected async _write(change: Written, tokens: Tokens | null): Promise<void> {
    const writing = (this.writing = this._writeThrough(change, tokens));
    await writing;
    if (this.writing === writing) this.writing = undefined;
  }

  /** Writes the state in memory to the store. A later change takes over, and a failed write is tried again later. */
  private async _writeThrough(change: Written, tokens: Tokens | null): Promise<void> {
    const { principalVersion } = this;
    // The result of a refresh is written to the store first, and gives way to anything written earlier.
    const isResult = change === 'refreshed' || change === 'refused';
    const isOutdated = (): boolean =>
      principalVersion !== this.principalVersion || (!isResult && tokens !== this.tokens);
    await this._loading;
    for (let tries = 1; !isOutdated(); tries++) {
      // Other holders recognize another principal by an epoch above the stored one.
      if (this._unwritten === 'principal') this._epoch = Math.max(this._epoch, (this._found?.epoch ?? 0) + 1);
      let generation = Math.max(this.generation + Number(isResult), (this._inStore ?? 0) + 1);
      const next: StoredSession = { version: 1, generation, epoch: this._epoch, tokens };
      let isWritten = await this._guard.compareAndSet(this._inStore, next);
      if (isWritten === FAILED) this._unanswered = next;
      else if (isWritten) {
        this._inStore = this._adopted = generation;
        this._latest = ++this._accesses;
      }
      if (isOutdated()) return;
      // A store that refuses every write and shows nothing newer is broken.
      if (!isWritten && tries === WRITE_TRIES) {
        this._guard.degrade('write', { name: 'every attempt was refused' });
        isWritten = FAILED;
        generation++;
      }
      if (isWritten) {
        if (isWritten !== FAILED) this._unwritten = undefined;
        // A refresh result must not be replaced by the initial tokens of the app.
        else if (!this._unwritten || (isResult && this._unwritten === 'initial')) this._unwritten = 'updated';
        if (isResult) this._apply(change, tokens, generation);
        else if (generation !== this.generation) {
          this._set(tokens, generation, this.status);
          this._deps.changed('loaded');
        }
        return;
      }
      const stored = await this._load();
      if (isOutdated() || (stored !== FAILED && this._givesWay(stored, change, tokens))) return;
    }
  }

  /** Returns whether a refused write is dropped in favour of the stored session. */
  private _givesWay(stored: StoredSession | undefined, change: Written, tokens: Tokens | null): boolean {
    if (!stored) return this._adopted >= 0 && change !== 'principal' && this._vanish();
    const { generation, epoch } = stored;
    const accessToken = stored.tokens?.accessToken;
    const { _unanswered: written } = this;
    // The write that was not answered has been done.
    if (generation === written?.generation && epoch === this._epoch && accessToken === written.tokens?.accessToken) {
      this._unwritten = undefined;
      this._adopted = generation;
      return accessToken === tokens?.accessToken;
    }
    if (this._unwritten === 'principal') return false;
    if (this._unwritten === 'initial' || (change === 'updated' && epoch > this._epoch)) {
      // The generation in memory is that of an unwritten change, and may be the stored one by chance.
      this._adopted = -1;
      // An end that could not be written gives way to tokens.
    } else if (change === 'updated' && tokens) return false;
    // Another holder was refused at the same time and stored the end of the session. The new tokens are newer.
    else if (change === 'refreshed' && !stored.tokens && epoch === this._epoch) return false;
    this._unwritten = undefined;
    return this._adopt(stored);
  }
}
