import { RefreshRejectedError, type BearerScheme, type RefreshContext, type TokenResponse } from '../lib/index.js';
import { memoryPort } from './support/memory-port.js';
import type { StoredSession, TokenStore } from '../lib/store.js';
import { succeeded, times } from './support/series.js';
import { reasonOf, Stage, TOKEN_PATH, underway } from './support/stage.js';
import type { TokenEndpoint } from './support/token-endpoint.js';
import { MORNING } from './support/virtual-clock.js';

const dead = (endpoint: TokenEndpoint): TokenResponse => endpoint.issueDead();

describe('no session', () => {
  test('with an empty store the first calls share one refresh() with reason missing', async () => {
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
  ])('after %s calls are sent without credentials, and refresh() is not called again', async (_, answer) => {
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
    expect(stage.eventsOf('session-expired')).toEqual([]);
    expect(scheme.getSnapshot().status).toBe('signed-out');
    await scheme.signIn(stage.tokens.issue());
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
  });

  test('scheme.refresh() calls refresh() again', async () => {
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

  test('a temporary refresh failure rejects the call', async () => {
    const stage = new Stage();
    const scheme = stage.bearer({ refresh: () => Promise.reject(new Error('down')) });
    stage.attach({ scheme });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED', attempts: 0 });
    expect(stage.calls).toEqual([]);
  });

  test('without `refresh` calls are sent without credentials', async () => {
    const stage = new Stage();
    const scheme = stage.bearer({ refresh: undefined });
    stage.attach({ scheme });
    expect(await stage.outcome(stage.api.get('/open/news'))).toMatchObject({ status: 200, attempts: 1 });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401, code: 'ERR_BAD_REQUEST' });
    expect(scheme.getSnapshot().status).toBe('signed-out');
  });
});

