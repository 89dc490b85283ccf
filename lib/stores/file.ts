import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { StoredSession, TokenStore } from '../session/store.js';
import { readStored } from '../session/store.js';

const PRIVATE_FILE = 0o600;
const PRIVATE_DIRECTORY = 0o700;

/**
 * Keeps a session in a file: found there by the next process, with its expiry.
 *
 * The file has mode 0600 from its first byte, and a directory that has to be made 0700. It is written to a temporary file
 * beside it, fsynced and renamed, so that a crash leaves the old session or the new one, never half of one. Windows knows
 * no such modes: keep the file in the user's own profile there.
 *
 * @param path Where. Relative to the working directory at the time of the call.
 * @throws TypeError if `path` is no non-empty string. `load()` and `compareAndSet()` reject when the path is a symlink or
 *   no regular file, belongs to somebody else, or can be read by others. A file that holds no session (torn, foreign) is moved aside as
 *   `<path>.bad` and counts as empty.
 */
export function fileStore(path: string): TokenStore {
  if (typeof path !== 'string' || path === '') throw new TypeError(`fileStore() takes a path, but got ${typeof path}`);
  const file = resolve(path);
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work, work);
    last = mine.catch(() => undefined);
    return mine;
  };
  return {
    load: () => inTurn(() => read(file)),
    compareAndSet: (expected, next) =>
      inTurn(async () => {
        if ((await read(file))?.generation !== expected) return false;
        await replace(file, `${JSON.stringify(next)}\n`);
        return true;
      }),
  };
}

async function read(file: string): Promise<StoredSession | undefined> {
  const text = await readPrivate(file);
  if (text === undefined) return undefined;
  const stored = readStored(parse(text));
  if (!stored) await rename(file, `${file}.bad`);
  return stored;
}

async function readPrivate(file: string): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    // A symlink in its place could lead anywhere; O_NOFOLLOW is 0 where there is none.
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw code === 'ELOOP' ? refused('is a symlink') : error;
  }
  try {
    await assertPrivate(handle);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

async function assertPrivate(handle: FileHandle): Promise<void> {
  const { mode, uid, isFile } = await stateOf(handle);
  if (!isFile) throw refused('is no regular file');
  if (process.platform === 'win32') return;
  if (process.getuid && uid !== process.getuid()) throw refused('belongs to another user');
  if ((mode & 0o077) !== 0)
    throw refused(`can be read or written by others (mode ${(mode & 0o777).toString(8)}); chmod it to 600`);
}

async function stateOf(handle: FileHandle): Promise<{ mode: number; uid: number; isFile: boolean }> {
  const state = await handle.stat();
  return { mode: state.mode, uid: state.uid, isFile: state.isFile() };
}

async function replace(file: string, text: string): Promise<void> {
  const directory = dirname(file);
  await mkdir(directory, { recursive: true, mode: PRIVATE_DIRECTORY });
  const temporary = join(directory, `.${basename(file)}.${randomBytes(6).toString('hex')}.tmp`);
  const handle = await open(temporary, 'wx', PRIVATE_FILE);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } catch (error) {
    await handle.close();
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await handle.close();
  try {
    if (await isSymlink(file)) throw refused('is a symlink');
    await rename(temporary, file);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncDirectory(directory);
}

async function isSymlink(file: string): Promise<boolean> {
  try {
    return (await lstat(file)).isSymbolicLink();
  } catch {
    return false;
  }
}

/** The rename itself must survive a power cut; where directories cannot be opened (Windows), it is as durable as it gets. */
async function syncDirectory(directory: string): Promise<void> {
  try {
    const handle = await open(directory, 'r');
    await handle.sync().finally(() => handle.close());
  } catch {
    // Not every file system lets a directory be synced.
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refused(why: string): Error {
  return Object.assign(new Error(`fileStore(): the file ${why}, so it is not trusted with a session.`), {
    code: 'EUNSAFE',
  });
}
