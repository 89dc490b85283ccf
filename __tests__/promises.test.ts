import { Readable } from 'node:stream';
import axios, { AxiosError, type AxiosResponse } from 'axios';
import { attachAuth, apiKey, exchangeOf, hmac, isAuthError, RefreshRejectedError } from '../lib/index.js';
import { reply, type Handler } from './support/serve.js';
import { api, challenge, dead, pause, settled, token } from './support/dead-session.js';

describe('what happens on a 401', () => {
  test('one refresh serves everybody, and calls made meanwhile wait for it', async () => {
    const { client, server, refreshes } = await dead();
    const first = Array.from({ length: 30 }, (_, i) => client.get(`/${String(i)}`));
    await pause(30);
    const later = Array.from({ length: 30 }, (_, i) => client.post(`/later/${String(i)}`, { i }));
    for (const answer of await Promise.all([...first, ...later])) expect(answer.status).toBe(200);
    expect(refreshes()).toBe(1);
    expect(server.seen.filter((seen) => token(seen) === 'dead').length).toBeLessThanOrEqual(60);
  });

  test('calls made while the refresh runs are not sent with the dead token', async () => {
    let second: Promise<unknown> | undefined;
    const { client, server } = await dead({
      refresh: async () => {
        // Not in the refresh's own turn: a call that begins there belongs to it.
        await Promise.resolve();
        second = client.get('/second');
        await pause(100);
        return { accessToken: 'good' };
      },
    });
    await client.get('/first');
    await second;
    expect(server.seen.map((seen) => [seen.url, token(seen)])).toEqual([
      ['/first', 'dead'],
      expect.anything(),
      expect.anything(),
    ]);
    expect(server.seen.slice(1).map(token)).toEqual(['good', 'good']);
  });

  test('a 401 that arrives late, for a token replaced meanwhile, replays without another refresh', async () => {
    const { client, refreshes } = await dead({}, (seen, response) => {
      if (token(seen) === 'good') reply(response, 200);
      else
        setTimeout(
          () => {
            reply(response, 401, {}, challenge);
          },
          seen.url === '/slow' ? 150 : 0,
        );
    });
    const slow = client.get('/slow');
    await client.get('/fast');
    expect((await slow).status).toBe(200);
    expect(refreshes()).toBe(1);
  });

  test('a second 401 is the outcome', async () => {
    const { client, server } = await dead({}, (_, response) => {
      reply(response, 401, { why: 'no' }, challenge);
    });
    const { error } = await settled(client.get('/x'));
    expect(server.seen).toHaveLength(2);
    expect(error?.response?.data).toEqual({ why: 'no' });
    expect(isAuthError(error)).toBe(false);
    expect(exchangeOf(error)).toMatchObject({ attempts: 2, refreshed: true, reason: 'unauthorized-again' });
  });

  test('where refreshing does not help, it is left for a while', async () => {
    const { client, refreshes } = await dead({}, (_, response) => {
      reply(response, 401, {}, challenge);
    });
    for (let i = 0; i < 5; i++) await settled(client.get('/x'));
    expect(refreshes()).toBe(1);
    expect(exchangeOf((await settled(client.get('/x'))).error)).toMatchObject({
      attempts: 1,
      reason: 'refresh-breaker',
    });
  });

  test('a refresh that fails for now is tried three times and keeps the session', async () => {
    let tries = 0;
    const { client, session } = await dead({
      refresh: ({ client: bare }) => {
        tries++;
        return bare.post('/nowhere', undefined, { baseURL: 'http://127.0.0.1:1' });
      },
    });
    const { error } = await settled(client.get('/x'));
    expect(error).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED', response: { status: 401 } });
    expect((error?.cause as AxiosError | undefined)?.code).toBe('ECONNREFUSED');
    expect(tries).toBe(3);
    expect(session.getSnapshot().status).toBe('signed-in');
  });

  test.each([
    ['null', () => null],
    [
      'RefreshRejectedError',
      () => {
        throw new RefreshRejectedError();
      },
    ],
    [
      'invalid_grant',
      async () =>
        Promise.reject(
          new AxiosError('x', 'ERR_BAD_REQUEST', undefined, undefined, {
            status: 400,
            data: { error: 'invalid_grant' },
          } as AxiosResponse),
        ),
    ],
  ])('%s ends the session, and the dead refresh token is not sent again', async (_, refresh) => {
    let asked = 0;
    const { client, session, events } = await dead({
      refresh: () => {
        asked++;
        return refresh();
      },
    });
    const { error } = await settled(client.get('/x'));
    expect(error).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED', response: { status: 401 } });
    expect(session.getSnapshot().status).toBe('expired');
    expect((await settled(client.get('/x'))).error).toMatchObject({
      code: 'ERR_AUTH_SESSION_EXPIRED',
      response: { status: 401 },
    });
    expect(asked).toBe(1);
    expect(events.filter(({ type }) => type === 'session-expired')).toHaveLength(1);
  });

  test('signing out wins over a refresh in flight', async () => {
    const { client, session, server } = await dead();
    const call = settled(client.get('/x'));
    while (!session.getSnapshot().refreshing) await pause(1);
    await session.signOut();
    expect((await call).error).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
    await pause(40);
    expect(session.getSnapshot().status).toBe('signed-out');
    await settled(client.get('/y'));
    expect(token(server.seen.at(-1)!)).toBeUndefined();
  });

  test('a 403 and an insufficient_scope are no reason to refresh', async () => {
    const { client, refreshes } = await dead({}, (seen, response) => {
      if (seen.url === '/403') reply(response, 403);
      else reply(response, 401, {}, { 'WWW-Authenticate': 'Bearer error="insufficient_scope"' });
    });
    expect((await settled(client.get('/403'))).error?.response?.status).toBe(403);
    expect((await settled(client.get('/scope'))).error?.response?.status).toBe(401);
    expect(refreshes()).toBe(0);
  });

  test('a stream is sent once; the session is refreshed all the same', async () => {
    const { client, server, refreshes } = await dead();
    const { error } = await settled(client.post('/x', Readable.from(['abc'])));
    expect(error?.response?.status).toBe(401);
    expect(exchangeOf(error)).toMatchObject({ attempts: 1, reason: 'body-not-replayable' });
    await pause(50);
    expect(refreshes()).toBe(1);
    expect(server.seen).toHaveLength(1);
    expect((await client.post('/x', Readable.from(['abc']))).status).toBe(200);
  });

  test('transformRequest runs once, and later interceptors see one call', async () => {
    const { client, server } = await dead();
    client.interceptors.response.use((response) => ({ ...response, data: { wrapped: response.data as unknown } }));
    let requests = 0;
    client.interceptors.request.use((config) => {
      requests++;
      return config;
    });
    const answer = await client.post(
      '/x',
      { a: 1 },
      {
        transformRequest: [
          (data: object, headers) => {
            headers.setContentType('application/json');
            return JSON.stringify({ twice: data });
          },
        ],
      },
    );
    expect(answer.data).toEqual({ wrapped: { ok: true } });
    expect(requests).toBe(1);
    expect(server.seen.map((seen) => seen.body.toString())).toEqual(['{"twice":{"a":1}}', '{"twice":{"a":1}}']);
  });

  test('a refresh through the attached instance after an await fails in time, with a message that helps', async () => {
    const { client } = await dead({
      refreshTimeoutMs: 200,
      refresh: async () => {
        await pause(5);
        return (await client.post<{ accessToken: string }>('/refresh')).data;
      },
    });
    const { error } = await settled(client.get('/x'));
    expect(error).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED' });
    expect(error?.message).toMatch(/client.*attachAuth: false/);
  });

  test('a refresh through the attached instance works when started at once or marked', async () => {
    for (const marked of [false, true]) {
      const { client } = await dead(
        {
          refresh: async () => {
            if (marked) await pause(5);
            return (
              await client.post<{ accessToken: string }>('/refresh', undefined, marked ? { attachAuth: false } : {})
            ).data;
          },
        },
        (seen, response) => {
          if (seen.url === '/refresh') reply(response, 200, { accessToken: 'good' });
          else reply(response, token(seen) === 'good' ? 200 : 401);
        },
      );
      expect((await client.get('/x')).status).toBe(200);
    }
  });

  test('a refresh that throws at once is no end of it', async () => {
    let tries = 0;
    const { client } = await dead({
      refresh: () => {
        if (tries++ === 0) throw new Error('a bug');
        return { accessToken: 'good' };
      },
    });
    expect((await client.get('/x')).status).toBe(200);
  });

  test('two instances with one scheme share one refresh', async () => {
    const { client, server, session, refreshes } = await dead();
    const other = axios.create({ baseURL: server.origin });
    attachAuth(other, { scheme: session });
    await Promise.all([client.get('/a'), other.get('/b')]);
    expect(refreshes()).toBe(1);
  });

  test('near its end a token is refreshed in the background, past it calls wait', async () => {
    const { client, session, server, refreshes } = await dead({
      tokens: { accessToken: 'good', expiresIn: 0.4 },
      refreshAheadMs: 10_000,
    });
    await client.get('/x');
    expect(refreshes()).toBe(0);
    await pause(250);
    await client.get('/x');
    while (session.getSnapshot().refreshing) await pause(5);
    expect(refreshes()).toBe(1);
    expect(server.seen.map(token)).toEqual(['good', 'good']);
  });
});

