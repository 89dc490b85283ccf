import type { Cancel, Clock } from '../../lib/clock.js';

/** The first wall time of every stage. */
export const MORNING = Date.UTC(2026, 10, 23, 8, 0, 0);

interface Timer {
  readonly dueAt: number;
  readonly run: () => void;
  readonly owner: 'library' | 'world';
  readonly hold: 'idle' | undefined;
}

/**
 * Time, random numbers and timers that a test controls. Wall and monotonic time move together in `advance()`, and separately in
 * `sleepMachine()` and `setWall()`. Timers follow the monotonic time, as in an operating system.
 */
export class VirtualClock implements Clock {
  #wall = MORNING;
  #monotonic = 0;
  #state: number;
  #isDriven = false;
  readonly #timers = new Set<Timer>();
  /** A heap by instant, with some cancelled ones. */
  readonly #queue: Timer[] = [];
  /** A fixed random number instead of the seeded sequence. */
  chance: number | undefined;

  constructor(seed = 1) {
    this.#state = seed >>> 0;
  }

  readonly now = (): number => this.#wall;
  readonly monotonic = (): number => this.#monotonic;

  /** Mulberry32. */
  readonly random = (): number => {
    if (this.chance !== undefined) return this.chance;
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };

  /** As in Node's setTimeout: whole milliseconds, at least one. */
  readonly after = (delayMs: number, run: () => void, hold?: 'idle'): Cancel => {
    if (!Number.isFinite(delayMs) || delayMs >= 2 ** 31) throw new RangeError(`a timer of ${String(delayMs)} ms`);
    return this.#add(Math.max(Math.trunc(delayMs), 1), run, 'library', hold);
  };

  /** A timer outside the library, for responses and acts of users. */
  later(delayMs: number, run: () => void): Cancel {
    return this.#add(delayMs, run, 'world', undefined);
  }

  /** A promise for such a timer. */
  pass(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.later(delayMs, resolve));
  }

  /** The number of pending timers of the library. */
  get pending(): number {
    return this.#count(({ owner }) => owner === 'library');
  }

  /** The number of these that keep a process alive. */
  get holding(): number {
    return this.#count(({ owner, hold }) => owner === 'library' && hold !== 'idle');
  }

  /** Runs all microtasks, and all work that needs no timer. */
  async settle(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  /** Whether any timer is pending, inside or outside the library. */
  get isBusy(): boolean {
    return this.#next(Infinity) !== undefined;
  }

  /** Runs the next timer at its instant. Its microtasks may still be pending when this returns. */
  step(): void {
    const next = this.#next(Infinity);
    if (next) this.#run(next);
  }

  /** Advances both clocks, and runs due timers in order. Microtasks run between two timers. */
  advance(ms: number): Promise<void> {
    return this.#drive(async () => {
      const until = this.#monotonic + ms;
      await this.settle();
      for (let next = this.#next(until); next; next = this.#next(until)) await this.#fire(next);
      this.#move(until - this.#monotonic);
    });
  }

  /** Advances until `work` settles, and returns its result. @throws if that takes longer than `withinMs`. */
  until<T>(work: Promise<T>, withinMs = 3_600_000): Promise<PromiseSettledResult<T>> {
    let settled: PromiseSettledResult<T> | undefined;
    void Promise.allSettled([work]).then(([result]) => {
      settled = result;
    });
    return this.#drive(async () => {
      const until = this.#monotonic + withinMs;
      await this.settle();
      while (!settled) {
        const next = this.#next(until);
        if (!next) throw new Error(`the promise did not settle within ${String(withinMs)} ms`);
        await this.#fire(next);
      }
      return settled;
    });
  }

  /** The machine sleeps: the wall clock advances, but not the monotonic clock and the timers. */
  sleepMachine(ms: number): void {
    this.#wall += ms;
  }

  setWall(epochMs: number): void {
    this.#wall = epochMs;
  }

  async #drive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isDriven) throw new Error('this clock is being advanced already');
    this.#isDriven = true;
    try {
      return await work();
    } finally {
      this.#isDriven = false;
    }
  }

  async #fire(timer: Timer): Promise<void> {
    this.#run(timer);
    await this.settle();
  }

  #run(timer: Timer): void {
    this.#move(Math.max(timer.dueAt - this.#monotonic, 0));
    this.#timers.delete(timer);
    timer.run();
  }

  #move(ms: number): void {
    this.#wall += ms;
    this.#monotonic += ms;
  }

  #add(delayMs: number, run: () => void, owner: Timer['owner'], hold: 'idle' | undefined): Cancel {
    const timer: Timer = { dueAt: this.#monotonic + Math.max(delayMs, 0), run, owner, hold };
    this.#timers.add(timer);
    let place = this.#queue.length;
    while (place > 0 && this.#queue[place - 1]!.dueAt > timer.dueAt) place--;
    this.#queue.splice(place, 0, timer);
    return () => void this.#timers.delete(timer);
  }

  #next(until: number): Timer | undefined {
    for (;;) {
      const [next] = this.#queue;
      if (next && this.#timers.has(next)) return next.dueAt <= until ? next : undefined;
      if (!next) return undefined;
      this.#queue.shift();
    }
  }

  #count(counts: (timer: Timer) => boolean): number {
    return [...this.#timers].filter(counts).length;
  }
}
