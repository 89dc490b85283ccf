import type { AxiosError, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import type { Attachment } from '../attachment.js';
import type { Outcome } from '../recovery/decide.js';
import { isThrottling } from '../recovery/decide.js';
import { parseRetryAfter } from '../recovery/retry-after.js';
import { headerLines, headerOf } from '../wire/answer.js';
import { parseChallenges } from '../wire/challenge.js';
import { AuthError } from '../errors.js';
import type { Destination } from '../wire/origin.js';
import { fullUrl, resolveUrl } from '../wire/origin.js';
import { wasFetchedElsewhere } from '../wire/redirects.js';
import type { RequestView } from '../wire/request-view.js';

/** One attempt that has come to an end. */
export interface Attempt {
  readonly outcome: Outcome;
  readonly view: RequestView;
  /** The scheme has had its say: a 401 is about our credentials. */
  readonly isAuthorized: boolean;
  readonly origin: string;
  readonly response: AxiosResponse | undefined;
  readonly error: unknown;
}

/**
 * Whether the scheme may put credentials on this call. It stays out where the caller brought some, and where the URL
 * leads to somebody else.
 * @throws AuthError where the call must not be sent at all.
 */
export function mayAuthorize(config: InternalAxiosRequestConfig, destination: Destination, attachment: Attachment): boolean {
  if (bringsItsOwn(config)) return false;
  const { foreignOrigin, scheme } = attachment.policy;
  if (destination.kind === 'unknown') {
    throw new AuthError(
      'ERR_AUTH_FOREIGN_ORIGIN',
      `Nothing says whether ${destination.origin} may receive credentials: the instance has no baseURL. Set baseURL, or name ` +
        `it in attachAuth's origins: ['${destination.origin}'].`,
    );
  }
  if (destination.kind === 'foreign') {
    if (foreignOrigin === 'send-bare') return false;
    throw new AuthError('ERR_AUTH_FOREIGN_ORIGIN', `${destination.origin} is none of the origins that may receive credentials, and foreignOrigin is 'refuse'.`);
  }
  if (destination.isSecure) return true;
  throw new AuthError(
    'ERR_AUTH_INSECURE',
    `${scheme.name} credentials would travel to ${destination.origin} unencrypted. Use https, or allow it with allowInsecure.`,
  );
}

function bringsItsOwn(config: InternalAxiosRequestConfig): boolean {
  if (Object.hasOwn(config, 'auth') && config.auth) return true;
  const authorization = config.headers.get('Authorization');
  if (authorization !== undefined && authorization !== null && authorization !== false && authorization !== '') return true;
  if (!config.url?.includes('@') && !config.baseURL?.includes('@')) return false;
  const { username, password } = resolveUrl(fullUrl(config));
  return username !== '' || password !== '';
}

/** What an answer means for the call. */
export function readAnswer(response: AxiosResponse, origin: string, attachment: Attachment): Outcome {
  const { status } = response;
  const { isUnauthorized = refusesCredentials } = attachment.policy;
  const isRefusal = isUnauthorized(response);
  if (status < 400 && !isRefusal) return { kind: 'answer', status, isUnauthorized: false, retryAfterMs: undefined };
  if (wasFetchedElsewhere(response, origin)) return { kind: 'final' };
  const age = headerOf(response, 'age');
  const retryAfterMs = parseRetryAfter(headerOf(response, 'retry-after'), {
    now: attachment.clock.now(),
    date: age === undefined ? headerOf(response, 'date') : undefined,
  });
  return { kind: 'answer', status, isUnauthorized: isRefusal, retryAfterMs };
}

/** A 401, unless its challenge says that the token is good but not enough: then another token of the kind changes nothing. */
function refusesCredentials(response: AxiosResponse): boolean {
  if (response.status !== 401) return false;
  const challenges = parseChallenges(headerLines(response, 'www-authenticate'));
  return !challenges.some(({ params }) => params['error'] === 'insufficient_scope');
}

export function isThrottled(outcome: Outcome): boolean {
  return outcome.kind === 'answer' && !outcome.isUnauthorized && isThrottling(outcome.status, outcome.retryAfterMs);
}

/** Nothing that sending again could change: the caller's own doing, a wrong option, a certificate. */
const FINAL_CODES =
  /^(?:ERR_CANCELED|ECONNABORTED|ERR_BAD_OPTION|ERR_BAD_OPTION_VALUE|ERR_BAD_REQUEST|ERR_INVALID_URL|ERR_NOT_SUPPORT|ERR_DEPRECATED|ERR_FORM_DATA_\w+|ERR_FR_\w+|ERR_AUTH_\w+|ERR_TLS_\w+|ERR_SSL_\w+|CERT_\w+|\w*SELF_SIGNED_CERT\w*|UNABLE_TO_\w+|EPROTO)$/;

/** What an error without an answer means for the call. */
export function readError(error: unknown): Outcome {
  const { isAxiosError, code, message } = (error ?? {}) as Partial<AxiosError>;
  if (isAxiosError !== true) return { kind: 'final' };
  if (code === 'ETIMEDOUT') return { kind: 'timeout' };
  if (code === 'ERR_BAD_RESPONSE') return { kind: message === 'stream has been aborted' ? 'network' : 'final' };
  return { kind: code !== undefined && FINAL_CODES.test(code) ? 'final' : 'network' };
}
