import { alarm, type Cancel, type Clock } from '../clock.js';

/** A wait that is going on. */
export interface Wait {
  /** Ms until its deadline. */
  readonly remainingMs: number;
  /** Ends the wait if what it depends on has ended. */
  look(): void;
}

/** Looking through all of them takes its time, and is done no more often than so many of them a ms. */
const LOOKS_PER_MS = 1_000;

/** Everybody who waits at one attachment, and one timer for all their deadlines: a thousand waits cost a thousand entries. */
export class WaitingRoom {
  readonly #clock: Clock;
  readonly #waits = new Set<Wait>();
  /** Monotonic. */
  #looksAt = Infinity;
  #cancel: Cancel | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  enter(wait: Wait): void {
    this.#waits.add(wait);
    this.#lookIn(wait.remainingMs);
  }

  leave(wait: Wait): void {
    if (this.#waits.delete(wait) && this.#waits.size === 0) this.#rest();
  }

  /** Something has happened that may end waits. */
  lookAround(): void {
    for (const wait of this.#waits) wait.look();
  }

  #lookIn(delayMs: number): void {
    const looksAt = this.#clock.monotonic() + delayMs;
    if (this.#cancel && looksAt >= this.#looksAt) return;
    this.#cancel?.();
    this.#looksAt = looksAt;
    this.#cancel = alarm(this.#clock, delayMs, () => {
      this.#rest();
      this.lookAround();
      if (this.#waits.size === 0) return;
      let nextMs = Infinity;
      for (const { remainingMs } of this.#waits) nextMs = Math.min(nextMs, remainingMs);
      this.#lookIn(Math.max(nextMs, this.#waits.size / LOOKS_PER_MS));
    });
  }

  #rest(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
