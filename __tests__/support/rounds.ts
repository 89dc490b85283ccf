/**
 * FULL=1, as .ci/run sets it: every round. Without it `npm test` checks the same promises in fewer rounds, so that it ends
 * within two minutes.
 */
export const isFull = process.env['FULL'] === '1';

/** How many rounds to run: `few` in `npm test`, `all` with FULL=1. `ROUNDS=n` runs n of each. */
export function rounds(few: number, all: number): number {
  const asked = Number(process.env['ROUNDS']);
  return asked > 0 ? asked : isFull ? all : few;
}

/** All cases with FULL=1, else `few` of them, evenly spread, with the first and the last. */
export function cases<T>(few: number, all: readonly T[]): readonly T[] {
  if (isFull || few >= all.length) return all;
  return Array.from({ length: few }, (_, index) => all[Math.round((index * (all.length - 1)) / (few - 1))]!);
}