describe('what happens on a 429', () => {
  /** Refuses the first `times` calls. */
  const throttling = (times: number, headers: Record<string, string>): Handler => {
    let left = times;
    return (_, response) => {
      if (left-- > 0) reply(response, 429, {}, headers);
      else reply(response, 200);
    };
  };
  async function throttled(handler: Handler, retry = {}) {
    const server = await api(handler);
    const client = axios.create({ baseURL: server.origin });
    attachAuth(client, { scheme: apiKey('k'), retry });
    return { server, client };
  }

  test('every method is sent again, and never before Retry-After', async () => {
    const { client, server } = await throttled(throttling(1, { 'Retry-After': '1' }));
    const from = performance.now();
    const answer = await client.post('/x', { a: 1 });
    const tookMs = performance.now() - from;
    expect(tookMs).toBeGreaterThanOrEqual(1000);
    expect(tookMs).toBeLessThan(1400);
    expect(server.seen).toHaveLength(2);
    expect(exchangeOf(answer)?.waitedMs).toBeGreaterThanOrEqual(1000);
  });

  test('a date counts from the Date of the same answer', async () => {
    const servedAt = Date.now() - 3_600_000;
    const { client } = await throttled(
      throttling(1, { Date: new Date(servedAt).toUTCString(), 'Retry-After': new Date(servedAt + 1000).toUTCString() }),
    );
    const from = performance.now();
    await client.get('/x');
    expect(performance.now() - from).toBeGreaterThanOrEqual(1000);
  });

  test.each(['0', 'garbage', '1e3', 'Wed, 21 Oct 2015 07:28:00 GMT', ''])(
    'Retry-After %j: the backoff stands',
    async (value) => {
      const { client, server } = await throttled(throttling(1, { 'Retry-After': value }), { baseDelayMs: 40 });
      const from = performance.now();
      await client.get('/x');
      expect(performance.now() - from).toBeGreaterThanOrEqual(20);
      expect(server.seen).toHaveLength(2);
    },
  );

  test('calls to the same path wait together', async () => {
    const { client, server } = await throttled(throttling(1, { 'Retry-After': '0.3' }));
    const first = client.get('/x');
    await pause(50);
    const others = Array.from({ length: 20 }, () => client.get('/x'));
    const elsewhere = client.get('/elsewhere');
    await elsewhere;
    expect(server.seen).toHaveLength(2);
    await Promise.all([first, ...others]);
    expect(server.seen).toHaveLength(23);
  });

  test('a second path refused meanwhile closes the origin', async () => {
    const { client, server } = await throttled(throttling(2, { 'Retry-After': '0.3' }));
    const refused = [client.get('/a'), client.get('/b')];
    await pause(50);
    const third = client.get('/c');
    await pause(50);
    expect(server.seen).toHaveLength(2);
    await Promise.all([...refused, third]);
  });

  test('six sends, then the 429 itself', async () => {
    const { client, server } = await throttled(throttling(99, {}), { baseDelayMs: 1 });
    const { error } = await settled(client.post('/x'));
    expect(error?.response?.status).toBe(429);
    expect(isAuthError(error)).toBe(false);
    expect(server.seen).toHaveLength(6);
    expect(exchangeOf(error)).toMatchObject({ attempts: 6, reason: 'attempts-exhausted' });
  });

  test('asked for too much it settles at once, and calls meanwhile are not sent', async () => {
    const { client, server } = await throttled(throttling(99, { 'Retry-After': '2592000' }));
    const { error } = await settled(client.get('/x'));
    expect(error?.response?.status).toBe(429);
    expect(exchangeOf(error)).toMatchObject({ attempts: 1, reason: 'retry-after-too-long' });
    expect(exchangeOf(error)!.retryAt! - Date.now()).toBeGreaterThan(2_591_000_000);
    const next = (await settled(client.get('/x'))).error;
    expect(next).toMatchObject({ code: 'ERR_AUTH_THROTTLED' });
    expect(exchangeOf(next)).toMatchObject({ attempts: 0, retryAt: expect.any(Number) as number });
    expect(server.seen).toHaveLength(1);
  });

  test('a caller that aborts stops waiting at once', async () => {
    const { client } = await throttled(throttling(1, { 'Retry-After': '30' }));
    const controller = new AbortController();
    const call = settled(client.get('/x', { signal: controller.signal }));
    await pause(100);
    const from = performance.now();
    controller.abort();
    expect((await call).error?.code).toBe('ERR_CANCELED');
    expect(performance.now() - from).toBeLessThan(50);
  });
});

