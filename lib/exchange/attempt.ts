import { isPromise } from '../maybe-promise.js';
import type { AxiosError, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import { safeGet } from '../safe-read.js';
import type { Permit } from '../throttle/throttle.js';
import { resolveAdapter } from '../transport/adapter.js';
import { writtenHeaders } from '../http/header-values.js';
import { RequestView } from '../transport/request-view.js';
import { Passage, snapshot } from '../transport/copy.js';
import { mayAuthorize } from './authorization.js';
import { Attempt, type Call } from './call.js';
import { isThrottled, readAnswer, readError } from './outcome.js';
import { endPermit, keysOf, passThrottle } from './turn.js';

type Config = InternalAxiosRequestConfig;

/** Stands where the adapter was. Who waits for the gate or for a refresh keeps nothing meanwhile, and begins anew. */
export function attempt(call: Call, config: Config): Promise<AxiosResponse> {
  const { attachment, waiting } = call;
  try {
    waiting.assertOngoing();
    const { throttle, hooks } = attachment;
    const copy = snapshot(config);
    const destination = attachment.destinations.of(copy);
    const { origin } = destination;
    call.isAuthorized = call.policy.credentials === 'attach' && mayAuthorize(copy, destination, attachment);
    const view = new RequestView(copy, call.attempts + 1, call);
    const asking = askShared(call, origin);
    if (asking) return waiting.after(asking, again, call.permit && call);
    const entry =
      throttle && !throttle.isIdle ? passThrottle(call, throttle, keysOf(call, origin), permitted) : undefined;
    if (entry) return entry;
    const busy = call.isAuthorized ? hooks.busy?.(call.key, call) : undefined;
    if (!busy) return make(call, config, copy, view, origin);
    return waiting.after(busy, again, call.permit && call);
  } catch (error) {
    endPermit(call, 'ended');
    return Promise.reject(call.inContext(error));
  }
}

function again(call: Call): Promise<AxiosResponse> {
  return attempt(call, call.config as Config);
}

/** Whether another machine was refused is asked once for each attempt. */
function askShared(call: Call, origin: string): Promise<unknown> | undefined {
  const { sharing } = call.attachment;
  if (!sharing || call.askedAttempt === call.attempts) return undefined;
  call.askedAttempt = call.attempts;
  return sharing.ask(keysOf(call, origin));
}

function permitted(call: Call, permit: Permit): Promise<AxiosResponse> {
  call.permit = permit;
  return again(call);
}

/** Lets the scheme write its headers, sends the call, and learns from what comes back. */
async function make(
  call: Call,
  config: Config,
  copy: Config,
  view: RequestView,
  origin: string,
): Promise<AxiosResponse> {
  const { attachment, waiting, isAuthorized } = call;
  try {
    const authorizing = isAuthorized ? attachment.policy.scheme.authorize(view) : undefined;
    if (isPromise(authorizing)) {
      await waiting.race(authorizing);
      waiting.assertOngoing();
      // A signature or a token may be too old once the key opens again.
      if (isClosed(call, origin)) return await attempt(call, config);
    }
    const made = new Attempt(view, origin, isAuthorized);
    const passage = depart(call, config, copy, made);
    try {
      const response = passage.received(await passage.send());
      learn(call, made, response);
      return response;
    } catch (error) {
      throw fail(call, made, passage.failed(error));
    }
  } catch (error) {
    throw call.inContext(error);
  } finally {
    endPermit(call, 'ended');
  }
}

function isClosed(call: Call, origin: string): boolean {
  const { throttle } = call.attachment;
  return throttle !== undefined && !throttle.isIdle && throttle.closedForMs(keysOf(call, origin)) > 0;
}

/** The call is ready to leave, and counts as an attempt from now on. */
function depart(call: Call, config: Config, copy: Config, made: Attempt): Passage {
  const { attachment } = call;
  const { view, origin, isAuthorized } = made;
  const credentialHeaders = isAuthorized
    ? writtenHeaders(config.headers, copy.headers, attachment.policy.credentialHeaders)
    : [];
  const adapter = resolveAdapter(copy, call.adapters);
  const { beganAt } = call.waiting;
  if (++call.attempts === 1) attachment.budgets.of(origin, beganAt).countCall(beganAt);
  call.last = made;
  const mayGoInClear = attachment.policy.origins.allowInsecure === true;
  const isRepeated = call.attempts > 1;
  const url = view.seenUrl;
  view.left(config);
  return new Passage({ config, copy, credentialHeaders, url, origin, adapter, isRepeated, mayGoInClear });
}

function fail(call: Call, made: Attempt, error: unknown): unknown {
  const response = safeGet(error as Partial<AxiosError> | undefined, 'response');
  made.error = error;
  if (response) learn(call, made, response);
  // What has no origin reaches no server, however often.
  else if (made.origin !== 'null') made.outcome = readError(error);
  return error;
}

function learn(call: Call, made: Attempt, response: AxiosResponse): void {
  const { attachment } = call;
  const { view, origin, isAuthorized } = made;
  const outcome = readAnswer(response, origin, attachment);
  made.response = response;
  made.outcome = outcome;
  if (outcome.kind !== 'answer') return;
  if (isAuthorized) {
    attachment.learnTime(response, origin);
    attachment.hooks.answered?.(view, outcome.isUnauthorized);
  }
  if (!isThrottled(outcome)) {
    endPermit(call, outcome.status < 500 ? 'granted' : 'ended');
    if (call.keys) attachment.limitEvents?.check(call.keys);
  } else if (!attachment.isDetached && attachment.throttle) {
    const keys = keysOf(call, origin);
    const { permit } = call;
    call.permit = undefined;
    const key = attachment.throttle.refused(keys, permit, outcome, call.policy.limits);
    if (outcome.status === 429 && outcome.retryAfterMs) attachment.sharing?.share(key, outcome.retryAfterMs);
    attachment.limitEvents?.check(keys);
  }
}
