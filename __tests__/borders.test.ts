import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import axios, { type AxiosAdapter, type AxiosError } from 'axios';
import MockAdapter from 'axios-mock-adapter';
import { apiKey, attachAuth, bearer, exchangeOf, type RefreshContext, type TokenResponse } from '../lib/index.js';
import { filePort } from '../lib/stores/file.js';
import { failureOf, inTurn, servers } from './support/answers.js';
import { reply, type Handler } from './support/serve.js';

const start = servers();
const CANARY = 'canary-91c4';
const adapters = ['http', 'fetch'] as const;
const redirect =
  (status: number, location: string): Handler =>
  (_, response) => {
    response.writeHead(status, { Location: location });
    response.end();
  };

describe('redirects', () => {
  const wrapped =
    (name: string): AxiosAdapter =>
    (config) =>
      (axios.getAdapter as (names: string, config: object) => AxiosAdapter)(name, config)(config);

  test.each(adapters)('an adapter of the app that calls %s sends no credential to another origin', async (to) => {
    const foreign = await start(inTurn(200));
    const own = await start(redirect(302, foreign.origin));
    const api = axios.create({ baseURL: own.origin, adapter: wrapped(to) });
    attachAuth(api, { scheme: apiKey(CANARY), retry: false });
    await api.get('/');
    expect(own.seen.map(({ headers }) => headers['x-api-key'])).toEqual([CANARY]);
    expect(foreign.seen.map(({ headers }) => headers['x-api-key'])).toEqual([undefined]);
  });

  test.each(adapters)('an adapter of the app that calls %s follows no redirect if maxRedirects is 0', async (to) => {
    const foreign = await start(inTurn(200));
    const own = await start(redirect(302, foreign.origin));
    const api = axios.create({ baseURL: own.origin, adapter: wrapped(to), maxRedirects: 0 });
    attachAuth(api, { scheme: apiKey(CANARY), retry: false });
    expect(await failureOf(api.get('/'))).toMatchObject({ response: { status: 302 } });
    expect(foreign.seen).toEqual([]);
  });

  describe.each<[name: string, adapter: string | AxiosAdapter]>([
    ['http', 'http'],
    ['fetch', 'fetch'],
    ['an adapter that calls http', wrapped('http')],
    ['an adapter that calls fetch', wrapped('fetch')],
  ])('the client of a refresh over %s', (_name, adapter) => {
    /** The result of a call whose refresh gets this redirect, and the error of the refresh. */
    const refreshing = async (status: number, location: string): Promise<[settled: unknown, failure: unknown]> => {
      const own = await start((seen, response, request) => {
        if (seen.url === '/token') return redirect(status, location)(seen, response, request);
        if (seen.url === '/new') reply(response, 200, { accessToken: `for-${seen.body.toString()}` });
        else reply(response, seen.headers.authorization === `Bearer for-${CANARY}` ? 200 : 401);
      });
      const api = axios.create({ baseURL: own.origin, adapter });
      let failure: unknown;
      const refresh = ({ client, refreshToken }: RefreshContext): Promise<TokenResponse | null> =>
        client.post<TokenResponse>('/token', refreshToken).then(
          ({ data }) => data,
          (error: unknown) => {
            failure = error;
            return null;
          },
        );
      attachAuth(api, { scheme: bearer({ tokens: { accessToken: 'dead', refreshToken: CANARY }, refresh }) });
      return [await api.get('/').catch((error: unknown) => error), failure];
    };

    test.each([301, 302, 303, 307, 308])('follows no %i to another origin', async (status) => {
      const foreign = await start(inTurn(200));
      const [settled, failure] = await refreshing(status, foreign.origin);
      expect(settled).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
      expect(failure).toMatchObject({ code: 'ERR_AUTH_FOREIGN_ORIGIN' });
      expect(foreign.seen).toEqual([]);
    });

    test('follows a 307 within the origin', async () => {
      expect(await refreshing(307, '/new')).toMatchObject([{ status: 200 }, undefined]);
    });
  });

  test.each(adapters)(
    'passThrough of axios-mock-adapter to %s sends no credential to another origin',
    async (adapter) => {
      const foreign = await start(inTurn(200));
      const own = await start(redirect(302, foreign.origin));
      const api = axios.create({ baseURL: own.origin, adapter });
      new MockAdapter(api).onAny().passThrough();
      attachAuth(api, { scheme: apiKey(CANARY), retry: false });
      await api.get('/');
      expect(own.seen.map(({ headers }) => headers['x-api-key'])).toEqual([CANARY]);
      expect(foreign.seen.map(({ headers }) => headers['x-api-key'])).toEqual([undefined]);
    },
  );

  test.each([
    ['without credentials', { attachAuth: { credentials: 'omit' as const } }],
    ['with an Authorization of its own', { headers: { Authorization: 'Own 1' } }],
  ])('a 429 of another origin after a redirect of a call %s over fetch starts no cool-down', async (_what, config) => {
    const foreign = await start(inTurn([429, { 'Retry-After': '3000' }]));
    const own = await start((seen, response, request) => {
      if (seen.url === '/away') return redirect(302, foreign.origin)(seen, response, request);
      reply(response, 200);
    });
    const api = axios.create({ baseURL: own.origin, adapter: 'fetch' });
    attachAuth(api, { scheme: bearer(CANARY) });
    await failureOf(api.get('/away', config));
    const second = (await failureOf(api.get('/away', config))) as AxiosError;
    expect(second.response?.status).toBe(429);
  });

  test.each(['http', 'fetch'] as const)(
    'a 401 of the own origin, reached through another origin without credentials over %s, starts no refresh',
    async (adapter) => {
      let home = '';
      const foreign = await start((seen, response, request) => redirect(302, `${home}/3`)(seen, response, request));
      const own = await start((seen, response, request) =>
        (seen.url === '/1' ? redirect(302, foreign.origin) : inTurn(401))(seen, response, request),
      );
      home = own.origin;
      const refresh = jest.fn(() => ({ accessToken: 'fresh' }));
      const api = axios.create({ baseURL: own.origin, adapter });
      attachAuth(api, {
        scheme: bearer({
          tokens: { accessToken: CANARY, refreshToken: 'r' },
          refresh,
        }),
      });
      const error = await failureOf(api.get('/1'));
      expect(exchangeOf(error)).toMatchObject({ attempts: 1 });
      expect(refresh).not.toHaveBeenCalled();
    },
  );

  test('the connection of a redirect whose body streams is closed', async () => {
    let first: Promise<unknown> | undefined;
    const own = await start((seen, response) => {
      if (seen.url === '/1') {
        first = new Promise((resolve) => response.socket?.once('close', resolve));
        response.writeHead(302, { Location: '/2' });
        response.write('x'.repeat(1024));
      } else reply(response, 200, {}, { Connection: 'close' });
    });
    const api = axios.create({ baseURL: own.origin, adapter: 'fetch' });
    attachAuth(api, { scheme: bearer(CANARY) });
    const { data } = await api.get<AsyncIterable<Uint8Array>>('/1', {
      responseType: 'stream',
    });
    let bytes = 0;
    for await (const chunk of data) bytes += chunk.length;
    expect(bytes).toBeGreaterThan(0);
    await first;
  });
});

