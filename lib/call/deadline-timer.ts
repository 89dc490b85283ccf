import { alarm, type Cancel, type Clock } from '../clock.js';

/** A wait of a call. */
export interface OpenWait {
  /** Ms until the deadline. */
  readonly remainingMs: number;
  /** Ends it if its deadline has passed, or if the call has been aborted. */
  check(): void;
}

/** From this number of waits on they are checked once per ms at most, to limit the time of checks. */
const CHECKS_PER_MS = 1_000;

/** One timer for the deadlines of all waits. A timer for each would take more memory than an entry of a set. */
export class DeadlineTimer {
  private readonly _waits = new Set<OpenWait>();
  /** Monotonic. */
  private _dueAt = Infinity;
  private _cancel: Cancel | undefined = undefined;

  constructor(private readonly _clock: Clock) {}

  add(wait: OpenWait): void {
    this._waits.add(wait);
    this._arm(wait.remainingMs);
  }

  /** Returns whether the wait was open. */
  delete(wait: OpenWait): boolean {
    const wasOpen = this._waits.delete(wait);
    if (this._waits.size === 0) this._stop();
    return wasOpen;
  }

  checkAll(): void {
    for (const wait of this._waits) wait.check();
  }

  private _arm(delayMs: number): void {
    const dueAt = this._clock.monotonic() + delayMs;
    if (this._cancel && dueAt >= this._dueAt) return;
    this._cancel?.();
    this._dueAt = dueAt;
    this._cancel = alarm(this._clock, delayMs, () => {
      this._stop();
      this.checkAll();
      if (this._waits.size === 0) return;
      let nextMs = Infinity;
      for (const { remainingMs } of this._waits) nextMs = Math.min(nextMs, remainingMs);
      this._arm(Math.max(nextMs, this._waits.size / CHECKS_PER_MS));
    });
  }

  private _stop(): void {
    this._cancel?.();
    this._cancel = undefined;
  }
}
