import { fork } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axios, { type AxiosError, type AxiosInstance, type AxiosResponse, type CreateAxiosDefaults } from 'axios';
import { buildSync } from 'esbuild';
import type { CookieJar } from 'tough-cookie';
import {
  apiKey,
  attachAuth,
  basic,
  bearer,
  exchangeOf,
  hmac,
  parseChallenges,
  signed,
  type AttachAuthOptions,
  type AuthScheme,
} from '../lib/index.js';
import { requireEsm } from './support/esm.js';
import { isHttpbinInstalled, startHttpbin, type Httpbin } from './support/httpbin.js';
import { reply, serve, type Handler, type Recorder, type Seen } from './support/serve.js';

const { wrapper } = requireEsm('axios-cookiejar-support', ['axios']) as {
  wrapper: (api: AxiosInstance) => AxiosInstance;
};
const { CookieJar: Jar } = requireEsm('tough-cookie') as { CookieJar: new () => CookieJar };

const RETRY = { baseDelayMs: 20 };
const ADA = { username: 'ada', password: 'engine' };
const UTF_8 = { username: 'zoë', password: 'пароль-密碼-🔑' };

const servers: Recorder[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

/** A server, and the instants of its requests. */
async function api(handler: Handler): Promise<Recorder & { readonly askedAt: number[] }> {
  const askedAt: number[] = [];
  const server = await serve((seen, response, request) => {
    askedAt.push(performance.now());
    return handler(seen, response, request);
  });
  servers.push(server);
  return Object.assign(server, { askedAt });
}

function client(baseURL: string, options: AttachAuthOptions, defaults: CreateAxiosDefaults = {}): AxiosInstance {
  const instance = axios.create({ baseURL, ...defaults });
  attachAuth(instance, { retry: RETRY, ...options });
  return instance;
}

/** The result of a call: a response, or an error with or without one. */
async function settled(
  call: Promise<AxiosResponse>,
): Promise<{ error?: AxiosError; response: AxiosResponse | undefined }> {
  try {
    return { response: await call };
  } catch (error) {
    if (!axios.isAxiosError(error)) throw error;
    return { error, response: error.response };
  }
}

function userOf({ headers }: Seen): string | undefined {
  const [, credentials] = /^Basic (.+)$/.exec(headers.authorization ?? '') ?? [];
  return credentials === undefined ? undefined : Buffer.from(credentials, 'base64').toString('utf8').split(':')[0];
}

/** 200 for one pair, 401 for all others: httpbin's /basic-auth. */
function basicAuthFor({ username, password }: { username: string; password: string }): Handler {
  const expected = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  return ({ headers }, response) => {
    if (headers.authorization === expected) reply(response, 200, { authenticated: true, user: username });
    else reply(response, 401, {}, { 'WWW-Authenticate': 'Basic realm="Fake Realm"' });
  };
}

/** The statuses in turn, and 200 from then on. `reset` and `silence` send no response. */
function inTurn(...steps: (number | 'reset' | 'silence' | [number, Record<string, string>])[]): Handler {
  let sends = 0;
  return (_, response, { socket }) => {
    const step = steps[sends++] ?? 200;
    if (step === 'silence') return;
    if (step === 'reset') socket.resetAndDestroy();
    else if (typeof step === 'number') reply(response, step);
    else reply(response, step[0], {}, step[1]);
  };
}

function waitsOf({ askedAt }: { readonly askedAt: number[] }): number[] {
  return askedAt.slice(1).map((at, index) => at - (askedAt[index] ?? at));
}

describe('reading a 401’s challenge', () => {
  const two = 'Bearer realm="api, v2", error="invalid_token", Basic realm="Fake Realm", charset="UTF-8"';

  /** Sends the first attempt without credentials, then answers the first challenge that it has credentials for. */
  function asAsked(wallet: Record<string, string>): AuthScheme {
    const answers = new WeakMap<object, string>();
    return {
      name: 'AsAsked',
      authorize({ headers, exchange }) {
        const answer = answers.get(exchange);
        if (answer !== undefined) headers.set('Authorization', answer);
      },
      onChallenge({ challenges, request }) {
        const answer = challenges.map(({ scheme }) => wallet[scheme]).find((known) => known !== undefined);
        if (answer === undefined) return false;
        answers.set(request.exchange, answer);
        return true;
      },
    };
  }

  test('the challenge of a refusal can be read from the error', async () => {
    const server = await api((_, response) => reply(response, 401, {}, { 'WWW-Authenticate': two }));
    const { response } = await settled(client(server.origin, { scheme: basic(ADA) }).get('/'));
    expect(parseChallenges(response?.headers['www-authenticate'] as string)).toEqual([
      { scheme: 'bearer', params: { realm: 'api, v2', error: 'invalid_token' } },
      { scheme: 'basic', params: { realm: 'Fake Realm', charset: 'UTF-8' } },
    ]);
  });

  test('a scheme that answers the challenge has its call replayed once', async () => {
    const server = await api(({ headers }, response) => {
      if (headers.authorization === 'Basic eDp5') reply(response, 200);
      else reply(response, 401, {}, { 'WWW-Authenticate': two });
    });
    const { status } = await client(server.origin, { scheme: asAsked({ basic: 'Basic eDp5' }) }).get('/');
    expect(status).toBe(200);
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual([undefined, 'Basic eDp5']);
  });

  test('a scheme without an answer has its call settle with the 401', async () => {
    const server = await api((_, response) => reply(response, 401, {}, { 'WWW-Authenticate': 'Negotiate' }));
    const { error } = await settled(client(server.origin, { scheme: asAsked({ basic: 'Basic eDp5' }) }).get('/'));
    expect(error?.response?.status).toBe(401);
    expect(server.seen).toHaveLength(1);
  });

  test('a 401 with insufficient_scope starts no refresh', async () => {
    const challenge = 'Bearer error="insufficient_scope", scope="admin"';
    const server = await api((_, response) => reply(response, 401, {}, { 'WWW-Authenticate': challenge }));
    const refresh = jest.fn();
    const scheme = bearer({ tokens: { accessToken: 'good' }, refresh });
    const { error } = await settled(client(server.origin, { scheme }).get('/'));
    expect(error?.response?.status).toBe(401);
    expect(refresh).not.toHaveBeenCalled();
    expect(server.seen).toHaveLength(1);
  });
});

describe('basic', () => {
  test.each([ADA, UTF_8])('right credentials are accepted at the first send: $username', async (credentials) => {
    const server = await api(basicAuthFor(credentials));
    const { data } = await client(server.origin, { scheme: basic(credentials) }).get('/');
    expect(data.user).toBe(credentials.username);
    expect(server.seen).toHaveLength(1);
  });

  test('wrong credentials settle with the 401 after one send, and are not on the error', async () => {
    const server = await api(basicAuthFor(ADA));
    const scheme = basic({ username: 'ada', password: 'difference' });
    const { error } = await settled(client(server.origin, { scheme }).get('/'));
    expect(error).toMatchObject({ name: 'AxiosError', code: 'ERR_BAD_REQUEST', response: { status: 401 } });
    expect(server.seen).toHaveLength(1);
    expect(JSON.stringify(error)).not.toContain(btoa('ada:difference'));
  });
});

describe('fallback to default credentials', () => {
  const guest = { username: 'guest', password: 'guest' };
  const three = [ADA, { username: 'admin', password: 'admin' }, guest];

  test('credentials are tried in order, and the accepted pair is used from then on', async () => {
    const server = await api(basicAuthFor(guest));
    const instance = client(server.origin, { scheme: basic(three) });
    const first = await instance.get('/');
    await instance.post('/', { next: true });
    expect(server.seen.map(userOf)).toEqual(['ada', 'admin', 'guest', 'guest']);
    expect(exchangeOf(first)).toMatchObject({ attempts: 3, refreshed: true });
  });

  test('if none is accepted, each is tried once and the last 401 settles the call', async () => {
    const server = await api(basicAuthFor({ username: 'unknown', password: 'wrong' }));
    const { error } = await settled(client(server.origin, { scheme: basic(three) }).get('/'));
    expect(error?.response?.status).toBe(401);
    expect(server.seen.map(userOf)).toEqual(['ada', 'admin', 'guest']);
  });
});

describe('a token kept in a file', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'attach-auth-test-'));
    buildSync({
      entryPoints: [join(__dirname, 'support/token-process.ts')],
      outfile: join(directory, 'process.cjs'),
      bundle: true,
      platform: 'node',
      format: 'cjs',
    });
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  function runProcess(origin: string, file: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const child = fork(join(directory, 'process.cjs'), [origin, file], {
        execArgv: [],
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
      let message: unknown;
      child.once('message', (sent) => (message = sent));
      child.once('exit', (code) => {
        if (message === undefined) reject(new Error(`the process ended with ${code} and sent no message`));
        else resolve(message);
      });
    });
  }

  test('is loaded by the next process with its expiry, and refreshed after a 401 there', async () => {
    let accepted = '';
    const asked: unknown[] = [];
    const server = await api(({ url, headers, body }, response) => {
      if (url === '/token') {
        asked.push(JSON.parse(body.toString()).refresh_token);
        accepted = `access-${asked.length}`;
        reply(response, 200, { access_token: accepted, refresh_token: `refresh-${asked.length}`, expires_in: 600 });
      } else if (headers.authorization === `Bearer ${accepted}`) reply(response, 200);
      else reply(response, 401, {}, { 'WWW-Authenticate': 'Bearer error="invalid_token"' });
    });
    const file = join(directory, 'session.json');
    const kept = async (): Promise<unknown> => JSON.parse(await readFile(file, 'utf8')).tokens;

    const first = await runProcess(server.origin, file);
    expect(first).toMatchObject({ status: 200, attempts: 1, refreshed: false });
    expect(await kept()).toMatchObject({ accessToken: 'access-1', refreshToken: 'refresh-1' });
    const { expiresAt } = (await kept()) as { expiresAt: number };
    expect(expiresAt - Date.now()).toBeGreaterThan(590_000);
    expect(expiresAt - Date.now()).toBeLessThanOrEqual(600_000);
    if (process.platform !== 'win32') expect((await stat(file)).mode & 0o777).toBe(0o600);

    const second = await runProcess(server.origin, file);
    expect(second).toMatchObject({ status: 200, attempts: 1, refreshed: false });
    expect(asked).toEqual([null]);

    accepted = '';
    const third = await runProcess(server.origin, file);
    expect(third).toMatchObject({ status: 200, attempts: 2, refreshed: true });
    expect(asked).toEqual([null, 'refresh-1']);
    expect(await kept()).toMatchObject({ accessToken: 'access-2', refreshToken: 'refresh-2' });
  });
});

