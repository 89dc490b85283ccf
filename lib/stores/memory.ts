import { MemoryState, type SessionChange, type SessionStateDeps } from '../session/session-state.js';
import { localStore, sessionStore, type SessionStore } from '../session/store.js';
import type { Tokens } from '../session/tokens.js';
import { WeakList } from '../weak-list.js';

/**
 * Keeps a session in memory, as long as the page or process lasts. Schemes that are given the same store share the session
 * and its refresh. For one scheme it is not needed: the default is in memory, too.
 */
export function memoryStore(): SessionStore {
  const memory: SharedMemory = { stored: undefined, lock: Promise.resolve(), holders: new WeakList() };
  return localStore(sessionStore((deps) => new MemoryHolder(memory, deps)));
}

interface Stored {
  readonly tokens: Tokens | null;
  readonly generation: number;
  /** Grows whenever the principal changes. */
  readonly epoch: number;
}

/** The part that the holders of one memoryStore() share. */
interface SharedMemory {
  /** undefined: nothing was ever stored. */
  stored: Stored | undefined;
  /** Settles when the last holder that asked for the lock has released it. */
  lock: Promise<unknown>;
  readonly holders: WeakList<MemoryHolder>;
}

/** The state of one holder. A change reaches all others before it returns, so no holder has to follow the store. */
class MemoryHolder extends MemoryState {
  private readonly _initial: Tokens | undefined;
  /** The stored session that this holder reflects. */
  private _seen: Stored | undefined = undefined;

  constructor(
    private readonly _memory: SharedMemory,
    deps: SessionStateDeps,
  ) {
    super({ ...deps, initial: undefined });
    this._initial = deps.initial;
    this.status = 'unknown';
    _memory.holders.add(this);
  }

  /** The first read: until then another holder may begin the session. */
  override ready(): undefined {
    if (this.status !== 'unknown') return;
    const { stored } = this._memory;
    const { _initial: initial } = this;
    this._seen = stored;
    if (stored) this._set(stored.tokens ? 'signed-in' : 'signed-out', stored.tokens, stored.generation);
    else if (!initial) this.status = 'empty';
    else {
      this._set('signed-in', initial, 1);
      // A refresh token alone is no session yet: the first refresh makes it one.
      if (initial.accessToken) this._store(initial, 0);
    }
    this._deps.changed('loaded');
    this._adoptAll();
  }

  override reload(): undefined {
    this.ready();
  }

  override change(change: SessionChange, tokens: Tokens | null): Promise<Tokens | null> {
    if (change === 'not-signed-in' || change === 'refused-here') return super.change(change, tokens);
    const { stored } = this._memory;
    const first = stored ? stored.tokens : (this._initial ?? null);
    const replaced = this.status === 'unknown' ? first : this.tokens;
    this.generation = Math.max(this.generation, stored?.generation ?? 0) + 1;
    this._store(tokens, (stored?.epoch ?? 0) + Number(change === 'principal'));
    this._apply(change, tokens, this.generation);
    this._adoptAll();
    return Promise.resolve(replaced);
  }

  override exclusive(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const run = (): Promise<void> => {
      signal.throwIfAborted();
      return work();
    };
    const done = this._memory.lock.then(run);
    this._memory.lock = done.catch(() => undefined);
    return done;
  }

  private _store(tokens: Tokens | null, epoch: number): void {
    this._memory.stored = this._seen = { tokens, generation: this.generation, epoch };
  }

  private _adoptAll(): void {
    for (const holder of this._memory.holders.live()) holder._adopt();
  }

  private _adopt(): void {
    const { stored } = this._memory;
    if (!stored || stored === this._seen || this.status === 'unknown') return;
    const { tokens, epoch } = stored;
    const isOther = epoch !== (this._seen?.epoch ?? 0);
    this._seen = stored;
    // A session that has ended here ends once.
    if (!isOther && !tokens && this.status === 'expired') return;
    const change = isOther ? 'principal' : !tokens && this.tokens ? 'refused' : 'loaded';
    this._apply(change, tokens, Math.max(this.generation + 1, stored.generation));
  }
}
