import { PassThrough, Readable } from 'node:stream';
import axios, {
  AxiosError,
  type AxiosAdapter,
  type AxiosRequestConfig,
  type AxiosResponse,
  type InternalAxiosRequestConfig,
} from 'axios';
import {
  apiKey,
  attachAuth,
  basic,
  bearer,
  exchangeOf,
  hmac,
  signed,
  type AuthScheme,
  type TokenResponse,
} from '../lib/index.js';
import { failureOf, inTurn, onlyFor, servers } from './support/answers.js';
import { recording } from './support/recording.js';
import { reply, type Recorder } from './support/serve.js';
import { reasonOf, Stage, tooMany, unauthorized, underway } from './support/stage.js';
import type { Issued } from './support/token-endpoint.js';

const start = servers();
const adapters = ['http', 'fetch'] as const;

/** A session with a dead token, whose refresh returns `fresh` after some turns of the event loop. */
function deadSession(): AuthScheme {
  return bearer({
    tokens: { accessToken: 'dead', refreshToken: 'r1' },
    refresh: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return { accessToken: 'fresh', expiresIn: 3600 };
    },
  });
}

function client(
  server: Recorder,
  adapter: 'http' | 'fetch',
  scheme = deadSession(),
  defaults: AxiosRequestConfig = {},
) {
  const api = axios.create({ baseURL: server.origin, adapter, ...defaults });
  attachAuth(api, { scheme, retry: { baseDelayMs: 1 } });
  return api;
}

function withoutExpiry({ access_token, refresh_token }: Issued): TokenResponse {
  return { access_token, refresh_token };
}

