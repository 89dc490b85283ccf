import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { inspect } from 'node:util';
import axios, {
  type AxiosError,
  type AxiosInstance,
  type AxiosRequestTransformer,
  type AxiosResponse,
  type InternalAxiosRequestConfig,
} from 'axios';
import { attachAuth, bearer, exchangeOf, type AuthHandle, type AuthRequest, type AuthScheme } from '../lib/index.js';
import { RetryBudgets } from '../lib/retry/budget.js';
import { inTurn, servers } from './support/answers.js';
import { reply } from './support/serve.js';
import { reasonOf, Stage, tooMany, underway } from './support/stage.js';

const start = servers();

// F86
test.each([
  ['http', {}],
  ['http', { maxContentLength: 100 }],
  ['fetch', {}],
  ['fetch', { maxContentLength: 100 }],
] as const)('an error that ends a response stream over %s shows no credential (%j)', async (adapter, options) => {
  const server = await start((_seen, response) => {
    response.writeHead(200);
    response.write('x'.repeat(2_000));
  });
  const api = axios.create({ baseURL: server.origin, adapter });
  attachAuth(api, {
    scheme: {
      name: 'presigned',
      credentialHeaders: ['X-Key'],
      authorize({ url, headers }) {
        url.searchParams.set('signature', 'canary-url');
        headers.set('X-Key', 'canary-header');
      },
    },
  });
  const controller = new AbortController();
  const { data } = await api.get<PassThrough>('/', { responseType: 'stream', signal: controller.signal, ...options });
  const read = async (): Promise<void> => {
    for await (const chunk of data) if (chunk) controller.abort();
  };
  const error: unknown = await read().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(Error);
  expect(inspect(error, { depth: 10 }) + JSON.stringify(error)).not.toContain('canary');
  expect(inspect(data, { depth: 0 })).not.toContain('canary-url');
});

// F109
test('a request body that is destroyed unread while its call waits rejects the call', async () => {
  const body = new PassThrough();
  const stage = new Stage();
  stage.attach({ scheme: bearer(() => new Promise<string>(() => undefined)) });
  const call = underway(stage.api.post('/item', body));
  await stage.clock.advance(10);
  body.destroy();
  await new Promise((resolve) => body.on('close', resolve));
  expect(await stage.outcome(call)).toMatchObject({ code: 'ERR_CANCELED' });
});

// F57
test.each(['deadline', 'abort', 'detach'] as const)('authorize() of a redirect obeys the %s', async (end) => {
  const stage = new Stage();
  let runs = 0;
  const scheme: AuthScheme = {
    name: 'slow',
    async authorize({ headers }) {
      if (++runs > 1) await new Promise(() => undefined);
      headers.set('X-Key', 'canary');
    },
  };
  const headers = { location: 'https://api.example.com/new' };
  stage.script('/old', { status: 302, headers, request: { redirect: 'manual' } });
  const controller = new AbortController();
  const handle = stage.attach({ scheme, deadlineMs: 1_000 });
  const call = underway(stage.api.get('/old', { signal: controller.signal, validateStatus: () => true }));
  await stage.clock.advance(100);
  expect(runs).toBe(2);
  if (end === 'abort') controller.abort();
  if (end === 'detach') handle.detach();
  const code = { deadline: 'ERR_AUTH_DEADLINE', abort: 'ERR_CANCELED', detach: 'ERR_AUTH_DETACHED' }[end];
  expect(await stage.outcome(call)).toMatchObject({ code });
  expect(stage.clock.monotonic()).toBeLessThanOrEqual(1_000);
});

// F65
test.each([401, 429])('after a %s no method of the app’s own data is called', async (status) => {
  const called: string[] = [];
  const model = {
    cancel: () => called.push('cancel'),
    destroy: () => called.push('destroy'),
  };
  const refresh = (): { accessToken: string } => ({ accessToken: stage.tokens.issue().access_token });
  const { stage } = Stage.with({ defaults: { transformResponse: [() => model] }, bearer: { refresh } });
  stage.script('/item', { status, headers: { 'retry-after': '1' } });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
  expect(called).toEqual([]);
});

