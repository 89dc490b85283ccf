/** Answers are counted in bins, and two bins become one where there are too many. */
const MOST_BINS = 64;
/** So many empty ones, of all, and so much time part two runs. */
const GAP = 2;
const GAP_SHARE = 1 / 16;
const GAP_MS = 30;

/** What was granted in one go: the first answer and the last. */
export interface Run {
  count: number;
  from: number;
  until: number;
}

/** The answers of one burst, in their order: where among them calls were granted. */
export class Answers {
  refusedAt = Infinity;
  /** Granted before the first refusal. */
  readonly head: Run = nothing();
  /** The answers from then on, so many in each; the last, and how many are still missing in it. */
  #bins: Run[] = [];
  #open: Run = nothing();
  #size = 1;
  #missing = 0;

  granted(now: number): void {
    const run = this.refusedAt === Infinity ? this.head : this.#bin();
    if (run.count++ === 0) run.from = now;
    run.until = now;
  }

  refused(now: number): void {
    this.refusedAt = Math.min(this.refusedAt, now);
    this.#bin();
  }

  /** Granted after the first refusal: in all answers, or in the last part of them. */
  later(share = 1): Run {
    return this.#bins.slice(-Math.ceil(share * this.#bins.length)).reduce(joined, nothing());
  }

  /** The largest part of the answers from the first refusal on in which nothing was granted. */
  get longestLull(): number {
    let longest = 0;
    let lull = 0;
    for (const { count } of this.#bins) longest = Math.max(longest, (lull = count === 0 ? lull + 1 : 0));
    return longest / this.#bins.length;
  }

  /** Something was granted in the end: the last run may have been longer. */
  get isCut(): boolean {
    return this.#bins.slice(-GAP).some(({ count }) => count > 0);
  }

  /** Parted where nothing was granted for a while. */
  get runs(): Run[] {
    return this.#parted(Math.max(GAP, GAP_SHARE * this.#bins.length), GAP_MS);
  }

  /** Parted where there was the least gap. */
  get closeRuns(): Run[] {
    return this.#parted(1, 0);
  }

  #parted(emptyBins: number, emptyMs: number): Run[] {
    const runs: Run[] = [];
    let run = this.head;
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
}

/** Two runs as one. */
export function joined(earlier: Run, later: Run): Run {
  return {
    count: earlier.count + later.count,
    from: earlier.count > 0 ? earlier.from : later.from,
    until: later.count > 0 ? later.until : earlier.until,
  };
}

function nothing(): Run {
  return { count: 0, from: 0, until: 0 };
}
