import type { AxiosError, AxiosResponse } from 'axios';
import { headersOf } from '../http/response-headers.js';
import { parseChallenges, type Challenge } from '../http/www-authenticate.js';
import { isPromise, type MaybePromise } from '../maybe-promise.js';
import { decide, isSuccess, isThrottled, type Decision, type Outcome } from '../retry/decide.js';
import type { SchemeState } from '../schemes/scheme-state.js';
import { discard } from '../transport/discard.js';
import { wasFetchedElsewhere } from '../transport/redirects.js';
import type { Attempt } from './attempt.js';
import type { Call } from './call.js';
import { outcomeOf } from './outcome.js';
import { isBodyReplayable } from './resend.js';
import { reportLimit } from './transmit.js';

/** The result of an attempt, and the schemes whose credentials it refuses. */
export interface Answer {
  readonly outcome: Outcome;
  readonly refusedBy: readonly SchemeState[];
  /** Resolves once the schemes have read the response. undefined: they have. */
  readonly notified: Promise<unknown> | undefined;
}

/** Classifies the last attempt, and passes its response to the schemes that authorized it. */
export function readAnswer(call: Call, attempt: Attempt): Answer {
  const { response, request, authorized } = attempt;
  const readers = response && !wasFetchedElsewhere(response, request.origin) ? authorized : [];
  let refusedBy: readonly SchemeState[] = [];
  let outcome = outcomeOf(attempt, false);
  try {
    refusedBy = readers.filter((state) => response && isRefusal(call, state, response));
    if (refusedBy.length > 0) outcome = outcomeOf(attempt, true);
  } finally {
    // Also if a predicate throws: the calls behind this one wait for its permit.
    reportLimit(call, attempt, isThrottled(outcome));
  }
  return { outcome, refusedBy, notified: notify(attempt, readers, refusedBy) };
}

function notify(
  { response, request, received }: Attempt,
  readers: readonly SchemeState[],
  refusedBy: readonly SchemeState[],
): Promise<unknown> | undefined {
  const pending: Promise<unknown>[] = [];
  for (const state of readers) {
    try {
      const isRefusal = refusedBy.includes(state);
      const done = response && state.scheme?.onAnswer?.({ request, response, isRefusal, received });
      if (isPromise(done)) pending.push(done);
    } catch (error) {
      pending.push(Promise.reject(error as Error));
    }
  }
  return pending.length > 0 ? Promise.all(pending) : undefined;
}

/** Whether a response refuses the credentials of a scheme. Only `true` counts, so that an async predicate decides nothing. */
function isRefusal({ instance, principal }: Call, { scheme }: SchemeState, response: AxiosResponse): boolean {
  const { isUnauthorized } = instance.policy;
  const own = scheme?.isRefusal;
  if (own && (!isUnauthorized || principal.schemes.length > 1)) return (own.call(scheme, response) as unknown) === true;
  if (isUnauthorized) return (isUnauthorized(response) as unknown) === true;
  return (
    response.status === 401 && !challengesOf(response).some(({ params }) => NOT_THE_TOKEN.test(params['error'] ?? ''))
  );
}

/** The token is good but not enough (RFC 6750 §3.1, RFC 9470): a new one of the same kind changes nothing. */
const NOT_THE_TOKEN = /^insufficient_(?:scope|user_authentication)$/;

function challengesOf(response: AxiosResponse): Challenge[] {
  return parseChallenges(headersOf(response, 'www-authenticate'));
}

/** Decides what follows the last attempt, and waits if it has to. Returns true if the call is ready to be sent again. */
export async function nextStep(call: Call, attempt: Attempt, answer: Answer): Promise<boolean> {
  const { instance, waits } = call;
  const { notified } = answer;
  // A response that arrives after the deadline or after detach() is the call's own; only a wait that begins later ends with them.
  if (notified) await (waits.end === undefined ? waits.for(notified) : notified);
  attempt.isDecided = true;
  if (instance.isDetached || isSuccess(answer.outcome)) return false;
  const decision = decideOn(call, attempt, answer);
  switch (decision.kind) {
    case 'settle':
      return settle(call, attempt, answer, decision);
    case 'reauthorize':
      return reauthorize(call, attempt, answer);
    case 'wait':
      return wait(call, attempt, decision);
  }
}

