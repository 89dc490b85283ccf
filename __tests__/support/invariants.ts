export type Invariant<History> = (history: History) => void;

/** @throws Error that names the first invariant that does not hold. */
export function assertAll<History>(invariants: Readonly<Record<string, Invariant<History>>>, history: History): void {
  for (const [name, invariant] of Object.entries(invariants)) {
    try {
      invariant(history);
    } catch (error) {
      throw new Error(`broken: ${name}: ${(error as Error).message}`, { cause: error });
    }
  }
}

export function holds(isSo: boolean, what: string): asserts isSo {
  if (!isSo) throw new Error(what);
}
