import { Burst } from '../lib/traffic/burst.js';

/** What is told of calls that were all made at 0: instants at which so many were granted (+) or refused (-), 1 ms apart. */
function burstOf(...told: readonly [at: number, calls: number, askedMs?: number][]): Burst {
  const burst = new Burst();
  for (const [at, calls, askedMs] of told)
    for (let call = 0; call < Math.abs(calls); call++) {
      if (calls > 0) burst.granted(at + call, at + call);
      else burst.refused(at + call, askedMs);
    }
  return burst;
}

// F100
describe('what a burst shows of a limit', () => {
  test('is nothing where nobody was refused, or nobody says until when', () => {
    expect(burstOf([10, 100]).sighting).toBeUndefined();
    expect(burstOf([10, 100], [110, -100]).sighting).toBeUndefined();
    expect(burstOf([10, 100], [110, -100]).rates).toBeUndefined();
  });

  test('is what was granted until the first refusal, and until when that asks for patience', () => {
    const { sighting, count } = burstOf([10, 100], [110, -100, 1_000], [210, -100, 2_000]);
    expect(sighting).toEqual({ count: 100, openMs: 0, periodMs: 1_100, lateMs: 0 });
    expect(count).toBe(100);
  });

  test('takes its time where not all calls were made at once', () => {
    const burst = new Burst();
    for (let call = 0; call < 100; call++) burst.granted(10 + call, 5);
    burst.refused(110, 1_000);
    expect(burst.sighting).toEqual({ count: 100, openMs: 99, periodMs: 1_100, lateMs: 0 });
  });

  test('is a window where as much is granted again after refusals', () => {
    const { sighting } = burstOf([10, 100], [110, -890], [1_000, 100], [1_100, -10]);
    expect(sighting).toEqual({ count: 100, openMs: 0, periodMs: 1_000, lateMs: 0 });
  });

  test('is a window although the next one had hardly begun', () => {
    const { sighting, rates } = burstOf([10, 100], [110, -890], [1_000, 3]);
    expect(sighting).toMatchObject({ count: 100, periodMs: 1_000 });
    expect(rates).toBeUndefined();
    expect(burstOf([10, 100], [110, -890], [1_000, 2])).toMatchObject({ count: 100, sighting: undefined });
  });

  test('is a window although the burst began when one was about to end', () => {
    const { sighting } = burstOf([10, 100], [110, -20], [130, 100], [230, -300], [1_130, 100], [1_230, -300]);
    expect(sighting).toMatchObject({ count: 100, periodMs: 1_000 });
  });

  test('is a window of whole seconds, however late a busy machine reads some answers', () => {
    const { sighting } = burstOf([600, 100], [700, -600], [1_300, 100], [1_400, -10]);
    expect(sighting?.periodMs).toBe(1_000);
    const { sighting: late } = burstOf([10, 50], [60, -900], [1_460, 50], [1_510, -400]);
    expect(late?.periodMs).toBe(1_000);
    const { sighting: halved } = burstOf([10, 25], [35, -400], [510, 25], [535, -10]);
    expect(halved?.periodMs).toBe(510);
  });

  test('is the slowest of several windows: the first may have begun before, the others are read in haste', () => {
    const { sighting } = burstOf([10, 100], [110, -100], [400, 100], [500, -800], [1_400, 50], [1_450, -10]);
    expect(sighting).toMatchObject({ count: 100, periodMs: 1_000 });
    const { sighting: later } = burstOf([10, 100], [110, -100], [1_010, 100], [1_110, -100], [1_400, 100]);
    expect(later).toMatchObject({ count: 100, periodMs: 1_000 });
  });

  test('is one window where answers overtake each other', () => {
    const { sighting, count } = burstOf([10, 40], [50, -5, 1_000], [55, 60], [115, -100, 1_000]);
    expect(sighting).toEqual({ count: 100, openMs: 0, periodMs: 1_040, lateMs: 0 });
    expect(count).toBe(100);
  });

  test('is one window where a busy machine reads some of its answers long after the others', () => {
    const { sighting, rates } = burstOf([10, 35], [45, -450, 1_000], [495, 15], [510, -450, 1_000]);
    expect(sighting).toMatchObject({ count: 50, periodMs: 1_035 });
    expect(rates).toBeUndefined();
    const { sighting: scattered } = burstOf(
      [10, 4],
      ...[14, 24, 34, 44, 84, 114, 214, 314, 444, 514].flatMap((at): [number, number, number?][] => [
        [at, -6, 1_000],
        [at + 6, 4],
      ]),
      [520, -600, 1_000],
    );
    expect(scattered).toMatchObject({ count: 44, periodMs: 1_004 });
  });

  test('is a rate where one is let through now and then', () => {
    const told: [number, number][] = [[10, 20]];
    for (let at = 30; at <= 1_030; at += 20) told.push([at, -4], [at + 10, 1]);
    const { rates, count } = burstOf(...told);
    const [least = 0, most = 0] = rates ?? [];
    expect(least).toBeGreaterThan(40);
    expect(least).toBeLessThanOrEqual(50);
    expect(most).toBeGreaterThanOrEqual(49);
    expect(most).toBeLessThan(60);
    expect(count).toBe(20);
  });

  test('is a rate that is higher than the quota looks', () => {
    const told: [number, number, number?][] = [[10, 12]];
    for (let at = 22; at <= 1_022; at += 10) told.push([at, -8, 1_000], [at + 8, 1]);
    expect(burstOf(...told).sighting).toBeUndefined();
    const slow: [number, number, number?][] = [[10, 50]];
    for (let at = 60; at <= 1_060; at += 25) slow.push([at, -23, 1_000], [at + 23, 1]);
    expect(burstOf(...slow).sighting).toMatchObject({ count: 50, periodMs: 1_050 });
  });

  test('is a rate where the quota looks much higher: a bucket was full', () => {
    const told: [number, number, number?][] = [[10, 50]];
    for (let at = 60; at <= 1_060; at += 50) told.push([at, -48, 1_000], [at + 48, 1]);
    expect(burstOf(...told)).toMatchObject({ sighting: undefined, count: 50 });
    expect(burstOf(...told).rates).toBeDefined();
  });

  test('is no rate where nothing was granted in the end', () => {
    const early: [number, number][] = [[10, 20]];
    for (let at = 30; at <= 630; at += 30) early.push([at, -29], [at + 29, 1]);
    expect(burstOf(...early).rates).toBeDefined();
    expect(burstOf(...early, [660, -100]).rates).toBeDefined();
    expect(burstOf(...early, [660, -400]).rates).toBeUndefined();
  });

  test('is no rate where it was too short or too few to tell', () => {
    const few: [number, number][] = [[10, 20]];
    for (let at = 30; at <= 930; at += 105) few.push([at, -1], [at + 50, 1]);
    expect(burstOf(...few).rates).toBeUndefined();
    const brief: [number, number][] = [[10, 20]];
    for (let at = 30; at <= 270; at += 10) brief.push([at, -1], [at + 5, 1]);
    expect(burstOf(...brief).rates).toBeUndefined();
  });

  test('is forgotten after a second of silence', () => {
    const burst = burstOf([10, 100], [110, -100, 1_000]);
    burst.refused(1_209, 1_000);
    expect(burst.sighting).toMatchObject({ periodMs: 1_100 });
    burst.granted(2_210, 5);
    expect(burst).toMatchObject({ count: 1, sighting: undefined, rates: undefined });
  });
});
