import { AuthError } from '../errors.js';

export function notSignable(): AuthError {
  return new AuthError(
    'ERR_AUTH_BODY_NOT_SIGNABLE',
    'Not sent: a stream or form has no bytes to sign yet. Send text, bytes or a Blob.',
  );
}
