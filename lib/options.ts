import type { AxiosError, AxiosResponse } from 'axios';
import type { AuthEvent } from './events.js';
import type { RetryPolicy } from './recovery/decide.js';
import type { AuthRequest, AuthScheme } from './schemes/scheme.js';
import type { OriginPolicy } from './wire/origin.js';

/** Options of {@link attachAuth}. An option that is undefined is as if it were absent. */
export interface AttachAuthOptions {
  /** How requests are authenticated: basic(), bearer(), signed(), hmac(), apiKey(), or any AuthScheme. */
  scheme: AuthScheme;
  /** Sending again after throttling (429), server errors and network errors. `false`: never. @default {} */
  retry?: RetryOptions | false | undefined;
  /** Waiting together while an origin throttles, and the pace afterwards. `false`: every call for itself. @default {} */
  throttle?: ThrottleOptions | false | undefined;
  /**
   * Origins that may receive credentials, such as `https://api.example.com`. `'*'`: any.
   * @default the origin of `instance.defaults.baseURL`, read at each call; without one the page's own
   */
  origins?: readonly string[] | '*' | undefined;
  /** A call to another origin: sent without credentials, or rejected with ERR_AUTH_FOREIGN_ORIGIN. @default 'send-bare' */
  foreignOrigin?: 'send-bare' | 'refuse' | undefined;
  /** Credentials over plain http: to loopback only (false), to these origins too, or anywhere (true). @default false */
  allowInsecure?: boolean | readonly string[] | undefined;
  /** Which answers mean "not authenticated". @default status 401 whose challenge does not say insufficient_scope (RFC 6750 §3.1) */
  isUnauthorized?: ((response: AxiosResponse) => boolean) | undefined;
  /**
   * In ms from the call's start: no wait lasts beyond it and no attempt begins after it; then the last answer, else
   * ERR_AUTH_DEADLINE. An attempt on the wire is bounded by axios's own `timeout` alone. @default 120 000
   */
  deadlineMs?: number | undefined;
  /** Hears everything that happens; never sees a credential; what it throws changes nothing. */
  onEvent?: ((event: AuthEvent) => void) | undefined;
}

/** Sending again. 401 (one replay a call) and 429 are answered for every method: the server has said that it did not act. */
export interface RetryOptions {
  /** Sends of one call for errors, the first included; 1 or more. @default 4 */
  maxAttempts?: number | undefined;
  /** The same for 429, and for 503 with Retry-After. @default 6 */
  maxThrottledAttempts?: number | undefined;
  /** Statuses that are tried again, besides 429. @default [408, 500, 502, 503, 504] */
  statuses?: readonly number[] | undefined;
  /** Methods sent again after those and after network errors. @default the idempotent ones (RFC 9110 §9.2.2) */
  methods?: readonly string[] | undefined;
  /** The first step of the exponential backoff, in ms. @default 500 */
  baseDelayMs?: number | undefined;
  /** Its longest step, in ms. It never shortens what a server asks for. @default 20 000 */
  maxDelayMs?: number | undefined;
  /** In ms: a server that asks for more settles the call with its answer, at once. @default 60 000 */
  maxRetryAfterMs?: number | undefined;
  /**
   * The last word on a failure: true, false, or undefined for what was decided. The limits of attempts, time and body
   * hold whatever it says.
   */
  shouldRetry?: ((failure: RetryFailure) => boolean | undefined) | undefined;
}

/** What `shouldRetry` is asked about. The url comes without query. */
export interface RetryFailure {
  readonly method: string;
  readonly url: string;
  /** 1 for the first. */
  readonly attempt: number;
  readonly status?: number;
  readonly error?: AxiosError;
  /** What was decided. */
  readonly willRetry: boolean;
}

/** Waiting together. */
export interface ThrottleOptions {
  /**
   * Names the limit that a call counts against. @default learned: a 429 closes its own path (origin and pathname); a second
   * path refused meanwhile shows a shared limit and closes the origin
   */
  keyOf?: ((request: AuthRequest) => string) | undefined;
  /** Most calls that may wait for one key; one more fails with ERR_AUTH_QUEUE_FULL. @default Infinity */
  maxQueued?: number | undefined;
}