test('a body that is cut is requested again, over http too', async () => {
  const server = await start((seen, response) => {
    if (server.seen.length > 1) return reply(response, 200, { url: seen.url });
    response.writeHead(200, { 'content-length': '1000' });
    response.write('part');
    response.socket?.destroySoon();
  });
  const api = axios.create({ baseURL: server.origin, adapter: 'http' });
  attachAuth(api, { scheme: bearer('canary'), retry: { baseDelayMs: 0 } });
  expect((await api.get('/')).data).toEqual({ url: '/' });
  expect(server.seen).toHaveLength(2);
});

// F116
test('detach() of an attachment that clear() removed leaves later handlers alone', async () => {
  const stage = new Stage();
  const old = stage.attach({ scheme: bearer('old') });
  for (const manager of [stage.api.interceptors.request, stage.api.interceptors.response]) {
    manager.clear();
    // axios 1.18 begins anew with its numbers.
    (manager as unknown as { handlers: unknown[] }).handlers = [];
  }
  stage.attach({ scheme: bearer('new') });
  old.detach();
  await stage.outcome(stage.api.get('/open/page'));
  expect(stage.sent.at(-1)).toMatchObject({ token: 'new' });
});

// F63
test('a 429 that a handler of the app replaced holds up no other call', async () => {
  const stage = new Stage();
  stage.api.interceptors.response.use(undefined, (error: AxiosError) =>
    error.config?.url === '/optional' ? { fallback: true } : Promise.reject(error),
  );
  stage.attach({
    scheme: bearer('x'),
    isUnauthorized: ({ status }) => status === 401,
    throttle: { keyOf: () => 'one' },
  });
  stage.script('/open/a', { status: 429, headers: { 'retry-after': '1' } });
  await stage.outcome(stage.api.get('/open/a'));
  stage.always('/optional', 429);
  for (let calls = 0; calls < 5; calls++) await stage.outcome(stage.api.get('/optional'));
  await stage.clock.advance(1_500);
  const from = stage.clock.monotonic();
  await stage.outcome(stage.api.get('/open/a'));
  expect(stage.clock.monotonic() - from).toBeLessThan(1_000);
});

test('the sends of a call are bounded, however its refusals, 429s and errors alternate', async () => {
  const { stage } = Stage.with({});
  const scheme: AuthScheme = {
    name: 'X',
    authorize: ({ headers }) => void headers.set('X-Key', '1'),
    onChallenge: () => true,
  };
  const api = stage.instance();
  stage.attach({ scheme, throttle: false, retry: { baseDelayMs: 1, maxDelayMs: 2 } }, api);
  stage.script('/item', ...Array.from({ length: 10 }, (_, index) => (index % 2 ? 429 : 401)), 500, 500, 500, 500);
  expect(await stage.outcome(api.get('/item'))).toMatchObject({ reason: 'attempts-exhausted' });
  expect(stage.calls).toHaveLength(4 + 6 + 1);
});

test('a keyOf that returns an empty text closes no other key', async () => {
  const stage = new Stage();
  stage.attach({
    scheme: bearer('x'),
    throttle: { keyOf: ({ headers }) => String(headers.get('X-Tenant') ?? '') },
  });
  stage.always('/open/a', { status: 429, headers: { 'retry-after': '30' } });
  void underway(stage.api.get('/open/a'));
  await stage.clock.advance(100);
  const from = stage.clock.monotonic();
  await stage.outcome(stage.api.get('/open/b', { headers: { 'X-Tenant': 'acme' } }));
  expect(stage.clock.monotonic() - from).toBeLessThan(100);
});

test('maxRetryAfterMs below a second holds for calls that come while the key is closed', async () => {
  const stage = new Stage();
  stage.attach({ scheme: bearer('x'), retry: { maxRetryAfterMs: 500 } });
  stage.always('/open/a', { status: 429, headers: { 'retry-after': '1' } });
  expect(await stage.outcome(stage.api.get('/open/a'))).toMatchObject({ reason: 'retry-after-too-long' });
  expect(await stage.outcome(stage.api.get('/open/a'))).toMatchObject({ code: 'ERR_AUTH_THROTTLED' });
});

