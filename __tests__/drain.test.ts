import { fixedWindow, slidingWindow, tokenBucket, type Limiter } from './support/limiters.js';
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

async function drain(limiter: Limiter, latencyMs: readonly [number, number], seed: number): Promise<Drained> {
  const { stage } = Stage.with({ seed });
  const [least, most] = latencyMs;
  stage.latencyMs = () => least + stage.clock.random() * (most - least);
  let lastAt = 0;
  stage.always('/item', () => {
    const refusal = limiter.take(stage.clock.monotonic());
    if (refusal) return refusal;
    lastAt = stage.clock.monotonic();
    return undefined;
  });
  const outcomes = await stage.outcomes(Array.from({ length: CALLS }, () => stage.api.get('/item')));
  const refusals = stage.to('/item').filter(({ status }) => status === 429);
  return {
    lost: outcomes.filter(({ status }) => status !== 200).length,
    refused: refusals.filter(({ at }) => at > 0).length / CALLS,
    time: lastAt / limiter.idealMs(CALLS),
  };
}

test.each<[world: string, limiter: Limiter, longest: number]>([
  ['a bucket of 50 a second', tokenBucket(50, 50), 1.3],
  ['a bucket of 50 a second, with Retry-After', tokenBucket(50, 50, 'secs'), 1.3],
  ['a small bucket of 50 a second', tokenBucket(50, 5), 1.3],
  // Each refusal costs a second of silence, of which such a bucket keeps a tenth.
  ['a small bucket of 50 a second, with Retry-After', tokenBucket(50, 5, 'secs'), 1.8],
  ['a window of 50 a second', fixedWindow(50, 1_000), 1.45],
  ['a window of 50 a second, with Retry-After', fixedWindow(50, 1_000, 'secs'), 1.5],
  ['a window of 50 a second that RateLimit headers describe', fixedWindow(50, 1_000, 'draft'), 1.15],
  ['a window of 100 in ten seconds, with Retry-After', fixedWindow(100, 10_000, 'secs'), 1.3],
  ['a sliding window of 50 a second', slidingWindow(50, 1_000), 1.45],
  ['a sliding window of 50 a second that counts what it refused', slidingWindow(50, 1_000, 'none', true), 1.45],
])('%s loses none of a thousand calls, and refuses hardly one after the first burst', async (_, limiter, longest) => {
  const { lost, refused, time } = await drain(limiter, [5, 20], 1);
  expect(lost).toBe(0);
  expect(refused).toBeLessThan(0.05);
  expect(time).toBeLessThan(longest);
});