/** Per call, as `attachAuth` in its config. `attachAuth: false`: this package never touches the call. */
export interface RequestAuthOptions {
  /** omit: retry and gate apply, the scheme stays out (login, health). @default 'attach' */
  credentials?: 'attach' | 'omit' | undefined;
  /** Over the instance's, field by field. */
  retry?: RetryOptions | false | undefined;
  /** See {@link AttachAuthOptions.deadlineMs}. */
  deadlineMs?: number | undefined;
  /** May be sent again whatever its method: the server tells repetitions apart, or they do no harm. */
  idempotent?: boolean | undefined;
}

declare module 'axios' {
  interface AxiosRequestConfig {
    /** See {@link RequestAuthOptions}; `false`: axios-attach-auth never touches the call. */
    attachAuth?: false | RequestAuthOptions | undefined;
  }
}

/** Options with every default in its place. */
export interface Policy {
  readonly scheme: AuthScheme;
  readonly retry: RetryPolicy | false;
  readonly shouldRetry: ((failure: RetryFailure) => boolean | undefined) | undefined;
  readonly throttle: { readonly keyOf: ((request: AuthRequest) => string) | undefined; readonly maxQueued: number } | false;
  readonly origins: OriginPolicy;
  readonly foreignOrigin: 'send-bare' | 'refuse';
  readonly isUnauthorized: ((response: AxiosResponse) => boolean) | undefined;
  readonly deadlineMs: number;
  readonly onEvent: ((event: AuthEvent) => void) | undefined;
}

/** A policy as one call sees it. */
export interface CallPolicy {
  readonly retry: RetryPolicy | false;
  readonly shouldRetry: Policy['shouldRetry'];
  readonly deadlineMs: number;
  readonly credentials: 'attach' | 'omit';
  readonly isIdempotent: boolean;
}

const RETRY_DEFAULTS: RetryPolicy = {
  maxAttempts: 4,
  maxThrottledAttempts: 6,
  statuses: new Set([408, 500, 502, 503, 504]),
  methods: new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'QUERY']),
  baseDelayMs: 500,
  maxDelayMs: 20_000,
  maxRetryAfterMs: 60_000,
};

/** Checks all options and fills in the defaults. @throws TypeError that names the option, what it got and what it takes. */
export function resolveOptions(options: AttachAuthOptions): Policy {
  const given: unknown = options;
  if (typeof given !== 'object' || given === null) throw wrong('options', 'an object with a scheme', given);
  const { scheme, throttle = {}, foreignOrigin, isUnauthorized, onEvent } = options;
  const port: unknown = scheme;
  if (typeof port !== 'object' || port === null || typeof (port as AuthScheme).authorize !== 'function') {
    throw wrong('scheme', 'basic(), bearer(), apiKey(), signed(), hmac() or an object with authorize()', port);
  }
  check(throttle === false || isObject(throttle), 'throttle', 'an object or false', throttle);
  check(foreignOrigin === undefined || foreignOrigin === 'send-bare' || foreignOrigin === 'refuse', 'foreignOrigin', "'send-bare' or 'refuse'", foreignOrigin);
  check(isFunctionOrAbsent(isUnauthorized), 'isUnauthorized', 'a function', isUnauthorized);
  check(isFunctionOrAbsent(onEvent), 'onEvent', 'a function', onEvent);
  return {
    scheme,
    retry: resolveRetry(options.retry, RETRY_DEFAULTS, 'retry'),
    shouldRetry: isObject(options.retry) ? options.retry.shouldRetry : undefined,
    throttle: throttle !== false && {
      keyOf: throttle.keyOf,
      maxQueued: number(throttle.maxQueued, Infinity, 'throttle.maxQueued', 0),
    },
    origins: { origins: resolveOrigins(options.origins), allowInsecure: resolveInsecure(options.allowInsecure) },
    foreignOrigin: foreignOrigin ?? 'send-bare',
    isUnauthorized,
    deadlineMs: number(options.deadlineMs, 120_000, 'deadlineMs', 0),
    onEvent,
  };
}

/** What holds for one call. @throws TypeError as {@link resolveOptions} does, naming `attachAuth`. */
export function resolveCall(own: RequestAuthOptions | undefined, policy: Policy): CallPolicy {
  if (own === undefined) {
    const { retry, shouldRetry, deadlineMs } = policy;
    return { retry, shouldRetry, deadlineMs, credentials: 'attach', isIdempotent: false };
  }
  check(isObject(own), 'attachAuth', 'an object or false', own);
  const { credentials = 'attach', idempotent = false } = own;
  check(credentials === 'attach' || credentials === 'omit', 'attachAuth.credentials', "'attach' or 'omit'", credentials);
  check(typeof idempotent === 'boolean', 'attachAuth.idempotent', 'a boolean', idempotent);
  return {
    retry: own.retry === undefined ? policy.retry : resolveRetry(own.retry, policy.retry || RETRY_DEFAULTS, 'attachAuth.retry'),
    shouldRetry: (isObject(own.retry) ? own.retry.shouldRetry : undefined) ?? policy.shouldRetry,
    deadlineMs: number(own.deadlineMs, policy.deadlineMs, 'attachAuth.deadlineMs', 0),
    credentials,
    isIdempotent: idempotent,
  };
}

