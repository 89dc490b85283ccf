import type { Clock } from '../clock.js';

/** In Chromium on a busy machine, a stale localStorage has been seen for 70 ms. */
const ANNOUNCED_MS = 2_000;
const CATCH_UP_MS = 1_000;
const POLL_MS = 10;

/**
 * Runs `work` while no other tab holds the Web Lock of that name. Runs `fallback` if the page has no locks: on plain http, in an
 * opaque origin, or with blocked storage.
 */
export async function withWebLock<T>(
  name: string,
  work: () => Promise<T>,
  fallback: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  let begun: Promise<T> | undefined;
  try {
    return await navigator.locks.request(name, { signal }, () => (begun = work()));
  } catch {
    // A script that steals the lock does not undo work that has begun.
    if (begun) return begun;
    signal.throwIfAborted();
    return fallback();
  }
}

/**
 * Announces a write to the next holder of a lock, which may not see it in localStorage at once. It holds a shared lock whose name ends in
 * the generation for a while. Resolves once all tabs can see that lock. The write has left this process by then.
 */
export async function announceWrite(name: string, generation: number, clock: Clock): Promise<void> {
  await new Promise<void>((announced) => {
    const held = navigator.locks.request(
      `${name}/${String(generation)}`,
      { mode: 'shared', ifAvailable: true },
      async (lock) => {
        announced();
        if (lock) await new Promise<void>((end) => clock.after(ANNOUNCED_MS, end, 'idle'));
      },
    );
    // A page that is being closed gets no lock.
    held.catch(announced);
  });
}

/** Resolves when `stored()` has reached the announced generation, or after a second: the storage may have been cleared. */
export async function awaitAnnounced(
  name: string,
  stored: () => number,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  // Some stand-ins for Web Locks have no `query`.
  const generation = await announcedIn(`${name}/`).catch(() => -1);
  const endsAt = clock.monotonic() + CATCH_UP_MS;
  while (stored() < generation && clock.monotonic() < endsAt) await pause(POLL_MS, clock, signal);
  signal.throwIfAborted();
}

async function announcedIn(prefix: string): Promise<number> {
  const { held = [] } = await navigator.locks.query();
  const generations = held.map(({ name = '' }) => (name.startsWith(prefix) ? Number(name.slice(prefix.length)) : NaN));
  return Math.max(-1, ...generations.filter(Number.isSafeInteger));
}

/** Rejects with the signal's reason as soon as it aborts. */
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
