import { createHash, createHmac } from 'node:crypto';
import axios, {
  type AxiosError,
  type AxiosInstance,
  type AxiosRequestConfig,
  type AxiosResponse,
  type InternalAxiosRequestConfig,
} from 'axios';
import { setupCache } from 'axios-cache-interceptor';
import MockAdapter from 'axios-mock-adapter';
import axiosRetry from 'axios-retry';
import {
  apiKey,
  attachAuth,
  bearer,
  exchangeOf,
  hmac,
  type AttachAuthOptions,
  type AuthHandle,
  type AuthScheme,
  type BearerScheme,
} from '../lib/index.js';
import { isHttp } from './support/adapter.js';
import { failureOf, hangUp, inTurn, onlyFor, servers } from './support/answers.js';
import { reply, type Handler, type Recorder, type Seen } from './support/serve.js';

const start = servers();
const orders = ['before', 'after'] as const;
type Order = (typeof orders)[number];

/** A session with a dead token, and a mock of its refresh. */
function dead(): { scheme: BearerScheme; refresh: jest.Mock } {
  const refresh = jest.fn(() => ({ accessToken: 'fresh', refreshToken: 'r2', expiresIn: 3600 }));
  return { scheme: bearer({ tokens: { accessToken: 'dead', refreshToken: 'r1' }, refresh }), refresh };
}

/** Attaches, and adds the other library before or after that. */
function stack(
  api: AxiosInstance,
  order: Order,
  add: (api: AxiosInstance) => void,
  scheme: AuthScheme,
  options: Partial<AttachAuthOptions> = {},
): AuthHandle {
  if (order === 'before') add(api);
  const handle = attachAuth(api, { scheme, retry: { baseDelayMs: 1 }, ...options });
  if (order === 'after') add(api);
  return handle;
}

const statusesOf = (outcomes: PromiseSettledResult<AxiosResponse>[]): (number | undefined)[] =>
  outcomes.map((outcome) =>
    outcome.status === 'fulfilled' ? outcome.value.status : (outcome.reason as AxiosError).response?.status,
  );

const tokensOf = ({ seen }: Recorder): unknown[] => seen.map(({ headers }) => headers.authorization);

/** Per URL the answers of a script, each URL from its start. */
function perUrl(script: () => Handler): Handler {
  const scripts = new Map<string, Handler>();
  return (seen, response, request) => {
    const handler = scripts.get(seen.url) ?? script();
    scripts.set(seen.url, handler);
    return handler(seen, response, request);
  };
}

const calls = (api: AxiosInstance, count: number): Promise<PromiseSettledResult<AxiosResponse>[]> =>
  Promise.allSettled(Array.from({ length: count }, (_, index) => api.get(`/${String(index)}`)));

