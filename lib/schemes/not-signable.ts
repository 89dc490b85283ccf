import { AuthError } from '../errors.js';

export function notSignable(): AuthError {
  return new AuthError(
    'ERR_AUTH_BODY_NOT_SIGNABLE',
    'Not sent: a stream or a form cannot be signed. Send a string, bytes or a Blob.',
  );
}
