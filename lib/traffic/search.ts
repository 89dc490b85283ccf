import { BELOW } from './schedule.js';

const LEAST_RATE = 0.2;
/** A rate that was refused after a while is undercut by this, and one that has held by that. */
const WELL_BELOW = 0.93;
const A_LITTLE_BELOW = 0.97;
/** A rate has to hold for so long before a higher one is tried; a published one for longer. */
const QUIET_MS = 500;
const LONGEST_QUIET_MS = 10_000;
const PUBLISHED_QUIET_MS = 8_000;
const FIRST_STEP = 2;
const LATER_STEP = 1.2;
/** So near to its ceiling a rate has found its place; from then on the ceiling is lifted a little at a time, for limits change. */
const NEAR = 1.05;
const LIFT = 1.15;

/** What was seen between two refusals. Rates are calls in a second. */
export interface Spell {
  /** All that was granted, over all the time. */
  readonly overall: number;
  /** What was granted since the silence ended, over the time since. */
  readonly whileOpen: number;
  readonly cycleMs: number;
  readonly openMs: number;
  readonly closedMs: number;
  /** At which calls left; undefined: nothing was known, and at most `possible`. */
  readonly rate: number | undefined;
  readonly possible: number;
}

/** Looks for the rate that a server accepts: it lies between what has been held and what was refused. */
export class Search {
  #held = 0;
  #ceiling = Infinity;
  #steadyAt = 0;
  #quietMs = 0;
  #lessons = 0;

  /** The server says so. */
  published(rate: number): void {
    this.#held = this.#ceiling = rate;
    this.#quietMs = PUBLISHED_QUIET_MS;
    this.#lessons = 2;
  }

  /** Seen from afar: how late answers are read may hide much of it. Returns the rate to try. */
  between(least: number, most: number): number {
    this.#held = least;
    this.#lessons = 1;
    return Math.sqrt(least * most) * BELOW;
  }

  /** Begins anew, above a rate that is too low. Returns the one to try. */
  from(rate: number, now: number): number {
    this.#held = rate;
    this.#steadyAt = now;
    this.#quietMs = 0;
    this.#lessons = 1;
    return rate * FIRST_STEP;
  }

  opened(now: number): void {
    this.#steadyAt = now;
  }

  /** Between two refusals a limit gives exactly what it is, unless it overflowed while nobody was allowed to ask. */
  refused({ overall, whileOpen, cycleMs, openMs, closedMs, rate, possible }: Spell): number {
    const ceiling = (this.#ceiling = rate ?? Math.max(whileOpen, overall, possible));
    const likely = overall ** 0.7 * Math.max(Math.min(ceiling, 2 * whileOpen), overall) ** 0.3;
    // What was held before is refused now: it did not hold for long enough, or the limit has changed.
    if (this.#held > ceiling * A_LITTLE_BELOW)
      this.#held = openMs > closedMs ? Math.min(ceiling * WELL_BELOW, Math.max(whileOpen, overall)) : likely;
    this.#held = this.#lessons++ === 0 ? likely : Math.min(Math.max(this.#held, overall), ceiling);
    this.#quietMs = cycleMs;
    return Math.max(LEAST_RATE, Math.min(this.#held * A_LITTLE_BELOW, ceiling * BELOW));
  }

  /** A rate that has held for a while gives way to a higher one. */
  climb(rate: number, now: number, roundTripMs: number): number {
    const quietMs = Math.min(LONGEST_QUIET_MS, Math.max(QUIET_MS, this.#quietMs, 2 * roundTripMs));
    if (now - this.#steadyAt < quietMs) return rate;
    this.#steadyAt = now;
    this.#quietMs /= 2;
    this.#held = Math.max(this.#held, rate);
    if (this.#ceiling / rate < NEAR) this.#ceiling *= LIFT;
    const step = this.#lessons > 1 ? LATER_STEP : FIRST_STEP;
    return Math.min(Math.sqrt(rate * this.#ceiling), rate * step);
  }
}
