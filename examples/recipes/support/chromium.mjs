import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const executablePath = (process.env.PATH ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'chromium'))
  .find(existsSync);

/** Why tests in Chromium are skipped, or false. In CI a missing Chromium is a failure. */
export const skip = executablePath || process.env.REQUIRE_REAL ? false : 'there is no chromium on the PATH';

/** A browser that ends with the test file. */
export async function startChromium() {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  after(() => browser.close());
  return browser;
}

/** A module of the recipes as one script for a page. */
export async function bundle(path) {
  const entryPoints = [fileURLToPath(new URL(`../${path}`, import.meta.url))];
  const define = { 'process.env.NODE_ENV': '"production"' };
  const { outputFiles } = await build({
    entryPoints,
    define,
    bundle: true,
    format: 'esm',
    write: false,
    logLevel: 'error',
  });
  return outputFiles[0].text;
}
