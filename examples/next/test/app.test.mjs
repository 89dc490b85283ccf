// Drives the built app in Chromium. The log of the server decides, not the text of the page.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('..', import.meta.url));

let origin;
let server;
let browser;
let context;
/** The output of the server. */
let log;
/** The console output of the pages. */
let noise;

before(async () => {
  const port = await freePort();
  origin = `http://localhost:${port}`;
  const next = join(root, 'node_modules/next/dist/bin/next');
  const options = { cwd: root, env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1' } };
  execFileSync(process.execPath, [next, 'build'], options);
  server = spawn(process.execPath, [next, 'start', '--hostname', 'localhost', '--port', String(port)], options);
  log = [];
  await new Promise((resolve, reject) => {
    server.on('exit', (code) => reject(new Error(`next start ended with ${code}`)));
    server.stderr.on('data', (data) => log.push(`stderr ${data}`));
    server.stdout.on('data', (data) => {
      log.push(...String(data).trim().split('\n'));
      if (/Ready/.test(String(data))) resolve();
    });
  });
  const executablePath = (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'chromium'))
    .find((path) => existsSync(path));
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
});
after(async () => {
  await browser?.close();
  server?.removeAllListeners('exit');
  server?.kill();
});
beforeEach(async () => {
  log.length = 0;
  noise = [];
  context = await browser.newContext();
});
afterEach(async () => {
  await context.close();
  assert.deepEqual(noise, []);
  assert.deepEqual(
    log.filter((line) => line.startsWith('stderr')),
    [],
  );
});

function freePort() {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.listen(0, 'localhost', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

async function open(path) {
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  // Chromium reports each 4xx by itself.
  page.on('console', (message) => message.text().startsWith('Failed to load resource') || noise.push(message.text()));
  page.on('pageerror', (error) => noise.push(String(error)));
  await page.goto(origin + path);
  return page;
}

const refreshes = () => log.filter((line) => line === 'POST /auth/refresh').length;

test('the server renders `unknown` and the loading state, and makes no request', async () => {
  const html = await (await fetch(`${origin}/orders/7`)).text();
  assert.match(html, /<p id="status">unknown<\/p>/);
  assert.match(html, /One moment/);
  assert.doesNotMatch(html, /<h1>/);
  assert.equal(refreshes(), 0);
});

test('a server component that imports from /react gets a client reference', async () => {
  assert.match(
    await (await fetch(`${origin}/orders/7`)).text(),
    /<main data-kind="Symbol\(react\.client\.reference\)">/,
  );
});

test('without a session, hydration is clean and the fallback follows one probe', async () => {
  const page = await open('/orders/7');
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  assert.equal(await page.textContent('#status'), 'signed-out');
  assert.equal(refreshes(), 1);
});

test('with the cookie, a reload of a deep link hydrates cleanly and stays there', async () => {
  const page = await open('/orders/7');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Order 7' }).waitFor();
  for (let reload = 1; reload <= 3; reload++) {
    await page.reload();
    await page.getByRole('heading', { name: 'Order 7' }).waitFor();
    assert.equal(await page.textContent('#status'), 'signed-in');
    assert.equal(page.url(), `${origin}/orders/7`);
    assert.equal(refreshes(), 1 + reload);
  }
  await page.getByRole('button', { name: 'Who am I?' }).click();
  await page.getByText('ada').waitFor();
  assert.deepEqual(
    log.filter((line) => line.startsWith('GET /api/me')),
    ['GET /api/me 200'],
  );
});

test('a navigation between pages keeps the session, with one probe', async () => {
  const signedIn = await open('/orders/7');
  await signedIn.getByRole('button', { name: 'Sign in' }).click();
  await signedIn.getByRole('heading', { name: 'Order 7' }).waitFor();
  const before = refreshes();
  const page = await open('/');
  await page.getByRole('link', { name: 'Order 7' }).click();
  await page.getByRole('heading', { name: 'Order 7' }).waitFor();
  await page.goBack();
  await page.getByRole('link', { name: 'Order 7' }).click();
  await page.getByRole('heading', { name: 'Order 7' }).waitFor();
  assert.equal(refreshes() - before, 1);
});
