import type { Clock } from '../clock.js';
import type { CircuitBreaker } from './circuit-breaker.js';
import type { RefreshFunction } from './refresh-context.js';
import type { Revocation } from './revocation.js';
import type { SessionState } from './session-state.js';
import type { SessionObservers } from './snapshot.js';

/** What a refresh works with. */
export interface RefreshDeps {
  readonly clock: Clock;
  readonly state: SessionState;
  readonly observers: SessionObservers;
  readonly breaker: CircuitBreaker;
  readonly refresh: RefreshFunction;
  readonly revocation: Revocation | undefined;
  /** How long a call waits. */
  readonly timeoutMs: number;
  readonly memory: RefreshMemory;
}

/** What one refresh leaves for the next. */
export interface RefreshMemory {
  /** True while the synchronous part of `refresh()` runs: a call that begins then belongs to it and must not wait for it. */
  isCalling: boolean;
  /** The generation whose access token the server refused with a 401. */
  refusedGeneration: number;
  /** The refresh token that the server refused. It is never sent again. `status`: that of a plain 401 or 403. */
  dead: { readonly refreshToken: string; readonly status: number | undefined } | undefined;
  /** The refresh token that a 2xx without a usable token may have spent. */
  spent: string | undefined;
}
