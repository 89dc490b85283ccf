import type { Cancel, Timeline } from '../clock.js';
import { Fifo } from '../fifo.js';
import { Rate } from './rate.js';
import type { Refusal } from '../http/refusal.js';
import { queueFull, throttled } from '../errors.js';
import type { RetryPolicy } from '../retry/decide.js';
import { crowdJitter, notBefore } from '../retry/backoff.js';

/** `mayWait` is asked at entry and whenever the closed time (`isAsked`: of the server) grows. False: ERR_AUTH_THROTTLED. */
export interface QueuedCall {
  readonly wasSent: boolean;
  mayWait(forMs: number, isAsked: boolean): boolean;
}
export const LONGEST_MS = 24 * 3_600_000; // a longer Retry-After counts as 24 h
const STALL_MS = 5_000; // if no call is answered for so long, one more is released: a call that hangs holds up no other
const IDLE_MS = 10_000; // an unused key is forgotten after so long
const NOTICEABLE_MS = 1_000; // the refusals of one burst differ by their travel time: no call is asked about less

/** The calls of one key, first in, first out. Instants are ms of the throttle's timeline. */
export class LimitQueue {
  shared: string | undefined = undefined; // the key that this one may be part of
  policy: string | undefined = undefined; // the name of the limit, if a response gave one
  readonly waiting = new Fifo<Permit>();
  private readonly _rate = new Rate();
  private _closedUntil = 0; // `_isAsked`: as the server said. Calls are released a little later, since other clients got the same instant
  private _isAsked = false;
  private _probeAt = Infinity; // after a 503, one call is sent while closed, to see whether the server has recovered
  private _probeEveryMs = Infinity;
  private _inFlight = 0;
  private _lastMoveAt = 0;
  private _cancel: Cancel | undefined = undefined;

  constructor(
    readonly key: string,
    private readonly _timeline: Timeline,
  ) {}

  get closedForMs(): number {
    return Math.max(0, this._closedUntil - this._timeline.now());
  }
  /** Ms that a call which is enqueued now is likely to wait. */
  get delayMs(): number {
    return Math.max(0, this._rate.nextAt - this._timeline.now() + this.waiting.size * this._rate.intervalMs);
  }
  get isIdle(): boolean {
    const idleAt = Math.max(this._lastMoveAt + IDLE_MS, this._rate.nextAt);
    return this.waiting.size === 0 && this._inFlight === 0 && this._timeline.now() > idleAt;
  }

  /** @throws AuthError ERR_AUTH_THROTTLED, ERR_AUTH_QUEUE_FULL */
  acquire(call: QueuedCall, maxQueued: number): Permit {
    const now = this._timeline.now();
    const { closedForMs, waiting } = this;
    const permit = new Permit(() => call, this);
    if (waiting.size === 0 && this._readyAt(now) <= now) return this._release(permit, now, true);
    if (!call.mayWait(closedForMs, this._isAsked)) throw throttled(closedForMs);
    const isFull = waiting.size >= maxQueued && !call.wasSent;
    if (isFull && [...waiting].filter((other) => !other.call().wasSent).length >= maxQueued) throw queueFull();
    waiting.add(permit);
    this.pump();
    return permit;
  }

  /** The server refused a call that may have a permit of this queue. */
  refused(permit: Permit | undefined, refusal: Refusal, retry: RetryPolicy): void {
    const { _rate: rate } = this;
    const { status, retryAfterMs, perSecond } = refusal;
    const [now, chance] = [this._timeline.now(), this._timeline.clock.random()];
    const sentAt = permit?.queue === this && !permit.isProbe ? permit.sentAt : undefined;
    // A 429 after a 503: the server has recovered.
    if (status !== 503 && this._probeAt < Infinity) this._open(now);
    const isNew = rate.refused(now, sentAt);
    if (perSecond) rate.published(perSecond);
    const askedMs = Math.min(retryAfterMs ?? 0, LONGEST_MS);
    const forMs = askedMs || crowdJitter(retry, rate.refusals, this.waiting.size, isNew ? chance : 0); // nothing new: it is not open yet
    const before = this._closedUntil;
    if (now + forMs > before) [this._closedUntil, this._isAsked] = [now + forMs, askedMs > 0];
    rate.nextAt = Math.max(rate.nextAt, now + (askedMs ? notBefore(askedMs, retry, 1, chance) : forMs));
    // At most the default of `maxRetryAfterMs`, whatever the refused call allows.
    if (status === 503 && (isNew || this._probeAt === Infinity))
      this._probeAt = now + (this._probeEveryMs = Math.min(retry.maxRetryAfterMs, 60_000));
    if (this._closedUntil > before + NOTICEABLE_MS) this._askAll();
    this.pump();
  }

