import type { AxiosError, AxiosResponse } from 'axios';
import type { AuthEvent } from './events.js';
import type { MaybePromise } from './maybe-promise.js';
import type { AuthRequest, AuthScheme } from './schemes/scheme.js';

/** One scheme, or several that write their headers in this order; at most one of them has a session. */
export type Schemes = AuthScheme | readonly AuthScheme[];

/** Options of {@link attachAuth}. An option that is undefined counts as absent. */
export interface AttachAuthOptions {
  /**
   * Authenticates the requests: basic(), bearer(), signed(), hmac(), apiKey(), or any AuthScheme. A function is called once per call, and
   * not at attach, so that one instance serves many users. It returns the same object for the same user, and null for a call without
   * credentials. If it throws, the call rejects unsent.
   */
  scheme: Schemes | (() => Schemes | null);
  /** Retries after throttling (429), server errors and network errors. `false`: never retries. @default {} */
  retry?: RetryOptions | false | undefined;
  /**
   * Queues calls together while a limit is closed, and paces them afterwards. `false`: each call handles throttling on its own. A
   * Throttle of `createThrottle()` is shared by all instances and users that are given it. @default {}
   */
  throttle?: ThrottleOptions | Throttle | false | undefined;
  /**
   * Origins that may receive credentials, such as `https://api.example.com`. `'*'`: any origin.
   * @default the origin of `instance.defaults.baseURL`, read at each call; without a baseURL, the page's own origin
   */
  origins?: readonly string[] | '*' | undefined;
  /** A call to another origin is sent without credentials, or rejected with ERR_AUTH_FOREIGN_ORIGIN. @default 'send-bare' */
  foreignOrigin?: 'send-bare' | 'refuse' | undefined;
  /** Where credentials may be sent over plain `http:`. false: loopback only. An array: these origins, too. @default false */
  allowInsecure?: boolean | readonly string[] | undefined;
  /**
   * Decides which responses mean "not authenticated". It gets the response as the app does, with `data` parsed by
   * transformResponse. Only `true` counts. With several schemes it applies to those without an `isRefusal` of their own.
   * @default the scheme's isRefusal; without one, a 401 whose challenge says neither insufficient_scope (RFC 6750 §3.1) nor
   *   insufficient_user_authentication (RFC 9470)
   */
  isUnauthorized?: ((response: AxiosResponse) => boolean) | undefined;
  /**
   * Limit of a call in ms, from its start. No wait lasts beyond it, and no attempt begins after it. The call then settles with
   * its last response, or with ERR_AUTH_DEADLINE. Only axios's own `timeout` bounds an attempt on the wire. @default 120 000
   */
  deadlineMs?: number | undefined;
  /** Called with every event, which never contains a credential. An error that it throws has no effect. */
  onEvent?: ((event: AuthEvent) => void) | undefined;
}

/** When a call is sent again. A 401 and a 429 are handled for every method: the server has said that it did not act. */
export interface RetryOptions {
  /** Sends of one call after errors, including the first send; 1 or more. @default 4 */
  maxAttempts?: number | undefined;
  /** The same for 429, and for 503 with Retry-After. @default 6 */
  maxThrottledAttempts?: number | undefined;
  /** Statuses that are retried in addition to 429. @default [408, 500, 502, 503, 504] */
  statuses?: readonly number[] | undefined;
  /** Methods that are retried after these statuses and after network errors. @default the idempotent ones (RFC 9110 §9.2.2) */
  methods?: readonly string[] | undefined;
  /** First step of the exponential backoff in ms. @default 500 */
  baseDelayMs?: number | undefined;
  /** Longest step in ms. It never shortens a Retry-After. @default 20 000 */
  maxDelayMs?: number | undefined;
  /**
   * In ms. If the server asks for a longer wait, the call settles at once with that response. Applies with `retry: false`, too.
   * @default 60 000
   */
  maxRetryAfterMs?: number | undefined;
  /**
   * Decides whether a failure is retried. Any other result than true or false (a promise, for example) leaves the decision as it
   * is. The limits of attempts, time and body hold in any case.
   */
  shouldRetry?: ((failure: RetryFailure) => boolean | undefined) | undefined;
}

/** A failure that `shouldRetry` decides on. The url has no query. */
export interface RetryFailure {
  /** Upper case. */
  readonly method: string;
  /** Without query and user-info. */
  readonly url: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** The status of the response, if there was one. */
  readonly status?: number;
  /** The error, if the adapter rejected. */
  readonly error?: AxiosError;
  /** The decision without `shouldRetry`. */
  readonly willRetry: boolean;
}

/** Queues calls while a server throttles. */
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
  /** Called when a server has closed a limit for this machine. Must keep a longer closed time of another machine. */
  close(key: string, forMs: number): MaybePromise<void>;
  /** Returns for how many ms a limit is closed, 0 if it is open. Called once per key if there is `subscribe`, else before each call. */
  closedForMs(key: string): MaybePromise<number>;
  /** Calls `onClosed` when another machine closes a limit. Returns a function that ends this. */
  subscribe?(onClosed: (key: string, forMs: number) => void): () => void;
}

/** Options of one call, as `attachAuth` in its config. `attachAuth: false`: the package never touches the call. */
export interface RequestAuthOptions {
  /** omit: the scheme does not run; retry and throttle apply (login, health). @default 'attach' */
  credentials?: 'attach' | 'omit' | undefined;
  /** Overrides the instance's options, field by field. */
  retry?: RetryOptions | false | undefined;
  /** See {@link AttachAuthOptions.deadlineMs}. */
  deadlineMs?: number | undefined;
  /** True: the call may be sent again whatever its method. @default false */
  idempotent?: boolean | undefined;
  /** This call as another principal, with that principal's refresh and replay. A function, since axios clones objects in a config. */
  scheme?: (() => Schemes | null) | undefined;
  /**
   * Makes `data` anew for every send, so that a stream can be sent again. Its result is serialized as `data` is. Request
   * interceptors see the first one only. If it throws or returns a promise, the call rejects unsent.
   */
  body?: (() => unknown) | undefined;
}

declare module 'axios' {
  interface AxiosRequestConfig {
    /** See {@link RequestAuthOptions}; `false`: axios-attach-auth never touches the call. */
    attachAuth?: false | RequestAuthOptions | undefined;
  }
}
