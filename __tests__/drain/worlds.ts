import { drain, mean, WORLDS, type Drained, type Plan } from '../support/drain.js';

/*
 * F99 F100 F149 F156: calls drain through every limit, at default settings, in virtual time. These figures judge `lib/throttle/rate.ts`.
 * Run them by npm run test:drain
 */

jest.setTimeout(600_000);

export const SEEDS = [1, 2];

/** The worst of the seeds. */
export async function worst(world: (typeof WORLDS)[number], plan: Omit<Plan, 'seed'>, seeds = SEEDS): Promise<Drained> {
  const runs: Drained[] = [];
  for (const seed of seeds) runs.push(await drain(world, { ...plan, seed }));
  const most = (key: keyof Drained): number => Math.max(...runs.map((run) => run[key]));
  return { lost: most('lost'), refused: most('refused'), time: most('time'), othersWaitedMs: most('othersWaitedMs') };
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function printFigures(what: string, runs: readonly Drained[]): void {
  const [refused, time] = [runs.map((run) => run.refused), runs.map((run) => run.time)];
  print(
    `${what.padEnd(34)} lost ${String(runs.reduce((sum, run) => sum + run.lost, 0))}` +
      `  refused ${(100 * mean(refused)).toFixed(2)} % mean, ${(100 * Math.max(...refused)).toFixed(1)} % most` +
      `  time ×${mean(time).toFixed(2)} mean, ×${Math.max(...time).toFixed(2)} most`,
  );
}

/** Declares the tests of a thousand calls in every world. */
export function drainThousand(what: string, plan: Omit<Plan, 'seed'>, seeds: readonly number[]): void {
  const runs: Drained[] = [];
  afterAll(() => {
    printFigures(what, runs);
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
}
