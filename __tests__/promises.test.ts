import { Readable } from 'node:stream';
import axios, { AxiosError, type AxiosInstance, type AxiosResponse } from 'axios';
import {
  attachAuth,
  apiKey,
  exchangeOf,
  hmac,
  isAuthError,
  RefreshRejectedError,
  type RetryOptions,
} from '../lib/index.js';
import { api, challenge, dead, latch, settled, token, when } from './support/dead-session.js';
import { reply } from './support/serve.js';
import { reasonOf, Stage, TOKEN_PATH, underway, type Reply } from './support/stage.js';
import { MORNING } from './support/virtual-clock.js';

describe('on a 401', () => {
  test('concurrent calls share one refresh, and calls made meanwhile wait for it', async () => {
    const answer = latch();
    let refreshes = 0;
    const { client, server, session } = await dead({
      refresh: async () => {
        refreshes++;
        await answer.opened;
        return { accessToken: 'good' };
      },
    });
    const first = Array.from({ length: 30 }, (_, i) => client.get(`/${String(i)}`));
    await when(session, ({ refreshing }) => refreshing);
    const later = Array.from({ length: 30 }, (_, i) => client.post(`/later/${String(i)}`, { i }));
    answer.open();
    for (const { status } of await Promise.all([...first, ...later])) expect(status).toBe(200);
    expect(refreshes).toBe(1);
    expect(server.seen.filter((seen) => token(seen) === 'dead')).toHaveLength(30);
  });

  test('calls made while the refresh runs are not sent with the dead token', async () => {
    let second: Promise<unknown> | undefined;
    const { client, server } = await dead({
      refresh: async () => {
        // Not synchronously in refresh(): such a call belongs to the refresh.
        await Promise.resolve();
        second = client.get('/second');
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
    const late = latch();
    const { client, refreshes } = await dead({}, async (seen, response) => {
      if (token(seen) === 'good') {
        reply(response, 200);
        return;
      }
      if (seen.url === '/slow') await late.opened;
      reply(response, 401, {}, challenge);
    });
    const slow = client.get('/slow');
    await client.get('/fast');
    late.open();
    expect((await slow).status).toBe(200);
    expect(refreshes()).toBe(1);
  });

  test('a second 401 settles the call', async () => {
    const { client, server } = await dead({}, (_, response) => {
      reply(response, 401, { why: 'no' }, challenge);
    });
    const { error } = await settled(client.get('/x'));
    expect(server.seen).toHaveLength(2);
    expect(error?.response?.data).toEqual({ why: 'no' });
    expect(isAuthError(error)).toBe(false);
    expect(exchangeOf(error)).toMatchObject({ attempts: 2, refreshed: true, reason: 'unauthorized-again' });
  });

  test('a server that refuses new tokens pauses the refresh', async () => {
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

  test('a temporary refresh failure is tried three times and keeps the session', async () => {
    const { stage, scheme } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    stage.always(TOKEN_PATH, { fault: 'refused' });
    const error = reasonOf(await stage.clock.until(stage.api.get('/x')));
    expect(error).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED', response: { status: 401 } });
    expect((error.cause as AxiosError | undefined)?.code).toBe('ECONNREFUSED');
    expect(stage.tokens.refreshes).toBe(3);
    expect(scheme.getSnapshot().status).toBe('signed-in');
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

  test('signOut() wins over a refresh in flight', async () => {
    const answer = latch();
    const { client, session, server, events } = await dead({
      refresh: async () => {
        await answer.opened;
        return { accessToken: 'good' };
      },
    });
    const call = settled(client.get('/x'));
    await when(session, ({ refreshing }) => refreshing);
    await session.signOut();
    expect((await call).error).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
    answer.open();
    await settled(client.get('/y'));
    expect(token(server.seen.at(-1)!)).toBeUndefined();
    expect(session.getSnapshot().status).toBe('signed-out');
    expect(events.filter(({ type }) => type === 'refreshed')).toEqual([]);
  });

  test('a 403 and an insufficient_scope start no refresh', async () => {
    const { client, refreshes } = await dead({}, (seen, response) => {
      if (seen.url === '/403') reply(response, 403);
      else reply(response, 401, {}, { 'WWW-Authenticate': 'Bearer error="insufficient_scope"' });
    });
    expect((await settled(client.get('/403'))).error?.response?.status).toBe(403);
    expect((await settled(client.get('/scope'))).error?.response?.status).toBe(401);
    expect(refreshes()).toBe(0);
  });

  test('a stream is sent once, and its 401 starts a refresh', async () => {
    const { client, server, session, refreshes } = await dead();
    const { error } = await settled(client.post('/x', Readable.from(['abc'])));
    expect(error?.response?.status).toBe(401);
    expect(exchangeOf(error)).toMatchObject({ attempts: 1, reason: 'body-not-replayable' });
    await when(session, ({ refreshing, generation }) => !refreshing && generation > 1);
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

  test('a refresh through the attached instance after an await rejects in time, with advice', async () => {
    const { stage } = Stage.with({
      tokens: (endpoint) => endpoint.issueDead(),
      bearer: {
        refreshTimeoutMs: 200,
        refresh: async () => {
          await Promise.resolve();
          return (await stage.api.post<{ accessToken: string }>('/refresh')).data;
        },
      },
    });
    const error = reasonOf(await stage.clock.until(stage.api.get('/x')));
    expect(stage.clock.monotonic()).toBe(210);
    expect(error.code).toBe('ERR_AUTH_REFRESH_FAILED');
    expect(error.message).toMatch(/client.*attachAuth: false/);
  });

  test('a refresh through the attached instance works if started synchronously or with attachAuth: false', async () => {
    for (const marked of [false, true]) {
      const { client } = await dead(
        {
          refresh: async () => {
            if (marked) await Promise.resolve();
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

  test('a refresh that throws an error without a network code is repeated for a later call only', async () => {
    let tries = 0;
    const { stage } = Stage.with({
      tokens: (endpoint) => endpoint.issueDead(),
      bearer: {
        refresh: (context) => {
          if (tries++ === 0) throw new Error('a bug');
          return stage.refresh(context);
        },
      },
    });
    expect(await stage.outcome(stage.api.get('/x'))).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED' });
    expect(tries).toBe(1);
    await stage.clock.advance(600);
    expect(await stage.outcome(stage.api.get('/x'))).toMatchObject({ status: 200 });
  });

  test('two instances with one scheme share one refresh', async () => {
    const { client, server, session, refreshes } = await dead();
    const other = axios.create({ baseURL: server.origin });
    attachAuth(other, { scheme: session });
    await Promise.all([client.get('/a'), other.get('/b')]);
    expect(refreshes()).toBe(1);
  });

  test('a token is refreshed in the background before its expiry, and calls wait after it', async () => {
    const { stage, scheme } = Stage.with({ expiresIn: 100, bearer: { refreshAheadMs: 10_000 } });
    expect(await stage.outcome(stage.api.get('/x'))).toMatchObject({ status: 200 });
    expect(stage.tokens.refreshes).toBe(0);
    await stage.clock.advance(95_000);
    expect(await stage.outcome(stage.api.get('/x'))).toMatchObject({ status: 200, waitedMs: 0 });
    expect(scheme.getSnapshot().refreshing).toBe(true);
    await stage.clock.advance(200_000);
    expect(await stage.outcome(stage.api.get('/x'))).toMatchObject({ status: 200, attempts: 1, waitedMs: 50 });
    expect(stage.calls.map(({ token: sent }) => sent)).toEqual(['alice-a1', 'alice-a1', 'alice-a3']);
    expect(stage.tokens.refreshes).toBe(2);
  });
});

describe('on a 429', () => {
  /** Refuses the first `times` calls. */
  function throttled(times: number, headers: Record<string, string>, retry: RetryOptions = {}): Stage {
    const stage = new Stage();
    stage.attach({ scheme: apiKey('k'), retry });
    let left = times;
    const answer = (): Reply => (left-- > 0 ? { status: 429, headers } : { status: 200 });
    for (const path of ['/x', '/a', '/b', '/c', '/elsewhere']) stage.always(path, answer);
    return stage;
  }

  test('every method is retried, and never before Retry-After', async () => {
    const stage = throttled(1, { 'Retry-After': '1' });
    const { status, waitedMs } = await stage.outcome(stage.api.post('/x', { a: 1 }));
    expect(status).toBe(200);
    const [first, second, ...more] = stage.calls;
    expect(more).toEqual([]);
    // 10 ms until the refusal arrives, and up to 250 ms of jitter.
    expect(second!.at - first!.at).toBeGreaterThanOrEqual(1_010);
    expect(second!.at - first!.at).toBeLessThanOrEqual(1_260);
    expect(waitedMs).toBeGreaterThanOrEqual(1_000);
  });

  test('a date is relative to the Date of the same response', async () => {
    const servedAt = MORNING - 3_600_000;
    const date = (at: number): string => new Date(at).toUTCString();
    const stage = throttled(1, { Date: date(servedAt), 'Retry-After': date(servedAt + 1_000) });
    await stage.outcome(stage.api.get('/x'));
    expect(stage.calls[1]!.at).toBeGreaterThanOrEqual(1_010);
    expect(stage.calls[1]!.at).toBeLessThanOrEqual(1_260);
  });

  test.each(['0', 'garbage', '1e3', 'Wed, 21 Oct 2015 07:28:00 GMT', ''])(
    'Retry-After %j: the backoff is used',
    async (value) => {
      const stage = throttled(1, { 'Retry-After': value }, { baseDelayMs: 40 });
      await stage.outcome(stage.api.get('/x'));
      expect(stage.calls).toHaveLength(2);
      expect(stage.calls[1]!.at).toBeGreaterThanOrEqual(10 + 20);
      expect(stage.calls[1]!.at).toBeLessThanOrEqual(10 + 40);
    },
  );

  test('calls to the same path are queued', async () => {
    const stage = throttled(1, { 'Retry-After': '0.3' });
    const first = underway(stage.api.get('/x'));
    await stage.clock.advance(50);
    const others = Array.from({ length: 20 }, () => underway(stage.api.get('/x')));
    const elsewhere = underway(stage.api.get('/elsewhere'));
    await stage.clock.advance(50);
    expect(stage.calls.map(({ path }) => path)).toEqual(['/x', '/elsewhere']);
    expect((await stage.outcomes([first, ...others, elsewhere])).map(({ status }) => status)).toEqual(
      Array(22).fill(200),
    );
    expect(stage.calls).toHaveLength(23);
  });

  test('a second path refused meanwhile closes the origin', async () => {
    const stage = throttled(2, { 'Retry-After': '0.3' });
    const refused = [underway(stage.api.get('/a')), underway(stage.api.get('/b'))];
    await stage.clock.advance(50);
    const third = underway(stage.api.get('/c'));
    await stage.clock.advance(50);
    expect(stage.calls).toHaveLength(2);
    expect((await stage.outcomes([...refused, third])).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  test('the sixth 429 settles the call', async () => {
    const stage = throttled(99, {}, { baseDelayMs: 1 });
    const error = reasonOf(await stage.clock.until(stage.api.post('/x')));
    expect(error.response?.status).toBe(429);
    expect(isAuthError(error)).toBe(false);
    expect(stage.calls).toHaveLength(6);
    expect(exchangeOf(error)).toMatchObject({ attempts: 6, reason: 'attempts-exhausted' });
  });

  test('a Retry-After above the limit settles the call at once, and later calls are rejected unsent', async () => {
    const stage = throttled(99, { 'Retry-After': '2592000' });
    expect(await stage.outcome(stage.api.get('/x'))).toMatchObject({
      status: 429,
      attempts: 1,
      reason: 'retry-after-too-long',
      retryAt: MORNING + 10 + 2_592_000_000,
    });
    expect(stage.clock.monotonic()).toBe(10);
    expect(await stage.outcome(stage.api.get('/x'))).toMatchObject({
      code: 'ERR_AUTH_THROTTLED',
      attempts: 0,
      retryAt: expect.any(Number) as number,
    });
    expect(stage.calls).toHaveLength(1);
  });

  test('an abort rejects a queued call at once', async () => {
    const stage = throttled(1, { 'Retry-After': '30' });
    const controller = new AbortController();
    const call = underway(stage.api.get('/x', { signal: controller.signal }));
    await stage.clock.advance(100);
    controller.abort();
    expect(await stage.outcome(call)).toMatchObject({ code: 'ERR_CANCELED' });
    expect(stage.clock.monotonic()).toBe(100);
  });
});

describe('retries of errors', () => {
  function flaky(reply: Reply): Stage {
    const stage = new Stage();
    stage.attach({ scheme: apiKey('k') });
    stage.always('/x', reply);
    return stage;
  }

  test('idempotent methods are sent four times, others once unless marked', async () => {
    for (const [sends, make] of [
      [4, (client) => client.get('/x')],
      [4, (client) => client.put('/x')],
      [4, (client) => client.delete('/x')],
      [1, (client) => client.post('/x')],
      [1, (client) => client.patch('/x')],
      [4, (client) => client.post('/x', {}, { headers: { 'Idempotency-Key': '1' } })],
      [4, (client) => client.post('/x', {}, { attachAuth: { idempotent: true } })],
    ] as [number, (client: AxiosInstance) => Promise<unknown>][]) {
      const stage = flaky({ status: 503 });
      expect(await stage.outcome(make(stage.api))).toMatchObject({ status: 503 });
      expect(stage.calls).toHaveLength(sends);
    }
  });

  test('a timeout is retried under both of its axios codes', async () => {
    for (const clarifyTimeoutError of [false, true]) {
      const stage = flaky({ fault: 'silence' });
      const options = { timeout: 50, transitional: { clarifyTimeoutError } };
      expect(await stage.outcome(stage.api.get('/x', options))).toMatchObject({
        code: clarifyTimeoutError ? 'ETIMEDOUT' : 'ECONNABORTED',
        attempts: 4,
      });
      expect(await stage.outcome(stage.api.post('/x', {}, options))).toMatchObject({ attempts: 1 });
    }
  });

  test('a reset POST is processed once', async () => {
    const server = await api((_, response) => {
      response.socket?.destroy();
    });
    const client = axios.create({ baseURL: server.origin });
    attachAuth(client, { scheme: apiKey('k'), retry: { baseDelayMs: 1 } });
    expect((await settled(client.post('/x'))).error).toBeDefined();
    expect(server.seen).toHaveLength(1);
    expect((await settled(client.get('/x'))).error).toBeDefined();
    expect(server.seen).toHaveLength(5);
  });
});

describe('errors by code, and options', () => {
  test('at deadlineMs a call settles with its last response, else ERR_AUTH_DEADLINE', async () => {
    const refresh = (): Promise<never> => new Promise(() => undefined);
    for (const isExpired of [false, true]) {
      const { stage } = Stage.with({
        tokens: (endpoint) => ({ ...endpoint.issueDead(), ...(isExpired && { expires_in: 0 }) }),
        bearer: { refresh },
      });
      expect(await stage.outcome(stage.api.get('/x', { attachAuth: { deadlineMs: 100 } }))).toMatchObject(
        isExpired
          ? { code: 'ERR_AUTH_DEADLINE', attempts: 0 }
          : { status: 401, code: 'ERR_BAD_REQUEST', reason: 'deadline' },
      );
      expect(stage.clock.monotonic()).toBe(100);
    }
  });

  test('a backoff beyond the deadline settles the call with its last response', async () => {
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
    const stage = new Stage();
    stage.always('/x', { status: 429, headers: { 'Retry-After': '5' } });
    const handle = stage.attach({ scheme: apiKey('k'), throttle: { maxQueued: 1 } });
    const first = underway(stage.api.get('/x'));
    await stage.clock.advance(50);
    const waits = underway(stage.api.get('/x'));
    await stage.clock.settle();
    expect(await stage.outcome(stage.api.get('/x'))).toMatchObject({ code: 'ERR_AUTH_QUEUE_FULL' });
    handle.detach();
    expect(await stage.outcomes([first, waits])).toMatchObject([
      { code: 'ERR_AUTH_DETACHED' },
      { code: 'ERR_AUTH_DETACHED' },
    ]);
    expect(stage.clock.monotonic()).toBe(50);
  });

  test('ERR_AUTH_BODY_NOT_SIGNABLE: rejected unsent', async () => {
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

  test('attachAuth: false bypasses the package, and omit keeps retry and throttle', async () => {
    const { stage } = Stage.with({});
    stage.script('/x', 503, 503);
    const error = reasonOf(await stage.clock.until(stage.api.get('/x', { attachAuth: false })));
    expect(error.response?.status).toBe(503);
    expect(exchangeOf(error)).toBeUndefined();
    stage.always('/x', 200);
    expect(await stage.outcome(stage.api.get('/x', { attachAuth: { credentials: 'omit' } }))).toMatchObject({
      status: 200,
      attempts: 2,
    });
    expect(stage.calls.map((sent) => sent.token)).toEqual([undefined, undefined, undefined]);
  });

  test('retry: false still replays after a 401', async () => {
    const { client, server } = await dead();
    expect((await client.get('/x', { attachAuth: { retry: false } })).status).toBe(200);
    expect(server.seen).toHaveLength(2);
  });

  // F132
  test.each([401, 403])('a plain %i of the refresh endpoint ends the session after one request', async (status) => {
    const { stage, scheme } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    stage.always(TOKEN_PATH, status);
    expect(await stage.outcome(stage.api.get('/x'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    expect(stage.tokens.refreshes).toBe(1);
    expect(scheme.getSnapshot().status).toBe('expired');
  });

  test('an HTML page of a gateway with 401 does not end the session', async () => {
    const { stage, scheme } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    stage.script(TOKEN_PATH, { status: 401, data: '<html>Log in to our network</html>' });
    expect(await stage.outcome(stage.api.get('/x'))).toMatchObject({ status: 200 });
    expect(scheme.getSnapshot().status).toBe('signed-in');
  });

  test('a refresh that never settles rejects all calls in time, and a call refreshes again after a minute', async () => {
    let tries = 0;
    const { stage } = Stage.with({
      tokens: (endpoint) => endpoint.issueDead(),
      bearer: {
        refreshTimeoutMs: 100,
        refresh: (context) => (tries++ === 0 ? new Promise(() => undefined) : stage.refresh(context)),
      },
    });
    const calls = await stage.outcomes([1, 2, 3].map(() => stage.api.get('/x')));
    expect(calls.map(({ code }) => code)).toEqual(Array(3).fill('ERR_AUTH_REFRESH_FAILED'));
    expect(stage.clock.monotonic()).toBe(110);
    await stage.clock.advance(60_000);
    await stage.clock.advance(600);
    expect(await stage.outcome(stage.api.get('/x'))).toMatchObject({ status: 200 });
  });

  test('a stream is not retried after a 503', async () => {
    const { client, server } = await dead({}, (_, response) => {
      reply(response, 503);
    });
    const { error } = await settled(client.put('/x', Readable.from(['a'])));
    expect(exchangeOf(error)).toMatchObject({ attempts: 1, reason: 'body-not-replayable' });
    expect(server.seen).toHaveLength(1);
  });
});
