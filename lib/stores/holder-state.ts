import { MemoryState, type SessionStateDeps } from '../session/session-state.js';
import type { Tokens } from '../session/tokens.js';

/** The state of one holder of a session that is stored elsewhere. */
export abstract class HolderState extends MemoryState {
  /** Used if nothing is stored at the first read. */
  protected readonly _initial: Tokens | undefined;

  constructor(deps: SessionStateDeps) {
    super({ ...deps, initial: undefined });
    this._initial = deps.initial;
    this.status = 'unknown';
  }

  /** The first read: until then another holder may begin the session. */
  protected _open(stored: Pick<MemoryState, 'tokens' | 'generation'> | undefined): void {
    const { _initial: initial } = this;
    if (stored) this._set(stored.tokens, stored.generation);
    else if (initial) this._set(initial, 1);
    else this.status = 'empty';
  }

  /** Takes over what another holder has stored. */
  protected _take(tokens: Tokens | null, generation: number, isOther: boolean): void {
    // A session that has ended here ends once.
    if (!isOther && !tokens && this.status === 'expired') return;
    const change = isOther ? 'principal' : tokens || !this.tokens ? 'loaded' : 'refused';
    this._apply(change, tokens, Math.max(this.generation + 1, generation));
  }
}
