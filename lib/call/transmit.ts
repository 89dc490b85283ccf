import type { AxiosError, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import type { BareReason } from '../events.js';
import { isThrottling } from '../retry/decide.js';
import { isObject, safeGet } from '../safe-read.js';
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
  applyUrl(copy, request, adapter.transport);
  call.bare = bareReasonOf(call, attempt);
  call.last = attempt;
  if (++call.attempts === 1) instance.budgets.countCall(origin);
  // So that exchangeOf() knows the copy, too. The call passes it on to the real adapter if it is sent through this one.
  copy.adapter = call.adapter;
  call.sending = { copy, send: adapter.send };
  request.handOver(config);
  const credentialHeaders = [...attempt.written];
  for (const state of attempt.authorized) credentialHeaders.push(...state.credentialHeaders);
  /** A redirect within the origin needs a signature of its own. */
  const reauthorize = async (hop: Config): Promise<void> => {
    for (const name of credentialHeaders) hop.headers.delete(name);
    const next = new Attempt(new CallRequest(hop, request.attempt, origin, call), attempt.schemes, undefined);
    await authorize(next, attempt.authorized, config);
    credentialHeaders.push(...next.written);
    applyUrl(hop, next.request, adapter.transport);
  };
  const isRepeated = call.attempts > 1;
  return send({ config, copy, adapter, origin, credentialHeaders, isRepeated, reauthorize }).then(
    (response) => {
      answered(call, attempt, response);
      return response;
    },
    (error: unknown) => {
      attempt.error = error;
      if (!safeGet(error, 'config')) claim(call, error);
      const response = safeGet(error as Partial<AxiosError> | undefined, 'response');
      if (response) answered(call, attempt, response);
      throw error;
    },
  );
}

function bareReasonOf({ principal: { main } }: Call, attempt: Attempt): BareReason | undefined {
  if (attempt.bare) return attempt.bare;
  if (!attempt.authorized.includes(main)) return 'own-credentials';
  // A scheme that names no headers may leave its credentials to the transport, as a cookie log-in does.
  if (attempt.writers.includes(main) || main.credentialHeaders.length === 0) return undefined;
  return main.session ? 'signed-out' : 'none-given';
}

/** Notes that an error without a config belongs to this call. An object that open calls share leads to none of them. */
function claim(call: Call, error: unknown): void {
  if (!isObject(error)) return;
  const { callsOfErrors } = call.instance;
  const other = callsOfErrors.get(error);
  const isShared = other === null || (other && other !== call && !other.isDone);
  callsOfErrors.set(error, isShared ? null : call);
}

/** Reads the clock and the limits of a response. */
function answered(call: Call, attempt: Attempt, response: AxiosResponse): void {
  const { request } = attempt;
  const { status } = response;
  attempt.response = response;
  attempt.received = response.data;
  const { dispatched, instance } = call;
  if (dispatched)
    guardTransforms(dispatched, (error) => {
      claim(call, error);
    });
  if (wasFetchedElsewhere(response, request.origin)) return;
  if (attempt.authorized.length > 0) call.principal.main.learnClock(response, request.origin);
  if (status >= 400) attempt.limits = limitsOf(response, call.instance.clock.now());
  if (!isThrottling(status, attempt.limits?.retryAfterMs)) {
    call.release(status < 500 ? 'granted' : 'ended');
    return;
  }
  attempt.permit = call.permit;
  call.permit = undefined;
  attempt.mayBeLimited = true;
  const hasPredicate = instance.policy.isUnauthorized ?? attempt.authorized.some(({ scheme }) => scheme?.isRefusal);
  if (!hasPredicate) reportLimit(call, attempt, true);
}

/** Reports to the throttle whether a limit refused the attempt. */
export function reportLimit(call: Call, attempt: Attempt, isThrottled: boolean): void {
  const { instance, throttle } = call;
  const { permit, limits, response } = attempt;
  if (!attempt.mayBeLimited) return;
  attempt.mayBeLimited = false;
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
