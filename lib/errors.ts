import { AxiosError, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios';
import { BRAND, hasBrand } from './auth-error-brand.js';
import { safeGet } from './safe-read.js';

/*
 * Error
 * ├─ AxiosError                 a 401, 429 or 5xx that outlived its attempts: exchangeOf() has the details
 * │  └─ AuthError               an error of this package, with a `code`
 * └─ RefreshRejectedError       thrown by an app's refresh(): the refresh token is dead
 */

/**
 * The codes of an {@link AuthError}.
 *
 * - `ERR_AUTH_REFRESH_FAILED`: the refresh failed for now. The session is kept. `cause` says why.
 * - `ERR_AUTH_SESSION_EXPIRED`: the refresh token was refused. Sign in again.
 * - `ERR_AUTH_SESSION_CHANGED`: the session was signed out, or another principal signed in, while the call waited.
 * - `ERR_AUTH_BODY_NOT_SIGNABLE`: a signer cannot sign a stream or a multipart form.
 * - `ERR_AUTH_RESPONSE_NOT_VERIFIED`: the signature or digest of a response is not valid.
 * - `ERR_AUTH_FOREIGN_ORIGIN`: the URL, or a redirect, leads to an origin that may not receive credentials.
 * - `ERR_AUTH_INSECURE`: credentials would be sent over plain `http:`.
 * - `ERR_AUTH_INVALID_CREDENTIAL`: a credential has a character that no header may carry.
 * - `ERR_AUTH_DEADLINE`: `deadlineMs` passed before there was a response.
 * - `ERR_AUTH_THROTTLED`: not sent, since the limit stays closed for longer than the call may wait.
 * - `ERR_AUTH_QUEUE_FULL`: not sent, since `throttle.maxQueued` calls wait already.
 * - `ERR_AUTH_DETACHED`: detach() was called while the call waited.
 */
export type AuthErrorCode =
  | 'ERR_AUTH_REFRESH_FAILED'
  | 'ERR_AUTH_SESSION_EXPIRED'
  | 'ERR_AUTH_SESSION_CHANGED'
  | 'ERR_AUTH_BODY_NOT_SIGNABLE'
  | 'ERR_AUTH_RESPONSE_NOT_VERIFIED'
  | 'ERR_AUTH_FOREIGN_ORIGIN'
  | 'ERR_AUTH_INSECURE'
  | 'ERR_AUTH_INVALID_CREDENTIAL'
  | 'ERR_AUTH_DEADLINE'
  | 'ERR_AUTH_THROTTLED'
  | 'ERR_AUTH_QUEUE_FULL'
  | 'ERR_AUTH_DETACHED';

/**
 * The error of a call whose outcome this package decided. It is an AxiosError, so `isAxiosError()` stays true. `config` is the
 * call's own, `response` the server's last response if there was one, `cause` the error behind it. It contains no credential.
 */
export class AuthError extends AxiosError {
  /** One of `AuthErrorCode`. */
  declare readonly code: AuthErrorCode;
  /**
   * Epoch ms. Set if the server asked for no further refresh before then.
   * @internal
   */
  declare retryAt?: number;

  /** @internal */
  constructor(
    code: AuthErrorCode,
    message: string,
    cause?: unknown,
    config?: InternalAxiosRequestConfig,
    response?: AxiosResponse,
  ) {
    super(message, code, config, undefined, response);
    this.name = 'AuthError';
    hide(this, BRAND, true);
    if (cause !== undefined) hide(this, 'cause', cause);
  }
}

/** The error of a call that may not wait until its limit opens. */
export function throttled(forMs: number): AuthError {
  return new AuthError(
    'ERR_AUTH_THROTTLED',
    `Not sent: the server is rate limiting this endpoint for another ${String(Math.ceil(forMs / 1000))} s, longer than ` +
      '`maxRetryAfterMs` or `deadlineMs` allows. See `exchangeOf(error).retryAt`.',
  );
}

/** The error of a call for a full queue. */
export function queueFull(): AuthError {
  return new AuthError('ERR_AUTH_QUEUE_FULL', 'Not sent: `throttle.maxQueued` calls wait for this limit already.');
}

/** Returns true for an {@link AuthError}, also one of another copy of this package. */
export function isAuthError(value: unknown): value is AuthError {
  return hasBrand(value);
}

/**
 * Thrown by an app's `refresh()` if the refresh token is no longer valid: the session ends. Any other error is classified by its
 * status and by the error code of RFC 6749 §5.2.
 */
export class RefreshRejectedError extends Error {
  /** The name, by which an error of another copy of the package is recognized. */
  override readonly name = 'RefreshRejectedError' as const;
}

/** Sets a property that inspectors and serializers skip, whatever it was before. A frozen target is not changed. */
export function hide(target: object, key: PropertyKey, value: unknown): void {
  // A polluted prototype could turn the descriptor into an accessor.
  const descriptor = { __proto__: null, value, writable: true, configurable: true, enumerable: false };
  Reflect.defineProperty(target, key, descriptor);
}

/** An error with its causes and gathered errors, up to a limit. */
export function chainOf(error: unknown): Partial<AxiosError>[] {
  const chain = new Set([error]);
  for (const at of chain) {
    if (chain.size > 1_000) break;
    for (const inner of [safeGet(at, 'cause'), safeGet(at, 'errors')].flat()) chain.add(inner);
  }
  return [...chain].filter((one) => typeof one === 'object' && one !== null) as Partial<AxiosError>[];
}
