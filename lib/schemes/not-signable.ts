import { AuthError } from '../errors.js';

export function notSignable(): AuthError {
  return new AuthError(
    'ERR_AUTH_BODY_NOT_SIGNABLE',
    'Not sent: a stream or a multipart form has no bytes to sign yet. Send a string, a Buffer or a Blob.',
  );
}
