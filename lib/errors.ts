import { AxiosError, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios';
import { plain, said } from './own.js';

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
    cause?: unknown,
    config?: InternalAxiosRequestConfig,
    response?: AxiosResponse,
  ) {
    super(message, code, config, undefined, response);
    this.name = 'AuthError';
    if (cause !== undefined) hide(this, 'cause', cause);
  }

  /**
   * One failure may reject many calls: each gets an error of its own, with its own config and answer.
   * @internal
   */
  about(config: InternalAxiosRequestConfig | undefined, response: AxiosResponse | undefined): AuthError {
    return new AuthError(this.code, this.message, said(this, 'cause'), config, response);
  }
}
hide(AuthError.prototype, BRAND, true);

/** True for an {@link AuthError}, also one of another copy of this package. */
export function isAuthError(value: unknown): value is AuthError {
  return (value as Record<symbol, unknown> | null | undefined)?.[BRAND] === true;
}

/**
 * Thrown by an app's `refresh()` to say that the refresh token is dead, so that the session ends. Whatever else it
 * throws is judged by status and by the error code of RFC 6749 §5.2, and keeps the session unless that is `invalid_grant`.
 */
export class RefreshRejectedError extends Error {
  override readonly name = 'RefreshRejectedError' as const;
}

/** Sets a property that inspectors and serializers pass over. */
export function hide(target: object, key: PropertyKey, value: unknown): void {
  // Without a prototype: one that somebody polluted must not turn this into an accessor. Frozen targets stay as they are.
  Reflect.defineProperty(target, key, {
    __proto__: null,
    value,
    enumerable: false,
    writable: true,
    configurable: true,
  } as PropertyDescriptor);
}

/**
 * Leaves of an AxiosError's request only where it went, and nothing of an answer that may hold new tokens. Errors of a
 * refresh end in logs, and what its request carried is the refresh token itself.
 */
export function withoutSecrets(error: unknown): unknown {
  for (const failure of chainOf(error)) {
    // What could not be parsed is quoted.
    if (said(failure, 'name') === 'SyntaxError') withoutQuotes(failure);
    if (said(failure, 'isAxiosError') !== true) continue;
    const { method, baseURL, url } = plain(said(failure, 'config') ?? {}) as Partial<InternalAxiosRequestConfig>;
    const response = said(failure, 'response');
    for (const holder of [failure, response]) {
      if (!holder) continue;
      Object.assign(holder, { config: { method, baseURL: whereTo(baseURL), url: whereTo(url), headers: {} } });
      hide(holder, 'request', said(holder, 'request'));
    }
    if (response && response.status < 400) response.data = undefined;
  }
  return error;
}

function withoutQuotes(failure: Partial<Error>): void {
  const { message = '', stack = '' } = failure;
  const bare = message.replace(/["'].*["']/s, '…');
  hide(failure, 'message', bare);
  hide(
    failure,
    'stack',
    stack.replace(message, () => bare),
  );
}

/** An error, what it was caused by and what it gathers, as far as anybody would look. */
export function chainOf(error: unknown): Partial<AxiosError>[] {
  const chain = [error];
  for (let at = 0; at < chain.length && chain.length < 16; at++)
    chain.push(said(chain[at], 'cause'), ...[said(chain[at], 'errors') ?? []].flat());
  return chain.filter((one) => typeof one === 'object' && one !== null);
}

/** A URL without query and user-info. */
function whereTo(url: string | undefined): string | undefined {
  return url?.replace(/[?#].*/s, '').replace(/\/\/[^/]*@/, '//');
}