test('a body that is made anew is sent with the headers that transformRequest sets for it', async () => {
  const server = await start(inTurn(503, 200));
  const api: AxiosInstance = axios.create({ baseURL: server.origin });
  attachAuth(api, { scheme: bearer('x'), retry: { baseDelayMs: 0 } });
  let made = 0;
  await api.put('/', undefined, {
    transformRequest: (data: string, headers) => {
      headers.set('X-Check', data);
      return data;
    },
    attachAuth: { body: () => `body ${String(++made)}` },
  });
  expect(server.seen.map(({ headers, body }) => [String(body), headers['x-check']])).toEqual([
    ['body 1', 'body 1'],
    ['body 2', 'body 2'],
  ]);
});

test('a retry budget outlives a clock that jumped back', () => {
  const budget = new RetryBudgets().of('https://api.example.com', 0);
  for (let retries = 0; retries < 10; retries++) expect(budget.take(1_000_000)).toBe(true);
  expect(budget.take(1_000_000)).toBe(false);
  expect(budget.take(5_000)).toBe(true);
});

test('retryAt is reported whenever the server said it', async () => {
  const stage = new Stage();
  stage.attach({ scheme: bearer('x'), retry: { shouldRetry: () => false } });
  stage.always('/open/a', { status: 429, headers: { 'retry-after': '5' } });
  const error = await stage.clock.until(stage.api.get('/open/a'));
  expect(exchangeOf((error as PromiseRejectedResult).reason)?.retryAt).toBe(stage.clock.now() + 5_000);
});

test('retryAt is not reported once the server has accepted the call, or has failed otherwise', async () => {
  const stage = new Stage();
  stage.attach({ scheme: bearer('x') });
  stage.script('/open/a', tooMany(2));
  const outcome = await stage.outcome(stage.api.get('/open/a'));
  expect(outcome).toMatchObject({ status: 200, attempts: 2 });
  expect(outcome).not.toHaveProperty('retryAt');
  stage.script('/open/b', tooMany(2), 404);
  expect(await stage.outcome(stage.api.get('/open/b'))).not.toHaveProperty('retryAt');
});

test('a call that no response reached ends with ERR_AUTH_DEADLINE, and the cause, if the next attempt would be too late', async () => {
  const stage = new Stage();
  stage.attach({ scheme: bearer('x'), deadlineMs: 100, retry: { baseDelayMs: 60_000, maxDelayMs: 60_000 } });
  stage.always('/open/a', { fault: 'reset' });
  const settled = await stage.clock.until(stage.api.get('/open/a'));
  expect((settled as PromiseRejectedResult).reason).toMatchObject({
    code: 'ERR_AUTH_DEADLINE',
    cause: { code: 'ECONNRESET' },
  });
});

test('a running call reports no negative wait', async () => {
  const { stage } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
  stage.refreshMs = 500;
  const call = underway(stage.api.get('/item'));
  await stage.clock.advance(200);
  const seen = exchangeOf(stage.sent[0]!.config)?.waitedMs;
  expect(seen).toBeGreaterThanOrEqual(0);
  expect(await stage.outcome(call)).toMatchObject({ status: 200 });
});

// F87
test('a request that keyOf or a scheme prints or serializes shows no session', async () => {
  const stage = new Stage();
  const shown: string[] = [];
  const print = (request: AuthRequest): void =>
    void shown.push(inspect(request, { depth: 20 }), JSON.stringify(request));
  const session = stage.bearer({ tokens: stage.tokens.issue() });
  const printer: AuthScheme = {
    name: 'printer',
    authorize: print,
    onAnswer: ({ request }) => {
      print(request);
    },
  };
  const keyOf = (request: AuthRequest): string => {
    print(request);
    return 'one';
  };
  stage.attach({ scheme: [printer, session], throttle: { keyOf } });
  stage.script('/item', 429);
  await stage.outcome(stage.api.get('/item'));
  // Its own headers are the credential, which it may show once they are written.
  expect(shown).toHaveLength(10);
  expect(shown.map((text) => text.replaceAll('Bearer alice-a1', ''))).not.toContainEqual(
    expect.stringContaining('alice-'),
  );
});

