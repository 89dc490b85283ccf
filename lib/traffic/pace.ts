import { equalJitter, notBefore, type Backoff } from '../recovery/backoff.js';

/**
 * How fast a throttled server is asked again. The numbers were found by simulating token buckets, fixed and sliding windows
 * with every kind of hint; `__tests__/drain.test.ts` shows what they come to.
 */

/** After the first opening this many may be under way together; each answer admits one more, up to the second number. */
const FIRST_WINDOW = 8;
const WIDE_WINDOW = 16;
const LEAST_WINDOW = 4;
/** Without an answer for so long, one more call goes all the same: nobody waits for a call that hangs. */
const STALL_MS = 5_000;
/** Fewer answers than the first number say nothing about a rate, and fewer than the second nothing about a window. */
const LEAST_GRANTS = 3;
const LEAST_QUOTA = 25;
/** What the server published or let be seen of its limit is undercut by this, and a rate that it refused after a while by that. */
const BELOW = 0.98;
const WELL_BELOW = 0.93;
/** A rate has to hold for so long before a higher one is tried; one that follows from a window, for several of them. */
const QUIET_MS = 500;
const LONGEST_QUIET_MS = 20_000;
const QUIET_WINDOWS = 8;
const FIRST_STEP = 2;
const LATER_STEP = 1.2;
/** So near to its ceiling a rate has found its place; from then on the ceiling is lifted a little at a time, for limits change. */
const NEAR = 1.05;
const LIFT = 1.15;
const LONGEST_CYCLE_MS = 60_000;

/** What became of a call that the pace had let go. */
export interface Refusal {
  readonly sentAt: number;
  readonly askedMs: number | undefined;
  readonly chance: number;
}

export class Pace {
  /** Nobody may go before. */
  closedUntil = 0;
  /** When a call last left or came back. */
  lastMoveAt = 0;
  /** Calls on their way. */
  inFlight = 0;
  readonly #backoff: Backoff;
  /** Since it opened last: when, what was granted, and how long it had been closed. */
  #openedAt = 0;
  #openGrants = 0;
  #closedMs = 0;
  /** Refusals in a row, when the first and the last came, and whether the server said for how long. */
  #strikes = 0;
  #strikingSince = 0;
  #refusedAt = 0;
  #isTold = false;
  /** Grants over refusals among the calls that were sent after the one that was refused first. */
  #trickle = 0;
  #lastSilenceMs = 0;
  #window = FIRST_WINDOW;
  /** Calls in a second; undefined: not known yet, the window alone holds them back. */
  #rate: number | undefined;
  /** What has been held, and what was refused: the place to look for lies between. */
  #held = 0;
  #ceiling = Infinity;
  /** What the server has published. */
  #published = Infinity;
  #steadyAt = 0;
  #nextAt = 0;
  #roundTripMs = 0;
  /** Since the server was last seen to refuse: what it granted, while calls were waiting all the time. */
  #cycleBeganAt: number | undefined;
  #cycleGrants = 0;
  #cycleMs = 0;
  #patience = 1;
  #lessons = 0;

  constructor(backoff: Backoff) {
    this.#backoff = backoff;
  }

  /** How long the server last went on refusing. */
  get silenceMs(): number {
    return this.#lastSilenceMs;
  }

