import type { AxiosInstance } from 'axios';
import type { MaybePromise } from '../maybe-promise.js';
import type { TokenResponse, Tokens } from './tokens.js';

/** The limit of a token request (API.md, "Refresh"). No proxy in wide use waits longer. */
export const REQUEST_LIMIT_MS = 60_000;

/** The context of one refresh. */
export interface RefreshContext {
  /** The refresh token (RFC 6749 §1.5), if there is one: cookie sessions and client credentials have none. */
  readonly refreshToken: string | undefined;
  /** The tokens that are to be replaced. */
  readonly tokens: Tokens | undefined;
  /** Why. `missing`: nothing is stored; `rejected`: a 401; `manual`: the app called `refresh()`. */
  readonly reason: 'missing' | 'expiring' | 'rejected' | 'manual';
  /**
   * AuthRequest.client of the call that requested the refresh. It has the instance's defaults and no interceptors, so a refresh
   * cannot wait for itself. It has no `timeout`, no `maxContentLength` and axios's own `validateStatus`, whatever the instance sets. Its errors contain
   * no request body. In Node a redirect to another origin (RFC 9700 §4.12) fails with ERR_AUTH_FOREIGN_ORIGIN. For `manual` it is
   * that of the first instance attached, else a plain one.
   */
  readonly client: AxiosInstance;
  /**
   * Aborts after 60 s, and on sign-out or another principal if there is no `revoke`. A limit of a caller does not abort it, since the
   * server may have replaced the refresh token already.
   */
  readonly signal: AbortSignal;
}

/** Obtains tokens. Returns null if there is no session. Throws a RefreshRejectedError if the refresh token is no longer valid. */
export type RefreshFunction = (context: RefreshContext) => MaybePromise<TokenResponse | null>;

/** The context of one revocation. */
export interface RevokeContext {
  /** The tokens of the session that has ended. */
  readonly tokens: Tokens;
  /** The client of the first instance attached, else a plain one. */
  readonly client: AxiosInstance;
  /** Aborts after 60 s. */
  readonly signal: AbortSignal;
}

/** Tells the server that a session has ended (RFC 7009). */
export type RevokeFunction = (context: RevokeContext) => MaybePromise<unknown>;
