import dns from 'node:dns';
import axios, { type AxiosAdapter, type AxiosError, type AxiosRequestConfig } from 'axios';
import {
  apiKey,
  attachAuth,
  basic,
  bearer,
  exchangeOf,
  hmac,
  signed,
  type AttachAuthOptions,
  type AuthScheme,
} from '../lib/index.js';
import { failureOf, inTurn, listenIn, servers } from './support/answers.js';
import { reply, type Handler, type Recorder } from './support/serve.js';

const start = servers();
const adapters = ['http', 'fetch'] as const;
type Adapter = (typeof adapters)[number];

const CANARY = 'canary-77ab91';
const statuses = [301, 302, 303, 307, 308] as const;

/** Schemes, and the headers that each of them fills. */
const schemes: [name: string, make: () => AuthScheme, headers: string[]][] = [
  ['bearer', () => bearer(CANARY), ['authorization']],
  ['basic', () => basic({ username: 'user', password: CANARY }), ['authorization']],
  ['apiKey', () => apiKey(CANARY), ['x-api-key']],
  ['apiKey in a header of its own', () => apiKey(CANARY, { header: 'X-Shop-Key' }), ['x-shop-key']],
  ['hmac', () => hmac({ keyId: CANARY, secret: 's' }), ['x-api-key', 'x-timestamp', 'x-signature']],
  [
    'signed',
    () => signed(() => ({ 'X-Id': CANARY, 'X-Proof': `${CANARY}-2`, Authorization: `Own ${CANARY}` })),
    ['x-id', 'x-proof', 'authorization'],
  ],
  [
    'a scheme that only names its header, and writes it past set()',
    () => ({
      name: 'Odd',
      credentialHeaders: ['X-Odd'],
      authorize({ headers }) {
        headers['X-Odd'] = CANARY;
        headers['x-second'] = CANARY;
      },
    }),
    ['x-odd', 'x-second'],
  ],
];

const redirect =
  (status: number, location: string): Handler =>
  (_, response) => {
    response.writeHead(status, { Location: location });
    response.end();
  };

/** Answers by path. */
const routes =
  (table: Record<string, Handler>): Handler =>
  (seen, response, request) => {
    const [path = ''] = seen.url.split('?');
    const handler = table[path];
    if (handler) return handler(seen, response, request);
    reply(response, 200, { path });
  };

function client(
  server: Recorder,
  adapter: Adapter,
  scheme: AuthScheme,
  options: Partial<AttachAuthOptions> = {},
  defaults: AxiosRequestConfig = {},
) {
  const api = axios.create({ baseURL: server.origin, adapter, ...defaults });
  attachAuth(api, { scheme, retry: { baseDelayMs: 1 }, ...options });
  return api;
}

/** Every name is this machine's: not every resolver knows sub-domains of localhost. */
function resolveToLoopback(): void {
  const lookup = (_host: string, { all }: dns.LookupOptions, found: (...args: unknown[]) => void): void => {
    if (all) found(null, [{ address: '127.0.0.1', family: 4 }]);
    else found(null, '127.0.0.1', 4);
  };
  jest.spyOn(dns, 'lookup').mockImplementation(lookup as unknown as typeof dns.lookup);
}
afterEach(() => jest.restoreAllMocks());

const sent = (server: Recorder, name: string): unknown[] => server.seen.map((seen) => seen.headers[name]);

