import type { Clock } from '../clock.js';
import type { AuthError } from '../errors.js';
import type { CircuitBreaker } from './circuit-breaker.js';
import type { RefreshFunction, RevokeFunction } from './refresh-context.js';
import type { RefreshFailure } from './refresh-failure.js';
import type { Revocation } from './revocation.js';
import type { SessionState } from './session-state.js';
import type { SessionObservers } from './snapshot.js';
import type { SessionStore } from './store.js';
import type { Tokens } from './tokens.js';

/** Options of a session, with every default in its place. */
export interface SessionOptions {
  readonly initial: Tokens | undefined;
  readonly store: SessionStore | undefined;
  readonly refresh: RefreshFunction | undefined;
  readonly revoke: RevokeFunction | undefined;
  readonly refreshAheadMs: number | undefined;
  readonly refreshTimeoutMs: number;
}

/** What refreshes work with. */
export interface RefreshDeps {
  readonly clock: Clock;
  readonly options: SessionOptions;
  readonly state: SessionState;
  readonly observers: SessionObservers;
  readonly breaker: CircuitBreaker;
  readonly revoke: Revocation | undefined;
  readonly memory: RefreshMemory;
}

/** State that the refreshes of a session share. */
export interface RefreshMemory {
  /** True while the synchronous part of `refresh()` runs. A call that begins then belongs to it and must not wait for it. */
  isCalling: boolean;
  /** The generation whose access token the server refused with a 401. */
  refusedGeneration: number;
  /** The refresh token that the server refused. It is never sent again. `status`: that of a plain 401 or 403. */
  dead: { readonly refreshToken: string; readonly status: number | undefined } | undefined;
  /** The error that ended the session here. */
  end: AuthError | undefined;
  /** The refresh token that a 2xx without a usable token may have spent. */
  spent: string | undefined;
}

/** How a refresh ended. */
export interface RefreshEnd {
  /** undefined: the waiting calls may continue. */
  readonly error: AuthError | undefined;
  readonly failure: RefreshFailure | undefined;
  /** How long no other refresh may start because of the failure. undefined: no pause. */
  readonly pauseMs: number | undefined;
}
