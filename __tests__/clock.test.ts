import { timeline, type Clock } from '../lib/clock.js';

/** Wall time in whole milliseconds, as Date.now() shows it, beside a finer monotonic one. */
class Hands implements Clock {
  wallMs = 1_000_000;
  monotonicMs = 0;
  now = (): number => Math.floor(this.wallMs);
  monotonic = (): number => this.monotonicMs;
  random = (): number => 0;
  after = (): (() => void) => () => undefined;

  pass(ms: number): void {
    this.wallMs += ms;
    this.monotonicMs += ms;
  }
}

describe('a timeline', () => {
  test('shows no more than has passed, however often it is read', () => {
    const clock = new Hands();
    const passedMs = timeline(clock);
    for (let read = 0; read < 1_000; read++) {
      clock.pass(0.3);
      passedMs();
    }
    expect(passedMs()).toBeCloseTo(300, 6);
  });

  test('counts the sleep of a machine whose monotonic clock stood still', () => {
    const clock = new Hands();
    const passedMs = timeline(clock);
    clock.pass(500);
    clock.wallMs += 8 * 3_600_000;
    expect(passedMs()).toBe(500 + 8 * 3_600_000);
    clock.pass(500);
    expect(passedMs()).toBe(1_000 + 8 * 3_600_000);
  });

  test('never goes back when the wall clock is set', () => {
    const clock = new Hands();
    const passedMs = timeline(clock);
    clock.wallMs += 3_600_000;
    const ahead = passedMs();
    clock.wallMs -= 3_600_000;
    clock.pass(10);
    expect(passedMs()).toBe(ahead + 10);
  });
});
