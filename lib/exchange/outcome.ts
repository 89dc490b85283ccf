import type { AxiosError, AxiosResponse } from 'axios';
import type { Attachment } from '../attachment.js';
import { chainOf } from '../errors.js';
import { safeGet } from '../safe-read.js';
import { isThrottling, type Outcome } from '../retry/decide.js';
import { readRefusal } from '../http/refusal.js';
import { headerOf, headersOf } from '../http/response-headers.js';
import { parseChallenges } from '../http/www-authenticate.js';
import { wasFetchedElsewhere } from '../transport/redirects.js';
import { isTimeout } from '../transport/copy.js';

/** What an answer means for the call. */
export function readAnswer(response: AxiosResponse, origin: string, { policy, clock }: Attachment): Outcome {
  const { status } = response;
  const isUnauthorized = policy.isUnauthorized
    ? policy.isUnauthorized(response)
    : status === 401 && !isScopeMissing(response);
  const answer = { kind: 'answer', status, isUnauthorized, retryAfterMs: undefined } as const;
  if (status < 400 && !isUnauthorized) return answer;
  if (wasFetchedElsewhere(response, origin)) return { kind: 'final' };
  return { ...answer, ...readRefusal(status, (name) => headerOf(response, name), clock.now()) };
}

/** The token is good but not enough (RFC 6750 §3.1): another one of the kind changes nothing. */
function isScopeMissing(response: AxiosResponse): boolean {
  return challengesOf(response).some(({ params }) => params['error'] === 'insufficient_scope');
}

export function challengesOf(response: AxiosResponse): ReturnType<typeof parseChallenges> {
  return parseChallenges(headersOf(response, 'www-authenticate'));
}

export function isThrottled(outcome: Outcome): boolean {
  return outcome.kind === 'answer' && !outcome.isUnauthorized && isThrottling(outcome.status, outcome.retryAfterMs);
}

/** Nothing that sending again could change: the caller's own doing, a wrong option, a certificate. */
const FINAL_CODE =
  /^(?:ECONNABORTED|ERR_(?:CANCELED|BAD_OPTION.*|BAD_REQUEST|INVALID_URL|NOT_SUPPORT|DEPRECATED|FORM_DATA.*|FR_.*|AUTH_.*|TLS_.*|SSL_.*)|CERT_.*|.*SELF_SIGNED_CERT.*|UNABLE_TO_.*|EPROTO)$/;

/** What an error without an answer means for the call. */
export function readError(error: unknown): Outcome {
  if (safeGet(error, 'isAxiosError') !== true) return { kind: 'final' };
  if (isTimeout(error)) return { kind: 'timeout' };
  return { kind: chainOf(error).some(isFinal) ? 'final' : 'network' };
}

/** Over fetch only a cause tells why. */
function isFinal(failure: Partial<AxiosError>): boolean {
  const { message } = failure;
  const code = safeGet(failure, 'code') ?? '';
  if (code === 'ERR_BAD_RESPONSE') return message !== 'stream has been aborted';
  // What Node's fetch says to a redirect where `redirect: 'error'` forbids one.
  return FINAL_CODE.test(code) || message === 'unexpected redirect';
}
