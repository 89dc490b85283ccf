import { RetryBudget, RetryBudgets } from '../lib/retry/budget.js';
import { fullJitter } from '../lib/retry/backoff.js';

const SEED = 20_261_123;
const MINUTE = 60_000;

/** Mulberry32: the same random numbers in every run. */
function chances(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Traffic {
  readonly fromMs?: number;
  readonly forMs: number;
  readonly callsPerSecond: number;
  /** An instant counted from the first call. */
  readonly isDown: (sinceStartMs: number) => boolean;
}

/** Calls at an even pace, each sent up to four times with full jitter, in virtual time. */
function run({ fromMs = 0, forMs, callsPerSecond, isDown }: Traffic): { calls: number; sends: number; lost: number } {
  const budget = new RetryBudget();
  const random = chances(SEED);
  const due = new Map<number, number[]>();
  const schedule = (atMs: number, attempt: number): void => {
    due.set(atMs, [...(due.get(atMs) ?? []), attempt]);
  };
  const calls = (callsPerSecond * forMs) / 1000;
  for (let call = 0; call < calls; call++) schedule(fromMs + Math.floor((call * 1000) / callsPerSecond), 1);
  let sends = 0;
  let lost = 0;
  for (let now = fromMs; now < fromMs + forMs + MINUTE; now++) {
    for (const attempt of due.get(now) ?? []) {
      sends++;
      if (attempt === 1) budget.countCall(now);
      if (!isDown(now - fromMs)) continue;
      if (attempt === 4 || !budget.take(now)) lost++;
      else
        schedule(
          now + 1 + Math.floor(fullJitter({ baseDelayMs: 500, maxDelayMs: 20_000 }, attempt, random())),
          attempt + 1,
        );
    }
  }
  return { calls, sends, lost };
}

// F101
test('a minute of outage at a hundred calls a second is multiplied by 1.1 at most', () => {
  const { calls, sends, lost } = run({ forMs: MINUTE, callsPerSecond: 100, isDown: () => true });
  expect(calls).toBe(6_000);
  expect(lost).toBe(calls);
  expect(sends).toBeGreaterThan(calls * 1.05);
  expect(sends).toBeLessThanOrEqual(calls * 1.1);
});

test.each([700, 12_345_678])('ten minutes of outage that begin at %d ms are multiplied by 1.1', (fromMs) => {
  const { calls, sends } = run({ fromMs, forMs: 10 * MINUTE, callsPerSecond: 100, isDown: () => true });
  expect(sends / calls).toBeCloseTo(1.1, 2);
});

test('a short fault in steady traffic loses no call', () => {
  const { calls, sends, lost } = run({
    forMs: 2 * MINUTE,
    callsPerSecond: 100,
    isDown: (ms) => ms >= MINUTE && ms < MINUTE + 100,
  });
  expect(lost).toBe(0);
  expect(sends).toBeGreaterThan(calls);
});

describe('few calls', () => {
  test.each([0, 999, 10 * MINUTE, 1e12])('one call may be sent four times, at %d ms', (now) => {
    const budget = new RetryBudget();
    budget.countCall(now);
    expect([budget.take(now), budget.take(now + 500), budget.take(now + 1_500)]).toEqual([true, true, true]);
  });

  test('an occasional fault is always retried', () => {
    const budget = new RetryBudget();
    for (let now = 0; now < 10 * MINUTE; now += 11_000) {
      budget.countCall(now);
      expect([budget.take(now), budget.take(now + 500), budget.take(now + 1_500)]).toEqual([true, true, true]);
    }
  });

  test('a burst of faults uses up the budget, which has retries again ten seconds later', () => {
    const budget = new RetryBudget();
    const burst = (now: number): number => {
      let taken = 0;
      for (let call = 0; call < 50; call++) {
        budget.countCall(now);
        if (budget.take(now)) taken++;
      }
      return taken;
    };
    const first = burst(0);
    expect(first).toBeGreaterThanOrEqual(3);
    expect(first).toBeLessThanOrEqual(10);
    expect(budget.take(9_999)).toBe(false);
    expect(budget.take(10_000)).toBe(true);
  });
});

describe('calls and retries count for a minute', () => {
  /** How many of a hundred retries the budget grants at `now`. */
  function taken(budget: RetryBudget, now: number): number {
    let count = 0;
    for (let wanted = 0; wanted < 100; wanted++) if (budget.take(now)) count++;
    return count;
  }
  function afterCalls(calls: number, at: number): RetryBudget {
    const budget = new RetryBudget();
    for (let call = 0; call < calls; call++) budget.countCall(at);
    return budget;
  }

  test.each([
    [0, 0, 100],
    [0, 59_999, 100],
    [0, 60_000, taken(new RetryBudget(), 0)],
    [0, 600_000, taken(new RetryBudget(), 0)],
    [60_000, 60_000, 100],
    [12_345_678, 12_399_999, 100],
  ])('a thousand calls at %d ms grant at %d ms %d retries', (calledAt, now, retries) => {
    expect(taken(afterCalls(1_000, calledAt), now)).toBe(retries);
  });

  test('old calls are dropped although the budget was used just before', () => {
    const few = taken(new RetryBudget(), 0);
    const budget = afterCalls(1_000, 0);
    budget.take(59_000);
    expect(taken(budget, 61_000)).toBe(few - 1);
  });

  test('retries are counted for the same minute', () => {
    const few = taken(new RetryBudget(), 0);
    for (const now of [20_000, 59_999]) {
      const budget = afterCalls(1_000, 0);
      expect(taken(budget, 0)).toBe(100);
      expect(taken(budget, now)).toBe(few);
    }
  });
});

// F155
describe('the budgets of many origins', () => {
  const origin = (index: number): string => `https://${String(index)}.example.com`;
  const kept = (budgets: RetryBudgets): number =>
    [...(budgets as unknown as { _budgets: Map<string, unknown> })._budgets].length;

  test('are a bounded number', () => {
    const budgets = new RetryBudgets();
    for (let index = 0; index < 10_000; index++) budgets.of(origin(index), 0).countCall(0);
    expect(kept(budgets)).toBeLessThanOrEqual(100);
  });

  test('are dropped after an idle minute', () => {
    const budgets = new RetryBudgets();
    for (let index = 0; index < 50; index++) budgets.of(origin(index), 0).countCall(0);
    budgets.of(origin(0), 30_000).countCall(30_000);
    budgets.of(origin(99), 61_000);
    expect(kept(budgets)).toBe(2);
  });

  test('are separate for each origin in use', () => {
    const budgets = new RetryBudgets();
    for (let call = 0; call < 1_000; call++) budgets.of(origin(0), 0).countCall(0);
    for (let retry = 0; retry < 100; retry++) expect(budgets.of(origin(0), 1_000).take(1_000)).toBe(true);
    expect(budgets.of(origin(0), 1_000).take(1_000)).toBe(false);
    expect(budgets.of(origin(1), 1_000).take(1_000)).toBe(true);
  });
});
