import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { BuildOptions } from 'esbuild';
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

/** Bundles the entry of these esbuild options with lib/, as the build for browsers does. */
export function browserBundle(options: Partial<BuildOptions>): string {
  const program = join(__dirname, 'browser-bundle.mjs');
  return execFileSync(process.execPath, [program, JSON.stringify(options)], { encoding: 'utf8', maxBuffer: 1e8 });
}

/** One classic script with all imports of a module of the tests. Its exports become the global of that name. */
export function bundle(module: string, globalName: string, axios = 'axios'): string {
  return browserBundle({ entryPoints: [join(__dirname, '..', module)], format: 'iife', globalName, alias: { axios } });
}