function resolveRetry(retry: RetryOptions | false | undefined, over: RetryPolicy, name: string): RetryPolicy | false {
  if (retry === false) return false;
  if (retry === undefined) return over;
  check(isObject(retry), name, 'an object or false', retry);
  const { statuses, methods } = retry;
  check(statuses === undefined || (Array.isArray(statuses) && statuses.every(isStatus)), `${name}.statuses`, 'an array of statuses, 100 to 599', statuses);
  check(methods === undefined || (Array.isArray(methods) && methods.every((method) => typeof method === 'string')), `${name}.methods`, 'an array of methods', methods);
  check(isFunctionOrAbsent(retry.shouldRetry), `${name}.shouldRetry`, 'a function', retry.shouldRetry);
  return {
    maxAttempts: number(retry.maxAttempts, over.maxAttempts, `${name}.maxAttempts`, 1),
    maxThrottledAttempts: number(retry.maxThrottledAttempts, over.maxThrottledAttempts, `${name}.maxThrottledAttempts`, 1),
    statuses: statuses ? new Set(statuses) : over.statuses,
    methods: methods ? new Set(methods.map((method) => method.toUpperCase())) : over.methods,
    baseDelayMs: number(retry.baseDelayMs, over.baseDelayMs, `${name}.baseDelayMs`, 0),
    maxDelayMs: number(retry.maxDelayMs, over.maxDelayMs, `${name}.maxDelayMs`, 0),
    maxRetryAfterMs: number(retry.maxRetryAfterMs, over.maxRetryAfterMs, `${name}.maxRetryAfterMs`, 0),
  };
}

function resolveOrigins(origins: AttachAuthOptions['origins']): OriginPolicy['origins'] {
  if (origins === undefined || origins === '*') return origins;
  return originSet(origins, 'origins', "an array of origins such as 'https://api.example.com', or '*'");
}

function resolveInsecure(allowInsecure: AttachAuthOptions['allowInsecure']): OriginPolicy['allowInsecure'] {
  if (allowInsecure === undefined || typeof allowInsecure === 'boolean') return allowInsecure ?? false;
  return originSet(allowInsecure, 'allowInsecure', "a boolean or an array of origins such as 'http://10.0.0.5:8080'");
}

function originSet(origins: unknown, name: string, takes: string): ReadonlySet<string> {
  if (!Array.isArray(origins)) throw wrong(name, takes, origins);
  return new Set(
    origins.map((origin: unknown) => {
      let url: URL | undefined;
      try {
        url = typeof origin === 'string' ? new URL(origin) : undefined;
      } catch {
        // Said below.
      }
      const isOrigin = url !== undefined && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.search + url.hash + url.username === '';
      if (!url || !isOrigin) throw wrong(name, takes, origin);
      return url.origin;
    }),
  );
}

function number(value: unknown, byDefault: number, name: string, least: number): number {
  if (value === undefined) return byDefault;
  if (typeof value !== 'number' || !(value >= least)) throw wrong(name, `a number, ${String(least)} or more`, value);
  return value;
}

function isStatus(status: unknown): boolean {
  return Number.isInteger(status) && (status as number) >= 100 && (status as number) <= 599;
}

function isObject<T>(value: T): value is T & object {
  return typeof value === 'object' && value !== null;
}

function isFunctionOrAbsent(value: unknown): boolean {
  return value === undefined || typeof value === 'function';
}

function check(isRight: boolean, name: string, takes: string, got: unknown): asserts isRight {
  if (!isRight) throw wrong(name, takes, got);
}

function wrong(name: string, takes: string, got: unknown): TypeError {
  const shown = typeof got === 'string' ? JSON.stringify(got) : Array.isArray(got) ? 'an array' : typeof got === 'object' && got ? 'an object' : String(got);
  return new TypeError(`attachAuth: ${name} takes ${takes}, but got ${shown}`);
}
