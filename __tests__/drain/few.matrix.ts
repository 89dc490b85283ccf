import { drain, mean, ratioOfTwo, SHARED_WORLDS, SMALL_WORLDS, type Drained } from '../support/drain.js';
import { print, printFigures, SEEDS, worst } from './worlds.js';

describe('150 calls', () => {
  const runs: Drained[] = [];
  afterAll(() => {
    printFigures('150 calls against 50 a second', runs);
  });

  test.each(SMALL_WORLDS)(
    '$name: in 1.75 of the least time, with half of the refusals of throttle: false',
    async (world) => {
      const run = await worst(world, { calls: 150 });
      const alone: Drained[] = [];
      for (const seed of SEEDS) alone.push(await drain(world, { seed, calls: 150, attach: { throttle: false } }));
      runs.push(run);
      expect(run.lost).toBe(0);
      expect(run.time).toBeLessThanOrEqual(1.75);
      expect(run.refused).toBeLessThanOrEqual(mean(alone.map(({ refused }) => refused)) / 2);
    },
  );
});

test.each(SHARED_WORLDS)('two clients share $name within 2:1 in four of five runs', async ({ name, limiter, each }) => {
  const ratios: number[] = [];
  for (const seed of [1, 2, 3, 4, 5]) ratios.push(await ratioOfTwo(limiter, each, seed));
  print(`two clients: ${name}: ${ratios.map((ratio) => ratio.toFixed(2)).join(' ')}`);
  expect(ratios.filter((ratio) => ratio < 2).length).toBeGreaterThanOrEqual(4);
});