  /** Takes over the waiting calls of another queue. */
  take(other: LimitQueue): void {
    for (const permit of other.waiting) this.waiting.add(Object.assign(permit, { queue: this }));
    other.waiting.clear();
    other.pump();
    this._askAll();
    this.pump();
  }

  /** Releases the calls whose turn it is, and sets the timer for the next. */
  pump(): void {
    this._cancel?.();
    for (let { first } = this.waiting; first; { first } = this.waiting) {
      const now = this._timeline.now();
      const readyAt = this._readyAt(now);
      if (readyAt > now) {
        this._cancel = this._timeline.at(readyAt, this.pump.bind(this), 'idle');
        return;
      }
      this.waiting.delete(first);
      this._release(first, now, false);
    }
  }

  /** A call was answered, or does not use its permit or its place. */
  ended(permit: Permit, isGranted: boolean): void {
    const { sentAt } = permit;
    if (this.waiting.delete(permit) || sentAt === undefined) return;
    permit.sentAt = undefined;
    this._inFlight--;
    const now = (this._lastMoveAt = this._timeline.now());
    if (isGranted && permit.isProbe) this._open(now);
    else if (isGranted) this._rate.granted(sentAt, now);
    else if (permit.isProbe && !permit.call().wasSent) this._probeAt = now;
    this.pump();
  }

  private _open(now: number): void {
    this._closedUntil = this._rate.nextAt = Math.min(this._closedUntil, now);
    this._probeAt = Infinity;
  }

  private _askAll(): void {
    const { closedForMs, waiting } = this;
    for (const permit of waiting)
      if (!permit.call().mayWait(closedForMs, this._isAsked) && waiting.delete(permit))
        permit.settle(Promise.reject(throttled(closedForMs)));
  }

  private _readyAt(now: number): number {
    const { _rate: rate } = this;
    if (now < rate.nextAt) return now < this._closedUntil ? Math.min(this._probeAt, rate.nextAt) : rate.nextAt;
    rate.opened(now, this.waiting.size);
    return this._inFlight >= rate.mostInFlight ? this._lastMoveAt + STALL_MS : rate.nextAt;
  }

  private _release(permit: Permit, now: number, isFree: boolean): Permit {
    permit.isProbe = now < this._closedUntil;
    if (permit.isProbe) this._probeAt = now + this._probeEveryMs;
    else this._rate.sent(now, isFree);
    this._inFlight++;
    permit.sentAt = this._lastMoveAt = now;
    permit.settle();
    return permit;
  }
}

/** A call's place in a queue, and then its right to be sent. */
export class Permit {
  /** undefined: it waits, or has ended. */
  sentAt: number | undefined = undefined;
  isProbe = false; // the key is closed: the call is sent to find out whether the server has recovered
  settle!: (result?: Promise<never>) => void;
  /** Rejects with an AuthError. One resolver serves success and failure, to save memory. */
  readonly ready: Promise<void>;

  constructor(
    readonly call: () => QueuedCall, // inspectors print everything else, and the app may hold a throttle
    public queue: LimitQueue,
  ) {
    this.ready = new Promise((resolve) => (this.settle = resolve));
  }

  /** A call that still waits loses its place. Idempotent. */
  release(result?: 'granted'): void {
    this.queue.ended(this, result === 'granted');
  }
}
