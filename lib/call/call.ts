import type { AxiosAdapter, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import type { AttachedInstance } from '../attached-instance.js';
import { AuthError, isAuthError } from '../errors.js';
import type { BareReason } from '../events.js';
import type { CallPolicy } from '../policy.js';
import type { SettleReason } from '../retry/decide.js';
import { isPromise } from '../maybe-promise.js';
import { safeGet } from '../safe-read.js';
import type { Principal, SchemeState } from '../schemes/scheme-state.js';
import { resolveAdapter, settleContentType } from '../transport/adapter.js';
import { snapshot } from '../transport/copy.js';
import { guardTransforms } from '../transport/transform-guard.js';
import { send } from '../transport/send.js';
import { Attempt, NONE } from './attempt.js';
import { CallRequest, type RequestingCall } from './auth-request.js';
import { chooseSchemes } from './choose-schemes.js';
import { tagCall, type Reported } from './report.js';
import { ThrottlePass, type ThrottledCall } from './throttle-pass.js';
import { Waits, type WaitingCall } from './wait.js';

type Config = InternalAxiosRequestConfig;

/** One logical request with all its sends: its deadline, its waits, and why it settled. The app never holds one. */
export class Call implements Reported, RequestingCall, ThrottledCall, WaitingCall {
  /** The adapter in the call's config. It replaces the real one. */
  readonly adapter: AxiosAdapter = (config) => this._adapt(config);
  readonly waits = new Waits(this);
  /** Identifies the call to its schemes: `AuthRequest.exchange`. */
  readonly exchange: object = this.principal.main.session?.newExchange() ?? {};
  readonly pass = new ThrottlePass(this, this.instance.throttleOf(this.principal));
  readonly number = ++this.instance.calls;
  /** The config that axios passed for the first attempt. */
  config: Config | undefined = undefined;
  last: Attempt | undefined = undefined;
  attempts = 0;
  /** Failed attempts, counted against maxAttempts and maxThrottledAttempts. Refusals of credentials count in neither. */
  errors = 0;
  throttles = 0;
  /** The schemes that have handled a refusal, once for each, since the call last waited for the throttle. */
  challenged: readonly SchemeState[] = NONE;
  /** Each send makes the body anew, so it is read from the config of that send. */
  isBodyRemade = false;
  isRefreshed = false;
  isDone = false;
  recovering: Promise<unknown> | undefined = undefined;
  reason: SettleReason | undefined = undefined;
  bare: BareReason | undefined = undefined;
  /** The call ends with the session of its principal. */
  isBound = false;
  retryAt: number | undefined = undefined;
  /** The config that axios passed for the current attempt. */
  private _dispatched: Config | undefined = undefined;
  private _onWire: Config | undefined = undefined; // the snapshot that is being sent

  constructor(
    readonly instance: AttachedInstance,
    readonly policy: CallPolicy,
    readonly principal: Principal,
    readonly adapters: Config['adapter'],
    /** `data` before transformRequest. */
    public values: unknown,
  ) {
    tagCall(this.adapter, this);
  }

  /** Sends one attempt. Each pass begins anew from the config, since anything may have changed during a wait. */
  async send(config: Config): Promise<AxiosResponse> {
    try {
      for (;;) {
        const attempt = this._prepare(config);
        if (isPromise(attempt)) {
          await attempt;
          continue;
        }
        const authorizing = attempt.authorize();
        if (authorizing) {
          await this.waits.for(authorizing);
          this.waits.assertOngoing();
          // Once the throttle opens again, a signature or token may be too old.
          if (this.pass.isClosed(attempt)) continue;
        }
        const copy = attempt.request.sentConfig;
        this._begin(attempt, copy);
        const watch = this.waits.watch();
        try {
          return (attempt.response = await send(copy, attempt));
        } catch (error) {
          attempt.error = error;
          attempt.response = safeGet(error, 'response') as AxiosResponse | undefined;
          throw error;
        } finally {
          watch?.close();
          this._onWire = undefined;
          if (attempt.response) this._read(attempt, attempt.response);
        }
      }
    } catch (error) {
      const failure = this.inContext(error);
      if (!safeGet(failure, 'config')) this.instance.recordError(failure, this);
      throw failure;
    } finally {
      this.pass.release();
    }
  }

  /** Returns the next attempt, or a promise that the call must wait for before it prepares another one. */
  private _prepare(config: Config): Attempt | Promise<unknown> {
    const { instance, policy, principal, waits, pass } = this;
    waits.assertOngoing();
    const copy = snapshot(config);
    const destination = instance.origins.destinationOf(copy);
    const { schemes, bare } =
      policy.credentials === 'omit'
        ? { schemes: [], bare: 'omitted' as const }
        : chooseSchemes(copy, destination, principal.schemes, instance.policy);
    this.isBound = schemes.includes(principal.main);
    const adapter = resolveAdapter(copy, this.adapters);
    settleContentType(copy, adapter.transport);
    const named = bare && bare !== 'own-credentials' ? schemes : principal.schemes;
    const attempt = new Attempt(config, adapter, this.requestOf(copy, destination.origin), schemes, named, bare);
    const turn = pass.acquire(attempt);
    if (turn) return turn;
    const refresh = this.isBound && principal.main.session?.waitFor(this.exchange, instance);
    return refresh ? waits.for(refresh) : attempt;
  }

  /** An attempt whose headers are written is about to be sent. */
  private _begin(attempt: Attempt, copy: Config): void {
    this.bare = attempt.prepare(copy, this.principal.main);
    // exchangeOf() finds the call of the copy by this adapter. If the copy is sent through it, _adapt() calls the real one.
    copy.adapter = this.adapter;
    this._onWire = copy;
    this.last = attempt;
    if (++this.attempts === 1) this.instance.countCall(attempt.origin);
  }

  private _read(attempt: Attempt, response: AxiosResponse): void {
    const { instance, principal, pass, _dispatched: config } = this;
    if (config) guardTransforms(config, (error) => instance.recordError(error, this));
    attempt.read(response, principal.main, instance.clock);
    pass.answered(attempt, response.status);
  }

  private _adapt(config: Config): Promise<AxiosResponse> {
    if (config === this._onWire && this.last) return this.last.adapter.send(config);
    const { instance, policy, adapters, values } = this;
    // The config of an earlier send is sent again after detach().
    if (instance.isDetached && this.config && !this.recovering)
      return resolveAdapter(config, (config.adapter = adapters as AxiosAdapter)).send(config);
    this._dispatched = config;
    // A layer of the app may have wrapped our adapter: then only the config leads to the call.
    if (config.adapter !== this.adapter) tagCall(config, this);
    // axios accepts a URL object, although its types do not.
    for (const key of ['url', 'baseURL'] as const)
      if (config[key] && typeof config[key] !== 'string') config[key] = String(config[key]);
    if (!this.isDone) {
      if (!this.recovering || !this.config) this.config = config;
      if (this.isBodyRemade) Object.assign(this.config, { data: config.data as unknown, headers: config.headers });
      return this.send(this.config);
    }
    // If a retry layer or a button sends the config of a settled call again, that is a new call.
    const next = new Call(instance, policy, instance.principal(policy), adapters, values);
    config.adapter = next.adapter;
    return next.adapter(config).finally(next.finish.bind(next));
  }

  /** The call has settled. Its report stays available. */
  finish(): void {
    this.isDone = true;
    this.last = this.recovering = undefined;
    this.pass.release(); // if it was not sent again after all
  }

  /** Sets `retryAt` of the report from the delay that the server asked for, if any. */
  noteRetryAt(delayMs: number | undefined): void {
    this.retryAt = delayMs === undefined ? undefined : Math.round(this.instance.clock.now() + delayMs);
  }

  /** Returns an AuthError with the call's config and last response. Other errors are returned as they are. */
  inContext(error: unknown, response?: AxiosResponse): unknown {
    if (!isAuthError(error) || safeGet(error, response ? 'response' : 'config')) return error;
    const { code, message, retryAt } = error;
    // One failure may reject many calls: each gets its own error. A refresh may know when the endpoint wants the next one.
    const config = safeGet(error, 'config') ?? this.config;
    const own = new AuthError(code, message, safeGet(error, 'cause'), config, response);
    if (retryAt !== undefined) this.retryAt = own.retryAt = retryAt;
    return own;
  }

  get principalEnd(): AuthError | undefined {
    return this.isBound ? this.principal.main.session?.endOf(this.exchange) : undefined;
  }
  requestOf(copy: Config, origin: string): CallRequest {
    return new CallRequest(copy, this.attempts + 1, origin, () => this);
  }
  /** The token may have expired meanwhile: the next refusal counts as the first one. */
  waitedForThrottle(): void {
    if (this.attempts > 0) this.challenged = NONE;
  }
}
