import type { MaybePromise } from '../maybe-promise.js';
import { ownValue } from '../safe-read.js';
import { tokensOf, type Tokens } from '../session/tokens.js';

/**
 * One session as it is stored. `generation` grows with every write, `epoch` whenever the principal changes (sign-in and
 * sign-out). `tokens: null` is a sign-out, which every holder of the store must see: it is written, not deleted.
 */
export interface StoredSession {
  /** The form of the stored session. */
  readonly version: 1;
  /** Grows with every write. */
  readonly generation: number;
  /** Grows whenever the principal changes. */
  readonly epoch: number;
  /** null: signed out. */
  readonly tokens: Tokens | null;
}

/**
 * A place that several holders of one session share: a file, the browser's storage, a database. If it does not answer within 2 s,
 * the session is kept in memory (event `store-degraded`). A session that was read from it is refreshed only if it can be read
 * again. Another holder cannot know of a write that takes longer, and may use the same refresh token again.
 */
export interface TokenStore {
  /** Returns the stored session; undefined if nothing is stored. */
  load(): MaybePromise<StoredSession | undefined>;
  /** Stores `next` only while the stored generation is still `expected` (undefined: nothing stored). Returns whether it did. */
  compareAndSet(expected: number | undefined, next: StoredSession): MaybePromise<boolean>;
  /**
   * Runs `work` while no other holder of this store (tab, process, machine) runs theirs. It takes up to 60 s for each request. If
   * `signal` aborts before `work` has begun, it rejects and never runs `work`. Work that has begun is not cut short. If it
   * settles without having run `work`, the lock could not be acquired.
   */
  exclusive?<T>(work: () => Promise<T>, options: { signal: AbortSignal }): Promise<T>;
  /** Calls `onChange` as a hint that another holder may have changed the stored session. Returns the function that stops it. */
  subscribe?(onChange: () => void): () => void;
}

/** A sealed store returns it instead of a session that no key opens. */
export const NOT_OPENED = Object.freeze({ version: 0 }) as unknown as StoredSession;

/** Returns the value of a store if it is a session of version 1. */
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

/** The same for its JSON text. Torn texts and null are no session. */
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
