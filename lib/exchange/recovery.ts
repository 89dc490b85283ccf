import { type MaybePromise, isPromise } from '../maybe-promise.js';
import type { AxiosError, AxiosResponse } from 'axios';
import { isAuthError, type AuthErrorCode } from '../errors.js';
import { decide, type Circumstances, type Decision, type SettleReason } from '../retry/decide.js';
import { withoutPrototype, safeGet } from '../safe-read.js';
import { isReplayable } from '../http/body-kind.js';
import type { Permit } from '../throttle/throttle.js';
import { discard } from '../transport/discard.js';
import { copyOf } from '../transport/copy.js';
import type { Attempt, Call } from './call.js';
import { challengesOf, isThrottled } from './outcome.js';
import { endPermit, keysOf, passThrottle } from './turn.js';

/** Decides what follows the last attempt, and waits if it has to; true: the call is ready to be sent again. */
export function nextStep(call: Call): MaybePromise<boolean> {
  const { attachment, last, waiting } = call;
  // Decided on before: what ended the call since came before another attempt was made.
  if (!last || last.isDecided || attachment.isDetached) return false;
  last.isDecided = true;
  const decision = withoutPrototype(decideOn(call, last));
  if (decision.kind !== 'reauthorize') return retry(call, last, decision);
  call.challenges++;
  const isWorthIt = challenge(call, last);
  if (!isPromise(isWorthIt)) return replay(call, isWorthIt);
  discard(last.response?.data);
  return waiting.after(isWorthIt, replay);
}

/** Another attempt after an error or a 429, if the decision is for one. */
function retry(call: Call, last: Attempt, decision: Exclude<Decision, { kind: 'reauthorize' }>): MaybePromise<boolean> {
  const { attachment, waiting } = call;
  call.comeBackIn(decision.retryAfterMs);
  if (decision.kind === 'settle') {
    call.reason = decision.reason;
    // This call cannot be sent again, but the next one should not meet the same dead token.
    if (decision.challenge) void (async () => challenge(call, last))().catch(() => undefined);
    return false;
  }
  const { reason } = decision;
  const { throttle } = attachment;
  // A throttled call waits in the queue of its key.
  const keys = throttle && reason === 'throttled' ? keysOf(call, last.origin) : undefined;
  const delayMs = throttle && keys ? (throttle.queueOf(keys)?.delayMs ?? 0) : decision.delayMs;
  const now = attachment.clock.monotonic();
  if (reason !== 'throttled' && !attachment.budgets.of(last.origin, now).take(now)) {
    call.reason = 'retry-budget';
    return false;
  }
  discard(last.response?.data);
  const wait =
    throttle && keys
      ? (passThrottle(call, throttle, keys, permitted) ?? true)
      : waiting.sleep(delayMs).then(() => true);
  if (attachment.policy.onEvent)
    attachment.tell({ type: 'retry', ...sentAgain(call, last), delayMs: Math.round(delayMs), reason });
  return wait;
}

function permitted(call: Call, permit: Permit): boolean {
  call.permit = permit;
  return true;
}

const WITHHELD: Partial<Record<AuthErrorCode, SettleReason>> = {
  ERR_AUTH_DEADLINE: 'deadline',
  ERR_AUTH_THROTTLED: 'retry-after-too-long',
};

/** Why a call is not sent again although it was to be: then the answer that it has stands. */
export function withheld(error: unknown): SettleReason | undefined {
  return isAuthError(error) ? WITHHELD[error.code] : undefined;
}

/** Sends the call once more, as it was. undefined: deadline or gate kept it here, and the answer before stands. */
export async function resend(call: Call): Promise<PromiseSettledResult<AxiosResponse> | undefined> {
  const { config } = call;
  if (!config) return undefined;
  const repeated = copyOf(config);
  // What transformRequest made of the body is final; a second time it would encode it twice.
  repeated.transformRequest = [];
  const [result] = await Promise.allSettled([call.attachment.resender.request(repeated)]);
  // It may have been cancelled on its way to the wire.
  endPermit(call, 'ended');
  if (result.status === 'fulfilled') return result;
  const error = result.reason as Partial<AxiosError> | null;
  const reason = withheld(error);
  if (reason) {
    call.reason = reason;
    return undefined;
  }
  if (error?.config) error.config = config;
  return result;
}

function decideOn(call: Call, last: Attempt): Decision {
  const { attachment, policy, waiting } = call;
  const { outcome } = last;
  if (isThrottled(outcome)) call.throttles++;
  else if (outcome.kind !== 'answer' || !outcome.isUnauthorized || !last.isAuthorized) call.errors++;
  const progress = {
    errors: call.errors,
    throttles: call.throttles,
    isReauthorized: call.challenges >= (attachment.hooks.challengesPerCall ?? 1),
    remainingMs: waiting.remainingMs,
  };
  return decide(outcome, progress, circumstances(call, last), policy.retry, attachment.clock.random());
}

function circumstances(call: Call, last: Attempt): Circumstances {
  const { shouldRetry, retry, isIdempotent } = call.policy;
  const { view, response, error } = last;
  const hasKey = Boolean(view.headers.get('Idempotency-Key'));
  return {
    isAuthorized: last.isAuthorized,
    isReplayable: isReplayable(call.config?.data),
    isIdempotent: isIdempotent || hasKey || (retry !== false && retry.methods.has(view.method)),
    shouldRetry:
      shouldRetry &&
      ((willRetry) =>
        shouldRetry({
          ...sentAgain(call, last),
          attempt: call.attempts,
          ...(response && { status: response.status }),
          ...(error !== undefined && { error: error as AxiosError }),
          willRetry,
        })),
  };
}

/** With other credentials, after a 401. */
function replay(call: Call, isWorthIt: boolean): boolean {
  const { attachment, last } = call;
  if (!last) return false;
  if (isWorthIt) {
    discard(last.response?.data);
    call.isRefreshed = true;
    if (attachment.policy.onEvent) attachment.tell({ type: 'replay', ...sentAgain(call, last) });
  } else if (attachment.hooks.isRefreshUseless?.(last.view)) call.reason = 'refresh-breaker';
  return isWorthIt;
}

function challenge({ attachment }: Call, { view, response }: Attempt): boolean | Promise<boolean> {
  const { scheme } = attachment.policy;
  const answer = safeGet(scheme, 'onChallenge');
  if (!answer || !response) return false;
  return answer.call(scheme, { request: view, response, challenges: challengesOf(response) });
}

/** What events say of a call that is sent again: its URL without query and user-info. */
function sentAgain(call: Call, { view }: Attempt): { method: string; url: string; attempt: number } {
  return { method: view.method, url: view.url.origin + view.url.pathname, attempt: call.attempts + 1 };
}
