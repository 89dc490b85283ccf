import type { AxiosInstance, AxiosRequestHeaders, AxiosResponse } from 'axios';
import type { AuthError } from '../errors.js';
import type { MaybePromise } from '../maybe-promise.js';
import type { Lender, Member } from '../session/audience.js';
import type { RequestBody } from '../http/body.js';
import type { Challenge } from '../http/www-authenticate.js';

/** How requests are authenticated: the port that basic, bearer, signed and every other scheme fills. */
export interface AuthScheme {
  /** As in `Authorization: <name> …`; used in messages and events. */
  readonly name: string;
  /** Headers that hold credentials, besides whatever `authorize` wrote: dropped on a redirect to another origin. */
  readonly credentialHeaders?: readonly string[] | undefined;
  /**
   * Called before every attempt of every call to an origin of ours, once URL, headers and body are final. It writes
   * headers; what it writes goes on a copy, is checked, and counts as a credential. What it throws rejects the call.
   */
  authorize(request: AuthRequest): MaybePromise<void>;
  /**
   * Called after a refusal (a 401), once a call: true if sending again may succeed. Left out: the 401 stands.
   * What it throws rejects the call.
   */
  onChallenge?(challenge: AuthChallenge): MaybePromise<boolean>;
}

/** One attempt, as a scheme sees it. */
export interface AuthRequest {
  /** Upper case. */
  readonly method: string;
  /** As it will be sent: base, path, serialized params. A URL that stays relative reads as `http://localhost/…`. */
  readonly url: URL;
  /** This attempt's own. `set()` checks the raw value and throws ERR_AUTH_INVALID_CREDENTIAL. */
  readonly headers: AxiosRequestHeaders;
  /** After `transformRequest`. */
  readonly body: RequestBody;
  /** 1 for the first attempt of a call. */
  readonly attempt: number;
  /** Ends with the caller's signal, the deadline and detach(); made when first asked for. */
  readonly signal: AbortSignal;
  /** Epoch ms, corrected by what the server's Date headers taught. */
  readonly now: number;
  /**
   * This instance's defaults, no interceptors; never meets gate or session; its errors keep no body. In Node it follows no
   * redirect to another origin.
   */
  readonly client: AxiosInstance;
  /** One for each call, the same for all its attempts: a WeakMap key. */
  readonly exchange: object;
}

/** A refusal, as a scheme sees it. */
export interface AuthChallenge {
  readonly request: AuthRequest;
  readonly response: AxiosResponse;
  /** What WWW-Authenticate says (RFC 9110 §11.6.1); empty where it is missing, malformed or hidden by CORS. */
  readonly challenges: readonly Challenge[];
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
