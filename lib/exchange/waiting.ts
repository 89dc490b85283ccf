import type { InternalAxiosRequestConfig } from 'axios';
import { detached, type Attachment } from '../attachment.js';
import { alarm, type Cancel } from '../clock.js';
import { AuthError } from '../errors.js';
import type { Wait } from '../traffic/waiting-room.js';
import { cancellationOf, watchCaller } from '../wire/caller.js';

/** How one call waits: every wait ends with the caller's signal, the deadline, the principal and detach(), and leaves nothing behind. */
export class Waiting {
  /** Ms spent waiting so far. */
  waitedMs = 0;
  /** Whose signal and cancelToken end the waits. */
  config: InternalAxiosRequestConfig | undefined;
  /** The exchange's key, where its scheme has a say: then the wait ends with its principal, too. */
  principalOf: object | undefined;
  readonly attachment: Attachment;
  readonly #deadlineMs: number;
  /** Monotonic. */
  readonly beganAt: number;
  readonly #beganWallAt: number;
  #controller: AbortController | undefined;

  constructor(attachment: Attachment, deadlineMs: number) {
    this.attachment = attachment;
    this.#deadlineMs = deadlineMs;
    this.beganAt = attachment.clock.monotonic();
    this.#beganWallAt = attachment.clock.now();
  }

  /** Until the deadline. */
  get remainingMs(): number {
    const { clock } = this.attachment;
    return this.#deadlineMs - Math.max(clock.monotonic() - this.beganAt, clock.now() - this.#beganWallAt);
  }

  /** What ends every wait of the call from now on, if anything does. */
  get end(): unknown {
    const { attachment, config, principalOf } = this;
    if (this.remainingMs <= 0) return this.#tooLate();
    if (attachment.isDetached) return detached();
    return (config && cancellationOf(config)) ?? (principalOf && attachment.hooks.endOf?.(principalOf));
  }

  /** Between two waits nobody listens. @throws what would have ended one. */
  assertOngoing(): void {
    const { end } = this;
    if (end !== undefined) throw end as Error;
  }

  /** What `work` comes to, unless the wait is ended first. */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const wait = new OpenWait(this, (end) => {
        this.#controller?.abort(end);
        reject(end);
      });
      work.then(
        (value) => {
          wait.close();
          resolve(value);
        },
        (error: unknown) => {
          wait.close();
          reject(error);
        },
      );
    });
  }

  async sleep(delayMs: number): Promise<void> {
    let cancel: Cancel | undefined;
    const asleep = new Promise<void>((resolve) => {
      cancel = alarm(this.attachment.clock, delayMs, resolve);
    });
    await this.race(asleep).finally(cancel);
  }

  /** Ends when the wait does that is going on, or the next one. */
  get signal(): AbortSignal {
    const controller = (this.#controller ??= new AbortController());
    const { end } = this;
    if (end !== undefined) controller.abort(end);
    return controller.signal;
  }

  #tooLate(): AuthError {
    return new AuthError(
      'ERR_AUTH_DEADLINE',
      `The deadline of ${String(this.#deadlineMs)} ms passed before the call could be sent (deadlineMs).`,
    );
  }
}

/** One wait, from its construction until it is closed or ended. */
class OpenWait implements Wait {
  readonly #waiting: Waiting;
  readonly #end: (error: unknown) => void;
  readonly #openedAt: number;
  readonly #ignoreCaller: Cancel | undefined;
  #isOpen = true;

  constructor(waiting: Waiting, end: (error: unknown) => void) {
    const { attachment, config } = waiting;
    this.#waiting = waiting;
    this.#end = end;
    this.#openedAt = attachment.clock.monotonic();
    attachment.waitingRoom.enter(this);
    this.#ignoreCaller =
      config &&
      watchCaller(config, () => {
        this.look();
      });
    this.look();
  }

  get remainingMs(): number {
    return this.#waiting.remainingMs;
  }

  look(): void {
    const { end } = this.#waiting;
    if (end === undefined) return;
    this.close();
    this.#end(end);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { attachment } = this.#waiting;
    attachment.waitingRoom.leave(this);
    this.#ignoreCaller?.();
    this.#waiting.waitedMs += attachment.clock.monotonic() - this.#openedAt;
  }
}
