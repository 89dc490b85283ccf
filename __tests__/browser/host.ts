import type { Handler } from '../support/serve.js';
import { openLab, type Lab, type Rig } from './lab.js';
import type { Setting } from './scenarios/client.js';
import type * as scenarios from './scenarios/index.js';

type Scenarios = typeof scenarios;
type Scenario = keyof {
  [Name in keyof Scenarios as Scenarios[Name] extends (setting: Setting, ...rest: never) => unknown ? Name : never]: 1;
};
type Given<Name extends Scenario> = Scenarios[Name] extends (setting: Setting, ...given: infer Rest) => unknown
  ? Rest
  : never;
type Facts<Name extends Scenario> = Awaited<ReturnType<Scenarios[Name]>>;

/** Runs a scenario against these servers, and returns its facts. */
export type Play = <Name extends Scenario>(name: Name, ...given: Given<Name>) => Promise<Facts<Name>>;

/** The place where scenarios run: this process or a page. */
export interface Host {
  readonly adapter: Setting['adapter'];
  /** The script that the servers offer at /page. */
  readonly script?: string;
  player(lab: Lab): Promise<Play>;
}

export type Stage = Lab & { readonly play: Play };

const labs: Lab[] = [];
afterEach(async () => {
  await Promise.all(labs.splice(0).map((lab) => lab.close()));
});

export async function open(host: Host, answer: Handler, rig: Rig = {}): Promise<Stage> {
  const lab = await openLab(answer, { ...rig, ...(host.script !== undefined && { script: host.script }) });
  labs.push(lab);
  return { ...lab, play: await host.player(lab) };
}
