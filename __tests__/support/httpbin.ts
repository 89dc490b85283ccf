import { spawn, spawnSync } from 'node:child_process';

const PYTHON = process.env['HTTPBIN_PYTHON'] ?? '/usr/bin/python3';

/** A real httpbin under gunicorn, on loopback. */
export interface Httpbin {
  readonly origin: string;
  close(): Promise<void>;
}

export function isHttpbinInstalled(): boolean {
  return spawnSync(PYTHON, ['-c', 'import httpbin, gunicorn']).status === 0;
}

/** `python3-httpbin gunicorn python3-gunicorn` of Debian. */
export async function startHttpbin(): Promise<Httpbin> {
  const options = ['-k', 'gthread', '--threads', '16', '--bind', '127.0.0.1:0', '--graceful-timeout', '1'];
  const child = spawn(PYTHON, ['-m', 'gunicorn', ...options, 'httpbin:app'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const stop = (): void => {
    child.kill();
  };
  process.once('exit', stop);
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => {
      process.off('exit', stop);
      resolve();
    });
  });
  const origin = await new Promise<string>((resolve, reject) => {
    let output = '';
    child.once('error', reject);
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const listening = /Listening at: (http:\S+)/.exec(output)?.[1];
      if (listening !== undefined && output.includes('Booting worker')) resolve(listening);
    });
    void exited.then(() => {
      reject(new Error(`httpbin did not start\n${output}`));
    });
  });
  return {
    origin,
    close: async () => {
      stop();
      await exited;
    },
  };
}
