import { alarm, type Cancel, type Clock } from '../clock.js';
import type { Emit } from '../events.js';
import type { Throttle, ThrottleKeys } from '../throttle/throttle.js';

/** The refusals of one burst differ by their travel time: a smaller extension is no event. */
const NOTICEABLE_MS = 1_000;

/** Emits `throttled` and `resumed` of the limits that the calls of one instance count against. */
export class LimitEvents {
  private readonly _closed = new Map<string, { readonly until: number; readonly cancel: Cancel }>();
  private _isStopped = false;

  constructor(
    private readonly _throttle: Throttle,
    private readonly _clock: Clock,
    private readonly _emit: Emit,
  ) {}

  /** Called when a call of these keys was refused or granted, or waits for a closed time that has grown. */
  check(keys: ThrottleKeys): void {
    const queue = this._throttle.queueOf(keys);
    if (this._isStopped) return;
    if (!queue?.closedForMs) {
      this._emitResumed();
      return;
    }
    const { key, closedForMs, waiting } = queue;
    const emitted = this._closed.get(key);
    const until = this._clock.monotonic() + closedForMs;
    if (emitted && until <= emitted.until + NOTICEABLE_MS) return;
    emitted?.cancel();
    const cancel = alarm(this._clock, closedForMs, this.check.bind(this, [key]), 'idle');
    this._closed.set(key, { until, cancel });
    const resumesAt = Math.round(this._clock.now() + closedForMs);
    this._emit({ type: 'throttled', key, resumesAt, waiting: waiting.size });
  }

  /** Ends the events, and their timers. */
  stop(): void {
    this._isStopped = true;
    for (const { cancel } of this._closed.values()) cancel();
  }

  private _emitResumed(): void {
    for (const [key, { cancel }] of this._closed) {
      if (this._throttle.queueOf([key])?.closedForMs) continue;
      cancel();
      this._closed.delete(key);
      this._emit({ type: 'resumed', key });
    }
  }
}
