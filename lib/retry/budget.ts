const WINDOW_S = 60;
const RECENT_S = 10;
const SHARE = 0.1;
const ALWAYS = 10;
/** A crawler's thousands of origins get few calls each, for which ten retries are enough: they need no memory. */
const MOST_ORIGINS = 100;

/** A budget for each origin that was called in the last minute. */
export class RetryBudgets {
  private readonly _budgets = new Map<string, RetryBudget>();

  of(origin: string, monotonicNow: number): RetryBudget {
    let budget = this._budgets.get(origin);
    if (!budget) {
      for (const [other, known] of this._budgets)
        if (known.isIdle(monotonicNow) || this._budgets.size >= MOST_ORIGINS) this._budgets.delete(other);
      this._budgets.set(origin, (budget = new RetryBudget()));
    }
    return budget;
  }
}

/**
 * Keeps retries from multiplying an outage: in the last minute at most a tenth as many retries as calls, and where there
 * are few calls, ten retries in ten seconds. Replays after a 401 and after a 429 do not count.
 */
export class RetryBudget {
  readonly #sends = new Uint32Array(WINDOW_S);
  readonly #retries = new Uint32Array(WINDOW_S);
  #second = 0;

  /** Nothing was counted in the last minute: a new budget says the same. */
  isIdle(monotonicNow: number): boolean {
    return Math.floor(monotonicNow / 1000) - this.#second >= WINDOW_S;
  }

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
