import fc from 'fast-check';
import { equalJitter, fullJitter, notBefore } from '../lib/retry/backoff.js';

const backoff = { baseDelayMs: 500, maxDelayMs: 20_000 };
const LAST_CHANCE = 1 - 2 ** -53;

describe('the step doubles with every failure, up to maxDelayMs', () => {
  test.each([
    [1, 500],
    [2, 1_000],
    [3, 2_000],
    [6, 16_000],
    [7, 20_000],
    [8, 20_000],
    [1_000_000, 20_000],
  ])('after failure %d it is %d ms', (failures, stepMs) => {
    expect(fullJitter(backoff, failures, 0)).toBe(0);
    expect(fullJitter(backoff, failures, 0.5)).toBe(stepMs / 2);
    expect(fullJitter(backoff, failures, LAST_CHANCE)).toBeCloseTo(stepMs);
    expect(equalJitter(backoff, failures, 0)).toBe(stepMs / 2);
    expect(equalJitter(backoff, failures, 0.5)).toBe((stepMs * 3) / 4);
    expect(equalJitter(backoff, failures, LAST_CHANCE)).toBeCloseTo(stepMs);
  });

  test('the step has no upper limit if maxDelayMs is Infinity', () => {
    expect(fullJitter({ baseDelayMs: 1, maxDelayMs: Infinity }, 31, 0.5)).toBe(2 ** 29);
  });

  test('a base above maxDelayMs is cut to it, and a base of 0 stays 0', () => {
    expect(equalJitter({ baseDelayMs: 30_000, maxDelayMs: 20_000 }, 1, 0)).toBe(10_000);
    expect(equalJitter({ baseDelayMs: 0, maxDelayMs: 20_000 }, 9, 0.9)).toBe(0);
  });
});

describe('jitter is added to the delay of the server, and never subtracted', () => {
  test.each([
    [1, 250],
    [1_000, 250],
    [2_500, 250],
    [10_000, 1_000],
    [100_000, 10_000],
    [86_400_000, 10_000],
  ])('to %d ms at most %d ms', (askedMs, spreadMs) => {
    expect(notBefore(askedMs, backoff, 1, 0)).toBe(askedMs);
    expect(notBefore(askedMs, backoff, 1, 0.5)).toBe(askedMs + spreadMs / 2);
    expect(notBefore(askedMs, backoff, 1, LAST_CHANCE)).toBeLessThanOrEqual(askedMs + spreadMs);
  });

  // F103
  test('a delay of 0 falls back to the backoff of a throttled call', () => {
    for (const failures of [1, 2, 3]) {
      expect(notBefore(0, backoff, failures, 0.25)).toBe(equalJitter(backoff, failures, 0.25));
      expect(notBefore(0, backoff, failures, 0)).toBeGreaterThan(0);
    }
  });

  test('Infinity stays Infinity', () => {
    expect(notBefore(Infinity, backoff, 1, 0)).toBe(Infinity);
  });
});

test('for all options and random numbers a delay is within its step, and not below the delay of the server', () => {
  const ms = fc.integer({ min: 0, max: 1e9 });
  fc.assert(
    fc.property(
      fc.record({ baseDelayMs: ms, maxDelayMs: ms }),
      fc.integer({ min: 1, max: 1_000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      ms,
      (anyBackoff, failures, chance, askedMs) => {
        const full = fullJitter(anyBackoff, failures, chance);
        const equal = equalJitter(anyBackoff, failures, chance);
        expect(full).toBeGreaterThanOrEqual(0);
        expect(equal).toBeGreaterThanOrEqual(full / 2);
        expect(Math.max(full, equal)).toBeLessThanOrEqual(anyBackoff.maxDelayMs);
        expect(notBefore(askedMs, anyBackoff, failures, chance)).toBeGreaterThanOrEqual(askedMs);
      },
    ),
  );
});
