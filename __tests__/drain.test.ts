import { basic } from '../lib/index.js';
import { changing, fixedWindow, ownWindow, slidingWindow, tokenBucket, type Limiter } from './support/limiters.js';
import { Stage } from './support/stage.js';

/*
 * F99 F100: a thousand calls at once against a limit, at default settings, in virtual time. `refused`: of all calls, beyond the
 * first burst; `time`: of what the limit allows at the least.
 */

// A machine that is busy with other things is no reason to fail.
jest.setTimeout(120_000);

const CALLS = 1_000;

interface Drained {
  readonly lost: number;
  readonly refused: number;
  readonly time: number;
}

/** How long an answer is on its way, and how long the server, and the client that reads it, is busy with each call, one after the other. */
interface Distance {
  readonly latencyMs: readonly [least: number, most: number];
  readonly busyMs: number;
  readonly readMs?: number;
}

async function drain(limiter: Limiter, { latencyMs, busyMs, readMs = 0 }: Distance, seed: number): Promise<Drained> {
  const { stage } = Stage.with({ seed });
  const [least, most] = latencyMs;
  let servedAt = 0;
  let readAt = 0;
  let answers = 0;
  let lastAt = 0;
  stage.always('/item', () => {
    const now = stage.clock.monotonic();
    servedAt = Math.max(servedAt, now) + busyMs;
    const refusal = limiter.take(servedAt);
    if (!refusal) lastAt = servedAt;
    readAt = Math.max(readAt, servedAt + least + stage.clock.random() * (most - least)) + readMs;
    // Some answers of a burst are not whole when they are looked at, and have to wait until all others were.
    const isLate = readMs > 0 && answers++ < CALLS && stage.clock.random() < 0.3;
    const afterMs = readAt - now + (isLate ? (CALLS / 2) * readMs : 0);
    return { ...(refusal ?? { status: 200 }), afterMs };
  });
  const outcomes = await stage.outcomes(Array.from({ length: CALLS }, () => stage.api.get('/item')));
  const refusals = stage.to('/item').filter(({ status }) => status === 429);
  return {
    lost: outcomes.filter(({ status }) => status !== 200).length,
    refused: refusals.filter(({ at }) => at > 0).length / CALLS,
    time: lastAt / limiter.idealMs(CALLS),
  };
}

const SEEDS = [1, 2];
const NEAR: Distance = { latencyMs: [5, 20], busyMs: 0 };
const FAR: Distance = { latencyMs: [90, 110], busyMs: 0 };
/** It takes two seconds over a thousand calls: windows pass while the first burst is being answered. */
const BUSY: Distance = { latencyMs: [1, 2], busyMs: 2 };
/** A thousand answers take it half a second. */
const SLOW_READER: Distance = { latencyMs: [1, 3], busyMs: 0.25, readMs: 0.5 };
const SLOW_READER_FAR_AWAY: Distance = { latencyMs: [50, 150], busyMs: 0.25, readMs: 0.5 };

