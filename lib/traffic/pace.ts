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
/** Fewer answers than that say nothing about a rate. */
const LEAST_GRANTS = 3;
/** What a rate that is under way was refused at, and what the server published, is undercut by this. */
const BELOW = 0.98;
/** Refusals may be so many of all calls: each answer earns that much, each refusal costs one, each second of silence a tenth of the calls it took. */
const EARNED = 0.03;
const FIRST_CREDIT = 30;
const RICH = 10;
const DEEPEST_DEBT = -20;
const SILENCE = 0.1;
/** A rate has to hold for so long before a higher one is tried, and with debts for three times as long. */
const QUIET_MS = 500;
const LONGEST_QUIET_MS = 20_000;
const IN_DEBT = 3;
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
  #openedAt = 0;
  /** Refusals in a row, and when they began. */
  #strikes = 0;
  #strikingSince = 0;
  #lastSilenceMs = 0;
  #window = FIRST_WINDOW;
  /** Calls in a second; undefined: not known yet, the window alone holds them back. */
  #rate: number | undefined;
  /** What has been held, and what was refused: the place to look for lies between. */
  #held = 0;
  #ceiling = Infinity;
  /** What the server has published. */
  #published: number | undefined;
  #steadyAt = 0;
  #nextAt = 0;
  #roundTripMs = 0;
  /** Since the server was last seen to refuse: what it granted, while calls were waiting all the time. */
  #cycleBeganAt: number | undefined;
  #cycleMs = 0;
  #cycleGrants = 0;
  #openGrants = 0;
  #lessons = 0;
  #credit = FIRST_CREDIT;

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
    if (this.#openedAt < this.closedUntil) {
      this.#openedAt = this.#steadyAt = this.closedUntil;
      this.#openGrants = 0;
    }
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
    if (this.#strikes > 0) this.#lastSilenceMs = now - this.#strikingSince;
    this.#strikes = 0;
    this.#cycleGrants++;
    this.#openGrants++;
    this.#credit = Math.max(this.#credit, DEEPEST_DEBT) + (this.#credit < RICH ? EARNED : 0);
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
    if (askedMs !== undefined && askedMs > 0) {
      this.closedUntil = Math.max(before, now + askedMs);
      // Everybody who was told the same instant would come at the same instant.
      this.#nextAt = Math.max(this.#nextAt, now + notBefore(askedMs, this.#backoff, 1, chance));
    } else if (isFresh) {
      const baseDelayMs = Math.max(this.#backoff.baseDelayMs, this.#lastSilenceMs / 4);
      this.closedUntil = now + equalJitter({ ...this.#backoff, baseDelayMs }, this.#strikes + 1, chance);
    }
    if (isFresh) this.#strike(now);
    else if (this.#rate !== undefined && sentAt >= 0) this.#credit--;
    return this.closedUntil > before;
  }

  /** The server says how many calls in a second it accepts. */
  published(perSecond: number): void {
    this.#published = perSecond * BELOW;
    this.#rate ??= this.#published;
  }

  /** One that this pace had let go has come back. */
  #arrived(now: number): void {
    this.inFlight--;
    this.lastMoveAt = now;
  }

  #strike(now: number): void {
    if (this.#strikes++ === 0) this.#strikingSince = now;
    const window = Math.min(this.#window, WIDE_WINDOW) / 2;
    if (this.#cycleBeganAt === undefined || this.#cycleGrants >= LEAST_GRANTS) {
      if (this.#cycleBeganAt !== undefined) this.#learn(now, now - this.#cycleBeganAt);
      this.#cycleBeganAt = now;
      this.#cycleGrants = 0;
    }
    this.#window = this.#strikes > 1 ? 1 : Math.max(LEAST_WINDOW, window);
  }

  /** Between two refusals a limit gives exactly what it is, unless it overflowed while nobody was allowed to ask. */
  #learn(now: number, cycleMs: number): void {
    if (this.#published !== undefined) {
      this.#rate = Math.min(this.#rate ?? Infinity, this.#published) * 0.9;
      this.#steadyAt = now;
      return;
    }
    this.#credit -= 1 + (SILENCE * (this.#rate ?? 0) * (this.closedUntil - now)) / 1000;
    const overall = (this.#cycleGrants / cycleMs) * 1000;
    const whileOpen = (this.#openGrants / Math.max(now - this.#openedAt, 1)) * 1000;
    this.#ceiling = this.#rate ?? Math.max(whileOpen, overall, (this.#window / Math.max(this.#roundTripMs, 1)) * 1000);
    const highest = Math.max(Math.min(this.#ceiling, 2 * whileOpen), overall);
    const likely = overall ** 0.7 * highest ** 0.3;
    // What was held before is refused now: it did not hold for long enough, or the limit has changed.
    if (this.#held > this.#ceiling * 0.97) this.#held = likely;
    this.#held = Math.min(Math.max(this.#held, overall), this.#ceiling);
    if (this.#lessons++ === 0) this.#held = likely;
    this.#rate = Math.max(0.2, Math.min(this.#held * 0.97, this.#ceiling * BELOW));
    this.#cycleMs = Math.min(cycleMs, LONGEST_CYCLE_MS);
  }

  /** A rate that has held for a while gives way to a higher one. */
  #climb(now: number, rate: number): void {
    const patience = this.#credit < 0 ? IN_DEBT : 1;
    const quietMs = Math.min(LONGEST_QUIET_MS, patience * Math.max(QUIET_MS, this.#cycleMs, 2 * this.#roundTripMs));
    if (now - this.#steadyAt < quietMs) return;
    this.#steadyAt = now;
    this.#held = Math.max(this.#held, rate);
    if (this.#published !== undefined) {
      this.#rate = Math.min(this.#published, rate * FIRST_STEP);
      return;
    }
    if (this.#ceiling / rate < NEAR) {
      this.#ceiling *= LIFT;
      if (this.#credit < RICH) this.#steadyAt += quietMs;
    }
    this.#rate = Math.min(Math.sqrt(rate * this.#ceiling), rate * (this.#lessons > 1 ? LATER_STEP : FIRST_STEP));
  }
}
