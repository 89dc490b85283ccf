import type { InternalAxiosRequestConfig } from 'axios';
import { detached, type Attachment } from '../attachment.js';
import { alarm, type Cancel } from '../clock.js';
import { AuthError } from '../errors.js';
import type { Wait } from '../call/deadline-timer.js';
import { cancellationOf, watchCaller } from '../transport/caller.js';

/** A call that may have to wait. */
export interface WaitingCall {
  readonly attachment: Attachment;
  readonly policy: { readonly deadlineMs: number };
  /** What schemes know it by. */
  readonly key: object;
  /** The config that axios first handed to the wire: later attempts get merged copies, which lose what axios does not know. */
  readonly config: InternalAxiosRequestConfig | undefined;
  /** The scheme has its say in the attempt that is being made: then the call ends with its principal. */
  readonly isAuthorized: boolean;
  /** An error of ours leaves with the call's own config and the server's last answer. */
  inContext(error: unknown): unknown;
}

/** What is kept for a call while it waits. */
export interface Reservation {
  leave(): void;
}

/** How one call waits: every wait ends with the caller's signal, the deadline, the principal and detach(), and leaves nothing behind. */
export class Waiting<C extends WaitingCall = WaitingCall> {
  /** Ms spent waiting so far. */
  waitedMs = 0;
  /** Monotonic. */
  readonly beganAt: number;
  readonly #beganWallAt: number;
  readonly call: C;
  #controller: AbortController | undefined;

  constructor(call: C) {
    const { clock } = call.attachment;
    this.call = call;
    this.beganAt = clock.monotonic();
    this.#beganWallAt = clock.now();
  }

  /** Until the deadline. */
  get remainingMs(): number {
    const { attachment, policy } = this.call;
    const { clock } = attachment;
    return policy.deadlineMs - Math.max(clock.monotonic() - this.beganAt, clock.now() - this.#beganWallAt);
  }

  /** What ends every wait of the call from now on, if anything does. */
  get end(): unknown {
    const { attachment, config, isAuthorized, key } = this.call;
    if (this.remainingMs <= 0) return this.#tooLate();
    if (attachment.isDetached) return detached();
    return (config && cancellationOf(config)) ?? (isAuthorized ? attachment.hooks.endOf?.(key) : undefined);
  }

  /** Between two waits nobody listens. @throws what would have ended one. */
  assertOngoing(): void {
    const { end } = this;
    if (end !== undefined) throw end as Error;
  }

  /** Until `work` is done, unless the wait is ended first; then what was reserved is left. */
  race(work: Promise<unknown>, reserved?: Reservation): Promise<void> {
    return this.after(work, () => undefined, reserved);
  }

  /** What `next` makes of what `work` comes to; it is told the call, so that no wait needs a function of its own. */
  after<T, R>(work: Promise<T>, next: (call: C, value: T) => R | Promise<R>, reserved?: Reservation): Promise<R> {
    return new Promise<R>((resolve) => {
      new OpenWait<C, R>(this, resolve, reserved).follow(work, next);
    });
  }

  sleep(delayMs: number): Promise<void> {
    let leave!: Cancel;
    const asleep = new Promise<void>((resolve) => {
      leave = alarm(this.call.attachment.clock, delayMs, resolve);
    });
    return this.race(asleep, { leave });
  }

  /** Ends when the wait does that is going on, or the next one. */
  get signal(): AbortSignal {
    const controller = (this.#controller ??= new AbortController());
    const { end } = this;
    if (end !== undefined) controller.abort(end);
    return controller.signal;
  }

  /** A wait has ended before its time. */
  ended(end: unknown): void {
    this.#controller?.abort(end);
  }

  #tooLate(): AuthError {
    return new AuthError(
      'ERR_AUTH_DEADLINE',
      `The deadline of ${String(this.call.policy.deadlineMs)} ms passed before the call could be sent (deadlineMs).`,
    );
  }
}

/** One wait, from its construction until it is closed or ended. */
class OpenWait<C extends WaitingCall, R> implements Wait {
  readonly #waiting: Waiting<C>;
  readonly #resolve: (result: R | Promise<R>) => void;
  readonly #reserved: Reservation | undefined;
  readonly #ignoreCaller: Cancel | undefined;
  #isOpen = true;

  constructor(waiting: Waiting<C>, resolve: (result: R | Promise<R>) => void, reserved: Reservation | undefined) {
    const { attachment, config } = waiting.call;
    this.#waiting = waiting;
    this.#resolve = resolve;
    this.#reserved = reserved;
    waiting.waitedMs -= attachment.clock.monotonic();
    attachment.deadlines.add(this);
    this.#ignoreCaller =
      config &&
      watchCaller(config, () => {
        this.check();
      });
    this.check();
  }

  get remainingMs(): number {
    return this.#waiting.remainingMs;
  }

  follow<T>(work: Promise<T>, next: (call: C, value: T) => R | Promise<R>): void {
    work.then(
      (value) => {
        if (!this.#close()) return;
        try {
          this.#resolve(next(this.#waiting.call, value));
        } catch (error) {
          this.#reject(error);
        }
      },
      (error: unknown) => {
        this.#end(error);
      },
    );
  }

  check(): void {
    const { end } = this.#waiting;
    if (end === undefined) return;
    this.#waiting.ended(end);
    this.#end(end);
  }

  #end(error: unknown): void {
    if (!this.#close()) return;
    this.#reserved?.leave();
    this.#reject(error);
  }

  /** An error of ours ends it in the context of its call. Who waits long keeps one function for both ends. */
  #reject(error: unknown): void {
    this.#resolve(Promise.reject(this.#waiting.call.inContext(error)));
  }

  /** Returns whether it was open. */
  #close(): boolean {
    if (!this.#isOpen) return false;
    this.#isOpen = false;
    const { attachment } = this.#waiting.call;
    attachment.deadlines.delete(this);
    this.#ignoreCaller?.();
    this.#waiting.waitedMs += attachment.clock.monotonic();
    return true;
  }
}
