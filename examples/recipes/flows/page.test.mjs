import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { startProvider } from '../support/provider.mjs';

const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL('page-app.mjs', import.meta.url))],
  bundle: true,
  format: 'esm',
  write: false,
});
let provider;
let lastToken;

/** Serves the page, and an API behind it that asks the provider about each token. */
const server = createServer(async (request, response) => {
  const { authorization } = request.headers;
  if (request.url === '/app.js') return response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(outputFiles[0].text);
  if (request.url === '/api/me') {
    lastToken = authorization?.replace('Bearer ', '');
    const answer = await fetch(`${provider.issuer}/me`, { headers: authorization ? { authorization } : {} });
    return response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(await answer.text());
  }
  response.writeHead(200, { 'Content-Type': 'text/html' }).end(
    `<!doctype html><body data-issuer="${provider.issuer}"><p id="status"></p><p id="names"></p>
     <button id="sign-in">Sign in</button><button id="load">Load</button><script type="module" src="/app.js"></script>`,
  );
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const origin = `http://127.0.0.1:${server.address().port}`;
provider = await startProvider({ redirectUri: `${origin}/callback`, pages: [origin] });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
});
after(async () => {
  await browser.close();
  server.close();
  server.closeAllConnections();
});

test('a page signs in by code with PKCE, and its session refreshes itself', async () => {
  const page = await browser.newPage();
  page.setDefaultTimeout(20_000);
  await page.goto(origin);
  await page.click('#sign-in');
  await page.waitForFunction(() => document.querySelector('#status')?.textContent === 'signed-in');
  assert.equal(page.url(), `${origin}/`);

  const load = async () => {
    await page.evaluate(() => (document.querySelector('#names').textContent = ''));
    await page.click('#load');
    await page.waitForFunction(() => document.querySelector('#names').textContent !== '');
    return page.textContent('#names');
  };
  const ten = Array(10).fill('ada').join();
  assert.equal(await load(), ten);
  await provider.killAccessToken(lastToken);
  assert.equal(await load(), ten);
  assert.deepEqual(provider.counts, { refreshes: 1, revoked: 0 });
});
