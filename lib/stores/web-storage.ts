import { systemClock, type Clock } from '../clock.js';
import { ownValue, safeGet } from '../safe-read.js';
import type { SessionStore } from '../session/store.js';
import { sharedStore, type SealOptions } from './shared-store.js';
import { underClaim } from './storage-claim.js';
import { parseStored, type StoredSession, type TokenStore } from './token-store.js';
import { announce, catchUp, pause, underLock } from './web-locks.js';
import { webNews } from './web-news.js';

/** Where nothing else tells, all tabs have seen a write to localStorage after so long. */
const SETTLE_MS = 100;
/** A tab that stands still while it writes keeps nobody else from writing for longer: it reads again before it goes on. */
const WRITE_LOCK_MS = 1_000;

/** Options of {@link webStorageStore}. */
export interface WebStorageOptions extends SealOptions {
  /** Where. In sessionStorage a session belongs to one tab. @default localStorage */
  storage?: Storage | undefined;
}

/**
 * Keeps a session as JSON in a browser's storage. In localStorage all tabs of an origin share it: one of them refreshes
 * for all, whichever of them crashes, and a sign-out in one is one in all; a tab that slept reads again when it wakes.
 *
 * Tabs exclude each other by Web Locks. Where there are none (plain http, for one) a claim in the storage stands in: two tabs that
 * claim within the same moment may both refresh if one of them takes more than 100 ms to hear of it, and one that crashes in a
 * refresh holds the others up for 5 s. A frame of another site has a storage of its own, and so a session of its own.
 *
 * Scripts of the origin can read what is stored, an injected one too: only memory keeps a refresh token from being
 * carried off. A tab that is duplicated takes a copy of its sessionStorage along; two that use up one rotating refresh token end its session.
 *
 * @param key Its name there, not empty; `<key>.claim` is used as well where there are no Web Locks. What it names
 *   now, if it is no session, counts as nothing and is replaced by the first one.
 * @throws TypeError for wrong arguments. The storage is looked for only when it is needed: where it is missing (code ENOSTORAGE),
 *   forbidden (SecurityError) or full (QuotaExceededError), `load()` throws, `compareAndSet()` rejects, and what is stored stays whole.
 */
export function webStorageStore(key: string, options: WebStorageOptions = {}): SessionStore {
  return sharedStore('webStorageStore', webStoragePort(key, options), options, key);
}

/** @internal */
export function webStoragePort(key: string, options: WebStorageOptions = {}, clock: Clock = systemClock): TokenStore {
  if (typeof key !== 'string' || key === '')
    throw new TypeError(`webStorageStore() takes a key, a string that is not empty, but got ${typeof key}`);
  const given = ownValue(options, 'storage') as Storage | undefined;
  if (
    given !== undefined &&
    (typeof safeGet(given, 'getItem') !== 'function' || typeof safeGet(given, 'setItem') !== 'function')
  )
    throw new TypeError(`webStorageStore(): storage takes localStorage or sessionStorage, but got ${typeof given}`);

  const nameOf = (what: string): string => `axios-attach-auth/${what}/${key}`;
  const storage = (): Storage => given ?? localStorageHere();
  /** Frames of one tab share a thread: what one of them wrote, all of them see. */
  const isOfTab = isSessionStorage(given);
  const news = webNews(
    nameOf('news'),
    (event) => (event.key === key || event.key === null) && isSessionStorage(event.storageArea) === isOfTab,
  );

  const load = (): StoredSession | undefined => parseStored(storage().getItem(key));
  const shown = (): number => {
    try {
      return load()?.generation ?? -1;
    } catch {
      // Nothing will ever be shown.
      return Infinity;
    }
  };
  const swap = (expected: number | undefined, next: StoredSession): boolean => {
    if (load()?.generation !== expected) return false;
    storage().setItem(key, JSON.stringify(next));
    news.tell(next.generation);
    return true;
  };
  /** Of those who write at the same moment the last one has written, and the others see it in time. */
  const swapUnlocked = async (expected: number | undefined, next: StoredSession): Promise<boolean> => {
    if (!swap(expected, next)) return false;
    await pause(SETTLE_MS, clock, new AbortController().signal);
    const text = storage().getItem(key);
    const found = parseStored(text);
    return !found || found.generation > next.generation || text === JSON.stringify(next);
  };
  const swapLocked = async (expected: number | undefined, next: StoredSession): Promise<boolean> => {
    const limit = new AbortController();
    const cancel = clock.after(
      WRITE_LOCK_MS,
      () => {
        limit.abort();
      },
      'idle',
    );
    const write = async (): Promise<boolean> => {
      await catchUp(nameOf('written'), shown, clock, limit.signal);
      if (!swap(expected, next)) return false;
      await announce(nameOf('written'), next.generation, clock);
      return true;
    };
    try {
      return await underLock(nameOf('write'), write, () => swapUnlocked(expected, next), limit.signal);
    } catch (error) {
      if (error !== limit.signal.reason) throw error;
      return swap(expected, next);
    } finally {
      cancel();
    }
  };

  return {
    load,
    compareAndSet: isOfTab ? swap : swapLocked,
    exclusive(work, { signal }) {
      const claimed = () => underClaim(storage, `${key}.claim`, work, isOfTab ? 0 : SETTLE_MS, clock, signal);
      const locked = async () => {
        await catchUp(nameOf('written'), shown, clock, signal);
        return work();
      };
      return isOfTab ? claimed() : underLock(nameOf('refresh'), locked, claimed, signal);
    },
    subscribe: (onChange) => news.follow(onChange),
  };
}

function localStorageHere(): Storage {
  const { localStorage } = globalThis as { localStorage?: Storage };
  if (!localStorage)
    throw Object.assign(new Error('webStorageStore(): there is no localStorage.'), { code: 'ENOSTORAGE' });
  return localStorage;
}

function isSessionStorage(area: Storage | null | undefined): boolean {
  try {
    return area !== undefined && area === globalThis.sessionStorage;
  } catch {
    return false;
  }
}
