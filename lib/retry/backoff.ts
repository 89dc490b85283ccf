/** Delays in ms, for responses without Retry-After. */
export interface Backoff {
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
}

/** The most that is added to a Retry-After: a tenth of it, within these bounds. */
const LEAST_SPREAD_MS = 250;
const MOST_SPREAD_MS = 10_000;

/**
 * Full jitter: from 0 to the exponential step, so that calls which failed together are not retried together.
 * @param failures 1 after the first failure.
 * @param chance At least 0, less than 1.
 */
export function fullJitter({ baseDelayMs, maxDelayMs }: Backoff, failures: number, chance: number): number {
  return chance * step(baseDelayMs, maxDelayMs, failures);
}

/** Equal jitter: at least half the step. After a 429 full jitter could be nearly 0. */
export function equalJitter({ baseDelayMs, maxDelayMs }: Backoff, failures: number, chance: number): number {
  const longest = step(baseDelayMs, maxDelayMs, failures);
  return longest / 2 + (chance * longest) / 2;
}

/** As many calls as one call has attempts (`maxThrottledAttempts`): a refusal costs each of them less than one. */
const CROWD = 6;

/**
 * Equal jitter for a limit that does not say when it opens. While a crowd waits, each refusal counts half: calls lose few
 * attempts, and the limit is found open sooner. Source: `npm run test:drain`, 0 to 1 less and a half to a third do equally well.
 */
export function crowdJitter(backoff: Backoff, refusals: number, waiting: number, chance: number): number {
  return equalJitter(backoff, refusals / (waiting < CROWD ? 1 : 2), chance);
}

/** The delay of the server and a little more, never less. For a delay of 0 the backoff is used. */
export function notBefore(askedMs: number, backoff: Backoff, failures: number, chance: number): number {
  if (askedMs === 0) return equalJitter(backoff, failures, chance);
  return askedMs + chance * Math.min(Math.max(askedMs / 10, LEAST_SPREAD_MS), MOST_SPREAD_MS);
}

function step(baseDelayMs: number, maxDelayMs: number, failures: number): number {
  return Math.min(maxDelayMs, baseDelayMs * 2 ** Math.min(failures - 1, 52));
}
