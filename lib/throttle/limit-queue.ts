import type { Cancel, Timeline } from '../clock.js';
import { queueFull, throttled } from '../errors.js';
import { Fifo } from '../fifo.js';
import type { Refusal } from '../http/refusal.js';
import type { RetryPolicy } from '../retry/decide.js';
import { Cooldown } from './cooldown.js';
import { Rate } from './rate.js';

/** `mayWait` is asked at entry and whenever the closed time grows; false rejects the call with ERR_AUTH_THROTTLED. */
export interface QueuedCall {
  readonly wasSent: boolean;
  mayWait(forMs: number): boolean;
}
/** The right to send a call. `release` is idempotent; `granted`: the server let the call in. */
export interface Permit {
  readonly queue: LimitQueue;
  readonly sentAt: number;
  readonly isProbe: boolean; // the key is closed: the call is sent to find out whether the server has recovered
  release(result: 'granted' | 'ended'): void;
}
const STALL_MS = 5_000; // if no call is answered for so long, one more is released: a call that hangs holds up no other
const IDLE_MS = 10_000; // an unused key is forgotten after so long
const NOTICEABLE_MS = 1_000; // the refusals of one burst differ by their travel time: no call is asked about less

/** The calls of one key, first in, first out. */
export class LimitQueue {
  policy: string | undefined = undefined; // the name of the limit, if a response gave one
  wider: LimitQueue | undefined = undefined; // the queue of the shared key, which takes over unless this key is closed for longer
  readonly waiting = new Fifo<QueueEntry>();
  private readonly _cooldown = new Cooldown();
  private readonly _rate = new Rate();
  private _askedUntil = 0;
  private _inFlight = 0;
  private _lastMoveAt = 0;
  private _cancel: Cancel | undefined = undefined;

  constructor(
    readonly key: string,
    readonly shared: string | undefined,
    private readonly _timeline: Timeline,
  ) {}

  get closedForMs(): number {
    return Math.max(0, this._cooldown.until - this._timeline.now());
  }
  /** Ms that a call which is enqueued now is likely to wait. */
  get delayMs(): number {
    const readyInMs = Math.max(this._cooldown.releaseAt, this._rate.nextAt) - this._timeline.now();
    return Math.max(0, readyInMs) + this.waiting.size * this._rate.intervalMs;
  }
  get isContended(): boolean {
    return this.waiting.size > 0 || this.closedForMs > 0;
  }
  get isIdle(): boolean {
    return !this.isContended && this._inFlight === 0 && this._timeline.now() > this._lastMoveAt + IDLE_MS;
  }

  acquire(call: QueuedCall, maxQueued: number): Permit | QueueEntry {
    const now = this._timeline.now();
    const { closedForMs, waiting } = this;
    if (waiting.size === 0 && this._readyAt(now) <= now) return this._permit(now, true);
    if (!call.mayWait(closedForMs)) throw throttled(closedForMs);
    const isFull = waiting.size >= maxQueued && !call.wasSent;
    if (isFull && [...waiting].filter((entry) => !entry.call.wasSent).length >= maxQueued) throw queueFull();
    const entry = new QueueEntry(call, this);
    waiting.add(entry);
    this.pump();
    return entry;
  }

  /** `sentAt`: when this queue released the refused call, if it did. */
  refused(sentAt: number | undefined, refusal: Refusal, retry: RetryPolicy): void {
    const { _cooldown: cooldown, _rate: rate, waiting } = this;
    const [now, chance] = [this._timeline.now(), this._timeline.clock.random()];
    // Calls that were sent before the key closed are refused, too, without new information.
    const isNew = cooldown.until === 0 || (sentAt !== undefined && sentAt >= rate.openedAt && now >= cooldown.until);
    // A 429 after a 503: the server has recovered.
    if (refusal.status !== 503 && cooldown.probeAt < Infinity) cooldown.granted(now);
    if (refusal.perSecond) rate.published(refusal.perSecond);
    if (refusal.retryAfterMs) cooldown.close(now, refusal.retryAfterMs, retry, chance);
    else if (isNew || sentAt === undefined) cooldown.estimate(now, waiting.size, retry, isNew ? chance : 0);
    if (refusal.status === 503) cooldown.probe(now, retry.maxRetryAfterMs);
    if (isNew) {
      cooldown.consecutiveRefusals++;
      rate.refused(now);
    }
    if (cooldown.until > this._askedUntil + NOTICEABLE_MS) {
      this._askedUntil = cooldown.until;
      const { closedForMs } = this;
      for (const entry of waiting)
        if (!entry.call.mayWait(closedForMs) && waiting.delete(entry))
          entry.settle(Promise.reject(throttled(closedForMs)));
    }
    this.pump();
  }

  /** Takes over the waiting calls of a narrower key, or of an older queue. */
  take(other: LimitQueue): void {
    other._cancel?.();
    for (const entry of other.waiting) this.waiting.add(Object.assign(entry, { queue: this }));
    other.waiting.clear();
    this.pump();
  }

  /** Releases the calls whose turn it is, and sets the timer for the next. */
  pump(): void {
    this._cancel?.();
    if (this.wider && this.waiting.size > 0 && this.closedForMs <= this.wider.closedForMs) this.wider.take(this);
    for (let { first } = this.waiting; first; { first } = this.waiting) {
      const now = this._timeline.now();
      const readyAt = this._readyAt(now);
      if (readyAt > now) {
        this._cancel = this._timeline.at(readyAt, this.pump.bind(this), 'idle');
        return;
      }
      this.waiting.delete(first);
      first.settle((first.permit = this._permit(now, false)));
    }
  }

  private _readyAt(now: number): number {
    const { until, releaseAt, probeAt, consecutiveRefusals } = this._cooldown;
    if (now < releaseAt) return now < until ? Math.min(probeAt, releaseAt) : releaseAt;
    this._rate.opened(now, this.waiting.size);
    const most = consecutiveRefusals > 1 ? 1 : this._rate.mostInFlight;
    return this._inFlight >= most ? this._lastMoveAt + STALL_MS : this._rate.nextAt;
  }

  private _permit(sentAt: number, isFree: boolean): Permit {
    const isProbe = sentAt < this._cooldown.until;
    if (isProbe) this._cooldown.probe(sentAt);
    else this._rate.sent(sentAt, isFree);
    this._inFlight++;
    this._lastMoveAt = sentAt;
    let isHeld = true;
    const release = (result: 'granted' | 'ended'): void => {
      if (!isHeld) return;
      isHeld = false;
      this._inFlight--;
      const now = (this._lastMoveAt = this._timeline.now());
      if (result === 'granted') this._rate.granted(sentAt, now);
      if (result === 'granted' && (isProbe || now >= this._cooldown.until)) this._cooldown.granted(now);
      this.pump();
    };
    return { queue: this, sentAt, isProbe, release };
  }
}

/** A waiting call in its queue. One resolver serves success and failure, to save memory. */
export class QueueEntry {
  /** Rejects with an AuthError. */
  readonly ready: Promise<Permit>;
  settle!: (result: Permit | Promise<never>) => void;
  permit: Permit | undefined = undefined;

  constructor(
    readonly call: QueuedCall,
    public queue: LimitQueue,
  ) {
    this.ready = new Promise((resolve) => (this.settle = resolve));
  }

  /** Removes the entry from the queue, and releases its permit. */
  cancel(): void {
    this.queue.waiting.delete(this);
    this.permit?.release('ended');
  }
}