describe.each(adapters)('over the %s adapter', (adapter) => {
  describe.each(statuses)('a %i', (status) => {
    test.each(schemes)('to another port is followed without the credentials of %s', async (_name, make, headers) => {
      const foreign = await start(inTurn(200));
      const receivedBytes = listenIn(foreign);
      const own = await start(redirect(status, `${foreign.origin}/there?token=no`));
      const answer = await client(own, adapter, make()).get('/here', { headers: { 'X-Trace': 'kept' } });
      expect(answer.status).toBe(200);
      for (const name of headers) {
        expect(sent(own, name)).toEqual([expect.any(String)]);
        expect(sent(foreign, name)).toEqual([undefined]);
      }
      expect(sent(foreign, 'x-trace')).toEqual(['kept']);
      expect(receivedBytes()).not.toContain(CANARY);
      expect(receivedBytes()).not.toContain(Buffer.from(`user:${CANARY}`).toString('base64'));
    });

    test.each(schemes)('to the same origin keeps the credentials of %s', async (_name, make, headers) => {
      const own = await start(routes({ '/here': redirect(status, '/there') }));
      const answer = await client(own, adapter, make()).get('/here');
      expect(answer.data).toEqual({ path: '/there' });
      for (const name of headers) {
        const [first, second] = sent(own, name);
        expect([name, first]).toEqual([name, expect.any(String)]);
        // This package follows the redirects of the fetch adapter, and signs each hop for its own URL.
        if (name === 'x-signature' && adapter === 'fetch') expect(second).not.toBe(first);
        else if (name === 'x-timestamp' && adapter === 'fetch')
          expect(Number(second)).toBeGreaterThanOrEqual(Number(first));
        else expect([name, second]).toEqual([name, first]);
      }
      expect(exchangeOf(answer)).toMatchObject({ attempts: 1 });
    });

    test.each<[string, AuthScheme, string]>([
      ['apiKey', apiKey('other'), 'X-API-Key'],
      ['bearer', bearer('other'), 'Authorization'],
    ])("keeps the call's own header of %s within the origin, and drops it beyond", async (_name, scheme, header) => {
      const name = header.toLowerCase();
      const foreign = await start(inTurn(200));
      const own = await start(routes({ '/1': redirect(status, '/2'), '/2': redirect(status, `${foreign.origin}/3`) }));
      const answer = await client(own, adapter, scheme).get('/1', { headers: { [header]: CANARY } });
      expect(answer.status).toBe(200);
      expect(sent(own, name)).toEqual([CANARY, CANARY]);
      expect(sent(foreign, name)).toEqual([undefined]);
    });

    test('from another origin back to the own one is followed without credentials, as are later hops', async () => {
      let home = '';
      const foreign = await start((seen, response, request) => redirect(status, `${home}/4`)(seen, response, request));
      const receivedBytes = listenIn(foreign);
      const own = await start(
        routes({
          '/1': redirect(status, '/2'),
          '/2': redirect(status, `${foreign.origin}/3`),
          '/4': redirect(status, '/5'),
        }),
      );
      home = own.origin;
      const headers = ['authorization', 'x-id', 'x-named'];
      const scheme = signed(() => ({ Authorization: `Own ${CANARY}`, 'X-Id': CANARY, 'X-Named': CANARY }), {
        credentialHeaders: ['X-Named'],
      });
      await client(own, adapter, scheme).get('/1');
      const credentials = [`Own ${CANARY}`, CANARY, CANARY];
      const bare = [undefined, undefined, undefined];
      expect(own.seen.map((seen) => [seen.url, headers.map((name) => seen.headers[name])])).toEqual([
        ['/1', credentials],
        ['/2', credentials],
        ['/4', bare],
        ['/5', bare],
      ]);
      expect([foreign.seen.length, receivedBytes().includes(CANARY)]).toEqual([1, false]);
    });

    test.each([
      ['to a sub-domain', 'localhost', 'sub.localhost'],
      ['from a sub-domain to its parent', 'sub.localhost', 'localhost'],
      ['to another name of the same server', '127.0.0.1', 'localhost'],
    ])('%s with the same port is a redirect to another origin', async (_where, from, to) => {
      const server = await start(
        routes({ '/1': (seen, response, request) => redirect(status, `${there}/2`)(seen, response, request) }),
      );
      resolveToLoopback();
      const { port } = new URL(server.origin);
      const there = `http://${to}:${port}`;
      for (const scheme of [bearer(CANARY), apiKey(CANARY)]) {
        await client(server, adapter, scheme, {}, { baseURL: `http://${from}:${port}` }).get('/1');
      }
      const seen = server.seen.map(({ url, headers }) => [url, headers.authorization ?? headers['x-api-key']]);
      expect(seen).toEqual([
        ['/1', `Bearer ${CANARY}`],
        ['/2', undefined],
        ['/1', CANARY],
        ['/2', undefined],
      ]);
    });

    test('resends or drops the body as the status demands', async () => {
      const foreign = await start(inTurn(200));
      const receivedBytes = listenIn(foreign);
      const own = await start(redirect(status, foreign.origin));
      await client(own, adapter, apiKey(CANARY)).post('/here', { a: 1 });
      const [seen] = foreign.seen;
      const keeps = status === 307 || status === 308;
      expect([seen?.method, seen?.body.toString()]).toEqual(keeps ? ['POST', '{"a":1}'] : ['GET', '']);
      expect(receivedBytes()).not.toContain(CANARY);
    });
  });

  test('a chain is followed without credentials from its first hop to another origin', async () => {
    const far = await start(inTurn(200));
    const foreign = await start(routes({ '/3': redirect(307, `${far.origin}/4`) }));
    const receivedBytes = [listenIn(foreign), listenIn(far)];
    const own = await start(routes({ '/1': redirect(302, '/2'), '/2': redirect(301, `${foreign.origin}/3`) }));
    const answer = await client(own, adapter, apiKey(CANARY)).get('/1');
    expect(answer.data).toEqual({ answer: 1 });
    expect(sent(own, 'x-api-key')).toEqual([CANARY, CANARY]);
    expect(receivedBytes.map((bytes) => bytes().includes(CANARY))).toEqual([false, false]);
    expect([foreign.seen.length, far.seen.length]).toEqual([1, 1]);
  });

  test('the next call has its credentials again', async () => {
    const foreign = await start(inTurn(200));
    const own = await start(routes({ '/away': redirect(302, foreign.origin) }));
    const api = client(own, adapter, apiKey(CANARY));
    await api.get('/away');
    await api.get('/here');
    expect(sent(own, 'x-api-key')).toEqual([CANARY, CANARY]);
  });

  test('a redirect between two origins of `origins` is followed without credentials', async () => {
    const listed = await start(inTurn(200));
    const own = await start(redirect(302, listed.origin));
    await client(own, adapter, apiKey(CANARY), { origins: [own.origin, listed.origin] }).get('/');
    expect(sent(listed, 'x-api-key')).toEqual([undefined]);
  });

  test('another spelling of the same origin keeps the credentials', async () => {
    const own = await start(
      routes({
        '/here': (seen, response, request) =>
          redirect(302, `HTTP://127.1:${new URL(own.origin).port}/there`)(seen, response, request),
      }),
    );
    await client(own, adapter, apiKey(CANARY)).get('/here');
    expect(sent(own, 'x-api-key')).toEqual([CANARY, CANARY]);
  });

  test.each([
    ['//', (foreign: string) => foreign.replace('http:', '')],
    ['backslashes', (foreign: string) => foreign.replace('http:', '').replace('//', '\\\\')],
    ['own user-info', (foreign: string) => foreign.replace('://', '://127.0.0.1@')],
    ['user name and password', (foreign: string) => foreign.replace('://', '://user:pass@')],
    ['upper case', (foreign: string) => foreign.toUpperCase()],
  ])('a Location with %s is recognized as another origin', async (_what, location) => {
    const foreign = await start(inTurn(200));
    const receivedBytes = listenIn(foreign);
    const own = await start(redirect(302, location(foreign.origin)));
    const api = client(own, adapter, apiKey(CANARY), { retry: false });
    await api.get('/').catch(() => undefined);
    expect(receivedBytes()).not.toContain(CANARY);
  });

  test("the call's params are not put on the redirect's URL", async () => {
    const own = await start(routes({ '/here': redirect(302, '/there?z=2') }));
    await client(own, adapter, bearer(CANARY)).get('/here', { params: { q: 1 } });
    expect(own.seen.map((seen) => seen.url)).toEqual(['/here?q=1', '/there?z=2']);
  });

  (adapter === 'fetch' ? test : test.skip)(
    'a timeout that is a text, as of the environment, bounds a redirect, too',
    async () => {
      const server = await start(
        routes({ '/old': redirect(302, '/new'), '/new': (_, response) => void setTimeout(reply, 50, response, 200) }),
      );
      const api = axios.create({ baseURL: server.origin, adapter, timeout: '30000' as never });
      attachAuth(api, { scheme: apiKey(CANARY) });
      expect((await api.get('/old')).status).toBe(200);
    },
  );

  // As fetch does. The http adapter of axios sends other bytes.
  (adapter === 'fetch' ? test : test.skip).each(['größe', '%C3%A9', 'plain'])(
    'the bytes of a Location are UTF-8: %s',
    async (name) => {
      const server = await start((seen, response) => {
        if (seen.url !== '/old') return reply(response, 200, { url: seen.url });
        response.writeHead(302, { Location: Buffer.from(`/${name}`).toString('latin1') });
        response.end();
      });
      const api = axios.create({ baseURL: server.origin, adapter });
      attachAuth(api, { scheme: apiKey(CANARY) });
      expect((await api.get('/old')).data).toEqual({ url: encodeURI(decodeURI(`/${name}`)) });
    },
  );

  test('a relative Location is read against the URL that it came from', async () => {
    const own = await start(routes({ '/a/b/c': redirect(302, '../d') }));
    await client(own, adapter, hmac({ keyId: 'k', secret: 's' })).get('/b/c', { baseURL: `${own.origin}/a` });
    expect(own.seen.map((seen) => seen.url)).toEqual(['/a/b/c', '/a/d']);
  });

  test('a 401 after a redirect within the origin starts a refresh, and the call is replayed from its first URL', async () => {
    const own = await start(
      routes({
        '/here': redirect(302, '/there'),
        '/there': (seen, response) => {
          reply(response, seen.headers.authorization === 'Bearer fresh' ? 200 : 401);
        },
      }),
    );
    const scheme = bearer({
      tokens: { accessToken: 'dead', refreshToken: 'r' },
      refresh: () => ({ accessToken: 'fresh' }),
    });
    const answer = await client(own, adapter, scheme).post('/here');
    expect(answer.status).toBe(200);
    expect(own.seen.map((seen) => [seen.url, seen.headers.authorization])).toEqual([
      ['/here', 'Bearer dead'],
      ['/there', 'Bearer dead'],
      ['/here', 'Bearer fresh'],
      ['/there', 'Bearer fresh'],
    ]);
    expect(exchangeOf(answer)).toMatchObject({ attempts: 2, refreshed: true });
  });

  test('a 429 after a redirect within the origin closes the path of the call', async () => {
    const own = await start(
      routes({ '/here': redirect(303, '/there'), '/there': inTurn([429, { 'Retry-After': '1' }], 200) }),
    );
    const named: string[] = [];
    const onEvent: AttachAuthOptions['onEvent'] = (event) => {
      if (event.type === 'throttled') named.push(event.key);
      if (event.type === 'retry') named.push(`${event.method} ${event.url}`);
    };
    const answer = await client(own, adapter, apiKey(CANARY), { onEvent }).post('/here', 'body');
    expect(answer.status).toBe(200);
    expect(named).toEqual([`${own.origin}/here`, `POST ${own.origin}/here`]);
  });

  test.each([
    ['401', 401, {}],
    ['429', 429, { 'Retry-After': '3000' }],
    ['503', 503, {}],
    ['503 with Retry-After', 503, { 'Retry-After': '3000' }],
  ] as const)(
    'a %s of another origin after a redirect starts no refresh, retry or cool-down',
    async (_what, status, headers) => {
      const foreign = await start(inTurn([status, headers]));
      const own = await start(routes({ '/away': redirect(302, `${foreign.origin}/away`) }));
      const refresh = jest.fn(() => ({ accessToken: 'fresh' }));
      const events: string[] = [];
      const scheme = bearer({ tokens: { accessToken: CANARY, refreshToken: 'r' }, refresh });
      const api = client(own, adapter, scheme, { onEvent: ({ type }) => events.push(type) });
      for (let call = 0; call < 2; call++) {
        const error = (await failureOf(api.get('/away'))) as AxiosError;
        expect(error.response?.status).toBe(status);
        expect(exchangeOf(error)).toMatchObject({ attempts: 1, refreshed: false, waitedMs: 0 });
      }
      expect(exchangeOf(await api.get('/here'))).toMatchObject({ attempts: 1, refreshed: false, waitedMs: 0 });
      expect(refresh).not.toHaveBeenCalled();
      expect(events).toEqual([]);
      expect(sent(own, 'authorization')).toEqual([`Bearer ${CANARY}`, `Bearer ${CANARY}`, `Bearer ${CANARY}`]);
    },
  );

  test('the Date of another origin after a redirect does not change the clock', async () => {
    const tomorrow = new Date(Date.now() + 86_400_000).toUTCString();
    const foreign = await start(inTurn([404, { Date: tomorrow }]));
    const own = await start(routes({ '/away': redirect(302, `${foreign.origin}/away`) }));
    const instants: number[] = [];
    const api = client(own, adapter, { name: 'Timed', authorize: ({ now }) => void instants.push(now) });
    await failureOf(api.get('/away'));
    await api.get('/here');
    expect(instants[1]! - instants[0]!).toBeLessThan(3_600_000);
  });

  test('a redirect without a Location settles the call', async () => {
    const own = await start(inTurn(302));
    const error = (await failureOf(client(own, adapter, apiKey(CANARY)).get('/'))) as AxiosError;
    expect(error.response?.status).toBe(302);
    expect(own.seen).toHaveLength(1);
  });

  test('endless redirects reject with ERR_FR_TOO_MANY_REDIRECTS, and the call is not retried', async () => {
    const own = await start(redirect(302, '/'));
    const error = (await failureOf(client(own, adapter, apiKey(CANARY)).get('/'))) as AxiosError;
    expect(error.code).toBe('ERR_FR_TOO_MANY_REDIRECTS');
    expect(exchangeOf(error)).toMatchObject({ attempts: 1 });
    expect(own.seen.length).toBeLessThan(25);
  });

  test('maxRedirects is respected', async () => {
    const own = await start(redirect(302, '/'));
    const error = (await failureOf(client(own, adapter, apiKey(CANARY)).get('/', { maxRedirects: 2 }))) as AxiosError;
    expect(error.code).toBe('ERR_FR_TOO_MANY_REDIRECTS');
    expect(own.seen).toHaveLength(3);
  });

  test('with maxRedirects 0 the redirect settles the call', async () => {
    const foreign = await start(inTurn(200));
    const own = await start(redirect(302, foreign.origin));
    const api = client(own, adapter, apiKey(CANARY));
    const error = (await failureOf(api.get('/', { maxRedirects: 0 }))) as AxiosError;
    expect(error.response?.status).toBe(302);
    expect(error.response?.headers['location']).toBe(foreign.origin);
    const answer = await api.get('/', { maxRedirects: 0, validateStatus: (status) => status < 400 });
    expect(answer.status).toBe(302);
    expect(foreign.seen).toEqual([]);
    expect(own.seen).toHaveLength(2);
  });

  test('a redirect is followed although validateStatus accepts its status', async () => {
    const own = await start(routes({ '/here': redirect(302, '/there') }));
    const answer = await client(own, adapter, apiKey(CANARY)).get('/here', { validateStatus: () => true });
    expect(answer.data).toEqual({ path: '/there' });
  });

  test('redirects of a call without credentials are followed by axios', async () => {
    const foreign = await start(inTurn(200));
    const own = await start(routes({ '/away': redirect(302, foreign.origin), '/here': redirect(302, '/there') }));
    const api = client(own, adapter, apiKey(CANARY));
    await api.get('/away', { attachAuth: { credentials: 'omit' } });
    await api.get('/here', { attachAuth: false });
    expect(own.seen.map((seen) => seen.url)).toEqual(['/away', '/here', '/there']);
    expect([...sent(own, 'x-api-key'), ...sent(foreign, 'x-api-key')].filter(Boolean)).toEqual([]);
  });

  test('a redirect to another origin is followed without the `auth` of the call', async () => {
    const foreign = await start(inTurn(200));
    const own = await start(inTurn([302, { Location: foreign.origin }]));
    const api = axios.create({ baseURL: own.origin, adapter });
    attachAuth(api, { scheme: bearer('t') });
    await api.get('/', { auth: { username: 'user', password: CANARY } });
    expect(own.seen[0]?.headers.authorization).toMatch(/^Basic /);
    expect(foreign.seen.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  test('endless redirects are limited if maxRedirects is NaN', async () => {
    const own = await start(inTurn([302, { Location: '/again' }]));
    const api = axios.create({ baseURL: own.origin, adapter });
    attachAuth(api, { scheme: apiKey(CANARY), retry: false });
    const error = await failureOf(api.get('/', { maxRedirects: NaN }));
    expect(error).toMatchObject({ code: 'ERR_FR_TOO_MANY_REDIRECTS' });
  });

  test('a redirect to another origin is followed without the Authorization of the call', async () => {
    const foreign = await start(inTurn(200));
    const own = await start(redirect(302, foreign.origin));
    await client(own, adapter, apiKey(CANARY)).get('/', { headers: { Authorization: `Own ${CANARY}` } });
    expect(sent(own, 'authorization')).toEqual([`Own ${CANARY}`]);
    expect(sent(foreign, 'authorization')).toEqual([undefined]);
  });
});

describe('over the http adapter', () => {
  test('a Location with user-info is within the origin', async () => {
    let home = '';
    const own = await start(
      routes({
        '/here': (seen, response, request) =>
          redirect(302, `${home.replace('://', '://user:pass@')}/there`)(seen, response, request),
      }),
    );
    home = own.origin;
    await client(own, 'http', apiKey(CANARY)).get('/here');
    expect(own.seen.map(({ url }) => url)).toEqual(['/here', '/there']);
    expect(sent(own, 'x-api-key')).toEqual([CANARY, CANARY]);
  });

  test('the beforeRedirect of a call runs at every hop, and gets no credential from another origin on', async () => {
    let home = '';
    const foreign = await start((seen, response, request) => redirect(302, `${home}/4`)(seen, response, request));
    const own = await start(routes({ '/1': redirect(302, '/2'), '/2': redirect(302, `${foreign.origin}/3`) }));
    home = own.origin;
    const hops: unknown[] = [];
    const beforeRedirect: NonNullable<AxiosRequestConfig['beforeRedirect']> = (options, details) => {
      const { href, headers } = options as { href: string; headers: Record<string, string> };
      hops.push([href, details.statusCode, Object.keys(headers).some((name) => name.toLowerCase() === 'x-api-key')]);
      headers['X-Hop'] = String(hops.length);
    };
    const config = { beforeRedirect };
    await client(own, 'http', apiKey(CANARY)).get('/1', config);
    expect(hops).toEqual([
      [`${own.origin}/2`, 302, true],
      [`${foreign.origin}/3`, 302, false],
      [`${own.origin}/4`, 302, false],
    ]);
    expect(sent(foreign, 'x-hop')).toEqual(['2']);
    expect(config.beforeRedirect).toBe(beforeRedirect);
  });

  test('through a proxy the origin of the target decides', async () => {
    const proxy = await start(
      routes({
        'http://own.localhost/1': redirect(302, '/2'),
        'http://own.localhost/2': redirect(302, 'http://foreign.localhost/3'),
        'http://foreign.localhost/3': redirect(302, 'http://own.localhost/4'),
      }),
    );
    const { hostname: host, port } = new URL(proxy.origin);
    const api = client(
      proxy,
      'http',
      apiKey(CANARY),
      {},
      {
        baseURL: 'http://own.localhost',
        proxy: { protocol: 'http', host, port: Number(port) },
      },
    );
    await api.get('/1');
    expect(proxy.seen.map(({ url, headers }) => [url, headers['x-api-key']])).toEqual([
      ['http://own.localhost/1', CANARY],
      ['http://own.localhost/2', CANARY],
      ['http://foreign.localhost/3', undefined],
      ['http://own.localhost/4', undefined],
    ]);
  });

  test('an error of the beforeRedirect of a call rejects it', async () => {
    const foreign = await start(inTurn(200));
    const own = await start(redirect(302, foreign.origin));
    const beforeRedirect = (): never => {
      throw new Error('not there');
    };
    const error = await failureOf(client(own, 'http', apiKey(CANARY), { retry: false }).get('/', { beforeRedirect }));
    expect(error.message).toContain('not there');
    expect(foreign.seen).toEqual([]);
  });

  test('the beforeRedirect of the instance runs for replays and retries, too', async () => {
    const own = await start(
      routes({
        '/here': redirect(302, '/there'),
        '/there': inTurn(401, 503, 200),
      }),
    );
    let hops = 0;
    const scheme = bearer({
      tokens: { accessToken: 'dead', refreshToken: 'r' },
      refresh: () => ({ accessToken: 'fresh' }),
    });
    const api = client(
      own,
      'http',
      scheme,
      {},
      {
        beforeRedirect: () => {
          hops++;
        },
      },
    );
    await api.get('/here');
    expect(hops).toBe(3);
  });
});

describe('over the fetch adapter', () => {
  test("fetchOptions.redirect 'manual' settles the call with the redirect", async () => {
    const foreign = await start(inTurn(200));
    const own = await start(redirect(302, foreign.origin));
    const api = client(own, 'fetch', apiKey(CANARY));
    const error = (await failureOf(api.get('/', { fetchOptions: { redirect: 'manual' } }))) as AxiosError;
    expect(error.response?.status).toBe(302);
    expect(foreign.seen).toEqual([]);
  });

  test("fetchOptions.redirect 'error' rejects the call at a redirect", async () => {
    const foreign = await start(inTurn(200));
    const own = await start(redirect(302, foreign.origin));
    const api = client(own, 'fetch', apiKey(CANARY), { retry: false });
    const error = (await failureOf(api.get('/', { fetchOptions: { redirect: 'error' } }))) as AxiosError;
    expect([error.code, error.response]).toEqual(['ERR_NETWORK', undefined]);
    expect(foreign.seen).toEqual([]);
  });

  test('`timeout` bounds all hops together', async () => {
    let now = 1_000;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now);
    const timeouts: unknown[] = [];
    const adapter: AxiosAdapter = (config) => {
      timeouts.push(config.timeout);
      now += 200;
      const isLast = timeouts.length === 3;
      const headers = isLast ? {} : { location: '/next' };
      return Promise.resolve({
        ...{ status: isLast ? 200 : 307, statusText: '', data: '', headers, config },
        request: { redirect: 'manual' },
      });
    };
    const api = axios.create({ adapter, baseURL: 'https://api.example.com', timeout: 300 });
    attachAuth(api, { scheme: apiKey(CANARY) });
    await api.get('/');
    clock.mockRestore();
    expect(timeouts).toEqual([300, 100, 1]);
  });

  test("fetchOptions.redirect 'follow' changes nothing", async () => {
    const foreign = await start(inTurn(200));
    const receivedBytes = listenIn(foreign);
    const own = await start(redirect(302, foreign.origin));
    await client(own, 'fetch', apiKey(CANARY)).get('/', { fetchOptions: { redirect: 'follow' } });
    expect([foreign.seen.length, receivedBytes().includes(CANARY)]).toEqual([1, false]);
  });

  test('a 307 for a stream is not followed', async () => {
    const own = await start(routes({ '/here': redirect(307, '/there') }));
    const data = new Blob(['once only']).stream();
    const error = (await failureOf(client(own, 'fetch', apiKey(CANARY)).post('/here', data))) as AxiosError;
    expect(error.response?.status).toBe(307);
    expect(own.seen).toHaveLength(1);
  });

  test('a Location with another protocol than http is not followed', async () => {
    const own = await start(redirect(302, 'ftp://127.0.0.1/x'));
    const error = (await failureOf(client(own, 'fetch', apiKey(CANARY)).get('/'))) as AxiosError;
    expect(error.response?.status).toBe(302);
  });
});

test.each([
  ['http', 'fetch'],
  ['xhr', 'fetch'],
  ['fetch', 'http'],
])('an adapter of the app named %s that calls %s sends no credential to another origin', async (name, to) => {
  const foreign = await start(inTurn(200));
  const receivedBytes = listenIn(foreign);
  const own = await start(inTurn([302, { Location: foreign.origin }]));
  const theirs = axios.getAdapter(to);
  // `const fetch = (config) => …` has such a name.
  const adapter: AxiosAdapter = Object.defineProperty((config) => theirs(config), 'name', { value: name });
  const api = axios.create({ baseURL: own.origin, adapter });
  attachAuth(api, { scheme: apiKey(CANARY), retry: false });
  await api.get('/');
  expect(foreign.seen).toHaveLength(1);
  expect(receivedBytes()).not.toContain(CANARY);
});
