import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../src/main.mjs', import.meta.url));

export const isRedisInstalled = () => spawnSync('redis-server', ['--version']).status === 0;

/** A port of this machine that nothing listens on. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** A Redis without persistence. */
export async function startRedis() {
  const port = await freePort();
  const redis = spawn('redis-server', ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']);
  await untilOutput(redis, 'Ready to accept connections');
  return { url: `redis://127.0.0.1:${port}`, stop: () => stop(redis) };
}

/** One machine of the BFF. */
export async function startMachine(env) {
  const machine = spawn(process.execPath, [MAIN], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await untilOutput(machine, 'listening');
  return { origin: `http://127.0.0.1:${env.PORT}`, stop: () => stop(machine) };
}

function untilOutput(child, text) {
  return new Promise((resolve, reject) => {
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
      if (output.includes(text)) resolve();
    });
    child.once('exit', () => reject(new Error(`${child.spawnfile} has ended: ${output}`)));
  });
}

async function stop(child) {
  // Ctrl+C signals the children, too.
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
