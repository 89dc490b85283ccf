import { createReadStream } from 'node:fs';
import { inspect } from 'node:util';
import axios, { type AxiosError, type AxiosInstance, type AxiosRequestConfig } from 'axios';
import {
  apiKey,
  attachAuth,
  basic,
  bearer,
  exchangeOf,
  hmac,
  isAuthError,
  RefreshRejectedError,
  signed,
  type AttachAuthOptions,
  type AuthError,
  type AuthEvent,
  type AuthScheme,
  type BearerOptions,
  type RefreshContext,
} from '../lib/index.js';
import { memoryPort } from './support/memory-port.js';
import { tokenStore } from '../lib/store.js';
import { failureOf, hangUp, inTurn, servers, type Answer } from './support/answers.js';
import { reply, serve, type Handler, type Recorder } from './support/serve.js';

const start = servers();
const adapters = ['http', 'fetch'] as const;

/** Every secret begins with this, so that one search finds them all. */
const CANARY = 'canary-3f9d2e';
const ACCESS = `${CANARY}-access`;
const FRESH = `${CANARY}-fresh`;
const REFRESH = `${CANARY}-refresh`;
const PASSWORD = `${CANARY}-password`;
const SECRET = `${CANARY}-secret`;
const KEY = `${CANARY}-key`;
const BASIC = Buffer.from(`user:${PASSWORD}`).toString('base64');

/** Headers whose values are secrets or derived from them. */
const CREDENTIALS = ['authorization', 'x-api-key', 'x-signature', 'x-proof'];

const written: string[] = [];
const spies: jest.SpyInstance[] = [];
beforeAll(() => {
  const keep = (...args: unknown[]): boolean => written.push(shown(args)) > 0;
  for (const method of ['log', 'info', 'warn', 'error', 'debug', 'trace', 'dir'] as const) {
    spies.push(jest.spyOn(console, method).mockImplementation(keep));
  }
});
afterAll(() => {
  for (const spy of spies) spy.mockRestore();
});
afterEach(() => {
  expect(written.filter(betrays(CANARY))).toEqual([]);
  written.length = 0;
});

const betrays =
  (...secrets: string[]) =>
  (text: string): boolean =>
    secrets.some((secret) => text.includes(secret));

/** Not compact: the layout would take most of the time. */
function shown(thing: unknown): string {
  return inspect(thing, { depth: Infinity, getters: true, compact: false });
}

/** All the ways to log a value. */
function renderings(thing: unknown): string[] {
  const texts = [shown(thing), everything(thing), json(thing)];
  if (typeof thing !== 'object' || thing === null) return texts;
  const { toJSON, stack, message, cause } = thing as {
    toJSON?: () => unknown;
    stack?: unknown;
    message?: unknown;
    cause?: unknown;
  };
  texts.push(shown(cloned(thing)), shown({ ...thing }), json({ ...thing }), `${String(stack)}${String(message)}`);
  if (typeof toJSON === 'function') texts.push(shown(unlessEndless(() => toJSON.call(thing))));
  if (cause !== undefined) texts.push(...renderings(cause));
  return texts;
}

/** The toJSON of axios is endless for a cancelled call over fetch. */
function unlessEndless<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The structured clone, as a worker or another frame gets it. undefined if the value has functions. */
function cloned(thing: unknown): unknown {
  try {
    return structuredClone(thing);
  } catch {
    return undefined;
  }
}

function json(thing: unknown): string {
  const seen = new WeakSet();
  const once = (_key: string, value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (seen.has(value)) return '…';
    seen.add(value);
    return value;
  };
  return unlessEndless(() => JSON.stringify(thing, once)) ?? '';
}

/** All enumerable properties, inherited ones too, as an error tracker reads them. */
function everything(thing: unknown): string {
  const found: string[] = [];
  const seen = new WeakSet();
  const walk = (value: unknown): void => {
    if (typeof value === 'string') found.push(value);
    if (value instanceof Uint8Array) found.push(Buffer.from(value).toString('latin1'));
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) return;
    seen.add(value);
    for (const key in value) {
      found.push(key);
      let inner: unknown;
      try {
        inner = (value as Record<string, unknown>)[key];
      } catch {
        // A getter for another `this`.
      }
      walk(inner);
    }
  };
  walk(thing);
  return found.join('\n');
}

