/* global document */
// SWR retries by itself. attachAuth has tried already: both together would multiply.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import test, { after } from 'node:test';
import { skip, startChromium } from '../../support/chromium.mjs';
import { bundle } from '../support/bundle.mjs';

async function rig() {
  const script = await bundle('beside/swr-app.mjs');
  const counts = { '/api/orders': 0, '/other': 0 };
  const server = createServer(({ url }, response) => {
    if (url in counts) {
      counts[url]++;
      response.writeHead(503).end();
    } else if (url === '/app.js') response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(script);
    else
      response
        .writeHead(200, { 'Content-Type': 'text/html' })
        .end('<body><script type="module" src="/app.js"></script>');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  const page = await (await startChromium()).newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  return { page, counts };
}

test('SWR does not repeat a call that attachAuth has sent, and repeats another failure', { skip }, async () => {
  const { page, counts } = await rig();
  await page.waitForFunction(() => document.body.textContent.includes('503'));
  while (counts['/other'] < 4) await page.waitForTimeout(20);
  assert.deepEqual(counts, { '/api/orders': 3, '/other': 4 });
});
