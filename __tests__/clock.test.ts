import { Timeline, type Clock } from '../lib/clock.js';

/** Wall time in whole milliseconds, as Date.now() shows it, beside a finer monotonic one. */
class Hands implements Clock {
  wallMs = 1_000_000;
  monotonicMs = 0;
  now = (): number => Math.floor(this.wallMs);
  monotonic = (): number => this.monotonicMs;
  random = (): number => 0;
  after: (delayMs?: number, run?: () => void) => () => void = () => () => undefined;

  pass(ms: number): void {
    this.wallMs += ms;
    this.monotonicMs += ms;
  }
}

describe('a Timeline', () => {
  test('shows the time that has passed, however often it is read', () => {
    const clock = new Hands();
    const timeline = new Timeline(clock);
    for (let read = 0; read < 1_000; read++) {
      clock.pass(0.3);
      timeline.now();
    }
    expect(timeline.now()).toBeCloseTo(300, 6);
  });

  test('counts the sleep of a machine whose monotonic clock stood still', () => {
    const clock = new Hands();
    const timeline = new Timeline(clock);
    clock.pass(500);
    clock.wallMs += 8 * 3_600_000;
    expect(timeline.now()).toBe(500 + 8 * 3_600_000);
    clock.pass(500);
    expect(timeline.now()).toBe(1_000 + 8 * 3_600_000);
  });

  // F166
  test('continues if the monotonic clock jumps back', () => {
    const clock = new Hands();
    clock.pass(5_000);
    const timeline = new Timeline(clock);
    clock.pass(100);
    expect(timeline.now()).toBe(100);
    clock.wallMs -= 4_000;
    clock.monotonicMs -= 4_000;
    expect(timeline.now()).toBe(100);
    clock.pass(50);
    expect(timeline.now()).toBe(150);
  });

  test('counts the delay of a timer that has fired as elapsed, whatever the clocks show', () => {
    const timers: [delayMs: number, run: () => void][] = [];
    const clock = new Hands();
    clock.after = (delayMs?: number, run?: () => void) => {
      timers.push([delayMs!, run!]);
      return () => undefined;
    };
    const timeline = new Timeline(clock);
    let hasRun = false;
    timeline.at(10_500.5, () => (hasRun = true));
    for (const ms of [10_000, 501]) {
      const [delayMs, run] = timers.shift()!;
      expect([delayMs, hasRun]).toEqual([ms, false]);
      run();
    }
    expect(hasRun).toBe(true);
    expect(timeline.now()).toBe(10_501);
  });

  test('does not jump back if the wall clock is set back', () => {
    const clock = new Hands();
    const timeline = new Timeline(clock);
    clock.wallMs += 3_600_000;
    const ahead = timeline.now();
    clock.wallMs -= 3_600_000;
    clock.pass(10);
    expect(timeline.now()).toBe(ahead + 10);
  });
});
