/** A span of holding back that doubles each time it begins, up to a limit, until it is ended. */
export class Restraint {
  readonly #firstMs: number;
  readonly #longestMs: number;
  #nextMs: number;
  #until = -Infinity;

  constructor(firstMs: number, longestMs: number) {
    this.#firstMs = this.#nextMs = firstMs;
    this.#longestMs = longestMs;
  }

  isOn(now: number): boolean {
    return now < this.#until;
  }

  begin(now: number, leastMs = 0): void {
    this.#until = now + Math.max(this.#nextMs, leastMs);
    this.#nextMs = Math.min(this.#nextMs * 2, this.#longestMs);
  }

  end(): void {
    this.#until = -Infinity;
    this.#nextMs = this.#firstMs;
  }
}
