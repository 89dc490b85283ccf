import type { AxiosError, AxiosResponse } from 'axios';
import { chainOf } from '../errors.js';
import { headersOf } from '../http/response-headers.js';
import { parseChallenges, type Challenge } from '../http/www-authenticate.js';
import { isPromise, quiet } from '../maybe-promise.js';
import { isThrottled, type Outcome } from '../retry/decide.js';
import { safeGet } from '../safe-read.js';
import type { SchemeState } from '../schemes/scheme-state.js';
import { FINAL_CODE } from '../transport/platform.node.js';
import type { Attempt } from './attempt.js';
import type { Call } from './call.js';

/** The result of an attempt, and the schemes whose credentials it refuses. */
export interface Answer {
  readonly outcome: Outcome;
  readonly refusedBy: readonly SchemeState[];
  /** Resolves once the schemes have read the response. undefined: they have. */
  readonly notified: Promise<unknown> | undefined;
}

/** Classifies an attempt, and passes its response to the schemes that authorized it. @throws the error of a predicate. */
export function readAnswer(call: Call, attempt: Attempt): Answer {
  const { response, authorized } = attempt;
  const readers = response && !attempt.isForeign ? authorized : [];
  const refusedBy: SchemeState[] = [];
  let outcome: Outcome;
  try {
    for (const state of readers) if (response && isRefusal(call, state, response)) refusedBy.push(state);
  } finally {
    // Also if a predicate throws: other calls wait for the permit.
    outcome = outcomeOf(attempt, refusedBy.length > 0);
    call.pass.report(attempt, isThrottled(outcome));
  }
  return { outcome, refusedBy, notified: notify(attempt, readers, refusedBy) };
}

/** Calls `onAnswer` of each scheme. An error rejects the promise only after the promises of the other schemes. */
function notify(
  { response, request, received }: Attempt,
  readers: readonly SchemeState[],
  refusedBy: readonly SchemeState[],
): Promise<unknown> | undefined {
  const pending: Promise<unknown>[] = [];
  for (const state of readers) {
    try {
      const isRefusal = refusedBy.includes(state);
      const onAnswer = safeGet(state.scheme, 'onAnswer');
      const done = response && onAnswer?.call(state.scheme, { request, response, isRefusal, received });
      if (isPromise(done)) pending.push(done);
    } catch (error) {
      pending.push(Promise.reject(error));
    }
  }
  return pending.length > 0 ? Promise.all(pending) : undefined;
}

/** Whether a response refuses the credentials of a scheme. Only `true` counts, so that an async predicate decides nothing. */
function isRefusal({ instance, principal }: Call, { scheme }: SchemeState, response: AxiosResponse): boolean {
  const { isUnauthorized } = instance.policy;
  const ownPredicate = safeGet(scheme, 'isRefusal');
  if (ownPredicate && (!isUnauthorized || principal.schemes.length > 1))
    return quiet<unknown>(ownPredicate.call(scheme, response)) === true;
  if (isUnauthorized) return quiet<unknown>(isUnauthorized(response)) === true;
  return (
    response.status === 401 && !challengesOf(response).some(({ params }) => NOT_THE_TOKEN.test(params['error'] ?? ''))
  );
}

/** The token is valid but not sufficient (RFC 6750 §3.1, RFC 9470). A refresh would not help. */
const NOT_THE_TOKEN = /^insufficient_(?:scope|user_authentication)$/;

export function challengesOf(response: AxiosResponse): Challenge[] {
  return parseChallenges(headersOf(response, 'www-authenticate'));
}

function outcomeOf(attempt: Attempt, isRefusal: boolean): Outcome {
  const { response, error, refusal, request } = attempt;
  const isGood = response !== undefined && response.status < 400 && !isRefusal;
  // axios puts the response on the error of a body that was cut.
  if (response && !(isGood && safeGet(error, 'code') !== undefined)) {
    if (attempt.isForeign && !isGood) return { kind: 'final' };
    const { retryAfterMs, isRounded } = refusal ?? {};
    return { kind: 'answer', status: response.status, isRefusal, retryAfterMs, isRounded };
  }
  // An opaque origin cannot be reached; do not retry.
  if (request.origin === 'null' || safeGet(error, 'isAxiosError') !== true) return { kind: 'final' };
  if (attempt.isTimeout) return { kind: 'timeout' };
  return { kind: chainOf(error).some(isFinal) ? 'final' : 'network' };
}

/** Over fetch only the cause has the code. */
function isFinal(failure: Partial<AxiosError>): boolean {
  const { message } = failure;
  const code = safeGet(failure, 'code') ?? '';
  if (code === 'ERR_BAD_RESPONSE') return message !== 'stream has been aborted';
  // The message of Node's fetch if `redirect: 'error'` forbids a redirect.
  return FINAL_CODE.test(code) || message === 'unexpected redirect';
}
