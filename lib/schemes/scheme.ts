import type { AxiosInstance, AxiosRequestHeaders, AxiosResponse } from 'axios';
import type { AuthError } from '../errors.js';
import type { MaybePromise } from '../maybe-promise.js';
import type { Lender, Member } from '../session/audience.js';
import type { RequestBody } from '../http/body.js';
import type { Challenge } from '../http/www-authenticate.js';

/**
 * How requests are authenticated: the port that basic(), bearer(), signed() and every other scheme implements.
 * One scheme object is one principal: all instances that it is attached to share its session, its clock and its cool-downs.
 */
export interface AuthScheme {
  /** The name as in `Authorization: <name> …`. Used in messages and events. */
  readonly name: string;
  /** Headers that hold credentials, in addition to those that `authorize` wrote. Dropped on a redirect to another origin. */
  readonly credentialHeaders?: readonly string[] | undefined;
  /**
   * Writes the credentials. Called before every attempt to an own origin, once URL, headers and body are final. It writes to
   * a copy: the caller's config never holds a credential. An error that it throws rejects the call.
   */
  authorize(request: AuthRequest): MaybePromise<void>;
  /**
   * Returns true if a replay may succeed. Called after a refusal, at most `maxChallenges` times per call. Without it the
   * refusal stands. An error that it throws rejects the call.
   */
  onChallenge?(challenge: AuthChallenge): MaybePromise<boolean>;
  /** How many refusals of one call the scheme can handle. @default 1 */
  readonly maxChallenges?: number | undefined;
  /**
   * True: `onChallenge` runs once for all calls whose refused credentials were sent before it finished, and they share its
   * result. For a cookie log-in or a CSRF token. @default false
   */
  readonly singleFlight?: boolean | undefined;
  /**
   * Returns true if a response refuses these credentials; any other result means that it does not. attachAuth's
   * `isUnauthorized` takes precedence. @default a 401 whose challenge says neither insufficient_scope (RFC 6750 §3.1) nor
   * insufficient_user_authentication (RFC 9470)
   */
  isRefusal?(response: AxiosResponse): boolean;
  /**
   * Called with every response to an attempt that this scheme authorized, 2xx too, after transformResponse and before the
   * caller. An error that it throws rejects the call.
   */
  onAnswer?(answer: AuthAnswer): MaybePromise<void>;
}

/** One attempt, as a scheme sees it. */
export interface AuthRequest {
  /** Upper case. */
  readonly method: string;
  /**
   * As it will be sent: base, path, serialized params. A scheme may modify it (a presigned query), and the modified URL is
   * sent. A URL that stays relative reads as `http://localhost/…`.
   */
  readonly url: URL;
  /**
   * Headers of this attempt only, with Content-Type as it will be sent, except for multipart, whose boundary is made later.
   * `set()` throws ERR_AUTH_INVALID_CREDENTIAL for a value that no header may carry (RFC 9110 §5.5).
   */
  readonly headers: AxiosRequestHeaders;
  /** The body after `transformRequest`. */
  readonly body: RequestBody;
  /** 1 for the first attempt of a call. */
  readonly attempt: number;
  /** Aborts on the caller's signal, the deadline or detach(). Created at first access. */
  readonly signal: AbortSignal;
  /** Epoch ms, corrected by the clock offset learned from this origin's Date headers. */
  readonly now: number;
  /**
   * An instance with this instance's defaults and no interceptors. It bypasses throttle and session. Its errors contain no
   * request body. In Node it follows no redirect to another origin.
   */
  readonly client: AxiosInstance;
  /** One object per call, the same for all its attempts. Use it as a WeakMap key. */
  readonly exchange: object;
}

/** A refusal, as a scheme sees it. */
export interface AuthChallenge {
  readonly request: AuthRequest;
  readonly response: AxiosResponse;
  /** The parsed WWW-Authenticate header (RFC 9110 §11.6.1). Empty if it is missing, malformed or hidden by CORS. */
  readonly challenges: readonly Challenge[];
}

/** A response to an attempt that a scheme authorized. */
export interface AuthAnswer {
  readonly request: AuthRequest;
  readonly response: AxiosResponse;
  /** Whether the response refuses the credentials of this scheme. */
  readonly isRefusal: boolean;
  /** `data` as the adapter returned it, before transformResponse. */
  readonly received: unknown;
}

/** What schemes of this package say and hear beyond the port. */
export interface SchemeHooks {
  /** A call that begins now was made inside `refresh()`, and must not wait for it. */
  isCallingRefresh?(): boolean;
  /** Makes the key that the scheme will know a new call by. */
  newKey?(): object;
  /** An answer to an attempt of ours. */
  answered?(request: AuthRequest, isUnauthorized: boolean): void;
  /** Whether the breaker keeps the session from refreshing for this call. */
  isRefreshUseless?(request: AuthRequest): boolean;
  /** An instance is attached; returns the way out. */
  join?(member: Member): () => void;
  /** What a call has to wait for before `authorize` can be ready at once. What it rejects with rejects the call. */
  busy?(exchange: object, lender: Lender): Promise<void> | undefined;
  /** Why nothing of the call may be sent any more: its principal has signed out, or another has signed in. */
  endOf?(exchange: object): AuthError | undefined;
  /** How many refusals of one call it can answer, where that is more than one: a list of credentials. */
  readonly challengesPerCall?: number;
  /** The session's store outlives this process, or other holders use it. */
  readonly isStoreShared?: boolean;
}

/** On the scheme itself, so that `{ ...bearer(…), authorize }` keeps them. */
const HOOKS = Symbol.for('axios-attach-auth.hooks');

/** All of them, so that none is looked for on the prototype. */
const NO_HOOKS: SchemeHooks = {
  isCallingRefresh: undefined,
  newKey: undefined,
  answered: undefined,
  isRefreshUseless: undefined,
  join: undefined,
  busy: undefined,
  endOf: undefined,
  challengesPerCall: undefined,
  isStoreShared: undefined,
} satisfies Record<keyof SchemeHooks, undefined> as object;

export function withHooks<S extends AuthScheme>(scheme: S, hooks: SchemeHooks): S {
  return Object.assign(scheme, { [HOOKS]: { ...NO_HOOKS, ...hooks } });
}

export function hooksOf(scheme: AuthScheme): SchemeHooks {
  return (scheme as { [HOOKS]?: SchemeHooks })[HOOKS] ?? NO_HOOKS;
}

/**
 * For schemes whose credential is a function: what was sent is kept for each call, and after a 401 the function is asked
 * once more: the call is sent again only if the value has changed.
 */
export class LastSent<T> {
  readonly #sent = new WeakMap<object, { value: T }>();

  keep(request: AuthRequest, value: T): void {
    this.#sent.set(request.exchange, { value });
  }

  /** undefined: nothing of ours was sent. */
  of(request: AuthRequest): { value: T } | undefined {
    return this.#sent.get(request.exchange);
  }
}