describe('three retries with backoff and jitter', () => {
  test('end with the response of the server', async () => {
    const server = await api((_, response) => reply(response, 503, { sorry: true }));
    const { error } = await settled(client(server.origin, { scheme: apiKey('k') }).get('/'));
    expect(server.seen).toHaveLength(4);
    expect(error?.response?.data).toEqual({ sorry: true });
    expect(exchangeOf(error)).toMatchObject({ attempts: 4, reason: 'attempts-exhausted' });
  });

  test('end as soon as the server recovers', async () => {
    const server = await api(inTurn(500, 502, 504));
    const { status } = await client(server.origin, { scheme: apiKey('k') }).get('/');
    expect(status).toBe(200);
    expect(server.seen).toHaveLength(4);
  });

  test('wait for random times, so that calls that failed together are not retried together', async () => {
    const server = await api((_, response) => reply(response, 503));
    const instance = client(server.origin, { scheme: apiKey('k'), retry: { baseDelayMs: 50 } });
    const calls = await Promise.all([1, 2, 3].map(() => settled(instance.get('/'))));
    const waited = calls.map(({ error }) => exchangeOf(error)?.waitedMs);
    expect(new Set(waited).size).toBeGreaterThan(1);
  });

  test('are not made for a call that the server may have processed', async () => {
    const server = await api(inTurn(503));
    const { error } = await settled(client(server.origin, { scheme: apiKey('k') }).post('/', {}));
    expect(error?.response?.status).toBe(503);
    expect(server.seen).toHaveLength(1);
  });
});

