import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AsyncEntry } from '@napi-rs/keyring';

const BYTES = 32;

/**
 * Returns the key that seals the session file: from the OS keychain, or from a key file of mode 0600 where there is no
 * keychain (a server, a container). Created at the first use.
 *
 * @param {{ service: string, keyFile: string, hasKeychain?: boolean, keychain?: Pick<AsyncEntry, 'getPassword' | 'setPassword'> }} options
 * @throws if the keychain that has the key is locked: with another key, the session file could not be opened
 */
export async function sealingKey({ service, keyFile, hasKeychain = true, keychain }) {
  // A key file stays in use if a keychain appears later, for the same reason.
  const stored = await contentOf(keyFile);
  if (stored || !hasKeychain) return stored ?? createKeyFile(keyFile);
  /** Exists if the keychain has the key. */
  const mark = `${keyFile}.in-keychain`;
  try {
    const entry = keychain ?? new AsyncEntry(service, 'session-key');
    const key = (await entry.getPassword()) ?? randomBytes(BYTES).toString('base64');
    if ((await contentOf(mark)) === undefined) {
      await entry.setPassword(key);
      await mkdir(dirname(mark), { recursive: true, mode: 0o700 });
      await writeFile(mark, '');
    }
    return Buffer.from(key, 'base64');
  } catch (error) {
    if ((await contentOf(mark)) !== undefined) throw error;
    return createKeyFile(keyFile);
  }
}

async function contentOf(path) {
  return readFile(path).catch((error) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

/** The first process that links its file wins; every other one reads that key. */
async function createKeyFile(path) {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const own = `${path}.${process.pid}`;
  await writeFile(own, randomBytes(BYTES), { mode: 0o600, flag: 'wx' });
  try {
    await link(own, path);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  } finally {
    await unlink(own);
  }
  return readFile(path);
}
