import type { AxiosError, AxiosResponse } from 'axios';
import type { AuthEvent } from './events.js';
import type { MaybePromise } from './maybe-promise.js';
import type { AuthRequest, AuthScheme } from './schemes/scheme.js';

/** Options of {@link attachAuth}. An option that is undefined is as if it were absent. */
export interface AttachAuthOptions {
  /** How requests are authenticated: basic(), bearer(), signed(), hmac(), apiKey(), or any AuthScheme. */
  scheme: AuthScheme;
  /** Sending again after throttling (429), server errors and network errors. `false`: never. @default {} */
  retry?: RetryOptions | false | undefined;
  /**
   * Queues calls together while an origin throttles, and paces them afterwards. `false`: each call handles throttling on its own.
   * A Throttle of `createThrottle()` is shared by all instances and users that are given it. @default {}
   */
  throttle?: ThrottleOptions | Throttle | false | undefined;
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

/** How calls are queued while a server throttles. */
export interface ThrottleOptions {
  /**
   * Returns the same key for calls that share a limit. Gets the request before credentials are written to it.
   * @default learned: a 429 closes its own path (origin and pathname). If a second path is refused meanwhile, the limit is shared,
   * and the origin closes. A RateLimit policy or partition key in the response states the limit directly.
   */
  keyOf?: ((request: AuthRequest) => string) | undefined;
  /** The most calls that may wait for one key. A further call rejects with ERR_AUTH_QUEUE_FULL. @default Infinity */
  maxQueued?: number | undefined;
  /** Shares the cool-down between machines that share a limit: `redisCooldown()` of `/redis`, or your own. @default none */
  shared?: SharedCooldown | undefined;
}

/** A throttle to share, made by `createThrottle()`. */
export interface Throttle {
  /** Forgets every cool-down. Waiting calls are sent, four at a time. */
  reset(): void;
}

/**
 * Shares closed limits between machines. It uses durations in ms, because clocks differ. If it throws, rejects or does not answer
 * within 2 s, only the sharing is lost.
 */
export interface SharedCooldown {
  /** Called when this machine was told that a limit is closed. A longer closed time of another machine must stay. */
  close(key: string, forMs: number): MaybePromise<void>;
  /** Returns for how long a limit is closed; 0 if it is open. Asked once per key if there is `subscribe`, else before each call. */
  closedForMs(key: string): MaybePromise<number>;
  /** Calls `onClosed` when another machine closes a limit. Returns a function that ends this. */
  subscribe?(onClosed: (key: string, forMs: number) => void): () => void;
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
