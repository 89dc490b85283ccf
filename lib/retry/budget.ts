const WINDOW_S = 60;
const RECENT_S = 10;
const SHARE = 0.1;
const ALWAYS = 10;
/** A crawler makes few calls to each of thousands of origins. Ten retries are enough for these, without stored state. */
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
 * Keeps retries from multiplying an outage. In a minute it grants at most a tenth as many retries as calls. For few calls it grants ten
 * retries in ten seconds. Replays after a 401 and after a 429 do not count.
 */
export class RetryBudget {
  /** The seconds of the last minute in which calls or retries were counted. */
  private _seconds: { readonly at: number; calls: number; retries: number }[] = [];

  /** Nothing was counted in the last minute, as in a new budget. */
  isIdle(monotonicNow: number): boolean {
    return (this._seconds.at(-1)?.at ?? -Infinity) <= Math.floor(monotonicNow / 1000) - WINDOW_S;
  }

  /** Counts the first attempt of a call. */
  countCall(monotonicNow: number): void {
    this._second(monotonicNow).calls++;
  }

  /** Takes one retry from the budget; false if there is none left. */
  take(monotonicNow: number): boolean {
    const now = this._second(monotonicNow);
    let [calls, retries, recent] = [0, 0, 0];
    for (const second of this._seconds) {
      calls += second.calls;
      retries += second.retries;
      if (second.at > now.at - RECENT_S) recent += second.retries;
    }
    const isWithin = retries < SHARE * calls || recent < ALWAYS;
    if (isWithin) now.retries++;
    return isWithin;
  }

  private _second(monotonicNow: number): RetryBudget['_seconds'][number] {
    const at = Math.floor(monotonicNow / 1000);
    const last = this._seconds.at(-1);
    if (last?.at === at) return last;
    const second = { at, calls: 0, retries: 0 };
    this._seconds = this._seconds.filter((earlier) => earlier.at > at - WINDOW_S && earlier.at < at);
    this._seconds.push(second);
    return second;
  }
}