describe('retries of errors', () => {
  async function flaky(handler: Handler) {
    const server = await api(handler);
    const client = axios.create({ baseURL: server.origin });
    attachAuth(client, { scheme: apiKey('k'), retry: { baseDelayMs: 1 } });
    return { server, client };
  }
  test('idempotent methods four times, others once unless marked', async () => {
    const { client, server } = await flaky((_, response) => {
      reply(response, 503);
    });
    for (const [sends, call] of [
      [4, () => client.get('/x')],
      [4, () => client.put('/x')],
      [4, () => client.delete('/x')],
      [1, () => client.post('/x')],
      [1, () => client.patch('/x')],
      [4, () => client.post('/x', {}, { headers: { 'Idempotency-Key': '1' } })],
      [4, () => client.post('/x', {}, { attachAuth: { idempotent: true } })],
    ] as const) {
      const before = server.seen.length;
      const { error } = await settled(call());
      expect(error?.response?.status).toBe(503);
      // The budget ends a long series.
      if (exchangeOf(error)?.reason !== 'retry-budget') expect(server.seen.length - before).toBe(sends);
    }
  });
  test('a timeout is an error like others, under either code that axios gives it', async () => {
    const { client } = await flaky(() => undefined);
    for (const clarifyTimeoutError of [false, true]) {
      const { error } = await settled(client.get('/x', { timeout: 50, transitional: { clarifyTimeoutError } }));
      expect(error?.code).toBe(clarifyTimeoutError ? 'ETIMEDOUT' : 'ECONNABORTED');
      expect(exchangeOf(error)?.attempts).toBe(4);
    }
    expect(exchangeOf((await settled(client.post('/x', {}, { timeout: 50 }))).error)?.attempts).toBe(1);
  });

  test('a reset POST is processed once', async () => {
    const { client, server } = await flaky((_, response) => {
      response.socket?.destroy();
    });
    expect((await settled(client.post('/x'))).error).toBeDefined();
    expect(server.seen).toHaveLength(1);
    expect((await settled(client.get('/x'))).error).toBeDefined();
    expect(server.seen).toHaveLength(5);
  });
});

