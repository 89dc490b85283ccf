import { AxiosError } from 'axios';
import {
  RefreshRejectedError,
  type AuthError,
  type BearerOptions,
  type BearerScheme,
  type TokenResponse,
  type Tokens,
} from '../lib/index.js';
import { memoryPort } from './support/memory-port.js';
import type { StoredSession } from '../lib/store.js';
import { succeeded, times } from './support/series.js';
import { reasonOf, Stage, TOKEN_PATH, underway } from './support/stage.js';
import type { TokenEndpoint } from './support/token-endpoint.js';

const dead = (endpoint: TokenEndpoint): TokenResponse => endpoint.issueDead();

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
    '%s ends it: one event, and every waiting call rejects with its response and the cause',
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
        else expect(error.cause).toMatchObject({ message: '`refresh()` returned null' });
        expect(error.config?.url).toBe('/item');
      }
      const error = reasonOf(await stage.clock.until(unsent));
      expect(error).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED', config: { url: '/unsent' } });
      expect(error.response).toBeUndefined();
      expect(stage.to('/unsent')).toEqual([]);
      expect(stage.eventsOf('session-expired')).toHaveLength(1);
      expect(scheme.getSnapshot()).toMatchObject({ status: 'expired', refreshing: false, expiresAt: undefined });
      expect(asked).toBe(1);
    },
  );

  test('later calls are sent without credentials, and their 401 is an ERR_AUTH_SESSION_EXPIRED with that response', async () => {
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
    expect(stage.eventsOf('session-expired')).toHaveLength(1);
    expect(await scheme.getAccessToken()).toBeUndefined();
  });

  test('a late 401 for a token of the ended session is an ERR_AUTH_SESSION_EXPIRED, and starts no refresh', async () => {
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

  test('a refused refresh token is never sent again, even after signIn() with it', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    stage.tokens.endSession();
    await stage.outcome(stage.api.get('/item'));
    for (let round = 0; round < 5; round++) {
      await scheme.signIn({ accessToken: 'alice-a1', refreshToken: 'alice-r1' });
      expect(reasonOf(await stage.clock.until(stage.api.get('/item')))).toMatchObject({
        code: 'ERR_AUTH_SESSION_EXPIRED',
        response: { status: 401 },
        cause: { message: 'refresh token refused before' },
      });
    }
    expect(stage.tokens.asks.map(({ refreshToken }) => refreshToken)).toEqual(['alice-r1']);
  });

  /** Refuses the first refreshes, since another holder of the store was earlier. Its tokens are found in the store then. */
  function overtaken(...writes: Partial<Tokens>[]): {
    stage: Stage;
    scheme: BearerScheme;
    asked: (string | undefined)[];
  } {
    const store = memoryPort();
    const asked: (string | undefined)[] = [];
    const refresh: BearerOptions['refresh'] = async ({ refreshToken }) => {
      const others = writes[asked.length];
      asked.push(refreshToken);
      const { access_token: accessToken, refresh_token: issued } = stage.tokens.issue();
      if (!others) return { accessToken, refreshToken: issued };
      const stored = (await store.load()) as StoredSession;
      const tokens = { accessToken, refreshToken: issued, ...others };
      await store.compareAndSet(stored.generation, { ...stored, generation: stored.generation + 1, tokens });
      throw new RefreshRejectedError();
    };
    const { stage, scheme } = Stage.with({ tokens: dead, bearer: { store, refresh } });
    return { stage, scheme, asked };
  }
  const expired = { expiresAt: 1 };

  test.each([
    ['its tokens are used', [{}], ['alice-r1']],
    ['its refresh token is used if its access token has expired, too', [expired], ['alice-r1', 'alice-r2']],
    [
      'four times in a row',
      [expired, expired, expired, expired],
      ['alice-r1', 'alice-r2', 'alice-r3', 'alice-r4', 'alice-r5'],
    ],
  ])(
    'a refused refresh token that another holder of the store has replaced does not end the session: %s',
    async (_what, writes, asks) => {
      const { stage, scheme, asked } = overtaken(...writes);
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
      expect(asked).toEqual(asks);
      expect(scheme.getSnapshot().status).toBe('signed-in');
      expect(stage.eventsOf('session-expired')).toEqual([]);
    },
  );

  test('a refused refresh token is not sent again if another holder writes it again', async () => {
    const { stage, asked } = overtaken({ ...expired, refreshToken: 'alice-r1' });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    expect(asked).toEqual(['alice-r1']);
  });

  test('the refresh token that was sent last counts as refused, not the first one', async () => {
    const { stage, scheme, asked } = overtaken(expired, { ...expired, refreshToken: 'alice-r2' });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    await scheme.signIn({ accessToken: 'alice-a1', refreshToken: 'alice-r2' });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    expect(asked).toEqual(['alice-r1', 'alice-r2']);
  });
});

