import type { Cancel, Clock } from '../../lib/clock.js';
import type { Dispatches } from '../simulation/dispatches.js';

/** The connection of one holder. Its requests arrive and return one by one, while the holder lives and is awake. */
export class Line implements Clock {
  isCrashed = false;
  isFrozen = false;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #dispatches: Dispatches;
  readonly #asleep: (() => void)[] = [];
  #asked = 0;

  constructor(holder: number, clock: Clock, dispatches: Dispatches) {
    this.#name = String(holder);
    this.#clock = clock;
    this.#dispatches = dispatches;
  }

  /** `work` runs in one step, and its result arrives in another. */
  ask<T>(where: 'store' | 'server', work: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.toWorld(where, () => {
        const result = work();
        this.toHolder(() => {
          resolve(result);
        });
      });
    });
  }

  toWorld(where: 'store' | 'server', arrive: () => void): void {
    const kind = where === 'store' ? 's' : 'q';
    if (!this.isCrashed) this.#dispatches.add(`${this.#name}${kind}${String(this.#asked++)}`, arrive);
  }

  toHolder(arrive: () => void): void {
    if (!this.isCrashed) this.#dispatches.add(`${this.#name}r${String(this.#asked++)}`, arrive);
  }

  crash(): void {
    this.isCrashed = true;
    for (const name of this.#dispatches.names()) if (name.startsWith(`${this.#name}r`)) this.#dispatches.drop(name);
  }

  thaw(): void {
    this.isFrozen = false;
    for (const run of this.#asleep.splice(0)) run();
  }

  /** Whether a message cannot arrive now: its holder is frozen, or an earlier store request comes first. */
  keeps(name: string): boolean {
    if (name.startsWith(`${this.#name}r`)) return this.isFrozen;
    const first = this.#dispatches.names().find((other) => other.startsWith(`${this.#name}s`));
    return name.startsWith(`${this.#name}s`) && name !== first;
  }

  readonly now = (): number => this.#clock.now();
  readonly monotonic = (): number => this.#clock.monotonic();
  readonly random = (): number => this.#clock.random();

  readonly after = (delayMs: number, run: () => void, hold?: 'idle'): Cancel => {
    let isCancelled = false;
    const wake = (): void => {
      if (isCancelled || this.isCrashed) return;
      if (this.isFrozen) this.#asleep.push(wake);
      else run();
    };
    const cancel = this.#clock.after(delayMs, wake, hold);
    return () => {
      isCancelled = true;
      cancel();
    };
  };
}