describe.each(adapters)('over the %s adapter', (adapter) => {
  // F107
  test('isUnauthorized gets parsed data: a GraphQL error in a 200 starts a refresh', async () => {
    const server = await start((seen, response) => {
      const isFresh = seen.headers.authorization === 'Bearer fresh';
      reply(response, 200, isFresh ? { data: { me: 1 } } : { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
    });
    const api = axios.create({ baseURL: server.origin, adapter });
    attachAuth(api, {
      scheme: deadSession(),
      isUnauthorized: ({ data }) =>
        (data as { errors?: { extensions: { code: string } }[] }).errors?.[0]?.extensions.code === 'UNAUTHENTICATED',
    });
    const answer = await api.post('/graphql', { query: '{me}' });
    expect(answer.data).toEqual({ data: { me: 1 } });
    expect(exchangeOf(answer)).toMatchObject({ attempts: 2, refreshed: true });
  });

  // F108
  test.each([401, 503])(
    'a transformResponse that throws on a %s prevents neither refresh nor retry',
    async (status) => {
      const html = (response: Parameters<typeof reply>[0], code: number): void => {
        response.writeHead(code, { 'Content-Type': 'text/html' });
        response.end('<html>');
      };
      let answers = 0;
      const server = await start((_, response) => {
        if (++answers === 1) html(response, status);
        else reply(response, 200, { ok: true });
      });
      const strict = [(text: string): unknown => JSON.parse(text)];
      const api = client(server, adapter, deadSession(), { transformResponse: strict });
      const answer = await api.get('/item');
      expect(answer.data).toEqual({ ok: true });
      expect(exchangeOf(answer)).toMatchObject({ attempts: 2, refreshed: status === 401 });
    },
  );

  // F108
  test('a call that settles with an error of transformResponse carries the response and the report', async () => {
    const server = await start((_, response) => {
      response.writeHead(404, { 'Content-Type': 'text/html' });
      response.end('<html>');
    });
    const api = client(server, adapter, deadSession(), {
      transformResponse: [(text: string): unknown => JSON.parse(text)],
    });
    const error = await failureOf(api.get('/item'));
    expect(error).toBeInstanceOf(SyntaxError);
    expect((error as AxiosError).response?.status).toBe(404);
    expect(exchangeOf(error)).toMatchObject({ attempts: 1 });
    expect(Object.keys(error)).toEqual([]);
  });

  // F169
  test('attachAuth.body makes a new stream for every send', async () => {
    const server = await start(onlyFor('fresh'));
    const body = jest.fn(() => Readable.from([Buffer.from('up'), Buffer.from('load')]));
    const answer = await client(server, adapter).put('/file', undefined, {
      headers: { 'Content-Type': 'application/octet-stream' },
      maxRedirects: 0,
      attachAuth: { body },
    });
    expect(exchangeOf(answer)).toMatchObject({ attempts: 2, refreshed: true });
    expect(server.seen.map((seen) => seen.body.toString())).toEqual(['upload', 'upload']);
    expect(body).toHaveBeenCalledTimes(2);
  });

  test('attachAuth.body is serialized as data is, and a call whose body() throws is not sent', async () => {
    const server = await start(onlyFor('fresh'));
    const api = client(server, adapter);
    let made = 0;
    await api.post('/item', undefined, { attachAuth: { body: () => ({ made: ++made }) } });
    expect(server.seen.map((seen) => [seen.headers['content-type'], seen.body.toString()])).toEqual([
      ['application/json', '{"made":1}'],
      ['application/json', '{"made":2}'],
    ]);
    const broken = (): never => {
      throw new Error('no body today');
    };
    expect((await failureOf(api.post('/item', undefined, { attachAuth: { body: broken } }))).message).toBe(
      'no body today',
    );
    expect(server.seen).toHaveLength(2);
  });

  // F119
  test('a signer sees the Content-Type of a Blob that is sent', async () => {
    const server = await start(inTurn(200));
    const seen: unknown[] = [];
    const scheme = signed(({ headers }) => {
      seen.push(headers.get('Content-Type'));
      return { 'X-Signature': '1' };
    });
    await client(server, adapter, scheme).post('/item', new Blob(['{}'], { type: 'application/vnd.own+json' }));
    expect(seen).toEqual([server.seen[0]?.headers['content-type']]);
  });

  // F118
  test('exchangeOf knows the config inside an adapter, with the attempt of this send', async () => {
    const server = await start(onlyFor('fresh'));
    const real = axios.getAdapter(adapter);
    const attempts: unknown[] = [];
    const spying: AxiosAdapter = (config) => {
      attempts.push(exchangeOf(config)?.attempts);
      return real(config);
    };
    const api = axios.create({ baseURL: server.origin, adapter: spying });
    attachAuth(api, { scheme: deadSession() });
    await api.get('/item');
    expect(attempts).toEqual([1, 2]);
  });
});

// F110
test('postForm of plain values is replayed after a 401, over the http adapter', async () => {
  const server = await start(onlyFor('fresh'));
  const answer = await client(server, 'http').postForm('/form', {
    title: 'once',
    list: [1, 2],
    file: Buffer.from('x'),
  });
  expect(exchangeOf(answer)).toMatchObject({ attempts: 2, refreshed: true });
  const names = server.seen.map(({ body }) =>
    [...body.toString().matchAll(/name="([^"]+)"/g)].map((match) => match[1]),
  );
  expect(names[0]).toEqual(['title', 'list[]', 'list[]', 'file']);
  expect(names[1]).toEqual(names[0]);
});

// F109
test.each<[wait: string, scheme: () => AuthScheme]>([
  [
    'a refresh',
    () => bearer({ tokens: { accessToken: 'old', expiresIn: 0 }, refresh: () => new Promise<never>(() => undefined) }),
  ],
  ['an asynchronous token', () => bearer(() => new Promise<string>(() => undefined))],
  ['a signature', () => signed(() => new Promise(() => undefined))],
])('a stream that fails while its call waits for %s rejects that call', async (_, scheme) => {
  const { api, sent } = recording(scheme());
  const body = new PassThrough();
  const call = failureOf(api.post('/file', body));
  await new Promise((resolve) => setImmediate(resolve));
  body.destroy(new Error('disk failure'));
  expect((await call).message).toBe('disk failure');
  expect(sent).toEqual([]);
  expect(body.listenerCount('error')).toBe(0);
});

// F109
test('a stream that fails in the queue of the throttle rejects its call, and a stream that is sent keeps no listener', async () => {
  const { stage } = Stage.with({});
  stage.script('/busy', { status: 429, headers: { 'Retry-After': '5' } });
  const first = underway(stage.api.get('/busy'));
  await stage.clock.advance(20);
  const body = new PassThrough();
  const call = failureOf(stage.api.post('/busy', body));
  await stage.clock.advance(10);
  body.destroy(new Error('disk failure'));
  expect((await call).message).toBe('disk failure');
  await stage.outcome(first);
  const good = Readable.from(['x']);
  await stage.outcome(stage.api.post('/busy', good));
  expect(good.listenerCount('error')).toBe(0);
});

// F111
test('a promise from shouldRetry or isUnauthorized is ignored', async () => {
  const { stage } = Stage.with({
    attach: {
      retry: { shouldRetry: (() => Promise.resolve(true)) as never },
      isUnauthorized: (() => Promise.resolve(true)) as never,
    },
  });
  stage.script('/item', 503);
  expect(await stage.outcome(stage.api.post('/item', {}))).toMatchObject({ status: 503, attempts: 1 });
  expect(await stage.outcome(stage.api.post('/open/item', {}))).toMatchObject({ status: 200, attempts: 1 });
});

// F113
test.each<[string, AuthScheme, string]>([
  ['an API key', apiKey('key'), 'x-api-key'],
  ['a signature', hmac({ keyId: 'id', secret: 's' }), 'x-signature'],
])('%s is written beside an Authorization of the call', async (_, scheme, header) => {
  const { api, sent } = recording(scheme);
  await api.get('/item', { headers: { Authorization: 'Basic proxy' } });
  expect(sent[0]?.headers).toMatchObject({ authorization: 'Basic proxy', [header]: expect.any(String) as string });
});

// F113
test('a scheme that names no header discards all that it wrote if the call had set one of its headers', async () => {
  const scheme: AuthScheme = {
    name: 'Own',
    authorize: ({ headers }) => void headers.set({ Authorization: 'Own secret', 'X-Proof': 'secret' }),
  };
  const { api, sent } = recording(scheme);
  const answer = await api.get('/item', { headers: { Authorization: 'Mine' } });
  expect(sent[0]?.headers).toMatchObject({ authorization: 'Mine' });
  expect(sent[0]?.headers).not.toHaveProperty('x-proof');
  expect(exchangeOf(answer)).toMatchObject({ bare: 'own-credentials' });
});

// F114
test.each<[string, (value: () => string | null) => AuthScheme]>([
  ['apiKey', (value) => apiKey(value)],
  ['bearer', (value) => bearer(value)],
  ['basic', (value) => basic(() => (value() === null ? null : { username: 'u', password: 'p' }))],
])('%s: a credential that exists only after the 401 is sent', async (_, scheme) => {
  let asked = 0;
  const { api, sent } = recording(
    scheme(() => (asked++ === 0 ? null : 'value')),
    [401, 200],
  );
  expect((await api.get('/item')).status).toBe(200);
  expect(sent).toHaveLength(2);
});

describe('errors', () => {
  // F115
  test.each<[string, () => object]>([
    ['frozen', () => Object.freeze(new AxiosError('broken', 'ECONNRESET', {} as InternalAxiosRequestConfig))],
    ['whose config is a getter', () => Object.defineProperty(new Error('broken'), 'config', { get: () => ({}) })],
  ])('an error that is %s is passed on unchanged', async (_, make) => {
    const error = make();
    const api = axios.create({ baseURL: 'https://api.example.com', adapter: () => Promise.reject(error) });
    attachAuth(api, { scheme: bearer('token'), retry: false });
    expect(await failureOf(api.get('/item'))).toBe(error);
  });

  // F115
  test('an isUnauthorized that throws keeps the response on its error', async () => {
    const { stage } = Stage.with({
      attach: {
        isUnauthorized: () => {
          throw new Error('bad predicate');
        },
      },
    });
    const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(error.message).toBe('bad predicate');
    expect(error.response?.status).toBe(200);
  });

  // F124
  test('the status decides if an adapter provides one with an error of its own', async () => {
    const { stage } = Stage.with({});
    let sends = 0;
    const limited: AxiosAdapter = async (config) => {
      if (++sends > 1) return stage.adapter(config);
      const response = { status: 401, statusText: '', data: '', headers: {}, config, request: {} };
      throw new AxiosError('maxContentLength size of 1 exceeded', AxiosError.ERR_BAD_RESPONSE, config, {}, response);
    };
    const api = stage.instance({ adapter: limited });
    stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issue() }) }, api);
    expect(await stage.outcome(api.get('/item'))).toMatchObject({ status: 200, attempts: 2, refreshed: true });
  });
});

