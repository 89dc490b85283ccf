import type { Browser, BrowserContext, Frame, Page } from 'playwright-core';
import { bundle, isChromiumInstalled, startChromium } from './support/chromium.js';
import { challenge, token } from './support/dead-session.js';
import { cases, rounds } from './support/rounds.js';
import { reply, serve, type Handler, type Recorder, type Seen } from './support/serve.js';
import { times } from './support/series.js';
import { TokenEndpoint } from './support/token-endpoint.js';
import { VirtualClock } from './support/virtual-clock.js';
import type * as tabModule from './support/web-tab.js';

const isHere = isChromiumInstalled();
if (!isHere && process.env['REQUIRE_REAL'] === '1') throw new Error('REQUIRE_REAL=1, but there is no chromium');

const script = isHere ? bundle('support/web-tab.ts', 'tab') : '';
/** Plain http beyond loopback, where a page has no Web Locks. */
const INSECURE = 'http://app.internal';

declare const tab: typeof tabModule;

let browser: Browser | undefined;
let context: BrowserContext;
let site: Recorder;
let endpoint: TokenEndpoint;
/** The tabs that asked for tokens, in order. */
let askers: string[];
/** Returns true to leave this token request unanswered. */
let isLost: () => boolean;
/** Returns true to delay responses until release(). */
let isHeld: () => boolean;
let release: () => void;

