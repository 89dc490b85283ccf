import type { InternalAxiosRequestConfig } from 'axios';
import type { AttachedInstance } from '../attached-instance.js';
import { alarm, type Cancel } from '../clock.js';
import { AuthError } from '../errors.js';
import { callerEnd, watchCaller } from '../transport/caller.js';
import type { Wait } from './deadline-timer.js';

/** A call, as far as its waits need it. */
export interface WaitingCall {
  readonly instance: AttachedInstance;
  readonly policy: { readonly deadlineMs: number };
  /** The config of the first attempt. The configs of later attempts lose options that axios does not know. */
  readonly config: InternalAxiosRequestConfig | undefined;
  /** Set once the session of the call's principal has ended. */
  readonly principalEnd: AuthError | undefined;
}

/** A queue entry or a timer, cancelled if the wait ends early. */
export interface Reservation {
  cancel(): void;
}

/** The waits of one call. Each ends early on the caller's abort, the deadline, the end of the principal's session, and detach(). */
export class Waits {
  /** Ms spent in waits that have ended. */
  waitedMs = 0;
  private readonly _beganAt: number;
  private readonly _beganWallAt: number;
  private _controller: AbortController | undefined = undefined;

  constructor(private readonly _call: WaitingCall) {
    const { clock } = _call.instance;
    this._beganAt = clock.monotonic();
    this._beganWallAt = clock.now();
  }

  /** Ms until the deadline. */
  get remainingMs(): number {
    const { instance, policy } = this._call;
    const { clock } = instance;
    // The monotonic clock may stand still while the machine sleeps.
    return policy.deadlineMs - Math.max(clock.monotonic() - this._beganAt, clock.now() - this._beganWallAt);
  }

  /** The error that ends the call, if it may not continue. */
  get end(): unknown {
    const { instance, policy, config, principalEnd } = this._call;
    if (this.remainingMs <= 0) return deadlinePassed(policy.deadlineMs);
    if (instance.isDetached) return detached();
    return (config && callerEnd(config)) ?? principalEnd;
  }

  /** Checked between waits, since only a wait watches for aborts. @throws the error that would end a wait. */
  assertOngoing(): void {
    const { end } = this;
    if (end !== undefined) throw end as Error;
  }

  /** Resolves with `work`, unless the wait ends first: then the reservation is cancelled. */
  for<T>(work: Promise<T>, reservation?: Reservation): Promise<T> {
    return new Promise((resolve, reject) => {
      const wait = new OpenWait(this._call, this, reject, reservation);
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
      cancel = alarm(this._call.instance.clock, delayMs, resolve);
    });
    return this.for(elapsed, { cancel });
  }

  /** Aborts when a wait ends early, or at once if the call may not continue. */
  get signal(): AbortSignal {
    this._controller ??= new AbortController();
    const { end } = this;
    if (end !== undefined) this._controller.abort(end);
    return this._controller.signal;
  }

  abort(end: unknown): void {
    this._controller?.abort(end);
  }
}

/** One wait, until it is closed or ended. */
class OpenWait implements Wait {
  private readonly _unwatch: Cancel | undefined;
  private readonly _beganAt: number;
  private _isOpen = true;

  constructor(
    private readonly _call: WaitingCall,
    private readonly _waits: Waits,
    private readonly _reject: (error: unknown) => void,
    private readonly _reservation: Reservation | undefined,
  ) {
    const { instance, config } = _call;
    this._beganAt = instance.clock.monotonic();
    instance.deadlines.add(this);
    const check = (): void => {
      this.check();
    };
    const fail = (error: unknown): void => {
      this.end(error);
    };
    this._unwatch = config && watchCaller(config, check, fail);
    this.check();
  }

  get remainingMs(): number {
    return this._waits.remainingMs;
  }

  check(): void {
    const { end } = this._waits;
    if (end === undefined) return;
    this._waits.abort(end);
    this.end(end);
  }

  end(error: unknown): void {
    if (!this.close()) return;
    this._reservation?.cancel();
    this._reject(error);
  }

  /** Returns whether it was open. */
  close(): boolean {
    if (!this._isOpen) return false;
    this._isOpen = false;
    const { instance } = this._call;
    instance.deadlines.delete(this);
    this._unwatch?.();
    this._waits.waitedMs += instance.clock.monotonic() - this._beganAt;
    return true;
  }
}

function detached(): AuthError {
  return new AuthError('ERR_AUTH_DETACHED', 'Not sent: the call was waiting when detach() was called.');
}

export function deadlinePassed(deadlineMs: number, cause?: unknown): AuthError {
  return new AuthError(
    'ERR_AUTH_DEADLINE',
    `Not sent (again): the deadline (\`deadlineMs\`: ${String(deadlineMs)}) has passed, or would pass before the next attempt.`,
    cause,
  );
}
