import { type RefreshContext, type TokenResponse } from '../lib/index.js';
import { memoryPort } from './support/memory-port.js';
import type { TokenStore } from '../lib/store.js';
import { succeeded, times } from './support/series.js';
import { reasonOf, Stage, TOKEN_PATH, unauthorized, underway } from './support/stage.js';
import type { TokenEndpoint } from './support/token-endpoint.js';
import { MORNING } from './support/virtual-clock.js';

const dead = (endpoint: TokenEndpoint): TokenResponse => endpoint.issueDead();

/** A call that refreshes in a loop fails by assertion at once, instead of after minutes. */
const soon = { deadlineMs: 500 };

// F1 F2 F3 F4 F14
describe('one refresh for all calls', () => {
  test.each([1, 2, 3, 10, 60, 1000])('%i calls that are refused together cost one refresh', async (count) => {
    const { stage } = Stage.with({ tokens: dead, attach: soon });
    const outcomes = await stage.outcomes(times(count, (index) => stage.api.get(`/item/${String(index)}`)));
    expect(outcomes).toEqual(succeeded(count));
    expect(outcomes.every(({ attempts, refreshed }) => attempts === 2 && refreshed)).toBe(true);
    expect(stage.tokens.asks).toEqual([{ at: 10, refreshToken: 'alice-r1', outcome: 'issued' }]);
    expect(stage.calls).toHaveLength(2 * count);
    expect(stage.eventsOf('refreshed')).toHaveLength(1);
  });

  test.each(permutations([5, 25, 45, 65]))(
    '401s that arrive after %i, %i, %i and %i ms cost one refresh, however long it takes',
    async (...delays) => {
      for (const refreshMs of [1, 15, 20, 35, 40, 60, 100]) {
        const { stage } = Stage.with({ tokens: dead, attach: soon });
        stage.refreshMs = refreshMs;
        stage.latencyMs = ({ path, token }) => (token === 'alice-a1' ? (delays[Number(path.slice(1))] ?? 0) : 10);
        const outcomes = await stage.outcomes(delays.map((_, index) => stage.api.get(`/${String(index)}`)));
        expect(outcomes).toEqual(succeeded(4));
        expect(stage.tokens.refreshes).toBe(1);
        expect(stage.calls).toHaveLength(8);
      }
    },
  );

  test('a late 401 for a replaced token replays without another refresh', async () => {
    const { stage } = Stage.with({ tokens: dead, attach: { deadlineMs: 6_000 } });
    stage.latencyMs = ({ path, token }) => (path === '/late' && token === 'alice-a1' ? 5_000 : 10);
    const late = stage.api.get('/late');
    const prompt = stage.api.get('/prompt');
    expect(await stage.outcome(prompt)).toMatchObject({ status: 200, attempts: 2 });
    expect(stage.clock.monotonic()).toBe(70);
    expect(await stage.outcome(late)).toMatchObject({ status: 200, attempts: 2, refreshed: true, waitedMs: 0 });
    expect(stage.to('/late').map(({ at, token }) => [at, token])).toEqual([
      [0, 'alice-a1'],
      [5_000, 'alice-a2'],
    ]);
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('a 401 that arrives during a refresh joins it', async () => {
    const { stage } = Stage.with({ tokens: dead, attach: soon });
    stage.latencyMs = ({ path, token }) => (path === '/second' && token === 'alice-a1' ? 40 : 10);
    const outcomes = await stage.outcomes([stage.api.get('/first'), stage.api.get('/second')]);
    expect(outcomes).toEqual(succeeded(2));
    expect(stage.to('/second').map(({ at }) => at)).toEqual([0, 60]);
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('calls made during a refresh wait for it, and are sent once with the new token', async () => {
    const { stage } = Stage.with({ tokens: dead, attach: soon });
    const first = stage.api.get('/first');
    await stage.clock.advance(30);
    const meanwhile = times(20, (index) => stage.api.post(`/meanwhile/${String(index)}`));
    expect(await stage.outcomes([first, ...meanwhile])).toEqual(succeeded(21));
    const sent = stage.calls.filter(({ path }) => path.startsWith('/meanwhile'));
    expect(sent).toHaveLength(20);
    expect(new Set(sent.map(({ token }) => token))).toEqual(new Set(['alice-a2']));
    expect(stage.calls.filter(({ at, token }) => at > 10 && token === 'alice-a1')).toEqual([]);
  });

  test('an expired token is not sent: calls wait for one refresh', async () => {
    const { stage } = Stage.with({ expiresIn: 100 });
    await stage.clock.advance(100_000);
    const outcomes = await stage.outcomes(times(10, () => stage.api.get('/item')));
    expect(outcomes).toEqual(
      times(10, () => expect.objectContaining({ status: 200, attempts: 1, refreshed: false, waitedMs: 50 })),
    );
    expect(stage.calls.map(({ token }) => token)).toEqual(times(10, () => 'alice-a2'));
    expect(stage.reasons).toEqual(['expiring']);
  });

  test('a token that expires while 200 calls are made is refreshed once for each expiry', async () => {
    const { stage } = Stage.with({ expiresIn: 10, bearer: { refreshAheadMs: 0 } });
    const calls: Promise<unknown>[] = [];
    for (let made = 0; made < 200; made++) {
      calls.push(stage.api.get('/item'));
      await stage.clock.advance(200);
    }
    expect(await stage.outcomes(calls)).toEqual(succeeded(200));
    expect(stage.tokens.asks.map(({ refreshToken }) => refreshToken)).toEqual(['alice-r1', 'alice-r2', 'alice-r3']);
    expect(stage.tokens.reuses).toBe(0);
  });

  test('a 401 for the replay settles the call, without a second refresh', async () => {
    const { stage } = Stage.with({ tokens: dead, attach: soon });
    stage.script('/item', unauthorized(), unauthorized());
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
      status: 401,
      attempts: 2,
      reason: 'unauthorized-again',
    });
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('two instances with one scheme share one refresh', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead, attach: soon });
    const other = stage.instance();
    stage.attach({ scheme }, other);
    expect(
      await stage.outcomes([stage.api.get('/one'), other.get('/two'), stage.api.get('/three'), other.get('/four')]),
    ).toEqual(succeeded(4));
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('calls of one scheme share one refresh over a store without a lock, too', async () => {
    const { load, compareAndSet } = memoryPort();
    const { stage } = Stage.with({ tokens: dead, bearer: { store: { load, compareAndSet } }, attach: soon });
    expect(await stage.outcomes(times(10, () => stage.api.get('/item')))).toEqual(succeeded(10));
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('two schemes over one store share one refresh', async () => {
    const stage = new Stage();
    const store = memoryPort();
    const other = stage.instance();
    stage.attach({ scheme: stage.bearer({ store, tokens: stage.tokens.issue() }) });
    expect(await stage.outcome(stage.api.get('/first'))).toMatchObject({ status: 200 });
    stage.attach({ scheme: stage.bearer({ store }) }, other);
    stage.tokens.revokeAll();
    expect(
      await stage.outcomes([stage.api.get('/one'), other.get('/two'), stage.api.get('/three'), other.get('/four')]),
    ).toEqual(succeeded(4));
    expect(stage.tokens.refreshes).toBe(1);
    expect(stage.tokens.reuses).toBe(0);
  });
});

describe('two schemes', () => {
  test('with the same tokens over one empty store share one refresh from the first call on', async () => {
    const stage = new Stage();
    const store = memoryPort();
    const tokens = stage.tokens.issueDead();
    const instances = [stage.api, stage.instance()];
    for (const instance of instances) stage.attach({ scheme: stage.bearer({ store, tokens }), ...soon }, instance);
    const calls = instances.flatMap((instance) => [instance.get('/one'), instance.get('/two')]);
    expect(await stage.outcomes(calls)).toEqual(succeeded(4));
    expect(stage.tokens.refreshes).toBe(1);
  });
});

// F12
describe('rotation', () => {
  test('a token response without a refresh token keeps the previous one', async () => {
    const asked: (string | undefined)[] = [];
    const { stage } = Stage.with({
      tokens: dead,
      attach: soon,
      bearer: {
        refresh: async ({ refreshToken }) => {
          asked.push(refreshToken);
          await stage.clock.pass(50);
          return { accessToken: stage.tokens.issue().access_token };
        },
      },
    });
    expect(await stage.outcome(stage.api.get('/one'))).toMatchObject({ status: 200 });
    stage.tokens.revokeAll();
    expect(await stage.outcome(stage.api.get('/two'))).toMatchObject({ status: 200 });
    expect(asked).toEqual(['alice-r1', 'alice-r1']);
  });

  test('the lifetime of a JWT is exp minus iat, whatever the clock of its issuer shows', async () => {
    const iat = MORNING / 1000 + 3600;
    const accessToken = `e30.${btoa(JSON.stringify({ iat, exp: iat + 60 }))}.c2ln`;
    const { stage, scheme } = Stage.with({ tokens: dead, bearer: { refresh: async () => ({ accessToken }) } });
    await stage.clock.until(scheme.refresh());
    expect(scheme.getSnapshot().expiresAt).toBe(MORNING + 60_000);
  });

  test('every refresh token is used once', async () => {
    const { stage } = Stage.with({ tokens: dead, attach: soon });
    for (let round = 0; round < 10; round++) {
      expect(await stage.outcomes(times(5, () => stage.api.get('/item')))).toEqual(succeeded(5));
      stage.tokens.revokeAll();
    }
    expect(stage.tokens.asks.map(({ refreshToken }) => refreshToken)).toEqual(
      times(10, (round) => `alice-r${String(round + 1)}`),
    );
    expect(stage.tokens.reuses).toBe(0);
  });

  test('refresh() gets the refresh token, the tokens to replace and the reason', async () => {
    const contexts: RefreshContext[] = [];
    const { stage, scheme } = Stage.with({
      tokens: dead,
      attach: soon,
      bearer: {
        refresh: (context) => {
          contexts.push(context);
          return stage.refresh(context);
        },
      },
    });
    await stage.outcome(stage.api.get('/item'));
    await stage.clock.until(scheme.refresh());
    expect(contexts).toMatchObject([
      { refreshToken: 'alice-r1', tokens: { accessToken: 'alice-a1', refreshToken: 'alice-r1' }, reason: 'rejected' },
      { refreshToken: 'alice-r2', tokens: { accessToken: 'alice-a2', refreshToken: 'alice-r2' }, reason: 'manual' },
    ]);
    expect(contexts[0]?.signal.aborted).toBe(false);
  });
});

// F5 F6 F11
describe('a refresh without usable tokens', () => {
  const trap = (): never => {
    throw new Error('boom');
  };
  test.each<[string, () => unknown]>([
    ['undefined', () => undefined],
    ['an empty object', () => ({})],
    ['a string', () => 'alice-a2'],
    ['a number', () => 42],
    ['an array', () => ['alice-a2']],
    ['a page', () => '<html>alice-a2</html>'],
    ['a function', () => () => ({ accessToken: 'alice-a2' })],
    ['an object whose getter throws', () => Object.defineProperty({}, 'accessToken', { get: trap, enumerable: true })],
    [
      'a proxy that throws',
      () =>
        new Proxy(
          {},
          { getOwnPropertyDescriptor: trap, has: trap, get: (_, key) => (key === 'then' ? undefined : trap()) },
        ),
    ],
    ['false', () => false],
    ['an empty token', () => ({ accessToken: '' })],
    ['a token that is no string', () => ({ access_token: 7 })],
    ['a token with a line break', () => ({ accessToken: 'alice-a2\n' })],
    ['a token with a space', () => ({ accessToken: 'alice a2' })],
    ['a refresh token that is no string', () => ({ accessToken: 'alice-a2', refreshToken: {} })],
    ['the token that was just refused', () => ({ accessToken: 'alice-a1' })],
    ['a token that lived 0 s', () => ({ accessToken: 'brand-a9', expiresIn: 0 })],
    ['a token that expires before it is issued', () => ({ access_token: 'brand-a9', expires_in: '-5' })],
    ['an expiry in seconds', () => ({ accessToken: 'brand-a9', expiresAt: MORNING / 1000 + 3600 })],
  ])('%s is a failed refresh, which is not repeated, and the session is kept', async (_, answer) => {
    for (const later of [answer, () => Promise.resolve(answer())]) {
      let asked = 0;
      const refresh = (): TokenResponse => {
        asked++;
        return later() as TokenResponse;
      };
      const { stage, scheme } = Stage.with({ tokens: dead, bearer: { refresh } });
      const settled = await stage.clock.until(stage.api.get('/item'));
      expect(reasonOf(settled)).toMatchObject({
        name: 'AuthError',
        code: 'ERR_AUTH_REFRESH_FAILED',
        response: { status: 401 },
      });
      expect(reasonOf(settled).message).not.toMatch(/alice|brand/);
      expect(asked).toBe(1);
      expect(stage.calls).toHaveLength(1);
      expect(scheme.getSnapshot()).toMatchObject({ status: 'signed-in', refreshing: false });
      expect(await scheme.getAccessToken()).toBe('alice-a1');
      expect(stage.clock.pending).toBe(0);
    }
  });

  test.each<[string, unknown]>([
    ['an Error', new Error('boom')],
    ['undefined', undefined],
    ['null', null],
    ['a string', 'boom'],
    ['an object without prototype', Object.create(null)],
  ])('%s thrown, at once or later: the refresh is not repeated, and the session is kept', async (_, thrown) => {
    for (const way of ['throws', 'rejects']) {
      let asked = 0;
      const refresh = (): Promise<TokenResponse> => {
        asked++;
        if (way === 'throws') throw thrown as Error;
        return Promise.reject(thrown);
      };
      const { stage, scheme } = Stage.with({ tokens: dead, bearer: { refresh } });
      const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
      expect(error).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED', response: { status: 401 } });
      expect(error.cause).toBe(thrown);
      expect(asked).toBe(1);
      expect(scheme.getSnapshot().status).toBe('signed-in');
      expect(stage.clock.pending).toBe(0);
    }
  });

  test('a refresh that never settles rejects all waiting calls after refreshTimeoutMs', async () => {
    let signal: AbortSignal | undefined;
    const { stage } = Stage.with({
      tokens: dead,
      bearer: {
        refresh: (context) => {
          signal = context.signal;
          return new Promise(() => undefined);
        },
        refreshTimeoutMs: 4_000,
      },
    });
    const outcomes = await stage.outcomes(times(10, () => stage.api.get('/item')));
    expect(outcomes).toEqual(
      times(10, () =>
        expect.objectContaining({ code: 'ERR_AUTH_REFRESH_FAILED', status: 401, attempts: 1, waitedMs: 4_000 }),
      ),
    );
    expect(stage.clock.monotonic()).toBe(4_010);
    // F130: a caller's limit ends its wait and nothing else.
    expect(signal?.aborted).toBe(false);
    await stage.clock.advance(56_000);
    expect(signal?.aborted).toBe(true);
    expect(stage.clock.pending).toBe(0);
  });

  test('refreshTimeoutMs is 10 000 by default, for all sends together', async () => {
    const { stage } = Stage.with({ tokens: dead });
    stage.always(TOKEN_PATH, { status: 503, afterMs: 4_500 });
    await stage.outcome(stage.api.get('/item'));
    expect(stage.clock.monotonic()).toBeLessThanOrEqual(10_010);
    expect(stage.tokens.refreshes).toBeGreaterThan(1);
  });

  // F35: a machine that wakes runs its timers first.
  test.each([
    ['in time', 900, { status: 200, attempts: 2 }],
    ['too late', 1_100, { code: 'ERR_AUTH_REFRESH_FAILED', status: 401 }],
  ])('a token response that arrived while the machine slept counts if it is read %s', async (_, afterMs, outcome) => {
    const signals: AbortSignal[] = [];
    const refresh = async ({ signal }: RefreshContext): Promise<TokenResponse> => {
      signals.push(signal);
      stage.clock.sleepMachine(600_000);
      await stage.clock.pass(10_000 + afterMs);
      if (signal.aborted) throw new Error('aborted');
      return stage.tokens.issue();
    };
    const { stage } = Stage.with({ tokens: dead, bearer: { refresh }, attach: { deadlineMs: 3_600_000 } });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject(outcome);
    expect(signals).toHaveLength(1);
    await stage.clock.advance(2_000);
    expect(stage.clock.pending).toBe(0);
  });

  test('tokens that arrive after refreshTimeoutMs are still used', async () => {
    const refresh = async (): Promise<TokenResponse> => {
      await stage.clock.pass(12_000);
      return stage.tokens.issue();
    };
    const { stage, scheme } = Stage.with({ tokens: dead, bearer: { refresh } });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED' });
    await stage.clock.advance(5_000);
    expect(await scheme.getAccessToken()).toBe('alice-a2');
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
  });
});

// F7 F8
describe('calls made inside refresh()', () => {
  test('one that begins synchronously may use the attached instance', async () => {
    const { stage } = Stage.with({
      tokens: dead,
      bearer: {
        refresh: async ({ refreshToken }) =>
          (await stage.api.post<TokenResponse>(TOKEN_PATH, { refresh_token: refreshToken })).data,
      },
    });
    expect(await stage.outcomes(times(3, () => stage.api.get('/item')))).toEqual(succeeded(3));
    expect(stage.tokens.refreshes).toBe(1);
    expect(stage.sent.find(({ path }) => path === TOKEN_PATH)?.token).toBeUndefined();
  });

  test('one that begins synchronously has the body that attachAuth.body makes', async () => {
    const { stage } = Stage.with({
      tokens: dead,
      bearer: {
        refresh: async ({ refreshToken }) => {
          const body = (): unknown => ({ refresh_token: refreshToken });
          return (await stage.api.post<TokenResponse>(TOKEN_PATH, undefined, { attachAuth: { body } })).data;
        },
      },
    });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
  });

  test('one that begins after an await waits for itself, and rejects with advice after refreshTimeoutMs', async () => {
    const { stage } = Stage.with({
      tokens: dead,
      bearer: {
        refresh: async ({ refreshToken }) => {
          await Promise.resolve();
          return (await stage.api.post<TokenResponse>(TOKEN_PATH, { refresh_token: refreshToken })).data;
        },
      },
    });
    const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(error.code).toBe('ERR_AUTH_REFRESH_FAILED');
    expect(error.message).toContain('`client`');
    expect(error.message).toContain('`attachAuth: false`');
    expect(stage.clock.monotonic()).toBe(10_010);
    expect(stage.clock.pending).toBe(0);
  });

  test('one that begins after an await with attachAuth: false succeeds', async () => {
    const { stage } = Stage.with({
      tokens: dead,
      bearer: {
        refresh: async ({ refreshToken }) => {
          await Promise.resolve();
          const body = { refresh_token: refreshToken };
          return (await stage.api.post<TokenResponse>(TOKEN_PATH, body, { attachAuth: false })).data;
        },
      },
    });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
  });

  test('one through `client` runs no interceptor, throttle or session', async () => {
    let seen = 0;
    const { stage } = Stage.with({ tokens: dead, attach: soon, defaults: { headers: { 'X-App': 'shop' } } });
    stage.api.interceptors.request.use((config) => {
      seen++;
      return config;
    });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    expect(seen).toBe(1);
    const [asked] = stage.sent.filter(({ path }) => path === TOKEN_PATH);
    expect(asked).toMatchObject({ token: undefined, headers: { 'X-App': 'shop' } });
  });

  test('a listener that makes a call in every event blocks nothing', async () => {
    const seen = new Set<string>();
    const { stage } = Stage.with({
      tokens: dead,
      attach: {
        onEvent: async ({ type }) => {
          if (seen.has(type)) return;
          seen.add(type);
          await stage.api.get(`/from/${type}`);
        },
      },
    });
    stage.script('/item', unauthorized(), { status: 503 }, { status: 429, headers: { 'Retry-After': '1' } });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 4 });
    expect([...seen]).toEqual(['refreshing', 'refreshed', 'replay', 'retry', 'throttled', 'resumed']);
    await stage.clock.advance(10_000);
    expect(stage.to('/from/refreshing').map(({ status }) => status)).toEqual([200]);
    expect(stage.tokens.refreshes).toBe(1);
  });
});

// F9
describe('callers that abort', () => {
  test.each(times(8, (set) => [set]))(
    'an abort (set %i of three) ends only its own call: the others succeed after one refresh',
    async (set) => {
      const { stage } = Stage.with({ tokens: dead, attach: soon });
      const controllers = times(3, () => new AbortController());
      const calls = controllers.map(({ signal }, index) => underway(stage.api.get(`/${String(index)}`, { signal })));
      await stage.clock.advance(20);
      controllers.forEach((controller, index) => {
        if (set & (1 << index)) controller.abort();
      });
      expect((await stage.outcomes(calls)).map(({ status, code }) => code ?? status)).toEqual(
        times(3, (index) => (set & (1 << index) ? 'ERR_CANCELED' : 200)),
      );
      await stage.clock.advance(1_000);
      expect(stage.tokens.refreshes).toBe(1);
      expect(stage.to('/0')).toHaveLength(set & 1 ? 1 : 2);
    },
  );

  test('a refresh whose callers have all aborted continues for the next call', async () => {
    const { stage } = Stage.with({ tokens: dead, attach: soon });
    const controller = new AbortController();
    const call = underway(stage.api.get('/item', { signal: controller.signal }));
    await stage.clock.advance(20);
    controller.abort();
    expect(await stage.outcome(call)).toMatchObject({ code: 'ERR_CANCELED' });
    await stage.clock.advance(100);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.tokens.refreshes).toBe(1);
  });
});

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((first, index) =>
    permutations(items.filter((_, other) => other !== index)).map((rest) => [first, ...rest]),
  );
}

test('refreshed tokens are stored although the store had newer tokens, which have expired, too', async () => {
  const stage = new Stage();
  stage.tokens.expiresIn = 10;
  const { load, compareAndSet, exclusive } = memoryPort();
  // Without subscribe: a file, or Redis.
  const store: TokenStore = { load, compareAndSet, exclusive: exclusive! };
  stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issue(), store }) });
  const other = stage.instance();
  stage.attach({ scheme: stage.bearer({ store }) }, other);
  await stage.outcome(stage.api.get('/me'));
  await stage.clock.advance(11_000);
  await stage.outcome(other.get('/me'));
  await stage.clock.advance(11_000);
  await stage.outcome(stage.api.get('/me'));
  expect(stage.tokens.asks.map(({ refreshToken, outcome }) => `${refreshToken} ${outcome}`)).toEqual([
    'alice-r1 issued',
    'alice-r2 issued',
  ]);
});
