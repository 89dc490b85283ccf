import type { AxiosAdapter, AxiosInstance, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import type { AttachedInstance } from '../attached-instance.js';
import { isAuthError, type AuthError } from '../errors.js';
import type { BareReason, Emit } from '../events.js';
import type { CallPolicy } from '../policy.js';
import { isWithin, type SettleReason } from '../retry/decide.js';
import { safeGet } from '../safe-read.js';
import type { Principal, SchemeState } from '../schemes/scheme-state.js';
import type { Permit, QueuedCall, Throttle, ThrottleKeys } from '../throttle/throttle.js';
import { resolveAdapter, settleContentType } from '../transport/adapter.js';
import { snapshot } from '../transport/copy.js';
import { resolveUrl } from '../transport/origin.js';
import { Attempt } from './attempt.js';
import { CallRequest, type RequestSource } from './auth-request.js';
import { authorize, chooseSchemes } from './authorize.js';
import { tagCall, type ExchangeReport, type Reporting } from './report.js';
import { transmit } from './transmit.js';
import { Waits, type WaitingCall } from './wait.js';

type Config = InternalAxiosRequestConfig;

/** One logical request with all its sends: its deadline, its waits, and why it settled. The app never holds one. */
export class Call implements Reporting, QueuedCall, RequestSource, WaitingCall {
  /** Stands in the call's config in place of the adapter. */
  readonly adapter: AxiosAdapter = (config) => this._adapt(config);
  readonly waits: Waits;
  /** The object that schemes know the call by. */
  readonly exchange: object;
  readonly throttle: Throttle | undefined;
  /** The config that axios first handed over. */
  config: Config | undefined;
  /** The config that axios handed over for the current attempt. */
  dispatched: Config | undefined;
  /** The snapshot that is on the wire, and its adapter. */
  sending: { readonly copy: Config; readonly send: AxiosAdapter } | undefined;
  last: Attempt | undefined;
  permit: Permit | undefined;
  attempts = 0;
  /** Failed attempts, by the limit that counts them. A refusal is in neither. */
  errors = 0;
  throttles = 0;
  /** How many refusals each scheme has handled since the call last waited for the throttle. */
  challenges: Map<SchemeState, number> | undefined;
  /** The body is made anew for every send: the one of the next send is in the config that axios hands over. */
  isBodyRemade = false;
  isRefreshed = false;
  isDone = false;
  recovering: Promise<unknown> | undefined;
  reason: SettleReason | undefined;
  bare: BareReason | undefined;
  /** Credentials are sent with it, so it ends with its principal. */
  isBound = false;
  retryAt: number | undefined;
  private readonly _number: number;

  constructor(
    readonly instance: AttachedInstance,
    readonly policy: CallPolicy,
    readonly principal: Principal,
    readonly adapters: Config['adapter'],
    /** `data` before transformRequest. */
    readonly values: unknown,
  ) {
    this.waits = new Waits(this);
    this.exchange = principal.main.session?.newExchange() ?? {};
    this.throttle = instance.throttleOf(principal);
    this._number = instance.nextCallNumber();
    tagCall(this.adapter, this);
  }

  /** Sends one attempt. Each pass begins anew from the config, since anything may have changed during a wait. */
  async send(config: Config): Promise<AxiosResponse> {
    try {
      for (;;) {
        this.waits.assertOngoing();
        const copy = snapshot(config);
        const attempt = this._prepare(copy);

        const turn = this.passThrottle(attempt);
        if (turn) {
          await turn;
          continue;
        }
        const refresh = attempt.schemes.length > 0 && this.principal.main.session?.waitFor(this.exchange, this);
        if (refresh) {
          await this.waits.for(refresh);
          continue;
        }
        const adapter = resolveAdapter(copy, this.adapters);
        settleContentType(copy, adapter.transport);
        const authorizing = authorize(attempt, attempt.schemes, config);
        if (authorizing) {
          await this.waits.for(authorizing);
          this.waits.assertOngoing();
          // Once the throttle opens again, a signature or token may be too old.
          if (this.isThrottled(attempt)) continue;
        }
        return await transmit(this, attempt, { config, copy, adapter });
      }
    } catch (error) {
      throw this.inContext(error);
    } finally {
      this.release('ended');
    }
  }

  /**
   * Enters the throttle. Returns what the call must wait for in its queue; undefined: it may be sent now.
   * @throws AuthError ERR_AUTH_THROTTLED or ERR_AUTH_QUEUE_FULL if it may not wait.
   */
  passThrottle(attempt: Attempt): Promise<void> | undefined {
    const { throttle } = this;
    if (!throttle || throttle.isIdle) return undefined;
    if (this.permit && !this.isThrottled(attempt)) return undefined;
    this.release('ended');
    const entered = throttle.enter(this.keysOf(attempt), this, this.instance.throttling.maxQueued);
    if (!entered || !('ready' in entered)) {
      this.permit = entered;
      return undefined;
    }
    return this.waits.for(entered.ready, entered).then((permit) => {
      this.permit = permit;
      this.waitedForThrottle();
    });
  }

  isThrottled(attempt: Attempt): boolean {
    const { throttle, permit } = this;
    return !permit?.isProbe && throttle?.isIdle === false && throttle.closedForMs(this.keysOf(attempt)) > 0;
  }

  /** The token may have expired meanwhile: the next refusal counts as the first one. */
  waitedForThrottle(): void {
    if (this.attempts > 0) this.challenges = undefined;
  }

  /** The keys of an attempt, from a request without credentials. */
  keysOf(attempt: Attempt): ThrottleKeys {
    if (attempt.keys) return attempt.keys;
    const { origin } = attempt.request;
    // A scheme may have written to the request of this attempt: its headers or its URL.
    const request =
      attempt.writers.length === 0 ? attempt.request : this._requestOf(snapshot(this.config as Config), origin);
    const { keyOf } = this.instance.throttling;
    return (attempt.keys = keyOf ? [keyOf(request)] : [origin + request.url.pathname, origin]);
  }

  /** Judges a snapshot: which schemes run for it, and where it goes. */
  private _prepare(copy: Config): Attempt {
    const { instance, policy, principal } = this;
    const destination = instance.origins.destinationOf(copy);
    const { schemes, bare } =
      policy.credentials === 'omit'
        ? { schemes: [], bare: 'omitted' as const }
        : chooseSchemes(copy, destination, principal.schemes, instance.policy);
    this.isBound = schemes.length > 0;
    return new Attempt(this._requestOf(copy, destination.origin), schemes, bare);
  }

  private _requestOf(copy: Config, origin: string): CallRequest {
    return new CallRequest(copy, this.attempts + 1, origin, this);
  }

  private _adapt(config: Config): Promise<AxiosResponse> {
    if (config === this.sending?.copy) return this.sending.send(config);
    this.dispatched = config;
    // axios takes a URL object, whatever its types say.
    for (const key of ['url', 'baseURL'] as const)
      if (config[key] && typeof config[key] !== 'string') config[key] = String(config[key]);
    if (!this.isDone) {
      this.config ??= config;
      if (this.isBodyRemade) this.config.data = config.data as unknown;
      return this.send(this.config);
    }
    // The config of a settled call is sent again, by a retry layer or a button: that is a new call.
    const { instance, policy, adapters, values } = this;
    if (instance.isDetached) return resolveAdapter(config, adapters).send(config);
    const next = new Call(instance, policy, instance.principal(policy.schemes), adapters, values);
    config.adapter = next.adapter;
    return next.adapter(config);
  }

  /** Reports the result of the send to the throttle, once. */
  release(result: 'granted' | 'ended'): void {
    const { permit } = this;
    this.permit = undefined;
    permit?.release(result);
  }

  /** The call has settled: only its report is left. */
  finish(): void {
    this.isDone = true;
    this.last = this.sending = this.recovering = undefined;
  }

  report(): ExchangeReport {
    const { retryAt, reason, bare } = this;
    return {
      call: this._number,
      attempts: this.attempts,
      refreshed: this.isRefreshed,
      waitedMs: Math.round(this.waits.waitedMs),
      ...(retryAt !== undefined && { retryAt }),
      ...(reason && { reason }),
      ...(bare && { bare }),
    };
  }

  /** What events say about the call. URLs have no query and no user-info. */
  about({ request: { method, cleanUrl } }: Attempt): { call: number; method: string; url: string } {
    return { call: this._number, method, url: cleanUrl.origin + cleanUrl.pathname };
  }

  /** Notes the delay that the server asked for, if any. */
  noteRetryAt(delayMs: number | undefined): void {
    this.retryAt = delayMs === undefined ? undefined : Math.round(this.instance.clock.now() + delayMs);
  }

  /** Gives an error of ours the call's config and the server's last response. */
  inContext(error: unknown): unknown {
    return isAuthError(error) && !safeGet(error, 'config') ? error.about(this.config, this.last?.response) : error;
  }

  get wasSent(): boolean {
    return this.attempts > 0;
  }
  get emit(): WeakRef<Emit> {
    return this.instance.emitRef;
  }
  mayWait(forMs: number): boolean {
    const mayWait = isWithin(forMs, this.policy.retry.maxRetryAfterMs) && forMs <= this.waits.remainingMs;
    if (!mayWait) this.noteRetryAt(forMs);
    return mayWait;
  }
  get principalEnd(): AuthError | undefined {
    return this.isBound ? this.principal.main.session?.endOf(this.exchange) : undefined;
  }
  get signal(): AbortSignal {
    return this.waits.signal;
  }
  get client(): AxiosInstance {
    return this.instance.client;
  }
  urlOf(config: Config): URL {
    return resolveUrl((this.instance.resender.getUri(config) as string | undefined) ?? '');
  }
  serverNow(origin: string): number {
    return this.principal.main.serverNow(origin);
  }
}