test.each<[world: string, limiter: () => Limiter, longest: number, distance?: Distance]>([
  ['a bucket of 50 a second', () => tokenBucket(50, 50), 1.3],
  ['a bucket of 50 a second, with Retry-After', () => tokenBucket(50, 50, 'secs'), 1.3],
  ['a small bucket of 50 a second', () => tokenBucket(50, 5), 1.3],
  // Each refusal costs a second of silence, of which such a bucket keeps a tenth.
  ['a small bucket of 50 a second, with Retry-After', () => tokenBucket(50, 5, 'secs'), 1.8],
  ['a window of 50 a second', () => fixedWindow(50, 1_000), 1.3],
  ['a window of 50 a second, with Retry-After', () => fixedWindow(50, 1_000, 'secs'), 1.3],
  ['a window of 100 a second, with Retry-After', () => fixedWindow(100, 1_000, 'secs'), 1.3],
  ['a window of 200 a second, with Retry-After', () => fixedWindow(200, 1_000, 'secs'), 1.3],
  ['a window of 50 a second that RateLimit headers describe', () => fixedWindow(50, 1_000, 'draft'), 1.3],
  ['a window of 100 in ten seconds, with Retry-After', () => fixedWindow(100, 10_000, 'secs'), 1.3],
  ['a window of its own, 100 a second', () => ownWindow(100, 1_000, 'secs'), 1.3],
  ['a window of its own, 200 a second', () => ownWindow(200, 1_000, 'secs'), 1.3],
  ['a window of its own, 200 a second, that RateLimit headers describe', () => ownWindow(200, 1_000, 'draft'), 1.3],
  ['a window of its own, 50 a second, of which an instant is told', () => ownWindow(50, 1_000, 'epoch'), 1.3],
  ['a window of its own, 100 a second, far away', () => ownWindow(100, 1_000, 'secs'), 1.3, FAR],
  ['a window of its own, 100 a second, of a busy server', () => ownWindow(100, 1_000), 1.3, BUSY],
  [
    'a window of its own, 100 a second, with Retry-After, of a busy server',
    () => ownWindow(100, 1_000, 'secs'),
    1.3,
    BUSY,
  ],
  ['a window of its own, 200 a second, of a busy server', () => ownWindow(200, 1_000), 1.3, BUSY],
  ['a window of 100 a second, with Retry-After, of a busy server', () => fixedWindow(100, 1_000, 'secs'), 1.3, BUSY],
  ['a small bucket of 100 a second of a busy server', () => tokenBucket(100, 10), 1.3, BUSY],
  ['a window of 50 a second, with Retry-After, read slowly', () => fixedWindow(50, 1_000, 'secs'), 1.3, SLOW_READER],
  [
    'a window of its own, 50 a second, that RateLimit headers describe, read slowly',
    () => ownWindow(50, 1_000, 'draft'),
    1.3,
    SLOW_READER,
  ],
  [
    'a window of its own, 50 a second, with Retry-After, read slowly, far away',
    () => ownWindow(50, 1_000, 'secs'),
    1.3,
    SLOW_READER_FAR_AWAY,
  ],
  [
    'a sliding window of 50 a second, with Retry-After, read slowly',
    () => slidingWindow(50, 1_000, 'secs'),
    1.3,
    SLOW_READER,
  ],
  ['a bucket of 50 a second, with Retry-After, read slowly', () => tokenBucket(50, 50, 'secs'), 1.3, SLOW_READER],
  // Half of what it gives is hidden in a burst that is read so slowly.
  ['a small bucket of 100 a second, read slowly', () => tokenBucket(100, 10), 1.4, SLOW_READER],
  // Twice as long, were Retry-After all that is heeded.
  ['a window of 25 in half a second, with Retry-After', () => fixedWindow(25, 500, 'secs'), 1.8],
  ['a sliding window of 50 a second', () => slidingWindow(50, 1_000), 1.3],
  ['a sliding window of 50 a second, with Retry-After', () => slidingWindow(50, 1_000, 'secs'), 1.3],
  ['a sliding window that counts what it refused', () => slidingWindow(50, 1_000, 'none', true), 1.3],
  ['a bucket that is halved meanwhile', () => changing(8_000, tokenBucket(50, 50), tokenBucket(25, 25)), 1.3],
  // It is noticed by trying a higher pace now and then.
  ['a bucket that doubles meanwhile', () => changing(8_000, tokenBucket(50, 50), tokenBucket(100, 100)), 1.5],
])(
  '%s loses none of a thousand calls, and refuses hardly one after the first burst',
  async (_, limiter, longest, distance = NEAR) => {
    for (const seed of SEEDS) {
      const { lost, refused, time } = await drain(limiter(), distance, seed);
      expect({ seed, lost }).toEqual({ seed, lost: 0 });
      expect(refused).toBeLessThan(0.05);
      expect(time).toBeLessThan(longest);
    }
  },
);

test.each<[world: string, limiter: () => Limiter, calls: number]>([
  ['a window of 50 a second, with Retry-After', () => fixedWindow(50, 1_000, 'secs'), 500],
  ['a window of 100 in ten seconds, with Retry-After', () => fixedWindow(100, 10_000, 'secs'), 300],
  ['a window of 100 a second that RateLimit headers describe', () => fixedWindow(100, 1_000, 'draft'), 500],
])('two clients share %s, and in most runs neither gets twice as much as the other', async (_, makeLimiter, each) => {
  const ratios: number[] = [];
  for (const seed of [1, 2, 3, 4, 5]) {
    const stage = new Stage(seed);
    stage.latencyMs = () => 5 + stage.clock.random() * 15;
    const limiter = makeLimiter();
    stage.always('/open', () => limiter.take(stage.clock.monotonic()));
    const calls = ['a', 'b'].flatMap((client) => {
      const api = stage.instance();
      stage.attach({ scheme: basic({ username: client, password: 'secret' }) }, api);
      return Array.from({ length: each }, () => api.get('/open', { headers: { 'X-Call': client } }));
    });
    const outcomes = await stage.outcomes(calls);
    expect(outcomes.filter(({ status }) => status !== 200)).toEqual([]);
    const grants = ['a', 'b'].map((client) => stage.to(client).filter(({ status }) => status === 200));
    const firstIsDoneAt = Math.min(...grants.map((sent) => sent.at(-1)!.at));
    const shares = grants.map((sent) => sent.filter(({ at }) => at <= firstIsDoneAt).length);
    ratios.push(Math.max(...shares) / Math.min(...shares));
  }
  expect(ratios.filter((ratio) => ratio < 2).length).toBeGreaterThanOrEqual(4);
});
