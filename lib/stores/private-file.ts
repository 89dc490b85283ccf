import { randomBytes } from 'node:crypto';
import { constants, lstatSync, mkdirSync } from 'node:fs';
import { lstat, open, readdir, rename, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemClock } from '../clock.js';

export const PRIVATE_FILE = 0o600;
const PRIVATE_DIRECTORY = 0o700;
/** A write takes milliseconds: an older draft is that of a killed process. */
const ABANDONED_AFTER_MS = 60_000;
/** Returns the file's text; undefined: there is no file. */
export async function readPrivate(file: string): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    // A symlink could lead anywhere, and opening a FIFO would wait for a writer. On Windows both flags are undefined, which counts as 0.
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw code === 'ELOOP' ? refused('file is a symlink') : error;
  }
  try {
    const state = await handle.stat();
    if (!state.isFile()) throw refused('file is not a regular file');
    assertPrivate('file', state, 600);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

/** Replaces the file by a draft that is written in `drafts`, a directory of the same volume. */
export async function replacePrivate(file: string, text: string, drafts: string): Promise<void> {
  const draft = join(drafts, `${randomBytes(6).toString('hex')}.tmp`);
  const handle = await open(draft, 'wx', PRIVATE_FILE);
  try {
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    const replaced = await lstat(file).catch(() => undefined);
    if (replaced?.isSymbolicLink()) throw refused('file is a symlink');
    await rename(draft, file);
  } catch (error) {
    await unlink(draft).catch(() => undefined);
    throw error;
  }
  await syncDirectory(dirname(file));
}

/** Creates a directory that no other user can read. Throws if there is one that others can read, or anything else. */
export function ensurePrivateDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: PRIVATE_DIRECTORY });
  const state = lstatSync(directory);
  if (!state.isDirectory()) throw refused('lock is not a directory');
  assertPrivate('lock', state, 700);
}

/** Removes the drafts of killed processes. */
export async function removeAbandonedDrafts(drafts: string): Promise<void> {
  const names = (await readdir(drafts)).filter((name) => name.endsWith('.tmp'));
  for (const draft of names.map((name) => join(drafts, name))) {
    const { mtimeMs = Infinity } = await lstat(draft).catch(() => ({ mtimeMs: undefined }));
    if (mtimeMs < systemClock.now() - ABANDONED_AFTER_MS) await unlink(draft).catch(() => undefined);
  }
}

function assertPrivate(what: string, { mode, uid }: { mode: number; uid: number }, due: number): void {
  if (process.platform === 'win32') return;
  if (process.getuid && uid !== process.getuid()) throw refused(`${what} belongs to another user`);
  if ((mode & 0o077) === 0) return;
  throw refused(
    `${what} can be read or written by others (mode ${(mode & 0o777).toString(8)}): chmod it to ${String(due)}`,
  );
}

/** The rename must survive a power cut. Not every file system lets a directory be synced. */
async function syncDirectory(directory: string): Promise<void> {
  try {
    const handle = await open(directory, 'r');
    await handle.sync().finally(() => handle.close());
  } catch {
    // This file system does not allow more.
  }
}

function refused(why: string): Error {
  return Object.assign(new Error(`fileStore(): the ${why}, so it is not trusted with a session.`), { code: 'EUNSAFE' });
}
