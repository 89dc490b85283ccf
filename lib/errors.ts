import { AxiosError, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios';

/*
 * Error
 * ├─ AxiosError                 a 401, 429 or 5xx that outlived its attempts: exchangeOf() tells the rest
 * │  └─ AuthError               what this package decided, told apart by `code`
 * └─ RefreshRejectedError       thrown by an app's refresh(): the refresh token is dead
 */

/** What an {@link AuthError} says; README lists what to do about each. */
export type AuthErrorCode =
  | 'ERR_AUTH_REFRESH_FAILED'
  | 'ERR_AUTH_SESSION_EXPIRED'
  | 'ERR_AUTH_SESSION_CHANGED'
  | 'ERR_AUTH_BODY_NOT_SIGNABLE'
  | 'ERR_AUTH_FOREIGN_ORIGIN'
  | 'ERR_AUTH_INSECURE'
  | 'ERR_AUTH_INVALID_CREDENTIAL'
  | 'ERR_AUTH_DEADLINE'
  | 'ERR_AUTH_THROTTLED'
  | 'ERR_AUTH_QUEUE_FULL'
  | 'ERR_AUTH_DETACHED';

const BRAND = Symbol.for('axios-attach-auth.AuthError');

/**
 * What this package rejects a call with. It is an AxiosError, so `isAxiosError()` stays true; `config` is the call's own,
 * `response` the server's last answer if there was one, `cause` what lies behind it. It never holds a credential.
 */
export class AuthError extends AxiosError {
  /** What happened; see {@link AuthErrorCode}. */
  declare readonly code: AuthErrorCode;

  /** @internal */
  constructor(
    code: AuthErrorCode,
    message: string,
    about: { config?: InternalAxiosRequestConfig | undefined; response?: AxiosResponse | undefined; cause?: unknown } = {},
  ) {
    super(message, code, about.config, undefined, about.response);
    this.name = 'AuthError';
    if (about.cause !== undefined) hide(this, 'cause', about.cause);
  }

  /**
   * One failure may reject many calls: each gets an error of its own, with its own config and answer.
   * @internal
   */
  about(config: InternalAxiosRequestConfig | undefined, response: AxiosResponse | undefined): AuthError {
    return new AuthError(this.code, this.message, {
      config,
      response: this.response ?? response,
      cause: this.cause,
    });
  }
}
Object.defineProperty(AuthError.prototype, BRAND, { value: true });

/** True for an {@link AuthError}, also one of another copy of this package. */
export function isAuthError(value: unknown): value is AuthError {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[BRAND] === true;
}

/**
 * Thrown by an app's `refresh()` to say that the refresh token is dead, so that the session ends. Whatever else it
 * throws is judged by status and by the error code of RFC 6749 §5.2, and keeps the session unless that is `invalid_grant`.
 */
export class RefreshRejectedError extends Error {
  override readonly name = 'RefreshRejectedError' as const;

  constructor(message = 'The refresh token was rejected', options?: { cause?: unknown }) {
    super(message);
    if (options?.cause !== undefined) hide(this, 'cause', options.cause);
  }
}

/** Sets a property that inspectors and serializers pass over. */
export function hide(target: object, key: string, value: unknown): void {
  try {
    // Without a prototype: one that somebody polluted must not turn this into an accessor.
    Object.defineProperty(target, key, { __proto__: null, value, enumerable: false, writable: true, configurable: true } as PropertyDescriptor);
  } catch {
    // Frozen by somebody else: then it stays as it is.
  }
}

/** Names that hold a secret in a request to a token endpoint. */
const SECRET_HEADERS = new Set(['authorization', 'cookie', 'dpop', 'proxy-authorization']);

/**
 * Takes what a request carried out of an AxiosError: body, auth and credential headers. Errors of a refresh end in logs,
 * and its body is the refresh token itself.
 */
export function withoutRequestSecrets(error: unknown): unknown {
  for (let at = error, depth = 0; typeof at === 'object' && at !== null && depth < 8; depth++) {
    const suspect = at as { isAxiosError?: unknown; config?: unknown; request?: unknown; response?: unknown; cause?: unknown };
    if (suspect.isAxiosError === true && !isAuthError(suspect)) scrub(suspect);
    at = suspect.cause;
  }
  return error;
}

function scrub(error: { config?: unknown; request?: unknown; response?: unknown }): void {
  if ('request' in error) hide(error, 'request', error.request);
  const config = error.config;
  if (typeof config !== 'object' || config === null) return;
  const bare = bareConfig(config as InternalAxiosRequestConfig);
  error.config = bare;
  const response = error.response as { config?: unknown; request?: unknown } | undefined;
  if (typeof response === 'object') {
    response.config = bare;
    hide(response, 'request', response.request);
  }
}

function bareConfig(config: InternalAxiosRequestConfig): object {
  const headers: Record<string, unknown> = {};
  for (const [name, value] of Object.entries((config as { headers?: object }).headers ?? {})) {
    if (!SECRET_HEADERS.has(name.toLowerCase())) headers[name] = value;
  }
  return { ...config, headers, data: undefined, auth: undefined, params: undefined };
}
