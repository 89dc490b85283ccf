import { randomBytes } from 'node:crypto';
import { rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A socket's path has at most 103 bytes on macOS, 107 on Linux, and Node cuts off the rest; this leaves room for a name. */
const LONGEST_DIRECTORY_BYTES = 64;

/** A way into a directory that is short enough for the path of a socket in it: its own, or through a link that `forget` takes away. */
export function shortPath(directory: string): { readonly path: string; forget(): void } {
  if (process.platform === 'win32' || isShort(directory)) return { path: directory, forget: () => undefined };
  const path = join(tmpdir(), `attach-auth-${randomBytes(6).toString('hex')}`);
  if (!isShort(path))
    throw new Error('fileStore(): the paths of the file and of the temporary directory are too long.');
  symlinkSync(directory, path);
  return {
    path,
    forget: () => {
      rmSync(path, { force: true });
    },
  };
}

function isShort(path: string): boolean {
  return Buffer.byteLength(path) <= LONGEST_DIRECTORY_BYTES;
}
