import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { buildSync } from 'esbuild';
import { chromium, type Browser } from 'playwright-core';

/** The Chromium on the PATH, such as that of the distribution: `apt-get install chromium`. */
const EXECUTABLE = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'chromium'))
  .find((path) => existsSync(path));

export function isChromiumInstalled(): boolean {
  return EXECUTABLE !== undefined;
}

export function startChromium(): Promise<Browser> {
  if (EXECUTABLE === undefined) throw new Error('There is no chromium on the PATH');
  return chromium.launch({ executablePath: EXECUTABLE, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

/** One classic script with all that a module of the tests imports; what it exports becomes the global of that name. */
export function bundle(module: string, globalName: string, axios = 'axios'): string {
  const { outputFiles } = buildSync({
    entryPoints: [join(__dirname, '..', module)],
    bundle: true,
    format: 'iife',
    globalName,
    platform: 'browser',
    target: 'es2022',
    alias: { axios },
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}
