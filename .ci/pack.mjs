import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Packs the package into a folder, unless TARBALL says that it is packed already. @returns the tarball's path. */
export function packed(folder) {
  if (process.env.TARBALL) return process.env.TARBALL;
  const args = ['pack', '--json', '--pack-destination', folder];
  const said = execFileSync('npm', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  // The scripts of the package write output first.
  return join(folder, JSON.parse(said.slice(said.indexOf('[\n')))[0].filename);
}
