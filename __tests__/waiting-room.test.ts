import fc from 'fast-check';
import { WaitingRoom, type Wait } from '../lib/traffic/waiting-room.js';
import { VirtualClock } from './support/virtual-clock.js';

/** Ends at its deadline, and leaves as soon as it has ended. */
class Guest implements Wait {
  endedAt: number | undefined;
  looks = 0;
  readonly deadline: number;
  readonly #clock: VirtualClock;
  readonly #room: WaitingRoom;

  constructor(room: WaitingRoom, clock: VirtualClock, waitsMs: number) {
    this.#room = room;
    this.#clock = clock;
    this.deadline = clock.monotonic() + waitsMs;
    room.enter(this);
  }

  get remainingMs(): number {
    return this.deadline - this.#clock.monotonic();
  }

  look(): void {
    this.looks++;
    if (this.remainingMs > 0) return;
    this.endedAt = this.#clock.monotonic();
    this.leave();
  }

  leave(): void {
    this.#room.leave(this);
  }
}

test('every wait ends at its own deadline, in whatever order they came and went, by one timer', async () => {
  const coming = fc.record({
    afterMs: fc.integer({ min: 0, max: 2_000 }),
    waitsMs: fc.integer({ min: 1, max: 30_000 }),
    leavesAfterMs: fc.option(fc.integer({ min: 0, max: 30_000 }), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(coming, { minLength: 1, maxLength: 12 }), async (comings) => {
      const clock = new VirtualClock();
      const room = new WaitingRoom(clock);
      const guests: Guest[] = [];
      for (const { afterMs, waitsMs, leavesAfterMs } of comings) {
        await clock.advance(afterMs);
        const guest = new Guest(room, clock, waitsMs);
        guests.push(guest);
        if (leavesAfterMs !== undefined && leavesAfterMs < waitsMs)
          clock.later(leavesAfterMs, () => {
            guest.leave();
          });
        expect(clock.pending).toBe(1);
      }
      await clock.advance(60_000);
      for (const [index, { endedAt, deadline }] of guests.entries()) {
        const { leavesAfterMs = Infinity, waitsMs } = comings[index]!;
        expect(endedAt).toBe(leavesAfterMs < waitsMs ? undefined : deadline);
      }
      expect(clock.pending).toBe(0);
    }),
    { seed: 20_261_124, numRuns: 200 },
  );
});

test('a wait without a deadline holds the process as long as it lasts', async () => {
  const clock = new VirtualClock();
  const guest = new Guest(new WaitingRoom(clock), clock, Infinity);
  await clock.advance(60_000);
  expect(clock.holding).toBe(1);
  guest.leave();
  expect(clock.pending).toBe(0);
});

test('ten thousand deadlines in a row take no ten thousand looks at ten thousand waits', async () => {
  const clock = new VirtualClock();
  const room = new WaitingRoom(clock);
  const guests = Array.from({ length: 10_000 }, (_, index) => new Guest(room, clock, 1_000 + index));
  await clock.advance(12_000);
  expect(guests.every(({ endedAt, deadline }) => endedAt !== undefined && endedAt - deadline <= 10)).toBe(true);
  expect(guests.reduce((looks, guest) => looks + guest.looks, 0)).toBeLessThan(12_000_000);
  expect(clock.pending).toBe(0);
});
