import { AuthError } from '../errors.js';
import type { SessionSnapshot } from '../session/snapshot.js';
import { isBearerToken, type TokenResponse } from '../session/tokens.js';
import type { AuthScheme } from './scheme.js';

/** A bearer scheme (RFC 6750) and its session. One object may be attached to several instances. */
export interface BearerScheme extends AuthScheme {
  /**
   * Starts the session of a new principal: calls that began before are not sent again with these tokens. Takes effect at once,
   * and resolves when that is stored.
   */
  signIn(tokens: TokenResponse): Promise<void>;
  /** Replaces the tokens of the same principal: waiting calls continue with them. Without a refresh token the old one is kept. */
  update(tokens: TokenResponse): Promise<void>;
  /** Ends the session at once, whatever is in flight. Resolves when that is stored. `revoke` is called then, and not waited for. */
  signOut(): Promise<void>;
  /**
   * Refreshes now, or joins the refresh that is under way.
   * @throws AuthError ERR_AUTH_REFRESH_FAILED, ERR_AUTH_SESSION_EXPIRED or ERR_AUTH_SESSION_CHANGED.
   */
  refresh(): Promise<void>;
  /**
   * Returns the token to send now, for WebSocket, EventSource or fetch. It is refreshed first if needed.
   * @returns undefined if there is no session, or it has expired.
   * @throws AuthError ERR_AUTH_REFRESH_FAILED, ERR_AUTH_SESSION_EXPIRED if this call finds the refresh token refused, and
   *   ERR_AUTH_SESSION_CHANGED if the principal changes while it waits.
   */
  getAccessToken(): Promise<string | undefined>;
  /** Returns the state of the session: the same object until something in it changes. */
  getSnapshot(): SessionSnapshot;
  /** Calls `listener` once per change of the snapshot. Returns the function that stops it. An error of a listener is only reported. */
  subscribe(listener: () => void): () => void;
}

/** Returns the header's value. @throws AuthError ERR_AUTH_INVALID_CREDENTIAL, without the token. */
export function headerValue(prefix: string, token: string): string {
  if (!isBearerToken(token)) {
    throw new AuthError(
      'ERR_AUTH_INVALID_CREDENTIAL',
      'The bearer token must be one or more visible ASCII characters (RFC 6750 §2.1). Look for a line break or a space at its end.',
    );
  }
  return prefix === '' ? token : `${prefix} ${token}`;
}