// F108
test.each(['broken', undefined])(
  'a transformResponse that throws %p hides no refusal, and no response',
  async (thrown) => {
    const transformResponse = (data: unknown, _headers: unknown, status?: number): unknown => {
      if (status !== 200) throw thrown;
      return data;
    };
    const { stage } = Stage.with({ bearer: { refresh: () => stage.tokens.issue() } });
    stage.script('/item', 401);
    expect(await stage.outcome(stage.api.get('/item', { transformResponse }))).toMatchObject({
      status: 200,
      attempts: 2,
    });
    stage.always('/item', 404);
    const error = reasonOf(await stage.clock.until(stage.api.get('/item', { transformResponse })));
    expect(error).toMatchObject({ message: String(thrown), response: { status: 404 } });
    expect(exchangeOf(error)).toMatchObject({ attempts: 1 });
  },
);

// F108
test.each<[string, number, (stage: Stage, handle: AuthHandle) => unknown]>([
  ['the deadline', 503, ({ clock }) => clock.advance(1_000)],
  [
    'detach()',
    503,
    (_stage, handle) => {
      handle.detach();
    },
  ],
])('a response is transformed once if %s prevents the next attempt', async (_, status, end) => {
  const stage = new Stage();
  let runs = 0;
  const authorize = (): Promise<void> | undefined => (++runs > 1 ? new Promise(() => undefined) : undefined);
  const handle = stage.attach({ scheme: { name: 'X', authorize }, deadlineMs: 1_000, retry: { baseDelayMs: 1 } });
  stage.script('/item', { status, data: 'text' });
  const transformResponse = (data: unknown): unknown => ({ data });
  const call = underway(stage.api.get('/item', { transformResponse }));
  await stage.clock.advance(100);
  expect(runs).toBe(2);
  await end(stage, handle);
  const error = reasonOf(await stage.clock.until(call));
  expect(error).toMatchObject({ status, response: { status, data: { data: 'text' } } });
  expect(exchangeOf(error)).toMatchObject({ attempts: 1 });
});

test('an AuthError of another call, that an earlier handler made, is passed on as it is', async () => {
  const { stage, scheme, handle } = Stage.with({ bearer: { refresh: () => stage.tokens.issue() } });
  handle.detach();
  const other = axios.create({ baseURL: 'https://other.test' });
  attachAuth(other, { scheme: bearer('token'), origins: ['https://none.test'], foreignOrigin: 'refuse' });
  const { api, clock } = stage;
  let refused: unknown;
  api.interceptors.response.use(undefined, async (failure: AxiosError) => {
    if (failure.response?.status === 401) throw failure;
    refused = await other.get('/').catch((error: unknown) => error);
    throw refused as Error;
  });
  attachAuth(api, { scheme }, clock);
  stage.script('/item', 401, 404);
  const error = reasonOf(await clock.until(api.get('/item')));
  expect(error).toBe(refused);
  expect(error).toMatchObject({ code: 'ERR_AUTH_FOREIGN_ORIGIN' });
});

test.each(['get', 'post'] as const)('a response without a status, as of a stub, is passed on: %s', async (method) => {
  let sends = 0;
  const api = axios.create({ baseURL: 'https://api.example.com', adapter: async () => ({ data: ++sends }) as never });
  attachAuth(api, { scheme: bearer('t') });
  const answer = await api[method]('/item');
  expect([answer.data, sends]).toEqual([1, 1]);
  expect(exchangeOf(answer) ?? {}).not.toHaveProperty('reason');
});

// F61
test('a body() that throws before the call is sent again gives its permit back', async () => {
  const { stage } = Stage.with({});
  for (let uploads = 0; uploads < 5; uploads++) {
    let made = 0;
    const body = (): string => {
      if (++made > 1) throw new Error('the file is gone');
      return 'x';
    };
    stage.script('/files', tooMany(1));
    const upload = stage.api.post('/files', undefined, { attachAuth: { body } });
    expect(reasonOf(await stage.clock.until(upload))).toMatchObject({ message: 'the file is gone' });
  }
  const begunAt = stage.clock.monotonic();
  expect(await stage.outcomes([1, 2, 3].map(() => stage.api.get('/files')))).toMatchObject(
    [200, 200, 200].map((status) => ({ status })),
  );
  expect(stage.clock.monotonic() - begunAt).toBeLessThan(1_000);
});

