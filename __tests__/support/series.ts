/** As many of them as asked for. */
export const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** What as many calls look like that all came to a 200. */
export const succeeded = (count: number): object[] =>
  times(count, () => expect.objectContaining({ status: 200 }) as object);