describe('attaching', () => {
  // F116
  test.each([
    ['request', ['request']],
    ['response', ['response']],
    ['both', ['request', 'response']],
  ] as const)('after clear() of %s interceptors an instance can be attached again', async (_, cleared) => {
    const { api, sent } = recording(bearer('first'));
    for (const chain of cleared) api.interceptors[chain].clear();
    attachAuth(api, { scheme: bearer('second') });
    await api.get('/item');
    expect(sent.map(({ headers }) => headers['authorization'])).toEqual(['Bearer second']);
    expect(() => attachAuth(api, { scheme: bearer('third') })).toThrow(TypeError);
  });

  // F117
  test('after detach() the config of an earlier call is a new call that the package does not touch', async () => {
    const { api, sent, handle } = recording(bearer('token'));
    const { config } = await api.get('/item');
    handle.detach();
    const again = await api.request(config);
    expect(again.status).toBe(200);
    expect(exchangeOf(again)).toBeUndefined();
    expect(sent.map(({ headers }) => headers['authorization'])).toEqual(['Bearer token', undefined]);
  });

  test('after detach() the config of a call that an earlier handler has ended is such a new call, too', async () => {
    const { api, sent, handle: first } = recording(bearer('first'));
    first.detach();
    const configs: InternalAxiosRequestConfig[] = [];
    const swallow = ({ config }: AxiosResponse): AxiosResponse => {
      configs.push(config);
      return { data: 'from the handler' } as AxiosResponse;
    };
    const id = api.interceptors.response.use(swallow);
    const handle = attachAuth(api, { scheme: bearer('second') });
    await api.get('/item');
    api.interceptors.response.eject(id);
    handle.detach();
    const again = await api.request(configs[0] ?? {});
    expect(again.status).toBe(200);
    expect(exchangeOf(again)).toBeUndefined();
    expect(sent.map(({ headers }) => headers['authorization'])).toEqual(['Bearer second', undefined]);
  });
});

