import type { Browser, ConsoleMessage, Page } from 'playwright-core';
import { inTurn } from '../support/answers.js';
import { bundle, isChromiumInstalled, startChromium } from '../support/chromium.js';
import { token } from '../support/dead-session.js';
import { isFull } from '../support/rounds.js';
import { reply, type Handler } from '../support/serve.js';
import { describeBehaviour } from './behaviour.js';
import { open, type Host, type Play } from './host.js';
import { tokenApi, type Lab } from './lab.js';
import { CANARY } from './scenarios/secrecy.js';

const isHere = isChromiumInstalled();
if (!isHere && process.env['REQUIRE_REAL'] === '1') throw new Error('REQUIRE_REAL=1, but there is no chromium');

const wanted = process.env['AXIOS_ADAPTER'];
const adapters = (['xhr', 'fetch'] as const).filter((name) => name === (wanted ?? name));

const script = isHere ? bundle('browser/scenarios/index.ts', 'scenarios', process.env['AXIOS_VERSION']) : '';

let browser: Browser | undefined;
let page: Page;
/** All that the page wrote to its console, and its unhandled rejections. */
const noise: string[] = [];

beforeAll(async () => {
  if (!isHere) return;
  browser = await startChromium();
  page = await browser.newPage();
  page.on('console', (message) => isOfThePage(message) && noise.push(message.text()));
  page.on('pageerror', (error) => noise.push(String(error)));
});
afterAll(() => browser?.close());
afterEach(() => {
  expect(noise.splice(0)).toEqual([]);
});

const welcome: Handler = (_, response) => reply(response, 200);

/** Chromium logs every failed request. That log must not contain a secret. */
function isOfThePage(message: ConsoleMessage): boolean {
  const text = message.text();
  const isOfChromium = /^(Failed to load resource|Access to (XMLHttpRequest|fetch) at)/.test(text);
  return !isOfChromium || text.includes(CANARY);
}

/** Runs scenarios in a page of the API's own origin, or of a third origin. */
function hostIn(adapter: 'xhr' | 'fetch', home: 'same-origin' | 'cross-origin'): Host {
  return {
    adapter,
    script,
    async player({ api, foreign }: Lab) {
      await page.goto(`${home === 'same-origin' ? api.origin : foreign.origin}/page`);
      const setting = { api: api.origin, foreign: foreign.origin, adapter };
      const play: Play = (name, ...given) =>
        page.evaluate(
          ([called, details]) => {
            const { scenarios } = globalThis as unknown as {
              scenarios: Record<string, (...details: unknown[]) => Promise<never>>;
            };
            // A debugger may bypass the policy of the page. A timer may not.
            return new Promise<never>((resolve, reject) => {
              setTimeout(() => void scenarios[called]!(...details).then(resolve, reject));
            });
          },
          [name as string, [setting, ...given] as unknown[]] as const,
        );
      return play;
    },
  };
}

