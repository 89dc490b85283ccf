import { inspect } from 'node:util';
import axios, { AxiosError, type AxiosAdapter, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios';
import {
  apiKey,
  attachAuth,
  bearer,
  exchangeOf,
  hmac,
  signed,
  type AuthRequest,
  type AuthScheme,
} from '../lib/index.js';
import { failureOf, inTurn, onlyFor, servers } from './support/answers.js';
import { recording } from './support/recording.js';
import { times } from './support/series.js';
import { reply } from './support/serve.js';
import { reasonOf, Stage, tooMany, underway } from './support/stage.js';

const start = servers();

type Config = InternalAxiosRequestConfig;

const ok = (config: Config, status = 200): AxiosResponse => ({
  status,
  statusText: '',
  data: '',
  headers: {},
  config,
  request: {},
});

/** An instance over an adapter of the test. */
function over(adapter: AxiosAdapter, scheme: AuthScheme = apiKey('canary'), options = {}) {
  const api = axios.create({ baseURL: 'https://api.example.com', adapter });
  const handle = attachAuth(api, { scheme, retry: { baseDelayMs: 0 }, ...options });
  return { api, handle };
}

const shown = (value: unknown): string => inspect(value, { depth: 12, getters: true });

describe('an adapter', () => {
  // F86
  test.each<[string, (config: Config) => unknown]>([
    ['an AxiosError', (config) => new AxiosError('broken', 'ERR_BAD_OPTION', config)],
    ['a plain error with the config', (config) => Object.assign(new Error('broken'), { config })],
    ['a frozen error', (config) => Object.freeze(new AxiosError('broken', 'ERR_BAD_OPTION', config))],
    [
      'an error whose config cannot be written',
      (config) => Object.defineProperty(new Error('broken'), 'config', { value: config, enumerable: true }),
    ],
    [
      'an error whose config is a getter',
      (config) => Object.defineProperty(new Error('broken'), 'config', { get: () => config, enumerable: true }),
    ],
  ])('that throws %s, at once or later, shows no credential in it', async (_, make) => {
    for (const adapter of [
      (config: Config) => {
        throw make(config);
      },
      (config: Config) => Promise.reject(make(config)),
      (config: Config) => new Promise((_resolve, reject) => setImmediate(reject, make(config))),
    ]) {
      const error = await failureOf(over(adapter as AxiosAdapter).api.get('/item'));
      expect(error.message).toBe('broken');
      expect(shown(error)).not.toContain('canary');
    }
  });

  const presigned: AuthScheme = { name: 'Presigned', authorize: ({ url }) => url.searchParams.set('s', 'canary') };

  test.each<[string, AuthScheme]>([
    ['writes a header', apiKey('canary')],
    ['writes to the URL', presigned],
    ['writes nothing', { name: 'Cookie', authorize: () => undefined }],
  ])('that throws synchronously is retried, with a scheme that %s', async (_, scheme) => {
    let sends = 0;
    const { api } = over((config) => {
      if (++sends < 3) throw new AxiosError('broken', 'ECONNRESET', config);
      if (sends === 3) return Promise.resolve(ok(config));
      throw new AxiosError('broken', 'ERR_BAD_OPTION', config);
    }, scheme);
    expect(exchangeOf(await api.get('/item'))).toMatchObject({ attempts: 3 });
    const error = await failureOf(api.get('/item'));
    expect(shown(error)).not.toContain('canary');
    expect(error).toMatchObject({ config: { url: '/item' } });
  });

  test('that rejects with a 401 by an error without config is replayed', async () => {
    let sends = 0;
    const refused = (config: Config) => Object.assign(new Error('refused'), { response: ok(config, 401) });
    const scheme = {
      name: 'Toy',
      authorize: ({ headers }) => void headers.set('X-Toy', 'canary'),
      onChallenge: () => sends === 1,
    } satisfies AuthScheme;
    const { api } = over(
      (config) => (++sends === 2 ? Promise.resolve(ok(config)) : Promise.reject(refused(config))),
      scheme,
    );
    expect(exchangeOf(await api.get('/item'))).toMatchObject({ attempts: 2, refreshed: true });
    const error = await failureOf(api.get('/item'));
    expect(error.message).toBe('refused');
    expect(exchangeOf(error)).toMatchObject({ attempts: 1 });
    expect(shown(error)).not.toContain('canary');
  });

  test.each<[string, Partial<AxiosError>]>([
    ['a transform', {}],
    ['an adapter', {}],
  ])('that gives two calls one error object of %s does not mix up their responses', async (from) => {
    const shared = new AxiosError('broken', 'ECONNRESET');
    const sends: Record<string, number> = {};
    const { api } = over((config) => {
      const url = config.url ?? '';
      sends[url] = (sends[url] ?? 0) + 1;
      if (from === 'an adapter' && sends[url] === 1) return Promise.reject(shared);
      return Promise.resolve({ ...ok(config), data: url, status: sends[url] === 1 ? 503 : 200 });
    });
    if (from === 'a transform')
      api.defaults.transformResponse = [
        (data: unknown, _headers: unknown, status?: number) => {
          if (status === 503) throw shared;
          return data;
        },
      ];
    const urls = ['/alice', '/bob', '/carol'];
    const settled = await Promise.allSettled(urls.map((url) => api.get<string>(url)));
    settled.forEach((one, index) => {
      if (one.status === 'fulfilled') expect(one.value.data).toBe(urls[index]);
      else expect(one.reason).toBe(shared);
    });
  });

  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['a text', 'ok'],
    ['a number', 200],
    ['an empty object', {}],
    ['a response without status and headers', { data: 'x' }],
    ['a response with headers that are null', { status: 200, headers: null, data: 'x' }],
    ['a frozen response', Object.freeze({ status: 200, headers: {}, data: 'x' })],
  ])('that resolves with %s settles its call as plain axios does', async (_, value) => {
    const adapter = (() => Promise.resolve(value)) as AxiosAdapter;
    const settle = async (api: ReturnType<typeof axios.create>) => {
      const [settled] = await Promise.allSettled([api.get('/item')]);
      return settled.status === 'fulfilled'
        ? { data: settled.value.data, status: settled.value.status }
        : (settled.reason as Error).name;
    };
    const plain = await settle(axios.create({ adapter }));
    expect(await settle(over(adapter).api)).toEqual(plain);
  });

  test.each([429, 401, 503])('that resolves with a %s without headers is retried or replayed', async (status) => {
    const stage = new Stage();
    let sends = 0;
    const api = stage.instance({
      adapter: (config) =>
        Promise.resolve({ ...ok(config, ++sends === 1 ? status : 200), headers: undefined as never }),
    });
    stage.attach({ scheme: { name: 'Toy', authorize: () => undefined, onChallenge: () => true } }, api);
    expect(await stage.outcome(api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
  });
});

describe('the throttle', () => {
  // F154
  test.each<[string, AuthScheme]>([
    ['at once', { name: 'Toy', authorize: () => undefined }],
    ['asynchronously', hmac({ keyId: 'k', secret: 's' })],
  ])(
    'sends one call as a probe after a 503 with a Retry-After of an hour, with a scheme that is ready %s',
    async (_, scheme) => {
      const stage = new Stage();
      stage.attach({ scheme });
      stage.script('/open', { status: 503, headers: { 'Retry-After': '3600' } });
      await stage.outcome(stage.api.get('/open'));
      await stage.clock.advance(61_000);
      expect(await stage.outcome(stage.api.get('/open'))).toMatchObject({ status: 200, attempts: 1 });
    },
  );

  test('is not blocked by refusals that an earlier handler swallows', async () => {
    const stage = new Stage();
    stage.api.interceptors.response.use(undefined, (error: AxiosError) => {
      if (error.response?.data === 'quiet') return 'swallowed';
      throw error;
    });
    stage.attach({ scheme: { name: 'Toy', authorize: () => undefined } });
    stage.always('/open', ({ at }) => (at < 1_500 ? { ...tooMany(1), data: at < 500 ? '' : 'quiet' } : 200));
    const calls = [underway(stage.api.get('/open'))];
    await stage.clock.advance(100);
    calls.push(...[...Array(20)].map(() => underway(stage.api.get('/open'))));
    await stage.settled(calls);
    expect(stage.sent.filter(({ status }) => status === 429).length).toBeGreaterThan(3);
    expect(stage.sent.at(-1)?.at).toBeLessThan(5_000);
  });
});

describe('a scheme', () => {
  // I5 F76
  test('that signs each redirect with other headers sends none of them to another origin, over fetch', async () => {
    const foreign = await start(inTurn(200));
    const own = await start((seen, response) => {
      const hop = Number(seen.url.slice(1));
      const location = hop < 3 ? `/${String(hop + 1)}` : `${foreign.origin}/`;
      response.writeHead(307, { Location: location }).end();
    });
    const scheme = signed(({ url }) => ({
      [`X-Sig-${url.pathname.slice(1)}`]: 'canary',
      'X-Sig': `canary ${url.pathname}`,
    }));
    const api = axios.create({ baseURL: own.origin, adapter: 'fetch' });
    attachAuth(api, { scheme });
    const answer = await api.post('/1', { a: 1 });
    expect(answer.status).toBe(200);
    const signatures = own.seen.map(({ headers }) =>
      Object.entries(headers).filter(([, value]) => String(value).includes('canary')),
    );
    expect(signatures).toEqual(
      [1, 2, 3].map((hop) => [
        [`x-sig-${String(hop)}`, 'canary'],
        ['x-sig', `canary /${String(hop)}`],
      ]),
    );
    expect(own.seen.map(({ body }) => body.toString())).toEqual(times(3, () => '{"a":1}'));
    expect(JSON.stringify(foreign.seen[0]?.headers)).not.toContain('canary');
    expect(shown(answer)).not.toContain('canary');
  });

  test('that fails to sign a redirect rejects the call with its error, without a retry', async () => {
    const own = await start((_, response) => {
      response.writeHead(307, { Location: '/next' }).end();
    });
    const scheme = signed(({ url }) => {
      if (url.pathname === '/next') throw new Error('no key for this path');
      return { 'X-Sig': 'canary' };
    });
    const api = axios.create({ baseURL: own.origin, adapter: 'fetch' });
    attachAuth(api, { scheme });
    const error = await failureOf(api.get('/item'));
    expect(error.message).toBe('no key for this path');
    expect(exchangeOf(error)).toMatchObject({ attempts: 1 });
    expect(own.seen).toHaveLength(1);
  });

  test.each(['http', 'fetch'] as const)(
    'reads URL, headers and body of a request that was sent, over %s',
    async (adapter) => {
      const server = await start((seen, response) => {
        if (seen.url.startsWith('/start')) response.writeHead(307, { Location: '/next' }).end();
        else reply(response, 401);
      });
      const read: unknown[] = [];
      const look = async ({ request }: { request: AuthRequest }) => {
        read.push([
          request.method,
          request.url.href,
          (await request.body.bytes())?.length,
          request.headers.get('X-Sig'),
        ]);
      };
      const scheme: AuthScheme = {
        name: 'Reader',
        authorize: ({ headers }) => void headers.set('X-Sig', 'x'),
        onAnswer: look,
        onChallenge: async (challenge) => {
          await look(challenge);
          return false;
        },
      };
      const api = axios.create({ baseURL: server.origin, adapter });
      attachAuth(api, { scheme });
      await failureOf(api.post('/start', { a: 1 }, { params: { q: 1 } }));
      expect(read).toEqual(times(2, () => ['POST', `${server.origin}/start?q=1`, 7, 'x']));
    },
  );

  test('sees the changes of asynchronous request interceptors added before and after', async () => {
    const { api, sent } = (() => {
      const bare = recording({ name: 'unused', authorize: () => undefined });
      bare.handle.detach();
      return bare;
    })();
    const add = (name: string) =>
      api.interceptors.request.use(async (config) => {
        await new Promise((resolve) => setImmediate(resolve));
        config.headers.set(`X-${name}`, 'yes');
        config.params = { ...(config.params as object), [name]: 1 };
        return config;
      });
    add('before');
    attachAuth(api, {
      scheme: signed(({ headers, url }) => ({
        'X-Signed': `${String(headers.get('X-before'))} ${String(headers.get('X-after'))} ${url.search}`,
      })),
    });
    add('after');
    await api.get('/item');
    expect(sent[0]?.headers).toMatchObject({ 'x-signed': 'yes yes ?after=1&before=1' });
  });

  // F123
  test('as a function is called in the interceptor of attachAuth, after interceptors that wait', async () => {
    let user = 'alice';
    const { api, sent } = recording(() => apiKey(user));
    api.interceptors.request.use(async (config) => {
      await new Promise((resolve) => setImmediate(resolve));
      return config;
    });
    const call = api.get('/item');
    user = 'bob';
    await call;
    expect(sent[0]?.headers).toMatchObject({ 'x-api-key': 'bob' });
  });

  // F7
  test.each<[string, boolean | undefined]>([
    ['once for all calls', true],
    ['for each call', undefined],
  ])('that logs in by the attached instance does not wait for itself, running %s', async (_, singleFlight) => {
    const stage = new Stage();
    let isIn = false;
    const scheme: AuthScheme = {
      name: 'Cookie',
      singleFlight,
      authorize: () => undefined,
      onChallenge: async () => {
        await stage.api.post('/login');
        return true;
      },
    };
    stage.attach({ scheme });
    stage.script('/login', 401, () => {
      isIn = true;
      return 204;
    });
    stage.always('/item', () => (isIn ? 200 : 401));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401 });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(stage.to('/login')).toHaveLength(2);
    expect(stage.clock.monotonic()).toBeLessThan(1_000);
  });

  test('that fetches its token by the attached instance in authorize() does not recurse', async () => {
    const stage = new Stage();
    const scheme: AuthScheme = {
      name: 'Csrf',
      authorize: async ({ headers }) => {
        const { data } = await stage.api.get<{ token: string }>('/open/csrf');
        headers.set('X-CSRF-Token', data.token);
      },
    };
    stage.attach({ scheme });
    stage.always('/open/csrf', { data: { token: 'fresh' } });
    expect(await stage.outcome(stage.api.get('/open/item'))).toMatchObject({ status: 200 });
    expect(stage.sent.map(({ path, headers }) => [path, headers['X-CSRF-Token']])).toEqual([
      ['/open/csrf', undefined],
      ['/open/item', 'fresh'],
    ]);
  });

  test.each(['head', 'options'] as const)('replays a refused %s request', async (method) => {
    const server = await start(onlyFor('fresh'));
    for (const adapter of ['http', 'fetch'] as const) {
      const api = axios.create({ baseURL: server.origin, adapter });
      const scheme = bearer({ tokens: { accessToken: 'stale' }, refresh: () => ({ accessToken: 'fresh' }) });
      attachAuth(api, { scheme });
      expect(exchangeOf(await api[method]('/item'))).toMatchObject({ attempts: 2, refreshed: true });
    }
  });

  test('gets a signal that aborts with its caller, in authorize() and in onChallenge()', async () => {
    for (const member of ['authorize', 'onChallenge'] as const) {
      const stage = new Stage();
      const seen: AbortSignal[] = [];
      const wait = (signal: AbortSignal): Promise<never> => {
        seen.push(signal);
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        });
      };
      stage.attach({
        scheme: {
          name: 'Toy',
          authorize: ({ signal }) => (member === 'authorize' ? wait(signal) : undefined),
          onChallenge: ({ request }) => wait(request.signal),
        },
      });
      const controller = new AbortController();
      const call = underway(stage.api.get('/item', { signal: controller.signal }));
      await stage.clock.advance(100);
      expect(seen.map(({ aborted }) => aborted)).toEqual([false]);
      controller.abort();
      expect(seen.map(({ aborted }) => aborted)).toEqual([true]);
      expect(reasonOf(await stage.clock.until(call)).code).toBe('ERR_CANCELED');
    }
  });
});

