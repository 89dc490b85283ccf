// Drives the built app in Chromium. The log of the server decides, not the text of the page.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { startServer } from '../server/start.mjs';
import { inspect, startChromium } from './browser.mjs';

let browser;
let context;
let server;
/** Errors of the pages. */
let noise;

before(async () => {
  browser = await startChromium();
});
after(() => browser?.close());
beforeEach(async () => {
  server = await startServer({ mode: 'built' });
  context = await browser.newContext({ viewport: { width: 1000, height: 800 } });
  noise = [];
});
afterEach(async () => {
  await context.close();
  await server.close();
  assert.deepEqual(noise, []);
});

/** Requests by method and URL, and their status. */
const sent = (pattern, status) =>
  server.log.filter(
    (entry) => pattern.test(`${entry.method} ${entry.url}`) && (status === undefined || entry.status === status),
  ).length;
const refreshes = () => sent(/^POST \/auth\/refresh/);
const reuses = () => sent(/^REUSE/);
const orders = (status) => sent(/^GET \/api\/orders\/\d+/, status);
const address = (page) => page.url().replace(server.origin, '');

async function open(path = '/') {
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  // Chromium reports each 4xx and 5xx by itself.
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) noise.push(message.text());
  });
  page.on('pageerror', (error) => noise.push(String(error)));
  await page.goto(server.origin + path);
  return page;
}

async function fillIn(page, password = 'lovelace') {
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

async function openSignedIn(path = '/') {
  const page = await open(path);
  await fillIn(page);
  await page.getByText('Signed in as ada').waitFor();
  await page.waitForURL(server.origin + path);
  return page;
}

const click = (page, name) => page.getByRole('button', { name }).click();
const report = (page, text) => page.getByText(text).waitFor();

test('a protected address leads to the sign-in page, and back to that address', async () => {
  const page = await openSignedIn('/orders/7?print=1#total');
  await page.getByRole('heading', { name: 'Order 7' }).waitFor();
  assert.equal(address(page), '/orders/7?print=1#total');
  assert.equal(refreshes(), 1);
  assert.deepEqual(await inspect(page, 'order'), []);
});

test('a wrong password is reported, and starts no refresh', async () => {
  const page = await open();
  await fillIn(page, 'wrong');
  await page.getByRole('alert').filter({ hasText: 'wrong' }).waitFor();
  assert.equal(sent(/login/, 401), 1);
  assert.equal(refreshes(), 1);
  assert.deepEqual(await inspect(page, 'sign-in'), []);
});

test('thirty parallel requests need no refresh', async () => {
  const page = await openSignedIn();
  const before = refreshes();
  await click(page, 'Load thirty orders');
  await report(page, '30 of 30 loaded, 0 sent twice, 0 failed.');
  assert.equal(orders(), 30);
  assert.equal(refreshes(), before);
  assert.deepEqual(await inspect(page, 'orders'), []);
});

test('a token that expires during the calls costs one refresh, and every order arrives', async () => {
  const page = await openSignedIn();
  await page.getByRole('link', { name: 'Order 30' }).waitFor();
  const before = refreshes();
  await click(page, 'expire the token after ten');
  await report(page, /30 of 30 loaded, \d+ sent twice, 0 failed/);
  assert.equal(orders(200), 30);
  assert.ok(orders(401) > 0);
  assert.equal(orders(), 30 + orders(401));
  assert.equal(refreshes() - before, 1);
});

test('two tabs share one refresh, and no refresh token is used twice', async () => {
  const one = await openSignedIn();
  const other = await open();
  await other.getByRole('link', { name: 'Order 30' }).waitFor();
  for (let round = 0; round < 5; round++) {
    const before = refreshes();
    await one.evaluate(() => fetch('/demo/expire-after/0', { method: 'POST' }));
    await Promise.all([one, other].map((page) => click(page, 'Load thirty orders')));
    while (orders(200) < 60 * (round + 1)) await one.waitForTimeout(20);
    assert.equal(refreshes() - before, 1);
  }
  assert.equal(reuses(), 0);
});

test('a sign-out in one tab signs the other out, and the cookie is gone', async () => {
  const one = await openSignedIn('/orders/1');
  const other = await open('/orders/2');
  await other.getByRole('heading', { name: 'Order 2' }).waitFor();
  await click(one, 'Sign out');
  for (const page of [one, other]) await page.waitForURL('**/sign-in');
  await one.waitForTimeout(100);
  assert.equal(sent(/logout/, 204), 1);
  assert.deepEqual(await context.cookies(`${server.origin}/auth`), []);
  await other.reload();
  await other.getByRole('heading', { name: 'Sign in' }).waitFor();
  // The other tab goes back to its own page.
  const before = refreshes();
  await fillIn(other);
  await other.getByText('Signed in as ada').waitFor();
  await one.getByRole('heading', { name: 'Order 1' }).waitFor();
  assert.equal(refreshes(), before);
});

test('after the end of a session on the server the page asks to sign in again, and returns to the same address', async () => {
  const page = await openSignedIn();
  await page.getByRole('link', { name: 'Order 30' }).waitFor();
  const before = refreshes();
  await click(page, 'End my session');
  await page.getByText('Your session has expired').waitFor();
  assert.equal(refreshes() - before, 1);
  assert.deepEqual(await inspect(page, 'expired'), []);
  await fillIn(page);
  await page.getByRole('heading', { name: 'Your orders' }).waitFor();
  assert.equal(address(page), '/');
});

test('with the cookie alone, a reload of a deep link keeps its address', async () => {
  const page = await openSignedIn('/orders/7');
  const visited = [];
  page.on('framenavigated', () => visited.push(address(page)));
  await page.evaluate(() => localStorage.clear());
  const before = refreshes();
  await page.reload();
  await page.getByText('Signed in as ada').waitFor();
  await page.getByRole('heading', { name: 'Order 7' }).waitFor();
  assert.deepEqual([...new Set(visited)], ['/orders/7']);
  assert.equal(refreshes() - before, 1);
});

test('a server that is down at the start gets another probe, and the deep link is kept', async () => {
  const page = await openSignedIn('/orders/7');
  await page.evaluate(() => localStorage.clear());
  server.setDown(true);
  await page.reload();
  await page.getByText('One moment').waitFor();
  while (sent(/refresh/, 503) === 0) await page.waitForTimeout(50);
  assert.equal(address(page), '/orders/7');
  server.setDown(false);
  await page.getByRole('heading', { name: 'Order 7' }).waitFor();
  assert.equal(address(page), '/orders/7');
});

test('retries do not multiply: attachAuth sends a call four times, and TanStack Query adds none', async () => {
  const page = await openSignedIn();
  await page.getByRole('link', { name: 'Order 30' }).waitFor();
  server.setDown(true);
  await page.getByRole('link', { name: 'Order 30' }).click();
  await page.getByRole('alert').waitFor();
  assert.equal(sent(/^GET \/api\/orders\/30/, 503), 4);
  assert.deepEqual(await inspect(page, 'failed'), []);
  server.setDown(false);
  await click(page, 'Try again');
  await page.getByText('Grace').or(page.getByText('Alan')).waitFor();
  assert.equal(sent(/^GET \/api\/orders\/30/), 5);
});

test('`npm start` serves the sources: StrictMode runs effects twice there, and one probe is sent', async () => {
  await server.close();
  server = await startServer({ mode: 'development' });
  const page = await open('/orders/7');
  page.setDefaultTimeout(60_000);
  await fillIn(page);
  await page.getByRole('heading', { name: 'Order 7' }).waitFor();
  assert.equal(refreshes(), 1);
});
