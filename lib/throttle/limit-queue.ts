import type { Cancel, Timeline } from '../clock.js';
import { AuthError } from '../errors.js';
import type { Emit } from '../events.js';
import { notBefore, type Backoff } from '../retry/backoff.js';
import { Cooldown } from './cooldown.js';
import { Rate } from './rate.js';

/** A call that enters the throttle. */
export interface QueuedCall {
  /** It has been sent before: `maxQueued` does not apply. */
  readonly wasSent: boolean;
  /** Its instance's events. */
  readonly emit: WeakRef<Emit>;
  /** Asked at entry, and again when the closed time grows. If it returns false, the call is rejected with ERR_AUTH_THROTTLED. */
  mayWait(forMs: number): boolean;
}

/** The right to send one call. */
export interface Permit {
  /** It may be used although the key is closed, to find out whether the server has recovered. */
  readonly isProbe: boolean;
  /** Reports the result of the send. `granted`: the server let the call in. Idempotent. */
  release(result: 'granted' | 'ended'): void;
}

/** A place in the queue. */
export interface QueueEntry {
  /** Rejects with an AuthError. */
  readonly ready: Promise<Permit>;
  /** Gives up the place, or the permit. */
  leave(): void;
}

/** What a refused response said. */
export interface Refusal {
  readonly retryAfterMs: number | undefined;
  /** After a 503: one call probes after so many ms, whatever `retryAfterMs` says. */
  readonly probeEveryMs?: number | undefined;
  readonly quota?: number | undefined;
  readonly perSecond?: number | undefined;
  /** The name of the limit. */
  readonly policy?: string | undefined;
}

/** If no call is answered for so long, one more is sent: a call that hangs holds up no other. */
const STALL_MS = 5_000;
const LEAST_IDLE_MS = 10_000;
/** Smaller extensions emit no event and reject no call: the refusals of one burst differ by their travel time. */
const NOTICEABLE_MS = 1_000;

/** The calls of one key, in the order in which they came. */
export class LimitQueue {
  /** The limit's name, if a response gave one. */
  policy: string | undefined;
  private _cooldown = new Cooldown();
  private _rate = new Rate();
  private readonly _entries = new Set<Entry>();
  private _sentBefore = 0;
  private _inFlight = 0;
  private _lastMoveAt = 0;
  private _announcedUntil = 0;
  /** Instances that have been told that it is closed. */
  private readonly _told = new Set<WeakRef<Emit>>();
  private _isClosed = false;
  private _cancel: Cancel | undefined;

  constructor(
    readonly key: string,
    readonly shared: string | undefined,
    private readonly _timeline: Timeline,
    private readonly _opened: (queue: LimitQueue) => void,
  ) {}

  get closedForMs(): number {
    return Math.max(0, this._cooldown.until - this._timeline.now());
  }
  get waiting(): number {
    return this._entries.size;
  }
  get isContended(): boolean {
    return this._entries.size > 0 || this.closedForMs > 0;
  }
  get isIdle(): boolean {
    return !this.isContended && this._inFlight === 0 && this._timeline.now() - this._lastMoveAt > LEAST_IDLE_MS;
  }

  /** @throws AuthError if the call may not wait. */
  enter(call: QueuedCall, maxQueued: number): Permit | QueueEntry {
    const now = this._timeline.now();
    if (this._entries.size === 0 && this._readyAt() <= now) return this._permit(now, true);
    const { closedForMs } = this;
    if (!call.mayWait(closedForMs)) throw throttled(closedForMs);
    if (!call.wasSent && this._entries.size - this._sentBefore >= maxQueued) throw queueFull();
    const entry = new Entry(call);
    this.add(entry);
    return entry;
  }

  add(entry: Entry): void {
    entry.queue = this;
    this._entries.add(entry);
    if (entry.call.wasSent) this._sentBefore++;
    if (this._isClosed) this._tell(entry.call.emit);
    if (this._entries.size === 1) this.pump();
  }

  delete(entry: Entry): void {
    if (this._entries.delete(entry) && entry.call.wasSent) this._sentBefore--;
  }

  released(permit: QueuePermit, result: 'granted' | 'ended'): void {
    const now = this._timeline.now();
    this._inFlight--;
    this._lastMoveAt = now;
    if (result === 'granted') {
      this._rate.granted(permit.sentAt, now);
      if (permit.isProbe) this._cooldown.until = now;
      if (now >= this._cooldown.until) this._cooldown.granted(now);
    }
    this.pump();
  }

  refused(permit: QueuePermit | undefined, refusal: Refusal, backoff: Backoff, emit: WeakRef<Emit>): void {
    const now = this._timeline.now();
    const { _cooldown: cooldown, _rate: rate } = this;
    permit?.drop();
    const before = cooldown.until;
    const isNews = before === 0 || (permit !== undefined && permit.sentAt >= rate.openedAt && now >= before);
    const { retryAfterMs = 0, perSecond, probeEveryMs } = refusal;
    const chance = this._timeline.clock.random();
    if (perSecond !== undefined) rate.published(perSecond);
    if (retryAfterMs > 0) {
      cooldown.close(now, retryAfterMs);
      // Calls that were told the same instant must not be sent at the same instant.
      rate.notBefore(now + notBefore(retryAfterMs, backoff, 1, chance), isNews);
    } else if (isNews) cooldown.close(now, cooldown.estimateMs(backoff, chance));
    else if (!permit) cooldown.close(now, backoff.baseDelayMs / 2);
    if (probeEveryMs !== undefined) cooldown.probeEvery(now, probeEveryMs);
    if (isNews) {
      cooldown.refused(now);
      rate.refused(now);
    }
    if (cooldown.until > before) this._closed(emit);
    this.pump();
  }

