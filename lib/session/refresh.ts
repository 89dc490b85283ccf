import type { MaybePromise } from '../maybe-promise.js';
import type { AxiosInstance } from 'axios';
import { AuthError } from '../errors.js';
import type { TokenResponse, Tokens } from './tokens.js';
import type { Verdict } from './verdict.js';

/** What a `refresh` function is given. */
export interface RefreshContext {
  /** The refresh token (RFC 6749 §1.5), if there is one: cookie sessions and client credentials have none. */
  readonly refreshToken: string | undefined;
  /** The tokens that are to be replaced. */
  readonly tokens: Tokens | undefined;
  /** Why. `missing`: nothing is stored; `rejected`: a 401; `manual`: the app called `refresh()`. */
  readonly reason: 'missing' | 'expiring' | 'rejected' | 'manual';
  /**
   * The instance's defaults without interceptors: a refresh through it cannot wait for itself. Its errors keep no body,
   * and in Node it follows no redirect to another origin (RFC 9700 §4.12): that fails with ERR_AUTH_FOREIGN_ORIGIN.
   * For `manual` that of the first instance attached, else a plain one.
   */
  readonly client: AxiosInstance;
  /** Ends when nobody wants the answer any more: time limit, sign-out, newer tokens. */
  readonly signal: AbortSignal;
}

/** Obtains tokens. `null`: nobody is signed in. Throw a RefreshRejectedError when the refresh token is dead. */
export type Refresh = (context: RefreshContext) => MaybePromise<TokenResponse | null>;

export function sessionExpired(cause?: unknown): AuthError {
  return new AuthError(
    'ERR_AUTH_SESSION_EXPIRED',
    'The session has ended: its refresh token was refused. Sign in again (signIn).',
    cause,
  );
}

export function refreshFailed(why: string, cause?: unknown): AuthError {
  return new AuthError('ERR_AUTH_REFRESH_FAILED', `The refresh failed, the session is kept: ${why}`, cause);
}

export function reasonOf({ kind, status, code }: Verdict): string {
  const what = status === undefined ? code : `${String(status)} ${code}`;
  return kind === 'configuration'
    ? `the token endpoint refuses this client (${what}).`
    : `${what}. A later call tries again.`;
}

export function tookTooLong(timeoutMs: number): AuthError {
  return refreshFailed(
    `no answer within ${String(timeoutMs)} ms (refreshTimeoutMs). A refresh() that calls through the attached instance waits ` +
      'for itself: let it use the `client` it is given, or mark its call with `attachAuth: false`.',
  );
}

export function lockedOut(timeoutMs: number): AuthError {
  return refreshFailed(`another holder of the store has had its lock for ${String(timeoutMs)} ms (refreshTimeoutMs).`);
}
