/** Ends a timer early. Calling it again, or after the timer has run, does nothing. */
export type Cancel = () => void;

/** The only source of time, chance and timers. A test hands in another one and owns all three. */
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

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: () => Math.random(),
  after(delayMs, run, hold) {
    const timer: unknown = setTimeout(run, delayMs);
    if (hold === 'idle') (timer as { unref?: () => void }).unref?.();
    return () => {
      clearTimeout(timer as Parameters<typeof clearTimeout>[0]);
    };
  },
};

/** A timer past 2^31 - 1 ms fires at once, and one that began before the machine slept fires late: so, in slices. */
const SLICE_MS = 10_000;

/**
 * Ms since now, by whichever clock has gone further: after eight hours of sleep the wall knows, after the wall was set back
 * the monotonic clock does.
 */
export function stopwatch(clock: Clock): () => number {
  const wall = clock.now();
  const monotonic = clock.monotonic();
  return () => Math.max(clock.now() - wall, clock.monotonic() - monotonic);
}

/** The wall clock gets ahead by so much when the machine sleeps, or somebody sets it; less is how finely it shows time. */
const LEAST_SLEEP_MS = 1_000;

/** A stopwatch to read often: it counts the machine's sleep, and never goes back, however often the wall clock is set. */
export function timeline(clock: Clock): () => number {
  let sleptMs = 0;
  let wall = clock.now();
  let monotonic = clock.monotonic();
  return () => {
    const [wallNow, monotonicNow] = [clock.now(), clock.monotonic()];
    const aheadMs = wallNow - wall - (monotonicNow - monotonic);
    if (aheadMs > LEAST_SLEEP_MS) sleptMs += aheadMs;
    wall = wallNow;
    monotonic = monotonicNow;
    return monotonic + sleptMs;
  };
}

/** Runs `run` once `delayMs` have passed on a stopwatch. Infinity never comes, but unless `idle` it holds the process. */
export function alarm(clock: Clock, delayMs: number, run: () => void, hold?: 'idle'): Cancel {
  const passedMs = stopwatch(clock);
  let cancel: Cancel;
  const arm = (leftMs: number): void => {
    cancel = clock.after(
      Math.min(Math.max(leftMs, 0), SLICE_MS),
      () => {
        const left = delayMs - passedMs();
        if (left <= 0) run();
        // A rest too small for the clock to show would never pass.
        else arm(Math.max(left, 1));
      },
      hold,
    );
  };
  arm(delayMs);
  return () => {
    cancel();
  };
}

/** A timer that fires so much later than set shows that the machine slept, or that a tab was frozen. */
const LATE_MS = 500;
const GRACE_MS = 1_000;

/** An alarm that gives a machine which slept a second to read what arrived meanwhile: on waking, timers run first. Holds no process. */
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

/** Resolves after so long, or once `over` settles. Holds no process. */
export async function pause(clock: Clock, delayMs: number, over: Promise<unknown>): Promise<void> {
  let cancel!: Cancel;
  const passed = new Promise<void>((resolve) => {
    cancel = alarm(clock, delayMs, resolve, 'idle');
  });
  await Promise.race([passed, over]);
  cancel();
}

/** Keeps a Node process alive until `work` settles. */
export async function heldUntil<T>(clock: Clock, work: Promise<T>): Promise<T> {
  const release = alarm(clock, Infinity, () => undefined);
  try {
    return await work;
  } finally {
    release();
  }
}
