import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const screenshots = fileURLToPath(new URL('screenshots', import.meta.url));

/** Starts the Chromium on the PATH, for example that of the distribution: `apt-get install chromium`. */
export async function startChromium() {
  const executablePath = (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => ['chromium', 'google-chrome'].map((name) => join(folder, name)))
    .find((path) => existsSync(path));
  if (executablePath === undefined) throw new Error('There is no chromium on the PATH.');
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

/** Takes pictures at two widths and in both color schemes. Returns the accessibility findings of axe, and elements that are too wide. */
export async function inspect(page, name) {
  mkdirSync(screenshots, { recursive: true });
  const found = [];
  for (const [width, colorScheme] of [400, 1280].flatMap((pixels) => ['light', 'dark'].map((each) => [pixels, each]))) {
    const view = `${colorScheme}-${width}`;
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: join(screenshots, `${name}-${view}.png`) });
    const violations = await page.evaluate(async (script) => {
      if (!globalThis.axe) new Function(script)();
      return (await globalThis.axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)}`);
    }, axe);
    if ((await page.evaluate('document.documentElement.scrollWidth')) > width) violations.push('wider than the screen');
    found.push(...violations.map((violation) => `${view}: ${violation}`));
  }
  return found;
}
