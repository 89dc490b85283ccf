// `npm start`: the service against an API on this machine. Ctrl+C stops it in the middle, and the next start continues.
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { startApi } from './limited-api.mjs';

const STATE = fileURLToPath(new URL('../state', import.meta.url));
await mkdir(STATE, { recursive: true });
const api = await startApi();
const service = spawn(process.execPath, [fileURLToPath(new URL('../src/main.mjs', import.meta.url))], {
  stdio: 'inherit',
  env: { ...process.env, ...api.env, STATE },
});
for (const name of ['SIGTERM', 'SIGINT']) process.on(name, () => service.kill(name));
service.on('exit', (code) => {
  console.log('the API has counted', api.counts);
  api.close();
  process.exitCode = code ?? 1;
});
