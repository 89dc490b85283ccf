import type { StoredSession, TokenStore } from '../../lib/store.js';

/** A port in memory, synchronous and with a lock: the store behind a tokenStore(). */
export function memoryPort(): TokenStore {
  let stored: StoredSession | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const listeners = new Set<() => void>();
  return {
    load: () => stored,
    compareAndSet(expected, next) {
      if (stored?.generation !== expected) return false;
      stored = next;
      for (const listener of listeners) listener();
      return true;
    },
    exclusive(work, { signal }) {
      const run = (): ReturnType<typeof work> => {
        signal.throwIfAborted();
        return work();
      };
      const mine = last.then(run);
      last = mine.catch(() => undefined);
      return mine;
    },
    subscribe(onChange) {
      listeners.add(onChange);
      return () => listeners.delete(onChange);
    },
  };
}
