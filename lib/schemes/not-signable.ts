import { AuthError } from '../errors.js';

export function notSignable(): AuthError {
  return new AuthError(
    'ERR_AUTH_BODY_NOT_SIGNABLE',
    'Not sent: the body is a stream or a multipart form, which has no bytes to sign yet. Send a string, a Buffer or a Blob.',
  );
}
