import type { RetryReason } from '../events.js';
import { fullJitter, equalJitter, notBefore } from './backoff.js';

/**
 * Why a call settled with an error although it might have been sent again.
 *
 * - `attempts-exhausted`: `maxAttempts` or `maxThrottledAttempts` was reached.
 * - `retry-after-too-long`: the server asked for more than `maxRetryAfterMs`.
 * - `deadline`: the next attempt would begin after `deadlineMs`.
 * - `body-not-replayable`: the body can be read only once.
 * - `not-idempotent`: the server may have acted.
 * - `retry-budget`: there were too many retries to this origin in the last minute.
 * - `unauthorized-again`: the replay was refused, too.
 * - `refresh-breaker`: refreshes have not helped before, and are paused.
 */
export type SettleReason =
  | 'attempts-exhausted'
  | 'retry-after-too-long'
  | 'deadline'
  | 'body-not-replayable'
  | 'not-idempotent'
  | 'retry-budget'
  | 'unauthorized-again'
  | 'refresh-breaker';

/** The result of one attempt. `final`: another send cannot change it (cancelled, rejected by us, a wrong option). */
export type Outcome =
  | {
      readonly kind: 'answer';
      readonly status: number;
      /** It refuses the credentials of a scheme. */
      readonly isRefusal: boolean;
      readonly retryAfterMs: number | undefined;
      /** It was measured between two instants in whole seconds: it is up to a second too long. */
      readonly isRounded?: boolean | undefined;
    }
  | { readonly kind: 'network' | 'timeout' }
  | { readonly kind: 'final' };

/** The progress of a call. Counts include the attempt to decide on. */
export interface Progress {
  readonly errors: number;
  readonly throttles: number;
  readonly attempts: number;
  /** A scheme that was refused may handle another refusal. */
  readonly canReauthorize: boolean;
  /** The call was sent again after an earlier refusal. */
  readonly isReplay: boolean;
  /** Of all schemes together. */
  readonly maxChallenges: number;
  /** Ms until the call's deadline. */
  readonly remainingMs: number;
}

export interface Circumstances {
  readonly isReplayable: boolean;
  /** By method, Idempotency-Key or `idempotent: true`. */
  readonly isIdempotent: boolean;
  /** The app's decision. Any other value than true or false leaves ours. */
  readonly shouldRetry: ((willRetry: boolean) => unknown) | undefined;
}

/** Resolved retry options. */
export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly maxThrottledAttempts: number;
  readonly statuses: ReadonlySet<number>;
  readonly methods: ReadonlySet<string>;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  readonly maxRetryAfterMs: number;
}

export const RETRY_DEFAULTS: RetryPolicy = {
  maxAttempts: 4,
  maxThrottledAttempts: 6,
  statuses: new Set([408, 500, 502, 503, 504]),
  methods: new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'QUERY']),
  baseDelayMs: 500,
  maxDelayMs: 20_000,
  maxRetryAfterMs: 60_000,
};

export type Decision =
  | {
      readonly kind: 'settle';
      readonly reason: SettleReason | undefined;
      readonly retryAfterMs: number | undefined;
    }
  | { readonly kind: 'reauthorize' }
  | {
      readonly kind: 'wait';
      readonly delayMs: number;
      readonly reason: RetryReason;
      readonly retryAfterMs: number | undefined;
    };

/**
 * Decides how a call continues after an attempt. Pure: `chance` is drawn by the caller, and the budget is asked by the caller.
 * @param isOn False: the call is not retried; a refusal is still handled.
 */
export function decide(
  outcome: Outcome,
  progress: Progress,
  call: Circumstances,
  policy: RetryPolicy,
  isOn: boolean,
  chance: number,
): Decision {
  if (outcome.kind === 'final') return settled();
  if (outcome.kind === 'answer' && outcome.isRefusal) return afterRefusal(progress, call, policy);
  if (!isOn) return settled(undefined, outcome.kind === 'answer' ? outcome.retryAfterMs : undefined);
  const decision = afterFailure(outcome, progress, call, policy, chance);
  const isFailure = outcome.kind !== 'answer' || outcome.status >= 400;
  const wish = isFailure ? call.shouldRetry?.(decision.kind === 'wait') : undefined;
  if (wish === false) return decision.kind === 'wait' ? settled(undefined, decision.retryAfterMs) : decision;
  if (wish !== true || decision.kind === 'wait') return decision;
  // The app may know that another send does no harm; the limits of attempts, time and body hold.
  return afterFailure(outcome, progress, call, policy, chance, true);
}

