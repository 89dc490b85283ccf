import { rename } from 'node:fs/promises';
import { resolve } from 'node:path';
import { withFileLock } from './file-lock.js';
import { safeGet } from '../safe-read.js';
import { watchPath } from './file-watch.js';
import type { SessionStore } from '../session/store.js';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import {
  ensurePrivateDirectory,
  PRIVATE_FILE,
  readPrivate,
  removeAbandonedDrafts,
  replacePrivate,
} from './private-file.js';
import { parseStored, type StoredSession } from './token-store.js';
import type { KeepingPort } from './sealed-port.js';
import { sharedStore, type SealOptions } from './shared-store.js';
import { alarm, systemClock } from '../clock.js';

/** A write takes milliseconds: a process that holds the write lock for longer is stopped or hangs. */
const WRITE_LOCK_MS = 1_500;
/** No file can be created there. */
const UNWRITABLE = /^(?:EACCES|EPERM|EROFS|ENOTDIR|ENOENT|ENOSPC|EDQUOT)$/;

/**
 * Keeps a session in a file, for all processes of one machine. One of them refreshes, the others use its tokens, and the next
 * process starts with them.
 *
 * The file has mode 0600 from its first byte, created directories have 0700. A write creates a draft, syncs it and renames it.
 * After a crash the file has the old session or the new one. Locks and drafts are in `<path>.lock`, a directory beside the file.
 *
 * A lock is a Unix socket there, which the kernel closes when its process ends. No lock expires, and none is left behind. It
 * works within one kernel. Containers that share the volume exclude each other, machines that share it over a network do not. On
 * Windows locks are named pipes, and there are no modes: keep the file in the user's own profile.
 *
 * A file that holds no session (torn, foreign) counts as empty. It is moved to `<path>.bad`, then `<path>.bad.2` and so on. A
 * sealed one that no key opens is copied there. A symlink, a file of another user and one that others can read are refused (event
 * `store-degraded`). So is anything but a regular file. If nothing is stored and nothing can be written, the session is in memory
 * alone. If something is stored but its directory is not writable, a refresh fails.
 *
 * @param path Relative to the working directory at the time of the call.
 * @throws TypeError if `path` is not a non-empty string, or `seal` has no `seal` and `open`.
 */
export function fileStore(path: string, options: SealOptions = {}): SessionStore {
  return sharedStore('fileStore', filePort(path), options, '');
}

/** @internal */
export function filePort(path: string): KeepingPort {
  if (typeof path !== 'string' || path === '')
    throw new TypeError(`fileStore(): \`path\` takes a non-empty string, but got ${typeof path}`);
  const file = resolve(path);
  const lockDirectory = `${file}.lock`;

  async function locked<T>(queue: 'refresh' | 'write', work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    ensurePrivateDirectory(lockDirectory);
    return withFileLock(lockDirectory, queue, work, signal);
  }

  /** A lock of its own: a write, above all a sign-out, does not wait for the refresh of another process. */
  async function withWriteLock<T>(work: () => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const cancel = alarm(systemClock, WRITE_LOCK_MS, () => {
      const message = `fileStore(): another process has held the write lock for ${String(WRITE_LOCK_MS)} ms.`;
      controller.abort(Object.assign(new Error(message), { code: 'EBUSY' }));
    });
    return locked('write', work, controller.signal).finally(cancel);
  }

  /** Needs the write lock, so that it moves the file that it has read. */
  async function readOrMoveAside(): Promise<StoredSession | undefined> {
    const found = await read(file);
    if (found === 'bad') await rename(file, freeName(file));
    return found === 'bad' ? undefined : found;
  }

  return {
    async load() {
      const found = await read(file);
      return found === 'bad' ? withWriteLock(readOrMoveAside) : found;
    },
    compareAndSet: (expected, next) =>
      withWriteLock(async () => {
        if ((await readOrMoveAside())?.generation !== expected) return false;
        await removeAbandonedDrafts(lockDirectory);
        await replacePrivate(file, `${JSON.stringify(next)}\n`, lockDirectory);
        return true;
      }),
    async exclusive(work, { signal }) {
      const lock = { isHeld: false };
      try {
        return await locked(
          'refresh',
          () => {
            lock.isHeld = true;
            return work();
          },
          signal,
        );
      } catch (error) {
        if (lock.isHeld || !UNWRITABLE.test(String(safeGet(error, 'code')))) throw error;
        // Where no process can store anything, none shares a session.
        if ((await readPrivate(file)) !== undefined) throw error;
        return work();
      }
    },
    subscribe: (onChange) => watchPath(file, onChange),
    keepAside: () =>
      withWriteLock(async () => {
        const text = (await readPrivate(file)) ?? '';
        const name = freeName(file, text);
        if (!existsSync(name)) writeFileSync(name, text, { mode: PRIVATE_FILE, flag: 'wx' });
      }),
  };
}

async function read(file: string): Promise<StoredSession | 'bad' | undefined> {
  const text = await readPrivate(file);
  return text === undefined ? undefined : (parseStored(text) ?? 'bad');
}

/** Returns the first name that is free, or that holds `text` already. */
function freeName(file: string, text?: string): string {
  let name = `${file}.bad`;
  for (let count = 2; existsSync(name) && readFileSync(name, 'utf8') !== text; count++)
    name = `${file}.bad.${String(count)}`;
  return name;
}
