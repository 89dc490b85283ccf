import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { bearer } from '../lib/index.js';
import { bundle, isChromiumInstalled, startChromium } from './support/chromium.js';
import { challenge, token } from './support/dead-session.js';
import { App } from './support/react-app.js';
import type * as pageModule from './support/react-page.js';
import { reply, serve, type Handler, type Recorder, type Seen } from './support/serve.js';

const isHere = isChromiumInstalled();
if (!isHere && process.env['REQUIRE_REAL'] === '1') throw new Error('REQUIRE_REAL=1, but there is no chromium');

const script = isHere ? bundle('support/react-page.ts', 'page') : '';

declare const page: typeof pageModule;

let browser: Browser | undefined;
let context: BrowserContext;
let site: Recorder;
/** All console output and uncaught errors of a page. */
let noise: string[];
/** The tokens that the API accepts. */
let good: Set<string>;
let isOutOfOrder: boolean;

beforeAll(async () => {
  if (isHere) browser = await startChromium();
});
afterAll(() => browser?.close());
beforeEach(async () => {
  if (!browser) return;
  noise = [];
  good = new Set();
  isOutOfOrder = false;
  site = await serve(answer);
  context = await browser.newContext();
});
afterEach(async () => {
  if (!browser) return;
  await context.close();
  await site.close();
});

const answer: Handler = (seen, response) => {
  const [path] = seen.url.split('?');
  if (path === '/page.js') return void response.end(script);
  if (path === '/favicon.ico') return void response.end();
  if (path === '/auth/refresh') {
    if (isOutOfOrder) return reply(response, 503);
    if (!seen.headers.cookie?.includes('sid=')) return reply(response, 401);
    const accessToken = `token-${String(refreshes())}`;
    good.add(accessToken);
    return reply(response, 200, { access_token: accessToken, expires_in: 3600 });
  }
  if (path === '/api/me') {
    const isGood = good.has(token(seen) ?? '');
    return reply(response, isGood ? 200 : 401, {}, isGood ? {} : challenge);
  }
  response.setHeader('Content-Type', 'text/html');
  response.end(`<!doctype html><div id="root">${html(seen)}</div><script src="/page.js"></script>`);
};

/** The server renders without the session, which is in the browser only. */
function html({ url }: Seen): string {
  if (!url.includes('ssr')) return '';
  return renderToString(
    createElement(App, {
      session: bearer({ refresh: () => null }),
      kind: url.includes('two-snapshots') ? 'two-snapshots' : 'hook',
    }),
  );
}

/** The cookie of an earlier sign-in, which no script can read. */
async function signIn(): Promise<void> {
  await context.addCookies([{ name: 'sid', value: 'alice', url: site.origin, httpOnly: true, sameSite: 'Strict' }]);
}

async function open(path: string): Promise<Page> {
  const tab = await context.newPage();
  // React advertises its tools, and Chromium reports the 401 of a probe.
  const isExpected = /^(?:%cDownload the React DevTools|Failed to load resource)/;
  tab.on('console', (message) => isExpected.test(message.text()) || noise.push(message.text()));
  tab.on('pageerror', (error) => noise.push(String(error)));
  await tab.goto(site.origin + path);
  return tab;
}

const address = (tab: Page): string => tab.url().replace(site.origin, '');
const refreshes = (): number => site.seen.filter(({ url }) => url === '/auth/refresh').length;
const rendersOf = (tab: Page): Promise<Record<string, number>> => tab.evaluate(() => ({ ...page.renders }));

