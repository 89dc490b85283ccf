import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A real redis-server on loopback, with its data on disk. */
export interface RedisServer {
  readonly port: number;
  /** Ends it like a crash. */
  kill(): Promise<void>;
  /** Starts it again, with its old data or empty. */
  start(data: 'kept' | 'lost'): Promise<void>;
  close(): Promise<void>;
}

export function isRedisInstalled(): boolean {
  return spawnSync('redis-server', ['--version']).status === 0;
}

/** `redis-server` of the distribution. */
export async function startRedis(): Promise<RedisServer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'redis-server-'));
  const directory = join(folder, 'data');
  let child: ChildProcess | undefined;
  let exited: Promise<void> = Promise.resolve();
  const stop = (): void => {
    child?.kill('SIGKILL');
  };
  process.once('exit', stop);

  async function start(data: 'kept' | 'lost'): Promise<void> {
    if (data === 'lost') rmSync(directory, { recursive: true, force: true });
    const keeping = [
      '--dir',
      folder,
      '--appenddirname',
      'data',
      '--appendonly',
      'yes',
      '--appendfsync',
      'always',
      '--save',
      '',
    ];
    const started = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', ...keeping], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child = started;
    exited = new Promise((resolve) => {
      started.once('exit', () => {
        resolve();
      });
    });
    await new Promise<void>((resolve, reject) => {
      let output = '';
      started.once('error', reject);
      started.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (output.includes('Ready to accept connections')) resolve();
      });
      void exited.then(() => {
        reject(new Error(`redis-server did not start\n${output}`));
      });
    });
  }

  async function kill(): Promise<void> {
    stop();
    await exited;
  }

  await start('lost');
  return {
    port,
    kill,
    start,
    async close() {
      await kill();
      process.off('exit', stop);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => {
        resolve(port);
      });
    });
  });
}
