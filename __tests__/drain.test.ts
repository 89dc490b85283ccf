import { cases, isFull } from './support/rounds.js';
import { drain, mean, ratioOfTwo, SHARED_WORLDS, SMALL_WORLDS, WORLDS } from './support/drain.js';

/*
 * F99 F100 F149 F156: calls drain through a limit, at default settings, in virtual time. `npm run test:drain` runs all limits.
 */

// A busy machine must not fail the test.
jest.setTimeout(120_000);

const named = <T extends { name: string }>(worlds: readonly T[], ...names: string[]): T[] =>
  worlds.filter(({ name }) => names.includes(name));

test.each(
  cases(
    2,
    named(
      WORLDS,
      'a bucket of 50 a second',
      'a small bucket of 50 a second, with Retry-After',
      'a window of 50 a second, with Retry-After',
      'a window of 50 a second that RateLimit headers describe',
      'a window of its own, 100 a second, far away',
      'a sliding window of 50 a second',
      'a bucket that doubles meanwhile',
    ),
  ),
)('$name loses none of a thousand calls and refuses at most 7 % after the first burst', async (world) => {
  const { lost, refused, time } = await drain(world, { seed: 1 });
  expect(lost).toBe(0);
  expect(refused).toBeLessThan(0.07);
  expect(time).toBeLessThan(2);
});

test.each(named(WORLDS, 'a window of 50 a second, with Retry-After'))(
  '$name is drained as well beside other traffic, which does not wait',
  async (world) => {
    const { lost, refused, time, othersWaitedMs } = await drain(world, {
      seed: 1,
      traffic: ['path', 'origin'],
      attach: { origins: '*' },
    });
    expect({ lost, othersWaitedMs }).toEqual({ lost: 0, othersWaitedMs: 0 });
    expect(refused).toBeLessThan(0.07);
    expect(time).toBeLessThan(2);
  },
);

test.each(named(SMALL_WORLDS, 'a bucket of 5 (none)', 'a window (secs)', 'a sliding window (exact)'))(
  '$name drains 150 calls in 1.75 of the least time, with half of the refusals of throttle: false',
  async (world) => {
    const { lost, refused, time } = await drain(world, { seed: 1, calls: 150 });
    const alone = await drain(world, { seed: 1, calls: 150, attach: { throttle: false } });
    expect(lost).toBe(0);
    expect(time).toBeLessThan(1.75);
    expect(refused).toBeLessThanOrEqual(alone.refused / 2);
  },
);

(isFull ? test : test.skip).each(named(WORLDS, 'a window of 50 a second, with Retry-After'))(
  '$name is drained as well by two instances of one scheme',
  async (world) => {
    const { lost, refused, time } = await drain(world, { seed: 1, instances: 2 });
    expect(lost).toBe(0);
    expect(refused).toBeLessThan(0.07);
    expect(time).toBeLessThan(2);
  },
);

test.each(SHARED_WORLDS.slice(0, 1))(
  'two clients share $name: neither gets twice as much',
  async ({ limiter, each }) => {
    expect(mean([await ratioOfTwo(limiter, each, 1), await ratioOfTwo(limiter, each, 2)])).toBeLessThan(2);
  },
);
