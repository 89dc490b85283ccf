import { notBefore, type Backoff } from '../retry/backoff.js';
import type { Burst } from './burst.js';
import { Publication } from './publication.js';
import { Ramp } from './ramp.js';
import { RoundTrip } from './round-trip.js';
import { BELOW, Schedule } from './schedule.js';
import { Search } from './search.js';
import { Silence, UNHELD, type Refusal } from './silence.js';
import { Tally } from './tally.js';

/**
 * How fast a throttled server is asked again. The numbers were found by simulating token buckets, fixed and sliding windows
 * with every kind of hint; `__tests__/drain.test.ts` shows what they come to.
 */

const LEAST_UNDER_WAY = 4;
/** Without an answer for so long, one more call goes all the same: nobody waits for a call that hangs. */
const STALL_MS = 5_000;

export class Pace {
  /** When a call last left or came back. */
  lastMoveAt = 0;
  /** Calls on their way. */
  inFlight = 0;
  readonly silence: Silence;
  readonly #backoff: Backoff;
  readonly #burst: Burst;
  readonly #trip = new RoundTrip();
  readonly #schedule = new Schedule(this.#trip);
  readonly #search = new Search();
  readonly #tally = new Tally();
  readonly #ramp = new Ramp();
  readonly #publication = new Publication();
  /** A refusal of which nothing has been learned yet. */
  #hasNews = false;
  /** It gave more than its quota when that was new: it has none. */
  #isBucket = false;
  /** A quota was granted to calls that nobody held back: cut short once, by others or by chance, it is one still. */
  #isSeen = false;
  /** A quota that did not come in full for once. */
  #isDoubted = false;
  /** Windows in a row in which it did. */
  #full = 0;

  constructor(backoff: Backoff, burst: Burst) {
    this.#backoff = backoff;
    this.#burst = burst;
    this.silence = new Silence(backoff);
  }

