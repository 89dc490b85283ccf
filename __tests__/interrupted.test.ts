import { inspect } from 'node:util';
import axios, { AxiosError, type AxiosAdapter, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios';
import { apiKey, attachAuth, exchangeOf, hmac, type AuthScheme } from '../lib/index.js';
import { failureOf } from './support/answers.js';
import { Stage, tooMany, underway } from './support/stage.js';

type Config = InternalAxiosRequestConfig;

const ok = (config: Config, status = 200): AxiosResponse => ({
  status,
  statusText: '',
  data: '',
  headers: {},
  config,
  request: {},
});

/** An instance over an adapter of the test's own. */
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
  ])('that throws at once is retried as one that rejects, with a scheme that %s', async (_, scheme) => {
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

  test('that rejects with a refused response, by an error without config, is recovered', async () => {
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
  ])('two calls whose errors are one object of %s do not get each other\u2019s answers', async (from) => {
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
  ])('that answers with %s settles its call as plain axios does', async (_, value) => {
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

  test.each([429, 401, 503])('that answers with a %s without headers is recovered', async (status) => {
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
    ['later', hmac({ keyId: 'k', secret: 's' })],
  ])('lets one call probe a server that said 503 for an hour, with a scheme that is ready %s', async (_, scheme) => {
    const stage = new Stage();
    stage.attach({ scheme });
    stage.script('/open', { status: 503, headers: { 'Retry-After': '3600' } });
    await stage.outcome(stage.api.get('/open'));
    await stage.clock.advance(61_000);
    expect(await stage.outcome(stage.api.get('/open'))).toMatchObject({ status: 200, attempts: 1 });
  });

  test('is not held up by refusals that an earlier handler swallows', async () => {
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
