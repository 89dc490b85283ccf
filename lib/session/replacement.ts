import type { SessionState } from './session-state.js';
import { tokensOf, type Tokens } from './tokens.js';

/** The tokens that a refresh is to replace, and whether they still are those of the session. */
export class Replacement {
  tokens: Tokens | null;
  private readonly _version: number;

  constructor(private readonly _state: SessionState) {
    this._version = _state.principalVersion;
    this.tokens = _state.tokens;
  }

  /** Another principal has signed in, or this one has signed out. */
  get isOfOther(): boolean {
    return this._state.principalVersion !== this._version;
  }

  get hasMoved(): boolean {
    const { status, tokens } = this._state;
    return this.isOfOther || (tokens !== this.tokens && status !== 'expired');
  }

  /** Another holder or the app was first, and its tokens can be used. */
  get isOvertaken(): boolean {
    const { tokens, remainingMs } = this._state;
    return this.hasMoved && (!tokens || remainingMs > 0);
  }

  /** Stores new tokens unless something newer is there. Resolves with whether they are the session's now. */
  async store(tokens: Tokens): Promise<boolean> {
    if (!this.hasMoved) await this._state.change('refreshed', tokens);
    const isStored = this._state.tokens === tokens;
    if (!isStored) await this.keepRefreshToken(tokens.refreshToken);
    return isStored;
  }

  /** The sent refresh token may be spent: its successor is kept, even if the access token cannot be used. */
  async keepRefreshToken(rotated: unknown): Promise<void> {
    const { tokens } = this._state;
    if (this.isOfOther || typeof rotated !== 'string' || !tokens || !this.tokens) return;
    if (tokens.refreshToken === this.tokens.refreshToken && tokens.refreshToken !== rotated)
      await this._state.change('refreshed', tokensOf(tokens.accessToken, rotated, tokens.expiresAt));
  }

  /**
   * Ends the session whose refresh token was refused. `isTokenGood`: its access token can still be used, and so the session.
   * Resolves with the state that was found instead. `newer`: a refresh token of another holder that may be sent.
   */
  async end(change: 'refused' | 'refused-here', isTokenGood: boolean): Promise<'moved' | 'newer' | 'ended'> {
    const { _state: state } = this;
    await state.reload();
    if (this.isOfOther || this.isOvertaken) return 'moved';
    if (state.tokens && state.tokens.refreshToken !== this.tokens?.refreshToken) return 'newer';
    if (state.tokens && !isTokenGood) await state.change(change, null);
    else if (state.status === 'empty') await state.change('not-signed-in', null);
    return state.tokens && !isTokenGood ? 'newer' : 'ended';
  }
}
