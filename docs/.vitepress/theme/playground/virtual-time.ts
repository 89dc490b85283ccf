/** Returns a function that returns numbers of at least 0 and less than 1, always the same sequence for a seed (Mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Timer {
  readonly dueAt: number;
  readonly id: number;
  readonly run: () => void;
}

const EPOCH_MS = Date.UTC(2026, 0, 1);

/**
 * Runs `work` with time of its own, and resolves with its result. setTimeout, Date.now, performance.now and Math.random of this
 * global scope are virtual meanwhile: a timer is due as soon as no earlier one is left, and chance follows from the seed. So
 * that nothing else notices, a page calls it in a worker.
 */
export async function inVirtualTime<T>(seed: number, work: () => Promise<T>): Promise<T> {
  let nowMs = 0;
  let lastId = 0;
  const timers: Timer[] = [];

  const replaced: (() => void)[] = [];
  const replace = (target: object, name: string, value: unknown): void => {
    const original = Object.getOwnPropertyDescriptor(target, name);
    Object.defineProperty(target, name, { value, configurable: true, writable: true });
    replaced.push(() => {
      if (original) Object.defineProperty(target, name, original);
      else Reflect.deleteProperty(target, name);
    });
  };
  replace(globalThis, 'setTimeout', (run: () => void, delayMs = 0) => {
    const timer = { dueAt: nowMs + Math.max(Math.trunc(delayMs), 1), id: ++lastId, run };
    const later = timers.findIndex(({ dueAt }) => dueAt > timer.dueAt);
    timers.splice(later < 0 ? timers.length : later, 0, timer);
    return timer.id;
  });
  replace(globalThis, 'clearTimeout', (id: unknown) => {
    const index = timers.findIndex((timer) => timer.id === id);
    if (index >= 0) timers.splice(index, 1);
  });
  replace(Date, 'now', () => EPOCH_MS + nowMs);
  replace(performance, 'now', () => nowMs);
  replace(Math, 'random', seededRandom(seed));

  // A message arrives after all microtasks have run.
  const { port1, port2 } = new MessageChannel();
  const settle = (): Promise<void> =>
    new Promise((resolve) => {
      port1.onmessage = () => {
        resolve();
      };
      port2.postMessage(null);
    });

  try {
    let result: PromiseSettledResult<T> | undefined;
    void Promise.allSettled([work()]).then(([settled]) => {
      result = settled;
    });
    await settle();
    while (!result) {
      const next = timers.shift();
      if (!next) throw new Error('No timer is left, and the work has not ended.');
      nowMs = next.dueAt;
      next.run();
      await settle();
    }
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  } finally {
    port1.close();
    for (const restore of replaced) restore();
  }
}
