/* global document */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import test, { after } from 'node:test';
import { skip, startChromium } from '../../support/chromium.mjs';
import { bundle } from '../support/bundle.mjs';
import { startProvider } from '../support/provider.mjs';

test('a page signs in by code with PKCE, and its session refreshes itself', { skip }, async () => {
  const script = await bundle('flows/page-app.mjs');
  let provider;
  let lastToken;
  /** Serves the page, and an API behind it that asks the provider about each token. */
  const server = createServer(async (request, response) => {
    const { authorization } = request.headers;
    const send = (status, type, body) => response.writeHead(status, { 'Content-Type': type }).end(body);
    if (request.url === '/app.js') return send(200, 'text/javascript', script);
    if (request.url === '/api/me') {
      lastToken = authorization?.replace('Bearer ', '');
      const answer = await fetch(`${provider.issuer}/me`, { headers: authorization ? { authorization } : {} });
      return send(answer.status, 'application/json', await answer.text());
    }
    return send(
      200,
      'text/html',
      `<!doctype html><body data-issuer="${provider.issuer}"><p id="status"></p><p id="names"></p>
       <button id="sign-in">Sign in</button><button id="load">Load</button><script type="module" src="/app.js"></script>`,
    );
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  const origin = `http://127.0.0.1:${server.address().port}`;
  provider = await startProvider({ redirectUri: `${origin}/callback`, pages: [origin] });

  const page = await (await startChromium()).newPage();
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