/** Fails if a value shows a secret, or a credential that a server received. */
function expectDiscreet(things: readonly unknown[], ...recorders: readonly Recorder[]): void {
  const onTheWire = recorders.flatMap(({ seen }) =>
    seen.flatMap(({ headers }) => CREDENTIALS.map((name) => headers[name])),
  );
  const secrets = [
    CANARY,
    BASIC,
    ...onTheWire.filter((value) => typeof value === 'string' && value !== ''),
  ] as string[];
  for (const thing of things) {
    const leak = renderings(thing).find(betrays(...secrets)) ?? '';
    const place = Math.max(...secrets.map((secret) => leak.indexOf(secret)));
    expect(leak.slice(Math.max(0, place - 300), place + 60)).toBe('');
  }
}

interface Rig {
  readonly api: AxiosInstance;
  readonly events: AuthEvent[];
  readonly handle: unknown;
}

function rig(scheme: AuthScheme, config: AxiosRequestConfig, options: Partial<AttachAuthOptions> = {}): Rig {
  const events: AuthEvent[] = [];
  const api = axios.create(config);
  const handle = attachAuth(api, {
    scheme,
    retry: { baseDelayMs: 1, maxAttempts: 2, maxThrottledAttempts: 2 },
    onEvent: (event) => events.push(event),
    ...options,
  });
  return { api, events, handle };
}

const session = (refresh?: BearerOptions['refresh']): AuthScheme =>
  bearer({ tokens: { accessToken: ACCESS, refreshToken: REFRESH }, ...(refresh && { refresh }) });

const schemes: [name: string, make: () => AuthScheme][] = [
  ['a bearer session', () => session(() => ({ accessToken: FRESH, refreshToken: `${REFRESH}-2`, expiresIn: 3600 }))],
  ['a bearer function', () => bearer(() => Promise.resolve(ACCESS))],
  [
    'two basic credentials',
    () =>
      basic([
        { username: 'user', password: `${PASSWORD}-1` },
        { username: 'user', password: PASSWORD },
      ]),
  ],
  ['apiKey', () => apiKey(KEY)],
  ['hmac', () => hmac({ keyId: KEY, secret: SECRET })],
];

const never: Handler = () => undefined;
const broken: Handler = (_, response) => {
  response.writeHead(200, { 'Content-Length': '1000' });
  response.write('half', () => response.socket?.destroy());
};
const nonsense: Handler = (_, response) => {
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.end('{"half":');
};

/** The response of a server, and the config of the call. */
const fates = (
  [
    ['a 200', 200],
    ['a 400', 400],
    ['a 401', 401],
    ['a 403', 403],
    ['a 404', 404],
    ['a 429 that asks for too much', [429, { 'Retry-After': '3000' }]],
    ['a 429', [429, { 'Retry-After': '0' }]],
    ['a 500', 500],
    ['a 401 that is accepted', 401, { validateStatus: () => true }],
    ['a reset', hangUp],
    ['an answer that breaks off', broken],
    ['a timeout', never, { timeout: 30 }],
    ['a parse error', nonsense, { responseType: 'json', transitional: { silentJSONParsing: false } }],
    ['too much content', 200, { maxContentLength: 1 }],
    ['too large a body', 200, { method: 'put', data: 'x'.repeat(100), maxBodyLength: 1 }],
    ['redirects without end', [302, { Location: '/' }], { maxRedirects: 2 }],
    ['a redirect that is not followed', [302, { Location: '/' }], { maxRedirects: 0 }],
    [
      'a transformResponse that throws',
      200,
      {
        transformResponse: () => {
          throw new Error('no');
        },
      },
    ],
  ] as [fate: string, answer: Answer, config?: AxiosRequestConfig][]
).map(([fate, answer, config = {}]) => [fate, answer, config] as const);

test.each(adapters)('later errors of a streamed response over %s show no credential', async (adapter) => {
  const own = await start((_, response) => {
    response.write('x'.repeat(100));
    response.end('x'.repeat(100));
  });
  const api = axios.create({ baseURL: own.origin, adapter });
  attachAuth(api, { scheme: bearer(ACCESS) });
  const { data } = await api.get<AsyncIterable<unknown>>('/', { responseType: 'stream', maxContentLength: 2 });
  const read = async (): Promise<void> => {
    for await (const chunk of data) expect(chunk).toBeDefined();
  };
  // Not every axios applies the limit to a stream.
  const failure: unknown = await read().catch((error: unknown) => error);
  expect(JSON.stringify([failure])).not.toContain(CANARY);
});

