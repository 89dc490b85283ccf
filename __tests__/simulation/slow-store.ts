import { memoryPort } from '../support/memory-port.js';
import type { StoredSession, TokenStore } from '../../lib/store.js';
import type { Dispatches } from './dispatches.js';

/** A store that reports every write. With `dispatches` its work, and then its result, are delayed. */
export function slowStore(dispatches: Dispatches | undefined, written: (next: StoredSession) => void): TokenStore {
  const inner = memoryPort();
  const write = (expected: number | undefined, next: StoredSession): boolean => {
    const isWritten = inner.compareAndSet(expected, next) as boolean;
    if (isWritten) written(next);
    return isWritten;
  };
  if (!dispatches) return { ...inner, compareAndSet: write };
  let asked = 0;
  const slowly = <T>(work: () => T): Promise<T> => {
    const name = String(asked++);
    return new Promise((resolve) => {
      dispatches.add(`s${name}`, () => {
        const result = work();
        dispatches.add(`r${name}`, () => {
          resolve(result);
        });
      });
    });
  };
  return {
    ...inner,
    load: () => slowly(() => inner.load() as StoredSession | undefined),
    compareAndSet: (expected, next) => slowly(() => write(expected, next)),
  };
}
