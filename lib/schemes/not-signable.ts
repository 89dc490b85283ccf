import { AuthError } from '../errors.js';

export function notSignable(): AuthError {
  return new AuthError(
    'ERR_AUTH_BODY_NOT_SIGNABLE',
    'Not sent: the body is a stream or a multipart form, whose bytes are not known before it is sent, so it cannot be signed. ' +
      "Send a Buffer, a string or a Blob, or set `attachAuth: { credentials: 'omit' }` for this call.",
  );
}
