import {
  drain,
  mean,
  ratioOfTwo,
  SHARED_WORLDS,
  SMALL_WORLDS,
  WORLDS,
  type Drained,
  type Plan,
} from '../support/drain.js';

/*
 * F99 F100 F149 F156: calls drain through every limit, at default settings, in virtual time. These figures judge `lib/throttle/rate.ts`.
 * Run it by npm run test:drain
 */

jest.setTimeout(600_000);

const SEEDS = [1, 2];
const figures: string[] = [];
afterAll(() => {
  process.stdout.write(`\n${figures.join('\n')}\n`);
});

/** The worst of the seeds. */
async function worst(world: (typeof WORLDS)[number], plan: Omit<Plan, 'seed'>, seeds = SEEDS): Promise<Drained> {
  const runs: Drained[] = [];
  for (const seed of seeds) runs.push(await drain(world, { ...plan, seed }));
  const most = (key: keyof Drained): number => Math.max(...runs.map((run) => run[key]));
  return { lost: most('lost'), refused: most('refused'), time: most('time'), othersWaitedMs: most('othersWaitedMs') };
}

function record(what: string, runs: readonly Drained[]): void {
  const [refused, time] = [runs.map((run) => run.refused), runs.map((run) => run.time)];
  figures.push(
    `${what.padEnd(34)} lost ${String(runs.reduce((sum, run) => sum + run.lost, 0))}` +
      `  refused ${(100 * mean(refused)).toFixed(2)} % mean, ${(100 * Math.max(...refused)).toFixed(1)} % most` +
      `  time ×${mean(time).toFixed(2)} mean, ×${Math.max(...time).toFixed(2)} most`,
  );
}

describe.each<[what: string, plan: Omit<Plan, 'seed'>, seeds: readonly number[]]>([
  ['a thousand calls', {}, SEEDS],
  ['with another path beside', { traffic: ['path'] }, [1]],
  ['with another origin beside', { traffic: ['origin'], attach: { origins: '*' } }, [1]],
  ['with both beside', { traffic: ['path', 'origin'], attach: { origins: '*' } }, [1]],
  ['by two instances of one scheme', { instances: 2 }, [1]],
])('%s', (what, plan, seeds) => {
  const runs: Drained[] = [];
  afterAll(() => {
    record(what, runs);
  });

  test.each(WORLDS)('$name: none lost, at most 7 % refused, at most twice the least time', async (world) => {
    const run = await worst(world, plan, [...seeds]);
    runs.push(run);
    expect({ lost: run.lost, othersWaitedMs: run.othersWaitedMs }).toEqual({ lost: 0, othersWaitedMs: 0 });
    expect(run.refused).toBeLessThanOrEqual(0.07);
    expect(run.time).toBeLessThanOrEqual(2);
  });

  test('on average at most 3 % are refused, in 1.45 of the least time', () => {
    expect(mean(runs.map(({ refused }) => refused))).toBeLessThanOrEqual(0.03);
    expect(mean(runs.map(({ time }) => time))).toBeLessThanOrEqual(1.45);
  });
});

describe('150 calls', () => {
  const runs: Drained[] = [];
  afterAll(() => {
    record('150 calls against 50 a second', runs);
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
  figures.push(`two clients: ${name}: ${ratios.map((ratio) => ratio.toFixed(2)).join(' ')}`);
  expect(ratios.filter((ratio) => ratio < 2).length).toBeGreaterThanOrEqual(4);
});
