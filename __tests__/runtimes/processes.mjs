// Runtimes that run a file: Node, Bun, Deno.
import { join } from 'node:path';
import { execute, needs, resultsIn } from './tools.mjs';

const program = (name, path, args = [], adapters = ['http', 'fetch']) => ({
  name,
  async run({ api, foreign, here }) {
    const file = path === process.execPath ? path : needs(join(here, 'node_modules', path), name);
    const found = [];
    for (const adapter of adapters) {
      const options = JSON.stringify({ api, foreign, adapter, build: 'default' });
      found.push([adapter, resultsIn(await execute(file, [...args, join(here, 'main.mjs'), options], { cwd: here }))]);
    }
    return found;
  },
});

export const processes = [
  program(`Node ${process.versions.node}`, process.execPath),
  program('Node 22', 'node-22/bin/node'),
  program('Node 24', 'node-24/bin/node'),
  program('Bun', 'bun/bin/bun.exe'),
  program('Deno', '@deno/linux-x64-glibc/deno', ['run', '-A', '--no-lock', '--node-modules-dir=manual']),
];
