import { AuthError } from '../errors.js';

export function notSignable(): AuthError {
  return new AuthError(
    'ERR_AUTH_BODY_NOT_SIGNABLE',
    'A stream or a multipart form has no bytes that could be signed before it is sent. Send a Buffer, a string or a Blob, ' +
      "or leave this call out with attachAuth: { credentials: 'omit' }.",
  );
}
