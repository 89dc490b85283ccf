import type { InternalAxiosRequestConfig } from 'axios';
import type { AttachedInstance } from '../attached-instance.js';
import { alarm, stopwatch, type Cancel } from '../clock.js';
import { AuthError } from '../errors.js';
import { callerEnd, watchCaller } from '../transport/caller.js';

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
  /** The monotonic clock alone may stand still while the machine sleeps. */
  private readonly _passedMs: () => number;
  private _controller: AbortController | undefined = undefined;

  constructor(private readonly _call: WaitingCall) {
    this._passedMs = stopwatch(_call.instance.clock);
  }

  /** Ms until the deadline. */
  get remainingMs(): number {
    return this._call.policy.deadlineMs - this._passedMs();
  }

  /** The error that ends the call, if it may not continue. */
  get end(): unknown {
    const { instance, policy, config, principalEnd } = this._call;
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
      const fail = (error: unknown): void => {
        reservation?.release();
        reject(error);
      };
      const close = this._open(fail);
      work.then(
        (value) => {
          if (close()) resolve(value);
        },
        (error: unknown) => {
          if (close()) fail(error);
        },
      );
    });
  }

  sleep(delayMs: number): Promise<void> {
    let cancel!: Cancel;
    const elapsed = new Promise<void>((resolve) => {
      cancel = alarm(this._call.instance.clock, delayMs, resolve);
    });
    return this.for(elapsed, { release: cancel });
  }

  /** Aborts when a wait ends early, or at once if the call may not continue. */
  get signal(): AbortSignal {
    this._controller ??= new AbortController();
    const { end } = this;
    if (end !== undefined) this._controller.abort(end);
    return this._controller.signal;
  }

  /** Lets the signal abort while a request is on the wire, until the result is called. undefined: no scheme has read it. */
  watch(): (() => boolean) | undefined {
    return this._controller && this._open();
  }

  /**
   * Opens a wait. `fail` is called with the error that ends it early; without it nothing waits, and the time does not count.
   * Returns the function that closes it, and returns whether it was open.
   */
  private _open(fail?: (error: unknown) => void): () => boolean {
    const { instance, config } = this._call;
    const { clock, deadlines } = instance;
    const beganAt = clock.monotonic();
    let unwatch: Cancel | undefined = undefined;
    const close = (): boolean => {
      if (!deadlines.delete(check)) return false;
      unwatch?.();
      if (fail) this.waitedMs += clock.monotonic() - beganAt;
      return true;
    };
    const end = (error: unknown): void => {
      if (close()) fail?.(error);
    };
    const check = (): void => {
      const { end: why } = this;
      if (why === undefined) return;
      this._controller?.abort(why);
      end(why);
    };
    deadlines.add(check, this);
    unwatch = config && watchCaller(config, check, end);
    check();
    return close;
  }
}

export function deadlinePassed(deadlineMs: number, cause?: unknown): AuthError {
  return new AuthError(
    'ERR_AUTH_DEADLINE',
    `Not sent (again): the deadline (\`deadlineMs\`: ${String(deadlineMs)}) has passed, or would pass before the next attempt.`,
    cause,
  );
}