  /** Ms until one more call may go; 0: now. */
  readyInMs(now: number): number {
    if (now < this.silence.until) return this.silence.until - now;
    if (this.#hasNews) this.#open(now);
    if (this.inFlight >= this.#concurrency) return Math.max(0, this.lastMoveAt + STALL_MS - now);
    return Math.max(0, this.#schedule.nextAt - now);
  }

  get #concurrency(): number {
    if (this.silence.strikes > 1) return 1;
    return this.#schedule.rate === undefined ? this.#ramp.width : Math.max(LEAST_UNDER_WAY, this.#schedule.concurrency);
  }

  /** One call goes. `isFree`: nobody had to wait, so what was not used before may be used now. */
  leave(now: number, isFree: boolean): void {
    const schedule = this.#schedule;
    this.#moved(1, now);
    if (isFree) this.#tally.interrupt();
    if (schedule.rate === undefined) return;
    if (schedule.isOver(now)) {
      if (schedule.startedAt > this.#tally.openedAt) this.#tally.dueAt = now + this.#trip.meanMs;
      schedule.begin(now, isFree);
      if (schedule.hasQuota) {
        this.#full = this.#tally.grants >= schedule.quota ? this.#full + 1 : 0;
        if (this.#full > 1) this.#isDoubted = false;
        this.#tally.begin(now);
      } else schedule.rate = this.#search.climb(schedule.rate, now, this.#trip.meanMs);
    }
    schedule.leave(now);
  }

  granted(sentAt: number, now: number): void {
    const schedule = this.#schedule;
    this.ended(now);
    this.#trip.measured(now - sentAt);
    this.silence.granted(now);
    this.#tally.granted(sentAt);
    if (schedule.rate === undefined) this.#ramp.widen(this.#tally.grants, this.#trip.meanMs);
    if (sentAt !== schedule.scoutAt) return;
    schedule.scoutAt = NaN;
    if (schedule.isKnown) schedule.surpassed();
    else this.#spread(now, schedule.rate ?? 0);
  }

  /** It ended without a word about the limit. */
  ended(now: number): void {
    this.#moved(-1, now);
  }

  #moved(calls: number, now: number): void {
    this.inFlight += calls;
    this.lastMoveAt = now;
  }

  /** Returns whether the server is closed for longer than before. */
  refused(refusal: Refusal, now: number): boolean {
    const { sentAt, askedMs = 0, chance } = refusal;
    const silence = this.silence;
    const schedule = this.#schedule;
    const before = silence.until;
    const isFresh = before === 0 || (sentAt >= this.#tally.openedAt && now >= before);
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
    } else if (isFresh) silence.until = silence.guess(now, this.#tally.openedAt, refusal);
    // The burst is still being answered.
    else if (sentAt === UNHELD) silence.until = Math.max(before, now + this.#backoff.baseDelayMs / 2);
    if (isNews) {
      silence.struck(now);
      this.#hasNews = true;
      this.#ramp.narrow();
    } else if (isScout)
      schedule.confirmed(
        askedMs > 0 && sentAt >= schedule.startedAt
          ? this.#tally.seen(schedule.startedAt, this.silence, schedule.isTold, this.#trip.meanMs)
          : undefined,
      );
    return silence.until > before;
  }

  /** The server says how many calls it accepts in a window: that holds from the next opening on. */
  published(perSecond: number, quota: number): void {
    this.#publication.safeGet(perSecond, quota);
  }

  /** There is no quota: one call at a time, and more often. */
  #spread(now: number, rate: number): void {
    this.#isBucket = true;
    this.#schedule.spread(this.#search.from(rate, now));
    this.#schedule.restart();
    this.#tally.begin(now);
  }

  /** A silence is over: all that the opening before has granted is known by now. */
  #open(now: number): void {
    const tally = this.#tally;
    const { refusedAt } = this.silence;
    this.#hasNews = false;
    if (!tally.isBrief) {
      if (tally.cycleBeganAt !== undefined) this.#learn(refusedAt - tally.cycleBeganAt);
      else if (this.#schedule.rate === undefined) this.#learnFromBurst();
      tally.beginCycle(refusedAt);
    }
    this.#believe();
    tally.open(now, this.silence);
    this.#search.opened(now);
    this.#schedule.startedAt = -Infinity;
    this.#full = 0;
  }

  #learnFromBurst(): void {
    const { sighting, rates } = this.#burst;
    this.#isSeen = sighting !== undefined && this.#schedule.learn(sighting);
    if (this.#isSeen || !rates) return;
    this.#isBucket = true;
    this.#schedule.spread(this.#search.between(...rates));
  }

  #believe(): void {
    const published = this.#publication.read(this.#burst);
    if (!published) return;
    const rate = published.perSecond * BELOW;
    this.#search.published(rate);
    this.#schedule.publish(rate, published.quota);
  }

  #learn(cycleMs: number): void {
    const schedule = this.#schedule;
    const { openedAt, beganAt, closedMs, grants, cycleGrants } = this.#tally;
    if (schedule.isTrial) {
      schedule.giveUp();
      return;
    }
    const isSure = schedule.isKnown && schedule.startedAt > openedAt;
    if (schedule.hasQuota && (isSure || this.#isSeen) && !this.#isDoubted) {
      this.#isDoubted = true;
      schedule.rate = (schedule.rate ?? 0) * BELOW;
      return;
    }
    const isWindow = schedule.hasQuota || beganAt === openedAt;
    if (
      !this.#isBucket &&
      isWindow &&
      schedule.learn(this.#tally.seen(beganAt, this.silence, schedule.isTold, this.#trip.meanMs))
    )
      return;
    const openMs = Math.max(this.silence.refusedAt - beganAt, 1);
    schedule.spread(
      this.#search.refused({
        overall: (cycleGrants / cycleMs) * 1000,
        whileOpen: (grants / openMs) * 1000,
        cycleMs,
        openMs,
        closedMs,
        rate: schedule.rate,
        possible: (this.#ramp.width / Math.max(this.#trip.meanMs, 1)) * 1000,
      }),
    );
  }
}
