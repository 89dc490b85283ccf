import { alarm, type Cancel, type Clock } from '../clock.js';
import type { Backoff } from '../retry/backoff.js';
import type { Burst } from './burst.js';
import { Pace } from './pace.js';
import { UNHELD } from './silence.js';

/** What the answer to a call told of the limit: let through, or neither let through nor refused. */
export type Verdict = 'granted' | 'ended';

/** A call that has been let go, and owes the lane a word of what became of it. */
export interface Pass {
  readonly lane: Lane;
  readonly sentAt: number;
}

/** A call that waits for its turn. */
export interface Waiter {
  lane: Lane | undefined;
  /** It was sent before, and refused. */
  readonly isKnown: boolean;
  mayWait(opensInMs: number): boolean;
  go(pass: Pass): void;
  /** The server has asked for longer than it may wait. */
  turnAway(opensInMs: number): void;
}

const LEAST_REST_MS = 10_000;
/** A thousand refusals that come together need not be told one by one. */
const NOTICEABLE_MS = 1_000;
const CROWD = 16;

/** Where the calls of one key wait together, and leave at the pace that the server accepts. */
export class Lane {
  readonly #clock: Clock;
  readonly #pace: Pace;
  /** The gate's time, which is the same in all its lanes. */
  readonly #now: () => number;
  readonly #queue = new Set<Waiter>();
  readonly #opened: () => void;
  #known = 0;
  /** What everybody has been told, and those who wait have been asked whether they may. */
  #knownUntil = 0;
  #isClosed = false;
  #cancel: Cancel | undefined;

  constructor(clock: Clock, now: () => number, backoff: Backoff, burst: Burst, opened: () => void) {
    this.#clock = clock;
    this.#pace = new Pace(backoff, burst);
    this.#now = now;
    this.#opened = opened;
  }

  /** Ms until somebody may go again; 0 where it is open. */
  get opensInMs(): number {
    return Math.max(0, this.#pace.silence.until - this.#now());
  }
  get waiting(): number {
    return this.#queue.size;
  }
  /** How many of them have not been sent yet. */
  get newcomers(): number {
    return this.#queue.size - this.#known;
  }
  /** A limit that others are up against, too. */
  get isContended(): boolean {
    return this.#queue.size > 0 || this.opensInMs > 0;
  }

  /** Nobody has used it for so long that what it has learned may be forgotten. */
  get isAtRest(): boolean {
    const restMs = Math.max(LEAST_REST_MS, 2 * this.#pace.silence.lastMs);
    return !this.isContended && this.#pace.inFlight === 0 && this.#now() - this.#pace.lastMoveAt > restMs;
  }

  /** Goes at once where nobody has to wait. */
  pass(): Pass | undefined {
    const now = this.#now();
    return this.#queue.size === 0 && this.#pace.readyInMs(now) <= 0 ? this.#letGo(now, true) : undefined;
  }

  queue(waiter: Waiter): void {
    waiter.lane = this;
    this.#queue.add(waiter);
    if (waiter.isKnown) this.#known++;
    if (this.#queue.size === 1) this.#pump();
  }

  /** It does not wait any longer. */
  drop(waiter: Waiter): void {
    if (this.#queue.delete(waiter) && waiter.isKnown) this.#known--;
  }

  heard(pass: Pass, verdict: Verdict): void {
    const now = this.#now();
    if (verdict === 'granted') this.#pace.granted(pass.sentAt, now);
    else this.#pace.ended(now);
    this.#pump();
  }

  /** Returns whether it is closed now, or for noticeably longer. `pass`: that of the call that was refused, if it had one. */
  refused(pass: Pass | undefined, askedMs: number | undefined): boolean {
    const now = this.#now();
    if (pass) this.#pace.ended(now);
    const refusal = {
      sentAt: pass?.sentAt ?? UNHELD,
      askedMs,
      isCrowded: this.#queue.size >= CROWD,
      chance: this.#clock.random(),
    };
    const isLonger = this.#pace.refused(refusal, now);
    const isNews = isLonger && (!this.#isClosed || this.#pace.silence.until > this.#knownUntil + NOTICEABLE_MS);
    this.#isClosed ||= isLonger;
    if (isNews) this.#turnAway();
    this.#pump();
    return isNews;
  }

  published(perSecond: number, quota: number): void {
    this.#pace.published(perSecond, quota);
  }

  /** Takes over what a narrower lane knows: until when nobody may go, and who waits. */
  take(narrower: Lane): void {
    this.#pace.silence.until = Math.max(this.#pace.silence.until, narrower.#pace.silence.until);
    this.#isClosed ||= narrower.#isClosed;
    narrower.dispose();
    for (const waiter of [...narrower.#queue]) {
      narrower.drop(waiter);
      this.queue(waiter);
    }
  }

  /** Nobody comes here any more but those who are on their way: they begin no timer, and tell nobody that it opens. */
  dispose(): void {
    this.#cancel?.();
    this.#isClosed = false;
  }

  /** Who may not wait for what the server asks now hears of it at once. */
  #turnAway(): void {
    this.#knownUntil = this.#pace.silence.until;
    const { opensInMs } = this;
    for (const waiter of [...this.#queue]) {
      if (waiter.mayWait(opensInMs)) continue;
      this.drop(waiter);
      waiter.turnAway(opensInMs);
    }
  }

  #pump(): void {
    this.#cancel?.();
    for (;;) {
      const now = this.#now();
      const readyInMs = this.#pace.readyInMs(now);
      if (this.#isClosed && this.opensInMs <= 0) {
        this.#isClosed = false;
        this.#opened();
      }
      const [next] = this.#queue;
      if (readyInMs > 0 || !next) {
        const wake = (): void => {
          this.#pump();
        };
        this.#cancel = next || this.#isClosed ? alarm(this.#clock, readyInMs, wake, 'idle') : undefined;
        return;
      }
      this.drop(next);
      next.lane = undefined;
      next.go(this.#letGo(now, false));
    }
  }

  #letGo(now: number, isFree: boolean): Pass {
    this.#pace.leave(now, isFree);
    return { lane: this, sentAt: now };
  }
}
