import type { Clock } from '../clock.js';

/** In Chromium on a busy machine, a stale localStorage has been seen to last 70 ms. */
const ANNOUNCED_MS = 2_000;
const CATCH_UP_MS = 1_000;
const POLL_MS = 10;

/**
 * Runs `work` while no other tab holds the Web Lock of that name; `otherwise` where there are no locks, or none for us:
 * plain http, an opaque origin, storage that the user has blocked.
 */
export async function underLock<T>(
  name: string,
  work: () => Promise<T>,
  otherwise: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  let begun: Promise<T> | undefined;
  try {
    return await navigator.locks.request(name, { signal }, () => (begun = work()));
  } catch {
    // Whoever steals the lock does not undo what has begun.
    if (begun) return begun;
    signal.throwIfAborted();
    return otherwise();
  }
}

/**
 * A lock may change hands before its next holder sees what the last one wrote to localStorage. So whoever writes holds a shared
 * lock for a while whose name ends in the generation. Resolves once all can see it; the write has left this process by then.
 */
export async function announce(name: string, generation: number, clock: Clock): Promise<void> {
  await new Promise<void>((known) => {
    const held = navigator.locks.request(
      `${name}/${String(generation)}`,
      { mode: 'shared', ifAvailable: true },
      async (lock) => {
        known();
        if (lock) await new Promise<void>((end) => clock.after(ANNOUNCED_MS, end, 'idle'));
      },
    );
    // A page that is going away gets no lock any more.
    held.catch(known);
  });
}

/** Waits until `shown()` has reached what is announced, or for a second: somebody may have cleared the storage. */
export async function catchUp(name: string, shown: () => number, clock: Clock, signal: AbortSignal): Promise<void> {
  const generation = await announced(`${name}/`);
  const endsAt = clock.monotonic() + CATCH_UP_MS;
  while (shown() < generation && clock.monotonic() < endsAt) await pause(POLL_MS, clock, signal);
  signal.throwIfAborted();
}

async function announced(prefix: string): Promise<number> {
  const { held = [] } = await navigator.locks.query().catch((): LockManagerSnapshot => ({}));
  const numbers = held.map(({ name = '' }) => (name.startsWith(prefix) ? Number(name.slice(prefix.length)) : NaN));
  return Math.max(-1, ...numbers.filter(Number.isSafeInteger));
}

/** @throws the reason of `signal`, as soon as it is aborted. */
export function pause(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(
      ms,
      () => {
        signal.removeEventListener('abort', abort);
        resolve();
      },
      'idle',
    );
    const abort = (): void => {
      cancel();
      reject(signal.reason as Error);
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
