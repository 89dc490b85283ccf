import type { RefreshFailure } from './refresh-failure.js';

/*
 * When the same refresh token is sent again (API.md, "Refresh").
 */

const MOST_SENDS = 3;
const BASE_DELAY_MS = 500;
/** After the refresh began: within the grace that many servers give to a replaced refresh token. */
const LAST_SEND_MS = 30_000;
const SPENT_PAUSE_MS = 30_000;

/** Returns the delay of the next send within this refresh; undefined: there is none. */
export function resendDelayMs(
  { kind, mayBeSpent, retryAfterMs = 0 }: RefreshFailure,
  sends: number,
  passedMs: number,
  chance: number,
): number | undefined {
  const delayMs = Math.max(retryAfterMs, chance * BASE_DELAY_MS * 2 ** (sends - 1));
  const isTransient = kind === 'unreachable' || kind === 'unavailable';
  return isTransient && !mayBeSpent && sends < MOST_SENDS && passedMs + delayMs <= LAST_SEND_MS ? delayMs : undefined;
}

/**
 * Returns for how many ms no other refresh may start because of this failure. A token that a 2xx may have spent is sent once more if a call
 * needs it, and not again. A gateway's page does not count, since the server did not send it.
 */
export function pauseAfterMs(
  { kind, mayBeSpent, retryAfterMs = 0 }: RefreshFailure,
  refreshToken: string | undefined,
  spent: string | undefined,
): number {
  if (!mayBeSpent || refreshToken === undefined) return retryAfterMs;
  return refreshToken === spent && kind === 'configuration' ? Infinity : SPENT_PAUSE_MS;
}
