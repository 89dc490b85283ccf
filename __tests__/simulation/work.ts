import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import fc from 'fast-check';
import { explore, replayLine, runWorld, Violation } from './explore.js';
import { States } from './fingerprint.js';
import type { Entry } from './history.js';
import type { WorldPlan } from './plan.js';
import { samples } from './plans.js';
import { byNumbers, replay } from './schedule.js';
import { World } from './world.js';
import { smallWorlds, type SmallWorld } from './worlds.js';

/** A job for one thread: a small world to explore, or a number of random ones from a seed. */
export interface Job {
  readonly world?: SmallWorld;
  readonly seed?: number;
  readonly runs: number;
}

export interface Done {
  readonly schedules: number;
  readonly states: number;
  readonly isComplete: boolean;
  readonly violation?: string;
}

const BATCH = 1_000;

/** Small worlds get equal shares of at most half of all runs. Random worlds get the rest. */
export function jobsFor(runs: number): { small: Job[]; random: (left: number, seed: number) => Job[] } {
  const worlds = [
    ...smallWorlds(4, 'nothing'),
    ...smallWorlds(3, 'acts'),
    ...smallWorlds(2, 'everything'),
    ...smallWorlds(1, 'everything'),
  ];
  return {
    small: worlds.map((world) => ({ world, runs: Math.ceil(runs / 2 / worlds.length) })),
    random: (left, seed) =>
      Array.from({ length: Math.ceil(left / BATCH) }, (_, index) => ({
        // Below 2^31, as the seeds of fast-check are.
        seed: (seed * 1_000_003 + index) % 2 ** 31,
        runs: Math.min(BATCH, left - index * BATCH),
      })),
  };
}

export function newStates(): SharedArrayBuffer {
  return new States().shared;
}

/** Runs one schedule again, and prints the log of its server. */
export async function replayed(line: string): Promise<{ text: string; isBroken: boolean }> {
  const { plan, schedule } = JSON.parse(line) as { plan: WorldPlan; schedule: string };
  const choices = schedule === '' ? [] : schedule.split(' ');
  const world = new World(plan);
  const isBroken = await runWorld(plan, replay(choices)).then(
    () => '',
    (error: unknown) => (error as Violation).why,
  );
  await world.run(replay(choices)).catch(() => undefined);
  return {
    text: [...world.history.entries.map(lineOf), isBroken === '' ? 'I1 to I11 hold' : isBroken].join('\n'),
    isBroken: isBroken !== '',
  };
}

function lineOf({ call, path, token, refreshToken, sent, ended, status, id }: Entry): string {
  const who =
    call === undefined
      ? `refresh with ${refreshToken ?? 'nothing'}`
      : `call ${String(call)} ${path} ${token ?? 'bare'}`;
  return `d${String(id)} ${who}: sent in step ${String(sent.step)} at ${String(sent.at)} ms, ${String(status)} in step ${String(ended?.step)}`;
}

async function work({ world, runs, seed = 0 }: Job, shared: SharedArrayBuffer): Promise<Done> {
  const states = new States(shared);
  let schedules = 0;
  try {
    if (world) {
      const explored = await explore(world.plan, { interrupts: world.interrupts, most: runs, seen: states.add });
      return { ...explored, states: states.count };
    }
    for (const { plan, numbers } of fc.sample(samples, { numRuns: runs, seed })) {
      schedules++;
      await runWorld(plan, byNumbers(numbers), states.add);
    }
    return { schedules, states: states.count, isComplete: true };
  } catch (error) {
    return {
      schedules,
      states: states.count,
      isComplete: false,
      violation: await smallest(error as Error, seed, runs),
    };
  }
}

/** Shrinks the failure to the smallest world. */
async function smallest(error: Error, seed: number, numRuns: number): Promise<string> {
  if (!(error instanceof Violation) || seed === 0) return error.message;
  const property = fc.asyncProperty(samples, async ({ plan, numbers }) => runWorld(plan, byNumbers(numbers)));
  const { errorInstance } = await fc.check(property, { seed, numRuns });
  return errorInstance instanceof Violation
    ? errorInstance.message
    : `${error.why}\n${replayLine(error.plan, error.schedule)}`;
}

if (!isMainThread) {
  const { states } = workerData as { states: SharedArrayBuffer };
  parentPort?.on('message', (job: Job) => {
    void work(job, states).then((done) => {
      parentPort?.postMessage(done);
    });
  });
}
