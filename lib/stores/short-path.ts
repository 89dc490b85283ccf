import { rmSync, symlinkSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A socket's path has at most 103 bytes on macOS and 107 on Linux, and Node truncates longer ones. This leaves room for a name. */
const LONGEST_DIRECTORY_BYTES = 64;

/** Returns a path of the directory that is short enough for sockets: its own, or a symlink that `forget` removes. */
export function shortPath(directory: string): { readonly path: string; forget(): void } {
  if (process.platform === 'win32' || isShort(directory)) return { path: directory, forget: () => undefined };
  const path = join(tmpdir(), `attach-auth-${randomBytes(6).toString('hex')}`);
  if (!isShort(path))
    throw new Error(
      'fileStore(): the paths of the file and of the temporary directory are too long for a socket. Move the file.',
    );
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
