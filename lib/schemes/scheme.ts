import type { AxiosInstance, AxiosRequestHeaders, AxiosResponse } from 'axios';
import type { MaybePromise } from '../maybe-promise.js';
import type { Session } from '../session/session.js';
import type { RequestBody } from '../http/body.js';
import type { Challenge } from '../http/www-authenticate.js';

/**
 * How requests are authenticated: the port that basic(), bearer(), signed() and every other scheme implements. One scheme object
 * is one principal. All its instances share its session, its clock and its cool-downs.
 */
export interface AuthScheme {
  /** The name as in `Authorization: <name> …`. Used in messages and events. */
  readonly name: string;
  /** Headers that hold credentials, in addition to those that `authorize` wrote. Dropped on a redirect to another origin. */
  readonly credentialHeaders?: readonly string[] | undefined;
  /**
   * Writes the credentials. Called before every attempt to an own origin, once URL, headers and body are final. It writes to
   * a copy: the caller's config never holds a credential. An error that it throws rejects the call. Its own requests use `request.client`.
   * A call of the attached instance that begins before its first `await` is sent without credentials.
   */
  authorize(request: AuthRequest): MaybePromise<void>;
  /**
   * Returns true if a replay may succeed. Called after a refusal, at most `maxChallenges` times per call. Without it the
   * call settles with the refusal. An error that it throws rejects the call.
   */
  onChallenge?(challenge: AuthChallenge): MaybePromise<boolean>;
  /** How many refusals of one call the scheme can handle. Infinity: as many as the limits of attempts allow. @default 1 */
  readonly maxChallenges?: number | undefined;
  /**
   * True: `onChallenge` runs once for all calls whose refused credentials were sent before it finished, and they share its
   * result. For a cookie log-in or a CSRF token. After 60 s its signal aborts, and it counts as false. @default false
   */
  readonly singleFlight?: boolean | undefined;
  /**
   * Returns true if a response refuses these credentials; any other result means that it does not. Of a single scheme,
   * attachAuth's `isUnauthorized` takes precedence. @default a 401 whose challenge says neither insufficient_scope (RFC 6750 §3.1) nor
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
  /** The attempt that was refused. */
  readonly request: AuthRequest;
  /** The refusal, with `data` as the app gets it. */
  readonly response: AxiosResponse;
  /** The parsed WWW-Authenticate header (RFC 9110 §11.6.1). Empty if it is missing, malformed or hidden by CORS. */
  readonly challenges: readonly Challenge[];
}

/** A response to an attempt that a scheme authorized. */
export interface AuthAnswer {
  /** The attempt that was answered. */
  readonly request: AuthRequest;
  /** The response, after transformResponse. */
  readonly response: AxiosResponse;
  /** Whether the response refuses the credentials of this scheme. */
  readonly isRefusal: boolean;
  /** `data` as the adapter returned it, before transformResponse. */
  readonly received: unknown;
}

/** Leads to the session of a scheme. An own property, so that `{ ...bearer(…), authorize }` copies it. */
const SESSION = Symbol.for('axios-attach-auth.session');

export function withSession<S extends AuthScheme>(scheme: S, hook: () => Session): S {
  return Object.assign(scheme, { [SESSION]: hook });
}

export function sessionOf(scheme: AuthScheme): Session | undefined {
  return (scheme as { [SESSION]?: () => Session })[SESSION]?.();
}
