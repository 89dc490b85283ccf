import type { AxiosInstance, AxiosRequestHeaders, AxiosResponse } from 'axios';
import type { AuthError } from '../errors.js';
import type { MaybePromise } from '../maybe-promise.js';
import type { AttachedInstance, ClientProvider } from '../session/snapshot.js';
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

/** The hooks between a session and a call, beyond the port. */
export interface SchemeHooks {
  /** Whether a call that begins now was made inside `refresh()`, and must not wait for it. */
  isCallingRefresh?(): boolean;
  /** Makes the object by which the scheme knows a new call (`AuthRequest.exchange`). */
  newExchange?(): object;
  /** Returns what a call waits for before `authorize` is ready at once. Its rejection rejects the call. */
  waitFor?(exchange: object, clientProvider: ClientProvider): Promise<void> | undefined;
  /** Returns why nothing of the call may be sent any more: its principal has signed out, or another has signed in. */
  endOf?(exchange: object): AuthError | undefined;
  /** Whether the circuit breaker keeps the session from refreshing for this call. */
  isRefreshPaused?(request: AuthRequest): boolean;
  /** Adds an attached instance, which is referenced weakly. Returns the function that removes it. */
  join?(instance: AttachedInstance): () => void;
}

/** On the scheme itself, so that `{ ...bearer(…), authorize }` keeps them. */
const HOOKS = Symbol.for('axios-attach-auth.hooks');

/** All of them, so that none is looked up on a prototype. */
const NO_HOOKS: SchemeHooks = {
  isCallingRefresh: undefined,
  newExchange: undefined,
  waitFor: undefined,
  endOf: undefined,
  isRefreshPaused: undefined,
  join: undefined,
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
