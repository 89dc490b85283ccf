import type { InternalAxiosRequestConfig } from 'axios';
import type { AttachedInstance, InstanceThrottle } from '../attached-instance.js';
import { alarm } from '../clock.js';
import type { CallPolicy } from '../policy.js';
import { isThrottling, isWithin } from '../retry/decide.js';
import type { LimitQueue, Permit, QueuedCall, ThrottleKeys } from '../throttle/throttle.js';
import { snapshot } from '../transport/copy.js';
import type { Attempt } from './attempt.js';
import type { CallRequest } from './auth-request.js';
import type { Waits } from './wait.js';

/** A response that was not classified for so long has been replaced by a handler of the app. Other calls wait for its permit. */
const UNREPORTED_MS = 1_000;

/** A call, as far as the throttle needs it. */
export interface ThrottledCall {
  readonly instance: AttachedInstance;
  readonly policy: CallPolicy;
  readonly waits: Waits;
  readonly attempts: number;
  readonly config: InternalAxiosRequestConfig | undefined;
  noteRetryAt(delayMs: number): void;
  /** The call has waited: a token may have expired meanwhile. */
  waitedForThrottle(): void;
  requestOf(copy: InternalAxiosRequestConfig, origin: string): CallRequest;
}

/** One call's use of the throttle. It holds the call's permit from its release by the queue until the result of the send. */
export class ThrottlePass implements QueuedCall {
  private _permit: Permit | undefined = undefined;
  private _keys: ThrottleKeys | undefined = undefined;
  /** The attempt before which the shared cool-down was asked for. */
  private _askedAttempt = -1;

  constructor(
    private readonly _call: ThrottledCall,
    private readonly _used: InstanceThrottle | undefined,
  ) {}

  get isOn(): boolean {
    return this._used !== undefined;
  }

  /**
   * Returns a promise if the call must wait for the shared cool-down or in the queue. undefined: send it now.
   * @throws AuthError ERR_AUTH_THROTTLED or ERR_AUTH_QUEUE_FULL if it may not wait.
   */
  acquire(attempt: Attempt): Promise<unknown> | undefined {
    if (!this._used) return undefined;
    const { throttle, sharing, options } = this._used;
    const { attempts, waits } = this._call;
    if (sharing && this._askedAttempt !== attempts) {
      this._askedAttempt = attempts;
      const asking = sharing.ask(this._keysOf(attempt));
      if (asking) return waits.for(asking);
    }
    if (throttle.isIdle) return undefined;
    if (this._permit && !this.isClosed(attempt)) return undefined;
    this.release();
    const permit = (this._permit = this._queueOf(attempt)?.acquire(this, options.maxQueued));
    if (!permit || permit.sentAt !== undefined) return undefined;
    return waits.for(permit.ready, permit).then(() => {
      this._call.waitedForThrottle();
    });
  }

  /** Whether the call must not be sent now, unless as a probe. */
  isClosed(attempt: Attempt): boolean {
    if (!this._used || this._used.throttle.isIdle) return false;
    const queue = this._queueOf(attempt);
    // A shared key may have taken over.
    if (this._permit && this._permit.queue !== queue) return true;
    return !this._permit?.isProbe && queue !== undefined && queue.closedForMs > 0;
  }

  /** Ms that the call is likely to wait if it is enqueued now. */
  delayMs(attempt: Attempt): number {
    return this._queueOf(attempt)?.delayMs ?? 0;
  }

  /** Reports the result of the send, once. */
  release(result?: 'granted'): void {
    const permit = this._permit;
    this._permit = undefined;
    permit?.release(result);
    if (this._keys && result === 'granted') this._used?.events?.check(this._keys);
  }

  /** Reports a response, unless a limit may have refused it and a predicate decides whether it did: see {@link report}. */
  answered(attempt: Attempt, status: number): void {
    if (!isThrottling(status, attempt.refusal?.retryAfterMs)) {
      this.release(status < 500 ? 'granted' : undefined);
      return;
    }
    attempt.permit = this._permit;
    this._permit = undefined;
    attempt.mayBeLimited = true;
    // An earlier handler may swallow the response: then it is never classified, and other calls wait for the permit.
    const hasPredicate = this._call.instance.policy.isUnauthorized !== undefined || attempt.hasPredicate;
    const { permit } = attempt;
    if (!permit) return;
    if (hasPredicate)
      alarm(
        this._call.instance.clock,
        UNREPORTED_MS,
        () => {
          permit.release();
        },
        'idle',
      );
    else this.report(attempt, true);
  }

  /** Reports whether a limit refused the attempt, once. */
  report(attempt: Attempt, isThrottled: boolean): void {
    const { permit, refusal, mayBeLimited } = attempt;
    if (!mayBeLimited) return;
    attempt.mayBeLimited = false;
    attempt.permit = undefined;
    if (!isThrottled || !refusal || !this._used || this._call.instance.isDetached) {
      permit?.release();
      return;
    }
    const { throttle, sharing, events } = this._used;
    const keys = this._keysOf(attempt);
    const key = throttle.refused(keys, permit, refusal, this._call.policy.retry);
    if (refusal.status === 429 && refusal.retryAfterMs) sharing?.share(key, refusal.retryAfterMs);
    events?.check(keys);
  }

  get wasSent(): boolean {
    return this._call.attempts > 0;
  }

  mayWait(forMs: number, isAsked: boolean): boolean {
    const { policy, waits } = this._call;
    if (this._keys && forMs > 0) this._used?.events?.check(this._keys);
    // The whole second of a rounded instant has begun.
    const isTooLong = isAsked && !isWithin(forMs - 1, policy.retry.maxRetryAfterMs);
    const mayWait = !isTooLong && forMs <= waits.remainingMs;
    if (!mayWait && isAsked) this._call.noteRetryAt(forMs);
    return mayWait;
  }

  private _queueOf(attempt: Attempt): LimitQueue | undefined {
    return this._used?.throttle.queueOf(this._keysOf(attempt));
  }

  /** The same for all attempts, from a request without credentials. */
  private _keysOf({ request, authorized }: Attempt): ThrottleKeys {
    if (this._keys) return this._keys;
    const { config } = this._call;
    const { origin } = request;
    const keyOf = this._used?.options.keyOf;
    const clean = authorized.length === 0 || !config ? request : this._call.requestOf(snapshot(config), origin);
    return (this._keys = keyOf ? [keyOf(clean)] : [origin + clean.url.pathname, origin]);
  }
}