// F86
test.each([
  ['a response', 200],
  ['an error', 400],
] as const)('the body stream of %s shows no credential of the request that it was piped to', async (_, status) => {
  const own = await start((_request, response) => {
    reply(response, status);
  });
  const api = axios.create({ baseURL: own.origin, validateStatus: (got) => got < 300 });
  attachAuth(api, { scheme: bearer(ACCESS) });
  for (const config of [{}, { maxRedirects: 0 }, { onUploadProgress: () => undefined }]) {
    const body = createReadStream(__filename);
    const settled: unknown = await api.put('/', body, config).catch((error: unknown) => error);
    expect(shown(settled)).not.toContain(CANARY);
    expect(JSON.stringify([settled, body])).not.toContain(CANARY);
  }
});

describe('a refresh that fails', () => {
  const errorOfRefresh = async (
    refresh: BearerOptions['refresh'],
    handler: Handler,
    config: AxiosRequestConfig = {},
  ): Promise<Error> => {
    const own = await start(handler);
    const api = axios.create({ baseURL: own.origin, ...config });
    attachAuth(api, {
      scheme: bearer({ tokens: { accessToken: ACCESS, refreshToken: REFRESH }, refresh }),
      retry: false,
    });
    return failureOf(api.get('/'));
  };
  const failureOfRefresh = async (refresh: BearerOptions['refresh'], handler: Handler): Promise<string> => {
    const error = await errorOfRefresh(refresh, handler);
    return inspect([error, error.cause], { depth: Infinity });
  };
  const refused: Handler = (seen, response) => {
    if (seen.url !== '/token') reply(response, 401);
    else response.writeHead(200, { 'Content-Type': 'application/json' }).end(`{"access_token": ${FRESH}}`);
  };

  test('in several ways at once shows no refresh token', async () => {
    const refresh = ({ client, refreshToken }: RefreshContext): Promise<null> =>
      Promise.any([client.post('/refused', { refreshToken }), axios.post('http://127.0.0.1:1', { refreshToken })]).then(
        () => null,
      );
    const shown = await failureOfRefresh(refresh, refused);
    expect(shown).toMatch('AggregateError');
    expect(shown).not.toContain(CANARY);
  });

  test.each([
    ['axios', { responseType: 'json', transitional: { silentJSONParsing: false } }],
    ['a validateStatus of its own', { validateStatus: (status: number) => status === 418 }],
  ] as const)('with a response that has new tokens shows none of them (%s)', async (_, config) => {
    const refresh = async ({ client }: RefreshContext): Promise<never> =>
      (await client.post<never>('/token', {}, config)).data;
    const shown = await failureOfRefresh(refresh, refused);
    expect(shown).toMatch('ERR_AUTH_REFRESH_FAILED');
    expect(shown).not.toContain(CANARY);
  });

  const malformed: Handler = (_, response) => {
    response.socket?.end(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{"access_token":"${FRESH}"}`);
  };
  const withCookie =
    (status: number): Handler =>
    (_, response) => {
      response.writeHead(status, { 'Set-Cookie': `token=${FRESH}`, 'X-Token': status < 400 ? FRESH : '' }).end('{');
    };
  // Not retried.
  const giveUp = (cause: unknown): never => {
    throw new RefreshRejectedError('dead', { cause });
  };
  const strict = { responseType: 'json', transitional: { silentJSONParsing: false } } as const;
  const withPassword = { responseType: 'stream', auth: { username: 'user', password: PASSWORD } } as const;

  describe.each(adapters)('over the %s adapter', (adapter) => {
    test.each<[what: string, token: Handler, url: string, config?: AxiosRequestConfig]>([
      ['an answer that is no HTTP', malformed, '/token'],
      ['a new cookie beside an error', withCookie(400), '/token'],
      ['a new cookie beside nonsense', withCookie(200), '/token', strict],
      ['an error that streams', withCookie(400), '/token', withPassword],
      ['a URL that is none', refused, `http://[bad?token=${REFRESH}`],
    ])('does not show %s', async (_what, token, url, config = {}) => {
      const error = await errorOfRefresh(
        ({ client, refreshToken }) => client.post(url, { refreshToken }, config).then(() => null, giveUp),
        (seen, response, request) => (seen.url === '/token' ? token : refused)(seen, response, request),
        { adapter },
      );
      expect((error.cause as Error).cause).toBeDefined();
      expectDiscreet([error, error.cause]);
    });
  });

  test('with an error of 40 causes shows no refresh token', async () => {
    const error = await errorOfRefresh(({ refreshToken }) => {
      const failures = Array.from({ length: 40 }, () =>
        axios.post('http://127.0.0.1:1', { refreshToken }).catch((cause: unknown) => {
          throw new Error('no', { cause });
        }),
      );
      return Promise.any(failures).then(() => null, giveUp);
    }, refused);
    expectDiscreet([error, error.cause]);
  });

  test('does not quote a response that is not JSON', async () => {
    const refresh = (): Promise<never> =>
      Promise.resolve().then(() => JSON.parse(`{"access_token": ${FRESH}}`) as never);
    const shown = await failureOfRefresh(refresh, refused);
    expect(shown).toMatch('is not valid JSON');
    expect(shown).not.toContain(CANARY.slice(0, 6));
  });
});

