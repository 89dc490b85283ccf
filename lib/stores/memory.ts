import type { MemoryState, SessionChange, SessionStateDeps } from '../session/session-state.js';
import { WeakList } from '../weak-list.js';
import type { Tokens } from '../session/tokens.js';
import { localStore, sessionStore, type SessionStore } from '../session/store.js';
import { HolderState } from './holder-state.js';

/**
 * Keeps a session in memory, as long as the page or process lasts. Schemes that are given the same store share the session
 * and its refresh. For one scheme it is not needed: the default is in memory, too.
 */
export function memoryStore(): SessionStore {
  const memory: SharedMemory = { stored: undefined, lock: Promise.resolve(), holders: new WeakList() };
  return localStore(sessionStore((deps) => new MemoryHolder(memory, deps)));
}

/** The part that the holders of one memoryStore() share. */
interface SharedMemory {
  /** undefined: nothing was ever stored. */
  stored: Pick<MemoryState, 'tokens' | 'generation'> | undefined;
  /** Settles when the last holder that asked for the lock has released it. */
  lock: Promise<unknown>;
  readonly holders: WeakList<MemoryHolder>;
}

/** The state of one holder. A change reaches all others before it returns, so no holder has to follow the store. */
class MemoryHolder extends HolderState {
  constructor(
    private readonly _memory: SharedMemory,
    deps: SessionStateDeps,
  ) {
    super(deps);
    _memory.holders.add(this);
  }

  override ready(): undefined {
    if (this.status !== 'unknown') return;
    this._open(this._memory.stored);
    this._deps.changed('loaded');
    // A refresh token alone is no session yet: the first refresh makes it one.
    if (this.tokens?.accessToken && !this._memory.stored) this._share(false);
  }

  override reload(): undefined {
    this.ready();
  }

  override change(change: SessionChange, tokens: Tokens | null): Promise<Tokens | null> {
    if (this.status === 'unknown') this._open(this._memory.stored);
    const replaced = super.change(change, tokens);
    if (change !== 'not-signed-in' && change !== 'refused-here') this._share(change === 'principal');
    return replaced;
  }

  override exclusive(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const done = this._memory.lock.then(() => {
      signal.throwIfAborted();
      return work();
    });
    this._memory.lock = done.catch(() => undefined);
    return done;
  }

  /** Stores the state of this holder. The others take it over, unless they have read nothing yet. */
  private _share(isOther: boolean): void {
    const { tokens, generation } = this;
    this._memory.stored = { tokens, generation };
    for (const holder of this._memory.holders.live())
      if (holder !== this && holder.status !== 'unknown') holder._take(tokens, generation, isOther);
  }
}