describe.each(orders)('with axios-retry attached %s', (order) => {
  const add = (api: AxiosInstance): void => {
    axiosRetry(api, { retries: 3 });
  };

  test('a dead token costs one refresh for all calls', async () => {
    const server = await start(onlyFor('fresh'));
    const { scheme, refresh } = dead();
    const api = axios.create({ baseURL: server.origin });
    stack(api, order, add, scheme);
    expect(statusesOf(await calls(api, 20))).toEqual(Array(20).fill(200));
    expect(refresh).toHaveBeenCalledTimes(1);
    expect(server.seen).toHaveLength(40);
  });

  test('a dead token and a 503 or a reset on the way cost one refresh', async () => {
    const server = await start(perUrl(() => inTurn(503, hangUp, onlyFor('fresh'))));
    const { scheme, refresh } = dead();
    const api = axios.create({ baseURL: server.origin });
    stack(api, order, add, scheme);
    expect(statusesOf(await calls(api, 5))).toEqual(Array(5).fill(200));
    expect(refresh).toHaveBeenCalledTimes(1);
  });

  test('authorize() runs once for every send', async () => {
    const server = await start(inTurn(hangUp, 503, hangUp, 200));
    const key = jest.fn(() => 'secret');
    const api = axios.create({ baseURL: server.origin });
    stack(api, order, add, apiKey(key), { retry: false });
    const answer = await api.get('/item');
    expect(answer.status).toBe(200);
    expect(server.seen).toHaveLength(4);
    expect(key).toHaveBeenCalledTimes(4);
    // Each of them is one call, and not one within another.
    expect(exchangeOf(answer)).toMatchObject({ call: 4, attempts: 1 });
  });

  test.each([
    ['503', 503],
    ['401', 401],
  ])('a server that always answers %s gets a few sends, and all calls settle with it', async (_what, status) => {
    const server = await start(inTurn(status));
    const { scheme, refresh } = dead();
    const api = axios.create({ baseURL: server.origin });
    stack(api, order, add, scheme);
    expect(statusesOf(await calls(api, 2))).toEqual([status, status]);
    expect(refresh.mock.calls.length).toBeLessThanOrEqual(1);
    // At most four attempts of attachAuth for each of the four of axios-retry.
    expect(server.seen.length).toBeLessThanOrEqual(2 * 4 * 4);
  });

  test('a connection that is always reset rejects all calls', async () => {
    const server = await start(hangUp);
    const { scheme, refresh } = dead();
    const api = axios.create({ baseURL: server.origin });
    stack(api, order, add, scheme);
    const outcomes = await calls(api, 2);
    const code = isHttp ? 'ECONNRESET' : 'ERR_NETWORK';
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && (outcome.reason as AxiosError).code)).toEqual([
      code,
      code,
    ]);
    expect(refresh).not.toHaveBeenCalled();
    expect(server.seen.length).toBeLessThanOrEqual(2 * 4 * 4);
  });

  test('transformRequest runs once, and every send has the same body', async () => {
    const server = await start(inTurn(503, 401, hangUp, 200));
    const { scheme } = dead();
    const api = axios.create({ baseURL: server.origin });
    stack(api, order, add, scheme);
    let transforms = 0;
    const transformRequest = (data: unknown): string => {
      transforms++;
      return `<${JSON.stringify(data)}>`;
    };
    const answer = await api.put('/', { a: 'ä' }, { transformRequest });
    expect(answer.status).toBe(200);
    expect(server.seen.map(({ body }) => body.toString())).toEqual(Array(4).fill('<{"a":"ä"}>'));
    expect(server.seen.map(({ headers }) => headers['content-length'])).toEqual(Array(4).fill('12'));
    expect(transforms).toBe(1);
  });

  test('no credential is left on an error', async () => {
    const server = await start(inTurn(503));
    const api = axios.create({ baseURL: server.origin });
    stack(api, order, add, bearer('canary-token'));
    const error = (await failureOf(api.get('/'))) as AxiosError;
    expect(JSON.stringify(error)).not.toContain('canary-token');
    expect(error.config?.headers.get('Authorization')).toBeUndefined();
    expect(exchangeOf(error)).toBeDefined();
  });
});

