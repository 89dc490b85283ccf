/** Ends a timer early. Calling it again, or after the timer has run, does nothing. */
export type Cancel = () => void;

/** The only source of time, random numbers and timers. Tests pass another one. */
export interface Clock {
  /** Wall time in epoch ms. It may jump. */
  now(): number;
  /** Ms since some fixed instant. It never goes back, and may stand still while the machine sleeps. */
  monotonic(): number;
  /** At least 0, less than 1. */
  random(): number;
  /** Runs `run` once after `delayMs`, which is finite and below 2^31. `idle`: does not keep a Node process alive. */
  after(delayMs: number, run: () => void, hold?: 'idle'): Cancel;
}

/** Real timers fire a few ms early at most. Fake timers fire without progress of the clocks that they do not fake. */
const LEAST_SKIP_MS = 10;
/** Time that has passed by timers only. Shared by the process, like its clocks. */
let skippedMs = 0;

/** The machine's clocks. A timer that has fired proves that its delay has passed, whatever the clocks show. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => (typeof performance === 'object' ? performance : Date).now() + skippedMs,
  random: () => Math.random(),
  after(delayMs, run, hold) {
    const dueAt = systemClock.monotonic() + delayMs;
    const timer: unknown = setTimeout(() => {
      const missingMs = dueAt - systemClock.monotonic();
      if (missingMs > LEAST_SKIP_MS) skippedMs += missingMs;
      run();
    }, delayMs);
    if (hold === 'idle') (timer as { unref?: () => void }).unref?.();
    return () => {
      clearTimeout(timer as Parameters<typeof clearTimeout>[0]);
    };
  },
};

/** In slices: a timer past 2^31 - 1 ms fires at once. One across a sleep of the machine fires late. */
const SLICE_MS = 10_000;

/**
 * Ms since now, by the clock with more progress. Only the wall clock counts sleep. The monotonic clock is right if the wall clock was set
 * back.
 */
export function stopwatch(clock: Clock): () => number {
  const wall = clock.now();
  const monotonic = clock.monotonic();
  return () => Math.max(clock.now() - wall, clock.monotonic() - monotonic);
}

/** A smaller lead of the wall clock is its resolution. A larger one means that the machine slept, or that the clock was set. */
const LEAST_SLEEP_MS = 1_000;

/**
 * Ms that count the machine's sleep and never decrease. Each reading adds the progress of the clocks since the last one. A clock
 * that jumps back adds nothing, so the time until an instant never grows. A timer that has fired counts its delay as elapsed,
 * since fake timers may move only some of the clocks.
 */
export class Timeline {
  private _ms = 0;
  private _wall: number;
  private _monotonic: number;

  constructor(readonly clock: Clock) {
    this._wall = clock.now();
    this._monotonic = clock.monotonic();
  }

  now(): number {
    const [wall, monotonic] = [this.clock.now(), this.clock.monotonic()];
    const wallMs = wall - this._wall;
    const passedMs = Math.max(monotonic - this._monotonic, 0);
    this._ms += wallMs - passedMs > LEAST_SLEEP_MS ? wallMs : passedMs;
    this._wall = wall;
    this._monotonic = monotonic;
    return this._ms;
  }

  /** Runs `run` once at an instant. */
  at(instant: number, run: () => void, hold?: 'idle'): Cancel {
    let cancel: Cancel;
    const arm = (): void => {
      const fromMs = this.now();
      // Timers have whole ms. Rounded up, so that a timer never counts for more than its duration.
      const delayMs = Math.ceil(Math.min(Math.max(instant - fromMs, 0), SLICE_MS));
      cancel = this.clock.after(
        delayMs,
        () => {
          this._ms = Math.max(this.now(), fromMs + delayMs);
          if (this._ms >= instant) run();
          else arm();
        },
        hold,
      );
    };
    arm();
    return () => {
      cancel();
    };
  }
}

/** Runs `run` once after `delayMs`, the machine's sleep included. Infinity never fires, but unless `idle` it keeps the process alive. */
export function alarm(clock: Clock, delayMs: number, run: () => void, hold?: 'idle'): Cancel {
  return new Timeline(clock).at(delayMs, run, hold);
}

/** A timer that fires so much late shows that the machine slept, or that a tab was frozen. */
const LATE_MS = 500;
const GRACE_MS = 1_000;

/**
 * An alarm for a machine that may sleep. On waking timers run first, so it waits a second for responses that arrived meanwhile. Does not
 * keep the process alive.
 */
export function patientAlarm(clock: Clock, delayMs: number, run: () => void): Cancel {
  const passedMs = stopwatch(clock);
  let cancel = alarm(
    clock,
    delayMs,
    () => {
      if (passedMs() <= delayMs + LATE_MS) run();
      else cancel = alarm(clock, GRACE_MS, run, 'idle');
    },
    'idle',
  );
  return () => {
    cancel();
  };
}

/** Settles as `work` does, or after `limitMs` with what `late` returns. Does not keep the process alive. */
export function within<T>(clock: Clock, limitMs: number, work: Promise<T>, late: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      resolve(late());
    };
    work.finally(alarm(clock, limitMs, giveUp, 'idle')).then(resolve, reject);
  });
}