describe('signing in and out', () => {
  test('the `tokens` option is used only if the store is empty; a stored sign-out is not empty', async () => {
    const store = memoryPort();
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
    expect(stage.eventsOf('signed-in')).toHaveLength(1);
  });

  test('after signOut() calls are sent without credentials, and a 401 starts no refresh', async () => {
    const { stage, scheme } = Stage.with({});
    await scheme.signOut();
    const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(error).toMatchObject({ name: 'AxiosError', code: 'ERR_BAD_REQUEST', response: { status: 401 } });
    expect(await stage.outcome(stage.api.get('/open/news'))).toMatchObject({ status: 200 });
    expect(stage.calls.every(({ token }) => token === undefined)).toBe(true);
    expect(stage.tokens.refreshes).toBe(0);
    expect(stage.eventsOf('signed-out')).toHaveLength(1);
  });

  test('update() releases waiting calls with its tokens, and the refresh in flight is dropped', async () => {
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

  test('update() without a refresh token keeps the previous one, also before the store was read', async () => {
    for (const isOpen of [true, false]) {
      const { stage, scheme } = Stage.with({});
      if (isOpen) scheme.getSnapshot();
      await scheme.update({ accessToken: stage.tokens.issueDead().access_token });
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
      expect(stage.tokens.asks[0]?.refreshToken).toBe('alice-r1');
    }
  });

  test('update() before the store was read replaces the stored tokens', async () => {
    for (const loadMs of [0, 20]) {
      const stage = new Stage();
      const inner = memoryPort();
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

  test.each(['signIn', 'update'] as const)(
    '%s() rejects a malformed token response, and keeps the session',
    async (what) => {
      const { scheme } = Stage.with({});
      for (const wrong of [
        undefined,
        null,
        'alice-a2',
        {},
        { accessToken: '' },
        { access_token: 1 },
        { accessToken: 'a', refreshToken: 7 },
      ]) {
        await expect(scheme[what](wrong as never)).rejects.toThrow(TypeError);
        await expect(scheme[what](wrong as never)).rejects.toThrow(what);
      }
      expect(await scheme.getAccessToken()).toBe('alice-a1');
    },
  );
});

describe('refresh()', () => {
  test('joins the refresh in flight', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(20);
    const both = await stage.clock.until(Promise.all([scheme.refresh(), scheme.refresh()]));
    expect(both.status).toBe('fulfilled');
    expect(await stage.outcome(call)).toMatchObject({ status: 200 });
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('may return the current access token with a later expiry', async () => {
    const { stage, scheme } = Stage.with({
      bearer: { refresh: async () => ({ accessToken: 'alice-a1', expiresIn: 60 }) },
    });
    await stage.clock.until(scheme.refresh());
    expect(scheme.getSnapshot()).toMatchObject({ expiresAt: MORNING + 60_000, generation: 2 });
  });

  test('gets a plain client if the scheme is attached to no instance', async () => {
    const clients: unknown[] = [];
    const scheme = new Stage().bearer({
      refresh: ({ client }) => {
        clients.push(client.defaults.baseURL, client.get);
        return { accessToken: 'alice-a1' };
      },
    });
    await scheme.refresh();
    expect(clients).toEqual([undefined, expect.any(Function)]);
  });

  test('rejects with the code of the failure', async () => {
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
    expect(scheme.getSnapshot().status).toBe('expired');
    await expect(stage.bearer({ refresh: undefined }).refresh()).rejects.toMatchObject({
      code: 'ERR_AUTH_REFRESH_FAILED',
      message: expect.stringContaining('bearer() has no `refresh`') as string,
    });
    expect(stage.clock.pending).toBe(0);
  });
});

describe('getAccessToken()', () => {
  test('returns the token that a call would be sent with, refreshed first if it has expired', async () => {
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

  test('returns the expired token if there is no `refresh`', async () => {
    const { stage, scheme } = Stage.with({ expiresIn: 100, bearer: { refresh: undefined } });
    scheme.getSnapshot();
    await stage.clock.advance(100_000);
    expect(await scheme.getAccessToken()).toBe('alice-a1');
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401, code: 'ERR_BAD_REQUEST' });
  });

  test('rejects if the refresh fails', async () => {
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

  test('the status is unknown until a slow store has answered', async () => {
    const stage = new Stage();
    const inner = memoryPort();
    const store: TokenStore = {
      load: async () => {
        await stage.clock.pass(100);
        return inner.load();
      },
      compareAndSet: (expected, next) => inner.compareAndSet(expected, next),
    };
    const scheme = stage.bearer({ store, tokens: stage.tokens.issue() });
    const unknown = { status: 'unknown', refreshing: false, expiresAt: undefined, generation: 0 };
    expect(scheme.getSnapshot()).toStrictEqual(unknown);
    await stage.clock.advance(99);
    expect(scheme.getSnapshot().status).toBe('unknown');
    await stage.clock.advance(1);
    expect(scheme.getSnapshot().status).toBe('signed-in');
  });

  test('a listener is called for every change until it unsubscribes', async () => {
    const { stage, scheme } = Stage.with({ tokens: dead });
    const seen: string[] = [];
    const listener = (): void => {
      const { status, refreshing } = scheme.getSnapshot();
      seen.push(refreshing ? 'refreshing' : status);
    };
    scheme.getSnapshot();
    const unsubscribe = scheme.subscribe(listener);
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
    unsubscribe();
    await scheme.signOut();
    await stage.clock.settle();
    expect(seen.at(-1)).toBe('signed-in');
  });

  test('the same listener may subscribe twice, and each subscription ends by itself', async () => {
    const { stage, scheme } = Stage.with({});
    await stage.outcome(stage.api.get('/item'));
    let notifications = 0;
    const listener = (): void => {
      notifications++;
    };
    const [unsubscribe] = [scheme.subscribe(listener), scheme.subscribe(listener)];
    unsubscribe();
    await scheme.signOut();
    await stage.clock.settle();
    expect(notifications).toBe(1);
  });
});

test('a scheme that waits before it calls the authorize() of a session sends no expired token', async () => {
  const stage = new Stage();
  stage.tokens.expiresIn = 60;
  const scheme = stage.bearer({ tokens: stage.tokens.issue() });
  const slow: BearerScheme = {
    ...scheme,
    async authorize(request) {
      await stage.clock.pass(61_000);
      await scheme.authorize(request);
    },
  };
  stage.attach({ scheme: slow });
  const outcome = await stage.outcome(stage.api.get('/item'));
  expect(outcome).toMatchObject({ status: 200, attempts: 1 });
  expect(stage.reasons).toEqual(['expiring']);
});

describe('a store that fails', () => {
  const failure = Object.assign(new TypeError('SECRET'), { code: 'EACCES' });
  const odd = Object.assign(new Error('SECRET'), { name: 7, code: 'EIO' });
  const thrown = (error: Error) => (): never => {
    throw error;
  };
  test.each<[string, Partial<TokenStore>]>([
    ['load: TypeError EACCES', { load: thrown(failure) }],
    ['load: TypeError EACCES', { load: () => Promise.reject(failure) }],
    ['load: EIO', { load: thrown(odd) }],
    ['load: not a session of version 1', { load: () => ({ version: 2 }) as never }],
    ['load: no answer within 2 s', { load: () => new Promise(() => undefined) }],
    ['write: TypeError EACCES', { compareAndSet: thrown(failure) }],
    ['write: every attempt was refused', { compareAndSet: () => false }],
    ['subscribe: TypeError EACCES', { subscribe: thrown(failure) }],
  ])('emits store-degraded with the reason "%s", without its error message', async (what, faulty) => {
    const stage = new Stage();
    const store: TokenStore = { ...memoryPort(), ...faulty };
    const scheme = stage.bearer({ store, tokens: stage.tokens.issue() });
    stage.attach({ scheme });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    const [first] = stage.eventsOf('store-degraded');
    expect(first).toMatchObject({ reason: `${what}; the session is kept in memory` });
  });

  test('is read again once, by the first call after five seconds', async () => {
    const stage = new Stage();
    let asked = 0;
    const load = (): never => {
      asked++;
      throw failure;
    };
    stage.attach({ scheme: stage.bearer({ store: { ...memoryPort(), load }, tokens: stage.tokens.issue() }) });
    const after = async (ms: number): Promise<number> => {
      await stage.clock.advance(ms);
      const before = asked;
      await stage.settled(times(3, () => stage.api.get('/item')));
      return asked - before;
    };
    expect(await after(0)).toBe(1);
    expect(await after(4_900)).toBe(0);
    expect(await after(200)).toBe(1);
  });

  test('to write, and has nothing newer, is written to twenty times at most', async () => {
    const compareAndSet = jest.fn(() => false);
    const scheme = new Stage().bearer({ store: { ...memoryPort(), compareAndSet } });
    await scheme.signIn({ accessToken: 'alice-a1' });
    expect(compareAndSet).toHaveBeenCalledTimes(20);
    expect(scheme.getSnapshot()).toMatchObject({ status: 'signed-in', generation: 2 });
  });

  test('and writes the initial tokens late does not undo a refresh made meanwhile', async () => {
    const stage = new Stage();
    const inner = memoryPort();
    const late: (() => void)[] = [];
    let isSlow = true;
    const store: TokenStore = {
      ...inner,
      compareAndSet: (expected, next) =>
        isSlow
          ? new Promise((resolve) => {
              late.push(() => {
                resolve(inner.compareAndSet(expected, next));
              });
            })
          : inner.compareAndSet(expected, next),
    };
    stage.attach({ scheme: stage.bearer({ store, tokens: stage.tokens.issueDead() }) });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    isSlow = false;
    late[0]!();
    stage.tokens.revoke('alice-a2');
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(stage.tokens).toMatchObject({ refreshes: 2, reuses: 0 });
    expect(await inner.load()).toMatchObject({ tokens: { refreshToken: 'alice-r3' } });
  });
});

describe('a stored value', () => {
  const good = { version: 1, generation: 0, epoch: 0, tokens: { accessToken: 'alice-a1' } };
  const holding = (stored: unknown): BearerScheme =>
    new Stage().bearer({ store: { ...memoryPort(), load: () => stored as StoredSession }, refresh: undefined });

  test.each<[object]>([
    [{ version: 2 }],
    [{ generation: -1 }],
    [{ generation: 0.5 }],
    [{ epoch: '0' }],
    [{ tokens: undefined }],
    [{ tokens: 'alice-a1' }],
    [{ tokens: { accessToken: '' } }],
    [{ tokens: { accessToken: 7 } }],
    [{ tokens: { accessToken: 'alice-a1', refreshToken: 7 } }],
    [{ tokens: { accessToken: 'alice-a1', expiresAt: NaN } }],
    [{ tokens: { accessToken: 'alice-a1', expiresAt: '1' } }],
  ])('counts as no session with %j', async (odd) => {
    const scheme = holding({ ...good, ...odd });
    expect(await scheme.getAccessToken()).toBeUndefined();
    expect(scheme.getSnapshot().status).toBe('signed-out');
  });

  test('may have generation 0, be a sign-out, or have an empty refresh token', async () => {
    expect(await holding(good).getAccessToken()).toBe('alice-a1');
    const out = holding({ ...good, generation: 4, tokens: null });
    expect(await out.getAccessToken()).toBeUndefined();
    expect(out.getSnapshot()).toMatchObject({ status: 'signed-out', generation: 4 });
    const asked: unknown[] = [];
    const refresh = ({ tokens }: RefreshContext): null => {
      asked.push(tokens);
      return null;
    };
    const stored = { ...good, tokens: { ...good.tokens, refreshToken: '' } } as StoredSession;
    const scheme = new Stage().bearer({ store: { ...memoryPort(), load: () => stored }, refresh });
    await expect(scheme.refresh()).rejects.toThrow();
    expect(asked.map((tokens) => ({ ...(tokens as object) }))).toStrictEqual([{ accessToken: 'alice-a1' }]);
  });
});

test('the store subscription lasts from the first listener or attached instance to the last', () => {
  const stage = new Stage();
  let followers = 0;
  let begun = 0;
  const store: TokenStore = {
    ...memoryPort(),
    subscribe: () => {
      followers++;
      begun++;
      return () => followers--;
    },
  };
  const scheme = stage.bearer({ store });
  expect(followers).toBe(0);
  const unsubscribe = scheme.subscribe(() => undefined);
  const one = stage.attach({ scheme });
  const other = stage.attach({ scheme }, stage.instance());
  one.detach();
  other.detach();
  expect(followers).toBe(1);
  unsubscribe();
  expect([followers, begun]).toEqual([0, 1]);
  scheme.subscribe(() => undefined)();
  expect([followers, begun]).toEqual([0, 2]);
});