describe.each(orders)('with axios-cache-interceptor attached %s', (order) => {
  const add = (api: AxiosInstance): void => {
    setupCache(api);
  };

  test('a dead token is refreshed, and the call gets its own response', async () => {
    const server = await start(onlyFor('fresh'));
    const { scheme, refresh } = dead();
    const api = axios.create({ baseURL: server.origin });
    stack(api, order, add, scheme);
    const answer = await api.get<{ status: number }>('/');
    expect(answer.data).toEqual({ status: 200 });
    expect(refresh).toHaveBeenCalledTimes(1);
    expect(tokensOf(server)).toEqual(['Bearer dead', 'Bearer fresh']);
  });

  test('a response is cached: the next call does not reach the server', async () => {
    const server = await start(onlyFor('good'));
    const api = axios.create({ baseURL: server.origin });
    stack(api, order, add, bearer('good'));
    const first = await api.get<unknown>('/');
    const second = await api.get<unknown>('/');
    expect(second.data).toEqual(first.data);
    expect(server.seen).toHaveLength(1);
  });

  test('responses are cached after a refresh', async () => {
    const server = await start(onlyFor('fresh'));
    const { scheme } = dead();
    const api = axios.create({ baseURL: server.origin });
    stack(api, order, add, scheme);
    await api.get('/');
    await api.get('/');
    const sends = server.seen.length;
    // Added before, the cache drops its entry at the 401. The second call fills it.
    expect(sends).toBe(order === 'after' ? 2 : 3);
    await api.get('/');
    expect(server.seen).toHaveLength(sends);
  });

  test('calls of different URLs share one refresh, and all settle', async () => {
    const server = await start(onlyFor('fresh'));
    const { scheme, refresh } = dead();
    const api = axios.create({ baseURL: server.origin });
    stack(api, order, add, scheme);
    expect(statusesOf(await calls(api, 10))).toEqual(Array(10).fill(200));
    expect(refresh).toHaveBeenCalledTimes(1);
  });

  test('calls of one URL that the cache merges share one response after the refresh', async () => {
    const server = await start(onlyFor('fresh'));
    const { scheme, refresh } = dead();
    const api = axios.create({ baseURL: server.origin });
    stack(api, order, add, scheme);
    const answers = await Promise.all([api.get('/'), api.get('/'), api.get('/')]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(refresh).toHaveBeenCalledTimes(1);
    expect(tokensOf(server)).toEqual(['Bearer dead', 'Bearer fresh']);
  });

  test('a refusal is not cached', async () => {
    const server = await start(inTurn(403, 200));
    const api = axios.create({ baseURL: server.origin });
    stack(api, order, add, bearer('good'));
    await failureOf(api.get('/'));
    expect((await api.get('/')).status).toBe(200);
  });

  test('the cache keeps no credential', async () => {
    const server = await start(inTurn(200));
    const api = axios.create({ baseURL: server.origin });
    stack(api, order, add, bearer('canary-token'));
    await api.get('/');
    const { storage } = api as AxiosInstance & { storage: { data: Map<string, unknown> } };
    expect([...storage.data.values()]).toHaveLength(1);
    expect(JSON.stringify([...storage.data])).not.toContain('canary-token');
  });
});

describe.each(orders)('with axios-mock-adapter created %s', (order) => {
  function mocked(scheme: AuthScheme, baseURL?: string): { api: AxiosInstance; mock: MockAdapter; handle: AuthHandle } {
    const api = axios.create(baseURL === undefined ? {} : { baseURL });
    let mock: MockAdapter | undefined;
    const handle = stack(api, order, (given) => (mock = new MockAdapter(given)), scheme);
    if (!mock) throw new Error('there is no mock');
    return { api, mock, handle };
  }
  const credentials = (mock: MockAdapter): unknown[] =>
    mock.history.map(({ headers }) => (headers as { Authorization?: unknown }).Authorization);

  test('every send gets the next of its replies', async () => {
    const { scheme, refresh } = dead();
    const { api, mock } = mocked(scheme);
    mock.onGet('/users').replyOnce(401).onGet('/users').replyOnce(503).onGet('/users').reply(200, { users: [] });
    const answer = await api.get('/users');
    expect(answer.data).toEqual({ users: [] });
    expect(refresh).toHaveBeenCalledTimes(1);
    expect(exchangeOf(answer)).toMatchObject({ attempts: 3, refreshed: true });
  });

  test('its history has the credential of every attempt', async () => {
    const { scheme } = dead();
    const { api, mock } = mocked(scheme);
    mock.onPost('/users').replyOnce(401).onPost('/users').reply(201);
    await api.post('/users', { name: 'Ada' });
    expect(credentials(mock)).toEqual(['Bearer dead', 'Bearer fresh']);
    expect(mock.history.map(({ data }) => data as unknown)).toEqual(['{"name":"Ada"}', '{"name":"Ada"}']);
    expect(mock.history.map(({ url }) => url)).toEqual(['/users', '/users']);
  });

  test('a handler can match the credential', async () => {
    const { api, mock } = mocked(apiKey('k1'));
    mock
      .onGet('/users')
      .reply(({ headers }) => [(headers as { 'X-API-Key'?: string })['X-API-Key'] === 'k1' ? 200 : 401]);
    expect((await api.get('/users')).status).toBe(200);
  });

  test('a network error is retried for a GET, and not for a POST', async () => {
    const { api, mock } = mocked(bearer('good'));
    mock.onGet('/users').networkErrorOnce().onGet('/users').reply(200);
    mock.onPost('/users').networkError();
    expect(exchangeOf(await api.get('/users'))).toMatchObject({ attempts: 2 });
    const error = await failureOf(api.post('/users'));
    expect(error.message).toBe('Network Error');
    expect(exchangeOf(error)).toMatchObject({ attempts: 1, reason: 'not-idempotent' });
  });

  test('a permanent network error rejects the call', async () => {
    const { api, mock } = mocked(bearer('good'));
    mock.onGet('/users').networkError();
    const error = await failureOf(api.get('/users'));
    expect(error.message).toBe('Network Error');
    expect(exchangeOf(error)).toMatchObject({ attempts: 4, reason: 'attempts-exhausted' });
  });

  test('a timeout is retried, and rejects with the code of axios', async () => {
    const { api, mock } = mocked(bearer('good'));
    mock.onGet('/once').timeoutOnce().onGet('/once').reply(200);
    mock.onGet('/always').timeout();
    expect(exchangeOf(await api.get('/once', { timeout: 1000 }))).toMatchObject({ attempts: 2 });
    const error = (await failureOf(api.get('/always', { timeout: 1000 }))) as AxiosError;
    expect([error.code, error.message]).toEqual(['ECONNABORTED', 'timeout of 1000ms exceeded']);
    expect(exchangeOf(error)).toMatchObject({ attempts: 4 });
    const clarified = (await failureOf(
      api.get('/always', { timeout: 1000, transitional: { clarifyTimeoutError: true } }),
    )) as AxiosError;
    expect(clarified.code).toBe('ETIMEDOUT');
  });

  test('an abort rejects the call at once', async () => {
    const { api, mock } = mocked(bearer('good'));
    mock.onGet('/users').abortRequest();
    const error = await failureOf(api.get('/users'));
    expect(exchangeOf(error)).toMatchObject({ attempts: 1 });
  });

  test('a call that no handler matches gets its 404', async () => {
    const { api } = mocked(bearer('good'));
    const error = (await failureOf(api.get('/nothing'))) as AxiosError;
    expect(error.response?.status).toBe(404);
    expect(error.config?.headers.get('Authorization')).toBeUndefined();
  });

  test('the credential is on neither the answer nor its config', async () => {
    const { api, mock } = mocked(bearer('canary-token'));
    mock.onGet('/users').reply(200);
    const answer = await api.get('/users');
    expect(answer.config.headers.get('Authorization')).toBeUndefined();
    expect(JSON.stringify(answer)).not.toContain('canary-token');
  });

  test('passThrough sends the credential to the server', async () => {
    const server = await start(onlyFor('fresh'));
    const { scheme } = dead();
    const { api, mock } = mocked(scheme, server.origin);
    mock.onAny().passThrough();
    const answer = await api.post<unknown>('/users', { a: 1 });
    expect(answer.data).toEqual({ status: 200 });
    expect(tokensOf(server)).toEqual(['Bearer dead', 'Bearer fresh']);
    expect(server.seen.map(({ body }) => body.toString())).toEqual(['{"a":1}', '{"a":1}']);
  });

  test('calls reach the server after restore()', async () => {
    const server = await start(onlyFor('fresh'));
    const { scheme, refresh } = dead();
    const { api, mock } = mocked(scheme, server.origin);
    mock.onGet('/users').reply(200, 'mocked');
    expect((await api.get('/users')).data).toBe('mocked');
    mock.restore();
    expect((await api.get<unknown>('/users')).data).toEqual({ status: 200 });
    expect(refresh).toHaveBeenCalledTimes(1);
  });

  test('detach() does not change the mock', async () => {
    const { api, mock, handle } = mocked(bearer('good'));
    mock.onGet('/users').reply(200);
    handle.detach();
    const answer = await api.get('/users');
    expect(credentials(mock)).toEqual([undefined]);
    expect(exchangeOf(answer)).toBeUndefined();
  });
});

const isOrderingKnown = 'legacyInterceptorReqResOrdering' in (axios.defaults.transitional ?? {});

const orderings: [ordering: string, defaults: AxiosRequestConfig][] = [
  ['as ever', {}],
  ['with legacyInterceptorReqResOrdering false', { transitional: { legacyInterceptorReqResOrdering: false } }],
];

// Older versions of the range refuse that option.
describe.each(isOrderingKnown ? orderings : orderings.slice(0, 1))(
  'interceptors of the app, %s,',
  (_ordering, defaults) => {
    const SECRET = 's3cret';
    /** Answers 401 unless the signature fits the request that arrived. */
    const verified: Handler = ({ method, url, headers, body }: Seen, response) => {
      const bodyHash = createHash('sha256').update(body).digest('hex');
      const due = createHmac('sha256', SECRET)
        .update([method, url, headers['x-timestamp'], bodyHash].join('\n'))
        .digest('hex');
      reply(response, headers['x-signature'] === due ? 200 : 401);
    };
    const asyncly = (config: InternalAxiosRequestConfig): Promise<InternalAxiosRequestConfig> =>
      Promise.resolve(config);

    describe.each(orders)('added %s', (order) => {
      test.each([
        ['synchronous', true],
        ['asynchronous', false],
      ])('%s: their changes are sent, and are signed', async (_kind, isSync) => {
        const server = await start(verified);
        const api = axios.create({ ...defaults, baseURL: server.origin });
        const change = (config: InternalAxiosRequestConfig): InternalAxiosRequestConfig => {
          config.params = { ...(config.params as object), trace: 'ä b' };
          config.data = { ...(config.data as object), more: 'ö' };
          config.headers.set('X-Trace', '1');
          return config;
        };
        const add = (given: AxiosInstance): void => {
          if (isSync) given.interceptors.request.use(change, undefined, { synchronous: true });
          else given.interceptors.request.use(async (config) => change(await asyncly(config)));
        };
        stack(api, order, add, hmac({ keyId: 'k', secret: SECRET }));
        const answer = await api.post('/x', { a: 1 }, { params: { q: 'ü' } });
        expect(answer.status).toBe(200);
        expect(server.seen[0]?.headers['x-trace']).toBe('1');
        expect(server.seen[0]?.body.toString()).toBe('{"a":1,"more":"ö"}');
      });

      test.each([
        ['synchronous', true],
        ['asynchronous', false],
      ])('%s: request handlers run once for a call with three sends', async (_kind, isSync) => {
        const server = await start(inTurn(401, 503, 200));
        const { scheme } = dead();
        let runs = 0;
        const add = (given: AxiosInstance): void => {
          given.interceptors.request.use(
            (config) => {
              runs++;
              return isSync ? config : asyncly(config);
            },
            undefined,
            { synchronous: isSync },
          );
        };
        const api = axios.create({ ...defaults, baseURL: server.origin });
        stack(api, order, add, scheme);
        expect(exchangeOf(await api.get('/'))).toMatchObject({ attempts: 3 });
        expect(runs).toBe(1);
      });

      test('response handlers added before see every attempt, later ones the outcome', async () => {
        const server = await start(inTurn(401, 503, 200));
        const { scheme } = dead();
        const heard: unknown[] = [];
        const add = (given: AxiosInstance): void => {
          given.interceptors.response.use(
            (answer) => {
              heard.push(answer.status);
              return answer;
            },
            (error: AxiosError) => {
              heard.push(error.response?.status);
              return Promise.reject(error);
            },
          );
        };
        const api = axios.create({ ...defaults, baseURL: server.origin });
        stack(api, order, add, scheme);
        await api.get('/');
        expect(heard).toEqual(order === 'before' ? [401, 503, 200] : [200]);
      });

      test('a handler that unwraps the data runs once', async () => {
        const server = await start(({ headers }, response) => {
          reply(response, headers.authorization === 'Bearer fresh' ? 200 : 401, { data: { data: 'inner' } });
        });
        const { scheme } = dead();
        const api = axios.create({ ...defaults, baseURL: server.origin });
        const unwrap = (answer: AxiosResponse<unknown>): AxiosResponse => answer.data as AxiosResponse;
        stack(api, order, (given) => void given.interceptors.response.use(unwrap), scheme);
        expect(await api.get<unknown>('/1')).toEqual({ data: { data: 'inner' } });
        expect(await api.get<unknown>('/2')).toEqual({ data: { data: 'inner' } });
      });

      test('an Authorization that they set is kept, and its 401 starts no refresh', async () => {
        const server = await start(inTurn(401));
        const { scheme, refresh } = dead();
        const api = axios.create({ ...defaults, baseURL: server.origin });
        const add = (given: AxiosInstance): void => {
          given.interceptors.request.use((config) => {
            config.headers.set('Authorization', 'Own 1');
            return config;
          });
        };
        stack(api, order, add, scheme);
        await failureOf(api.get('/'));
        expect(tokensOf(server)).toEqual(['Own 1']);
        expect(refresh).not.toHaveBeenCalled();
      });

      test('a request handler that throws rejects the call, and nothing is sent', async () => {
        const server = await start(inTurn(200));
        const api = axios.create({ ...defaults, baseURL: server.origin });
        const add = (given: AxiosInstance): void => {
          given.interceptors.request.use(() => {
            throw new Error('not today');
          });
        };
        stack(api, order, add, bearer('good'));
        await expect(api.get('/')).rejects.toThrow('not today');
        expect(server.seen).toEqual([]);
      });
    });
  },
);

test('children made by instance.create() are not attached', async () => {
  const server = await start(inTurn(401));
  const { scheme, refresh } = dead();
  const api = axios.create({ baseURL: server.origin });
  attachAuth(api, { scheme });
  const { create } = api as AxiosInstance & { create: typeof axios.create };
  const child = create({ headers: { 'X-Child': '1' } });
  const error = await failureOf(child.get('/'));
  expect(exchangeOf(error)).toBeUndefined();
  expect(tokensOf(server)).toEqual([undefined]);
  expect(refresh).not.toHaveBeenCalled();
  attachAuth(child, { scheme: apiKey('k') });
  await failureOf(child.get('/'));
  expect(server.seen.map(({ headers }) => headers['x-api-key'])).toEqual([undefined, 'k']);
});

describe('detach()', () => {
  test('restores the instance', async () => {
    const server = await start(inTurn(401));
    const { scheme, refresh } = dead();
    const api = axios.create({ baseURL: server.origin });
    const adapter = api.defaults.adapter;
    const handle = attachAuth(api, { scheme });
    handle.detach();
    handle.detach();
    expect(api.defaults.adapter).toBe(adapter);
    const error = await failureOf(api.get('/'));
    expect(exchangeOf(error)).toBeUndefined();
    expect(tokensOf(server)).toEqual([undefined]);
    expect(refresh).not.toHaveBeenCalled();
    const handlers: unknown[] = [];
    for (const manager of [api.interceptors.request, api.interceptors.response]) {
      (manager as unknown as { forEach(visit: (handler: unknown) => void): void }).forEach((handler) =>
        handlers.push(handler),
      );
    }
    expect(handlers).toEqual([]);
  });

  test('keeps the interceptors of others', async () => {
    const server = await start(inTurn(503, 200));
    const api = axios.create({ baseURL: server.origin });
    const heard: string[] = [];
    const add = (name: string) => (given: AxiosInstance) => {
      given.interceptors.request.use((config) => {
        heard.push(name);
        return config;
      });
    };
    add('first')(api);
    const handle = stack(api, 'after', add('second'), bearer('good'));
    axiosRetry(api);
    handle.detach();
    expect((await api.get('/')).status).toBe(200);
    expect(heard).toEqual(['second', 'first', 'second', 'first']);
    expect(tokensOf(server)).toEqual([undefined, undefined]);
  });

  test('allows another attachAuth(), and a second detach() does not end that one', async () => {
    const server = await start(inTurn(200));
    const api = axios.create({ baseURL: server.origin });
    const first = attachAuth(api, { scheme: bearer('one') });
    expect(() => attachAuth(api, { scheme: bearer('two') })).toThrow(TypeError);
    first.detach();
    attachAuth(api, { scheme: bearer('two') });
    first.detach();
    await api.get('/');
    expect(tokensOf(server)).toEqual(['Bearer two']);
  });

  test('lets a call in flight settle with its own response', async () => {
    const api = axios.create();
    const server = await start((_, response) => {
      handle.detach();
      reply(response, 401);
    });
    api.defaults.baseURL = server.origin;
    const { scheme, refresh } = dead();
    const handle = attachAuth(api, { scheme });
    const error = (await failureOf(api.get('/'))) as AxiosError;
    expect(error.response?.status).toBe(401);
    expect(error.code).toBe('ERR_BAD_REQUEST');
    expect(refresh).not.toHaveBeenCalled();
  });
});
