import type { InternalAxiosRequestConfig } from 'axios';
import type { AttachedInstance } from '../attached-instance.js';
import type { Emit } from '../events.js';
import type { CallPolicy } from '../policy.js';
import { isWithin } from '../retry/decide.js';
import type { Permit, QueuedCall, Throttle, ThrottleKeys } from '../throttle/throttle.js';
import type { Attempt } from './attempt.js';
import type { CallRequest } from './auth-request.js';
import type { Waits } from './wait.js';

/** A call, as far as the throttle needs it. */
export interface ThrottledCall {
  readonly instance: AttachedInstance;
  readonly policy: CallPolicy;
  readonly waits: Waits;
  readonly attempts: number;
  noteRetryAt(delayMs: number): void;
  /** The call has waited: a token may have expired meanwhile. */
  waitedForThrottle(): void;
  readonly config: InternalAxiosRequestConfig | undefined;
  /** Makes a request without credentials. */
  cleanRequest(config: InternalAxiosRequestConfig, origin: string): CallRequest;
}

/** The way of one call through the throttle: it holds the call's permit from its turn until the result of the send. */
export class ThrottlePass implements QueuedCall {
  private _permit: Permit | undefined;

  constructor(
    private readonly _call: ThrottledCall,
    readonly throttle: Throttle | undefined,
  ) {}

  /**
   * Returns what the call must wait for in the queue; undefined: it may be sent now.
   * @throws AuthError ERR_AUTH_THROTTLED or ERR_AUTH_QUEUE_FULL if it may not wait.
   */
  enter(attempt: Attempt): Promise<void> | undefined {
    const { throttle } = this;
    if (!throttle || throttle.isIdle) return undefined;
    const keys = this.keysOf(attempt);
    if (this._permit && throttle.closedForMs(keys) <= 0) return undefined;
    this.release('ended');
    const entered = throttle.enter(keys, this, this._call.instance.throttling.maxQueued);
    if (!entered || !('ready' in entered)) {
      this._permit = entered;
      return undefined;
    }
    return this._call.waits.for(entered.ready, entered).then((permit) => {
      this._permit = permit;
      this._call.waitedForThrottle();
    });
  }

  closedForMs(attempt: Attempt): number {
    const { throttle } = this;
    return !throttle || throttle.isIdle ? 0 : throttle.closedForMs(this.keysOf(attempt));
  }

  /** Reports the result of the send, once. */
  release(result: 'granted' | 'ended'): void {
    const permit = this._permit;
    this._permit = undefined;
    permit?.release(result);
  }

  /** A limit may have refused the attempt: it keeps the permit until its response is classified. */
  handOver(attempt: Attempt): void {
    attempt.permit = this._permit;
    this._permit = undefined;
  }

  /** Reports an attempt that kept its permit. */
  report(attempt: Attempt, isThrottled: boolean): void {
    const { throttle } = this;
    const { instance, policy } = this._call;
    const { permit, limits, response } = attempt;
    attempt.permit = undefined;
    if (!isThrottled || !throttle || instance.isDetached) {
      permit?.release('ended');
      return;
    }
    const { quota, perSecond, policy: name } = limits?.rateLimit ?? {};
    const { retry } = policy;
    const probeEveryMs = response?.status === 503 ? retry.maxRetryAfterMs : undefined;
    const refusal = { retryAfterMs: limits?.retryAfterMs, probeEveryMs, quota, perSecond, policy: name };
    throttle.refused(this.keysOf(attempt), permit, refusal, retry, instance.emitRef);
  }

  /** The keys of an attempt, from a request without credentials. */
  keysOf(attempt: Attempt): ThrottleKeys {
    if (attempt.keys) return attempt.keys;
    const { config, instance } = this._call;
    const { origin } = attempt.request;
    const { keyOf } = instance.throttling;
    const isClean = attempt.authorized.length === 0 || !config;
    const request = isClean ? attempt.request : this._call.cleanRequest(config, origin);
    return (attempt.keys = keyOf ? [keyOf(request)] : [origin + request.url.pathname, origin]);
  }

  get wasSent(): boolean {
    return this._call.attempts > 0;
  }

  get emit(): WeakRef<Emit> {
    return this._call.instance.emitRef;
  }

  mayWait(forMs: number): boolean {
    const { policy, waits } = this._call;
    const mayWait = isWithin(forMs, policy.retry.maxRetryAfterMs) && forMs <= waits.remainingMs;
    if (!mayWait) this._call.noteRetryAt(forMs);
    return mayWait;
  }
}