(isHere ? describe : describe.skip).each(adapters)('in Chromium, over the %s adapter', (adapter) => {
  // Over axios's own choice in browsers. With FULL=1 over both adapters, and from another origin, too.
  for (const home of ['same-origin', 'cross-origin'] as const) {
    if (!isFull && (adapter === 'fetch' || home === 'cross-origin')) continue;
    describe(home, () => {
      describeBehaviour(hostIn(adapter, home));
    });
  }

  const host = hostIn(adapter, 'cross-origin');

  // F82
  test('a 429 whose Retry-After CORS hides is retried after a backoff', async () => {
    const at: number[] = [];
    const throttled: Handler = (_, response) => {
      at.push(performance.now());
      reply(response, at.length < 3 ? 429 : 200, {}, { 'Retry-After': '1' });
    };
    const { play } = await open(host, throttled, { cors: {} });
    const facts = await play('failing', 'POST', '/x');
    expect(facts).toMatchObject({ status: 200, attempts: 3, reasons: ['throttled', 'throttled'] });
    expect(facts.waitedMs).toBeGreaterThan(0);
  });

  // xhr cannot bypass the cache, which is documented.
  (adapter === 'fetch' ? test : test.skip)('a retry does not get a cacheable refusal from the cache', async () => {
    const refusal = [429, { 'Retry-After': '1', 'Cache-Control': 'max-age=60' }] as const;
    const { play, calls } = await open(host, inTurn(refusal, 200));
    expect(await play('failing', 'GET', '/x')).toMatchObject({ status: 200, attempts: 2, reasons: ['throttled'] });
    expect(calls()).toHaveLength(2);
  });

  test('a 401 whose challenge CORS hides starts a refresh', async () => {
    const { play, calls } = await open(host, tokenApi(), { cors: {} });
    expect(await play('storm')).toHaveLength(20);
    expect(calls('/token')).toHaveLength(1);
  });

  // F83
  test.each([401, 500])('a preflight that is answered %s is a network error: no refresh', async (preflight) => {
    const { play, calls, api } = await open(host, tokenApi(), { cors: { preflight } });
    expect(await play('withSession', '/x')).toMatchObject({ code: 'ERR_NETWORK', attempts: 2, reasons: ['network'] });
    expect(calls()).toEqual([]);
    expect(api.seen.some(({ method }) => method === 'OPTIONS')).toBe(true);
  });

  test('a response that CORS blocks is a network error, without a credential on it', async () => {
    const { play } = await open(host, welcome, { cors: { isAllowed: false } });
    expect(await play('leaks', '/x')).toEqual({ traces: [], isError: true });
  });

  // F84
  test('a replay does not get a cacheable 401 from the cache', async () => {
    const cached = tokenApi((seen, response) => {
      if (seen.url === '/x' && token(seen) === 'dead') response.setHeader('Cache-Control', 'max-age=60');
      return false;
    });
    const { play, calls } = await open(host, cached);
    expect(await play('withSession', '/x')).toMatchObject({ status: 200, attempts: 2 });
    expect(calls('/x').map(token)).toEqual(['dead', 'good']);
  });

  test('an offline page gets network errors, and its session is kept and works online again', async () => {
    const { play, calls } = await open(host, tokenApi());
    await page.context().setOffline(true);
    try {
      expect(await play('failing', 'GET', '/x')).toMatchObject({
        code: 'ERR_NETWORK',
        attempts: 2,
        reasons: ['network'],
      });
      expect(await play('failing', 'POST', '/x')).toMatchObject({ code: 'ERR_NETWORK', reason: 'not-idempotent' });
      expect(await play('refreshFails')).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED', status: 'signed-in' });
      expect(calls()).toEqual([]);
    } finally {
      await page.context().setOffline(false);
    }
    expect(await play('bearerToken')).toMatchObject({ status: 200 });
  });

  // F76
  test.each(['/moved', '/moved-away'])(`an API key in its own header, and a redirect: %s`, async (path) => {
    const lab = await open(host, ({ url }, response) => {
      if (url === '/x') reply(response, 200);
      else reply(response, 307, {}, { Location: url === '/moved' ? '/x' : `${lab.foreign.origin}/x` });
    });
    const facts = await lab.play('moved', 'apiKey', path);
    const arrived = [...lab.calls('/x'), ...lab.foreignCalls()].map(({ headers }) => headers['x-api-key']);
    if (adapter === 'fetch') {
      expect(facts).toMatchObject({ code: 'ERR_AUTH_FOREIGN_ORIGIN', attempts: 1 });
      expect(arrived).toEqual([]);
    } else {
      // xhr follows it before any script can react, which is documented.
      expect(facts).toMatchObject({ status: 200, attempts: 1 });
      expect(arrived).toEqual(['key-7']);
    }
  });
});

(isHere ? describe : describe.skip)('the page', () => {
  // F76
  test('follows a redirect over fetch if the scheme wrote no key', async () => {
    const { play, calls } = await open(hostIn('fetch', 'same-origin'), ({ url }, response) =>
      url === '/x' ? reply(response, 200) : reply(response, 302, {}, { Location: '/x' }),
    );
    expect(await play('written', 'noKey', '/moved')).toMatchObject({ status: 200, attempts: 1 });
    expect(calls('/x')).toHaveLength(1);
  });

  test('forbids eval, so no scenario needs it', async () => {
    await open(hostIn('fetch', 'same-origin'), welcome);
    const error = await page.evaluate(
      () =>
        new Promise((resolve) => {
          setTimeout(() => {
            try {
              // eslint-disable-next-line @typescript-eslint/no-implied-eval -- to be refused
              resolve(new Function('return 1')());
            } catch (refused) {
              resolve((refused as Error).name);
            }
          });
        }),
    );
    expect(error).toBe('EvalError');
    noise.splice(0);
  });

  test('reports console output and unhandled rejections', async () => {
    await open(hostIn('fetch', 'same-origin'), welcome);
    const rejected = page.waitForEvent('pageerror');
    await page.evaluate(() => {
      console.warn('a word');
      setTimeout(() => void Promise.reject(new Error('unhandled')));
    });
    await rejected;
    expect(noise.splice(0)).toEqual(['a word', 'Error: unhandled']);
  });
});
