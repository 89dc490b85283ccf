// `npm run example react`: from a fresh clone, builds the package, installs an example and starts it. `npm run example react
// test` runs its tests.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const root = dirname(folder);
const names = readdirSync(folder).filter((name) => existsSync(join(folder, name, 'package.json')));
const [name, script = 'start'] = process.argv.slice(2);

if (!names.includes(name)) {
  console.error(`Usage: npm run example <${names.join(' | ')}> [test]`);
  process.exit(1);
}

function npm(cwd, ...args) {
  const { status } = spawnSync('npm', args, { cwd, stdio: 'inherit', shell: process.platform === 'win32' });
  if (status !== 0) process.exit(status ?? 1);
}

// Ctrl+C ends the example first, and then this script.
process.on('SIGINT', () => {});
if (!existsSync(join(root, 'node_modules'))) npm(root, 'ci');
if (!existsSync(join(root, 'dist'))) npm(root, 'run', 'build');
if (!existsSync(join(folder, name, 'node_modules'))) npm(join(folder, name), 'ci');
npm(join(folder, name), script);
