import { AxiosError, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios';
import { withoutPrototype, safeGet } from './safe-read.js';

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
  | 'ERR_AUTH_RESPONSE_NOT_VERIFIED'
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
    return new AuthError(this.code, this.message, safeGet(this, 'cause'), config, response);
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
    withoutQuotes(failure);
    if (safeGet(failure, 'isAxiosError') !== true) continue;
    const { method, baseURL, url } = withoutPrototype(
      safeGet(failure, 'config') ?? {},
    ) as Partial<InternalAxiosRequestConfig>;
    const response = safeGet(failure, 'response');
    for (const holder of [failure, response]) {
      if (!holder) continue;
      Object.assign(holder, { config: { method, baseURL: whereTo(baseURL), url: whereTo(url), headers: {} } });
      hide(holder, 'request', safeGet(holder, 'request'));
    }
    if (response) withoutTokens(response);
  }
  return error;
}

/** Parsers quote what they could not read: llhttp and JSON the answer, URL the query. */
function withoutQuotes(failure: Partial<Error> & { code?: unknown; input?: unknown }): void {
  const { message = '', stack = '' } = failure;
  if (String(safeGet(failure, 'code')).startsWith('HPE_')) {
    for (const key of ['rawPacket', 'data']) hide(failure, key, undefined);
  }
  if (typeof safeGet(failure, 'input') === 'string') failure.input = whereTo(failure.input as string);
  const quote =
    safeGet(failure, 'name') === 'SyntaxError' ? /["'].*["']/s : message.includes('URL') ? /[?#]\S*/ : undefined;
  if (!quote?.test(message)) return;
  const bare = message.replace(quote, '…');
  hide(failure, 'message', bare);
  // Younger versions of axios put the stack of the cause into it, which begins with the same words.
  hide(failure, 'stack', stack.split(message).join(bare));
}

/** An error's own answer stays, as far as it says why; a stream would show the request that it belongs to. */
function withoutTokens(response: AxiosResponse): void {
  if (response.status < 400) response.headers = {};
  if (response.status < 400 || typeof safeGet(response.data, 'pipe') === 'function') response.data = undefined;
  const headers = (safeGet(response, 'headers') ?? {}) as object;
  for (const name of Object.keys(headers)) if (/^set-cookie$/i.test(name)) Reflect.deleteProperty(headers, name);
}

/** An error, what it was caused by and what it gathers, as far as anybody would look. */
export function chainOf(error: unknown): Partial<AxiosError>[] {
  const chain = new Set([error]);
  for (const at of chain) {
    if (chain.size > 1_000) break;
    for (const inner of [safeGet(at, 'cause'), safeGet(at, 'errors')].flat()) chain.add(inner);
  }
  return [...chain].filter((one) => typeof one === 'object' && one !== null) as Partial<AxiosError>[];
}

/** A URL without query and user-info. */
function whereTo(url: string | undefined): string | undefined {
  return url?.replace(/[?#].*/s, '').replace(/\/\/[^/]*@/, '//');
}
