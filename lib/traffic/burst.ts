import type { Sighting } from './schedule.js';

/** So long a silence comes between two bursts. */
const BREAK_MS = 1_000;
/** Answers overtake each other: what is granted within that belongs together. */
const GAP_MS = 100;
/** So much less than it was may have been seen of a window. */
const LAG = 0.85;
/** Fewer calls and less time say nothing of a rate. */
const LEAST_LATER = 10;
const LEAST_LATER_MS = 250;

/** What was granted in one go, from the first answer to the last. */
interface Run {
  readonly from: number;
  until: number;
  count: number;
  /** Until the next one began. */
  periodMs?: number;
}

/**
 * What a server does to calls that nobody holds back. It may grant a quota, and another one in its next window, or let one
 * through now and then. Where the machine is busy, answers are read late, and many at once.
 */
export class Burst {
  /** Granted before the first refusal, and what overtook that. */
  count = 0;
  #run: Run = { from: 0, until: 0, count: 0 };
  /** Of the runs that were followed by another one, the slowest. */
  #whole: Run | undefined;
  #isRefusing = false;
  #lastAt = -Infinity;
  /** When its first call was made and answered. */
  #madeAt = 0;
  #beganAt = 0;
  /** When the first call was refused, and how long that made it, from the first answer until more is promised. */
  #refusedAt = Infinity;
  #toldMs: number | undefined;
  /** Granted after that. */
  #later = 0;
  #laterUntil = 0;

  granted(now: number, ageMs: number): void {
    if (this.#heard(now)) this.#madeAt -= ageMs;
    if (this.#isRefusing && this.#run.count > 0 && now > this.#run.until + GAP_MS) this.#turn(now);
    this.#isRefusing = false;
    this.#run.count++;
    this.#run.until = now;
    if (now <= this.#refusedAt + GAP_MS) this.count++;
    else {
      this.#later++;
      this.#laterUntil = now;
    }
  }

  refused(now: number, askedMs: number | undefined): void {
    this.#heard(now);
    this.#isRefusing = true;
    this.#refusedAt = Math.min(this.#refusedAt, now);
    if (askedMs !== undefined) this.#toldMs ??= now + askedMs - this.#beganAt;
  }

  /** What that shows of a quota; undefined: nothing. */
  get sighting(): Sighting | undefined {
    const { count, from, until, periodMs = this.#toldMs } = this.#whole ?? this.#run;
    return periodMs === undefined ? undefined : { count, openMs: until - from, periodMs, lateMs: 0 };
  }

  /** Calls in a second, at least and at most, that were granted while others were refused; undefined: too few to tell. */
  get rates(): readonly [least: number, most: number] | undefined {
    const ms = this.#laterUntil - this.#refusedAt - GAP_MS;
    if (this.#later < LEAST_LATER || ms < LEAST_LATER_MS) return undefined;
    return [(this.#later / (this.#laterUntil - this.#madeAt)) * 1_000, (this.#later / ms) * 1_000];
  }

  /** Returns whether that is the first word after a break. */
  #heard(now: number): boolean {
    const isFirst = now > this.#lastAt + BREAK_MS;
    this.#lastAt = now;
    if (!isFirst) return false;
    this.#run = { from: now, until: now, count: 0 };
    this.#whole = this.#toldMs = undefined;
    this.#isRefusing = false;
    this.#madeAt = this.#beganAt = now;
    this.#refusedAt = Infinity;
    this.count = this.#later = 0;
    return true;
  }

  /** Granted again after refusals: a window has ended, which lasted whole seconds, most likely. */
  #turn(now: number): void {
    const run = this.#run;
    const seenMs = now - run.from;
    const mostMs = this.#whole ? seenMs : now - this.#madeAt;
    run.periodMs = Math.min(Math.ceil((LAG * seenMs) / 1_000) * 1_000, mostMs);
    if (!this.#whole || rate(run) < rate(this.#whole)) this.#whole = run;
    this.#run = { from: now, until: now, count: 0 };
  }
}

function rate({ count, periodMs = 0 }: Run): number {
  return count / periodMs;
}
