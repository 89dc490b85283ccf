import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { resolve } from 'node:path';
import { alarm, systemClock } from '../clock.js';
import type { SessionStore } from '../session/store.js';
import { takeTurn } from './file-lock.js';
import { watchPath } from './file-watch.js';
import { ensurePrivateDirectory, readPrivate, removeAbandoned, replacePrivate } from './private-file.js';
import { sharedStore, type SealOptions } from './shared-store.js';
import { parseStored, type StoredSession, type TokenStore } from './token-store.js';

/** A write takes milliseconds; who holds the file for so long is stopped or hangs. */
const WRITE_TURN_LIMIT_MS = 1_500;

/**
 * Keeps a session in a file, for all processes of one machine: one of them refreshes, the others find what it got, and
 * the next process finds it with its expiry.
 *
 * The file has mode 0600 from its first byte, directories that have to be made 0700. It is written as a draft, fsynced and
 * renamed, so that a crash leaves the old session or the new one, never half of one. Locks and drafts are in `<path>.lock`,
 * a directory beside it: locks are sockets there, which the kernel lets go of when their process ends, so there is no lock
 * to be cleaned up, and none expires. They reach as far as one kernel does: containers that share the volume are kept apart,
 * machines that share it over a network are not. The volume must take Unix sockets. On Windows the locks are named pipes,
 * and there are no modes: keep the file in the user's own profile there.
 *
 * @param path Where. Relative to the working directory at the time of the call. All who share the session name the same file.
 * @returns A store. `exclusive()` lets its callers in one after another, in the order of arrival, and rejects with the signal's
 *   reason while it waits; a process that is stopped keeps its turn. `compareAndSet()` does not wait for those, and rejects
 *   with the code EBUSY when another process is at the file for more than 1.5 s.
 *   `subscribe()` tells within moments where the directory can be watched, else within a second.
 * @throws TypeError if `path` is no non-empty string. `load()` and `compareAndSet()` reject when the path is a symlink or
 *   no regular file, belongs to somebody else, or can be read by others. A file that holds no session (torn, foreign) is
 *   moved aside as `<path>.bad` (or `.bad.2` and so on) and counts as empty.
 */
export function fileStore(path: string, options: SealOptions = {}): SessionStore {
  return sharedStore('fileStore', filePort(path), options, '');
}

/** @internal */
export function filePort(path: string): TokenStore {
  if (typeof path !== 'string' || path === '') throw new TypeError(`fileStore() takes a path, but got ${typeof path}`);
  const file = resolve(path);
  const backstage = `${file}.lock`;

  async function alone<T>(queue: 'refresh' | 'write', work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    ensurePrivateDirectory(backstage);
    return takeTurn(backstage, queue, work, signal);
  }

  /** A refresh may take long: what is written meanwhile, a sign-out above all, does not wait for it. */
  async function whileNobodyWrites<T>(work: () => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const cancel = alarm(systemClock, WRITE_TURN_LIMIT_MS, () => {
      controller.abort(
        Object.assign(new Error('fileStore(): another process keeps the file busy.'), { code: 'EBUSY' }),
      );
    });
    try {
      return await alone('write', work, controller.signal);
    } finally {
      cancel();
    }
  }

  /** The stored session, by somebody whom no writer can get in the way. */
  async function find(): Promise<StoredSession | undefined> {
    const found = await read(file);
    if (found === 'bad') await moveAside(file);
    return found === 'bad' ? undefined : found;
  }

  return {
    async load() {
      const found = await read(file);
      return found === 'bad' ? whileNobodyWrites(find) : found;
    },
    compareAndSet: (expected, next) =>
      whileNobodyWrites(async () => {
        if ((await find())?.generation !== expected) return false;
        await removeAbandoned(backstage);
        await replacePrivate(file, `${JSON.stringify(next)}\n`, backstage);
        return true;
      }),
    exclusive: (work, { signal }) => alone('refresh', work, signal),
    subscribe: (onChange) => watchPath(file, onChange),
  };
}

async function read(file: string): Promise<StoredSession | 'bad' | undefined> {
  const text = await readPrivate(file);
  return text === undefined ? undefined : (parseStored(text) ?? 'bad');
}

async function moveAside(file: string): Promise<void> {
  let aside = `${file}.bad`;
  for (let count = 2; existsSync(aside); count++) aside = `${file}.bad.${String(count)}`;
  await rename(file, aside);
}
