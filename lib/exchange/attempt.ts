import type { AxiosError, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import { isPromise } from '../schemes/scheme.js';
import { said } from '../own.js';
import { resolveAdapter } from '../wire/adapter.js';
import { copyHeaders, writtenHeaders } from '../wire/header-values.js';
import { RequestView } from '../wire/request-view.js';
import { Passage } from '../wire/wire.js';
import { mayAuthorize } from './authorization.js';
import { Attempt, type Call } from './call.js';
import { isThrottled, readAnswer, readError } from './outcome.js';
import { endPass, gateKeys, passGate } from './turn.js';

type Config = InternalAxiosRequestConfig;

/** Stands where the adapter was. Who waits for the gate or for a refresh keeps nothing meanwhile, and begins anew. */
export function attempt(call: Call, config: Config): Promise<AxiosResponse> {
  const { attachment, waiting } = call;
  const again = (): Promise<AxiosResponse> => attempt(call, config);
  try {
    waiting.assertOngoing();
    const { gate, hooks } = attachment;
    const destination = attachment.destinations.of(config);
    call.isAuthorized = call.policy.credentials === 'attach' && mayAuthorize(config, destination, attachment);
    const turn =
      gate && !gate.isCalm ? passGate(call, gate, viewOf(call, config), destination.origin, again) : undefined;
    if (turn) return turn;
    const busy = call.isAuthorized ? hooks.busy?.(call.key, call) : undefined;
    if (!busy) return make(call, config, destination.origin);
    return waiting.after(busy, again, () => {
      endPass(call, 'ended');
    });
  } catch (error) {
    endPass(call, 'ended');
    return Promise.reject(call.inContext(error));
  }
}

/** Lets the scheme write its headers, sends the call, and learns from what comes back. */
async function make(call: Call, config: Config, origin: string): Promise<AxiosResponse> {
  const { attachment, waiting, isAuthorized } = call;
  try {
    const view = viewOf(call, config);
    const authorizing = isAuthorized ? attachment.policy.scheme.authorize(view) : undefined;
    if (isPromise(authorizing)) {
      await waiting.race(authorizing);
      waiting.assertOngoing();
      // A signature or a token may be too old once the gate opens again.
      if (isGateClosed(call, view, origin)) return await attempt(call, config);
    }
    const made = new Attempt(view, origin, isAuthorized);
    const passage = depart(call, config, made);
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

function viewOf(call: Call, config: Config): RequestView {
  return new RequestView(config, copyHeaders(config.headers), call.attempts + 1, call);
}

function isGateClosed({ attachment }: Call, view: RequestView, origin: string): boolean {
  const { gate } = attachment;
  return gate !== undefined && !gate.isCalm && gate.opensInMs(gateKeys(attachment, view, origin)) > 0;
}

/** The call is ready to leave, and counts as an attempt from now on. */
function depart(call: Call, config: Config, made: Attempt): Passage {
  const { attachment } = call;
  const { view, origin, isAuthorized } = made;
  const { headers, seenUrl: url } = view;
  const credentialHeaders = isAuthorized
    ? writtenHeaders(config.headers, headers, attachment.policy.credentialHeaders)
    : [];
  const adapter = resolveAdapter(config, call.adapters);
  if (++call.attempts === 1) attachment.budget(origin).countCall(call.waiting.beganAt);
  call.last = made;
  const mayGoInClear = attachment.policy.origins.allowInsecure === true;
  const isRepeated = call.attempts > 1;
  return new Passage({ config, headers, credentialHeaders, url, origin, adapter, isRepeated, mayGoInClear });
}

function fail(call: Call, made: Attempt, error: unknown): unknown {
  const response = said(error as Partial<AxiosError> | undefined, 'response');
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
  attachment.learnTime(response);
  if (isAuthorized) attachment.hooks.answered?.(view, outcome.isUnauthorized);
  if (!isThrottled(outcome)) endPass(call, outcome.status < 500 ? 'granted' : 'ended');
  else if (!attachment.isDetached && attachment.gate) {
    const { retryAfterMs, limit } = outcome;
    const { pass } = call;
    call.pass = undefined;
    attachment.gate.refused(gateKeys(attachment, view, origin), pass, {
      retryAfterMs,
      perSecond: limit?.perSecond,
      policy: limit?.policy,
    });
  }
}
