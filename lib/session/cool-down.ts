import type { AuthError } from '../errors.js';

const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/** After a refresh that failed for now, callers share its error for a short while that grows with every failure. */
export class CoolDown {
  #until = -Infinity;
  #failures = 0;
  #error: AuthError | undefined;

  /** The error to share; undefined once a refresh may be tried again. */
  errorAt(monotonicNow: number): AuthError | undefined {
    return monotonicNow < this.#until ? this.#error : undefined;
  }

  /** `askedForMs`: what the token endpoint's Retry-After said. */
  begin(monotonicNow: number, error: AuthError, askedForMs: number): void {
    this.#until = monotonicNow + Math.max(askedForMs, Math.min(FIRST_MS * 2 ** this.#failures, LONGEST_MS));
    this.#failures++;
    this.#error = error;
  }

  end(): void {
    this.#until = -Infinity;
    this.#failures = 0;
    this.#error = undefined;
  }
}