  /** Ms until one more call may go; 0: now. */
  readyInMs(now: number): number {
    if (now < this.closedUntil) return this.closedUntil - now;
    if (this.inFlight >= this.#window) return Math.max(0, this.lastMoveAt + STALL_MS - now);
    return Math.max(0, this.#nextAt - now);
  }

  /** One call goes. `isFree`: nobody had to wait, so what was not used before may be used now. */
  leave(now: number, isFree: boolean): void {
    if (this.#openedAt < this.closedUntil) this.#open(now);
    this.inFlight++;
    this.lastMoveAt = now;
    if (isFree) this.#cycleBeganAt = undefined;
    if (this.#rate === undefined) return;
    this.#climb(now, this.#rate);
    const intervalMs = 1000 / this.#rate;
    this.#nextAt = Math.max(this.#nextAt, now - intervalMs * (isFree ? FIRST_WINDOW : 1)) + intervalMs;
  }

  granted(sentAt: number, now: number): void {
    this.#arrived(now);
    const tripMs = now - sentAt;
    this.#roundTripMs = this.#roundTripMs === 0 ? tripMs : this.#roundTripMs * 0.8 + tripMs * 0.2;
    if (this.#strikes > 0 && now < this.closedUntil) this.#trickle++;
    else if (this.#strikes > 0) {
      this.#lastSilenceMs = now - this.#strikingSince;
      this.#strikes = 0;
    }
    this.#cycleGrants++;
    this.#openGrants++;
    if (this.#rate !== undefined)
      this.#window = Math.max(LEAST_WINDOW, 2 + (2 * this.#rate * this.#roundTripMs) / 1000);
    else this.#window += this.#window < WIDE_WINDOW ? 1 : LEAST_WINDOW / this.#window;
  }

  /** It ended without a word about the limit. */
  ended(now: number): void {
    this.#arrived(now);
  }

  /** Returns whether the server is closed for longer than before. */
  refused({ sentAt, askedMs, chance }: Refusal, now: number): boolean {
    const isFresh = this.closedUntil === 0 || (sentAt >= this.#openedAt && now >= this.closedUntil);
    const before = this.closedUntil;
    this.#isTold = askedMs !== undefined;
    if (askedMs !== undefined && askedMs > 0) {
      this.closedUntil = Math.max(before, now + askedMs);
      // Everybody who was told the same instant would come at the same instant.
      this.#nextAt = Math.max(this.#nextAt, now + notBefore(askedMs, this.#backoff, 1, chance));
    } else if (isFresh) this.closedUntil = this.#guess(now, chance);
    if (isFresh) this.#strike(now);
    else this.#trickle--;
    return this.closedUntil > before;
  }

  /** The server says how many calls in a second it accepts. */
  published(perSecond: number): void {
    this.#published = perSecond * BELOW;
    this.#rate ??= this.#ceiling = this.#published;
  }

  /** One that this pace had let go has come back. */
  #arrived(now: number): void {
    this.inFlight--;
    this.lastMoveAt = now;
  }

  /** Until when a server is likely to refuse that does not say: as long as last time, and then a little longer each time. */
  #guess(now: number, chance: number): number {
    const usualMs = this.#lastSilenceMs > QUIET_MS ? this.#lastSilenceMs : 0;
    const baseDelayMs = this.#strikes > 0 && usualMs > 0 ? usualMs / 16 : this.#backoff.baseDelayMs;
    const until = now + equalJitter({ ...this.#backoff, baseDelayMs }, this.#strikes + 1, chance);
    const usual = Math.min(this.#openedAt + 0.95 * usualMs, now + this.#backoff.maxDelayMs);
    return this.#strikes > 0 ? until : Math.max(until, usual);
  }

  #strike(now: number): void {
    if (this.#strikes++ === 0) this.#strikingSince = now;
    this.#refusedAt = now;
    this.#trickle = 0;
    this.#window = this.#strikes > 1 ? 1 : Math.max(LEAST_WINDOW, Math.min(this.#window, WIDE_WINDOW) / 2);
  }

  /** The first call goes after a silence: all that the opening before has granted is known by now. */
  #open(now: number): void {
    if (this.#cycleBeganAt === undefined || this.#cycleGrants >= LEAST_GRANTS) {
      if (this.#cycleBeganAt !== undefined) this.#learn(this.#refusedAt - this.#cycleBeganAt);
      this.#cycleBeganAt = this.#refusedAt;
      this.#cycleGrants = 0;
    }
    this.#closedMs = this.closedUntil - this.#strikingSince;
    this.#openedAt = this.#steadyAt = now;
    this.#openGrants = 0;
  }

  /** Between two refusals a limit gives exactly what it is, unless it overflowed while nobody was allowed to ask. */
  #learn(cycleMs: number): void {
    const openMs = Math.max(this.#refusedAt - this.#openedAt, 1);
    const overall = (this.#cycleGrants / cycleMs) * 1000;
    this.#cycleMs = Math.min(cycleMs, LONGEST_CYCLE_MS);
    this.#patience = 1;
    const isBrief = this.#isTold && this.#closedMs > QUIET_MS && openMs < this.#closedMs;
    if (isBrief && this.#openGrants >= LEAST_QUOTA && this.#trickle <= 0) {
      this.#learnWindow();
      return;
    }
    const whileOpen = (this.#openGrants / openMs) * 1000;
    this.#ceiling = this.#rate ?? Math.max(whileOpen, overall, (this.#window / Math.max(this.#roundTripMs, 1)) * 1000);
    const highest = Math.max(Math.min(this.#ceiling, 2 * whileOpen), overall);
    const likely = overall ** 0.7 * highest ** 0.3;
    // What was held before is refused now: it did not hold for long enough, or the limit has changed.
    if (this.#held > this.#ceiling * 0.97) this.#held = openMs > this.#closedMs ? this.#ceiling * WELL_BELOW : likely;
    this.#held = Math.min(Math.max(this.#held, overall), this.#ceiling);
    if (this.#lessons++ === 0) this.#held = likely;
    this.#rate = Math.max(0.2, Math.min(this.#held * 0.97, this.#ceiling * BELOW));
  }

  /** It gave all that it has at once, and then nothing until its next window: those begin whole seconds apart. */
  #learnWindow(): void {
    const periodMs = this.closedUntil - this.#openedAt - this.#roundTripMs;
    const windowMs = periodMs < 900 ? periodMs : Math.floor(periodMs / 1000 + 0.1) * 1000;
    this.#rate = this.#held = Math.min(this.#published, (BELOW * 1000 * this.#openGrants) / windowMs);
    this.#ceiling = Infinity;
    this.#lessons = 2;
    this.#patience = QUIET_WINDOWS;
  }

  /** A rate that has held for a while gives way to a higher one. */
  #climb(now: number, rate: number): void {
    const quietMs = Math.min(
      LONGEST_QUIET_MS,
      Math.max(QUIET_MS, this.#patience * this.#cycleMs, 2 * this.#roundTripMs),
    );
    if (now - this.#steadyAt < quietMs) return;
    this.#steadyAt = now;
    this.#patience = 1;
    this.#held = Math.max(this.#held, rate);
    if (this.#ceiling / rate < NEAR) this.#ceiling *= LIFT;
    const step = rate * (this.#lessons > 1 ? LATER_STEP : FIRST_STEP);
    this.#rate = Math.min(this.#published, Math.sqrt(rate * this.#ceiling), step);
  }
}
