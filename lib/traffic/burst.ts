import type { Sighting } from './schedule.js';

/** So long a silence comes between two bursts. */
const BREAK_MS = 1_000;
/** Answers are counted in bins, and two bins become one where there are too many. */
const MOST_BINS = 64;
/** So many empty ones, of all, and so much time part two runs. */
const GAP = 2;
const GAP_SHARE = 1 / 16;
const GAP_MS = 30;
/** A window grants as much as the one before, more or less; fewer calls are none. */
const ALIKE = 0.7;
const LEAST_QUOTA = 10;
/** That many are enough of the second where the burst was over before it was. */
const FEW = 3;
/** So much less than it was may have been seen of a window. */
const LAG = 0.85;
/** What is granted all the time is a rate: no part as large as this is without, and the last part has its share. */
const LULL = 0.4;
const END = 0.3;
const FAIR = 0.15;
/** What was granted at first is no quota where it is less than that rate, or so many times as much: a full bucket. */
const FULL = 2;
/** Fewer calls and less time say nothing of a rate. */
const LEAST_LATER = 10;
const LEAST_LATER_MS = 250;

/** What was granted in one go: the first answer and the last. */
interface Run {
  count: number;
  from: number;
  until: number;
}

/**
 * What a server does to calls that nobody holds back. It may grant a quota, and another one in its next window, or let one
 * through now and then. The order of its answers tells more than their time: where the machine is busy they are read late, many
 * at once, and overtake each other.
 */
export class Burst {
  #lastAt = -Infinity;
  /** When its first call was made and answered. */
  #madeAt = 0;
  #beganAt = 0;
  /** All calls were made before one was answered: then it says nothing how long the answers took. */
  #isAtOnce = true;
  /** Until more is promised, from the first answer on. */
  #toldMs: number | undefined;
  /** When the first call was refused, and what was granted before. */
  #refusedAt = Infinity;
  #head: Run = nothing();
  /** The answers from then on, so many in each; the last, and how many are still missing in it. */
  #bins: Run[] = [];
  #open: Run = nothing();
  #size = 1;
  #missing = 0;

  granted(now: number, ageMs: number): void {
    if (this.#heard(now)) this.#madeAt = now - ageMs;
    this.#isAtOnce &&= now - ageMs <= this.#beganAt;
    const run = this.#refusedAt === Infinity ? this.#head : this.#bin();
    if (run.count++ === 0) run.from = now;
    run.until = now;
  }

  refused(now: number, askedMs: number | undefined): void {
    this.#heard(now);
    this.#refusedAt = Math.min(this.#refusedAt, now);
    this.#bin();
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
    const later = this.#bins.reduce(joined, nothing());
    const ms = later.until - this.#refusedAt;
    if (later.count < LEAST_LATER || ms < LEAST_LATER_MS) return undefined;
    const end = this.#bins.slice(-Math.ceil(END * this.#bins.length)).reduce(joined, nothing());
    if (end.count < FAIR * later.count || this.#longestLull >= LULL * this.#bins.length) return undefined;
    return [(later.count / (later.until - this.#madeAt)) * 1_000, (later.count / ms) * 1_000];
  }

  get #first(): Run {
    if (this.rates) return this.#head;
    const runs = this.#runs;
    return this.#window?.run ?? (this.#isCut && runs.length > 1 ? runs.slice(0, -1) : runs).reduce(joined, nothing());
  }

  /** The burst was over before the last run was. */
  get #isCut(): boolean {
    return this.#bins.slice(-GAP).some(({ count }) => count > 0);
  }

  get #longestLull(): number {
    let longest = 0;
    let lull = 0;
    for (const { count } of this.#bins) longest = Math.max(longest, (lull = count === 0 ? lull + 1 : 0));
    return longest;
  }

  /** Parted where nothing was granted for a while. */
  get #runs(): Run[] {
    return this.#parted(Math.max(GAP, GAP_SHARE * this.#bins.length), GAP_MS);
  }

  #parted(emptyBins: number, emptyMs: number): Run[] {
    const runs: Run[] = [];
    let run = this.#head;
    let empty = 0;
    for (const bin of this.#bins) {
      if (bin.count === 0) {
        empty++;
        continue;
      }
      if (run.count > 0 && empty >= emptyBins && bin.from - run.until >= emptyMs) {
        runs.push(run);
        run = bin;
      } else run = joined(run, bin);
      empty = 0;
    }
    return [...runs, run];
  }

  /** The slowest of the windows that were followed by another one. They last whole seconds, most likely. */
  get #window(): { run: Run; periodMs: number } | undefined {
    // Where the first window ends while the burst begins there is hardly a gap, but then there are three.
    const close = this.#parted(1, 0);
    const windows = close.length > 2 && this.#areWindows(close) ? close : this.#runs;
    if (!this.#areWindows(windows)) return undefined;
    let slowest: { run: Run; periodMs: number } | undefined;
    let run: Run | undefined;
    for (const next of windows) {
      if (run) {
        const seenMs = next.from - run.from;
        const mostMs = run === windows[0] ? next.from - this.#madeAt : seenMs;
        const periodMs = Math.min(Math.ceil((LAG * seenMs) / 1_000) * 1_000, mostMs);
        if (!slowest || run.count / periodMs < slowest.run.count / slowest.periodMs) slowest = { run, periodMs };
      }
      run = next;
    }
    return slowest;
  }

  #areWindows(runs: readonly Run[]): boolean {
    const least = Math.max(LEAST_QUOTA, ALIKE * Math.max(...runs.map(({ count }) => count)));
    const last = runs.length - 1;
    const leastLast = last > 1 ? 1 : FEW;
    return last > 0 && runs.every(({ count }, at) => count >= (at === last && this.#isCut ? leastLast : least));
  }

  /** Where the next answer belongs. */
  #bin(): Run {
    if (this.#missing > 0) this.#missing--;
    else {
      if (this.#bins.length === MOST_BINS) this.#merge();
      this.#bins.push((this.#open = nothing()));
      this.#missing = this.#size - 1;
    }
    return this.#open;
  }

  #merge(): void {
    const pairs = this.#bins;
    this.#bins = [];
    this.#size *= 2;
    let first: Run | undefined;
    for (const bin of pairs) {
      if (first) this.#bins.push(joined(first, bin));
      first = first ? undefined : bin;
    }
  }

  /** Returns whether that is the first word after a break. */
  #heard(now: number): boolean {
    const isFirst = now > this.#lastAt + BREAK_MS;
    this.#lastAt = now;
    if (!isFirst) return false;
    this.#madeAt = this.#beganAt = now;
    this.#isAtOnce = true;
    this.#toldMs = undefined;
    this.#refusedAt = Infinity;
    this.#head = nothing();
    this.#bins = [];
    this.#size = 1;
    this.#missing = 0;
    return true;
  }
}

function nothing(): Run {
  return { count: 0, from: 0, until: 0 };
}

function joined(earlier: Run, later: Run): Run {
  return {
    count: earlier.count + later.count,
    from: earlier.count > 0 ? earlier.from : later.from,
    until: later.count > 0 ? later.until : earlier.until,
  };
}
