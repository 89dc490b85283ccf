// `npm start`: a shell in which `orders` is the tool, with an identity server and an API on this machine.
import { spawn } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { startProvider } from './provider.mjs';

const STATE = fileURLToPath(new URL('../state', import.meta.url));
const MAIN = fileURLToPath(new URL('../src/main.mjs', import.meta.url));
await mkdir(`${STATE}/bin`, { recursive: true });
await writeFile(`${STATE}/bin/orders`, `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
await chmod(`${STATE}/bin/orders`, 0o755);

const provider = await startProvider();
console.log('Try: orders login, orders whoami, orders logout. Leave with: exit');
const shell = spawn(process.env.SHELL ?? '/bin/sh', {
  stdio: 'inherit',
  env: { ...process.env, ...provider.env, CONFIG: STATE, PATH: `${STATE}/bin:${process.env.PATH}` },
});
shell.on('exit', () => provider.close());
