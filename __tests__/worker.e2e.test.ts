import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AxiosError, AxiosInstance } from 'axios';
import type { Browser, Page } from 'playwright-core';
import { browserBundle, isChromiumInstalled, startChromium } from './support/chromium.js';
import { reply, serve, type Handler, type Recorder } from './support/serve.js';

const isHere = isChromiumInstalled();
if (!isHere && process.env['REQUIRE_REAL'] === '1') throw new Error('REQUIRE_REAL=1, but there is no chromium');

const RECIPE = readFileSync(join(__dirname, '../docs/stores.md'), 'utf8');

/** The block of the page about stores that begins with this comment, for a page or a worker. */
function scriptOf(comment: string): string {
  const [, code = ''] = new RegExp(`^\`\`\`ts\\n(${comment}.*?)^\`\`\``, 'ms').exec(RECIPE) ?? [];
  expect(code).not.toBe('');
  const prelude = `
    import axios from 'axios';
    import { attachAuth, bearer } from '../lib/index.js';
    const api = axios.create({ baseURL: location.origin });`;
  const stdin = { contents: `${prelude}\n${code}`, resolveDir: __dirname, loader: 'ts' } as const;
  return browserBundle({ stdin, format: 'esm' });
}

(isHere ? describe : describe.skip)('the recipe of a worker that keeps the token out of the page, in Chromium', () => {
  let browser: Browser;
  let site: Recorder;
  let page: Page;
  let scripts: Record<string, string>;

  const answer: Handler = ({ url, headers, body }, response) => {
    const script = scripts[url];
    if (script !== undefined) {
      response.setHeader('Content-Type', 'text/javascript');
      return void response.end(script);
    }
    if (url === '/') {
      response.setHeader('Content-Type', 'text/html');
      const module = "import('/page.js').then((page) => { globalThis.page = page.page; })";
      return void response.end(`<!doctype html><script type="module">${module}</script>`);
    }
    if (url === '/reset') return void response.destroy();
    if (url === '/auth/refresh') reply(response, 200, { access_token: 'secret-1', expires_in: 3600 });
    else if (headers.authorization !== 'Bearer secret-1') reply(response, 401);
    else reply(response, url === '/missing' ? 404 : 200, { url, type: headers['content-type'], body: String(body) });
  };

  beforeAll(async () => {
    scripts = { '/page.js': scriptOf('// page\\.ts'), '/worker.js': scriptOf('// worker\\.ts') };
    browser = await startChromium();
    site = await serve(answer);
    page = await browser.newPage();
    await page.goto(site.origin);
    await page.waitForFunction(() => 'page' in globalThis);
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
  });

  test('calls of the page go through the worker, which refreshes once for all of them', async () => {
    const statuses = await page.evaluate(async () => {
      const { page: api } = globalThis as unknown as { page: AxiosInstance };
      const answers = await Promise.all(['/a', '/b', '/c'].map((url) => api.get(url, { params: { x: 1 } })));
      return answers.map(({ status, data }) => [status, (data as { url: string }).url]);
    });
    expect(statuses).toEqual(['/a?x=1', '/b?x=1', '/c?x=1'].map((url) => [200, url]));
    expect(site.seen.filter(({ url }) => url === '/auth/refresh')).toHaveLength(1);
  });

  test('bodies arrive as the page sent them', async () => {
    const data = await page.evaluate(async () => {
      const { page: api } = globalThis as unknown as { page: AxiosInstance };
      return (await api.post('/orders', { id: 7 })).data as unknown;
    });
    expect(data).toMatchObject({ type: 'application/json', body: '{"id":7}' });
  });

  test('failed calls reject as without a worker', async () => {
    const failures = await page.evaluate(async () => {
      const { page: api } = globalThis as unknown as { page: AxiosInstance };
      const failed = (url: string): Promise<unknown> =>
        api.post(url).catch((error: unknown) => {
          const { response, code } = error as AxiosError;
          return { status: response?.status, code };
        });
      return [await failed('/missing'), await failed('/reset')];
    });
    expect(failures).toEqual([{ status: 404 }, { code: 'ERR_NETWORK' }]);
  });
});
