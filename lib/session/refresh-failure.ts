import { chainOf } from '../errors.js';
import { dateOf, headerOf } from '../http/response-headers.js';
import { parseRetryAfter } from '../http/retry-after.js';
import { parseChallenges } from '../http/www-authenticate.js';
import { safeGet } from '../safe-read.js';
import { NETWORK_CODE } from '../transport/platform.node.js';
import type { Tokens } from './tokens.js';
import { is2xx } from '../transport/refresh-client.js';

/**
 * What a failed refresh means. Only the first three end a session, or show that there is none.
 *
 * - `refused`: the refresh token is no longer valid. The session ends for every holder of the store.
 * - `refused-here`: a plain 401 or 403, which a gateway may have sent. The session ends for this holder, the store stays as it is.
 * - `not-signed-in`: there was no session to refresh, and the server knows of none.
 * - `unreachable`: no response, and a network code says why. Sent again promptly.
 * - `unavailable`: 408, 429, 5xx or an HTML page. Sent again with backoff.
 * - `unanswered`: no response was read, but the server may have sent one. Not sent again within this refresh.
 * - `configuration`: the server refuses this client or request, or sends no token. Not sent again for a while.
 */
export type RefreshFailureKind =
  'refused' | 'refused-here' | 'not-signed-in' | 'unreachable' | 'unavailable' | 'unanswered' | 'configuration';

/** Why a refresh failed, as {@link classify} reads it from an error or a response. */
export interface RefreshFailure {
  readonly kind: RefreshFailureKind;
  /** The server sent a 2xx, so the refresh token may be spent. This refresh must not send it again, whatever the kind. */
  readonly mayBeSpent: boolean;
  /** For events: an OAuth error code, an error code of the network or the client, `rejected`, `status` or `unknown`. */
  readonly code: string;
  readonly status: number | undefined;
  /** What Retry-After asks for in ms, at most 60 000. */
  readonly retryAfterMs: number | undefined;
}

export interface FailureContext {
  readonly reason: 'missing' | 'expiring' | 'rejected' | 'manual';
  /** Epoch ms. */
  readonly now: number;
  /** The last response that `context.client` received during this refresh. */
  readonly received?: unknown;
  /** What {@link readUnreadBody} found. */
  readonly body?: string | undefined;
  /** `refresh()` resolved with the value instead of rejecting with it. */
  readonly isResult?: boolean;
  /** A server may repeat the refresh token as its error code. */
  readonly tokens?: Tokens | undefined;
}

/** As long as a refresh may take: the end of a longer Retry-After could not be waited for. */
const LONGEST_RETRY_AFTER_MS = 60_000;
/** Larger than any error document: parsing more would only cost time. */
const LONGEST_DOCUMENT = 65_536;
/** OAuth error codes about the client or the request (RFC 6749 §5.2, RFC 8628 §3.5, RFC 8707 §2, RFC 9449 §5). */
const CLIENT_REFUSED =
  /^(?:invalid_(?:client|request|scope|target|dpop_proof)|unauthorized_client|unsupported_grant_type|use_dpop_nonce|slow_down|server_error|temporarily_unavailable)$/;
/** The client did not wait for the response. */
const GIVEN_UP = /ABORTED|CANCELED|TIMEDOUT|TIMEOUT/;
/** `context.client` met a redirect to another origin, or an endpoint without TLS. */
const UNSAFE_ENDPOINT = /^ERR_AUTH_(?:FOREIGN_ORIGIN|INSECURE)$/;
/** oauth4webapi and openid-client throw these for a 2xx that they do not accept. */
const UNUSABLE_2XX = /^OAUTH_(?:INVALID_RESPONSE|PARSE_ERROR|JWT_\w+)$/;

/**
 * Classifies a failed refresh by name, status, OAuth error code and network code, never by a message. They are read from the
 * error or result, its `response` and its causes. This covers axios, fetch, ky, got, oauth4webapi and openid-client.
 */
export function classify(failure: unknown, context: FailureContext): RefreshFailure {
  try {
    return read(failure, context);
  } catch {
    // A getter or a proxy that throws.
    const { isResult = false } = context;
    return { kind: 'unanswered', mayBeSpent: isResult, code: 'unknown', status: undefined, retryAfterMs: undefined };
  }
}

