import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import axios from 'axios';
import { createAuthRefresh } from 'axios-auth-refresh';
import { applyAuthTokenInterceptor, setAuthTokens, type StorageType } from 'axios-jwt';
import * as core from '../lib/index.js';
import * as sigv4 from '../lib/sigv4.js';
import * as web from '../lib/web.js';
import { KEYS } from './support/aws-server.js';
import { serveLogin, type LoginServer } from './support/login-server.js';
import { closeServers, outcome, refreshing, retrying, signing, type App, type Load } from './support/migrations.js';
import { blockOf, rowsOf, runBlock, sectionOf } from './support/page-blocks.js';
import { cases } from './support/rounds.js';
import { FakeLocks, FakeStorage, withGlobals } from './support/web-fakes.js';

const SITUATIONS = { ...refreshing, ...retrying };
/** For each page: where its programs run, and the situations to test. */
const PAGES = {
  'axios-auth-refresh': { isInBrowser: true, situations: SITUATIONS },
  'axios-jwt': { isInBrowser: true, situations: SITUATIONS },
  'hand-written': { isInBrowser: true, situations: SITUATIONS },
  'axios-retry': { isInBrowser: false, situations: SITUATIONS },
  'retry-axios': { isInBrowser: false, situations: SITUATIONS },
  'aws4-axios': { isInBrowser: false, situations: { ...SITUATIONS, ...signing } },
};
type Page = keyof typeof PAGES;
const all = Object.keys(PAGES) as Page[];
const pages = cases(2, all);
const HALVES = ['Before', 'After'] as const;
type Half = (typeof HALVES)[number];

const fileOf = (page: Page): string => `docs/migrate/${page}.md`;
const rowsOfPage = (page: Page): string[][] => rowsOf(sectionOf(fileOf(page), 'What changes'));

const OURS: Record<string, unknown> = {
  'axios-attach-auth': core,
  'axios-attach-auth/sigv4': sigv4,
  'axios-attach-auth/web': web,
};

function moduleOf(name: string, isNewTab: boolean): unknown {
  let found = OURS[name];
  if (found) return found;
  if (!isNewTab) return jest.requireActual(name);
  jest.isolateModules(() => {
    found = jest.requireActual(name);
  });
  return found;
}

function loaderOf(page: Page, half: Half): Load {
  const block = blockOf(sectionOf(fileOf(page), half));
  return (origin, { isNewTab } = { isNewTab: false }) => {
    const source = block
      .replaceAll('https://api.example.com', origin)
      .replace('auth-tokens-production', 'auth-tokens-test');
    return runBlock(source, (name) => moduleOf(name, isNewTab)) as App;
  };
}

async function find(page: Page, half: Half, situation: string): Promise<string> {
  const run = PAGES[page].situations[situation];
  if (!run) throw new Error(`No test has the situation "${situation}" of ${fileOf(page)}`);
  return run(loaderOf(page, half));
}

/** The globals of a page. */
function openBrowser(): () => void {
  const localStorage = new FakeStorage();
  return withGlobals({
    localStorage,
    window: { localStorage },
    navigator: { locks: new FakeLocks() },
    BroadcastChannel: undefined,
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
  });
}

afterAll(closeServers);

test('every migration guide is tested', () => {
  const files = readdirSync(join(__dirname, '../docs/migrate')).filter((file) => file !== 'index.md');
  expect(files.map((file) => file.replace('.md', '')).sort()).toEqual([...all].sort());
});

describe('the programs of a page have the results of its table', () => {
  const keyOf = (page: Page, half: Half, situation: string): string => [page, half, situation].join();
  const findings = new Map<string, Promise<string>>();

  beforeAll(() => {
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: KEYS.AKIDEXAMPLE.secret });
    // Without their own globals they run in parallel, since they mostly wait.
    for (const page of pages.filter((each) => !PAGES[each].isInBrowser))
      for (const [situation = ''] of rowsOfPage(page))
        for (const half of HALVES) {
          const finding = find(page, half, situation);
          finding.catch(() => undefined);
          findings.set(keyOf(page, half, situation), finding);
        }
  });
  afterAll(() => {
    delete process.env['AWS_ACCESS_KEY_ID'];
    delete process.env['AWS_SECRET_ACCESS_KEY'];
  });

  const programs = pages.flatMap((page) =>
    rowsOfPage(page).flatMap(([situation = '', ...cells]) =>
      HALVES.map((half, index) => ({ page, situation, half, cell: cells[index] })),
    ),
  );
  test.each(programs)('$page, $half: $situation', async ({ page, half, situation, cell }) => {
    const close = PAGES[page].isInBrowser ? openBrowser() : undefined;
    try {
      expect(await (findings.get(keyOf(page, half, situation)) ?? find(page, half, situation))).toBe(cell);
    } finally {
      close?.();
    }
  });
});

describe('in a browser', () => {
  let close: () => void;
  let server: LoginServer;
  beforeEach(async () => {
    close = openBrowser();
    server = await serveLogin();
  });
  afterEach(async () => {
    close();
    await server.close();
  });

  const browserPages = pages.filter((page) => PAGES[page].isInBrowser);
  test.each(browserPages)('the new program of %s keeps the login of the old one', async (page) => {
    await loaderOf(page, 'Before')(server.origin).signIn?.(server.issue());
    const { api } = loaderOf(page, 'After')(server.origin);
    expect(await outcome(api.get('/me'))).toBe('200');
  });

  test('axios-auth-refresh never refreshes again if the refresh function throws at once', async () => {
    const api = axios.create({ baseURL: server.origin });
    const refresh = jest.fn<Promise<void>, []>().mockImplementationOnce(() => {
      throw new Error('not ready');
    });
    createAuthRefresh(api, refresh);
    await expect(api.get('/me')).rejects.toThrow('not ready');
    expect(await outcome(api.get('/me'))).toBe('401');
    expect(refresh).toHaveBeenCalledTimes(1);
  });

  test('axios-auth-refresh never sends a refresh that goes through its own instance after an await', async () => {
    const api = axios.create({ baseURL: server.origin });
    const begun = new Promise<void>((resolve) => {
      createAuthRefresh(api, async () => {
        await Promise.resolve();
        resolve();
        await api.post('/auth/refresh', {});
      });
    });
    void outcome(api.get('/me'));
    await begun;
    // Lets a request of the other instance complete.
    await outcome(axios.get(`${server.origin}/other`));
    expect(server.seen.map(({ url }) => url)).toEqual(['/me', '/other']);
  });

  test('two instances of axios-jwt send the tokens of the storage that was named last', async () => {
    const [first, second] = [fakeJwtStorage(), fakeJwtStorage()];
    const api = axios.create({ baseURL: server.origin });
    applyAuthTokenInterceptor(api, { requestRefresh: jest.fn(), getStorage: () => first });
    await setAuthTokens(server.issue());
    applyAuthTokenInterceptor(axios.create(), { requestRefresh: jest.fn(), getStorage: () => second });
    const ofSecond = server.issue();
    await setAuthTokens(ofSecond);
    await api.get('/me');
    expect(server.seen.at(-1)?.headers.authorization).toBe(`Bearer ${ofSecond.accessToken}`);
  });
});

function fakeJwtStorage(): StorageType {
  const items = new Map<string, string>();
  return {
    get: async (key) => items.get(key) ?? null,
    set: async (key, value) => void items.set(key, value),
    remove: async (key) => void items.delete(key),
  };
}
