import type { AxiosResponse } from 'axios';
import type { AttachedInstance, ResponseHandler } from '../attached-instance.js';
import { Call } from '../call/call.js';
import { readAnswer, type Answer } from '../call/outcome.js';
import { nextStep } from '../call/recover.js';
import { callBehind, tagCall } from '../call/report.js';
import { resend, settleReasonOf } from '../call/resend.js';
import { hide, isAuthError } from '../errors.js';
import { isSuccess } from '../retry/decide.js';
import { isObject, safeGet } from '../safe-read.js';

type Settled = PromiseSettledResult<unknown>;

/** The recovery loop: decide, wait or reauthorize, send again, until the call settles. Later handlers see the outcome, once. */
export function responseInterceptor(instance: AttachedInstance) {
  const fulfilled = (response: AxiosResponse): AxiosResponse | Promise<AxiosResponse> => {
    const call = openCall(callBehind(response));
    return call ? (settle(call, { status: 'fulfilled', value: response }) as Promise<AxiosResponse>) : response;
  };
  const rejected = (error: unknown): Promise<unknown> => {
    const call = openCall(instance.callOf(error) ?? callBehind(error));
    return call ? Promise.resolve(settle(call, { status: 'rejected', reason: error })) : Promise.reject(error);
  };

  /** The call of this instance that is still open; none if an earlier handler replaced the response by something else. */
  function openCall(behind: unknown): Call | undefined {
    return behind instanceof Call && !behind.isDone && behind.instance === instance ? behind : undefined;
  }

  /** An earlier cache may answer several calls with the response of one: then they share its recovery, too. */
  function settle(call: Call, settled: Settled): unknown {
    if (call.recovering) return call.recovering;
    const { last } = call;
    let answer: Answer | undefined;
    try {
      answer = last && readAnswer(call, last);
    } catch (error) {
      return fail(call, error);
    }
    const isFine = answer && isSuccess(answer.outcome) && !answer.notified;
    if (!isFine || settled.status === 'rejected') return (call.recovering = recover(call, settled, answer));
    call.finish();
    return settled.value;
  }

  async function recover(call: Call, first: Settled, firstAnswer: Answer | undefined): Promise<unknown> {
    let settled = first;
    let answer = firstAnswer;
    try {
      while (call.last && answer && (await nextStep(call, call.last, answer))) {
        // Read before the send, since detach() removes the mark between earlier and later handlers.
        const earlier = instance.responseHandlersBefore(fulfilled);
        const resent = await resend(call);
        if (!resent) break;
        settled = await through(earlier, resent);
        // It may have ended before it was sent.
        if (call.last.isDecided || isOfAnotherCall(settled, call)) break;
        answer = readAnswer(call, call.last);
      }
    } catch (error) {
      const reason = settleReasonOf(error);
      // A response that a scheme has not read yet is not passed on.
      if (!reason || !call.last?.isDecided || !call.last.response) return await fail(call, error);
      call.reason = reason;
    }
    if (settled.status === 'fulfilled') {
      call.finish();
      return settled.value;
    }
    const reason: unknown = settled.reason;
    const isOwn = isAuthError(reason) && !isOfAnotherCall(settled, call);
    if (isOwn || instance.callOf(reason)) return fail(call, reason);
    call.finish();
    throw reason;
  }

  return { fulfilled, rejected };
}

/** Rejects with an error that is not axios's own. It leads to the call, and gets the server's response if there was one. */
function fail(call: Call, cause: unknown): Promise<never> {
  const response = call.last?.response;
  const error = call.inContext(cause, response);
  if (isObject(error)) {
    if (response && !safeGet(error, 'response')) hide(error, 'response', response);
    if (response && !safeGet(error, 'config')) hide(error, 'config', call.config);
    else tagCall(error, call);
  }
  call.finish();
  return Promise.reject(error);
}

/** An earlier handler made another call with it, which has settled. */
function isOfAnotherCall(settled: Settled, call: Call): boolean {
  const other = callBehind(settled.status === 'fulfilled' ? settled.value : settled.reason);
  return other !== undefined && other !== call;
}

/** Handlers added before attachAuth() get every attempt. */
async function through(handlers: readonly ResponseHandler[], settled: Settled): Promise<Settled> {
  let result: Promise<unknown> =
    settled.status === 'fulfilled' ? Promise.resolve(settled.value) : Promise.reject(settled.reason as Error);
  for (const { fulfilled, rejected } of handlers) result = result.then(fulfilled, rejected);
  const [passed] = await Promise.allSettled([result]);
  return passed;
}
