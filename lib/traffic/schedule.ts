import type { RoundTrip } from './round-trip.js';

/** What is seen of a limit is undercut by this. */
export const BELOW = 0.98;
/** A quota leaves in the first part of its window. The call that tests it follows later, or at once where that costs no time. */
const SPREAD = 0.4;
const LATE = 0.6;
const LAST = 0.9;
/** So many windows pass before a quota is tested that was not surpassed last time; a large one that is new goes untested for a while. */
const QUIET_WINDOWS = 8;
const MOST_QUIET_WINDOWS = 64;
const NEW_WINDOWS = 3;
/** A higher rate has to hold for so many before it is tested, too. */
const TRIAL_WINDOWS = 2;
const LARGE = 50;
const LEAST_QUOTA = 10;
const LEAST_WINDOW_MS = 250;
const STEP = 1.2;
/** Who did not have to wait may use that much of what was not used before. */
const FREE = 8;

/** What was seen of a quota. */
export interface Sighting {
  readonly count: number;
  /** From the first of them to the first refusal. */
  readonly openMs: number;
  /** From the beginning, as the server counts, to the instant that it names. */
  readonly periodMs: number;
  /** How much of that had passed when the first call arrived. */
  readonly lateMs: number;
}

/** When calls leave: a quota at the beginning of each window, or one at a time where nothing shows that there is a window. */
export class Schedule {
  /** Calls in a second; undefined: not known yet. */
  rate: number | undefined;
  /** 1: one at a time. */
  quota = 1;
  startedAt = -Infinity;
  nextAt = 0;
  /** When a call left beyond the quota, to see whether it is one. */
  scoutAt = NaN;
  /** A quota has been tested, or published. */
  isKnown = false;
  /** It was surpassed, and leaves more often than was held so far. */
  isTrial = false;
  /** Instants that the server names are rounded to seconds, or unknown. */
  isVague = true;
  isTold = false;
  #held = 0;
  #sent = 0;
  #limit = 0;
  #untested = 0;
  /** Windows between two tests: twice as many after each trial that failed. */
  #quiet = QUIET_WINDOWS;
  readonly #trip: RoundTrip;

  constructor(trip: RoundTrip) {
    this.#trip = trip;
  }

  get hasQuota(): boolean {
    return this.quota > 1;
  }
  get periodMs(): number {
    return this.quota * this.#intervalMs + (this.hasQuota ? 2 * this.#trip.deviationMs : 0);
  }
  /** How many are under way together at that rate. */
  get concurrency(): number {
    const most = this.isKnown || !this.hasQuota ? Infinity : 16 + this.#trip.meanMs / 5;
    return Math.min(most, 2 + (2 * this.#trip.meanMs) / (this.#intervalMs * (this.hasQuota ? SPREAD : 1)));
  }

  /** Whether a window begins with a call that leaves now. */
  isOver(now: number): boolean {
    return this.#sent >= this.#limit || now >= this.startedAt + this.periodMs;
  }

  begin(now: number, isFree: boolean): void {
    const slackMs = this.#intervalMs * (isFree ? FREE : this.hasQuota ? 0 : 1);
    this.startedAt = Math.max(this.startedAt + this.periodMs, now - slackMs);
    this.#sent = 0;
    this.#limit = this.quota;
    if (!this.hasQuota || this.#untested-- > 0) return;
    this.#limit++;
    this.#untested = this.#quiet;
  }

  leave(now: number): void {
    this.#sent++;
    if (this.#sent > this.quota) this.scoutAt = now;
    // A sliding window counts from its last call.
    else if (this.#sent === this.quota && this.hasQuota)
      this.startedAt = Math.max(this.startedAt, now - this.periodMs * SPREAD);
    this.nextAt = this.startedAt + this.#untilNextMs;
  }

  get #intervalMs(): number {
    return 1000 / (this.rate ?? Infinity);
  }
  get #untilNextMs(): number {
    if (this.#sent < this.quota) return this.#sent * this.#intervalMs * SPREAD;
    if (this.#sent >= this.#limit) return this.periodMs;
    return Math.min(
      this.periodMs * (this.isTold ? (this.isVague ? LATE : SPREAD) : LAST) + this.#trip.meanMs,
      this.periodMs * LAST,
    );
  }

  /** Somebody knows better. */
  restart(): void {
    this.startedAt = -Infinity;
    this.nextAt = 0;
  }

  publish(rate: number, quota: number): void {
    this.rate = rate;
    this.quota = quota;
    this.isKnown = true;
    this.#untested = QUIET_WINDOWS;
    this.#limit = 0;
    this.startedAt = -Infinity;
  }

  /** Returns whether that was a quota. Where others share it, nobody falls below half of what there was. */
  learn({ count, openMs, periodMs, lateMs }: Sighting): boolean {
    const quota = Math.max(count, Math.ceil(this.quota / 2));
    if (quota < LEAST_QUOTA || openMs > periodMs / 2 || periodMs < LEAST_WINDOW_MS) return false;
    this.quota = quota;
    this.rate = (BELOW * 1000 * quota) / wholeMs(periodMs, lateMs);
    this.#untested = this.isKnown ? QUIET_WINDOWS : count < LARGE || !this.isTold || !this.isVague ? 0 : NEW_WINDOWS;
    this.#limit = 0;
    return true;
  }

  spread(rate: number): void {
    this.rate = rate;
    this.quota = 1;
    this.#limit = 0;
  }

  /** It gave more than the quota: there may be more of it, or it comes more often. */
  surpassed(): void {
    this.isTrial = true;
    this.#held = this.rate ?? 0;
    this.rate = this.#held * STEP;
    this.#untested = TRIAL_WINDOWS;
  }

  /** A trial has failed. */
  giveUp(): void {
    this.rate = this.#held;
    this.#quiet = Math.min(2 * this.#quiet, MOST_QUIET_WINDOWS);
    this.confirmed();
  }

  /** It gave no more than the quota. `sighting`: what the server said of it, if anything. */
  confirmed(sighting?: Sighting): void {
    this.isTrial = false;
    this.#untested = this.#quiet;
    if (sighting) {
      const rate = (BELOW * 1000 * this.quota) / wholeMs(sighting.periodMs, sighting.lateMs);
      this.rate = this.isKnown ? Math.max(this.rate ?? 0, rate) : rate;
    }
    this.isKnown = true;
  }
}

/** Windows last whole seconds, mostly, and the instants that servers name are rounded up. */
function wholeMs(periodMs: number, lateMs: number): number {
  if (periodMs < 970) return periodMs;
  return Math.max(1, Math.floor((periodMs - (periodMs < 5_000 ? lateMs : 0)) / 1000 + 0.03)) * 1000;
}
