/** An array of `count` results of `make`. */
export const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** The outcomes of calls that all got a 200. */
export const succeeded = (count: number): object[] =>
  times(count, () => expect.objectContaining({ status: 200 }) as object);