// A busy machine must not fail the test.
jest.setTimeout(120_000);
beforeAll(async () => {
  if (isHere) browser = await startChromium();
});
afterAll(() => browser?.close());
beforeEach(async () => {
  if (!browser) return;
  endpoint = new TokenEndpoint(new VirtualClock());
  askers = [];
  isLost = isHeld = () => false;
  release = () => undefined;
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
  if (path === '/page' || path === '/embedding') {
    const frame = `<iframe src="${atLocalhost()}/page#frame"></iframe>`;
    response.setHeader('Content-Type', 'text/html');
    return void response.end(`<!doctype html>${path === '/page' ? '<script src="/page.js"></script>' : frame}`);
  }
  if (path === '/token') {
    const asked = JSON.parse(String(seen.body)) as { refresh_token: string | null; tab: string };
    askers.push(asked.tab);
    if (isLost()) return;
    const { status, data } = endpoint.answer(asked.refresh_token ?? undefined);
    const send = (): void => {
      reply(response, status, data);
    };
    // Responses are slow, so that calls wait.
    if (isHeld()) release = send;
    else setTimeout(send, 20);
    return;
  }
  const isLetIn = endpoint.accepts(token(seen)) !== undefined;
  reply(response, isLetIn ? 200 : 401, {}, isLetIn ? {} : challenge);
};

const atLocalhost = (): string => site.origin.replace('127.0.0.1', 'localhost');

/** Tabs of one browser, each in its own process. The first one signs in. */
async function openTabs(count: number, origin = site.origin, query = ''): Promise<Page[]> {
  if (origin === INSECURE)
    await context.route(`${INSECURE}/**`, (route) =>
      route.continue({ url: route.request().url().replace(INSECURE, site.origin) }),
    );
  const pages = await Promise.all(times(count, () => context.newPage()));
  const go = (page: Page, index: number): Promise<unknown> => page.goto(`${origin}/page?${query}#${String(index)}`);
  await go(pages[0]!, 0);
  await pages[0]!.evaluate((tokens) => tab.scheme.signIn(tokens), endpoint.issue());
  await Promise.all(pages.slice(1).map((page, index) => go(page, index + 1)));
  for (const page of pages) await status(page, 'signed-in');
  return pages;
}

const call = (page: Page | Frame, path?: string): Promise<unknown> => page.evaluate((to) => tab.call(to), path);

/** What a tab sees in the storage. */
const generationIn = (page: Page): Promise<number> =>
  page.evaluate(() => (JSON.parse(localStorage.getItem('session')!) as { generation: number }).generation);

async function status(page: Page | Frame, expected: string): Promise<void> {
  await page.waitForFunction((wanted) => tab.status() === wanted, expected);
}

/** The server revokes the access token, and every tab calls at once. */
async function expire(pages: readonly Page[]): Promise<void> {
  const before = endpoint.refreshes;
  endpoint.revokeAll();
  expect(await Promise.all(pages.map((page) => call(page)))).toEqual(pages.map(() => 200));
  expect(endpoint.refreshes - before).toBe(1);
}

function expectOneRefreshEach(): void {
  expect(endpoint.asks.map(({ outcome }) => outcome)).toEqual(endpoint.asks.map(() => 'issued'));
}

(isHere ? describe : describe.skip)('tabs of Chromium', () => {
  // F30
  test.each(
    cases(2, [
      [2, rounds(4, 34)],
      [8, rounds(4, 33)],
      [4, rounds(4, 33)],
    ]),
  )('%i of them refresh once for each of %i expiries', async (count, expiries) => {
    const pages = await openTabs(count);
    for (let expiry = 0; expiry < expiries; expiry++) await expire(pages);
    expectOneRefreshEach();
  });

  test.each([rounds(2, 4)])(
    '%i of them with one key share a sealed session, and no token can be read in localStorage',
    async (count) => {
      const pages = await openTabs(count, site.origin, `key=${'5a'.repeat(32)}`);
      for (let expiry = 0; expiry < rounds(2, 5); expiry++) {
        await expire(pages);
        const stored = await pages[0]!.evaluate(() => JSON.stringify(localStorage));
        expect(stored).toContain('a256gcm.');
        expect(stored).not.toContain('alice');
      }
      expectOneRefreshEach();
    },
  );

  // F130
  test.each([rounds(3, 4)])(
    'calls of %i of them reject before a late response, and all use its tokens when it is stored',
    async (count) => {
      const pages = await openTabs(count, site.origin, 'refreshTimeoutMs=300');
      isHeld = () => askers.length === 1;
      endpoint.revokeAll();
      for (let round = 0; round < 2; round++) {
        const outcomes = await Promise.all(pages.map((page) => call(page)));
        for (const outcome of outcomes) expect(outcome).toMatch(/The refresh failed, the session is kept/);
      }
      expect(askers).toHaveLength(1);
      release();
      let outcomes: unknown[];
      do outcomes = await Promise.all(pages.map((page) => call(page)));
      while (outcomes.some((outcome) => outcome !== 200));
      expectOneRefreshEach();
      expect(askers).toHaveLength(1);
    },
  );

  // F32
  test.each([
    [
      'crashes',
      async (page: Page) => void (await context.newCDPSession(page)).send('Page.crash').catch(() => undefined),
    ],
    ['is closed', (page: Page) => page.close()],
  ])('if the one that refreshes %s, another refreshes at once', async (_how, end) => {
    const pages = await openTabs(3);
    isLost = () => askers.length === 1;
    endpoint.revokeAll();
    const calls = pages.map((page) => call(page).catch(() => 'gone'));
    await until(() => askers.length > 0);
    await end(pages[Number(askers[0])]!);
    // The lock would be waited for 10 s at most, and then the calls would fail.
    expect((await Promise.all(calls)).sort()).toEqual([200, 200, 'gone']);
    expect(askers).toHaveLength(2);
    expectOneRefreshEach();
    await expire(pages.filter((_, index) => index !== Number(askers[0])));
  });

  // F35
  test('a frozen tab delays no other tab, and uses the tokens of the others when it continues', async () => {
    const pages = await openTabs(3);
    const others = pages.slice(0, 2);
    await whileStopped(pages[2]!, async () => {
      for (let expiry = 0; expiry < rounds(2, 5); expiry++) await expire(others);
    });
    const before = endpoint.refreshes;
    // The browser delivers the writes that it has missed one by one.
    const last = await generationIn(pages[0]!);
    while ((await generationIn(pages[2]!)) !== last);
    expect(await call(pages[2]!)).toBe(200);
    expect(endpoint.refreshes).toBe(before);
    expectOneRefreshEach();
  });

  // F35
  test('calls of other tabs reject in time if a tab freezes during its refresh, and use its tokens when it continues', async () => {
    const pages = await openTabs(3, site.origin, 'refreshTimeoutMs=2000');
    isHeld = () => true;
    endpoint.revokeAll();
    const calls = pages.map((page) => call(page));
    await until(() => askers.length > 0);
    const holder = Number(askers[0]);
    const waiting = calls.filter((_, index) => index !== holder);
    await whileStopped(pages[holder]!, async () => {
      release();
      isHeld = () => false;
      for (const outcome of await Promise.all(waiting)) expect(outcome).toMatch(/another holder of the store/);
      // Its own time limit has passed. It gets that timer before the response.
      await new Promise((resolve) => setTimeout(resolve, 2_000));
    });
    // The call may have timed out. Its tokens are stored anyway.
    await calls[holder];
    for (const page of pages)
      while ((await call(page)) !== 200) await new Promise((resolve) => setTimeout(resolve, 100));
    expect(askers).toHaveLength(1);
    expectOneRefreshEach();
  });

  // F41 F72: a visible page cannot be frozen. So one tab gets no events until a `resume`.
  test('a sign-out applies to every tab, and a tab without events sends no token when it resumes', async () => {
    await context.addInitScript(() => {
      if (location.hash !== '#3') return;
      addEventListener('storage', (event) => event.stopImmediatePropagation(), true);
      Reflect.deleteProperty(globalThis, 'BroadcastChannel');
    });
    const pages = await openTabs(4);
    const suspended = pages[3]!;
    expect(await call(suspended)).toBe(200);
    await pages[0]!.evaluate(() => tab.scheme.signOut());
    for (const page of pages.slice(0, 3)) await status(page, 'signed-out');
    expect(await suspended.evaluate(() => tab.status())).toBe('signed-in');
    // The app calls at that event.
    await suspended.evaluate(() => document.dispatchEvent(new Event('resume')));
    await until(() => sentBy('3', '/resumed').length > 0);
    expect(await Promise.all(pages.map((page) => call(page)))).toEqual([401, 401, 401, 401]);
    expect([...sentBy('3', '/resumed'), ...sentBy('3', '/me').slice(1)].map(token)).toEqual([undefined, undefined]);
    expect(endpoint.refreshes).toBe(0);
  });

  // F69 F72
  test.each(['signOut', 'signIn'] as const)(
    '%s() that is not awaited is stored although the page is left at once',
    async (what) => {
      for (let round = 0; round < rounds(6, 20); round++) {
        const [page] = await openTabs(1);
        await page!.evaluate(
          ([method, next]) => {
            setTimeout(() => {
              void tab.scheme[method](next);
              location.href = '/page?left#left';
            });
          },
          [what, endpoint.issue('bob')] as const,
        );
        await page!.waitForURL('**/page?left#left');
        const stored = await page!.evaluate(() => localStorage.getItem('session')!);
        expect(stored).toContain(what === 'signOut' ? '"tokens":null' : 'bob-a');
        await page!.evaluate(() => {
          localStorage.clear();
        });
        await page!.close();
      }
    },
  );

  test('a sign-out does not wait for the refresh of another tab, and wins over it', async () => {
    const pages = await openTabs(2);
    isLost = () => true;
    endpoint.revokeAll();
    const waiting = call(pages[0]!);
    await until(() => askers.length > 0);
    await pages[1]!.evaluate(() => tab.scheme.signOut());
    // The refresh would be given up after 10 s.
    expect(await waiting).toMatch(/was signed out/);
    await status(pages[0]!, 'signed-out');
  });

  // F37
  test('a frame of another site has its own session', async () => {
    const [own] = await openTabs(1, atLocalhost());
    const embedding = await context.newPage();
    await embedding.goto(`${site.origin}/embedding`);
    const frame = embedding.frames()[1]!;
    // Its store is empty, and `refresh` was not called yet.
    await status(frame, 'unknown');
    await frame.evaluate((tokens) => tab.scheme.signIn(tokens), endpoint.issue('bob'));
    await expire([own!]);
    await frame.evaluate(() => tab.scheme.signOut());
    await status(own!, 'signed-in');
    await expire([own!]);
    expectOneRefreshEach();
  });

  // F36
  test('without Web Locks, on plain http, a claim in the storage limits them to one refresh each', async () => {
    const pages = await openTabs(4, INSECURE);
    expect(await pages[0]!.evaluate(() => 'locks' in navigator)).toBe(false);
    for (let expiry = 0; expiry < rounds(2, 5); expiry++) await expire(pages);
    await pages[0]!.evaluate(() => tab.scheme.signOut());
    for (const page of pages) await status(page, 'signed-out');
    expect(await pages[0]!.evaluate(() => Object.keys(localStorage))).toEqual(['session']);
    expectOneRefreshEach();
  });
});

/** The process of a page: the one whose CPU time grows while the page is busy. */
async function processOf(page: Page): Promise<number> {
  const session = await browser!.newBrowserCDPSession();
  const times = async (): Promise<Map<number, number>> => {
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    const renderers = processInfo.filter(({ type }) => type === 'renderer');
    return new Map(renderers.map(({ id, cpuTime }) => [id, cpuTime]));
  };
  const before = await times();
  await page.evaluate(() => {
    const end = performance.now() + 200;
    while (performance.now() < end);
  });
  const spent = [...(await times())].map(([id, time]) => ({ id, time: time - (before.get(id) ?? time) }));
  return spent.sort((one, other) => other.time - one.time)[0]!.id;
}

async function whileStopped(page: Page, work: () => Promise<void>): Promise<void> {
  const id = await processOf(page);
  process.kill(id, 'SIGSTOP');
  try {
    await work();
  } finally {
    process.kill(id, 'SIGCONT');
  }
}

/** The requests of a tab to the API. */
function sentBy(name: string, path: string): Seen[] {
  return site.seen.filter(({ url, headers }) => url === path && headers['x-tab'] === name);
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}