/** Keeps connections: axios-cookiejar-support makes an agent for every call, and this one reuses the first. */
function keepConnections(instance: AxiosInstance): void {
  let agent: object | undefined;
  instance.interceptors.request.use((config) => {
    agent ??= Object.assign(config.httpAgent as object, { keepAlive: true });
    return { ...config, httpAgent: agent };
  });
}

async function openSession(
  baseURL: string,
  path: string,
  credentials: typeof ADA,
): Promise<{ instance: AxiosInstance; jar: CookieJar }> {
  const jar = new Jar();
  const defaults = { jar, headers: { 'User-Agent': 'lab/1.0', 'Accept-Language': 'en' } } as CreateAxiosDefaults;
  const instance = client(baseURL, { scheme: basic(credentials) }, defaults);
  keepConnections(instance);
  wrapper(instance);
  await instance.get(path);
  return { instance, jar };
}

describe('an authenticated session', () => {
  const countVisits: Handler = ({ headers }, response) => {
    const visits = Number(/visits=(\d+)/.exec(headers.cookie ?? '')?.[1] ?? 0);
    reply(response, 200, { visits }, { 'Set-Cookie': `visits=${visits + 1}; Path=/` });
  };
  const behindBasic =
    (handler: Handler): Handler =>
    (seen, ...rest) =>
      userOf(seen) === 'ada'
        ? handler(seen, ...rest)
        : reply(rest[0], 401, {}, { 'WWW-Authenticate': 'Basic realm="x"' });

  test('does not begin with wrong credentials', async () => {
    const server = await api(behindBasic(countVisits));
    await expect(openSession(server.origin, '/', { ...ADA, username: 'eve' })).rejects.toMatchObject({
      response: { status: 401 },
    });
    expect(server.seen).toHaveLength(1);
  });

  test('keeps cookies, default headers and its connection for every call', async () => {
    const server = await api(behindBasic(countVisits));
    const connections = new Set<Socket>();
    server.server.on('connection', (socket: Socket) => connections.add(socket));
    const { instance, jar } = await openSession(server.origin, '/', ADA);
    for (let call = 0; call < 4; call++) await instance.get('/');
    const { data } = await instance.post('/', { last: true });
    expect(data.visits).toBe(5);
    const kept = await jar.getCookies(server.origin);
    expect(kept.map((cookie) => cookie.cookieString())).toEqual(['visits=6']);
    expect(
      server.seen.every(({ headers }) => headers['user-agent'] === 'lab/1.0' && headers['accept-language'] === 'en'),
    ).toBe(true);
    expect(connections.size).toBe(1);
  });

  test('retries a call with the cookie of the failed response', async () => {
    let sends = 0;
    const server = await api((_, response) =>
      ++sends === 2 ? reply(response, 503, {}, { 'Set-Cookie': 'route=b; Path=/' }) : reply(response, 200),
    );
    const { instance } = await openSession(server.origin, '/', ADA);
    await instance.get('/');
    expect(server.seen.map(({ headers }) => headers.cookie)).toEqual([undefined, undefined, 'route=b']);
  });
});