  /** Takes over the closed time and the waiting calls of a narrower key. */
  take(narrower: LimitQueue): void {
    this._cooldown.until = Math.max(this._cooldown.until, narrower._cooldown.until);
    this._isClosed ||= narrower._isClosed;
    for (const emit of narrower._told) this._told.add(emit);
    for (const entry of [...narrower._entries]) {
      narrower.delete(entry);
      this.add(entry);
    }
    narrower.dispose();
  }

  reset(): void {
    this._cooldown = new Cooldown();
    this._rate = new Rate();
    this.pump();
  }

  forget(emit: WeakRef<Emit>): void {
    this._told.delete(emit);
    this.pump();
  }

  dispose(): void {
    this._cancel?.();
  }

  pump(): void {
    this._cancel?.();
    this._cancel = undefined;
    for (;;) {
      const now = this._timeline.now();
      if (this._isClosed && now >= this._cooldown.until) this._open();
      const [next] = this._entries;
      const readyAt = this._readyAt();
      if (!next || readyAt > now) {
        if (next || this._told.size > 0)
          this._cancel = this._timeline.at(next ? readyAt : this._cooldown.until, () => {
            this.pump();
          });
        return;
      }
      this.delete(next);
      next.admit(this._permit(now, false));
    }
  }

  private _readyAt(): number {
    const { until, probeAt, consecutiveRefusals } = this._cooldown;
    const now = this._timeline.now();
    if (now < until) return Math.min(until, probeAt);
    this._rate.opened(now);
    return this._inFlight >= this._rate.mostInFlight(consecutiveRefusals)
      ? this._lastMoveAt + STALL_MS
      : this._rate.nextAt;
  }

  private _permit(now: number, isFree: boolean): Permit {
    const isProbe = now < this._cooldown.until;
    if (isProbe) this._cooldown.probed(now);
    else this._rate.sent(now, isFree);
    this._inFlight++;
    this._lastMoveAt = now;
    return new QueuePermit(this, now, isProbe);
  }

  private _closed(emit: WeakRef<Emit>): void {
    const { until } = this._cooldown;
    if (this._isClosed && until <= this._announcedUntil + NOTICEABLE_MS) return;
    this._isClosed = true;
    this._announcedUntil = until;
    this._told.clear();
    const { closedForMs } = this;
    for (const entry of [...this._entries]) {
      if (entry.call.mayWait(closedForMs)) continue;
      this.delete(entry);
      entry.reject(throttled(closedForMs));
    }
    this._tell(emit);
    for (const { call } of this._entries) this._tell(call.emit);
  }

  private _tell(emit: WeakRef<Emit>): void {
    if (this._told.has(emit)) return;
    this._told.add(emit);
    const resumesAt = Math.round(this._timeline.clock.now() + this.closedForMs);
    emit.deref()?.({ type: 'throttled', key: this.key, resumesAt, waiting: this._entries.size });
  }

  private _open(): void {
    this._isClosed = false;
    for (const emit of this._told) emit.deref()?.({ type: 'resumed', key: this.key });
    this._told.clear();
    this._opened(this);
  }
}

export class QueuePermit implements Permit {
  private _isOut = true;

  constructor(
    readonly queue: LimitQueue,
    readonly sentAt: number,
    readonly isProbe: boolean,
  ) {}

  release(result: 'granted' | 'ended'): void {
    if (!this._isOut) return;
    this._isOut = false;
    this.queue.released(this, result);
  }

  drop(): void {
    this.release('ended');
  }
}

export class Entry implements QueueEntry {
  readonly ready: Promise<Permit>;
  queue: LimitQueue | undefined;
  reject!: (error: AuthError) => void;
  private _resolve!: (permit: Permit) => void;
  private _permit: Permit | undefined;

  constructor(readonly call: QueuedCall) {
    this.ready = new Promise((resolve, reject) => {
      this._resolve = resolve;
      this.reject = reject;
    });
  }

  admit(permit: Permit): void {
    this._permit = permit;
    this._resolve(permit);
  }

  leave(): void {
    this.queue?.delete(this);
    this._permit?.release('ended');
  }
}

function throttled(forMs: number): AuthError {
  return new AuthError(
    'ERR_AUTH_THROTTLED',
    `Not sent: the server is rate limiting this endpoint for another ${String(Math.ceil(forMs / 1000))} s, longer than \`maxRetryAfterMs\` or \`deadlineMs\` allows. See \`exchangeOf(error).retryAt\`.`,
  );
}

function queueFull(): AuthError {
  return new AuthError('ERR_AUTH_QUEUE_FULL', 'Not sent: `throttle.maxQueued` calls wait for this limit already.');
}
