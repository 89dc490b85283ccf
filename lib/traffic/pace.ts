import { notBefore, type Backoff } from '../recovery/backoff.js';
import type { Burst } from './burst.js';
import { RoundTrip } from './round-trip.js';
import { BELOW, Schedule, type Sighting } from './schedule.js';
import { Search } from './search.js';
import { Silence } from './silence.js';

/**
 * How fast a throttled server is asked again. The numbers were found by simulating token buckets, fixed and sliding windows
 * with every kind of hint; `__tests__/drain.test.ts` shows what they come to.
 */

/** While nothing is known this many may be under way together, and more with the answers. */
const FIRST_WINDOW = 8;
const LEAST_WINDOW = 4;
const WIDE_WINDOW = 16;
/** Without an answer for so long, one more call goes all the same: nobody waits for a call that hangs. */
const STALL_MS = 5_000;
/** Fewer answers than that say nothing about a rate. */
const LEAST_GRANTS = 3;

/** So much of a published quota may have been there for one of those who share it. */
const SHARED = 0.4;

/** What became of a call that the pace had let go. */
export interface Refusal {
  readonly sentAt: number;
  readonly askedMs: number | undefined;
  readonly chance: number;
}

export class Pace {
  /** When a call last left or came back. */
  lastMoveAt = 0;
  /** Calls on their way. */
  inFlight = 0;
  readonly #backoff: Backoff;
  readonly #burst: Burst;
  readonly #silence: Silence;
  readonly #trip = new RoundTrip();
  readonly #schedule = new Schedule(this.#trip);
  readonly #search = new Search();
  /** When it opened last, until when and for how long it had been closed. */
  #openedAt = 0;
  #dueAt = 0;
  #closedMs = 0;
  /** When that or the window began, and what has been granted since. */
  #beganAt = 0;
  #grants = 0;
  /** A refusal of which nothing has been learned yet. */
  #hasNews = false;
  #window = FIRST_WINDOW;
  #published: { perSecond: number; quota: number } | undefined;
  #isPublished = false;
  /** It gave more than its quota when that was new: it has none. */
  #isBucket = false;
  /** A quota that did not come in full for once. */
  #isDoubted = false;
  /** Since the server was last seen to refuse: what it granted, while calls were waiting all the time. */
  #cycleBeganAt: number | undefined;
  #cycleGrants = 0;

  constructor(backoff: Backoff, burst: Burst) {
    this.#backoff = backoff;
    this.#burst = burst;
    this.#silence = new Silence(backoff);
  }

  /** Nobody may go before. */
  get closedUntil(): number {
    return this.#silence.until;
  }
  set closedUntil(at: number) {
    this.#silence.until = at;
  }

  /** How long the server last went on refusing. */
  get silenceMs(): number {
    return this.#silence.lastMs;
  }

