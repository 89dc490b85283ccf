import { localStore, type SessionStore } from '../session/store.js';
import { sharedStore } from './shared-store.js';
import type { StoredSession, TokenStore } from './token-store.js';

/**
 * Keeps a session in memory, as long as the page or process lasts. Schemes that are given the same store share the session
 * and its refresh. For one scheme it is not needed: the default is in memory, too.
 */
export function memoryStore(): SessionStore {
  return localStore(sharedStore('memoryStore', memoryPort(), {}, ''));
}

/** @internal */
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
