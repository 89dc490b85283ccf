import type { AxiosError, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import { detached, type Attachment } from '../attachment.js';
import { AuthError } from '../errors.js';
import { isPromise } from '../schemes/scheme.js';
import type { MaybePromise } from '../session/store.js';
import { said } from '../own.js';
import { resolveAdapter } from '../wire/adapter.js';
import { copyHeaders, writtenHeaders } from '../wire/header-values.js';
import { fullUrl, resolveUrl, type Destination } from '../wire/origin.js';
import type { Admission, Entry, Gate, GateKeys } from '../traffic/gate.js';
import type { Verdict } from '../traffic/lane.js';
import { RequestView } from '../wire/request-view.js';
import { Passage } from '../wire/wire.js';
import { Attempt, type Call } from './call.js';
import { isThrottled, readAnswer, readError } from './outcome.js';

type Config = InternalAxiosRequestConfig;

/** Stands where the adapter was: what comes before an attempt, the attempt, and what it taught. */
export async function attempt(call: Call, config: Config): Promise<AxiosResponse> {
  try {
    const { attachment, waiting } = call;
    if (attachment.isDetached) throw detached();
    waiting.assertInTime();
    const destination = attachment.destinations.of(config);
    const isAuthorized = call.policy.credentials === 'attach' && mayAuthorize(config, destination, attachment);
    waiting.principalOf = isAuthorized ? call.key : undefined;
    const preparing = prepare(call, config, destination.origin, isAuthorized);
    const view = isPromise(preparing) ? await preparing : preparing;
    if (isPromise(preparing)) waiting.assertOngoing();
    const made = new Attempt(view, destination.origin, isAuthorized);
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

/** The gate hears what became of the attempt, once. */
function endPass(call: Call, verdict: Verdict): void {
  const { pass } = call;
  call.pass = undefined;
  pass?.lane.heard(pass, verdict);
}

/** Waits for the gate and lets the scheme write its headers. What need not wait costs no promise. */
function prepare(call: Call, config: Config, origin: string, isAuthorized: boolean): MaybePromise<RequestView> {
  const { gate } = call.attachment;
  if (gate && !gate.isCalm) return prepareInTurn(call, gate, config, origin, isAuthorized);
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
  if (isPromise(authorizing))
    return waiting.race(authorizing).finally(() => {
      waiting.rest();
    });
  waiting.rest();
  return undefined;
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

async function passGate(call: Call, gate: Gate, view: RequestView, origin: string): Promise<void> {
  const { attachment, waiting, policy } = call;
  const longestMs = policy.retry ? policy.retry.maxRetryAfterMs : Infinity;
  const entry = gate.enter(gateKeys(attachment, view, origin), {
    mayWait: (opensInMs) => opensInMs <= Math.min(longestMs, waiting.remainingMs),
    isKnown: call.attempts > 0,
  });
  const admission = entry?.kind === 'wait' ? await inTurn(entry) : entry;
  if (admission?.kind === 'refused') {
    call.comeBackIn(admission.opensInMs);
    throw admission.error;
  }
  call.pass = admission?.pass;

  async function inTurn({ turn, leave }: Extract<Entry, { kind: 'wait' }>): Promise<Admission> {
    try {
      return await waiting.race(turn);
    } catch (error) {
      leave();
      throw error;
    }
  }
}

/** The narrower limit first, then the one it may be part of. */
export function gateKeys({ policy: { throttle } }: Attachment, view: RequestView, origin: string): GateKeys {
  return throttle && throttle.keyOf ? [throttle.keyOf(view)] : [origin + view.url.pathname, origin];
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

/**
 * Whether the scheme may put credentials on this call. It stays out where the caller brought some, and where the URL
 * leads to somebody else.
 * @throws AuthError where the call must not be sent at all.
 */
export function mayAuthorize(
  config: InternalAxiosRequestConfig,
  { kind, origin, isSecure }: Destination,
  { policy }: Attachment,
): boolean {
  if (bringsItsOwn(config)) return false;
  if (kind === 'unknown') {
    throw new AuthError(
      'ERR_AUTH_FOREIGN_ORIGIN',
      `Nothing says that ${origin} may receive credentials: set the instance's baseURL, or attachAuth's origins: ['${origin}'].`,
    );
  }
  if (kind === 'foreign') {
    if (policy.foreignOrigin !== 'refuse') return false;
    throw new AuthError(
      'ERR_AUTH_FOREIGN_ORIGIN',
      `${origin} is none of the origins that may receive credentials (foreignOrigin: 'refuse').`,
    );
  }
  if (isSecure) return true;
  throw new AuthError(
    'ERR_AUTH_INSECURE',
    `${policy.scheme.name} credentials must not go to ${origin} unencrypted: use https, or allowInsecure.`,
  );
}

function bringsItsOwn(config: InternalAxiosRequestConfig): boolean {
  if ((Object.hasOwn(config, 'auth') && config.auth) || config.headers.get('Authorization')) return true;
  if (!config.url?.includes('@') && !config.baseURL?.includes('@')) return false;
  const { username, password } = resolveUrl(fullUrl(config));
  return username + password !== '';
}