describe.each(adapters)('over the %s adapter', (adapter) => {
  describe.each(schemes)('%s is not shown', (_name, make) => {
    test.each(fates)('after %s', async (_fate, answer, config) => {
      const server = await start(inTurn(answer));
      const scheme = make();
      const { api, events, handle } = rig(scheme, { baseURL: server.origin, adapter });
      const outcome = await api.request({ url: '/x', ...config }).catch((error: unknown) => error);
      const { response, config: own, cause } = outcome as { response?: unknown; config?: unknown; cause?: unknown };
      expect(exchangeOf(outcome)).toEqual(
        own && expect.objectContaining({ refreshed: expect.any(Boolean) as boolean }),
      );
      expectDiscreet([outcome, response, own, cause, events, exchangeOf(outcome), scheme, handle], server);
    });

    test('when the connection is refused', async () => {
      const gone = await serve(never);
      await gone.close();
      const { api, events } = rig(make(), { baseURL: gone.origin, adapter });
      const error = await failureOf(api.get('/x'));
      expectDiscreet([error, events, exchangeOf(error)]);
    });

    test('when a streamed response breaks off', async () => {
      const server = await start(broken);
      const { api, events } = rig(make(), { baseURL: server.origin, adapter });
      const { data } = await api.get<AsyncIterable<unknown>>('/x', { responseType: 'stream' });
      const error = await failureOf(
        (async () => {
          for await (const chunk of data) expect(chunk).toBeDefined();
        })(),
      );
      expectDiscreet([error, error.cause, data, events], server);
    });

    test('when the caller has aborted before', async () => {
      const { api, events } = rig(make(), { baseURL: 'http://localhost', adapter });
      const error = await failureOf(api.get('/x', { signal: AbortSignal.abort() }));
      expect(axios.isCancel(error)).toBe(true);
      expectDiscreet([error, events, exchangeOf(error)]);
    });

    test.each(['AbortSignal', 'CancelToken'])('when the caller aborts by %s', async (by) => {
      const controller = new AbortController();
      const source = axios.CancelToken.source();
      const server = await start(() => {
        controller.abort();
        source.cancel('enough');
      });
      const { api, events } = rig(make(), { baseURL: server.origin, adapter });
      const error = await failureOf(
        api.get('/x', by === 'AbortSignal' ? { signal: controller.signal } : { cancelToken: source.token }),
      );
      expect(axios.isCancel(error)).toBe(true);
      // The token of the caller. Its promise refers to the whole test.
      delete (error as AxiosError).config?.cancelToken;
      expectDiscreet([error, source.token.reason, events, exchangeOf(error)], server);
    });

    test('after a redirect to another origin that fails', async () => {
      const foreign = await start(inTurn(500));
      const server = await start(inTurn([302, { Location: foreign.origin }]));
      const { api, events } = rig(make(), { baseURL: server.origin, adapter });
      const error = await failureOf(api.get('/x'));
      expectDiscreet([error, events, exchangeOf(error)], server);
    });

    test('in the responses that interceptors get, added before and after', async () => {
      const server = await start(inTurn(401, 503, 200));
      const delivered: unknown[] = [];
      const api = axios.create({ baseURL: server.origin, adapter });
      const listen = (): void => {
        api.interceptors.response.use(
          (response) => {
            delivered.push(response, response.config);
            return response;
          },
          (error: { config: unknown; response: unknown }) => {
            delivered.push(error, error.config, error.response);
            return Promise.reject(error);
          },
        );
      };
      listen();
      attachAuth(api, { scheme: make(), retry: { baseDelayMs: 1 } });
      listen();
      await api.get('/x').catch(() => undefined);
      expect(delivered.length).toBeGreaterThan(2);
      expectDiscreet(delivered, server);
    });
  });

  describe('a refresh that fails shows no secret', () => {
    type Ask = (context: RefreshContext, token: string) => Promise<{ access_token: string }>;
    const asks: [how: string, ask: Ask][] = [
      [
        'through its client, as JSON',
        async ({ client, refreshToken }, token) =>
          (await client.post<{ access_token: string }>(token, { refreshToken })).data,
      ],
      [
        'through its client, as a form',
        async ({ client, refreshToken = '' }, token) =>
          (
            await client.post<{ access_token: string }>(
              token,
              new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken }),
            )
          ).data,
      ],
      [
        'through its client, with client credentials',
        async ({ client, refreshToken }, token) =>
          (
            await client.post<{ access_token: string }>(
              token,
              { refreshToken },
              { auth: { username: 'user', password: PASSWORD } },
            )
          ).data,
      ],
      [
        'through its client, with headers of its own',
        async ({ client, refreshToken = '' }, token) =>
          (
            await client.post<{ access_token: string }>(token, undefined, {
              headers: { Authorization: `Basic ${BASIC}`, Cookie: `rt=${refreshToken}`, DPoP: SECRET },
            })
          ).data,
      ],
      [
        'through its client, in params',
        async ({ client, refreshToken }, token) =>
          (await client.get<{ access_token: string }>(token, { params: { refresh_token: refreshToken } })).data,
      ],
      [
        'through plain axios',
        async ({ refreshToken }, token) =>
          (await axios.post<{ access_token: string }>(token, { refreshToken }, { adapter })).data,
      ],
      [
        'through plain axios, and is wrapped by the app',
        async ({ refreshToken }, token) => {
          try {
            return (await axios.post<{ access_token: string }>(token, { refreshToken }, { adapter })).data;
          } catch (cause) {
            throw new Error('could not refresh', { cause });
          }
        },
      ],
      [
        'and is wrapped by the app',
        async ({ client, refreshToken }, token) => {
          try {
            return (await client.post<{ access_token: string }>(token, { refreshToken })).data;
          } catch (cause) {
            throw new Error('could not refresh', { cause });
          }
        },
      ],
      [
        'and is called a rejection by the app',
        async ({ client, refreshToken }, token) => {
          try {
            return (await client.post<{ access_token: string }>(token, { refreshToken })).data;
          } catch (cause) {
            throw new RefreshRejectedError('dead', { cause });
          }
        },
      ],
    ];
    const ends: [end: string, handler: Handler][] = [
      [
        'invalid_grant',
        (_, response) => {
          reply(response, 400, { error: 'invalid_grant' });
        },
      ],
      [
        'invalid_client',
        (_, response) => {
          reply(response, 401, { error: 'invalid_client' });
        },
      ],
      [
        'a 503 that asks for too much',
        (_, response) => {
          reply(response, 503, {}, { 'Retry-After': '3000' });
        },
      ],
      [
        'nonsense',
        (_, response) => {
          reply(response, 200, { token_type: 'Bearer' });
        },
      ],
      [
        'a token that no header may carry',
        (_, response) => {
          reply(response, 200, { access_token: `${FRESH}\n` });
        },
      ],
      [
        'the same token again',
        (_, response) => {
          reply(response, 200, { access_token: ACCESS });
        },
      ],
    ];

    describe.each(asks)('%s', (_how, ask) => {
      test.each(ends)('after %s', async (_end, handler) => {
        const server = await start((seen, response, request) =>
          seen.url.startsWith('/token') ? handler(seen, response, request) : inTurn(401)(seen, response, request),
        );
        const scheme = session((context) => ask(context, `${server.origin}/token`));
        const { api, events } = rig(scheme, { baseURL: server.origin, adapter });
        const error = (await failureOf(api.get('/x'))) as AuthError;
        expect(isAuthError(error) && error.code).toMatch(/^ERR_AUTH_(?:REFRESH_FAILED|SESSION_EXPIRED)$/);
        await Promise.resolve();
        expect(events.map(({ type }) => type)).toContain('refresh-failed');
        expectDiscreet([error, error.cause, error.config, error.response, events, exchangeOf(error), scheme, api]);
      });
    });

    test.each([
      ['a reset', hangUp],
      ['a timeout', never],
    ])('after %s', async (_end, handler) => {
      const server = await start((seen, response, request) =>
        seen.url === '/token' ? handler(seen, response, request) : inTurn(401)(seen, response, request),
      );
      const events: AuthEvent[] = [];
      const api = axios.create({ baseURL: server.origin, adapter });
      const errors: unknown[] = [];
      const scheme = session(async ({ client, refreshToken }) => {
        try {
          return (await client.post<{ access_token: string }>('/token', { refreshToken }, { timeout: 30 })).data;
        } catch (error) {
          errors.push(error);
          throw new RefreshRejectedError('gave up', { cause: error });
        }
      });
      attachAuth(api, { scheme, onEvent: (event) => events.push(event) });
      const error = await failureOf(api.get('/x'));
      expect(errors).toHaveLength(1);
      expectDiscreet([error, error.cause, ...errors, events]);
    });

    test('the error that refresh() catches from its client shows no secret', async () => {
      const server = await start(inTurn(401));
      let caught: unknown;
      const scheme = session(async ({ client, refreshToken }) => {
        caught = await client
          .post('/token', { refreshToken }, { headers: { Authorization: `Basic ${BASIC}` } })
          .catch((error: unknown) => error);
        return null;
      });
      const { api } = rig(scheme, { baseURL: server.origin, adapter });
      await failureOf(api.get('/x'));
      expect((caught as { response?: { status?: number } }).response?.status).toBe(401);
      expectDiscreet([caught, (caught as { response?: unknown }).response]);
    });
  });

  describe('an AuthError shows no credential', () => {
    async function expectCode(code: string, call: () => Promise<unknown>, events: AuthEvent[]): Promise<void> {
      const error = await failureOf(call());
      expect(error).toMatchObject({ code, isAxiosError: true });
      expectDiscreet([error, error.cause, events, exchangeOf(error)]);
    }

    test.each([
      ['a bearer token', () => bearer(`${ACCESS}\n`)],
      ['a bearer function', () => bearer(() => `${ACCESS} x`)],
      ['an API key', () => apiKey(`${KEY}\r\nX: y`)],
      ['an API key out of Latin-1', () => apiKey(`${KEY}—`)],
      ['a password', () => basic({ username: 'user', password: `${PASSWORD}\u0000` })],
      ['a user name', () => basic({ username: `${PASSWORD}:`, password: PASSWORD })],
      ['a signed header', () => signed(() => ({ 'X-Proof': `${SECRET}\n` }))],
      ['a header name', () => signed(() => ({ [`${SECRET} x`]: 'x' }))],
      ['a key id', () => hmac({ keyId: `${KEY}\n`, secret: SECRET })],
    ])('ERR_AUTH_INVALID_CREDENTIAL for %s', async (_what, make) => {
      const server = await start(inTurn(200));
      const { api, events } = rig(make(), { baseURL: server.origin, adapter });
      await expectCode('ERR_AUTH_INVALID_CREDENTIAL', () => api.get('/x'), events);
      expect(server.seen).toEqual([]);
    });

    test('ERR_AUTH_BODY_NOT_SIGNABLE', async () => {
      const { api, events } = rig(hmac({ keyId: KEY, secret: SECRET }), { baseURL: 'http://localhost', adapter });
      await expectCode('ERR_AUTH_BODY_NOT_SIGNABLE', () => api.post('/x', new FormData()), events);
    });

    test('ERR_AUTH_FOREIGN_ORIGIN', async () => {
      const { api, events } = rig(
        bearer(ACCESS),
        { baseURL: 'https://api.example.com', adapter },
        { foreignOrigin: 'refuse' },
      );
      await expectCode('ERR_AUTH_FOREIGN_ORIGIN', () => api.get('https://evil.example/x'), events);
    });

    test('ERR_AUTH_INSECURE', async () => {
      const { api, events } = rig(basic({ username: 'user', password: PASSWORD }), {
        baseURL: 'http://api.example.com',
        adapter,
      });
      await expectCode('ERR_AUTH_INSECURE', () => api.get('/x'), events);
    });

    test('ERR_AUTH_THROTTLED', async () => {
      const server = await start(inTurn([429, { 'Retry-After': '3000' }]));
      const { api, events } = rig(apiKey(KEY), { baseURL: server.origin, adapter });
      await failureOf(api.get('/x'));
      await expectCode('ERR_AUTH_THROTTLED', () => api.get('/x'), events);
    });

    test('ERR_AUTH_QUEUE_FULL', async () => {
      const server = await start(inTurn([429, { 'Retry-After': '30' }]));
      const { api, events, handle } = rig(
        apiKey(KEY),
        { baseURL: server.origin, adapter },
        { throttle: { maxQueued: 0 }, retry: { maxThrottledAttempts: 1 } },
      );
      await failureOf(api.get('/x'));
      await expectCode('ERR_AUTH_QUEUE_FULL', () => api.get('/x'), events);
      (handle as { detach(): void }).detach();
    });

    test('ERR_AUTH_DEADLINE', async () => {
      const server = await start(inTurn(200));
      const { api, events } = rig(bearer(ACCESS), { baseURL: server.origin, adapter }, { deadlineMs: 0 });
      await expectCode('ERR_AUTH_DEADLINE', () => api.get('/x'), events);
    });

    test('ERR_AUTH_SESSION_CHANGED and ERR_AUTH_DETACHED', async () => {
      const server = await start(inTurn(401));
      for (const code of ['ERR_AUTH_SESSION_CHANGED', 'ERR_AUTH_DETACHED']) {
        const events: AuthEvent[] = [];
        const api = axios.create({ baseURL: server.origin, adapter });
        const scheme = bearer({
          tokens: { accessToken: ACCESS, refreshToken: REFRESH },
          refresh: () => {
            if (code === 'ERR_AUTH_DETACHED') handle.detach();
            else void scheme.signIn({ accessToken: FRESH });
            return { accessToken: FRESH };
          },
        });
        const handle = attachAuth(api, { scheme, onEvent: (event) => events.push(event) });
        await expectCode(code, () => api.get('/x'), events);
      }
    });
  });

  test.each(['load', 'compareAndSet'] as const)(
    'the error of a store whose %s() fails is not quoted',
    async (method) => {
      const server = await start(inTurn(401));
      const fail = (): never => {
        throw new Error(`cannot store ${ACCESS} and ${REFRESH}`);
      };
      const scheme = bearer({
        tokens: { accessToken: ACCESS, refreshToken: REFRESH },
        refresh: () => ({ accessToken: FRESH }),
        store: tokenStore({ ...memoryPort(), [method]: fail }),
      });
      const { api, events } = rig(scheme, { baseURL: server.origin, adapter });
      const error = await failureOf(api.get('/x'));
      await Promise.resolve();
      expect(events.map(({ type }) => type)).toContain('store-degraded');
      expectDiscreet([error, error.cause, events, exchangeOf(error), scheme, scheme.getSnapshot()], server);
    },
  );

  test('a session and its snapshot show no token', async () => {
    const server = await start(inTurn(200));
    const scheme = bearer({
      tokens: { accessToken: ACCESS, refreshToken: REFRESH },
      refresh: () => ({ accessToken: FRESH }),
    });
    const { api } = rig(scheme, { baseURL: server.origin, adapter });
    await api.get('/x');
    await scheme.refresh();
    expectDiscreet([scheme, scheme.getSnapshot(), api, api.interceptors, api.defaults]);
  });

  test('events show neither query nor user-info of a URL', async () => {
    const server = await start(inTurn(503, 200));
    const { api, events } = rig(
      bearer(ACCESS),
      { baseURL: server.origin.replace('://', `://user:${PASSWORD}@`), adapter: 'http' },
      { origins: [server.origin] },
    );
    await api.get(`/x?key=${KEY}#${SECRET}`, { params: { more: SECRET } });
    expect(events.map(({ type }) => type)).toEqual(['retry']);
    expectDiscreet([events]);
  });
});

test.each(schemes)('an unknown host name shows no credential of %s', async (_name, make) => {
  const lookup = (_host: string, _options: object, found: (error: Error, address: '') => void): void => {
    found(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }), '');
  };
  const { api, events } = rig(make(), {
    baseURL: 'http://api.localhost',
    adapter: 'http',
    lookup,
  } as AxiosRequestConfig);
  const error = await failureOf(api.get('/x'));
  expect(error).toMatchObject({ code: 'ENOTFOUND' });
  expectDiscreet([error, error.cause, events, exchangeOf(error)]);
});
