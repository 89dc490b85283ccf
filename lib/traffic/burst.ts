/** So long a silence comes between two bursts. */
const BREAK_MS = 1_000;

/** What a server has granted in one go to calls that nobody held back: as much may be its quota. */
export class Burst {
  count = 0;
  since = 0;
  #lastAt = -Infinity;

  granted(now: number): void {
    if (now > this.#lastAt + BREAK_MS) {
      this.count = 0;
      this.since = now;
    }
    this.count++;
    this.#lastAt = now;
  }
}
