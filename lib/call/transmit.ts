import type { AxiosError, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import type { BareReason } from '../events.js';
import { isThrottling } from '../retry/decide.js';
import { safeGet } from '../safe-read.js';
import type { ResolvedAdapter } from '../transport/adapter.js';
import { wasFetchedElsewhere } from '../transport/redirects.js';
import { applyUrl, send } from '../transport/send.js';
import { guardTransforms } from '../transport/transform-guard.js';
import { Attempt } from './attempt.js';
import { CallRequest } from './auth-request.js';
import { authorize } from './authorize.js';
import type { Call } from './call.js';
import { limitsOf } from './outcome.js';

type Config = InternalAxiosRequestConfig;

export interface Transmission {
  /** The call's own config. */
  readonly config: Config;
  /** The snapshot that is sent. */
  readonly copy: Config;
  readonly adapter: ResolvedAdapter;
}

/** Sends an attempt whose headers are written, and reads what the response says about clocks and limits. */
export function transmit(
  call: Call,
  attempt: Attempt,
  { config, copy, adapter }: Transmission,
): Promise<AxiosResponse> {
  const { instance } = call;
  const { request } = attempt;
  const { origin } = request;
  const isUrlModified = applyUrl(copy, request, adapter.transport);
  call.bare = bareReasonOf(call, attempt, isUrlModified);
  call.last = attempt;
  if (++call.attempts === 1) instance.budgets.countCall(origin);
  // So that exchangeOf() knows the copy, too. The call passes it on to the real adapter if it is sent through this one.
  copy.adapter = call.adapter;
  call.sending = { copy, send: adapter.send };
  request.handOver(config);
  /** A redirect within the origin needs a signature of its own. */
  const reauthorize = async (hop: Config): Promise<void> => {
    for (const name of attempt.written) hop.headers.delete(name);
    const next = new Attempt(new CallRequest(hop, request.attempt, origin, call), attempt.schemes, undefined);
    await authorize(next, attempt.authorized, config);
    applyUrl(hop, next.request, adapter.transport);
  };
  const credentialHeaders = [...attempt.written];
  for (const state of attempt.authorized) credentialHeaders.push(...state.credentialHeaders);
  const isRepeated = call.attempts > 1;
  return send({ config, copy, adapter, origin, credentialHeaders, isRepeated, reauthorize }).then(
    (response) => {
      answered(call, attempt, response);
      return response;
    },
    (error: unknown) => {
      attempt.error = error;
      const response = safeGet(error as Partial<AxiosError> | undefined, 'response');
      if (response) answered(call, attempt, response);
      throw error;
    },
  );
}

function bareReasonOf({ principal }: Call, attempt: Attempt, isUrlModified: boolean): BareReason | undefined {
  if (attempt.bare) return attempt.bare;
  if (!attempt.authorized.includes(principal.main)) return 'own-credentials';
  if (attempt.written.length > 0 || isUrlModified) return undefined;
  return principal.main.session ? 'signed-out' : 'none-given';
}

/** Reads the clock and the limits of a response. A refusal by a limit is reported once the response is classified. */
function answered(call: Call, attempt: Attempt, response: AxiosResponse): void {
  const { request } = attempt;
  const { status } = response;
  attempt.response = response;
  attempt.received = response.data;
  const { dispatched, instance, adapter } = call;
  if (dispatched) guardTransforms(dispatched, (error) => instance.failedTransforms.set(error, adapter));
  if (wasFetchedElsewhere(response, request.origin)) return;
  if (attempt.authorized.length > 0) call.principal.main.learnClock(response, request.origin);
  if (status >= 400) attempt.limits = limitsOf(response, call.instance.clock.now());
  if (isThrottling(status, attempt.limits?.retryAfterMs)) {
    attempt.permit = call.permit;
    call.permit = undefined;
  } else call.release(status < 500 ? 'granted' : 'ended');
}

/** Reports the result of an attempt to the throttle, if a limit may have refused it. */
export function reportLimit(call: Call, attempt: Attempt, isThrottled: boolean): void {
  const { instance, throttle } = call;
  const { permit, limits, response } = attempt;
  attempt.permit = undefined;
  if (!isThrottled || !throttle || instance.isDetached) {
    permit?.release('ended');
    return;
  }
  const { quota, perSecond, policy } = limits?.rateLimit ?? {};
  const { retry } = call.policy;
  const probeEveryMs = response?.status === 503 ? retry.maxRetryAfterMs : undefined;
  const refusal = { retryAfterMs: limits?.retryAfterMs, probeEveryMs, quota, perSecond, policy };
  throttle.refused(call.keysOf(attempt), permit, refusal, retry, instance.emitRef);
}