describe('errors by code, and options', () => {
  test('nothing waits beyond deadlineMs: then the last answer, else ERR_AUTH_DEADLINE', async () => {
    const hang = (): Promise<never> => new Promise(() => undefined);
    const answered = await dead({ refresh: hang });
    const unsent = await dead({ refresh: hang, tokens: { accessToken: 'dead', expiresIn: 0 } });
    const from = performance.now();
    const [last, none] = await Promise.all(
      [answered, unsent].map(({ client }) => settled(client.get('/x', { attachAuth: { deadlineMs: 100 } }))),
    );
    expect(performance.now() - from).toBeLessThan(300);
    expect(last?.error?.response?.status).toBe(401);
    expect(exchangeOf(last?.error)?.reason).toBe('deadline');
    expect(none?.error?.code).toBe('ERR_AUTH_DEADLINE');
    expect(exchangeOf(none?.error)?.attempts).toBe(0);
  });

  test('a deadline that a backoff would pass: the last answer', async () => {
    const server = await api((_, response) => {
      reply(response, 503, {}, { 'Retry-After': '5' });
    });
    const client = axios.create({ baseURL: server.origin });
    attachAuth(client, { scheme: apiKey('k'), deadlineMs: 1000 });
    const { error } = await settled(client.get('/x'));
    expect(error?.response?.status).toBe(503);
    expect(exchangeOf(error)).toMatchObject({ attempts: 1, reason: 'deadline' });
  });

  test('ERR_AUTH_QUEUE_FULL, ERR_AUTH_DETACHED', async () => {
    const server = await api((_, response) => {
      reply(response, 429, {}, { 'Retry-After': '5' });
    });
    const client = axios.create({ baseURL: server.origin });
    const handle = attachAuth(client, { scheme: apiKey('k'), throttle: { maxQueued: 1 } });
    const first = settled(client.get('/x'));
    await pause(50);
    const waits = settled(client.get('/x'));
    await pause(20);
    expect((await settled(client.get('/x'))).error?.code).toBe('ERR_AUTH_QUEUE_FULL');
    handle.detach();
    expect((await first).error?.code).toBe('ERR_AUTH_DETACHED');
    expect((await waits).error?.code).toBe('ERR_AUTH_DETACHED');
  });

  test('ERR_AUTH_BODY_NOT_SIGNABLE: refused before anything is sent', async () => {
    const server = await api((_, response) => {
      reply(response, 200);
    });
    const client = axios.create({ baseURL: server.origin });
    attachAuth(client, { scheme: hmac({ keyId: 'k', secret: 's' }) });
    for (const body of [Readable.from(['a']), new FormData()]) {
      expect((await settled(client.post('/x', body))).error?.code).toBe('ERR_AUTH_BODY_NOT_SIGNABLE');
    }
    expect(server.seen).toHaveLength(0);
  });

  test('attachAuth: false is never touched; omit keeps retry and gate', async () => {
    let left = 1;
    const { client, server } = await dead({}, (_, response) => {
      reply(response, left-- > 0 ? 503 : 200);
    });
    const { error } = await settled(client.get('/x', { attachAuth: false }));
    expect(error?.response?.status).toBe(503);
    expect(exchangeOf(error)).toBeUndefined();
    left = 1;
    const answer = await client.get('/x', { attachAuth: { credentials: 'omit' } });
    expect(exchangeOf(answer)?.attempts).toBe(2);
    expect(server.seen.map(token)).toEqual([undefined, undefined, undefined]);
  });

  test('retry: false still replays after a 401', async () => {
    const { client, server } = await dead();
    expect((await client.get('/x', { attachAuth: { retry: false } })).status).toBe(200);
    expect(server.seen).toHaveLength(2);
  });

  test('a refresh endpoint that answers a plain 401 is no proof that the session is dead', async () => {
    let asked = 0;
    const { client, session } = await dead(
      {
        refresh: async ({ client: bare, signal }) =>
          (await bare.post<{ accessToken: string }>('/refresh', undefined, { signal })).data,
      },
      (seen, response) => {
        if (seen.url === '/refresh') asked++;
        reply(response, 401);
      },
    );
    expect((await settled(client.get('/x'))).error?.code).toBe('ERR_AUTH_REFRESH_FAILED');
    expect(asked).toBe(3);
    expect(session.getSnapshot().status).toBe('signed-in');
  });

  test('a refresh that never settles rejects everybody in time, and the next call tries again', async () => {
    let tries = 0;
    const { client } = await dead({
      refreshTimeoutMs: 100,
      refresh: () => (tries++ === 0 ? new Promise(() => undefined) : { accessToken: 'good' }),
    });
    const calls = await Promise.all([1, 2, 3].map(() => settled(client.get('/x'))));
    expect(calls.map(({ error }) => error?.code)).toEqual(Array(3).fill('ERR_AUTH_REFRESH_FAILED'));
    await pause(600);
    expect((await client.get('/x')).status).toBe(200);
  });

  test('a stream that met a 503 is not sent again', async () => {
    const { client, server } = await dead({}, (_, response) => {
      reply(response, 503);
    });
    const { error } = await settled(client.put('/x', Readable.from(['a'])));
    expect(exchangeOf(error)).toMatchObject({ attempts: 1, reason: 'body-not-replayable' });
    expect(server.seen).toHaveLength(1);
  });
});
