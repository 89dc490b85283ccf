import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after } from 'node:test';
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
