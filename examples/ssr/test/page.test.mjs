// The page in Chromium, at the size of a phone. The counts of the auth server decide, not the text of the page.
import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { createServers } from '../server/auth.mjs';
import { listen } from '../server/listen.mjs';
import { createApp } from '../src/app.mjs';
import { skip, startChromium } from '../../support/chromium.mjs';

test('a page, its reloads and two tabs at once stay signed in, and no script sees a token', { skip }, async () => {
  const { auth, api, counts } = createServers();
  const servers = [await listen(auth), await listen(api)];
  const [authUrl, apiUrl] = servers.map(({ origin }) => origin);
  servers.push(await listen(createApp({ authUrl, apiUrl })));
  after(() => servers.forEach((server) => server.close()));
  const address = `${servers.at(-1).origin}/account`;
  const context = await (await startChromium()).newContext({ viewport: { width: 400, height: 800 } });
  const page = await context.newPage();
  const noise = [];
  page.on('pageerror', (error) => noise.push(String(error)));

  // Without a session the page leads to the sign-in.
  await page.goto(address);
  assert.equal(page.url(), `${authUrl}/login?return=/account`);
  counts.unauthorized = 0;

  for (let visit = 1; visit <= 3; visit++) {
    await page.goto(address);
    assert.equal(await page.textContent('h1'), 'ada');
    assert.equal(counts.refreshes, visit);
  }
  const tabs = [page, await context.newPage()];
  await Promise.all(tabs.map((tab) => tab.goto(address)));
  for (const tab of tabs) assert.equal(await tab.textContent('li'), 'a book for ada');
  assert.equal(counts.refreshes, 5);
  assert.equal(counts.unauthorized, 0);

  assert.equal(await page.evaluate('document.cookie + localStorage.length'), '0');
  assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 400);
  assert.deepEqual(noise, []);
});
