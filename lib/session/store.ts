import type { MaybePromise } from '../maybe-promise.js';
import { ownValue } from '../safe-read.js';
import { tokensOf, type Tokens } from './tokens.js';

/**
 * One session as it is stored. `generation` grows with every write, `epoch` whenever the principal changes (sign-in and
 * sign-out). `tokens: null` is a sign-out that every holder of the store must see: a tombstone, not a deletion.
 */
export interface StoredSession {
  readonly version: 1;
  readonly generation: number;
  readonly epoch: number;
  readonly tokens: Tokens | null;
}

/**
 * Where a session lives: memory, a file, the browser's storage, a database. It answers within 2 s, or the session goes on
 * in memory (event `store-degraded`). What it writes later than that, another holder cannot know meanwhile, and may spend
 * the same refresh token again.
 */
export interface TokenStore {
  /** What is stored now; undefined: nothing ever was. */
  load(): MaybePromise<StoredSession | undefined>;
  /** Stores `next` only while the stored generation is still `expected` (undefined: nothing stored); false otherwise. */
  compareAndSet(expected: number | undefined, next: StoredSession): MaybePromise<boolean>;
  /**
   * Runs `work` while no other holder of this store (tab, process, machine) runs theirs. When `signal` is aborted before
   * `work` has begun it rejects, and `work` is never run; what has begun is not cut short.
   */
  exclusive?<T>(work: () => Promise<T>, options: { signal: AbortSignal }): Promise<T>;
  /** Calls `onChange` as a hint that another holder may have changed what is stored. Returns the way to stop. */
  subscribe?(onChange: () => void): () => void;
}

/** A store that lasts as long as the page or process. Schemes that are given the same one share the session and its refresh. */
export function memoryStore(): TokenStore {
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
    exclusive(work) {
      const mine = last.then(work, work);
      last = mine.catch(() => undefined);
      return mine;
    },
    subscribe(onChange) {
      listeners.add(onChange);
      return () => listeners.delete(onChange);
    },
  };
}

/** What a store gave back, if it is a session of ours; undefined for anything else. */
export function readStored(value: unknown): StoredSession | undefined {
  const [generation, epoch, tokens] = ['generation', 'epoch', 'tokens'].map((key) => ownValue(value, key));
  if (ownValue(value, 'version') !== 1 || !isCount(generation) || !isCount(epoch)) return undefined;
  if ((value as StoredSession).tokens === null) return { version: 1, generation, epoch, tokens: null };
  const [accessToken, refreshToken, expiresAt] = ['accessToken', 'refreshToken', 'expiresAt'].map((key) =>
    ownValue(tokens, key),
  );
  if (typeof accessToken !== 'string' || accessToken === '') return undefined;
  if (refreshToken !== undefined && typeof refreshToken !== 'string') return undefined;
  if (expiresAt !== undefined && !Number.isFinite(expiresAt)) return undefined;
  const read = tokensOf(accessToken, refreshToken === '' ? undefined : refreshToken, expiresAt as number | undefined);
  return { version: 1, generation, epoch, tokens: read };
}

/** The same for a text that holds it as JSON, torn ones and null included. */
export function parseStored(text: string | null): StoredSession | undefined {
  try {
    return readStored(JSON.parse(text ?? 'null'));
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
