import fc from 'fast-check';
import { calls, shown } from './addresses.js';
import { checkReceived, checkSent } from './credentials.js';
import { findSuperlinear } from './linear.js';
import { openLoopback, type Loopback } from './loopback.js';
import { parsers } from './parsers.js';
import { findMangled } from './values.js';

/** The result of a property: undefined, or the smallest case that breaks it and how to replay it. */
export interface Finding {
  readonly path: string;
  readonly seed: number;
  readonly what: string;
}

export interface Campaign {
  readonly runs: number;
  readonly seed: number;
  readonly path?: string | undefined;
  /** The index of this share, and the number of shares. */
  readonly index?: number;
  readonly shares?: number;
}

type Run = (campaign: Campaign) => Promise<Finding | undefined>;

export const properties: Readonly<Record<string, Run>> = {
  'urls-as-sent': over(calls, checkSent),
  'urls-as-received': (campaign) =>
    withLoopback((loopback) => over(calls, (call) => checkReceived(call, loopback))(campaign)),
  // All code units, in several calls.
  values: ({ seed, index = 0, shares = 1 }) =>
    withLoopback(async (loopback) => {
      const units = Array.from({ length: Math.ceil(0x10000 / shares) }, (_, at) => at * shares + index);
      const what = await findMangled(units, loopback);
      return what === undefined ? undefined : { path: '0', seed, what };
    }),
  'linear-time': ({ seed }) => {
    const what = findSuperlinear();
    return Promise.resolve(what === undefined ? undefined : { path: '0', seed, what });
  },
  ...Object.fromEntries(parsers.map(({ name, inputs, read }) => [name, over(inputs, read)])),
};

export async function withLoopback<T>(work: (loopback: Loopback) => Promise<T>): Promise<T> {
  const loopback = await openLoopback();
  try {
    return await work(loopback);
  } finally {
    await loopback.close();
  }
}

function over<T>(inputs: fc.Arbitrary<T>, holds: (input: T) => unknown): Run {
  return async ({ runs, seed, path }) => {
    const property = fc.asyncProperty(inputs, async (input) => {
      await holds(input);
    });
    const { failed, counterexample, counterexamplePath, errorInstance } = await fc.check(property, {
      numRuns: runs,
      seed,
      ...(path !== undefined && { path }),
    });
    if (!failed) return undefined;
    const what = `${shown(counterexample?.[0])}: ${String(errorInstance)}`;
    return { path: counterexamplePath ?? '', seed, what };
  };
}
