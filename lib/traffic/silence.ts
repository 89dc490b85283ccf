import { equalJitter, type Backoff } from '../recovery/backoff.js';

/** A silence shorter than that says nothing of the next one. */
const LEAST_USUAL_MS = 500;
const ALMOST = 0.95;
const FINE_STEPS = 16;
const COARSE_STEPS = 4;
/** Each of them costs somebody one of the attempts that there are. */
const FINE_TRIES = 3;

/** Earlier than whatever the pace has let go. */
export const UNHELD = -1;

/** What became of a call. */
export interface Refusal {
  /** UNHELD: it left while nobody was held back. */
  readonly sentAt: number;
  readonly askedMs: number | undefined;
  readonly chance: number;
}

/** How long a server goes on refusing. */
export class Silence {
  /** Nobody may go before. */
  until = 0;
  /** Refusals in a row; when the first and the last came. */
  strikes = 0;
  beganAt = 0;
  refusedAt = 0;
  /** How long the last one was. */
  lastMs = 0;
  readonly #backoff: Backoff;

  constructor(backoff: Backoff) {
    this.#backoff = backoff;
  }

  struck(now: number): void {
    if (this.strikes++ === 0) this.beganAt = now;
    this.refusedAt = now;
  }

  granted(now: number): void {
    if (this.strikes === 0 || now < this.until) return;
    this.lastMs = now - this.beganAt;
    this.strikes = 0;
  }

  /** Until when a server is likely to refuse that does not say: as long as last time, and then a little longer each time. */
  guess(now: number, openedAt: number, chance: number): number {
    const { baseDelayMs, maxDelayMs } = this.#backoff;
    const usualMs = this.lastMs > LEAST_USUAL_MS ? this.lastMs : 0;
    const fineTries = usualMs > 0 ? FINE_TRIES : 0;
    const step = (firstMs: number, tries: number): number =>
      now + equalJitter({ baseDelayMs: firstMs, maxDelayMs }, tries, chance);
    if (this.strikes === 0)
      return Math.max(step(baseDelayMs, 1), Math.min(openedAt + ALMOST * usualMs, now + maxDelayMs));
    if (this.strikes <= fineTries) return step(usualMs / FINE_STEPS, this.strikes + 1);
    return step(Math.max(baseDelayMs, usualMs / COARSE_STEPS), this.strikes + 1 - fineTries);
  }
}