// F118
test('exchangeOf works across copies of the package', async () => {
  const { api } = recording(bearer('token'));
  const answer = await api.get('/item');
  jest.resetModules();
  const other = jest.requireActual<{ exchangeOf: typeof exchangeOf }>('../lib/index.js');
  expect(other.exchangeOf).not.toBe(exchangeOf);
  expect(other.exchangeOf(answer)).toEqual(exchangeOf(answer));
  const [key] = Object.getOwnPropertySymbols(answer.config.adapter as object);
  expect(Object.getOwnPropertyDescriptor(answer.config.adapter, key!)).toMatchObject({ enumerable: false });
});

// F120
test('keyOf never sees a credential, neither at entry nor at refusal', async () => {
  const seen: string[] = [];
  const stage = new Stage();
  stage.attach({
    scheme: apiKey('secret'),
    throttle: {
      keyOf: ({ headers }) => {
        seen.push(JSON.stringify(headers.toJSON()));
        return `key ${String(headers.get('X-API-Key'))}`;
      },
    },
  });
  stage.script('/open/item', { status: 429, headers: { 'Retry-After': '2' } });
  const first = underway(stage.api.get('/open/item'));
  await stage.clock.advance(50);
  const second = underway(stage.api.get('/open/item'));
  await stage.outcomes([first, second]);
  expect(seen.length).toBeGreaterThanOrEqual(2);
  expect(seen.join()).not.toContain('secret');
  expect(stage.eventsOf('throttled')).toMatchObject([{ key: expect.not.stringContaining('secret') as string }]);
});