function decideOn(call: Call, attempt: Attempt, { outcome, refusedBy }: Answer): Decision {
  const { policy, waits, instance } = call;
  if (isThrottled(outcome)) call.throttles++;
  else if (outcome.kind !== 'answer' || !outcome.isRefusal) call.errors++;
  const { retry, isRetried, shouldRetry, isIdempotent } = policy;
  const { request, response, error } = attempt;
  const progress = {
    errors: call.errors,
    throttles: call.throttles,
    attempts: call.attempts,
    canReauthorize: refusedBy.some((state) => challengesLeft(call, state) > 0),
    isReplay: call.isRefreshed,
    maxChallenges: call.principal.schemes.reduce((sum, { maxChallenges }) => sum + finite(maxChallenges), 0),
    remainingMs: waits.remainingMs,
  };
  const circumstances = {
    isReplayable: isBodyReplayable(call),
    isIdempotent: isIdempotent || Boolean(request.headers.get('Idempotency-Key')) || retry.methods.has(request.method),
    shouldRetry:
      shouldRetry &&
      ((willRetry: boolean) => {
        const { method, url } = call.about(attempt);
        return shouldRetry({
          method,
          url,
          attempt: call.attempts,
          ...(response && { status: response.status }),
          ...(error !== undefined && { error: error as AxiosError }),
          willRetry,
        });
      }),
  };
  return decide(outcome, progress, circumstances, retry, isRetried, instance.clock.random());
}

/** A scheme without a limit of its own is bounded by the limits of attempts. */
function finite(maxChallenges: number): number {
  return maxChallenges === Infinity ? 1 : maxChallenges;
}

function challengesLeft(call: Call, state: SchemeState): number {
  return state.maxChallenges - (call.challenges?.get(state) ?? 0);
}

function settle(
  call: Call,
  attempt: Attempt,
  { outcome, refusedBy }: Answer,
  { reason, retryAfterMs }: Extract<Decision, { kind: 'settle' }>,
): false {
  call.noteRetryAt(retryAfterMs);
  call.reason = reason;
  if (reason === 'body-not-replayable') {
    // This call cannot be sent again, but the next one should not meet the same dead token.
    for (const state of refusedBy) void (async () => challenge(call, state, attempt))().catch(() => undefined);
  }
  if (outcome.kind === 'answer' && outcome.status === 401 && call.bare)
    call.instance.emit({ type: 'refusal-ignored', ...call.about(attempt), status: 401, why: call.bare });
  return false;
}

/** Offers the refusal to the schemes in their order, until one says that a replay may succeed. */
async function reauthorize(call: Call, attempt: Attempt, answer: Answer): Promise<boolean> {
  const { instance, waits } = call;
  for (const state of answer.refusedBy) {
    if (challengesLeft(call, state) <= 0) continue;
    call.challenges ??= new Map();
    call.challenges.set(state, (call.challenges.get(state) ?? 0) + 1);
    const isWorthIt = challenge(call, state, attempt);
    if (isPromise(isWorthIt)) discard(attempt.response?.data);
    if ((isPromise(isWorthIt) ? await waits.for(isWorthIt) : isWorthIt) !== true) continue;
    discard(attempt.response?.data);
    call.isRefreshed = true;
    instance.emit({ type: 'replay', ...call.about(attempt), attempt: call.attempts + 1 });
    return true;
  }
  const isPaused = answer.refusedBy.some(({ session }) => session?.isRefreshPaused(attempt.request));
  return settle(call, attempt, answer, { kind: 'settle', ...(isPaused && { reason: 'refresh-breaker' }) });
}

function challenge(call: Call, { scheme, singleFlight }: SchemeState, attempt: Attempt): MaybePromise<boolean> {
  const { response } = attempt;
  if (!scheme?.onChallenge || !response) return false;
  const onChallenge = scheme.onChallenge.bind(scheme);
  const challenges = challengesOf(response);
  if (!singleFlight) return onChallenge({ request: attempt.request, response, challenges });
  // The challenge runs for all calls: it must not end with the signal of the one that came first.
  const request = Object.create(attempt.request, {
    signal: { value: new AbortController().signal },
  }) as typeof attempt.request;
  return singleFlight.run(attempt.request, () => onChallenge({ request, response, challenges }));
}

/** Waits for the throttle or a backoff. Returns false if there is no retry budget left. */
async function wait(call: Call, attempt: Attempt, decision: Extract<Decision, { kind: 'wait' }>): Promise<boolean> {
  const { instance, throttle, waits } = call;
  const { reason, retryAfterMs } = decision;
  call.noteRetryAt(retryAfterMs);
  const isQueued = throttle !== undefined && reason === 'throttled';
  const delayMs = isQueued ? throttle.closedForMs(call.keysOf(attempt)) : decision.delayMs;
  if (reason !== 'throttled' && !instance.budgets.take(attempt.request.origin)) {
    call.reason = 'retry-budget';
    return false;
  }
  discard(attempt.response?.data);
  instance.emit({
    type: 'retry',
    ...call.about(attempt),
    attempt: call.attempts + 1,
    delayMs: Math.round(delayMs),
    reason,
  });
  if (isQueued) await call.passThrottle(attempt);
  else {
    await waits.sleep(delayMs);
    if (reason === 'throttled') call.waitedForThrottle();
  }
  return true;
}