describe('secrecy', () => {
  test.each([200, 403])('a streamed %i over http shows no credential', async (status) => {
    const own = await start(inTurn(status));
    const api = axios.create({ baseURL: own.origin, adapter: 'http' });
    attachAuth(api, { scheme: bearer(CANARY) });
    const outcome = await api.get<unknown>('/', { responseType: 'stream' }).catch((error: unknown) => error);
    expect(inspect(outcome, { depth: Infinity }).includes(CANARY)).toBe(false);
  });
});

describe('file store', () => {
  const good = {
    version: 1,
    generation: 1,
    epoch: 0,
    tokens: { accessToken: 'a', expiresAt: 4e12 },
  };
  test.each([
    ['a negative generation', { ...good, generation: -1 }],
    ['an empty token', { ...good, tokens: { accessToken: '' } }],
    ['a refresh token that is no string', { ...good, tokens: { accessToken: 'a', refreshToken: 7 } }],
    ['an expiry that is no number', { ...good, tokens: { accessToken: 'a', expiresAt: 'soon' } }],
  ])('%s is not loaded as a session', async (_what, stored) => {
    const folder = await mkdtemp(join(tmpdir(), 'left-out-'));
    const file = join(folder, 's.json');
    await writeFile(file, JSON.stringify(stored), { mode: 0o600 });
    const loaded = await filePort(file).load();
    const names = await readdir(folder);
    await rm(folder, { recursive: true });
    if (loaded === undefined) expect(names.filter((name) => name !== 's.json.lock')).toEqual(['s.json.bad']);
    expect(loaded?.generation ?? 0).toBeGreaterThanOrEqual(0);
    expect(loaded?.tokens?.accessToken ?? 'x').not.toBe('');
    expect([undefined, 'string']).toContain(
      loaded?.tokens?.refreshToken === undefined ? undefined : typeof loaded.tokens.refreshToken,
    );
    expect([undefined, 'number']).toContain(
      loaded?.tokens?.expiresAt === undefined ? undefined : typeof loaded.tokens.expiresAt,
    );
  });
});
