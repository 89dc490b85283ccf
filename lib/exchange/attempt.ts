import type { AxiosError, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import { isPromise } from '../schemes/scheme.js';
import type { MaybePromise } from '../session/store.js';
import { said } from '../own.js';
import { resolveAdapter } from '../wire/adapter.js';
import { copyHeaders, writtenHeaders } from '../wire/header-values.js';
import type { Gate } from '../traffic/gate.js';
import { RequestView } from '../wire/request-view.js';
import { Passage } from '../wire/wire.js';
import { mayAuthorize } from './authorization.js';
import { Attempt, type Call } from './call.js';
import { isThrottled, readAnswer, readError } from './outcome.js';
import { endPass, gateKeys, passGate } from './turn.js';

type Config = InternalAxiosRequestConfig;

/** Stands where the adapter was. A call that waits for a refresh keeps nothing meanwhile, and begins anew. */
export function attempt(call: Call, config: Config): Promise<AxiosResponse> {
  const { attachment, waiting } = call;
  try {
    waiting.assertOngoing();
    const { gate, hooks } = attachment;
    const destination = attachment.destinations.of(config);
    const isAuthorized = call.policy.credentials === 'attach' && mayAuthorize(config, destination, attachment);
    call.isAuthorized = isAuthorized;
    const busyGate = gate && !gate.isCalm ? gate : undefined;
    const busy = isAuthorized && !busyGate ? hooks.busy?.(call.key, call) : undefined;
    if (!busy) return make(call, config, destination.origin, isAuthorized, busyGate);
    return waiting.after(busy, () => attempt(call, config));
  } catch (error) {
    return Promise.reject(call.inContext(error));
  }
}

/** What comes before the call is sent, the sending, and what it taught. */
async function make(
  call: Call,
  config: Config,
  origin: string,
  isAuthorized: boolean,
  gate: Gate | undefined,
): Promise<AxiosResponse> {
  try {
    const preparing = gate
      ? prepareInTurn(call, gate, config, origin, isAuthorized)
      : prepare(call, config, origin, isAuthorized);
    const view = isPromise(preparing) ? await preparing : preparing;
    if (isPromise(preparing)) call.waiting.assertOngoing();
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

/** Lets the scheme write its headers. What need not wait costs no promise. */
function prepare(call: Call, config: Config, origin: string, isAuthorized: boolean): MaybePromise<RequestView> {
  const { gate } = call.attachment;
  const view = viewOf(call, config);
  const authorizing = isAuthorized ? authorize(call, view) : undefined;
  return authorizing
    ? authorizing.then(() =>
        gate && !gate.isCalm && gate.opensInMs(gateKeys(call.attachment, view, origin)) > 0
          ? prepareInTurn(call, gate, config, origin, isAuthorized)
          : view,
      )
    : view;
}

/** Authorized afresh if the gate has closed meanwhile: a signature or a token may be too old by then. */
async function prepareInTurn(
  call: Call,
  gate: Gate,
  config: Config,
  origin: string,
  isAuthorized: boolean,
): Promise<RequestView> {
  for (;;) {
    const view = viewOf(call, config);
    await passGate(call, gate, view, origin);
    if (isAuthorized) await authorize(call, view);
    if (gate.opensInMs(gateKeys(call.attachment, view, origin)) <= 0) return view;
    endPass(call, 'ended');
  }
}

function viewOf(call: Call, config: Config): RequestView {
  return new RequestView(config, copyHeaders(config.headers), call.attempts + 1, call);
}

/** undefined: the scheme was ready at once. */
function authorize({ attachment, waiting }: Call, view: RequestView): Promise<void> | undefined {
  const authorizing = attachment.policy.scheme.authorize(view);
  return isPromise(authorizing) ? waiting.race(authorizing) : undefined;
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