/** All fields are own ones, so that a polluted prototype cannot provide one. */
export function settled(reason?: SettleReason, retryAfterMs?: number): Extract<Decision, { kind: 'settle' }> {
  return { kind: 'settle', reason, retryAfterMs };
}

function afterRefusal(progress: Progress, call: Circumstances, policy: RetryPolicy): Decision {
  const { canReauthorize, isReplay, remainingMs } = progress;
  if (isUsedUp(progress, policy) || (isReplay && !canReauthorize)) return settled('unauthorized-again');
  if (!canReauthorize) return settled();
  if (!call.isReplayable) return settled('body-not-replayable');
  if (remainingMs <= 0) return settled('deadline');
  return { kind: 'reauthorize' };
}

/** The limits of refusals, errors and 429s together bound the sends of a call, however these alternate. */
function isUsedUp({ attempts, maxChallenges }: Progress, policy: RetryPolicy): boolean {
  return attempts >= policy.maxAttempts + policy.maxThrottledAttempts + maxChallenges;
}

function afterFailure(
  outcome: Exclude<Outcome, { kind: 'final' }>,
  progress: Progress,
  { isIdempotent, isReplayable }: Circumstances,
  policy: RetryPolicy,
  chance: number,
  isWanted = false,
): Decision {
  const { status, retryAfterMs, isRounded } = outcome.kind === 'answer' ? outcome : NO_ANSWER;
  const { errors, throttles, remainingMs } = progress;
  const settle = (reason?: SettleReason): Decision => settled(reason, retryAfterMs);
  // After a 429 the server did not act. After a 503 it may have.
  if (status !== 429 && !isWanted) {
    if (status && !policy.statuses.has(status)) return settle();
    if (!isIdempotent) return settle('not-idempotent');
  }
  const isThrottled = isThrottling(status, retryAfterMs);
  const failures = isThrottled ? throttles : errors;
  const most = isThrottled ? policy.maxThrottledAttempts : policy.maxAttempts;
  if (failures >= most || isUsedUp(progress, policy)) return settle('attempts-exhausted');
  if (!isReplayable) return settle('body-not-replayable');
  if (!isWithin(retryAfterMs ?? 0, policy.maxRetryAfterMs + (isRounded ? 1_000 : 0)))
    return settle('retry-after-too-long');
  const unasked = (isThrottled ? equalJitter : fullJitter)(policy, failures, chance);
  const delayMs = retryAfterMs === undefined ? unasked : notBefore(retryAfterMs, policy, failures, chance);
  // An earlier retry would be refused again.
  if (delayMs > remainingMs) return settle('deadline');
  const reason = isThrottled ? 'throttled' : outcome.kind === 'answer' ? 'status' : outcome.kind;
  return { kind: 'wait', delayMs, reason, retryAfterMs };
}

/** All fields are own ones, as those of `settled`. */
const NO_ANSWER = { status: 0, retryAfterMs: undefined, isRounded: undefined };

/** Compares whole seconds, since an instant that was rounded up must not turn a minute into more. A limit below a second is exact. */
export function isWithin(askedMs: number, longestMs: number): boolean {
  return askedMs <= longestMs || (longestMs >= 1_000 && Math.floor(askedMs / 1000) * 1000 <= longestMs);
}

/** Whether a response throttles: 429, and 503 with Retry-After. */
export function isThrottling(status: number, retryAfterMs: number | undefined): boolean {
  return status === 429 || (status === 503 && retryAfterMs !== undefined);
}

/** Whether the server accepted the call: nothing is left to decide. A stub may answer without a status. */
export function isSuccess(outcome: Outcome): boolean {
  return outcome.kind === 'answer' && !(outcome.status >= 400) && !outcome.isRefusal;
}

export function isThrottled(outcome: Outcome): boolean {
  return outcome.kind === 'answer' && !outcome.isRefusal && isThrottling(outcome.status, outcome.retryAfterMs);
}
