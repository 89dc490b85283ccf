const FIRST_MS = 30_000;
const LONGEST_MS = 300_000;

/**
 * Stops refreshing where it does not help: a token that was just refreshed is refused before anybody was let in with it.
 * Then a refresh per call would be the only effect of every call.
 */
export class Breaker {
  #openUntil = -Infinity;
  #nextMs = FIRST_MS;

  isOpen(monotonicNow: number): boolean {
    return monotonicNow < this.#openUntil;
  }

  /** 30 s the first time, twice as long each time after that, at most 5 min. */
  open(monotonicNow: number): void {
    this.#openUntil = monotonicNow + this.#nextMs;
    this.#nextMs = Math.min(this.#nextMs * 2, LONGEST_MS);
  }

  close(): void {
    this.#openUntil = -Infinity;
    this.#nextMs = FIRST_MS;
  }
}
