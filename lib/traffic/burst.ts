import { Answers, joined, type Run } from './answers.js';
import type { Sighting } from './schedule.js';

/** So long a silence comes between two bursts. */
const BREAK_MS = 1_000;
/** A window grants as much as the one before, more or less; fewer calls are none. */
const ALIKE = 0.7;
const LEAST_QUOTA = 10;
/** That many are enough of the second where the burst was over before it was. */
const FEW = 3;
/** What is granted all the time is a rate: no part as large as this is without, and the last part has its share. */
const LULL = 0.4;
const END = 0.3;
const FAIR = 0.15;
/** What was granted at first is no quota where it is less than that rate, or so many times as much: a full bucket. */
const FULL = 2;
/** Fewer calls and less time say nothing of a rate. */
const LEAST_LATER = 10;
const LEAST_LATER_MS = 250;

interface Window {
  readonly run: Run;
  readonly periodMs: number;
}

/**
 * What a server does to calls that nobody holds back. It may grant a quota, and another one in its next window, or let one
 * through now and then. The order of its answers tells more than their time: where the machine is busy they are read late, many
 * at once, and overtake each other.
 */
export class Burst {
  #answers = new Answers();
  #lastAt = -Infinity;
  /** When its first call was made and answered. */
  #madeAt = 0;
  #beganAt = 0;
  /** All calls were made before one was answered: then it says nothing how long the answers took. */
  #isAtOnce = true;
  /** Until more is promised, from the first answer on. */
  #toldMs: number | undefined;

  granted(now: number, ageMs: number): void {
    if (this.#heard(now)) this.#madeAt = now - ageMs;
    this.#isAtOnce &&= now - ageMs <= this.#beganAt;
    this.#answers.granted(now);
  }

  refused(now: number, askedMs: number | undefined): void {
    this.#heard(now);
    this.#answers.refused(now);
    if (askedMs !== undefined) this.#toldMs ??= now + askedMs - this.#beganAt;
  }

  /** Granted in one go at first. */
  get count(): number {
    return this.#first.count;
  }

  /** What that shows of a quota; undefined: nothing. */
  get sighting(): Sighting | undefined {
    const { count, from, until } = this.#first;
    const periodMs = this.#window?.periodMs ?? this.#toldMs;
    if (periodMs === undefined) return undefined;
    const [least = 0, most = Infinity] = this.rates ?? [];
    const perSecond = (count / periodMs) * 1_000;
    if (perSecond < least || perSecond > FULL * most) return undefined;
    return { count, openMs: this.#isAtOnce ? 0 : until - from, periodMs, lateMs: 0 };
  }

  /** Calls in a second, at least and at most, that were granted while others were refused; undefined: none, or too few to tell. */
  get rates(): readonly [least: number, most: number] | undefined {
    if (this.#window) return undefined;
    const answers = this.#answers;
    const { count, until } = answers.later();
    const ms = until - answers.refusedAt;
    if (count < LEAST_LATER || ms < LEAST_LATER_MS) return undefined;
    if (answers.later(END).count < FAIR * count || answers.longestLull >= LULL) return undefined;
    return [(count / (until - this.#madeAt)) * 1_000, (count / ms) * 1_000];
  }

  get #first(): Run {
    const { head, runs, isCut } = this.#answers;
    if (this.rates) return head;
    return this.#window?.run ?? (isCut && runs.length > 1 ? runs.slice(0, -1) : runs).reduce(joined);
  }

  /** The slowest of the windows that were followed by another one. They last whole seconds, most likely. */
  get #window(): Window | undefined {
    const { runs, closeRuns } = this.#answers;
    // Where the first window ends while the burst begins there is hardly a gap, but then there are three.
    const windows = closeRuns.length > 2 && this.#areWindows(closeRuns) ? closeRuns : runs;
    if (!this.#areWindows(windows)) return undefined;
    let slowest: Window | undefined;
    let run: Run | undefined;
    for (const next of windows) {
      if (run) {
        const seenMs = next.from - run.from;
        const mostMs = run === windows[0] ? next.from - this.#madeAt : seenMs;
        const periodMs = Math.min(Math.max(1, Math.round(seenMs / 1_000)) * 1_000, mostMs);
        if (!slowest || run.count / periodMs < slowest.run.count / slowest.periodMs) slowest = { run, periodMs };
      }
      run = next;
    }
    return slowest;
  }

  #areWindows(runs: readonly Run[]): boolean {
    const least = Math.max(LEAST_QUOTA, ALIKE * Math.max(...runs.map(({ count }) => count)));
    const last = runs.length - 1;
    const leastLast = this.#answers.isCut ? (last > 1 ? 1 : FEW) : least;
    return last > 0 && runs.every(({ count }, at) => count >= (at === last ? leastLast : least));
  }

  /** Returns whether that is the first word after a break. */
  #heard(now: number): boolean {
    const isFirst = now > this.#lastAt + BREAK_MS;
    this.#lastAt = now;
    if (!isFirst) return false;
    this.#answers = new Answers();
    this.#madeAt = this.#beganAt = now;
    this.#isAtOnce = true;
    this.#toldMs = undefined;
    return true;
  }
}
