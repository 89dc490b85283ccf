import { equalJitter, type Backoff } from '../retry/backoff.js';

/** A silence shorter than that says nothing of the next one. */
const LEAST_USUAL_MS = 500;
const ALMOST = 0.95;
const FINE_STEPS = 16;
const COARSE_STEPS = 4;
const LONGEST_MS = 4_000;
/** Each of them costs somebody one of the attempts that there are. */
const FINE_TRIES = 3;

/** Earlier than whatever the pace has let go. */
export const UNHELD = -1;

/** What became of a call. */
export interface Refusal {
  /** UNHELD: it left while nobody was held back. */
  readonly sentAt: number;
  readonly askedMs: number | undefined;
  /** So many others are there that each of them loses hardly an attempt. */
  readonly isCrowded: boolean;
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
  guess(now: number, openedAt: number, { isCrowded, chance }: Pick<Refusal, 'isCrowded' | 'chance'>): number {
    const { baseDelayMs, maxDelayMs } = this.#backoff;
    const usualMs = this.lastMs > LEAST_USUAL_MS ? this.lastMs : 0;
    const step = (firstMs: number, tries: number, mostMs = maxDelayMs): number =>
      now + equalJitter({ baseDelayMs: firstMs, maxDelayMs: mostMs }, tries, chance);
    if (this.strikes === 0)
      return Math.max(step(baseDelayMs, 1), Math.min(openedAt + ALMOST * usualMs, now + maxDelayMs));
    const tries = this.strikes + 1;
    if (usualMs > 0 && this.strikes <= FINE_TRIES) return step(usualMs / FINE_STEPS, tries);
    // Who has all attempts to lose waits longer and longer.
    if (!isCrowded) return step(baseDelayMs, tries);
    const longestMs = Math.min(Math.max(LONGEST_MS, usualMs), maxDelayMs);
    return step(Math.max(baseDelayMs, usualMs / COARSE_STEPS), usualMs > 0 ? tries - FINE_TRIES : tries, longestMs);
  }
}
