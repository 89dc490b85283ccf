import { AuthError } from '../errors.js';
import type { SessionSnapshot } from '../session/audience.js';
import { isBearerToken, type TokenResponse } from '../session/tokens.js';
import type { AuthScheme } from './scheme.js';

/** The Bearer scheme (RFC 6750) and the session behind it. One object may be attached to several instances. */
export interface BearerScheme extends AuthScheme {
  /** A new principal: calls begun before are not sent again with these tokens. */
  signIn(tokens: TokenResponse): Promise<void>;
  /** New tokens of the same principal: calls that wait go on with them. Without a refresh token the old one stays. */
  update(tokens: TokenResponse): Promise<void>;
  /** Ends the session, at once and whatever is in flight; settles when the store has it. */
  signOut(): Promise<void>;
  /**
   * Refreshes now, or joins the refresh that is under way.
   * @throws AuthError ERR_AUTH_REFRESH_FAILED, ERR_AUTH_SESSION_EXPIRED or ERR_AUTH_SESSION_CHANGED.
   */
  refresh(): Promise<void>;
  /** The token to send now, for WebSocket, EventSource or fetch; refreshed first where needed. undefined: signed out. */
  getAccessToken(): Promise<string | undefined>;
  /** What the session looks like now; the same object until something changes. */
  getSnapshot(): SessionSnapshot;
  /** Calls `listener` after every change of the snapshot. Returns the way to stop. */
  subscribe(listener: () => void): () => void;
}

/** The header's value. @throws AuthError ERR_AUTH_INVALID_CREDENTIAL, without the token. */
export function bearerAuthorization(token: string): string {
  if (!isBearerToken(token)) {
    throw new AuthError(
      'ERR_AUTH_INVALID_CREDENTIAL',
      'The bearer token must be one or more visible ASCII characters (RFC 6750 §2.1). Look for a line break or a space at its end.',
    );
  }
  return `Bearer ${token}`;
}
