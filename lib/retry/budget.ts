const WINDOW_S = 60;
const RECENT_S = 10;
const SHARE = 0.1;
const ALWAYS = 10;

/**
 * Keeps retries from multiplying an outage: in the last minute at most a tenth as many retries as calls, and where there
 * are few calls, ten retries in ten seconds. Replays after a 401 and after a 429 do not count.
 */
export class RetryBudget {
  readonly #sends = new Uint32Array(WINDOW_S);
  readonly #retries = new Uint32Array(WINDOW_S);
  #second = 0;

  /** Counts the first attempt of a call. */
  countCall(monotonicNow: number): void {
    this.#at(monotonicNow, this.#sends);
  }

  /** Takes one retry from the budget; false if there is none left. */
  take(monotonicNow: number): boolean {
    this.#turnTo(Math.floor(monotonicNow / 1000));
    const isWithin = sum(this.#retries) < SHARE * sum(this.#sends) || this.#recentRetries() < ALWAYS;
    if (isWithin) this.#at(monotonicNow, this.#retries);
    return isWithin;
  }

  #at(monotonicNow: number, counts: Uint32Array): void {
    const second = Math.floor(monotonicNow / 1000);
    this.#turnTo(second);
    const slot = second % WINDOW_S;
    counts[slot] = (counts[slot] ?? 0) + 1;
  }

  /** Forgets the seconds that have left the window. */
  #turnTo(second: number): void {
    const passed = Math.min(second - this.#second, WINDOW_S);
    for (let gone = 0; gone < passed; gone++) {
      this.#sends[(second - gone) % WINDOW_S] = 0;
      this.#retries[(second - gone) % WINDOW_S] = 0;
    }
    this.#second = Math.max(second, this.#second);
  }

  #recentRetries(): number {
    let recent = 0;
    for (let ago = 0; ago < RECENT_S; ago++) {
      recent += this.#retries[(this.#second - ago) % WINDOW_S] ?? 0;
    }
    return recent;
  }
}

function sum(counts: Uint32Array): number {
  return counts.reduce((total, count) => total + count, 0);
}

/** The budgets by origin. One is created when a retry is wanted, and dropped when it has been idle for its window. */
export class RetryBudgets {
  private readonly _budgets = new Map<string, RetryBudget>();

  constructor(private readonly _now: () => number) {}

  countCall(origin: string): void {
    if (this._budgets.size > 0) this._budgets.get(origin)?.countCall(this._now());
  }

  take(origin: string): boolean {
    let budget = this._budgets.get(origin);
    if (!budget) this._budgets.set(origin, (budget = new RetryBudget()));
    return budget.take(this._now());
  }
}