describe('a refresh token beside an unusable access token', () => {
  test('is stored, since the previous one may be spent', async () => {
    const asked: (string | undefined)[] = [];
    const { stage, scheme } = Stage.with({
      tokens: dead,
      bearer: {
        refresh: async ({ refreshToken }) => {
          asked.push(refreshToken);
          return { accessToken: 'alice-a1', refreshToken: `r${String(asked.length)}` };
        },
      },
    });
    await stage.outcome(stage.api.get('/item'));
    expect(await scheme.getAccessToken()).toBe('alice-a1');
    await stage.clock.until(scheme.refresh());
    expect(asked).toEqual(['alice-r1', 'r1']);
  });

  test('changes nothing if it is the current one', async () => {
    const { stage, scheme } = Stage.with({
      tokens: dead,
      bearer: { refresh: async () => ({ accessToken: 'alice-a1' }) },
    });
    const before = scheme.getSnapshot();
    await stage.outcome(stage.api.get('/item'));
    expect(scheme.getSnapshot()).toEqual(before);
  });
});

describe('a store with a lock', () => {
  const { load, compareAndSet } = memoryPort();

  test('that cannot be acquired fails the refresh without calling refresh()', async () => {
    const cause = Object.assign(new Error('no lock'), { isAxiosError: true, config: { data: 'secret of the store' } });
    const store = { load, compareAndSet, exclusive: () => Promise.reject(cause) };
    const { stage } = Stage.with({ tokens: dead, bearer: { store } });
    const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(error).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED', cause, response: { status: 401 } });
    expect(error.message).toMatch(/the store's lock could not be acquired\.$/);
    expect(JSON.stringify(error.cause)).not.toContain('secret');
    expect(stage.tokens.refreshes).toBe(0);
  });

  test('gets an abort when no call waits for it', async () => {
    const signals: AbortSignal[] = [];
    const exclusive = (_: unknown, { signal }: { signal: AbortSignal }): Promise<never> => {
      signals.push(signal);
      return new Promise(() => undefined);
    };
    const { stage } = Stage.with({ tokens: dead, bearer: { store: { load, compareAndSet, exclusive } } });
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(100);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    const error = reasonOf(await stage.clock.until(call));
    expect(error.code).toBe('ERR_AUTH_REFRESH_FAILED');
    expect(error.message).toMatch(/another holder of the store has had its lock for 10000 ms/);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  test.each([
    ['is not refreshed by the other', undefined, 2],
    ['rejects a waiting call of the other unsent', 0, 0],
  ])('a session that one holder has ended %s', async (_, expiresIn, sent) => {
    const store = memoryPort();
    const stage = new Stage();
    stage.tokens.expiresIn = expiresIn;
    const tokens = stage.tokens.issueDead();
    stage.tokens.endSession();
    const instances = [stage.api, stage.instance()];
    for (const instance of instances) stage.attach({ scheme: stage.bearer({ store, tokens }) }, instance);
    const outcomes = await stage.outcomes(instances.map((instance) => instance.get('/item')));
    expect(outcomes.map(({ code }) => code)).toEqual(instances.map(() => 'ERR_AUTH_SESSION_EXPIRED'));
    expect(stage.tokens.refreshes).toBe(1);
    expect(stage.calls).toHaveLength(sent);
  });
});

// F18 F19 F20
describe('classes of failures', () => {
  type Kind = 'refused' | 'configuration' | 'plain' | 'page';
  const documents: [string, unknown, Kind][] = [
    ['invalid_grant', { error: 'invalid_grant' }, 'refused'],
    ['invalid_grant as text', '{"error":"invalid_grant","error_description":"expired"}', 'refused'],
    ['invalid_client', { error: 'invalid_client' }, 'configuration'],
    ['unauthorized_client', { error: 'unauthorized_client' }, 'configuration'],
    ['unsupported_grant_type', { error: 'unsupported_grant_type' }, 'configuration'],
    ['invalid_scope', { error: 'invalid_scope' }, 'configuration'],
    ['invalid_request', { error: 'invalid_request' }, 'configuration'],
    ['another error', { error: 'temporarily_unavailable' }, 'configuration'],
    ['an error object', { error: { code: 'invalid_grant' } }, 'plain'],
    ['only a message', { message: 'invalid_grant' }, 'plain'],
    ['HTML', '<html><body>invalid_grant</body></html>', 'page'],
    ['an empty object', {}, 'plain'],
    ['nothing', undefined, 'plain'],
  ];
  const statuses = [400, 401, 403, undefined, 429, 500, 502, 503, 504, 522];
  /** `passing`: sent three times. `final`: sent once, and the session is kept. F131 F132 */
  const meaning = (status: number | undefined, kind: Kind): 'refused' | 'passing' | 'final' => {
    if (kind === 'refused') return 'refused';
    if (status === undefined) return 'final';
    if (status === 429 || status >= 500 || kind === 'page') return 'passing';
    return kind === 'plain' && status !== 400 ? 'refused' : 'final';
  };
  const table = statuses.flatMap((status) =>
    documents.map(([what, data, kind]) => [status, what, meaning(status, kind), data] as const),
  );

  test.each(table)('status %s with %s is %s', async (status, _, kind, data) => {
    const failure = Object.assign(
      new Error('refused'),
      status === undefined ? { cause: data } : { response: { status, data, headers: {} } },
    );
    const { stage, scheme } = Stage.with({ tokens: dead, bearer: { refresh: () => Promise.reject(failure) } });
    const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(error.code).toBe(kind === 'refused' ? 'ERR_AUTH_SESSION_EXPIRED' : 'ERR_AUTH_REFRESH_FAILED');
    expect(error.cause).toBe(failure);
    expect(stage.eventsOf('refresh-failed')).toHaveLength(kind === 'passing' ? 3 : 1);
    expect(stage.eventsOf('session-expired')).toHaveLength(kind === 'refused' ? 1 : 0);
    expect(scheme.getSnapshot().status).toBe(kind === 'refused' ? 'expired' : 'signed-in');
  });

  // F130: an error that may hide a response is not retried.
  test.each(['ETIMEDOUT', 'ECONNABORTED', 'ERR_CANCELED', 'UND_ERR_HEADERS_TIMEOUT'])(
    '%s keeps the session, and is sent once',
    async (code) => {
      const refresh = jest.fn(() => Promise.reject(new AxiosError('no', code)));
      const { stage, scheme } = Stage.with({ tokens: dead, bearer: { refresh } });
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED' });
      expect(stage.eventsOf('refresh-failed')).toMatchObject([{ code, willRetry: false }]);
      expect(refresh).toHaveBeenCalledTimes(1);
      expect(scheme.getSnapshot().status).toBe('signed-in');
    },
  );

  test.each(['ECONNRESET', 'ECONNREFUSED', 'ENOTFOUND', 'ERR_NETWORK'])('%s keeps the session', async (code) => {
    const { stage, scheme } = Stage.with({
      tokens: dead,
      bearer: { refresh: () => Promise.reject(new AxiosError('no', code)) },
    });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
      code: 'ERR_AUTH_REFRESH_FAILED',
      status: 401,
    });
    expect(stage.eventsOf('refresh-failed')).toMatchObject([
      { code, willRetry: true },
      { code, willRetry: true },
      { code, willRetry: false },
    ]);
    expect(scheme.getSnapshot().status).toBe('signed-in');
  });
});

// F16 F17 F102
describe('a temporary refresh failure', () => {
  test('is retried with backoff, and all calls succeed', async () => {
    const { stage } = Stage.with({ tokens: dead });
    stage.clock.chance = 0.5;
    stage.script(TOKEN_PATH, 503, { fault: 'refused' });
    expect(await stage.outcomes(times(5, () => stage.api.get('/item')))).toEqual(succeeded(5));
    const [first, second, third] = stage.tokens.asks;
    expect(second!.at - first!.at).toBeGreaterThan(50);
    expect(third!.at - second!.at).toBeGreaterThan(second!.at - first!.at);
    expect(stage.tokens.asks.map(({ outcome }) => outcome)).toEqual(['scripted', 'scripted', 'issued']);
    expect(stage.eventsOf('refreshing')).toHaveLength(1);
  });

  test('backs off by at most half a second, then by at most a second', async () => {
    const { stage } = Stage.with({ tokens: dead });
    stage.clock.chance = 0.999;
    stage.refreshMs = 0;
    stage.script(TOKEN_PATH, 503, 503);
    await stage.outcome(stage.api.get('/item'));
    const [first, second, third] = stage.tokens.asks;
    expect(second!.at - first!.at).toBeLessThanOrEqual(500);
    expect(third!.at - second!.at).toBeLessThanOrEqual(1_000);
  });

  test('does not keep the process alive between two tries if no call waits', async () => {
    const { stage, scheme } = Stage.with({ expiresIn: 1000 });
    scheme.getSnapshot();
    stage.clock.chance = 0.5;
    stage.always(TOKEN_PATH, 503);
    await stage.clock.advance(960_000);
    await stage.outcome(stage.api.get('/item'));
    await stage.clock.advance(100);
    expect(stage.clock.pending).toBeGreaterThan(0);
    expect(stage.clock.holding).toBe(0);
  });

  test('rejects after three tries; calls during the cool-down share the error, and a success resets the cool-down', async () => {
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
    stage.tokens.revokeAll();
    stage.script(TOKEN_PATH, 500, 500, 500);
    expect(await stage.outcome(stage.api.get('/fourth'))).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED' });
    await stage.clock.advance(600);
    expect(await stage.outcome(stage.api.get('/fifth'))).toMatchObject({ status: 200 });
  });

  test('is not repeated by every call: the cool-down grows with each failure', async () => {
    const { stage } = Stage.with({ expiresIn: 100 });
    await stage.clock.advance(100_000);
    stage.always(TOKEN_PATH, 500);
    for (let made = 0; made < 600; made++) {
      await stage.outcome(stage.api.get('/item'));
      await stage.clock.advance(100);
    }
    const starts = stage.eventsOf('refreshing').map(({ at }) => at);
    const gaps = starts.slice(1).map((at, index) => at - starts[index]!);
    expect(gaps.length).toBeGreaterThan(3);
    expect(gaps.length).toBeLessThan(9);
    expect(gaps.at(-1)).toBeGreaterThan(2 * gaps[1]!);
  });

  test('does not keep scheme.refresh() from trying at once', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    stage.script(TOKEN_PATH, 500, 500, 500);
    await stage.outcome(stage.api.get('/item'));
    await stage.clock.until(scheme.refresh());
    expect(await scheme.getAccessToken()).toBe('alice-a2');
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
  });

  test('is retried after the Retry-After of the token endpoint', async () => {
    const { stage } = Stage.with({ tokens: dead });
    stage.script(TOKEN_PATH, { status: 429, headers: { 'Retry-After': '5' } });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    const [first, second] = stage.tokens.asks;
    expect(second!.at - first!.at).toBeGreaterThanOrEqual(5_050);
  });

  test.each([429, 503])(
    'rejects at once if the Retry-After of a %i exceeds refreshTimeoutMs, and sends nothing until then',
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

describe('the error and the event of a failed refresh', () => {
  const failures: [string, () => Promise<TokenResponse>, RegExp, object][] = [
    [
      'the refused token once more',
      async () => ({ accessToken: 'alice-a1' }),
      /: `refresh\(\)` returned an access token that the server had just refused$/,
      { code: 'nonsense', willRetry: false },
    ],
    [
      'an expired one',
      async () => ({ accessToken: 'alice-a2', expiresIn: 0 }),
      /has already expired: `expiresIn` is in seconds/,
      { code: 'nonsense', willRetry: false },
    ],
    [
      'a number',
      async () => ({ accessToken: 7 }) as never,
      /: refresh\(\): `accessToken` \(or `access_token`\) must be a non-empty string, but is number$/,
      { code: 'nonsense', willRetry: false },
    ],
    [
      'no answer',
      () => new Promise(() => undefined),
      /no answer within 10000 ms \(`refreshTimeoutMs`\).*attachAuth: false/,
      { code: 'timeout', willRetry: false },
    ],
    [
      'a client that is refused',
      () => Promise.reject(Object.assign(new Error(), { status: 401, error: 'invalid_client' })),
      /the token endpoint refuses this client \(401 invalid_client\)\.$/,
      { code: 'invalid_client', status: 401, willRetry: false },
    ],
    [
      'a 503',
      () => Promise.reject(Object.assign(new Error(), { status: 503 })),
      /: 503 status\. A later call tries again\.$/,
      { code: 'status', status: 503, willRetry: false },
    ],
    [
      'a reset',
      () => Promise.reject(Object.assign(new Error(), { code: 'ECONNRESET' })),
      /: ECONNRESET\. A later call tries again\.$/,
      { code: 'ECONNRESET', willRetry: false },
    ],
  ];
  test.each(failures)('for %s say what happened', async (_, refresh, message, event) => {
    const { stage } = Stage.with({ tokens: dead, bearer: { refresh } });
    const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
    // A refresh that was sent has up to a minute.
    await stage.clock.advance(60_000);
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/^The refresh failed, the session is kept: /);
    expect(stage.events.at(-1)).toStrictEqual({
      type: 'refresh-failed',
      at: expect.any(Number) as number,
      generation: 1,
      ...event,
    });
  });

  test('the error of an ended session says how to sign in again', async () => {
    const { stage } = Stage.with({ tokens: dead });
    stage.tokens.endSession();
    const { message } = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(message).toMatch(/refresh token was refused\. Sign in again \(`signIn\(\)`\)/);
  });

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