// F121
test.each(['hostname', 'port'])(
  'a beforeRedirect of the call that changes the %s of the target sends no credential there',
  async (field) => {
    const foreign = await start(inTurn(200));
    const own = await start((seen, response) => {
      if (seen.url === '/start') response.writeHead(302, { Location: '/next' }).end();
      else reply(response, 200);
    });
    const target = new URL(foreign.origin);
    const beforeRedirect = (options: Record<string, unknown>): void => {
      if (field === 'hostname') options['hostname'] = 'localhost';
      else options['port'] = Number(target.port);
    };
    await client(own, 'http', apiKey('canary')).get('/start', { beforeRedirect });
    const reached = field === 'port' ? foreign.seen : own.seen.slice(1);
    expect(reached.map(({ headers }) => headers['x-api-key'])).toEqual([undefined]);
  },
);

// F122
test('a <base href> of another origin does not make it the own origin', async () => {
  const globals = globalThis as { document?: unknown; location?: unknown };
  try {
    globals.document = { baseURI: 'https://evil.example/' };
    globals.location = { href: 'https://app.example.com/page', origin: 'https://app.example.com' };
    const { api, sent } = recording(bearer('secret'));
    api.defaults.baseURL = '/api';
    const answer = await api.get('/item');
    expect(sent[0]?.headers).not.toHaveProperty('authorization');
    expect(exchangeOf(answer)).toMatchObject({ bare: 'foreign-origin' });
  } finally {
    delete globals.document;
    delete globals.location;
  }
});

// F127
test('each origin has its own clock', async () => {
  const stage = new Stage();
  const offsets: Record<string, number[]> = {};
  const scheme = signed(({ url, now }) => {
    (offsets[url.origin] ??= []).push(Math.round((now - stage.clock.now()) / 60_000));
    return { 'X-Signature': 's' };
  });
  stage.attach({ scheme, origins: ['https://a.example', 'https://b.example'] });
  const aheadMin: Record<string, number> = { 'https://a.example': 60, 'https://b.example': -60 };
  stage.always('/open', ({ origin }) => ({
    status: 200,
    headers: { Date: new Date(stage.clock.now() + aheadMin[origin]! * 60_000).toUTCString() },
  }));
  for (const origin of ['https://a.example', 'https://b.example', 'https://a.example', 'https://b.example'])
    await stage.outcome(stage.api.get(`${origin}/open`));
  expect(offsets).toEqual({ 'https://a.example': [0, 60], 'https://b.example': [0, -60] });
});

// F128
test('a step-up challenge (RFC 9470) starts no refresh', async () => {
  const { stage } = Stage.with({});
  stage.script('/item', unauthorized('Bearer error="insufficient_user_authentication", acr_values="mfa"'));
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401, attempts: 1, refreshed: false });
  expect(stage.tokens.refreshes).toBe(0);
});

