import type { RetryReason } from '../events.js';
import { fullJitter, equalJitter, notBefore } from './backoff.js';
import type { Refusal } from '../http/refusal.js';

/** Why a call settled with an error although it might have been sent again. */
export type SettleReason =
  | 'attempts-exhausted'
  | 'retry-after-too-long'
  | 'deadline'
  | 'body-not-replayable'
  | 'not-idempotent'
  | 'retry-budget'
  | 'unauthorized-again'
  | 'refresh-breaker';

/** What came of one attempt. `final`: nothing that sending again could change (cancelled, refused by us, a wrong option). */
export type Outcome =
  | (Refusal & { readonly kind: 'answer'; readonly isUnauthorized: boolean })
  | { readonly kind: 'network' | 'timeout' }
  | { readonly kind: 'final' };

/** How far a call has come. Counts include the attempt that is being decided on. */
export interface Progress {
  readonly errors: number;
  readonly throttles: number;
  readonly isReauthorized: boolean;
  /** Ms until the call's deadline. */
  readonly remainingMs: number;
}

/** What is known of the call itself. */
export interface Circumstances {
  /** The answered attempt carried credentials of ours to an origin of ours. */
  readonly isAuthorized: boolean;
  readonly isReplayable: boolean;
  /** By method, Idempotency-Key or `idempotent: true`. */
  readonly isIdempotent: boolean;
  /** The app's own word on a failure; undefined: as decided. */
  readonly shouldRetry: ((willRetry: boolean) => boolean | undefined) | undefined;
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

export type Decision =
  /** Hand on what there is. `challenge`: the scheme should hear of the 401 all the same, for the calls to come. */
  | {
      readonly kind: 'settle';
      readonly reason?: SettleReason;
      readonly retryAfterMs?: number | undefined;
      readonly challenge?: true;
    }
  | { readonly kind: 'reauthorize' }
  | {
      readonly kind: 'wait';
      readonly delayMs: number;
      readonly reason: RetryReason;
      readonly retryAfterMs: number | undefined;
    };

/** Decides what follows an attempt. Pure: `chance` is drawn by the caller, and the budget is asked by the caller. */
export function decide(
  outcome: Outcome,
  progress: Progress,
  call: Circumstances,
  policy: RetryPolicy | false,
  chance: number,
): Decision {
  if (outcome.kind === 'final') return { kind: 'settle' };
  if (outcome.kind === 'answer' && outcome.isUnauthorized && call.isAuthorized)
    return afterUnauthorized(progress, call);
  if (!policy) return { kind: 'settle', retryAfterMs: askedMs(outcome) };
  const decision = afterFailure(outcome, progress, call, policy, chance);
  const wish = isFailure(outcome) ? call.shouldRetry?.(decision.kind === 'wait') : undefined;
  if (wish === undefined || wish === (decision.kind === 'wait')) return decision;
  if (!wish) return { kind: 'settle' };
  // The app may know that it does no harm; the limits of attempts, time and body hold all the same.
  const statuses = outcome.kind === 'answer' ? new Set([outcome.status]) : policy.statuses;
  return afterFailure(outcome, progress, { ...call, isIdempotent: true }, { ...policy, statuses }, chance);
}

/** What a throttled response asks for, if that is what it is. */
function askedMs(outcome: Outcome): number | undefined {
  const isAnswer = outcome.kind === 'answer' && isThrottling(outcome.status, outcome.retryAfterMs);
  return isAnswer ? outcome.retryAfterMs : undefined;
}

function isFailure(outcome: Outcome): boolean {
  return outcome.kind !== 'answer' || outcome.status >= 400;
}

function afterUnauthorized(progress: Progress, call: Circumstances): Decision {
  if (progress.isReauthorized) return { kind: 'settle', reason: 'unauthorized-again' };
  if (!call.isReplayable) return { kind: 'settle', reason: 'body-not-replayable', challenge: true };
  if (progress.remainingMs <= 0) return { kind: 'settle', reason: 'deadline' };
  return { kind: 'reauthorize' };
}

function afterFailure(
  outcome: Exclude<Outcome, { kind: 'final' }>,
  progress: Progress,
  call: Circumstances,
  policy: RetryPolicy,
  chance: number,
): Decision {
  const { errors, throttles } = progress;
  if (outcome.kind !== 'answer') {
    if (!call.isIdempotent) return { kind: 'settle', reason: 'not-idempotent' };
    if (errors >= policy.maxAttempts) return { kind: 'settle', reason: 'attempts-exhausted' };
    return wait(outcome.kind, undefined, fullJitter(policy, errors, chance), progress, call, policy);
  }
  const { status, retryAfterMs } = outcome;
  const isThrottled = isThrottling(status, retryAfterMs);
  // A 429 says that the server did not act; a 503 does not.
  if (status !== 429) {
    if (!policy.statuses.has(status)) return { kind: 'settle' };
    if (!call.isIdempotent) return { kind: 'settle', reason: 'not-idempotent', retryAfterMs };
  }
  if (isThrottled ? throttles >= policy.maxThrottledAttempts : errors >= policy.maxAttempts) {
    return { kind: 'settle', reason: 'attempts-exhausted', retryAfterMs };
  }
  const failures = isThrottled ? throttles : errors;
  const unasked = isThrottled ? equalJitter(policy, failures, chance) : fullJitter(policy, failures, chance);
  const delayMs = retryAfterMs === undefined ? unasked : notBefore(retryAfterMs, policy, failures, chance);
  const maxRetryAfterMs = policy.maxRetryAfterMs + (outcome.isRounded ? 1_000 : 0);
  const limits = { ...policy, maxRetryAfterMs };
  return wait(isThrottled ? 'throttled' : 'status', retryAfterMs, delayMs, progress, call, limits);
}

function wait(
  reason: RetryReason,
  retryAfterMs: number | undefined,
  delayMs: number,
  progress: Progress,
  call: Circumstances,
  policy: RetryPolicy,
): Decision {
  if (!call.isReplayable) return { kind: 'settle', reason: 'body-not-replayable', retryAfterMs };
  if (retryAfterMs !== undefined && !isWithin(retryAfterMs, policy.maxRetryAfterMs)) {
    return { kind: 'settle', reason: 'retry-after-too-long', retryAfterMs };
  }
  // Coming back earlier than asked would be worse than not at all.
  if (delayMs > progress.remainingMs) return { kind: 'settle', reason: 'deadline', retryAfterMs };
  return { kind: 'wait', delayMs, reason, retryAfterMs };
}

/** Servers mean whole seconds: an instant that was rounded up to one must not make of a minute more than a minute. */
export function isWithin(askedMs: number, longestMs: number): boolean {
  return Math.floor(askedMs / 1000) * 1000 <= longestMs;
}

/** 429, and a 503 that says when to come back. */
export function isThrottling(status: number, retryAfterMs: number | undefined): boolean {
  return status === 429 || (status === 503 && retryAfterMs !== undefined);
}