test.each(['at first', 'again'] as const)(
  'a body() that returns a promise %s rejects with a TypeError, and nothing is sent',
  async (when) => {
    const { stage } = Stage.with({});
    let made = 0;
    const body = (): unknown => (++made > 1 || when === 'at first' ? Promise.reject(new Error('no file')) : 'x');
    stage.script('/files', tooMany(1));
    const upload = stage.api.post('/files', undefined, { attachAuth: { body } });
    const reason: unknown = reasonOf(await stage.clock.until(upload));
    expect(reason).toBeInstanceOf(TypeError);
    expect((reason as Error).message).toMatch(/`attachAuth.body` takes a function that returns data, no promise/);
    expect(stage.to('/files')).toHaveLength(when === 'at first' ? 0 : 1);
  },
);

test.each(['a new array', 'push'])('an earlier interceptor can extend transformRequest by %s', async (how) => {
  const bodies: unknown[] = [];
  const api = axios.create({
    baseURL: 'https://api.example.com',
    adapter: async (config: InternalAxiosRequestConfig) => {
      bodies.push(config.data);
      const status = bodies.length === 1 ? 401 : 200;
      return { status, statusText: '', data: '', headers: {}, config };
    },
  });
  api.interceptors.request.use((config) => {
    const own = (data: unknown): unknown => String(data).replace('}', ',"added":1}');
    const transforms = config.transformRequest as AxiosRequestTransformer[];
    if (how === 'push') transforms.push(own);
    else config.transformRequest = [...transforms, own];
    return config;
  });
  attachAuth(api, { scheme: bearer({ tokens: { accessToken: 'old' }, refresh: () => ({ accessToken: 'new' }) }) });
  await api.post('/item', undefined, { attachAuth: { body: () => ({ a: 1 }) } });
  expect(bodies).toEqual(['{"a":1,"added":1}', '{"a":1,"added":1}']);
});

test('a config that is sent again by axios itself, any number of times, is a new call with its own options', async () => {
  const stage = new Stage();
  const pages: unknown[] = [];
  const adapter = (config: InternalAxiosRequestConfig): Promise<AxiosResponse> => {
    pages.push((config.params as { page: number }).page);
    return stage.adapter(config);
  };
  const api = stage.instance({ adapter });
  stage.attach({ scheme: bearer('t'), deadlineMs: 1_000 }, api);
  stage.always('/item', 200);
  let config = {};
  const note = (answer: AxiosResponse): void => {
    config = answer.config;
  };
  await stage.clock.until(api.get('/item', { params: { page: 1 } }).then(note));
  for (let page = 2; page <= 4; page++) {
    await stage.clock.advance(900);
    expect(await stage.clock.until(axios({ ...config, params: { page } }).then(note))).toMatchObject({
      status: 'fulfilled',
    });
  }
  expect(pages).toEqual([1, 2, 3, 4]);
});

test('an adapter that is wrapped by an earlier interceptor may send two configs', async () => {
  const sent: string[] = [];
  const adapter = async (config: InternalAxiosRequestConfig): Promise<AxiosResponse> => {
    sent.push(config.baseURL!);
    if (sent.length === 1) throw new axios.AxiosError('down', 'ECONNREFUSED', config);
    return { status: 200, statusText: '', data: '', headers: {}, config };
  };
  const api = axios.create({ baseURL: 'https://a.example', adapter });
  api.interceptors.request.use((config) => {
    const inner = axios.getAdapter(config.adapter);
    config.adapter = (given) => inner(given).catch(() => inner({ ...given, baseURL: 'https://b.example' }));
    return config;
  });
  attachAuth(api, { scheme: bearer('t'), origins: '*', retry: false });
  expect((await api.get('/item')).status).toBe(200);
  expect(sent).toEqual(['https://a.example', 'https://b.example']);
});

test('over a Unix socket a connection that breaks is retried', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'socket-')), 'api.sock');
  let requests = 0;
  const server = createServer((_request, response) => {
    if (++requests === 1) response.socket?.destroy();
    else response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  try {
    const api = axios.create({ baseURL: 'http://localhost', socketPath: path, adapter: 'http' });
    attachAuth(api, { scheme: bearer('t'), retry: { baseDelayMs: 0 } });
    expect((await api.get('/')).status).toBe(200);
    expect(requests).toBe(2);
  } finally {
    await new Promise((resolve) => server.close(resolve));
    rmSync(dirname(path), { recursive: true });
  }
});