  /** Ms until one more call may go; 0: now. */
  readyInMs(now: number): number {
    if (now < this.closedUntil) return this.closedUntil - now;
    if (this.#hasNews) this.#open(now);
    if (this.inFlight >= this.#concurrency) return Math.max(0, this.lastMoveAt + STALL_MS - now);
    return Math.max(0, this.#schedule.nextAt - now);
  }

  get #concurrency(): number {
    if (this.#silence.strikes > 1) return 1;
    return this.#schedule.rate === undefined ? this.#window : Math.max(LEAST_WINDOW, this.#schedule.concurrency);
  }

  /** One call goes. `isFree`: nobody had to wait, so what was not used before may be used now. */
  leave(now: number, isFree: boolean): void {
    const schedule = this.#schedule;
    this.inFlight++;
    this.lastMoveAt = now;
    if (isFree) this.#cycleBeganAt = undefined;
    if (schedule.rate === undefined) return;
    if (schedule.isOver(now)) {
      if (schedule.startedAt > this.#openedAt) this.#dueAt = now + this.#trip.meanMs;
      schedule.begin(now, isFree);
      if (schedule.hasQuota) {
        if (this.#grants >= schedule.quota) this.#isDoubted = false;
        this.#count(now);
      } else schedule.rate = this.#search.climb(schedule.rate, now, this.#trip.meanMs);
    }
    schedule.leave(now);
  }

  granted(sentAt: number, now: number): void {
    const schedule = this.#schedule;
    this.ended(now);
    this.#trip.measured(now - sentAt);
    this.#silence.granted(now);
    this.#cycleGrants++;
    if (sentAt >= this.#beganAt) this.#grants++;
    if (schedule.rate === undefined) this.#widen();
    if (sentAt !== schedule.scoutAt) return;
    schedule.scoutAt = NaN;
    if (schedule.isKnown) schedule.surpassed();
    else this.#spread(now, schedule.rate ?? 0);
  }

  /** One more with each answer, and later as many as the server has shown that it takes. */
  #widen(): void {
    const taken = this.#window < FIRST_WINDOW ? this.#window + 1 : FIRST_WINDOW + this.#grants / 3;
    this.#window = Math.min(Math.max(this.#window, taken), WIDE_WINDOW + this.#trip.meanMs / 8);
  }

  /** It ended without a word about the limit. */
  ended(now: number): void {
    this.inFlight--;
    this.lastMoveAt = now;
  }

  /** Returns whether the server is closed for longer than before. */
  refused({ sentAt, askedMs = 0, chance }: Refusal, now: number): boolean {
    const silence = this.#silence;
    const schedule = this.#schedule;
    const before = silence.until;
    const isFresh = before === 0 || (sentAt >= this.#openedAt && now >= before);
    const isScout = isFresh && sentAt === schedule.scoutAt;
    const isNews = isFresh && !isScout;
    if (isNews) {
      schedule.isTold = askedMs > 0;
      schedule.isVague = askedMs % 1000 === 0;
      schedule.nextAt = 0;
    }
    if (askedMs > 0) {
      silence.until = Math.max(before, now + askedMs);
      // Everybody who was told the same instant would come at the same instant.
      schedule.nextAt = Math.max(schedule.nextAt, now + notBefore(askedMs, this.#backoff, 1, chance));
    } else if (isFresh) silence.until = silence.guess(now, this.#openedAt, chance);
    if (isNews) {
      silence.struck(now);
      this.#hasNews = true;
      this.#window = LEAST_WINDOW;
    } else if (isScout)
      schedule.confirmed(askedMs > 0 && sentAt >= schedule.startedAt ? this.#seen(schedule.startedAt) : undefined);
    return silence.until > before;
  }

  /** The server says how many calls it accepts in a window: that holds from the next opening on. */
  published(perSecond: number, quota: number): void {
    if (perSecond === this.#published?.perSecond) return;
    this.#published = { perSecond, quota };
    this.#isPublished = true;
  }

  #count(from: number): void {
    this.#beganAt = from;
    this.#grants = 0;
  }

  /** What has been seen of a quota since calls began to leave. */
  #seen(beganAt: number): Sighting {
    const { until, refusedAt } = this.#silence;
    const openMs = Math.max(refusedAt - beganAt, 1);
    const periodMs = this.#schedule.isTold ? until - this.#dueAt : this.#closedMs + openMs;
    return { count: this.#grants, openMs, periodMs, lateMs: beganAt + this.#trip.meanMs - this.#dueAt };
  }

  /** There is no quota: one call at a time, and more often. */
  #spread(now: number, rate: number): void {
    this.#isBucket = true;
    this.#schedule.spread(this.#search.from(rate, now));
    this.#schedule.restart();
    this.#count(now);
  }

  /** A silence is over: all that the opening before has granted is known by now. */
  #open(now: number): void {
    const { refusedAt, beganAt, until } = this.#silence;
    this.#hasNews = false;
    if (this.#cycleBeganAt === undefined || this.#cycleGrants >= LEAST_GRANTS) {
      if (this.#cycleBeganAt !== undefined) this.#learn(refusedAt - this.#cycleBeganAt);
      else if (this.#schedule.rate === undefined && this.#schedule.isTold) this.#learnFromBurst();
      this.#cycleBeganAt = refusedAt;
      this.#cycleGrants = 0;
    }
    if (this.#isPublished) this.#believe();
    this.#closedMs = until - beganAt;
    this.#openedAt = now;
    this.#search.opened(now);
    this.#dueAt = until;
    this.#count(now);
    this.#schedule.startedAt = -Infinity;
  }

  #learnFromBurst(): void {
    const { beganAt, until } = this.#silence;
    const { count, since } = this.#burst;
    this.#schedule.learn({ count, openMs: beganAt - since, periodMs: until - since, lateMs: 0 });
  }

  #believe(): void {
    if (!this.#published) return;
    const { perSecond, quota } = this.#published;
    this.#isPublished = false;
    this.#search.published(perSecond * BELOW);
    this.#schedule.publish(perSecond * BELOW, this.#shareOf(quota));
  }

  /** A bucket may hold less than it gives in a while, and where nothing was granted at first others have had it. */
  #shareOf(quota: number): number {
    const { count } = this.#burst;
    if (count === 0) return Math.ceil(quota / 2);
    return count > SHARED * quota ? Math.min(count, quota) : 1;
  }

  #learn(cycleMs: number): void {
    const schedule = this.#schedule;
    if (schedule.isTrial) {
      schedule.giveUp();
      return;
    }
    if (schedule.hasQuota && schedule.isKnown && schedule.startedAt > this.#openedAt && !this.#isDoubted) {
      this.#isDoubted = true;
      schedule.rate = (schedule.rate ?? 0) * BELOW;
      return;
    }
    const isWindow = schedule.hasQuota || this.#beganAt === this.#openedAt;
    if (!this.#isBucket && isWindow && schedule.learn(this.#seen(this.#beganAt))) return;
    const openMs = Math.max(this.#silence.refusedAt - this.#beganAt, 1);
    schedule.spread(
      this.#search.refused({
        overall: (this.#cycleGrants / cycleMs) * 1000,
        whileOpen: (this.#grants / openMs) * 1000,
        cycleMs,
        openMs,
        closedMs: this.#closedMs,
        rate: schedule.rate,
        possible: (this.#window / Math.max(this.#trip.meanMs, 1)) * 1000,
      }),
    );
  }
}