describe('a custom scheme: X-API-Key, X-Timestamp, X-Signature', () => {
  const SECRET = 'never sent';
  const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
  const sign = (text: string, secret = SECRET): string => createHmac('sha256', secret).update(text).digest('hex');

  /** Verifies the request by its own clock. */
  const verifying =
    (clock: () => number = Date.now): Handler =>
    ({ method, url, headers, body }, response) => {
      const timestamp = String(headers['x-timestamp']);
      const isFresh = Math.abs(clock() / 1000 - Number(timestamp)) < 30;
      const isRight = headers['x-signature'] === sign([method, url, timestamp, sha256(body)].join('\n'));
      const status = headers['x-api-key'] === 'lab' && isFresh && isRight ? 200 : 401;
      reply(response, status, {}, { Date: new Date(clock()).toUTCString() });
    };
  const own = (secret = SECRET): AuthScheme =>
    signed(async ({ method, url, body, now }) => {
      const timestamp = String(Math.floor(now / 1000));
      const bodyHash = sha256((await body.bytes()) ?? new Uint8Array());
      const text = [method, url.pathname + url.search, timestamp, bodyHash].join('\n');
      return { 'X-API-Key': 'lab', 'X-Timestamp': timestamp, 'X-Signature': sign(text, secret) };
    });

  test.each([
    ['signed()', own()],
    ['hmac()', hmac({ keyId: 'lab', secret: SECRET })],
  ])('%s signs the final URL and the final bytes, and the server verifies it', async (_, scheme) => {
    const server = await api(verifying());
    const instance = client(server.origin, { scheme });
    const order = { note: '€ 5 – “schnell”' };
    const answers = [
      await instance.post('/orders', order, { params: { sort: 'by name', tag: ['a', 'b'] } }),
      await instance.put('/orders/1', new URLSearchParams({ a: '1 2', b: 'ü' })),
      await instance.get('/orders?sort=a%20b#top'),
      await instance.delete('/orders/1'),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  test('a wrong secret is refused after one send', async () => {
    const server = await api(verifying());
    const { error } = await settled(client(server.origin, { scheme: own('guessed') }).get('/'));
    expect(error?.response?.status).toBe(401);
    expect(server.seen).toHaveLength(1);
  });

  test('a retried call is signed again', async () => {
    const verify = verifying();
    let sends = 0;
    const server = await api((seen, response, request) =>
      ++sends === 1 ? reply(response, 503) : verify(seen, response, request),
    );
    let nonce = 0;
    const scheme = signed(async (request) => {
      await own().authorize(request);
      return { 'X-Nonce': String(++nonce) };
    });
    expect((await client(server.origin, { scheme }).get('/')).status).toBe(200);
    expect(server.seen.map(({ headers }) => headers['x-nonce'])).toEqual(['1', '2']);
  });

  test('hmac() corrects its clock from a refusal of a server that is an hour ahead', async () => {
    const server = await api(verifying(() => Date.now() + 3_600_000));
    const instance = client(server.origin, { scheme: hmac({ keyId: 'lab', secret: SECRET }) });
    const first = await instance.get('/');
    const second = await instance.get('/');
    expect([first, second].map((answer) => exchangeOf(answer)?.attempts)).toEqual([2, 1]);
  });
});

describe('429', () => {
  const throttled = (retryAfter: string): [number, Record<string, string>] => [429, { 'Retry-After': retryAfter }];

  test.each(['1', new Date(Date.now() + 86_400_000).toUTCString()])(
    'is not retried before Retry-After: %s',
    async (form) => {
      const isDate = form.includes('GMT');
      const server = await api((_, response) => {
        if (server.seen.length > 1) reply(response, 200);
        else reply(response, 429, {}, { 'Retry-After': isDate ? new Date(Date.now() + 1_000).toUTCString() : form });
      });
      const { status } = await client(server.origin, { scheme: apiKey('k') }).get('/');
      expect(status).toBe(200);
      expect(waitsOf(server)[0]).toBeGreaterThanOrEqual(1_000);
    },
  );

  test('queues calls made meanwhile, which the server does not refuse', async () => {
    const server = await api(inTurn(throttled('1')));
    const instance = client(server.origin, { scheme: apiKey('k') });
    const first = instance.get('/');
    while (server.seen.length === 0) await new Promise(setImmediate);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const answers = await Promise.all([first, instance.get('/'), instance.get('/')]);
    expect(answers.map((answer) => exchangeOf(answer)?.attempts)).toEqual([2, 1, 1]);
    expect(Math.min(...server.askedAt.slice(1)) - (server.askedAt[0] ?? 0)).toBeGreaterThanOrEqual(1_000);
  });

  test('with a Retry-After above the limit settles the call at once, with retryAt', async () => {
    const server = await api(inTurn(throttled('3600')));
    const { error } = await settled(client(server.origin, { scheme: apiKey('k') }).get('/'));
    expect(error?.response?.status).toBe(429);
    const { reason, retryAt = 0, attempts } = exchangeOf(error) ?? {};
    expect({ reason, attempts }).toEqual({ reason: 'retry-after-too-long', attempts: 1 });
    expect(Math.abs(retryAt - Date.now() - 3_600_000)).toBeLessThan(5_000);
  });

  test('without Retry-After is retried after at least half a backoff step, which doubles', async () => {
    const server = await api(inTurn(429, 429, 429));
    await client(server.origin, { scheme: apiKey('k') }).post('/', { safe: 'the server has said that it did not act' });
    const waits = waitsOf(server);
    expect(waits).toHaveLength(3);
    waits.forEach((wait, step) => {
      expect(wait).toBeGreaterThanOrEqual((RETRY.baseDelayMs / 2) * 2 ** step - 1);
    });
  });

  test('five times in a row succeeds with the sixth send', async () => {
    const server = await api(inTurn(429, 429, 429, 429, 429));
    const answer = await client(server.origin, { scheme: apiKey('k') }).get('/');
    expect(answer.status).toBe(200);
    expect(server.seen).toHaveLength(6);
    expect(exchangeOf(answer)?.attempts).toBe(6);
  });

  test('six times in a row settles the call', async () => {
    const server = await api((_, response) => reply(response, 429, { slow: 'down' }));
    const { error } = await settled(client(server.origin, { scheme: apiKey('k') }).get('/'));
    expect(server.seen).toHaveLength(6);
    expect(error?.response?.data).toEqual({ slow: 'down' });
    expect(exchangeOf(error)?.reason).toBe('attempts-exhausted');
  });
});

describe('one client with everything', () => {
  const TIMEOUT_MS = 300;

  /** Accepts one token, and passes its requests to `handler`. */
  function guarded(handler: Handler): Handler {
    return (seen, response, request) => {
      if (seen.url === '/token') return reply(response, 200, { access_token: 'good', expires_in: 600 });
      if (seen.headers.authorization === 'Bearer good') return handler(seen, response, request);
      reply(response, 401, {}, { 'WWW-Authenticate': 'Bearer error="invalid_token"' });
    };
  }
  function allOfIt(origin: string): AxiosInstance {
    const scheme = bearer({
      tokens: { accessToken: 'dead', refreshToken: 'r1' },
      refresh: async (context) => (await context.client.post<{ access_token: string }>('/token')).data,
    });
    return client(origin, { scheme }, { timeout: TIMEOUT_MS });
  }
  const sends = ({ seen }: Recorder): number => seen.filter(({ url }) => url !== '/token').length;

  test('succeeds after a dead token, a 503, a broken connection, a timeout and a 429 in one call', async () => {
    const server = await api(guarded(inTurn(503, 'reset', 'silence', [429, { 'Retry-After': '0' }])));
    const answer = await allOfIt(server.origin).get('/');
    expect(answer.status).toBe(200);
    expect(exchangeOf(answer)).toMatchObject({ attempts: 6, refreshed: true });
    expect(sends(server)).toBe(6);
  });

  test('rejects with a timeout after four sends', async () => {
    const server = await api(() => undefined);
    const { error } = await settled(client(server.origin, { scheme: apiKey('k') }, { timeout: 30 }).get('/'));
    expect(error?.code).toBe('ECONNABORTED');
    expect(server.seen).toHaveLength(4);
    expect(exchangeOf(error)?.reason).toBe('attempts-exhausted');
  });

  test.each(['reset', 'silence', 503] as const)('does not repeat a POST after %s', async (trouble) => {
    const server = await api(guarded(inTurn(trouble)));
    const { error } = await settled(allOfIt(server.origin).post('/', { item: 1 }));
    expect(error).toBeDefined();
    expect(exchangeOf(error)?.reason).toBe('not-idempotent');
    expect(server.seen.filter(({ headers }) => headers.authorization === 'Bearer good')).toHaveLength(1);
  });

  test('repeats a POST with an Idempotency-Key, with the same body', async () => {
    const server = await api(guarded(inTurn('reset', 503)));
    const order = { item: 'Lochkarten', note: 'ü€' };
    const headers = { 'Idempotency-Key': 'order-1' };
    expect((await allOfIt(server.origin).post('/', order, { headers })).status).toBe(200);
    const bodies = server.seen.filter(({ url }) => url === '/').map(({ body }) => body.toString());
    expect(bodies).toEqual(Array(4).fill(JSON.stringify(order)));
  });

  test('settles at the deadline with the last response', async () => {
    const server = await api(guarded(inTurn([429, { 'Retry-After': '2' }])));
    const { error } = await settled(allOfIt(server.origin).get('/', { attachAuth: { deadlineMs: 1_000 } }));
    expect(error?.response?.status).toBe(429);
    expect(exchangeOf(error)?.reason).toBe('deadline');
    expect(sends(server)).toBe(2);
  });
});

const isInstalled = isHttpbinInstalled();
const isWanted = isInstalled || Boolean(process.env['REQUIRE_REAL']);
const hint = isWanted ? '' : ' (skipped: no httpbin here; apt-get install python3-httpbin gunicorn python3-gunicorn)';

(isWanted ? describe : describe.skip)(`against a real httpbin${hint}`, () => {
  let httpbin: Httpbin;
  beforeAll(async () => {
    httpbin = await startHttpbin();
  }, 20_000);
  afterAll(() => httpbin.close());

  const pathFor = ({ username, password }: typeof ADA): string =>
    `/basic-auth/${encodeURIComponent(username)}/${encodeURIComponent(password)}`;

  test('parses its two challenges', async () => {
    const bare = axios.create({ baseURL: httpbin.origin, validateStatus: null });
    const read = async (path: string): Promise<unknown> =>
      parseChallenges((await bare.get(path)).headers['www-authenticate'] as string);
    expect(await read(pathFor(ADA))).toEqual([{ scheme: 'basic', params: { realm: 'Fake Realm' } }]);
    expect(await read('/bearer')).toEqual([{ scheme: 'bearer', params: {} }]);
  });

  test.each([ADA, UTF_8])('is let in with right credentials: $username', async (credentials) => {
    const { data } = await client(httpbin.origin, { scheme: basic(credentials) }).get(pathFor(credentials));
    expect(data).toEqual({ authenticated: true, user: credentials.username });
  });

  test('is refused once with wrong credentials', async () => {
    const { error } = await settled(client(httpbin.origin, { scheme: basic(UTF_8) }).get(pathFor(ADA)));
    expect(error?.response?.status).toBe(401);
    expect(exchangeOf(error)?.attempts).toBe(1);
  });

  test('tries several credentials in order', async () => {
    const instance = client(httpbin.origin, { scheme: basic([UTF_8, ADA]) });
    const first = await instance.get(pathFor(ADA));
    const second = await instance.get(pathFor(ADA));
    expect([first, second].map((answer) => exchangeOf(answer)?.attempts)).toEqual([2, 1]);
  });

  test('sends a bearer token', async () => {
    const { data } = await client(httpbin.origin, { scheme: bearer('token-1') }).get('/bearer');
    expect(data).toEqual({ authenticated: true, token: 'token-1' });
  });

  test.each([
    [503, 4],
    [429, 6],
  ])('settles with %i after %i sends', async (status, attempts) => {
    const { error } = await settled(client(httpbin.origin, { scheme: apiKey('k') }).get(`/status/${status}`));
    expect(error?.response?.status).toBe(status);
    expect(exchangeOf(error)).toMatchObject({ attempts, reason: 'attempts-exhausted' });
  });

  test('turns slow responses into timeouts', async () => {
    const instance = client(httpbin.origin, { scheme: apiKey('k'), retry: { ...RETRY, maxAttempts: 2 } });
    const { error } = await settled(instance.get('/delay/1', { timeout: 50 }));
    expect(error?.code).toBe('ECONNABORTED');
    expect(exchangeOf(error)?.attempts).toBe(2);
  });

  test('keeps cookies, default headers and redirects', async () => {
    const { instance } = await openSession(httpbin.origin, pathFor(ADA), ADA);
    const set = await instance.get('/cookies/set', { params: { theme: 'dark' } });
    const { data } = await instance.get('/headers');
    expect(set.data.cookies).toEqual({ theme: 'dark' });
    expect(data.headers).toMatchObject({ 'User-Agent': 'lab/1.0', 'Accept-Language': 'en', Cookie: 'theme=dark' });
    await expect(openSession(httpbin.origin, pathFor(ADA), UTF_8)).rejects.toMatchObject({ response: { status: 401 } });
  });

  test('sends a signature of the request that it echoes', async () => {
    const secret = 'never sent';
    const scheme = hmac({ keyId: 'lab', secret });
    const { data } = await client(httpbin.origin, { scheme }).post(
      '/anything/a%20b',
      { n: 'ü' },
      { params: { q: 'x y' } },
    );
    const { pathname, search } = new URL(data.url as string);
    const bodyHash = createHash('sha256')
      .update(data.data as string)
      .digest('hex');
    const text = [data.method, pathname + search, data.headers['X-Timestamp'], bodyHash].join('\n');
    expect(data.headers['X-Api-Key']).toBe('lab');
    expect(data.headers['X-Signature']).toBe(createHmac('sha256', secret).update(text).digest('hex'));
  });
});