// F162
describe('a 401 that no scheme handles', () => {
  test.each<[why: string, config: AxiosRequestConfig]>([
    ['own-credentials', { headers: { Authorization: 'Bearer stale' } }],
    ['omitted', { attachAuth: { credentials: 'omit' } }],
  ])('is reported as %s', async (why, config) => {
    const { stage } = Stage.with({});
    stage.script('/item', unauthorized());
    expect(await stage.outcome(stage.api.get('/item?q=1', config))).toMatchObject({ status: 401, bare: why });
    expect(stage.eventsOf('refusal-ignored')).toMatchObject([
      { call: 1, method: 'GET', url: 'https://api.example.com/item', status: 401, why },
    ]);
  });

  test('is reported as signed-out after a sign-out, and as none-given if a function has no token', async () => {
    const { stage, scheme } = Stage.with({ bearer: { refresh: undefined } });
    await stage.clock.until(scheme.signOut());
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401, bare: 'signed-out' });
    const api = stage.instance();
    stage.attach({ scheme: bearer(() => null) }, api);
    expect(await stage.outcome(api.get('/item'))).toMatchObject({ status: 401, bare: 'none-given' });
    expect(stage.eventsOf('refusal-ignored')).toMatchObject([{ why: 'signed-out' }, { why: 'none-given' }]);
  });

  test('is not reported if the scheme had written its credentials', async () => {
    const { stage } = Stage.with({ bearer: { refresh: undefined } });
    stage.script('/item', unauthorized());
    const outcome = await stage.outcome(stage.api.get('/item'));
    expect(outcome).toMatchObject({ status: 401 });
    expect(outcome).not.toHaveProperty('bare');
    expect(stage.eventsOf('refusal-ignored')).toEqual([]);
  });
});

// F167
describe('a 401 after a wait for the throttle', () => {
  test('is replayed like a first one', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', unauthorized(), { status: 429, headers: { 'Retry-After': '5' } }, unauthorized(), 200);
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(1_000);
    // The token of the first refresh is good, and dies while the call waits.
    expect(await stage.outcome(stage.api.get('/other'))).toMatchObject({ status: 200 });
    expect(await stage.outcome(call)).toMatchObject({ status: 200, attempts: 4, refreshed: true });
  });

  test('does not pause refreshes: the token may have expired since the server issued it', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', unauthorized(), tooMany(5), unauthorized(), 200);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 4, refreshed: true });
    expect(stage.eventsOf('refresh-paused')).toEqual([]);
  });

  test('loses no call of a crowd whose tokens die within each wait', async () => {
    const { stage } = Stage.with({
      expiresIn: 3,
      bearer: { refresh: (context) => stage.refresh(context).then((issued) => withoutExpiry(issued as Issued)) },
      tokens: (endpoint) => withoutExpiry(endpoint.issue()),
    });
    // Three calls in three seconds, whatever their token.
    const sent = new Map<number, number>();
    stage.always('/item', ({ at }) => {
      const window = Math.floor(at / 3_000);
      sent.set(window, (sent.get(window) ?? 0) + 1);
      return sent.get(window)! > 3 ? tooMany(3) : undefined;
    });
    const outcomes = await stage.outcomes(Array.from({ length: 20 }, () => stage.api.get('/item')));
    expect(outcomes.filter(({ status }) => status !== 200)).toEqual([]);
  });

  test('settles the call without such a wait', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', unauthorized(), 503, unauthorized());
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
      status: 401,
      attempts: 3,
      reason: 'unauthorized-again',
    });
  });

  test('is bounded: a server that alternates 401 and 429 ends the call after eleven sends', async () => {
    const stage = new Stage();
    stage.attach({ scheme: { name: 'Hopeful', authorize: () => undefined, onChallenge: () => true } });
    let sends = 0;
    stage.always('/item', () =>
      ++sends % 2 === 0 ? { status: 429, headers: { 'Retry-After': '1' } } : unauthorized(),
    );
    const outcome = await stage.outcome(stage.api.get('/item', { attachAuth: { deadlineMs: 1e9 } }));
    expect(outcome).toMatchObject({ attempts: 11, status: 401, reason: 'unauthorized-again' });
  });
});
