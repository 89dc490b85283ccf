import { assertInvariants } from './invariants.js';
import type { WorldPlan } from './plan.js';
import { Recorder, type Driver, type Offer } from './schedule.js';
import { World } from './world.js';

interface Fork {
  readonly choices: string[];
  /** How many of them are plain events. The others interrupt one. */
  readonly events: number;
  readonly pushes: readonly string[];
  measured: number;
  at: number;
}

/** The events that may also interrupt another one, between its microtasks. */
export type Interrupts = 'nothing' | 'acts' | 'everything';

/** Explores all choices depth-first. Every schedule runs from the beginning. */
export class Walk implements Driver {
  readonly #forks: Fork[] = [];
  readonly #interrupts: Interrupts;
  #depth = 0;

  constructor(interrupts: Interrupts) {
    this.#interrupts = interrupts;
  }

  choose({ events, pushes }: Offer): string {
    const fork = (this.#forks[this.#depth] ??= {
      choices: [...events],
      events: events.length,
      pushes,
      measured: 0,
      at: 0,
    });
    this.#depth++;
    return fork.choices[fork.at]!;
  }

  /** Now the length of the event is known, and so the rounds in which it may be interrupted. */
  ran(lastTick: number): void {
    const fork = this.#forks[this.#depth - 1]!;
    if (fork.at !== fork.measured || fork.at >= fork.events || this.#interrupts === 'nothing') return;
    fork.measured++;
    const event = fork.choices[fork.at]!;
    for (const push of fork.pushes) {
      if (push === event || !push.startsWith(this.#interrupts === 'acts' ? 'a' : '')) continue;
      for (let tick = 0; tick <= lastTick; tick++) fork.choices.push(`${event}+${push}@${String(tick)}`);
    }
  }

  /** Prepares the next schedule. Returns false if there is none. */
  advance(): boolean {
    this.#depth = 0;
    for (let fork = this.#forks.at(-1); fork; fork = this.#forks.at(-1)) {
      if (++fork.at < fork.choices.length) return true;
      this.#forks.pop();
    }
    return false;
  }
}

/** A schedule that broke an invariant. The message says how to replay it. */
export class Violation extends Error {
  constructor(
    readonly why: string,
    readonly plan: WorldPlan,
    readonly schedule: readonly string[],
  ) {
    super(`${why}\nnpm run test:simulate -- --replay '${replayLine(plan, schedule)}'`);
    this.name = 'Violation';
  }
}

export function replayLine(plan: WorldPlan, schedule: readonly string[]): string {
  return JSON.stringify({ schedule: schedule.join(' '), plan });
}

/** Runs one schedule of one world. @throws Violation */
export async function runWorld(plan: WorldPlan, driver: Driver, seen?: (state: number) => void): Promise<void> {
  const recorder = new Recorder(driver);
  try {
    assertInvariants(await new World(plan).run(recorder, seen));
  } catch (error) {
    throw new Violation((error as Error).message, plan, recorder.schedule);
  }
}

export interface Explored {
  readonly schedules: number;
  readonly isComplete: boolean;
}

/** Every schedule of a world, up to `most`. @throws Violation */
export async function explore(
  plan: WorldPlan,
  { interrupts, most, seen }: { interrupts: Interrupts; most: number; seen?: (state: number) => void },
): Promise<Explored> {
  const walk = new Walk(interrupts);
  for (let schedules = 1; ; schedules++) {
    await runWorld(plan, walk, seen);
    if (!walk.advance()) return { schedules, isComplete: true };
    if (schedules >= most) return { schedules, isComplete: false };
  }
}
