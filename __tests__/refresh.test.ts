import { AxiosError } from 'axios';
import {
  memoryStore,
  RefreshRejectedError,
  type AuthError,
  type RefreshContext,
  type StoredSession,
  type TokenResponse,
  type TokenStore,
} from '../lib/index.js';
import { reasonOf, Stage, TOKEN_PATH, unauthorized, underway } from './support/stage.js';
import type { TokenEndpoint } from './support/token-endpoint.js';
import { MORNING } from './support/virtual-clock.js';

// A machine that is busy with other things is no reason to fail.
jest.setTimeout(60_000);

const dead = (endpoint: TokenEndpoint): TokenResponse => endpoint.issueDead();
const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
const succeeded = (count: number): object[] => times(count, () => expect.objectContaining({ status: 200 }) as object);

// F1 F2 F3 F4 F14
describe('one refresh for everybody', () => {
  test.each([1, 2, 3, 10, 60, 1000])('%i calls that are refused together cost one refresh', async (count) => {
    const { stage } = Stage.with({ tokens: dead });
    const outcomes = await stage.outcomes(times(count, (index) => stage.api.get(`/item/${String(index)}`)));
    expect(outcomes).toEqual(succeeded(count));
    expect(outcomes.every(({ attempts, refreshed }) => attempts === 2 && refreshed)).toBe(true);
    expect(stage.tokens.asks).toEqual([{ at: 10, refreshToken: 'alice-r1', outcome: 'issued' }]);
    expect(stage.calls).toHaveLength(2 * count);
    expect(stage.heard('refreshed')).toHaveLength(1);
  });

  test.each(permutations([5, 25, 45, 65]))(
    'refusals that arrive after %i, %i, %i and %i ms cost one refresh, however long it takes',
    async (...delays) => {
      for (const refreshMs of [1, 15, 20, 35, 40, 60, 100]) {
        const { stage } = Stage.with({ tokens: dead });
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
    const { stage } = Stage.with({ tokens: dead });
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
    const { stage } = Stage.with({ tokens: dead });
    stage.latencyMs = ({ path, token }) => (path === '/second' && token === 'alice-a1' ? 40 : 10);
    const outcomes = await stage.outcomes([stage.api.get('/first'), stage.api.get('/second')]);
    expect(outcomes).toEqual(succeeded(2));
    expect(stage.to('/second').map(({ at }) => at)).toEqual([0, 60]);
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('calls made during a refresh wait for it, and are sent once with the new token', async () => {
    const { stage } = Stage.with({ tokens: dead });
    const first = stage.api.get('/first');
    await stage.clock.advance(30);
    const meanwhile = times(20, (index) => stage.api.post(`/meanwhile/${String(index)}`));
    expect(await stage.outcomes([first, ...meanwhile])).toEqual(succeeded(21));
    const sent = stage.calls.filter(({ path }) => path.startsWith('/meanwhile'));
    expect(sent).toHaveLength(20);
    expect(new Set(sent.map(({ token }) => token))).toEqual(new Set(['alice-a2']));
    expect(stage.calls.filter(({ at, token }) => at > 10 && token === 'alice-a1')).toEqual([]);
  });

  test('past its expiry nobody sends the token: calls wait for one refresh', async () => {
    const { stage } = Stage.with({ expiresIn: 100 });
    await stage.clock.advance(100_000);
    const outcomes = await stage.outcomes(times(10, () => stage.api.get('/item')));
    expect(outcomes).toEqual(
      times(10, () => expect.objectContaining({ status: 200, attempts: 1, refreshed: false, waitedMs: 50 })),
    );
    expect(stage.calls.map(({ token }) => token)).toEqual(times(10, () => 'alice-a2'));
    expect(stage.reasons).toEqual(['expiring']);
  });

  test('a token that expires in the middle of a storm is refreshed once an expiry', async () => {
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

  test('a token that dies while its replay is on the way settles that call and is refreshed for the next', async () => {
    const { stage } = Stage.with({ tokens: dead });
    stage.script('/item', unauthorized(), unauthorized());
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
      status: 401,
      attempts: 2,
      reason: 'unauthorized-again',
    });
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('two instances with one scheme share one refresh', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    const other = stage.instance();
    stage.attach({ scheme }, other);
    expect(
      await stage.outcomes([stage.api.get('/one'), other.get('/two'), stage.api.get('/three'), other.get('/four')]),
    ).toEqual(succeeded(4));
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('two schemes over one store share one refresh', async () => {
    const stage = new Stage();
    const store = memoryStore();
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
    const store = memoryStore();
    const tokens = stage.tokens.issueDead();
    const instances = [stage.api, stage.instance()];
    for (const instance of instances) stage.attach({ scheme: stage.bearer({ store, tokens }) }, instance);
    const calls = instances.flatMap((instance) => [instance.get('/one'), instance.get('/two')]);
    expect(await stage.outcomes(calls)).toEqual(succeeded(4));
    expect(stage.tokens.refreshes).toBe(1);
  });
});

// F12
describe('rotation', () => {
  test('without a refresh token in the answer the old one stays', async () => {
    const asked: (string | undefined)[] = [];
    const { stage } = Stage.with({
      tokens: dead,
      bearer: {
        refresh: ({ refreshToken }) => {
          asked.push(refreshToken);
          return { accessToken: stage.tokens.issue().access_token };
        },
      },
    });
    expect(await stage.outcome(stage.api.get('/one'))).toMatchObject({ status: 200 });
    stage.tokens.revokeAll();
    expect(await stage.outcome(stage.api.get('/two'))).toMatchObject({ status: 200 });
    expect(asked).toEqual(['alice-r1', 'alice-r1']);
  });

  test('every refresh token is used once', async () => {
    const { stage } = Stage.with({ tokens: dead });
    for (let round = 0; round < 10; round++) {
      expect(await stage.outcomes(times(5, () => stage.api.get('/item')))).toEqual(succeeded(5));
      stage.tokens.revokeAll();
    }
    expect(stage.tokens.asks.map(({ refreshToken }) => refreshToken)).toEqual(
      times(10, (round) => `alice-r${String(round + 1)}`),
    );
    expect(stage.tokens.reuses).toBe(0);
  });

  test('refresh() is told the refresh token, the tokens to replace and the reason', async () => {
    const contexts: RefreshContext[] = [];
    const { stage, scheme } = Stage.with({
      tokens: dead,
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
describe('a refresh that gives nothing', () => {
  const stale = { accessToken: 'brand-a9', expiresAt: MORNING - 1 };
  test.each<[string, () => unknown]>([
    ['undefined', () => undefined],
    ['an empty object', () => ({})],
    ['a string', () => 'alice-a2'],
    ['a number', () => 42],
    ['an array', () => ['alice-a2']],
    ['false', () => false],
    ['an empty token', () => ({ accessToken: '' })],
    ['a token that is no string', () => ({ access_token: 7 })],
    ['a token with a line break', () => ({ accessToken: 'alice-a2\n' })],
    ['a token with a space', () => ({ accessToken: 'alice a2' })],
    ['a refresh token that is no string', () => ({ accessToken: 'alice-a2', refreshToken: {} })],
    ['the token that was just refused', () => ({ accessToken: 'alice-a1' })],
    ['a token that lived 0 s', () => ({ accessToken: 'brand-a9', expiresIn: 0 })],
    ['a token that expires before it is issued', () => ({ access_token: 'brand-a9', expires_in: '-5' })],
    ['a token that has expired', () => stale],
    ['an expiry in seconds', () => ({ accessToken: 'brand-a9', expiresAt: MORNING / 1000 + 3600 })],
  ])('%s is a failed refresh, asked for once, and the session is kept', async (_, answer) => {
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
  ])('%s thrown, at once or later, is a transient failure with that cause', async (_, thrown) => {
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
      expect(asked).toBe(3);
      expect(scheme.getSnapshot().status).toBe('signed-in');
      expect(stage.clock.pending).toBe(0);
    }
  });

  test('a refresh that never settles lets everybody go after refreshTimeoutMs', async () => {
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
    expect(signal?.aborted).toBe(true);
    expect(stage.clock.pending).toBe(0);
  });

  test('refreshTimeoutMs is 10 000 by default, for all tries together', async () => {
    const { stage } = Stage.with({ tokens: dead });
    stage.always(TOKEN_PATH, { status: 503, afterMs: 4_500 });
    await stage.outcome(stage.api.get('/item'));
    expect(stage.clock.monotonic()).toBeLessThanOrEqual(10_010);
    expect(stage.tokens.refreshes).toBeGreaterThan(1);
  });

  test('what a refresh brings after its time is up still counts', async () => {
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
  test('one that begins at once may go through the attached instance', async () => {
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

  test('one that begins after an await waits for itself, and fails in time with the way out', async () => {
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

  test('one that begins after an await with attachAuth: false goes through', async () => {
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

  test('one through the client that it is lent meets no interceptor, no gate and no session', async () => {
    let seen = 0;
    const { stage } = Stage.with({ tokens: dead, defaults: { headers: { 'X-App': 'shop' } } });
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
describe('callers that leave', () => {
  test.each(times(8, (set) => [set]))(
    'whoever aborts (set %i of three) leaves alone: the others go on after one refresh',
    async (set) => {
      const { stage } = Stage.with({ tokens: dead });
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

  test('a refresh that everybody has left goes on for the next call', async () => {
    const { stage } = Stage.with({ tokens: dead });
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

// F10
describe('an early refresh', () => {
  test('the token is used while its replacement is fetched in the background', async () => {
    const { stage, scheme } = Stage.with({ expiresIn: 1000, bearer: { refreshAheadMs: 30_000 } });
    scheme.getSnapshot();
    await stage.clock.advance(969_000);
    expect(await stage.outcome(stage.api.get('/before'))).toMatchObject({ status: 200, waitedMs: 0 });
    expect(stage.tokens.refreshes).toBe(0);
    await stage.clock.advance(1_000);
    expect(await stage.outcomes(times(10, () => stage.api.get('/within')))).toEqual(
      times(10, () => expect.objectContaining({ status: 200, attempts: 1, waitedMs: 0 })),
    );
    expect(new Set(stage.to('/within').map(({ token }) => token))).toEqual(new Set(['alice-a1']));
    await stage.clock.advance(1_000);
    expect(await stage.outcome(stage.api.get('/after'))).toMatchObject({ status: 200 });
    expect(stage.to('/after')[0]?.token).toBe('alice-a2');
    expect(stage.reasons).toEqual(['expiring']);
  });

  test('that is refused for good ends the session only when its token is no good any more', async () => {
    const refresh = jest.fn(() => Promise.resolve(null));
    const { stage, scheme } = Stage.with({ expiresIn: 1000, bearer: { refreshAheadMs: 30_000, refresh } });
    scheme.getSnapshot();
    await stage.clock.advance(975_000);
    expect(await stage.outcomes(times(3, () => stage.api.get('/item')))).toMatchObject(
      times(3, () => ({ status: 200 })),
    );
    await stage.clock.advance(1_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(refresh).toHaveBeenCalledTimes(1);
    expect(scheme.getSnapshot().status).toBe('signed-in');
    await stage.clock.advance(30_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    expect(refresh).toHaveBeenCalledTimes(1);
    expect(scheme.getSnapshot().status).toBe('expired');
    expect(stage.heard('session-expired')).toHaveLength(1);
  });

  test.each([
    [100, 89_900, 91_100],
    [3_600, 3_539_900, 3_546_100],
  ])(
    'a token of %i s is refreshed a tenth of its life ahead, at most a minute',
    async (expiresIn, notYetMs, surelyMs) => {
      const { stage, scheme } = Stage.with({ expiresIn });
      scheme.getSnapshot();
      await stage.clock.advance(notYetMs);
      await stage.outcome(stage.api.get('/item'));
      expect(stage.tokens.refreshes).toBe(0);
      await stage.clock.advance(surelyMs - stage.clock.monotonic());
      await stage.outcome(stage.api.get('/item'));
      await stage.clock.advance(100);
      expect(stage.tokens.refreshes).toBe(1);
    },
  );

  test('a token that lives shorter than refreshAheadMs is not refreshed at every call', async () => {
    const { stage } = Stage.with({ expiresIn: 60, bearer: { refreshAheadMs: 300_000 } });
    for (let made = 0; made < 60; made++) {
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
      await stage.clock.advance(990);
    }
    expect(stage.tokens.refreshes).toBeLessThanOrEqual(2);
  });

  test.each<[string, () => Promise<TokenResponse>]>([
    ['fails for now', () => Promise.reject(new Error('down'))],
    [
      'is refused by configuration',
      () =>
        Promise.reject(Object.assign(new Error(), { response: { status: 400, data: { error: 'invalid_client' } } })),
    ],
    ['gives nothing', () => Promise.resolve({} as TokenResponse)],
    ['never settles', () => new Promise(() => undefined)],
  ])('one that %s changes nothing while the token is valid', async (_, refresh) => {
    const { stage, scheme } = Stage.with({ expiresIn: 1000, bearer: { refresh } });
    const before = scheme.getSnapshot();
    await stage.clock.advance(960_000);
    for (let made = 0; made < 30; made++) {
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1, waitedMs: 0 });
      await stage.clock.advance(990);
    }
    await stage.clock.advance(15_000);
    expect({ ...scheme.getSnapshot(), refreshing: false }).toEqual(before);
    expect(stage.calls.every(({ token }) => token === 'alice-a1')).toBe(true);
    expect(stage.heard('refresh-failed').length).toBeGreaterThan(0);
    expect(stage.clock.pending).toBe(0);
  });

  test('one that nobody waits for holds no process', async () => {
    const { stage, scheme } = Stage.with({ expiresIn: 1000, bearer: { refresh: () => new Promise(() => undefined) } });
    scheme.getSnapshot();
    await stage.clock.advance(960_000);
    await stage.outcome(stage.api.get('/item'));
    expect(stage.clock.pending).toBeGreaterThan(0);
    expect(stage.clock.holding).toBe(0);
  });
});

// F19 F22
describe('the end of a session', () => {
  const ways: [string, unknown][] = [
    ['null', null],
    ['a RefreshRejectedError', new RefreshRejectedError()],
    ['an error that only has its name', Object.assign(new Error('gone'), { name: 'RefreshRejectedError' })],
    [
      'invalid_grant with 400',
      Object.assign(new Error(), { response: { status: 400, data: { error: 'invalid_grant' } } }),
    ],
    [
      'invalid_grant with 401',
      Object.assign(new Error(), { response: { status: 401, data: { error: 'invalid_grant' } } }),
    ],
    [
      'invalid_grant as text',
      Object.assign(new Error(), { response: { status: 400, data: '{"error":"invalid_grant"}' } }),
    ],
    ['invalid_grant of an OAuth client', Object.assign(new Error(), { error: 'invalid_grant', status: 400 })],
  ];

  test.each(ways)(
    '%s ends it: one event, and every waiting call fails with its answer and the cause',
    async (_, end) => {
      let asked = 0;
      const refresh = async (): Promise<null> => {
        asked++;
        await stage.clock.pass(50);
        if (end !== null) throw end as Error;
        return null;
      };
      const { stage, scheme } = Stage.with({ tokens: dead, bearer: { refresh } });
      const calls = times(20, () => underway(stage.api.get('/item')));
      await stage.clock.advance(20);
      const unsent = underway(stage.api.get('/unsent'));
      for (const settled of await stage.settled(calls)) {
        const error = reasonOf(settled);
        expect(error).toMatchObject({
          name: 'AuthError',
          isAxiosError: true,
          code: 'ERR_AUTH_SESSION_EXPIRED',
          response: { status: 401 },
        });
        if (end !== null) expect(error.cause).toBe(end);
        expect(error.config?.url).toBe('/item');
      }
      const error = reasonOf(await stage.clock.until(unsent));
      expect(error).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED', config: { url: '/unsent' } });
      expect(error.response).toBeUndefined();
      expect(stage.to('/unsent')).toEqual([]);
      expect(stage.heard('session-expired')).toHaveLength(1);
      expect(scheme.getSnapshot()).toMatchObject({ status: 'expired', refreshing: false, expiresAt: undefined });
      expect(asked).toBe(1);
    },
  );

  test('afterwards calls go bare, and their 401 is an ERR_AUTH_SESSION_EXPIRED with that answer', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    stage.tokens.endSession();
    await stage.outcome(stage.api.get('/item'));
    expect(stage.tokens.refreshes).toBe(1);
    expect(await stage.outcome(stage.api.get('/open/news'))).toMatchObject({ status: 200, attempts: 1 });
    for (let made = 0; made < 20; made++) {
      const error = reasonOf(await stage.clock.until(stage.api.get('/later')));
      expect(error).toMatchObject({
        code: 'ERR_AUTH_SESSION_EXPIRED',
        response: { status: 401, data: { error: 'unauthorized' } },
      });
    }
    expect(stage.to('/later')).toHaveLength(20);
    expect(stage.to('/later').every(({ token }) => token === undefined)).toBe(true);
    expect(stage.tokens.refreshes).toBe(1);
    expect(stage.heard('session-expired')).toHaveLength(1);
    expect(await scheme.getAccessToken()).toBeUndefined();
  });

  test('a late 401 for a token of the ended session is an ERR_AUTH_SESSION_EXPIRED, and asks nobody', async () => {
    const { stage } = Stage.with({ tokens: dead });
    stage.tokens.endSession();
    stage.latencyMs = ({ path }) => (path === '/late' ? 1_000 : 10);
    const late = stage.api.get('/late');
    await stage.outcome(stage.api.get('/item'));
    expect(await stage.outcome(late)).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED', status: 401, attempts: 1 });
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('signIn() begins a new session', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    stage.tokens.endSession();
    await stage.outcome(stage.api.get('/item'));
    await scheme.signIn(stage.tokens.issueDead());
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    expect(scheme.getSnapshot().status).toBe('signed-in');
    expect(stage.tokens.refreshes).toBe(2);
  });

  test('a dead refresh token is never tried again, even if it is handed in anew', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    stage.tokens.endSession();
    await stage.outcome(stage.api.get('/item'));
    for (let round = 0; round < 5; round++) {
      await scheme.signIn({ accessToken: 'alice-a1', refreshToken: 'alice-r1' });
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
        code: 'ERR_AUTH_SESSION_EXPIRED',
        status: 401,
      });
    }
    expect(stage.tokens.asks.map(({ refreshToken }) => refreshToken)).toEqual(['alice-r1']);
  });

  test('a refresh token that another holder of the store has replaced ends nothing: its tokens are taken', async () => {
    const store = memoryStore();
    let asked = 0;
    const { stage, scheme } = Stage.with({
      tokens: dead,
      bearer: {
        store,
        refresh: async () => {
          asked++;
          const stored = (await store.load()) as StoredSession;
          const { access_token: accessToken, refresh_token: refreshToken } = stage.tokens.issue();
          await store.compareAndSet(stored.generation, {
            ...stored,
            generation: stored.generation + 1,
            tokens: { accessToken, refreshToken },
          });
          throw new RefreshRejectedError();
        },
      },
    });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    expect(asked).toBe(1);
    expect(scheme.getSnapshot().status).toBe('signed-in');
    expect(stage.heard('session-expired')).toEqual([]);
  });
});

// F18 F19 F20
describe('failures told apart', () => {
  const documents: [string, unknown, 'terminal' | 'configuration' | 'transient'][] = [
    ['invalid_grant', { error: 'invalid_grant' }, 'terminal'],
    ['invalid_grant as text', '{"error":"invalid_grant","error_description":"expired"}', 'terminal'],
    ['invalid_client', { error: 'invalid_client' }, 'configuration'],
    ['unauthorized_client', { error: 'unauthorized_client' }, 'configuration'],
    ['unsupported_grant_type', { error: 'unsupported_grant_type' }, 'configuration'],
    ['invalid_scope', { error: 'invalid_scope' }, 'configuration'],
    ['invalid_request', { error: 'invalid_request' }, 'configuration'],
    ['another error', { error: 'temporarily_unavailable' }, 'transient'],
    ['an error object', { error: { code: 'invalid_grant' } }, 'transient'],
    ['only a message', { message: 'invalid_grant' }, 'transient'],
    ['HTML', '<html><body>invalid_grant</body></html>', 'transient'],
    ['an empty object', {}, 'transient'],
    ['nothing', undefined, 'transient'],
  ];
  const statuses: [number | undefined, boolean][] = [
    [400, true],
    [401, true],
    [403, true],
    [undefined, true],
    [429, false],
    [500, false],
    [502, false],
    [503, false],
    [504, false],
    [522, false],
  ];
  const table = statuses.flatMap(([status, isDocument]) =>
    documents.map(([what, data, kind]) => [status, what, isDocument ? kind : 'transient', data] as const),
  );

  test.each(table)('status %s with %s is %s', async (status, _, kind, data) => {
    const failure = Object.assign(
      new Error('refused'),
      status === undefined ? { cause: data } : { response: { status, data, headers: {} } },
    );
    const { stage, scheme } = Stage.with({ tokens: dead, bearer: { refresh: () => Promise.reject(failure) } });
    const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(error.code).toBe(kind === 'terminal' ? 'ERR_AUTH_SESSION_EXPIRED' : 'ERR_AUTH_REFRESH_FAILED');
    expect(error.cause).toBe(failure);
    expect(stage.heard('refresh-failed')).toHaveLength(kind === 'transient' ? 3 : 1);
    expect(stage.heard('session-expired')).toHaveLength(kind === 'terminal' ? 1 : 0);
    expect(scheme.getSnapshot().status).toBe(kind === 'terminal' ? 'expired' : 'signed-in');
  });

  test.each(['ECONNRESET', 'ECONNREFUSED', 'ENOTFOUND', 'ETIMEDOUT', 'ERR_NETWORK'])(
    '%s keeps the session',
    async (code) => {
      const { stage, scheme } = Stage.with({
        tokens: dead,
        bearer: { refresh: () => Promise.reject(new AxiosError('no', code)) },
      });
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
        code: 'ERR_AUTH_REFRESH_FAILED',
        status: 401,
      });
      expect(stage.heard('refresh-failed')).toMatchObject([
        { code, willRetry: true },
        { code, willRetry: true },
        { code, willRetry: false },
      ]);
      expect(scheme.getSnapshot().status).toBe('signed-in');
    },
  );
});

// F16 F17 F102
describe('a refresh that fails for now', () => {
  test('is tried again with backoff, and nobody notices', async () => {
    const { stage } = Stage.with({ tokens: dead });
    stage.clock.chance = 0.5;
    stage.script(TOKEN_PATH, 503, { fault: 'refused' });
    expect(await stage.outcomes(times(5, () => stage.api.get('/item')))).toEqual(succeeded(5));
    const [first, second, third] = stage.tokens.asks;
    expect(second!.at - first!.at).toBeGreaterThan(50);
    expect(third!.at - second!.at).toBeGreaterThan(second!.at - first!.at);
    expect(stage.tokens.asks.map(({ outcome }) => outcome)).toEqual(['scripted', 'scripted', 'issued']);
    expect(stage.heard('refreshing')).toHaveLength(1);
  });

  test('is given up after three tries; calls inside the cool-down share the error, and then it recovers', async () => {
    const { stage, scheme } = Stage.with({ expiresIn: 100 });
    await stage.clock.advance(100_000);
    stage.script(TOKEN_PATH, 500, 500, 500);
    const first = reasonOf(await stage.clock.until(stage.api.get('/first')));
    expect(first).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED' });
    expect((first.cause as AxiosError).response?.status).toBe(500);
    expect(stage.tokens.refreshes).toBe(3);
    const second = reasonOf(await stage.clock.until(stage.api.get('/second')));
    expect(second).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED', config: { url: '/second' } });
    expect(second.cause).toBe(first.cause);
    expect(second).not.toBe(first);
    expect(stage.tokens.refreshes).toBe(3);
    expect(stage.calls).toEqual([]);
    expect(scheme.getSnapshot().status).toBe('signed-in');
    await stage.clock.advance(1_000);
    expect(await stage.outcome(stage.api.get('/third'))).toMatchObject({ status: 200 });
    expect(stage.tokens.refreshes).toBe(4);
  });

  test('is not asked for by every call: the cool-down grows with each failure', async () => {
    const { stage } = Stage.with({ expiresIn: 100 });
    await stage.clock.advance(100_000);
    stage.always(TOKEN_PATH, 500);
    for (let made = 0; made < 600; made++) {
      await stage.outcome(stage.api.get('/item'));
      await stage.clock.advance(100);
    }
    const starts = stage.heard('refreshing').map(({ at }) => at);
    const gaps = starts.slice(1).map((at, index) => at - starts[index]!);
    expect(gaps.length).toBeGreaterThan(3);
    expect(gaps.length).toBeLessThan(9);
    expect(gaps.at(-1)).toBeGreaterThan(2 * gaps[1]!);
  });

  test('refresh() is tried whatever failed before', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    stage.script(TOKEN_PATH, 500, 500, 500);
    await stage.outcome(stage.api.get('/item'));
    await stage.clock.until(scheme.refresh());
    expect(await scheme.getAccessToken()).toBe('alice-a2');
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
  });

  test('waits as long as Retry-After says', async () => {
    const { stage } = Stage.with({ tokens: dead });
    stage.script(TOKEN_PATH, { status: 429, headers: { 'Retry-After': '5' } });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    const [first, second] = stage.tokens.asks;
    expect(second!.at - first!.at).toBeGreaterThanOrEqual(5_050);
  });

  test.each([429, 503])(
    'fails at once where a %i asks for more than there is, and leaves the endpoint alone until then',
    async (status) => {
      const { stage } = Stage.with({ expiresIn: 100 });
      await stage.clock.advance(100_000);
      stage.script(TOKEN_PATH, { status, headers: { 'Retry-After': '60' } });
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
        code: 'ERR_AUTH_REFRESH_FAILED',
        waitedMs: 50,
      });
      const refusedAt = stage.clock.monotonic();
      for (let made = 0; made < 59; made++) {
        expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
          code: 'ERR_AUTH_REFRESH_FAILED',
          attempts: 0,
        });
        await stage.clock.advance(1_000);
      }
      expect(stage.tokens.refreshes).toBe(1);
      await stage.clock.advance(refusedAt + 60_000 - stage.clock.monotonic());
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
      expect(stage.tokens.refreshes).toBe(2);
    },
  );

  test('a throttled early refresh keeps the valid token in use', async () => {
    const { stage, scheme } = Stage.with({ expiresIn: 1000 });
    scheme.getSnapshot();
    await stage.clock.advance(960_000);
    stage.always(TOKEN_PATH, { status: 429, headers: { 'Retry-After': '30' } });
    for (let made = 0; made < 25; made++) {
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
      await stage.clock.advance(990);
    }
    expect(stage.tokens.refreshes).toBe(1);
  });
});

// F23
describe('a server that always says 401', () => {
  const refuse = (stage: Stage): void => {
    stage.always('/item', unauthorized());
  };

  test('costs 20 serial calls at most 22 sends and one refresh', async () => {
    const { stage } = Stage.with({});
    refuse(stage);
    const outcomes = [];
    for (let made = 0; made < 20; made++) outcomes.push(await stage.outcome(stage.api.get('/item')));
    expect(outcomes.map(({ status }) => status)).toEqual(times(20, () => 401));
    expect(outcomes.map(({ reason }) => reason)).toEqual(['unauthorized-again', ...times(19, () => 'refresh-breaker')]);
    expect(stage.calls.length).toBeLessThanOrEqual(22);
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('costs 200 concurrent calls one refresh and one replay each', async () => {
    const { stage } = Stage.with({});
    refuse(stage);
    const outcomes = await stage.outcomes(times(200, () => stage.api.get('/item')));
    expect(outcomes.every(({ status, attempts }) => status === 401 && attempts === 2)).toBe(true);
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('is asked again after 30 s, then after twice as long each time, at most 5 min', async () => {
    const { stage } = Stage.with({});
    refuse(stage);
    for (let made = 0; made < 1_500; made++) {
      await stage.outcome(stage.api.get('/item'));
      await stage.clock.advance(1_000);
    }
    const asked = stage.tokens.asks.map(({ at }) => at);
    const gaps = asked.slice(1).map((at, index) => Math.round((at - asked[index]!) / 1_000));
    expect(gaps.slice(0, 6)).toEqual([30, 60, 120, 240, 300, 300].map((s) => expect.closeTo(s, -0.5) as number));
  });

  test('is forgiven as soon as it accepts a token', async () => {
    const { stage } = Stage.with({});
    refuse(stage);
    await stage.outcome(stage.api.get('/item'));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ reason: 'refresh-breaker' });
    stage.always('/item', undefined);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    stage.tokens.revokeAll();
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    expect(stage.tokens.refreshes).toBe(2);
  });

  test.each(['signIn', 'update'] as const)('is asked again after %s()', async (what) => {
    const { stage, scheme } = Stage.with({});
    refuse(stage);
    await stage.outcome(stage.api.get('/item'));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ reason: 'refresh-breaker' });
    await scheme[what](stage.tokens.issueDead());
    stage.always('/item', undefined);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    expect(stage.tokens.refreshes).toBe(2);
  });

  test('is asked again after refresh(), even one that failed', async () => {
    const { stage, scheme } = Stage.with({});
    refuse(stage);
    await stage.outcome(stage.api.get('/item'));
    stage.script(TOKEN_PATH, 500, 500, 500);
    expect((await stage.clock.until(scheme.refresh())).status).toBe('rejected');
    await stage.clock.advance(1_000);
    stage.script('/item', unauthorized());
    stage.always('/item', undefined);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
  });

  test('is not confused with a key roll: a token that ever worked is replaced however young it is', async () => {
    const { stage } = Stage.with({ tokens: dead });
    for (let roll = 1; roll <= 10; roll++) {
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
      expect(stage.tokens.refreshes).toBe(roll);
      stage.tokens.revokeAll();
    }
  });
});

// F25 F26 F27 F68
describe('what is no refusal of the token', () => {
  test.each([
    ['a 403', { status: 403 }],
    ['insufficient_scope', unauthorized('Bearer realm="api", error="insufficient_scope", scope="admin"')],
    ['insufficient_scope in a second challenge', unauthorized('Basic realm="a", Bearer error=insufficient_scope')],
  ])('%s never refreshes', async (_, reply) => {
    const { stage } = Stage.with({});
    stage.always('/item', reply);
    for (let made = 0; made < 5; made++) {
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
        status: reply.status,
        attempts: 1,
        refreshed: false,
      });
    }
    expect(stage.tokens.refreshes).toBe(0);
  });

  test.each([
    ['no challenge', undefined],
    ['another scheme', 'Basic realm="proxy"'],
    ['Negotiate', 'Negotiate TlRMTVNTUAAB, NTLM'],
    ['another realm', 'Bearer realm="elsewhere"'],
    ['invalid_token among others', 'Digest nonce="a, b", Bearer error="invalid_token"'],
    ['a broken challenge', 'Bearer error="invalid'],
  ])('a 401 with %s refreshes', async (_, challenge) => {
    const { stage } = Stage.with({});
    stage.script('/item', challenge === undefined ? 401 : unauthorized(challenge));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2, refreshed: true });
    expect(stage.tokens.refreshes).toBe(1);
  });

  test.each([
    ['419', { status: 419 }],
    ['440', { status: 440 }],
    ['200 with an error in it', { status: 200, data: { error: 'login required' } }],
  ])('isUnauthorized decides: %s refreshes where it says so', async (_, reply) => {
    const { stage } = Stage.with({
      attach: {
        isUnauthorized: ({ status, data }) =>
          status === 419 || status === 440 || String(data).includes('login required'),
      },
    });
    stage.script('/item', reply);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2, refreshed: true });
    stage.script('/item', 401);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401, attempts: 1 });
    expect(stage.tokens.refreshes).toBe(1);
  });

  test.each<[string, object]>([
    ['an Authorization header', { headers: { Authorization: 'Bearer mine' } }],
    ['auth', { auth: { username: 'me', password: 'secret' } }],
  ])('a call with %s of its own keeps it, and its 401 is its own', async (_, own) => {
    const { stage } = Stage.with({});
    stage.script('/item', unauthorized());
    expect(await stage.outcome(stage.api.get('/item', own))).toMatchObject({
      status: 401,
      attempts: 1,
      refreshed: false,
    });
    expect(stage.tokens.refreshes).toBe(0);
    expect(stage.calls[0]?.token).not.toBe('alice-a1');
  });

  test.each<[string, object]>([
    ['attachAuth: false', { attachAuth: false }],
    ["credentials: 'omit'", { attachAuth: { credentials: 'omit' } }],
  ])('a call with %s goes bare, and its 401 is its own', async (_, own) => {
    const { stage } = Stage.with({});
    expect(await stage.outcome(stage.api.get('/item', own))).toMatchObject({ status: 401, code: 'ERR_BAD_REQUEST' });
    expect(stage.calls.map(({ token }) => token)).toEqual([undefined]);
    expect(stage.tokens.refreshes).toBe(0);
  });

  test('without a refresh a 401 stays the plain 401', async () => {
    const stage = new Stage();
    stage.attach({ scheme: stage.bearer({ refresh: undefined, tokens: stage.tokens.issueDead() }) });
    const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(error).toMatchObject({ name: 'AxiosError', code: 'ERR_BAD_REQUEST', response: { status: 401 } });
    expect(stage.calls).toHaveLength(1);
  });
});

describe('nobody is signed in', () => {
  test('with nothing stored the first call asks refresh() once, for everybody', async () => {
    const stage = new Stage();
    const scheme = stage.bearer({
      refresh: async ({ reason, refreshToken, tokens }) => {
        stage.reasons.push(reason);
        expect([refreshToken, tokens]).toEqual([undefined, undefined]);
        await stage.clock.pass(50);
        return stage.tokens.issue();
      },
    });
    stage.attach({ scheme });
    const outcomes = await stage.outcomes(times(20, () => stage.api.get('/item')));
    expect(outcomes).toEqual(times(20, () => expect.objectContaining({ status: 200, attempts: 1 })));
    expect(stage.reasons).toEqual(['missing']);
    expect(scheme.getSnapshot().status).toBe('signed-in');
  });

  test.each<[string, () => Promise<null>]>([
    ['null', () => Promise.resolve(null)],
    ['a RefreshRejectedError', () => Promise.reject(new RefreshRejectedError())],
    [
      'invalid_grant',
      () => Promise.reject(Object.assign(new Error(), { response: { status: 400, data: { error: 'invalid_grant' } } })),
    ],
  ])('told so by %s, calls go bare and refresh() is not asked again', async (_, answer) => {
    const stage = new Stage();
    let asked = 0;
    const scheme = stage.bearer({
      refresh: () => {
        asked++;
        return answer();
      },
    });
    stage.attach({ scheme });
    expect(await stage.outcomes([stage.api.post('/open/login'), stage.api.get('/item')])).toMatchObject([
      { status: 200, attempts: 1 },
      { status: 401, code: 'ERR_BAD_REQUEST', attempts: 1 },
    ]);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401, code: 'ERR_BAD_REQUEST' });
    expect(await scheme.getAccessToken()).toBeUndefined();
    expect(stage.calls.every(({ token }) => token === undefined)).toBe(true);
    expect(asked).toBe(1);
    expect(stage.heard('session-expired')).toEqual([]);
    expect(scheme.getSnapshot().status).toBe('signed-out');
    await scheme.signIn(stage.tokens.issue());
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
  });

  test('refresh() asks once more', async () => {
    const stage = new Stage();
    const answers = [null, stage.tokens.issue()];
    const scheme = stage.bearer({
      refresh: ({ reason }) => {
        stage.reasons.push(reason);
        return answers.shift() ?? null;
      },
    });
    stage.attach({ scheme });
    await stage.outcome(stage.api.get('/item'));
    await stage.clock.until(scheme.refresh());
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(stage.reasons).toEqual(['missing', 'manual']);
  });

  test('a refresh that fails for now fails the call', async () => {
    const stage = new Stage();
    const scheme = stage.bearer({ refresh: () => Promise.reject(new Error('down')) });
    stage.attach({ scheme });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED', attempts: 0 });
    expect(stage.calls).toEqual([]);
  });

  test('without a refresh calls go bare', async () => {
    const stage = new Stage();
    const scheme = stage.bearer({ refresh: undefined });
    stage.attach({ scheme });
    expect(await stage.outcome(stage.api.get('/open/news'))).toMatchObject({ status: 200, attempts: 1 });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401, code: 'ERR_BAD_REQUEST' });
    expect(scheme.getSnapshot().status).toBe('signed-out');
  });
});

describe('signing in and out', () => {
  test('tokens are used only when the store holds nothing, and a sign-out is something', async () => {
    const store = memoryStore();
    const stage = new Stage();
    const first = stage.bearer({ store, tokens: stage.tokens.issue('alice') });
    expect(await first.getAccessToken()).toBe('alice-a1');
    expect(await stage.bearer({ store, tokens: stage.tokens.issue('bob') }).getAccessToken()).toBe('alice-a1');
    await first.signOut();
    expect(await stage.bearer({ store, tokens: stage.tokens.issue('bob') }).getAccessToken()).toBeUndefined();
  });

  test('after signIn() calls carry the new token', async () => {
    const { stage, scheme } = Stage.with({});
    await scheme.signIn(stage.tokens.issue('bob'));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.calls[0]?.token).toBe('bob-a1');
    expect(stage.heard('signed-in')).toHaveLength(1);
  });

  test('after signOut() calls go bare and get the answer of the server, and nothing is refreshed', async () => {
    const { stage, scheme } = Stage.with({});
    await scheme.signOut();
    const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(error).toMatchObject({ name: 'AxiosError', code: 'ERR_BAD_REQUEST', response: { status: 401 } });
    expect(await stage.outcome(stage.api.get('/open/news'))).toMatchObject({ status: 200 });
    expect(stage.calls.every(({ token }) => token === undefined)).toBe(true);
    expect(stage.tokens.refreshes).toBe(0);
    expect(stage.heard('signed-out')).toHaveLength(1);
  });

  test('update() lets calls that wait go on with its tokens, and the refresh in flight is dropped', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    stage.refreshMs = 5_000;
    const calls = times(3, () => underway(stage.api.get('/item')));
    await stage.clock.advance(100);
    const { access_token: accessToken } = stage.tokens.issue();
    await scheme.update({ accessToken });
    expect(await stage.outcomes(calls)).toEqual(succeeded(3));
    expect(stage.clock.monotonic()).toBeLessThan(200);
    expect(
      stage
        .to('/item')
        .slice(3)
        .map(({ token }) => token),
    ).toEqual(times(3, () => accessToken));
    await stage.clock.advance(10_000);
    expect(await scheme.getAccessToken()).toBe(accessToken);
  });

  test('update() without a refresh token keeps the one there is, also as the first thing that happens', async () => {
    for (const isOpen of [true, false]) {
      const { stage, scheme } = Stage.with({});
      if (isOpen) scheme.getSnapshot();
      await scheme.update({ accessToken: stage.tokens.issueDead().access_token });
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
      expect(stage.tokens.asks[0]?.refreshToken).toBe('alice-r1');
    }
  });

  test('update() as the first thing that happens is not lost to what is stored', async () => {
    for (const loadMs of [0, 20]) {
      const stage = new Stage();
      const inner = memoryStore();
      for (const name of ['bob', 'alice']) await stage.bearer({ store: inner }).signIn(stage.tokens.issue(name));
      const load = async (): Promise<StoredSession | undefined> => {
        await stage.clock.pass(loadMs);
        return inner.load();
      };
      const scheme = stage.bearer({ store: loadMs === 0 ? inner : { ...inner, load } });
      await stage.clock.until(scheme.update({ accessToken: 'alice-a2' }));
      expect(await stage.clock.until(scheme.getAccessToken())).toMatchObject({ value: 'alice-a2' });
      expect(await inner.load()).toMatchObject({ tokens: { accessToken: 'alice-a2', refreshToken: 'alice-r1' } });
    }
  });

  test.each(['signIn', 'update'] as const)('%s() refuses what is no token and loses nothing', async (what) => {
    const { scheme } = Stage.with({});
    for (const wrong of [
      undefined,
      null,
      'alice-a2',
      {},
      { accessToken: '' },
      { access_token: 1 },
      { accessToken: 'a', refreshToken: '' },
    ]) {
      await expect(scheme[what](wrong as never)).rejects.toThrow(TypeError);
      await expect(scheme[what](wrong as never)).rejects.toThrow(what);
    }
    expect(await scheme.getAccessToken()).toBe('alice-a1');
  });
});

describe('refresh()', () => {
  test('joins the refresh that is under way', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(20);
    const both = await stage.clock.until(Promise.all([scheme.refresh(), scheme.refresh()]));
    expect(both.status).toBe('fulfilled');
    expect(await stage.outcome(call)).toMatchObject({ status: 200 });
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('rejects with what became of it', async () => {
    const { stage, scheme } = Stage.with({});
    stage.script(TOKEN_PATH, { status: 400, data: { error: 'invalid_client' } });
    expect(reasonOf(await stage.clock.until(scheme.refresh()))).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED' });
    const changed = underway(scheme.refresh());
    await stage.clock.advance(10);
    await scheme.signOut();
    expect(reasonOf(await stage.clock.until(changed))).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
    await scheme.signIn(stage.tokens.issue());
    stage.tokens.endSession();
    expect(reasonOf(await stage.clock.until(scheme.refresh()))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    await expect(stage.bearer({ refresh: undefined }).refresh()).rejects.toMatchObject({
      code: 'ERR_AUTH_REFRESH_FAILED',
    });
    expect(stage.clock.pending).toBe(0);
  });
});

describe('getAccessToken()', () => {
  test('gives the token that a call would carry, refreshed first where it has expired', async () => {
    const { stage, scheme } = Stage.with({ expiresIn: 100 });
    expect(await scheme.getAccessToken()).toBe('alice-a1');
    await stage.clock.advance(100_000);
    const both = await stage.clock.until(Promise.all([scheme.getAccessToken(), scheme.getAccessToken()]));
    expect(both).toMatchObject({ value: ['alice-a2', 'alice-a2'] });
    expect(stage.tokens.refreshes).toBe(1);
    await scheme.signOut();
    expect(await scheme.getAccessToken()).toBeUndefined();
    expect(stage.clock.pending).toBe(0);
  });

  test('rejects where the refresh fails', async () => {
    const { stage, scheme } = Stage.with({ expiresIn: 100 });
    await stage.clock.advance(100_000);
    stage.always(TOKEN_PATH, 500);
    expect(reasonOf(await stage.clock.until(scheme.getAccessToken()))).toMatchObject({
      code: 'ERR_AUTH_REFRESH_FAILED',
    });
  });
});

describe('getSnapshot() and subscribe()', () => {
  test('the snapshot stays the same object until something changes', async () => {
    const { stage, scheme } = Stage.with({ expiresIn: 100 });
    const before = scheme.getSnapshot();
    expect(before).toEqual({ status: 'signed-in', refreshing: false, expiresAt: MORNING + 100_000, generation: 1 });
    await stage.outcome(stage.api.get('/item'));
    expect(scheme.getSnapshot()).toBe(before);
    await stage.clock.until(scheme.refresh());
    const after = scheme.getSnapshot();
    expect(after).not.toBe(before);
    expect(after.generation).toBeGreaterThan(before.generation);
    expect(after.expiresAt).toBe(stage.clock.now() + 100_000);
    expect(scheme.getSnapshot()).toBe(after);
  });

  test('it is unknown until a slow store has answered', async () => {
    const stage = new Stage();
    const inner = memoryStore();
    const store: TokenStore = {
      load: async () => {
        await stage.clock.pass(100);
        return inner.load();
      },
      compareAndSet: (expected, next) => inner.compareAndSet(expected, next),
    };
    const scheme = stage.bearer({ store, tokens: stage.tokens.issue() });
    expect(scheme.getSnapshot().status).toBe('unknown');
    await stage.clock.advance(99);
    expect(scheme.getSnapshot().status).toBe('unknown');
    await stage.clock.advance(1);
    expect(scheme.getSnapshot().status).toBe('signed-in');
  });

  test('listeners hear of every change, until they leave', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    const seen: string[] = [];
    const listener = (): void => {
      const { status, refreshing } = scheme.getSnapshot();
      seen.push(refreshing ? 'refreshing' : status);
    };
    scheme.getSnapshot();
    const leave = scheme.subscribe(listener);
    await stage.clock.settle();
    seen.length = 0;
    await stage.outcome(stage.api.get('/item'));
    await scheme.signOut();
    await scheme.signIn(stage.tokens.issue());
    await stage.clock.settle();
    expect(seen.filter((state, index) => state !== seen[index - 1])).toEqual([
      'refreshing',
      'signed-in',
      'signed-out',
      'signed-in',
    ]);
    leave();
    await scheme.signOut();
    await stage.clock.settle();
    expect(seen.at(-1)).toBe('signed-in');
  });

  test('the same listener may subscribe twice, and each subscription ends by itself', async () => {
    const { stage, scheme } = Stage.with({});
    await stage.outcome(stage.api.get('/item'));
    let heard = 0;
    const listener = (): void => {
      heard++;
    };
    const [leave] = [scheme.subscribe(listener), scheme.subscribe(listener)];
    leave();
    await scheme.signOut();
    await stage.clock.settle();
    expect(heard).toBe(1);
  });
});

describe('what a refresh leaves in the open', () => {
  test('no event and no error holds a token', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    stage.script(TOKEN_PATH, 500, { status: 400, data: { error: 'invalid_client' } });
    const failed = reasonOf(await stage.clock.until(stage.api.get('/item')));
    await stage.clock.advance(1_000);
    await stage.outcome(stage.api.get('/item'));
    stage.tokens.endSession();
    stage.tokens.revokeAll();
    const ended = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(ended.code).toBe('ERR_AUTH_SESSION_EXPIRED');
    for (const error of [failed, ended] as AuthError[]) {
      expect(
        JSON.stringify([error, error.message, error.response, error.cause, (error.cause as AxiosError).config]),
      ).not.toMatch(/alice-[ar]/);
    }
    expect(stage.events.length).toBeGreaterThan(4);
    expect(JSON.stringify(stage.events)).not.toMatch(/alice-[ar]/);
    expect(scheme.getSnapshot()).not.toHaveProperty('accessToken');
  });
});

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((first, index) =>
    permutations(items.filter((_, other) => other !== index)).map((rest) => [first, ...rest]),
  );
}
