import fc from 'fast-check';
import { DeadlineTimer } from '../lib/call/deadline-timer.js';
import { VirtualClock } from './support/virtual-clock.js';

/** A wait that ends at its deadline. */
class TestWait {
  endedAt: number | undefined;
  checks = 0;
  readonly deadline: number;
  readonly #clock: VirtualClock;
  readonly #timer: DeadlineTimer;

  constructor(timer: DeadlineTimer, clock: VirtualClock, waitsMs: number) {
    this.#timer = timer;
    this.#clock = clock;
    this.deadline = clock.monotonic() + waitsMs;
    timer.add(this);
  }

  get remainingMs(): number {
    return this.deadline - this.#clock.monotonic();
  }

  check(): void {
    this.checks++;
    if (this.remainingMs > 0) return;
    this.endedAt = this.#clock.monotonic();
    this.end();
  }

  end(): void {
    this.#timer.delete(this);
  }
}

test('one timer ends every wait at its own deadline, in any order', async () => {
  const coming = fc.record({
    afterMs: fc.integer({ min: 0, max: 2_000 }),
    waitsMs: fc.integer({ min: 1, max: 30_000 }),
    endsAfterMs: fc.option(fc.integer({ min: 0, max: 30_000 }), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(coming, { minLength: 1, maxLength: 12 }), async (comings) => {
      const clock = new VirtualClock();
      const timer = new DeadlineTimer(clock);
      const waits: TestWait[] = [];
      for (const { afterMs, waitsMs, endsAfterMs } of comings) {
        await clock.advance(afterMs);
        const wait = new TestWait(timer, clock, waitsMs);
        waits.push(wait);
        if (endsAfterMs !== undefined && endsAfterMs < waitsMs)
          clock.later(endsAfterMs, () => {
            wait.end();
          });
        expect(clock.pending).toBe(1);
      }
      await clock.advance(60_000);
      for (const [index, { endedAt, deadline }] of waits.entries()) {
        const { endsAfterMs = Infinity, waitsMs } = comings[index]!;
        expect(endedAt).toBe(endsAfterMs < waitsMs ? undefined : deadline);
      }
      expect(clock.pending).toBe(0);
    }),
    { seed: 20_261_124, numRuns: 200 },
  );
});

test('a wait without a deadline keeps the process alive', async () => {
  const clock = new VirtualClock();
  const wait = new TestWait(new DeadlineTimer(clock), clock, Infinity);
  await clock.advance(60_000);
  expect(clock.holding).toBe(1);
  wait.end();
  expect(clock.pending).toBe(0);
});

test('ten thousand deadlines in a row do not check ten thousand waits each time', async () => {
  const clock = new VirtualClock();
  const timer = new DeadlineTimer(clock);
  const waits = Array.from({ length: 10_000 }, (_, index) => new TestWait(timer, clock, 1_000 + index));
  await clock.advance(12_000);
  expect(waits.every(({ endedAt, deadline }) => endedAt !== undefined && endedAt - deadline <= 10)).toBe(true);
  expect(waits.reduce((checks, wait) => checks + wait.checks, 0)).toBeLessThan(12_000_000);
  expect(clock.pending).toBe(0);
});
