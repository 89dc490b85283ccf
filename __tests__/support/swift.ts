import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';

const PYTHON = process.env['SWIFT_PYTHON'] ?? '/usr/bin/python3';

export function isSwiftInstalled(): boolean {
  return spawnSync(PYTHON, ['-c', 'import swift.common.middleware.s3api.s3request, eventlet']).status === 0;
}

/** The S3 API of OpenStack Swift (`python3-swift` of Debian), on loopback: it verifies, and stores nothing. */
export async function startSwift(): Promise<{ readonly origin: string; close(): Promise<void> }> {
  const child = spawn(PYTHON, [join(__dirname, 'swift-s3.py')], { stdio: ['ignore', 'pipe', 'pipe'] });
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
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const port = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (chunk: Buffer) => {
      resolve(chunk.toString().trim());
    });
    void exited.then(() => {
      reject(new Error(`Swift's s3api did not start\n${errors}`));
    });
  });
  return {
    origin: `http://127.0.0.1:${port}`,
    close: async () => {
      stop();
      await exited;
    },
  };
}