describe('the config of the app', () => {
  const deepFrozen = <T>(value: T): T => {
    if (typeof value === 'object' && value !== null) Object.values(value).forEach(deepFrozen);
    return Object.freeze(value);
  };

  test('may be frozen, and shared by concurrent calls that are refused, throttled and retried', async () => {
    const { stage } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    stage.script('/item', undefined as never, tooMany(1), 503);
    const config = deepFrozen({
      url: '/item',
      method: 'put',
      headers: { 'X-Own': 'yes', 'Content-Type': 'application/json' },
      params: { q: [1, 2] },
      data: { a: { b: 1 } },
      attachAuth: { retry: { baseDelayMs: 1 }, idempotent: true },
    } as const);
    const outcomes = await stage.outcomes(times(10, () => stage.api.request(config as never)));
    expect(outcomes.map(({ status }) => status)).toEqual(times(10, () => 200));
    expect(
      new Set(stage.to('/item').map(({ body, query, headers }) => JSON.stringify([body, query, headers['X-Own']]))),
    ).toEqual(new Set([JSON.stringify(['{"a":{"b":1}}', '?q%5B%5D=1&q%5B%5D=2', 'yes'])]));
  });

  test('may have plain headers and a URL object, also if the adapter is called without axios', async () => {
    const { stage } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    const url = new URL('https://api.example.com/item') as never;
    expect(await stage.outcome(stage.api.get(url, { headers: { 'x-own': 'yes' } }))).toMatchObject({ status: 200 });
    let adapter: AxiosAdapter | undefined;
    stage.api.interceptors.request.use((config) => config);
    const api = stage.instance();
    api.interceptors.request.use((config) => {
      adapter = config.adapter as AxiosAdapter;
      return config;
    });
    stage.attach({ scheme: apiKey('canary') }, api);
    await stage.outcome(api.get('/open'));
    const direct = await stage.clock.until(
      adapter!({ url: '/open', baseURL: 'https://api.example.com', method: 'get', headers: { a: 'b' } } as never),
    );
    expect(direct).toMatchObject({ status: 'fulfilled' });
    expect(stage.sent.at(-1)?.headers).toMatchObject({ 'X-API-Key': 'canary' });
  });

  test('may have an adapter that an interceptor has wrapped: its call is refreshed and retried', async () => {
    const { stage } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    const api = stage.instance();
    let wrapped = 0;
    api.interceptors.request.use((config) => {
      const inner = config.adapter as AxiosAdapter;
      config.adapter = (given) => {
        wrapped++;
        return inner(given);
      };
      return config;
    });
    stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issueDead() }) }, api);
    stage.script('/item', undefined as never, tooMany(1));
    const answer = await stage.outcome(api.get('/item'));
    expect(answer).toMatchObject({ status: 200, attempts: 3, refreshed: true });
    expect(wrapped).toBe(3);
  });

  test('keeps the change that an interceptor made to a form, in the replay, too', async () => {
    const server = await start(onlyFor('fresh'));
    const api = axios.create({ baseURL: server.origin, adapter: 'http' });
    api.interceptors.request.use((config) => {
      config.data = { ...(config.data as object), tenant: 't1' };
      return config;
    });
    const scheme = bearer({ tokens: { accessToken: 'stale' }, refresh: () => ({ accessToken: 'fresh' }) });
    attachAuth(api, { scheme });
    await api.postForm('/form', { title: 'one' });
    const values = server.seen.map(({ body }) => body.toString().match(/(?:one|t1)\r$/gm));
    expect(values).toEqual(times(2, () => ['one\r', 't1\r']));
  });
});
