import type { AxiosError } from 'axios';
import { isPromise, quiet, type MaybePromise } from '../maybe-promise.js';
import { decide, isSuccess, isThrottled, type Decision, type SettleReason } from '../retry/decide.js';
import { isBodyReplayable } from './resend.js';
import type { AuthRequest } from '../schemes/scheme.js';
import type { SchemeState } from '../schemes/scheme-state.js';
import { safeGet } from '../safe-read.js';
import type { Attempt } from './attempt.js';
import type { Call } from './call.js';
import { discard } from '../transport/discard.js';
import { challengesOf, type Answer } from './outcome.js';
import { deadlinePassed } from './wait.js';

/** Decides what follows the last attempt, and waits if it has to. Returns true if the call is ready to be sent again. */
export function nextStep(call: Call, attempt: Attempt, answer: Answer): MaybePromise<boolean> {
  const { notified } = answer;
  if (!notified) return afterAnswer(call, attempt, answer);
  // A response that arrives after the deadline or after detach() is still the call's own: then nothing ends this wait.
  const read = call.waits.end === undefined ? call.waits.for(notified) : notified;
  return read.then(() => afterAnswer(call, attempt, answer));
}

/** The schemes have read the response. */
function afterAnswer(call: Call, attempt: Attempt, answer: Answer): MaybePromise<boolean> {
  attempt.isDecided = true;
  call.noteRetryAt(undefined);
  if (call.instance.isDetached || isSuccess(answer.outcome)) return false;
  const decision = decideOn(call, attempt, answer);
  switch (decision.kind) {
    case 'settle':
      call.noteRetryAt(decision.retryAfterMs);
      return settle(call, attempt, answer, decision.reason);
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
    // A scheme without a limit of its own is bounded by the limits of attempts.
    maxChallenges: call.principal.schemes.reduce(
      (sum, { maxChallenges: most }) => sum + (most < Infinity ? most : 1),
      0,
    ),
    remainingMs: waits.remainingMs,
  };
  const circumstances = {
    isReplayable: isBodyReplayable(call),
    isIdempotent: isIdempotent || Boolean(request.headers.get('Idempotency-Key')) || retry.methods.has(request.method),
    shouldRetry:
      shouldRetry &&
      ((willRetry: boolean) => {
        const { method, url } = about(call, attempt);
        const failure = {
          method,
          url,
          attempt: call.attempts,
          ...(response && { status: response.status }),
          ...(error !== undefined && { error: error as AxiosError }),
          willRetry,
        };
        return quiet(shouldRetry(failure));
      }),
  };
  return decide(outcome, progress, circumstances, retry, isRetried, instance.clock.random());
}

function challengesLeft(call: Call, state: SchemeState): number {
  return state.maxChallenges - call.challenged.filter((other) => other === state).length;
}

function settle(call: Call, attempt: Attempt, { outcome, refusedBy }: Answer, reason?: SettleReason): false {
  call.reason = reason;
  // Without a response, the call has no outcome of its own.
  if (reason === 'deadline' && !attempt.response) throw deadlinePassed(call.policy.deadlineMs, attempt.error);
  if (reason === 'body-not-replayable') {
    // This call cannot be sent again, but later calls need a new token.
    void (async () => {
      for (const state of refusedBy) if (await challenge(call, state, attempt)) return;
    })().catch(() => undefined);
  }
  if (outcome.kind === 'answer' && outcome.status === 401 && call.bare)
    call.instance.emit({ type: 'refusal-ignored', ...about(call, attempt), status: 401, why: call.bare });
  return false;
}

/** Offers the refusal to the schemes in their order, until one says that a replay may succeed. */
async function reauthorize(call: Call, attempt: Attempt, answer: Answer): Promise<boolean> {
  const { instance, waits } = call;
  for (const state of answer.refusedBy) {
    if (challengesLeft(call, state) <= 0) continue;
    call.challenged = call.challenged.concat(state);
    let isWorthIt = challenge(call, state, attempt);
    if (isPromise(isWorthIt)) {
      // If the scheme does not decide at once, it may need the socket of a response that streams.
      if ((await Promise.race([isWorthIt, Promise.resolve()])) === undefined) discard(attempt.received);
      isWorthIt = await waits.for(isWorthIt);
    }
    if (!isWorthIt) continue;
    discard(attempt.received);
    call.isRefreshed = true;
    instance.emit({ type: 'replay', ...about(call, attempt), attempt: call.attempts + 1 });
    return true;
  }
  const isPaused = answer.refusedBy.some(({ session }) => session?.isRefreshPaused(attempt.request));
  return settle(call, attempt, answer, isPaused ? 'refresh-breaker' : undefined);
}

function challenge(call: Call, state: SchemeState, attempt: Attempt): MaybePromise<boolean> {
  const { response } = attempt;
  const { scheme, singleFlight } = state;
  const onChallenge = safeGet(scheme, 'onChallenge');
  if (!onChallenge || !response) return false;
  const challenges = challengesOf(response);
  const run = (request: AuthRequest): MaybePromise<boolean> =>
    state.run(() => onChallenge.call(scheme, { request, response, challenges }));
  if (!singleFlight) return run(attempt.request);
  const { request } = attempt;
  return singleFlight.run(request, (signal) =>
    run(Object.create(request, { signal: { value: signal } }) as AuthRequest),
  );
}

/** Returns the part of an event that identifies a call. URLs have no query and no user-info. */
function about({ number }: Call, { request }: Attempt): { call: number; method: string; url: string } {
  const { method, cleanUrl } = request;
  return { call: number, method, url: cleanUrl.origin + cleanUrl.pathname };
}

/** Waits for the throttle or a backoff. Returns false if there is no retry budget left. */
async function wait(call: Call, attempt: Attempt, decision: Extract<Decision, { kind: 'wait' }>): Promise<boolean> {
  const { instance, pass, waits } = call;
  const { reason, retryAfterMs } = decision;
  call.noteRetryAt(retryAfterMs);
  const isQueued = pass.isOn && reason === 'throttled';
  const delayMs = isQueued ? pass.delayMs(attempt) : decision.delayMs;
  if (reason !== 'throttled' && !instance.takeRetry(attempt.request.origin)) {
    call.reason = 'retry-budget';
    return false;
  }
  const waiting = isQueued ? pass.acquire(attempt) : waits.sleep(delayMs);
  discard(attempt.received);
  const sendsAgain = { ...about(call, attempt), attempt: call.attempts + 1 };
  instance.emit({ type: 'retry', ...sendsAgain, delayMs: Math.round(delayMs), reason });
  await waiting;
  if (reason === 'throttled') call.waitedForThrottle();
  return true;
}
