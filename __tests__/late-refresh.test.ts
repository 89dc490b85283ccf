import type { AxiosError } from 'axios';
import type { RefreshContext, TokenResponse } from '../lib/index.js';
import { memoryPort } from './support/memory-port.js';
import { succeeded, times } from './support/series.js';
import { reasonOf, Stage, TOKEN_PATH, underway } from './support/stage.js';
import type { TokenEndpoint } from './support/token-endpoint.js';

const dead = (endpoint: TokenEndpoint): TokenResponse => endpoint.issueDead();

// F130 I11
describe('a limit of a caller ends its wait, and not a refresh that was sent', () => {
  test.each([
    ['an instance timeout', { defaults: { timeout: 300 } }, 'none'],
    ['refreshTimeoutMs', { bearer: { refreshTimeoutMs: 300 } }, 'ERR_AUTH_REFRESH_FAILED'],
    ['deadlineMs', { attach: { deadlineMs: 300 } }, 'none'],
  ] as const)('%s of 300 ms, and a response after 5 s', async (_, options, code) => {
    const { stage, scheme } = Stage.with({ tokens: dead, ...options });
    stage.refreshMs = 5_000;
    const outcomes = await stage.outcomes(times(3, () => stage.api.get('/item')));
    if (code !== 'none') expect(outcomes).toMatchObject(times(3, () => ({ code, status: 401, waitedMs: 300 })));
    await stage.clock.advance(5_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.tokens.asks.map(({ outcome }) => outcome)).toEqual(['issued']);
    expect(scheme.getSnapshot().status).toBe('signed-in');
  });

  test.each(['abort', 'detach'] as const)('%s while the refresh is in flight: its tokens are stored', async (what) => {
    const { stage, scheme, handle } = Stage.with({ tokens: dead });
    stage.refreshMs = 5_000;
    const controller = new AbortController();
    const call = underway(stage.api.get('/item', { signal: controller.signal }));
    await stage.clock.advance(100);
    if (what === 'abort') controller.abort();
    else handle.detach();
    expect((await stage.outcome(call)).code).toBe(what === 'abort' ? 'ERR_CANCELED' : 'ERR_AUTH_DETACHED');
    await stage.clock.advance(5_000);
    expect(await scheme.getAccessToken()).toBe('alice-a2');
    expect(stage.tokens.reuses).toBe(0);
  });

  test('the signal of the context aborts after 60 s, and not before', async () => {
    const aborts: number[] = [];
    const refresh = ({ signal }: RefreshContext): Promise<never> => {
      signal.addEventListener('abort', () => aborts.push(stage.clock.monotonic()));
      return new Promise(() => undefined);
    };
    const { stage } = Stage.with({ tokens: dead, bearer: { refresh, refreshTimeoutMs: 1_000 } });
    await stage.outcome(stage.api.get('/item'));
    await stage.clock.advance(70_000);
    expect(aborts).toEqual([60_010]);
    expect(stage.eventsOf('refresh-failed')).toMatchObject([{ code: 'timeout', willRetry: false }]);
    expect(stage.clock.pending).toBe(0);
  });

  test('a later call joins the refresh in flight, within its own limit', async () => {
    const { stage } = Stage.with({ tokens: dead, bearer: { refreshTimeoutMs: 1_000 } });
    stage.refreshMs = 2_500;
    const began = times(3, async (index) => {
      await stage.clock.pass(index * 900);
      return stage.api.get('/item');
    });
    const outcomes = await stage.outcomes(began);
    expect(outcomes.map(({ code, status }) => code ?? status)).toEqual([
      'ERR_AUTH_REFRESH_FAILED',
      'ERR_AUTH_REFRESH_FAILED',
      200,
    ]);
    expect(outcomes.map(({ waitedMs }) => waitedMs)).toEqual([1_000, 1_000, 710]);
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('the error message says that the refresh continues', async () => {
    const { stage } = Stage.with({ tokens: dead, bearer: { refreshTimeoutMs: 1_000 } });
    stage.refreshMs = 5_000;
    const { message } = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(message).toMatch(/no answer within 1000 ms \(`refreshTimeoutMs`\)\. The refresh continues/);
  });
});

describe('holders of one store', () => {
  test.each([0.5, 2, 5, 59])(
    'wait with the refresh token until the response of another, after %i s, is stored',
    async (s) => {
      const stage = new Stage();
      const store = memoryPort();
      const tokens = stage.tokens.issueDead();
      const instances = times(4, () => stage.instance());
      for (const instance of instances)
        stage.attach({ scheme: stage.bearer({ store, tokens, refreshTimeoutMs: 1_000 }) }, instance);
      stage.refreshMs = s * 1_000;
      const calls: Promise<unknown>[] = [];
      for (let round = 0; round < 12; round++) {
        calls.push(...instances.map((instance) => underway(instance.get('/item'))));
        await stage.clock.advance(5_100);
      }
      await stage.clock.advance(10_000);
      expect(await stage.outcomes(instances.map((instance) => instance.get('/item')))).toEqual(succeeded(4));
      expect(stage.tokens.asks.map(({ outcome }) => outcome)).toEqual(['issued']);
      await stage.settled(calls);
    },
  );

  test('a holder whose calls have all rejected stops waiting for the lock', async () => {
    const stage = new Stage();
    const store = memoryPort();
    const tokens = stage.tokens.issueDead();
    const [first, second] = times(2, () => stage.instance());
    const schemes = [first!, second!].map((instance) => {
      const scheme = stage.bearer({ store, tokens, refreshTimeoutMs: 1_000 });
      stage.attach({ scheme }, instance);
      return scheme;
    });
    stage.refreshMs = 5_000;
    const calls = [underway(first!.get('/item')), underway(second!.get('/item'))];
    const outcomes = await stage.outcomes(calls);
    expect(outcomes).toMatchObject(times(2, () => ({ code: 'ERR_AUTH_REFRESH_FAILED' })));
    expect(schemes.map((scheme) => scheme.getSnapshot().refreshing)).toEqual([true, false]);
  });
});

describe('a holder of a store without subscribe()', () => {
  function twoHolders() {
    const stage = new Stage();
    const { load, compareAndSet, exclusive } = memoryPort();
    const store = { load, compareAndSet, exclusive: exclusive! };
    const tokens = stage.tokens.issueDead();
    const [first, second] = times(2, () => stage.instance());
    for (const instance of [first!, second!])
      stage.attach({ scheme: stage.bearer({ store, tokens, refreshTimeoutMs: 1_000 }) }, instance);
    return { stage, first: first!, second: second! };
  }

  test('uses the tokens of another holder in its next call, after it waited for the lock in vain', async () => {
    const { stage, first, second } = twoHolders();
    stage.refreshMs = 1_500;
    await stage.outcomes([first.get('/item'), second.get('/item')]);
    expect(await stage.outcome(second.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('uses the tokens of another holder in its next call, after its own refresh failed', async () => {
    const { stage, first, second } = twoHolders();
    stage.script(TOKEN_PATH, { status: 400, data: { error: 'invalid_client' } });
    expect(await stage.outcome(second.get('/item'))).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED' });
    expect(await stage.outcome(first.get('/item'))).toMatchObject({ status: 200 });
    expect(await stage.outcomes(times(3, () => second.get('/item')))).toEqual(succeeded(3));
    expect(stage.tokens.refreshes).toBe(2);
  });
});

// F130
describe('update() while a refresh is in flight', () => {
  test('stores the refresh token of the response, since the previous one is spent', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    stage.refreshMs = 5_000;
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(100);
    const { access_token: accessToken } = stage.tokens.issue();
    await scheme.update({ accessToken });
    expect(await stage.outcome(call)).toMatchObject({ status: 200 });
    await stage.clock.advance(5_000);
    expect(await scheme.getAccessToken()).toBe(accessToken);
    stage.tokens.revokeAll();
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(stage.tokens.asks.map(({ outcome }) => outcome)).toEqual(['issued', 'issued']);
  });

  test('with a refused token lets the next call wait for that refresh, without a loop', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    stage.refreshMs = 5_000;
    stage.latencyMs = 1;
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(50);
    await scheme.update({ accessToken: 'alice-dead', refreshToken: 'alice-r1' });
    expect(await stage.outcome(call)).toMatchObject({ status: 401, reason: 'unauthorized-again' });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(stage.tokens.reuses).toBe(0);
  });

  test('with its own refresh token is not changed by the response', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    stage.refreshMs = 5_000;
    void underway(stage.api.get('/item'));
    await stage.clock.advance(100);
    await scheme.update(stage.tokens.issue());
    await stage.clock.advance(6_000);
    stage.tokens.revokeAll();
    await stage.outcome(stage.api.get('/item'));
    expect(stage.tokens.asks.map(({ refreshToken }) => refreshToken)).toEqual(['alice-r1', 'alice-r3']);
  });
});

// F38 F130
describe('requests within one refresh after', () => {
  const refreshOf = (stage: () => Stage, ...replies: unknown[]) => {
    const sent: number[] = [];
    return {
      sent,
      refresh: async (): Promise<TokenResponse> => {
        sent.push(stage().clock.monotonic());
        const reply = replies[Math.min(sent.length, replies.length) - 1];
        await stage().clock.pass(10);
        if (reply instanceof Error) throw reply;
        return reply as TokenResponse;
      },
    };
  };
  const status = (code: number, headers = {}): Error =>
    Object.assign(new Error('no'), { response: { status: code, data: '', headers } });

  test.each([
    ['a reset, three times and within 30 s', Object.assign(new Error('x'), { code: 'ECONNRESET' }), 3],
    ['a name that is not found', Object.assign(new Error('x'), { code: 'ENOTFOUND' }), 3],
    ['a 503, three times', status(503), 3],
    ['a timeout, not at all', Object.assign(new Error('x'), { code: 'ECONNABORTED' }), 1],
    ['an abort, not at all', Object.assign(new Error('x'), { name: 'AbortError' }), 1],
    ['an error without a code, not at all', new Error('x'), 1],
    ['a 400, not at all', status(400), 1],
    ['a 503 that asks for 40 s, not at all', status(503, { 'retry-after': '40' }), 1],
    ['a 503 that asks for 14 s: three sends, the last within 30 s', status(503, { 'retry-after': '14' }), 3],
    ['a 503 that asks for 20 s: two sends', status(503, { 'retry-after': '20' }), 2],
  ])('%s', async (_, reply, sends) => {
    const { sent, refresh } = refreshOf((): Stage => stage, reply);
    const { stage } = Stage.with({ tokens: dead, bearer: { refresh } });
    await stage.outcome(stage.api.get('/item'));
    await stage.clock.advance(60_000);
    expect(sent).toHaveLength(sends);
    expect(sent.at(-1)! - sent[0]!).toBeLessThanOrEqual(30_000);
  });

  test('a 503 continue after all callers have rejected', async () => {
    const { sent, refresh } = refreshOf((): Stage => stage, status(503, { 'retry-after': '5' }), {
      accessToken: 'alice-a1b',
    });
    const { stage, scheme } = Stage.with({ tokens: dead, bearer: { refresh, refreshTimeoutMs: 1_000 } });
    await stage.outcome(stage.api.get('/item'));
    await stage.clock.advance(10_000);
    expect(sent).toHaveLength(2);
    expect(await scheme.getAccessToken()).toBe('alice-a1b');
  });
});

// I11
describe('a refresh token that a 2xx without a usable token may have spent', () => {
  const useless = { status: 200, data: { message: 'ok' } };

  test('is sent once more, 30 s later at the earliest, and only if a call needs it', async () => {
    const { stage } = Stage.with({ tokens: dead });
    stage.always(TOKEN_PATH, useless);
    const asked = (): number[] => stage.tokens.asks.map(({ at }) => at);
    for (let second = 0; second < 30; second++) {
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED' });
      await stage.clock.advance(980);
    }
    expect(asked()).toHaveLength(1);
    await stage.clock.advance(100_000);
    expect(asked()).toHaveLength(1);
    for (let minute = 0; minute < 10; minute++) {
      await stage.outcome(stage.api.get('/item'));
      await stage.clock.advance(60_000);
    }
    expect(asked()).toHaveLength(2);
    expect(asked()[1]! - asked()[0]!).toBeGreaterThanOrEqual(30_000);
  });

  test('ends the session if the second request gets invalid_grant', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    stage.script(TOKEN_PATH, ({ body }) => {
      stage.tokens.answer((JSON.parse(String(body)) as { refresh_token: string }).refresh_token);
      return useless;
    });
    await stage.outcome(stage.api.get('/item'));
    await stage.clock.advance(31_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    expect(scheme.getSnapshot().status).toBe('expired');
  });

  test('may be sent by refresh() at any time', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    stage.script(TOKEN_PATH, useless);
    await stage.outcome(stage.api.get('/item'));
    await stage.clock.until(scheme.refresh());
    expect(await scheme.getAccessToken()).toBe('alice-a2');
  });

  test('is not sent in the background while the access token is valid', async () => {
    const { stage } = Stage.with({ expiresIn: 1_000 });
    await stage.outcome(stage.api.get('/item'));
    stage.script(TOKEN_PATH, useless);
    await stage.clock.advance(960_000);
    for (let made = 0; made < 30; made++) {
      await stage.outcome(stage.api.get('/item'));
      await stage.clock.advance(1_200);
    }
    expect(stage.tokens.refreshes).toBe(1);
    await stage.clock.advance(10_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(stage.tokens.refreshes).toBe(2);
  });

  test.each([
    ['refresh() throws later', () => Promise.reject(new Error('no token_type'))],
    [
      'refresh() fails later with a network error',
      () => Promise.reject(Object.assign(new Error(), { code: 'ECONNRESET' })),
    ],
    ['refresh() never settles', () => new Promise<never>(() => undefined)],
  ])('is recognized by the response that `client` got: %s', async (_, then) => {
    const { stage } = Stage.with({
      tokens: dead,
      bearer: {
        refresh: async ({ client, refreshToken }) => {
          await client.post(TOKEN_PATH, { refresh_token: refreshToken });
          return then();
        },
      },
    });
    for (let second = 0; second < 20; second++) {
      await stage.outcome(stage.api.get('/item'));
      await stage.clock.advance(1_000);
    }
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('is not assumed after a request for metadata', async () => {
    const { stage } = Stage.with({
      tokens: dead,
      bearer: {
        refresh: async ({ client, refreshToken }) => {
          await client.get('/open/metadata');
          return (await client.post<TokenResponse>(TOKEN_PATH, { refresh_token: refreshToken })).data;
        },
      },
    });
    stage.script(TOKEN_PATH, { fault: 'refused' });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
  });
});

// F131
test('the client of a refresh has the default timeout and validateStatus of axios', async () => {
  const seen: unknown[] = [];
  const { stage, scheme } = Stage.with({
    tokens: dead,
    defaults: { timeout: 20, validateStatus: () => true, headers: { 'X-App': 'shop' } },
    bearer: {
      refresh: (context) => {
        const { timeout, validateStatus, headers } = context.client.defaults;
        seen.push(
          timeout,
          [200, 299, 300, 404].map((status) => validateStatus!(status)),
          (headers as never)['X-App'],
        );
        return stage.refresh(context);
      },
    },
  });
  stage.tokens.endSession();
  const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
  expect(error.code).toBe('ERR_AUTH_SESSION_EXPIRED');
  expect((error.cause as AxiosError).response?.status).toBe(400);
  expect(seen).toEqual([0, [true, true, false, false], 'shop']);
  expect(scheme.getSnapshot().status).toBe('expired');
  expect(stage.tokens.refreshes).toBe(1);
});

// F146
test('calls that reject after the end of a session have its cause', async () => {
  const { stage } = Stage.with({ tokens: dead });
  stage.latencyMs = ({ path }) => (path === '/late' ? 1_000 : 10);
  stage.tokens.endSession();
  const late = stage.api.get('/late');
  const first = reasonOf(await stage.clock.until(stage.api.get('/item')));
  const second = reasonOf(await stage.clock.until(late));
  const third = reasonOf(await stage.clock.until(stage.api.get('/item')));
  expect(first.cause).toBeDefined();
  for (const error of [second, third]) {
    expect(error).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    expect(error.cause).toBe(first.cause);
  }
});