function read(failure: unknown, context: FailureContext): RefreshFailure {
  const { reason, now, received, body, isResult = false, tokens } = context;
  const chain: readonly unknown[] = isResult ? [failure] : chainOf(failure);
  const codes = chain.map((each) => safeGet(each, 'code')).filter((code) => typeof code === 'string');
  // A cause says more: axios gives its ERR_NETWORK to a fetch that waited too long for the headers.
  const transport =
    codes.find((code) => GIVEN_UP.test(code) && !NETWORK_CODE.test(code)) ??
    codes.find((code) => NETWORK_CODE.test(code));
  const holders = chain.flatMap((each) => [safeGet(each, 'response'), each, safeGet(each, 'cause')]);
  if (isResult) holders.unshift(received);
  // Without a cause of its own, an error speaks of the response that the client received.
  else if (transport === undefined) holders.push(received);

  const found = holders.find((holder) => statusOf(holder) !== undefined);
  const status = statusOf(found);
  // An error may hold less of the response: of a 2xx neither headers nor data.
  const response = statusOf(received) === status ? received : found;
  const oauthCode = errorCodeOf([...holders, body]) ?? (status === 401 ? challengeCodeOf(response) : undefined);
  const isRejected = safeGet(failure, 'name') === 'RefreshRejectedError';
  const mayBeSpent =
    is2xx(status) ||
    is2xx(statusOf(received)) ||
    (isResult && status === undefined) ||
    codes.some((code) => UNUSABLE_2XX.test(code));

  function kind(): RefreshFailureKind {
    if (isRejected || oauthCode === 'invalid_grant') return reason === 'missing' ? 'not-signed-in' : 'refused';
    if (codes.some((code) => UNSAFE_ENDPOINT.test(code))) return 'configuration';
    if (isHtml(response, body) || status === 408 || status === 429 || (status ?? 0) >= 500) return 'unavailable';
    if (CLIENT_REFUSED.test(oauthCode ?? '')) return 'configuration';
    if (status === undefined) {
      if (mayBeSpent) return 'configuration';
      return NETWORK_CODE.test(transport ?? '') ? 'unreachable' : 'unanswered';
    }
    if (status >= 400 && reason === 'missing') return 'not-signed-in';
    return status === 401 || status === 403 ? 'refused-here' : 'configuration';
  }

  const clientCode = codes.find((code) => /^[A-Z_]{1,40}$/.test(code));
  const code = isRejected ? 'rejected' : (oauthCode ?? clientCode);
  const retryAfterMs = parseRetryAfter(headerOf(response, 'retry-after'), { now, date: dateOf(response) });
  return {
    kind: kind(),
    mayBeSpent,
    code: code && code !== tokens?.refreshToken ? code : status === undefined ? 'unknown' : 'status',
    status,
    retryAfterMs: retryAfterMs && Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS),
  };
}

/**
 * Reads the body of a fetch Response on the error or on its causes, unless it was read before. Code with fetch commonly throws
 * before it reads the body, ky too. Returns undefined at once if there is none.
 */
export function readUnreadBody(failure: unknown): Promise<string | undefined> | undefined {
  const response = chainOf(failure)
    .flatMap((each) => [safeGet(each, 'response'), each])
    .find((holder) => safeGet(holder, 'bodyUsed') === false && typeof safeGet(holder, 'text') === 'function');
  return response && (async () => (response as Response).text())().catch(() => undefined);
}

/** `status` of axios and fetch, `statusCode` of got and node:http. Zero is no status: fetch sets it for opaque responses. */
function statusOf(holder: unknown): number | undefined {
  return [safeGet(holder, 'status'), safeGet(holder, 'statusCode')].find(
    (status): status is number => typeof status === 'number' && status >= 100,
  );
}

/** The `error` of an OAuth error document: in a response's body, or on an error that was made of it. */
function errorCodeOf(holders: readonly unknown[]): string | undefined {
  return holders
    .flatMap((holder) => [safeGet(holder, 'data'), safeGet(holder, 'body'), holder])
    .map((holder) => safeGet(typeof holder === 'string' ? parsed(holder) : holder, 'error'))
    .find(isErrorCode);
}

/** Not just any text: it is shown in events. */
function isErrorCode(code: unknown): code is string {
  return typeof code === 'string' && /^[a-z][a-z_]{0,39}$/.test(code);
}

/** A 401 without a document: a challenge for Basic means that the client's own credentials were refused (RFC 6749 §5.2). */
function challengeCodeOf(response: unknown): string | undefined {
  const challenges = parseChallenges(headerOf(response, 'www-authenticate'));
  const code = challenges.map(({ params }) => params.error).find(isErrorCode);
  return code ?? (challenges.some(({ scheme }) => scheme === 'basic') ? 'invalid_client' : undefined);
}

/** A page of a gateway or a captive portal is not about the session, whatever its status. */
function isHtml(response: unknown, unread: string | undefined): boolean {
  const text = [safeGet(response, 'data'), safeGet(response, 'body'), unread].find((body) => typeof body === 'string');
  return /^\s*text\/html/i.test(headerOf(response, 'content-type') ?? '') || /^\s*</.test(text ?? '');
}

function parsed(text: string): unknown {
  try {
    return text.length > LONGEST_DOCUMENT ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