(isHere ? describe : describe.skip)('React in Chromium', () => {
  test('hydration of a signed-in page is clean, and ends signed in', async () => {
    await signIn();
    const tab = await open('/orders/7?ssr');
    await tab.waitForSelector('#protected');
    expect(await tab.textContent('output')).toBe('signed-in');
    expect(noise).toEqual([]);
  });

  // The session that the storage holds is there before React hydrates.
  test('hydration is clean with a session that is known at once', async () => {
    await signIn();
    const tab = await open('/orders/7?ssr&store');
    await tab.waitForSelector('#protected');
    await tab.reload();
    await tab.waitForSelector('#protected');
    expect(noise).toEqual([]);
    expect(refreshes()).toBe(1);
  });

  test('a wrong recipe with two snapshots fails hydration', async () => {
    await signIn();
    const tab = await open('/orders/7?ssr&store');
    await tab.waitForSelector('#protected');
    await tab.goto(`${site.origin}/orders/7?ssr&store&two-snapshots`);
    await tab.waitForFunction(() => document.querySelector('output')?.textContent === 'signed-in');
    expect(noise.join()).toMatch(/hydrat/i);
  });

  test('a reload of a deep link stays there: the fallback is never rendered', async () => {
    await signIn();
    const tab = await open('/orders/7?tab=lines&ssr#total');
    for (let load = 0; load < 3; load++) {
      await tab.waitForSelector('#protected');
      expect(address(tab)).toBe('/orders/7?tab=lines&ssr#total');
      expect((await rendersOf(tab))['fallback']).toBeUndefined();
      await tab.reload();
    }
  });

  test('without a session, the fallback redirects after one probe', async () => {
    const tab = await open('/orders/7?ssr');
    await tab.waitForSelector('#sign-in');
    expect(await tab.textContent('#sign-in')).toBe('signed-out');
    expect(address(tab)).toBe('/login');
    expect(refreshes()).toBe(1);
    expect(noise).toEqual([]);
  });

  test.each(['/?ssr', '/'])('twelve components under StrictMode send one probe: %s', async (path) => {
    await signIn();
    const tab = await open(path);
    await tab.waitForSelector('#protected');
    expect(await tab.evaluate(() => page.call('/api/me'))).toBe(200);
    expect(refreshes()).toBe(1);
  });

  test('a component that selects the status renders 0 times per refresh', async () => {
    await signIn();
    const tab = await open('/');
    await tab.waitForSelector('#protected');
    expect(await tab.evaluate(() => page.call('/api/me'))).toBe(200);
    const before = await rendersOf(tab);
    for (let refresh = 0; refresh < 5; refresh++) {
      good.clear();
      expect(await tab.evaluate(() => page.call('/api/me'))).toBe(200);
    }
    expect(refreshes()).toBe(6);
    const after = await rendersOf(tab);
    expect(after['status']).toBe(before['status']);
    // A component that reads the whole snapshot renders at the begin and end of each refresh, twice under StrictMode.
    expect(after['whole']! - before['whole']!).toBeGreaterThanOrEqual(10);
  });

  // F41 F72
  test('a sign-out in one tab renders the fallback of the other', async () => {
    await signIn();
    const [one, other] = [await open('/orders/1?store'), await open('/orders/2?store')];
    await one.waitForSelector('#protected');
    await other.waitForSelector('#protected');
    await one.evaluate(() => page.session.signOut());
    for (const tab of [one, other]) {
      await tab.waitForSelector('#sign-in');
      expect(address(tab)).toBe('/login');
    }
    expect(refreshes()).toBe(1);
  });

  test('two roots that suspend share one probe, and unmounting one during a refresh does not affect the other', async () => {
    await signIn();
    const tab = await open('/?manual');
    await tab.evaluate(() => {
      page.mount('one');
      page.mount('other');
    });
    for (const root of ['one', 'other']) await tab.waitForSelector(`#${root} #protected`);
    expect(refreshes()).toBe(1);
    const refreshed = tab.evaluate(() => {
      const done = page.session.refresh();
      page.unmount('one');
      return done;
    });
    await refreshed;
    expect(refreshes()).toBe(2);
    await tab.evaluate(() => page.session.signOut());
    await tab.waitForSelector('#other #sign-in');
    expect(await tab.textContent('#one')).toBe('');
    expect(noise).toEqual([]);
  });

  test('a page that starts offline waits, and signs in when it is online', async () => {
    await signIn();
    const tab = await open('/orders/7?manual');
    await context.setOffline(true);
    await tab.evaluate(() => page.start());
    await tab.waitForSelector('#loading');
    await tab.evaluate(() => page.session.getAccessToken().catch(() => undefined));
    expect(await tab.textContent('output')).toBe('unknown');
    expect(address(tab)).toBe('/orders/7?manual');
    await context.setOffline(false);
    await tab.waitForSelector('#protected');
    expect(refreshes()).toBe(1);
    expect((await rendersOf(tab))['fallback']).toBeUndefined();
  });

  test('a server that fails at the start gets another probe', async () => {
    await signIn();
    isOutOfOrder = true;
    const tab = await open('/orders/7');
    await tab.evaluate(() => page.session.getAccessToken().catch(() => undefined));
    expect(await tab.textContent('output')).toBe('unknown');
    isOutOfOrder = false;
    await tab.evaluate(() => dispatchEvent(new Event('focus')));
    await tab.waitForSelector('#protected');
    expect(address(tab)).toBe('/orders/7');
  });
});
