import type { AxiosError, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import { detached, type Attachment } from '../attachment.js';
import { AuthError } from '../errors.js';
import { isPromise } from '../schemes/scheme.js';
import { resolveAdapter } from '../wire/adapter.js';
import { copyHeaders, writtenHeaders } from '../wire/header-values.js';
import { fullUrl, resolveUrl, type Destination } from '../wire/origin.js';
import type { Gate } from '../traffic/gate.js';
import { RequestView } from '../wire/request-view.js';
import { send } from '../wire/wire.js';
import type { Attempt, Call } from './call.js';
import { isThrottled, readAnswer, readError } from './outcome.js';

type Config = InternalAxiosRequestConfig;

/** Stands where the adapter was: what comes before an attempt, the attempt, and what it taught. */
export async function attempt(call: Call, config: Config): Promise<AxiosResponse> {
  const { attachment, waiting } = call;
  if (attachment.isDetached) throw detached();
  waiting.assertInTime();
  const destination = attachment.destinations.of(config);
  const { origin } = destination;
  const isAuthorized = call.policy.credentials === 'attach' && mayAuthorize(config, destination, attachment);
  waiting.principalOf = isAuthorized ? call.key : undefined;
  const view = await prepare(call, config, origin, isAuthorized);
  const { credentialHeaders: named } = attachment.policy.scheme;
  const credentialHeaders = isAuthorized ? writtenHeaders(config.headers, view.headers, named) : [];
  const adapter = resolveAdapter(config, call.adapters);
  if (++call.attempts === 1) attachment.budget(origin).countCall(attachment.clock.monotonic());
  const made: Attempt = {
    view,
    origin,
    isAuthorized,
    outcome: { kind: 'final' },
    response: undefined,
    error: undefined,
    isDecided: false,
  };
  call.last = made;
  try {
    const response = await send({
      config,
      headers: view.headers,
      credentialHeaders,
      url: view.seenUrl,
      origin,
      adapter,
    });
    learn(call, made, response);
    return response;
  } catch (error) {
    const { response } = (error ?? {}) as Partial<AxiosError>;
    made.error = error;
    if (response) learn(call, made, response);
    // What has no origin reaches no server, however often.
    else if (origin !== 'null') made.outcome = readError(error);
    throw error;
  }
}

/** Waits for the gate and lets the scheme write its headers: once more if the gate has closed while it did. */
async function prepare(call: Call, config: Config, origin: string, isAuthorized: boolean): Promise<RequestView> {
  const { attachment, waiting } = call;
  const { gate } = attachment;
  for (;;) {
    const view = new RequestView(config, copyHeaders(config.headers), call.attempts + 1, call);
    if (gate && !gate.isCalm) await passGate(call, gate, view, origin);
    try {
      const authorizing = isAuthorized ? attachment.policy.scheme.authorize(view) : undefined;
      if (!isPromise(authorizing)) return view;
      await waiting.race(authorizing);
    } finally {
      waiting.rest();
    }
    if (!gate || gate.isCalm || !gate.isClosed(gateKeys(attachment, view, origin))) return view;
  }
}

async function passGate(call: Call, gate: Gate, view: RequestView, origin: string): Promise<void> {
  const { attachment, waiting, policy } = call;
  for (;;) {
    const longestMs = Math.min(waiting.remainingMs, policy.retry ? policy.retry.maxRetryAfterMs : Infinity);
    const ticket = gate.enter(gateKeys(attachment, view, origin), longestMs);
    if (!ticket) return;
    if (ticket.refusal) {
      call.comeBackIn(ticket.opensInMs);
      throw ticket.refusal;
    }
    await waiting.race(ticket.turn, ticket.leave);
  }
}

/** The narrower limit first, then the one it may be part of. */
function gateKeys({ policy: { throttle } }: Attachment, view: RequestView, origin: string): readonly [string, string?] {
  return throttle && throttle.keyOf ? [throttle.keyOf(view)] : [origin + view.url.pathname, origin];
}

function learn({ attachment, key }: Call, made: Attempt, response: AxiosResponse): void {
  const { view, origin, isAuthorized } = made;
  const outcome = readAnswer(response, origin, attachment);
  made.response = response;
  made.outcome = outcome;
  if (outcome.kind !== 'answer') return;
  attachment.learnTime(response);
  if (isAuthorized) attachment.hooks.answered?.(key, outcome.isUnauthorized);
  if (isThrottled(outcome) && !attachment.isDetached)
    attachment.gate?.close(gateKeys(attachment, view, origin), outcome.retryAfterMs);
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
