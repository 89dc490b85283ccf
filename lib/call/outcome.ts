import type { AxiosError } from 'axios';
import { chainOf } from '../errors.js';
import type { Outcome } from '../retry/decide.js';
import { safeGet } from '../safe-read.js';
import { wasFetchedElsewhere } from '../transport/redirects.js';
import { isTimeout } from '../transport/send.js';
import type { Attempt } from './attempt.js';

/** Classifies the result of an attempt. */
export function outcomeOf(attempt: Attempt, isRefusal: boolean): Outcome {
  const { response, error, refusal, request } = attempt;
  if (response) {
    const { status } = response;
    if (status < 400 && !isRefusal) return { kind: 'answer', status, isRefusal, retryAfterMs: undefined };
    if (wasFetchedElsewhere(response, request.origin)) return { kind: 'final' };
    const { retryAfterMs, isRounded } = refusal ?? {};
    return { kind: 'answer', status, isRefusal, retryAfterMs, isRounded };
  }
  // An opaque origin cannot be reached; do not retry.
  if (request.origin === 'null' || safeGet(error, 'isAxiosError') !== true) return { kind: 'final' };
  if (isTimeout(error)) return { kind: 'timeout' };
  return { kind: chainOf(error).some(isFinal) ? 'final' : 'network' };
}

/** Errors that another send cannot change: the caller's own doing, a wrong option, a certificate. */
const FINAL_CODE =
  /^(?:ECONNABORTED|ERR_(?:CANCELED|BAD_OPTION.*|BAD_REQUEST|INVALID_URL|NOT_SUPPORT|DEPRECATED|FORM_DATA.*|FR_.*|AUTH_.*|TLS_.*|SSL_.*)|CERT_.*|.*SELF_SIGNED_CERT.*|UNABLE_TO_.*|EPROTO)$/;

/** Over fetch only the cause has the code. */
function isFinal(failure: Partial<AxiosError>): boolean {
  const { message } = failure;
  const code = safeGet(failure, 'code') ?? '';
  if (code === 'ERR_BAD_RESPONSE') return message !== 'stream has been aborted';
  // Node's fetch says so if `redirect: 'error'` forbids a redirect.
  return FINAL_CODE.test(code) || message === 'unexpected redirect';
}
