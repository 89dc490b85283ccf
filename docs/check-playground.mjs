/* global document, getComputedStyle, location -- in functions that run in the page. */
// Opens the built playground in Chromium and runs it at two widths, light and dark. `--screenshots <folder>` keeps pictures.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { delimiter, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
// Of the repository's own packages, which lie one folder up.
import { chromium } from 'playwright-core';

const { screenshots } = parseArgs({ options: { screenshots: { type: 'string' } } }).values;
const executablePath = (process.env.PATH ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'chromium'))
  .find((path) => existsSync(path));
if (executablePath === undefined) {
  if (process.env.REQUIRE_REAL === '1') throw new Error('REQUIRE_REAL=1, but there is no chromium on the PATH.');
  console.log('The playground is not checked: there is no chromium on the PATH.');
  process.exit();
}

const site = fileURLToPath(new URL('.vitepress/dist', import.meta.url));
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.woff2': 'font/woff2' };
const server = createServer((request, response) => {
  const path = join(site, normalize(decodeURI(new URL(request.url, 'http://localhost').pathname)));
  if (!existsSync(path) || extname(path) === '') {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { 'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream' });
  response.end(readFileSync(path));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const origin = `http://127.0.0.1:${server.address().port}`;

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
let checks = 0;
/** A page that must not write to the console, and must not call other servers. */
async function open(options, hash = '') {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const noise = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && noise.push(message.text()));
  page.on('pageerror', (error) => noise.push(String(error)));
  page.on('request', (request) => {
    if (!/^(?:data|blob):/.test(request.url()) && !request.url().startsWith(`${origin}/`)) noise.push(request.url());
  });
  await page.goto(`${origin}/playground.html${hash}`);
  await page.locator('.playground:not([data-state="idle"])').waitFor();
  return { page, noise, close: () => context.close() };
}

const finished = (page) => page.locator('.playground[data-state="finished"]').waitFor({ timeout: 30_000 });
const count = async (page, side, name) =>
  Number.parseFloat(await page.locator(`[data-side="${side}"] [data-count="${name}"]`).textContent());

/** Presses Tab until the focus returns to the start. Returns the focused elements. */
async function tabOrder(page) {
  await page.locator('h1').click();
  const names = [];
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press('Tab');
    const found = await page.evaluate(() => {
      const active = document.activeElement;
      if (!active?.closest('.playground')) return undefined;
      const { outlineStyle, outlineWidth } = getComputedStyle(active);
      const label = active.labels?.[0]?.textContent ?? active.textContent ?? '';
      return { name: label.trim().replace(/\s+/g, ' '), isVisible: outlineStyle !== 'none' && outlineWidth !== '0px' };
    });
    if (!found) {
      if (names.length > 0) break;
      continue;
    }
    assert.ok(found.isVisible, `no visible focus on "${found.name}"`);
    names.push(found.name);
  }
  return names;
}

try {
  for (const width of [400, 1280]) {
    for (const colorScheme of ['light', 'dark']) {
      const { page, noise, close } = await open({ viewport: { width, height: 900 }, colorScheme });
      await page.getByRole('button', { name: 'Run', exact: true }).click();
      await finished(page);
      assert.equal(await count(page, 'ours', 'refreshes'), 1);
      assert.equal(await count(page, 'ours', 'lost'), 0);
      assert.equal(await count(page, 'pair', 'lost'), 2);
      const pageWidth = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(pageWidth <= width, `at ${width} px the page is ${pageWidth} px wide`);
      if (screenshots)
        await page.screenshot({ path: join(screenshots, `${width}-${colorScheme}.png`), fullPage: true });

      assert.deepEqual(await tabOrder(page), [
        ...['Late 401s', 'No queue', 'Short tokens', 'Rate limit', 'All at once'],
        ...['Concurrent calls', 'Token life', 'Late 401s', 'Limit', 'Retry-After', 'flag and queue'],
        ...['Run', 'Copy link', 'Seed', 'Both runs in words'],
      ]);
      assert.deepEqual(noise, []);
      await close();
      checks++;
    }
  }

  {
    // The keyboard alone: a slider moves, both runs start anew, and the link has the value.
    const { page, noise, close } = await open({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce' });
    await finished(page);
    await page.getByLabel('Late 401s').focus();
    await page.keyboard.press('Home');
    await page.waitForFunction(
      () => document.querySelector('[data-side="pair"] [data-count="lost"]').textContent === '0',
    );
    assert.match(page.url(), /#.*late=0/);
    await page.getByRole('radio', { name: 'flag only' }).check();
    await page.waitForFunction(
      () => document.querySelector('[data-side="pair"] [data-count="lost"]').textContent === '24',
    );
    assert.equal(await count(page, 'ours', 'lost'), 0);
    // The link of a heading changes the hash, and nothing else. A link with settings runs them.
    await page.evaluate(() => document.querySelector('#what-to-look-for .header-anchor').click());
    await page.waitForURL(/#what-to-look-for$/);
    assert.equal(await page.getByRole('radio', { name: 'flag only' }).isChecked(), true);
    await page.evaluate(() => (location.hash = 'calls=5&late=0'));
    await page.waitForFunction(
      () => document.querySelector('[data-side="ours"] [data-count="calls"]').textContent === '10',
    );
    assert.deepEqual(noise, []);
    await close();
    checks++;
  }

  {
    // A link brings its settings, and the same link the same figures.
    const hash = '#calls=24&limit=5&late=0&hints=none&seed=7';
    const figures = [];
    for (let visit = 0; visit < 2; visit++) {
      const { page, close } = await open({ viewport: { width: 400, height: 900 }, reducedMotion: 'reduce' }, hash);
      await finished(page);
      assert.equal(await page.getByLabel('Concurrent calls').inputValue(), '24');
      assert.equal(await page.getByRole('radio', { name: 'none' }).isChecked(), true);
      figures.push(await page.locator('.playground .words').allTextContents());
      if (screenshots && visit === 0)
        await page.screenshot({ path: join(screenshots, '400-limit.png'), fullPage: true });
      await close();
    }
    assert.deepEqual(figures[0], figures[1]);
    checks++;
  }
  console.log(`playground: ${checks} checks in Chromium`);
} finally {
  await browser.close();
  server.close();
}
