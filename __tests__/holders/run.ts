import { Recorder, type Driver } from '../simulation/schedule.js';
import { assertInvariants } from './invariants.js';
import type { HoldersPlan } from './plan.js';
import { HoldersWorld } from './world.js';

/** A schedule that broke an invariant. The message says how to replay it. */
export class Violation extends Error {
  constructor(why: string, plan: HoldersPlan, schedule: readonly string[]) {
    super(`${why}\nreplay(${JSON.stringify({ schedule: schedule.join(' '), plan })})`);
    this.name = 'Violation';
  }
}

/** @throws Violation */
export async function runHolders(plan: HoldersPlan, driver: Driver): Promise<void> {
  const recorder = new Recorder(driver);
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    assertInvariants(await new HoldersWorld(plan).run(recorder));
  } catch (error) {
    throw new Violation((error as Error).message, plan, recorder.schedule);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
