import { isPromise } from '../maybe-promise.js';
import type { AxiosError, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import { safeGet } from '../safe-read.js';
import type { Admission } from '../traffic/gate.js';
import { resolveAdapter } from '../transport/adapter.js';
import { writtenHeaders } from '../http/header-values.js';
import { RequestView } from '../transport/request-view.js';
import { Passage, snapshot } from '../transport/copy.js';
import { mayAuthorize } from './authorization.js';
import { Attempt, type Call } from './call.js';
import { isThrottled, readAnswer, readError } from './outcome.js';
import { admit, endPass, gateKeys, passGate } from './turn.js';

type Config = InternalAxiosRequestConfig;

/** Stands where the adapter was. Who waits for the gate or for a refresh keeps nothing meanwhile, and begins anew. */
export function attempt(call: Call, config: Config): Promise<AxiosResponse> {
  const { attachment, waiting } = call;
  try {
    waiting.assertOngoing();
    const { gate, hooks } = attachment;
    const copy = snapshot(config);
    const destination = attachment.destinations.of(copy);
    const { origin } = destination;
    call.isAuthorized = call.policy.credentials === 'attach' && mayAuthorize(copy, destination, attachment);
    const view = new RequestView(copy, call.attempts + 1, call);
    const turn = gate && !gate.isCalm ? passGate(call, gate, gateKeys(attachment, view, origin), admitted) : undefined;
    if (turn) return turn;
    const busy = call.isAuthorized ? hooks.waitFor?.(call.key, call) : undefined;
    if (!busy) return make(call, config, copy, view, origin);
    return waiting.after(busy, again, call.pass && call);
  } catch (error) {
    endPass(call, 'ended');
    return Promise.reject(call.inContext(error));
  }
}

function again(call: Call): Promise<AxiosResponse> {
  return attempt(call, call.config as Config);
}

function admitted(call: Call, admission: Admission): Promise<AxiosResponse> {
  admit(call, admission);
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
      // A signature or a token may be too old once the gate opens again.
      if (isGateClosed(call, view, origin)) return await attempt(call, config);
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
    endPass(call, 'ended');
  }
}

function isGateClosed({ attachment }: Call, view: RequestView, origin: string): boolean {
  const { gate } = attachment;
  return gate !== undefined && !gate.isCalm && gate.opensInMs(gateKeys(attachment, view, origin)) > 0;
}

/** The call is ready to leave, and counts as an attempt from now on. */
function depart(call: Call, config: Config, copy: Config, made: Attempt): Passage {
  const { attachment } = call;
  const { view, origin, isAuthorized } = made;
  const credentialHeaders = isAuthorized
    ? writtenHeaders(config.headers, copy.headers, attachment.policy.credentialHeaders)
    : [];
  const adapter = resolveAdapter(copy, call.adapters);
  if (++call.attempts === 1) attachment.budget(origin).countCall(call.waiting.beganAt);
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
    const answer = { request: view, response, isRefusal: outcome.isUnauthorized, received: response.data as unknown };
    void attachment.onAnswer?.call(attachment.policy.scheme, answer);
  }
  if (!isThrottled(outcome)) {
    if (!call.pass && outcome.status < 500) attachment.gate?.granted(call.waiting.beganAt);
    endPass(call, outcome.status < 500 ? 'granted' : 'ended');
  } else if (!attachment.isDetached && attachment.gate) {
    const { retryAfterMs, limit } = outcome;
    const { pass } = call;
    call.pass = undefined;
    attachment.gate.refused(gateKeys(attachment, view, origin), pass, {
      retryAfterMs,
      quota: limit?.quota,
      perSecond: limit?.perSecond,
      policy: limit?.policy,
    });
  }
}
