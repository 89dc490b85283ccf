import type { InternalAxiosRequestConfig } from 'axios';
import type { AttachedInstance } from '../attached-instance.js';
import { alarm, stopwatch, type Cancel } from '../clock.js';
import { AuthError } from '../errors.js';
import { callerEnd, watchCaller } from '../transport/caller.js';
import type { OpenWait } from './deadline-timer.js';

/** A call, as far as its waits need it. */
export interface WaitingCall {
  readonly instance: AttachedInstance;
  readonly policy: { readonly deadlineMs: number };
  /** The config of the first attempt. The configs of later attempts lose options that axios does not know. */
  readonly config: InternalAxiosRequestConfig | undefined;
  /** Set once the session of the call's principal has ended. */
  readonly principalEnd: AuthError | undefined;
}

/** A permit or a timer, released if the wait ends early. */
export interface Reservation {
  release(): void;
}

/** The waits of one call. Each ends early on the caller's abort, the deadline, the end of the principal's session, and detach(). */
export class Waits {
  /** Ms spent in waits that have ended. */
  waitedMs = 0;
  /** Aborted when a wait ends early. undefined: no scheme has read its signal. */
  controller: AbortController | undefined = undefined;
  /** The monotonic clock alone may stand still while the machine sleeps. */
  private readonly _passedMs: () => number;

  constructor(readonly call: WaitingCall) {
    this._passedMs = stopwatch(call.instance.clock);
  }

  /** Ms until the deadline. */
  get remainingMs(): number {
    return this.call.policy.deadlineMs - this._passedMs();
  }

  /** The error that ends the call, if it may not continue. */
  get end(): unknown {
    const { instance, policy, config, principalEnd } = this.call;
    if (this.remainingMs <= 0) return deadlinePassed(policy.deadlineMs);
    if (instance.isDetached)
      return new AuthError('ERR_AUTH_DETACHED', 'Not sent: the call was waiting when detach() was called.');
    return (config && callerEnd(config)) ?? principalEnd;
  }

  /** Checked between waits, since only a wait watches for aborts. @throws the error that would end a wait. */
  assertOngoing(): void {
    const { end } = this;
    if (end !== undefined) throw end as Error;
  }

  /** Resolves with `work`, unless the wait ends first: then the reservation is released. */
  for<T>(work: Promise<T>, reservation?: Reservation): Promise<T> {
    return new Promise((resolve, reject) => {
      const wait = new Wait(this, (error) => {
        reservation?.release();
        reject(error);
      });
      work.then(
        (value) => {
          if (wait.close()) resolve(value);
        },
        (error: unknown) => {
          wait.end(error);
        },
      );
    });
  }

  sleep(delayMs: number): Promise<void> {
    let cancel!: Cancel;
    const elapsed = new Promise<void>((resolve) => {
      cancel = alarm(this.call.instance.clock, delayMs, resolve);
    });
    return this.for(elapsed, { release: cancel });
  }

  /** Aborts when a wait ends early, or at once if the call may not continue. */
  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    const { end } = this;
    if (end !== undefined) this.controller.abort(end);
    return this.controller.signal;
  }

  /** Lets the signal abort while a request is on the wire, until the result is closed. undefined: no scheme has read it. */
  watch(): Wait | undefined {
    return this.controller && new Wait(this);
  }
}

/** A wait that is open until it is closed or ends early. */
class Wait implements OpenWait {
  private readonly _beganAt: number;
  private readonly _unwatch: Cancel | undefined;

  constructor(
    private readonly _waits: Waits,
    /** Called with the error that ends it early. Without it nothing waits, and the time does not count. */
    private readonly _fail?: (error: unknown) => void,
  ) {
    const { instance, config } = _waits.call;
    this._beganAt = instance.clock.monotonic();
    instance.deadlines.add(this);
    this._unwatch = config && watchCaller(config, this);
    this.check();
  }

  get remainingMs(): number {
    return this._waits.remainingMs;
  }

  /** Returns whether it was open. */
  close(): boolean {
    const { clock, deadlines } = this._waits.call.instance;
    if (!deadlines.delete(this)) return false;
    this._unwatch?.();
    if (this._fail) this._waits.waitedMs += clock.monotonic() - this._beganAt;
    return true;
  }

  end(error: unknown): void {
    if (this.close()) this._fail?.(error);
  }

  check(): void {
    const { end, controller } = this._waits;
    if (end === undefined) return;
    controller?.abort(end);
    this.end(end);
  }
}

export function deadlinePassed(deadlineMs: number, cause?: unknown): AuthError {
  return new AuthError(
    'ERR_AUTH_DEADLINE',
    `Not sent (again): the deadline (\`deadlineMs\`: ${String(deadlineMs)}) has passed, or would pass before the next attempt.`,
    cause,
  );
}
