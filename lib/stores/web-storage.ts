import { systemClock, type Clock } from '../clock.js';
import { announceWrite, awaitAnnounced, pause, withWebLock } from './web-locks.js';
import type { SessionStore } from '../session/store.js';
import { ownValue, safeGet } from '../safe-read.js';
import { webChanges } from './web-changes.js';
import { withStorageClaim } from './storage-claim.js';
import { parseStored, type StoredSession, type TokenStore } from './token-store.js';
import { sharedStore, type SealOptions } from './shared-store.js';

/** Without Web Locks: after so long all tabs see a write to localStorage. */
const SETTLE_MS = 100;
/** A tab that is stopped while it writes blocks the others for so long. It reads again before it continues. */
const WRITE_LOCK_MS = 1_000;

/** Options of {@link webStorageStore}. */
export interface WebStorageOptions extends SealOptions {
  /** Where the session is stored. In sessionStorage it belongs to one tab. @default localStorage */
  storage?: Storage | undefined;
}

/**
 * Keeps a session as JSON in a browser's storage. In localStorage all tabs of an origin share it. One of them refreshes for all,
 * and a sign-out applies to all. A tab that slept reads it again when it wakes up.
 *
 * Tabs exclude each other by Web Locks. Without them (plain http, for example) they use a claim in the storage. Then two tabs may
 * both refresh if one of them sees the other's claim more than 100 ms later. A tab that crashes while it refreshes blocks the
 * others for 5 s. A frame of another site has a storage and a session of its own.
 *
 * Scripts of the origin, injected ones too, can read the stored session. They can use a key of `seal` that the page holds. Only
 * memory keeps a refresh token from being stolen that way. A duplicated tab has a copy of its sessionStorage: two tabs that use
 * one rotating refresh token end its session.
 *
 * The storage may be missing (code ENOSTORAGE), forbidden (SecurityError) or full (QuotaExceededError). Then the session is kept
 * in memory (event `store-degraded`), and the stored one stays unchanged. A value that is no session counts as empty and is
 * replaced.
 *
 * @param key Its name in the storage, a non-empty string. Without Web Locks `<key>.claim` is used, too.
 * @throws TypeError for wrong arguments.
 */
export function webStorageStore(key: string, options: WebStorageOptions = {}): SessionStore {
  return sharedStore('webStorageStore', webStoragePort(key, options), options, key);
}

/** @internal */
export function webStoragePort(key: string, options: WebStorageOptions = {}, clock: Clock = systemClock): TokenStore {
  if (typeof key !== 'string' || key === '')
    throw new TypeError(`webStorageStore(): \`key\` takes a non-empty string, but got ${typeof key}`);
  const given = ownValue(options, 'storage') as Storage | undefined;
  if (given !== undefined && ['getItem', 'setItem'].some((name) => typeof safeGet(given, name) !== 'function'))
    throw new TypeError(`webStorageStore(): \`storage\` takes localStorage or sessionStorage, but got ${typeof given}`);

  const nameOf = (what: string): string => `axios-attach-auth/${what}/${key}`;
  const storage = (): Storage => given ?? (globalThis as { localStorage?: Storage }).localStorage ?? noStorage();
  /** Frames of one tab share a thread: all of them see a write at once. */
  const isOfTab = isSessionStorage(given);
  const changes = webChanges(
    nameOf('changes'),
    (event) => (event.key ?? key) === key && isSessionStorage(event.storageArea) === isOfTab,
  );

  const load = (): StoredSession | undefined => parseStored(storage().getItem(key));
  const storedGeneration = (): number => {
    try {
      return load()?.generation ?? -1;
    } catch {
      // A storage that fails is not waited for.
      return Infinity;
    }
  };
  const swap = (expected: number | undefined, next: StoredSession): boolean => {
    if (load()?.generation !== expected) return false;
    storage().setItem(key, JSON.stringify(next));
    // A storage without a quota may drop it silently.
    if (load()?.generation !== next.generation) noStorage();
    changes.written(next.generation);
    return true;
  };
  /** Of tabs that write at the same moment the last one wins, and the others see that in time. */
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
    let isSwapped: boolean | undefined;
    const swapOnce = (): boolean => (isSwapped ??= swap(expected, next));
    const write = async (): Promise<boolean> => {
      await awaitAnnounced(nameOf('written'), storedGeneration, clock, limit.signal);
      const isWritten = swapOnce();
      if (isWritten) await announceWrite(nameOf('written'), next.generation, clock);
      return isWritten;
    };
    // A page that is left gets no lock any more: `void signOut()` before a navigation must be stored. A server has no events.
    (globalThis as Partial<typeof globalThis>).addEventListener?.('pagehide', swapOnce);
    try {
      return await withWebLock(nameOf('write'), write, () => swapUnlocked(expected, next), limit.signal);
    } catch (error) {
      if (error !== limit.signal.reason) throw error;
      return swapOnce();
    } finally {
      cancel();
      (globalThis as Partial<typeof globalThis>).removeEventListener?.('pagehide', swapOnce);
    }
  };

  return {
    load,
    compareAndSet: isOfTab ? swap : swapLocked,
    exclusive(work, { signal }) {
      const claimed = () => withStorageClaim(storage, `${key}.claim`, work, isOfTab ? 0 : SETTLE_MS, clock, signal);
      const locked = async () => {
        await awaitAnnounced(nameOf('written'), storedGeneration, clock, signal);
        return work();
      };
      return isOfTab ? claimed() : withWebLock(nameOf('refresh'), locked, claimed, signal);
    },
    subscribe: changes.listen,
  };
}

/** Only its code is shown. */
function noStorage(): never {
  throw Object.assign(new Error(), { code: 'ENOSTORAGE' });
}

function isSessionStorage(area: Storage | null | undefined): boolean {
  try {
    return area !== undefined && area === globalThis.sessionStorage;
  } catch {
    return false;
  }
}
