import { bearer } from '../lib/schemes/bearer.js';
import { exchangeOf, type BearerScheme } from '../lib/index.js';
import { memoryPort } from './support/memory-port.js';
import { tokenStore, type StoredSession, type TokenStore } from '../lib/store.js';
import { frozenClock, recording, type Recording } from './support/recording.js';
import { times } from './support/series.js';
import { reasonOf, Stage, TOKEN_PATH, tooMany, unauthorized, underway } from './support/stage.js';
import { ownerOf } from './support/token-endpoint.js';

/** A store whose every operation takes this long, as one across a network does. */
function slowStore(stage: Stage, ms: number): TokenStore & { readonly inner: TokenStore } {
  const inner = memoryPort();
  return {
    inner,
    load: async () => {
      await stage.clock.pass(ms);
      return inner.load();
    },
    compareAndSet: async (expected, next) => {
      await stage.clock.pass(ms);
      const isWritten = await inner.compareAndSet(expected, next);
      await stage.clock.pass(ms);
      return isWritten;
    },
  };
}

// F69 F73
describe('signing out during a refresh', () => {
  test('rejects waiting calls at once, drops the late token, and sends later calls without credentials', async () => {
    const { stage, scheme } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    const calls = times(10, () => underway(stage.api.get('/item')));
    await stage.clock.advance(20);
    const unsent = underway(stage.api.get('/unsent'));
    await stage.clock.advance(10);
    await scheme.signOut();
    const settled = await stage.settled([...calls, unsent]);
    expect(stage.clock.monotonic()).toBe(30);
    for (const one of settled)
      expect(reasonOf(one)).toMatchObject({ name: 'AuthError', code: 'ERR_AUTH_SESSION_CHANGED' });
    expect(reasonOf(settled[0]!).message).toMatch(
      /was signed out, or another principal signed in, while it waited\. Make it again/,
    );
    expect(reasonOf(settled[0]!).response?.status).toBe(401);
    expect(reasonOf(settled[10]!).response).toBeUndefined();
    await stage.clock.advance(10_000);
    expect(scheme.getSnapshot()).toMatchObject({ status: 'signed-out', refreshing: false });
    expect(await scheme.getAccessToken()).toBeUndefined();
    expect(await stage.outcome(stage.api.get('/later'))).toMatchObject({ status: 401, code: 'ERR_BAD_REQUEST' });
    expect(stage.to('/later')[0]?.token).toBeUndefined();
    expect(stage.to('/item')).toHaveLength(10);
    expect(stage.to('/unsent')).toEqual([]);
    expect([...stage.eventsOf('refreshed'), ...stage.eventsOf('refresh-failed')]).toEqual([]);
  });

  test('drops the tokens of a refresh with reason missing', async () => {
    const stage = new Stage();
    const scheme = stage.bearer({
      refresh: async () => {
        await stage.clock.pass(500);
        return stage.tokens.issue();
      },
    });
    stage.attach({ scheme });
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(100);
    await scheme.signOut();
    await stage.clock.advance(1_000);
    expect(await stage.outcome(call)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED', attempts: 0 });
    expect(scheme.getSnapshot().status).toBe('signed-out');
    expect(await scheme.getAccessToken()).toBeUndefined();
  });

  test('aborts the signal of the refresh', async () => {
    let signal: AbortSignal | undefined;
    const { stage, scheme } = Stage.with({
      tokens: (endpoint) => endpoint.issueDead(),
      bearer: {
        refresh: (context) => {
          signal = context.signal;
          return stage.refresh(context);
        },
      },
    });
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(20);
    expect(signal?.aborted).toBe(false);
    await scheme.signOut();
    expect(signal?.aborted).toBe(true);
    expect(await stage.outcome(call)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
  });

  test.each(times(30, (at) => [at * 5]))(
    'keeps the session signed out, at %i ms of a refresh over a slow store',
    async (at) => {
      const stage = new Stage();
      const store = slowStore(stage, 10);
      const scheme = stage.bearer({ store, tokens: stage.tokens.issueDead() });
      stage.attach({ scheme });
      const call = underway(stage.api.get('/item'));
      await stage.clock.advance(at);
      const { generation } = scheme.getSnapshot();
      const done = scheme.signOut();
      expect(scheme.getSnapshot()).toMatchObject({ status: 'signed-out', expiresAt: undefined });
      expect(scheme.getSnapshot().generation).toBeGreaterThan(generation);
      const { code, status } = await stage.outcome(call);
      expect([200, 'ERR_AUTH_SESSION_CHANGED']).toContain(code ?? status);
      await stage.clock.until(done);
      await stage.clock.advance(1_000);
      expect((await store.inner.load()) as StoredSession).toMatchObject({ tokens: null });
      expect(await scheme.getAccessToken()).toBeUndefined();
      expect(stage.calls.filter((sent) => sent.at > at && sent.token !== undefined)).toEqual([]);
      const reader = stage.bearer({ store, tokens: stage.tokens.issue() });
      expect(await stage.clock.until(reader.getAccessToken())).toMatchObject({ value: undefined });
      expect(stage.clock.pending).toBe(0);
    },
  );

  test.each(['signOut', 'signIn'] as const)('%s() wins over an update() that began before it', async (what) => {
    for (const storeMs of [0, 10]) {
      const stage = new Stage();
      const store = storeMs === 0 ? memoryPort() : slowStore(stage, storeMs);
      const scheme = stage.bearer({ store, tokens: stage.tokens.issue('alice') });
      const begun = [underway(scheme.update(stage.tokens.issue('alice')))];
      begun.push(what === 'signOut' ? scheme.signOut() : scheme.signIn(stage.tokens.issue('bob')));
      await stage.settled(begun);
      expect(await scheme.getAccessToken()).toBe(what === 'signOut' ? undefined : 'bob-a1');
      const reader = stage.bearer({ store });
      expect(await stage.clock.until(reader.getAccessToken())).toMatchObject({
        value: what === 'signOut' ? undefined : 'bob-a1',
      });
    }
  });

  test.each([
    ['its tokens', 'refreshed', 200],
    ['the end of the session', 'session-expired', 400],
  ] as const)('while %s is being stored: that write emits no event, and the call rejects', async (_, type, status) => {
    const stage = new Stage();
    const scheme = stage.bearer({ store: slowStore(stage, 100), tokens: stage.tokens.issueDead() });
    stage.attach({ scheme });
    if (status === 400) stage.tokens.endSession();
    const call = underway(stage.api.get('/item'));
    while (stage.tokens.refreshes === 0) await stage.clock.advance(10);
    await stage.clock.advance(200);
    void scheme.signOut();
    expect(await stage.outcome(call)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
    await stage.clock.advance(10_000);
    expect(stage.eventsOf('signed-out')).toHaveLength(1);
    expect(stage.eventsOf(type)).toEqual([]);
  });

  test('takes effect at once, even if the store fails', async () => {
    const stage = new Stage();
    let isDown = false;
    const inner = memoryPort();
    const store: TokenStore = {
      load: () => inner.load(),
      compareAndSet: (expected, next) => {
        if (isDown) throw Object.assign(new Error('alice-a1'), { code: 'EIO' });
        return inner.compareAndSet(expected, next);
      },
    };
    const scheme = stage.bearer({ store, tokens: stage.tokens.issue() });
    stage.attach({ scheme });
    await stage.outcome(stage.api.get('/item'));
    isDown = true;
    await scheme.signOut();
    await stage.clock.settle();
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401, code: 'ERR_BAD_REQUEST' });
    // Once for the sign-out, and once more when the 401 made the session look into its store.
    expect(stage.eventsOf('store-degraded')).toHaveLength(2);
    expect(JSON.stringify(stage.events)).not.toContain('alice-a1');
  });
});

test.each([
  ['its tokens', 'signed-in', 200],
  ['the end of the session', 'expired', 400],
] as const)('the snapshot shows a refresh result only after the store has it: %s', async (_, status, answered) => {
  const stage = new Stage();
  const scheme = stage.bearer({ store: slowStore(stage, 100), tokens: stage.tokens.issueDead() });
  stage.attach({ scheme });
  if (answered === 400) stage.tokens.endSession();
  const call = underway(stage.api.get('/item'));
  while (stage.tokens.refreshes === 0) await stage.clock.advance(10);
  const before = scheme.getSnapshot();
  await stage.clock.advance(200);
  expect(scheme.getSnapshot()).toBe(before);
  await stage.outcome(call);
  expect(scheme.getSnapshot()).toMatchObject({ status, generation: 2 });
});

// F69 F70: no timer runs here. Every step is one turn of the microtasks, so each await is covered.
describe('at every await of a refresh', () => {
  const stores: [string, () => TokenStore][] = [
    ['a store in memory', memoryPort],
    [
      'a store that answers later',
      () => {
        const inner = memoryPort();
        return {
          load: async () => inner.load(),
          compareAndSet: async (expected, next) => inner.compareAndSet(expected, next),
        };
      },
    ],
    [
      'a store with a lock',
      () => {
        const inner = memoryPort();
        return { ...inner, exclusive: async (work) => work() };
      },
    ],
  ];

  /** Alice's first token is dead, and her refresh brings the next. */
  function world(store: TokenStore): Recording & { scheme: BearerScheme } {
    const scheme = bearer(
      {
        store: tokenStore(store),
        tokens: { accessToken: 'alice-a1', refreshToken: 'alice-r1' },
        refresh: async () => {
          await Promise.resolve();
          return { accessToken: 'alice-a2', refreshToken: 'alice-r2' };
        },
      },
      frozenClock(0),
    );
    const isGood = (token = ''): boolean => token === 'Bearer alice-a2' || token.startsWith('Bearer bob');
    const isOpen = (url: string): boolean => url.endsWith('/after');
    return {
      ...recording(scheme, ({ url, headers }) => (isOpen(url) || isGood(headers['authorization']) ? 200 : 401)),
      scheme,
    };
  }

  const acts = {
    signOut: (scheme: BearerScheme) => scheme.signOut(),
    signIn: (scheme: BearerScheme) => scheme.signIn({ accessToken: 'bob-a1', refreshToken: 'bob-r1' }),
  };

  test.each(
    stores.flatMap(([name, make]) => (['signOut', 'signIn'] as const).map((act) => [act, name, make] as const)),
  )('%s() over %s wins', async (act, _, makeStore) => {
    let steps = 0;
    const outcomes = new Set<unknown>();
    for (let isOver = false; !isOver; steps++) {
      const store = makeStore();
      const { api, sent, scheme } = world(store);
      const state = { isSettled: false };
      const call = api.get('/item').finally(() => (state.isSettled = true));
      for (let turn = 0; turn < steps; turn++) await Promise.resolve();
      isOver = state.isSettled;
      const generation = scheme.getSnapshot().generation;

      await Promise.all([acts[act](scheme), Promise.allSettled([call])]);
      await new Promise((resolve) => setImmediate(resolve));

      const [settled] = await Promise.allSettled([call]);
      outcomes.add(settled.status === 'fulfilled' ? settled.value.status : (settled.reason as { code: string }).code);
      expect(exchangeOf(settled.status === 'fulfilled' ? settled.value : settled.reason)).toBeDefined();
      expect(sent.filter(({ headers }) => headers['authorization']?.includes('bob'))).toEqual([]);
      const who = act === 'signIn' ? 'bob-a1' : undefined;
      expect(await scheme.getAccessToken()).toBe(who);
      expect((await store.load())?.tokens?.accessToken).toBe(who);
      expect(scheme.getSnapshot().generation).toBeGreaterThan(generation);
      await api.get('/after');
      expect(sent.at(-1)?.headers['authorization']).toBe(who && `Bearer ${who}`);
    }
    expect(steps).toBeGreaterThan(20);
    expect(outcomes).toEqual(new Set(['ERR_AUTH_SESSION_CHANGED', 200]));
  });
});

// F70
describe('another principal signs in', () => {
  test.each([
    ['the refresh', 'dead', 30],
    ['the next attempt of a 503', 'alive', 30],
    ['a throttled path', 'alive', 30],
  ] as const)('a call that waits for %s is never sent with the token of the new principal', async (what, state, at) => {
    const { stage, scheme } = Stage.with({
      tokens: (endpoint) => (state === 'dead' ? endpoint.issueDead('alice') : endpoint.issue('alice')),
    });
    stage.clock.chance = 0.5;
    if (what.includes('503')) stage.script('/item', 503);
    if (what.includes('throttled')) stage.script('/item', tooMany(2));
    const calls = [underway(stage.api.get('/item')), underway(stage.api.post('/item'))];
    await stage.clock.advance(at);
    calls.push(underway(stage.api.get('/item', { headers: { 'X-Call': 'meanwhile' } })));
    await stage.clock.settle();
    await scheme.signIn(stage.tokens.issue('bob'));
    const after = underway(stage.api.get('/after'));
    await stage.settled([...calls, after]);
    expect(stage.to('/item').filter(({ token }) => ownerOf(token) === 'bob')).toEqual([]);
    expect(stage.to('/after').map(({ token }) => ownerOf(token))).toEqual(['bob']);
    expect(await stage.outcome(calls[0]!)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
  });

  test('a response that was on its way is delivered', async () => {
    const { stage, scheme } = Stage.with({});
    stage.latencyMs = 100;
    const calls = [underway(stage.api.get('/item')), underway(stage.api.get('/status/404'))];
    await stage.clock.advance(50);
    await scheme.signOut();
    await scheme.signIn(stage.tokens.issue('bob'));
    const [good, bad] = await stage.settled(calls);
    expect(good).toMatchObject({ status: 'fulfilled', value: { status: 200, data: { principal: 'alice' } } });
    expect(reasonOf(bad!)).toMatchObject({ name: 'AxiosError', code: 'ERR_BAD_REQUEST', response: { status: 404 } });
  });

  test('a 401 that was on its way rejects the call, with that response', async () => {
    const { stage, scheme } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    stage.latencyMs = 100;
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(50);
    await scheme.signIn(stage.tokens.issue('bob'));
    expect(reasonOf(await stage.clock.until(call))).toMatchObject({
      code: 'ERR_AUTH_SESSION_CHANGED',
      response: { status: 401 },
    });
    expect(stage.to('/item')).toHaveLength(1);
    expect(stage.tokens.refreshes).toBe(0);
    expect(await scheme.getAccessToken()).toBe('bob-a1');
  });

  test('a late 401 for the previous principal does not refresh the new session', async () => {
    const { stage, scheme } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    stage.latencyMs = ({ token }) => (ownerOf(token) === 'alice' ? 1_000 : 10);
    const late = underway(stage.api.get('/late'));
    await scheme.signIn(stage.tokens.issue('bob'));
    for (let made = 0; made < 5; made++) {
      await stage.clock.advance(300);
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1, waitedMs: 0 });
    }
    expect(await stage.outcome(late)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
    expect(stage.tokens.refreshes).toBe(0);
  });

  test('a refresh of the previous principal never changes the new session', async () => {
    const { stage, scheme } = Stage.with({
      tokens: (endpoint) => endpoint.issueDead('alice'),
      bearer: {
        // It ignores its signal.
        refresh: async ({ refreshToken }) => {
          await stage.clock.pass(500);
          const { status, data } = stage.tokens.answer(refreshToken);
          if (status !== 200) throw Object.assign(new Error(), { response: { status, data } });
          return data as { accessToken: string };
        },
      },
    });
    const calls = [underway(stage.api.get('/item'))];
    await stage.clock.advance(100);
    await scheme.signIn(stage.tokens.issue('bob'));
    await stage.clock.advance(1_000);
    expect(await scheme.getAccessToken()).toBe('bob-a1');
    expect(await stage.outcome(calls[0]!)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
    expect(scheme.getSnapshot().status).toBe('signed-in');
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.eventsOf('refreshed')).toEqual([]);
  });

  test('a refresh of the previous principal that never settles delays no call', async () => {
    let asked = 0;
    const { stage, scheme } = Stage.with({
      tokens: (endpoint) => endpoint.issueDead('alice'),
      bearer: {
        refresh: (context) => (asked++ === 0 ? new Promise<never>(() => undefined) : stage.refresh(context)),
      },
    });
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(100);
    await scheme.signIn(stage.tokens.issueDead('bob'));
    expect(await stage.outcome(call)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
    expect(stage.clock.pending).toBe(0);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2, waitedMs: 50 });
  });

  test('a refused refresh token of the previous principal does not end the new session', async () => {
    const { stage, scheme } = Stage.with({ tokens: (endpoint) => endpoint.issueDead('alice') });
    stage.script(TOKEN_PATH, { status: 400, data: { error: 'invalid_grant' }, afterMs: 500 });
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(100);
    await scheme.signIn(stage.tokens.issue('bob'));
    await stage.clock.advance(1_000);
    expect(await stage.outcome(call)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
    expect(scheme.getSnapshot().status).toBe('signed-in');
    expect(stage.eventsOf('session-expired')).toEqual([]);
  });

  test.each(times(30, (at) => [at * 5]))(
    'at %i ms of a refresh over a slow store: the store keeps the new principal',
    async (at) => {
      const stage = new Stage();
      const store = slowStore(stage, 10);
      const scheme = stage.bearer({ store, tokens: stage.tokens.issueDead('alice') });
      stage.attach({ scheme });
      const call = underway(stage.api.get('/item'));
      await stage.clock.advance(at);
      const bob = stage.tokens.issue('bob');
      const done = scheme.signIn(bob);
      const { code, status } = await stage.outcome(call);
      expect([200, 'ERR_AUTH_SESSION_CHANGED']).toContain(code ?? status);
      await stage.clock.until(done);
      await stage.clock.advance(1_000);
      expect(await store.inner.load()).toMatchObject({ tokens: { accessToken: 'bob-a1', refreshToken: 'bob-r1' } });
      expect(await stage.outcome(stage.api.get('/after'))).toMatchObject({ status: 200, attempts: 1 });
      expect(stage.to('/item').filter(({ token }) => ownerOf(token) === 'bob')).toEqual([]);
      expect(stage.calls.filter((sent) => sent.at > at && ownerOf(sent.token) === 'alice')).toEqual([]);
    },
  );

  test('a call made while no session existed is not sent as the new principal', async () => {
    const stage = new Stage();
    const scheme = stage.bearer({
      refresh: async () => {
        await stage.clock.pass(500);
        return null;
      },
    });
    stage.attach({ scheme });
    const before = underway(stage.api.get('/before'));
    await stage.clock.advance(100);
    await scheme.signIn(stage.tokens.issue('bob'));
    expect(await stage.outcome(before)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED', attempts: 0 });
    expect(await stage.outcome(stage.api.get('/after'))).toMatchObject({ status: 200, attempts: 1 });
  });

  test('a call with credentials omitted is retried although the session changed', async () => {
    const { stage, scheme } = Stage.with({});
    stage.clock.chance = 0.5;
    stage.script('/open/news', 503);
    const call = underway(stage.api.get('/open/news', { attachAuth: { credentials: 'omit' } }));
    await stage.clock.advance(50);
    await scheme.signOut();
    expect(await stage.outcome(call)).toMatchObject({ status: 200, attempts: 2 });
  });

  test('a call with credentials omitted is sent although the session changed before its send', async () => {
    const stage = new Stage();
    stage.api.interceptors.request.use(async (config) => {
      await stage.clock.pass(100);
      return config;
    });
    const scheme = stage.bearer({ tokens: stage.tokens.issue() });
    stage.attach({ scheme });
    const call = underway(stage.api.get('/open/news', { attachAuth: { credentials: 'omit' } }));
    await stage.clock.advance(50);
    await scheme.signOut();
    expect(await stage.outcome(call)).toMatchObject({ status: 200, attempts: 1 });
  });
});

describe('a store with several holders', () => {
  test('a sign-out by one holder signs out all holders', async () => {
    const stage = new Stage();
    const store = memoryPort();
    const other = stage.instance();
    const scheme = stage.bearer({ store, tokens: stage.tokens.issue() });
    stage.attach({ scheme });
    await stage.outcome(stage.api.get('/item'));
    const second = stage.bearer({ store });
    stage.attach({ scheme: second }, other);
    expect(await stage.outcome(other.get('/item'))).toMatchObject({ status: 200 });
    await scheme.signOut();
    await stage.clock.settle();
    expect(second.getSnapshot().status).toBe('signed-out');
    expect(stage.eventsOf('signed-out')).toHaveLength(2);
    expect(await stage.outcome(other.get('/item'))).toMatchObject({ status: 401, code: 'ERR_BAD_REQUEST' });
    expect(stage.calls.at(-1)?.token).toBeUndefined();
  });

  test('a waiting call is not sent with the token of a principal that signed in at another holder', async () => {
    const stage = new Stage();
    const store = memoryPort();
    const scheme = stage.bearer({ store, tokens: stage.tokens.issueDead('alice') });
    stage.attach({ scheme });
    stage.refreshMs = 500;
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(100);
    const second = stage.bearer({ store });
    second.getSnapshot();
    await second.signIn(stage.tokens.issue('bob'));
    expect(await stage.outcome(call)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED', waitedMs: 90 });
    expect(stage.eventsOf('signed-in')).toMatchObject([{ generation: 2 }]);
    expect(stage.to('/item').filter(({ token }) => ownerOf(token) === 'bob')).toEqual([]);
    expect(await stage.outcome(stage.api.get('/after'))).toMatchObject({ status: 200 });
    expect(stage.to('/after')[0]?.token).toBe('bob-a1');
  });

  test('a call in flight is not replayed with the token of a principal that signed in at another holder', async () => {
    const stage = new Stage();
    const store = memoryPort();
    stage.attach({ scheme: stage.bearer({ store, tokens: stage.tokens.issueDead('alice') }) });
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(5);
    const second = stage.bearer({ store });
    second.getSnapshot();
    await second.signIn(stage.tokens.issue('bob'));
    expect(await stage.outcome(call)).toMatchObject({ status: 401, code: 'ERR_AUTH_SESSION_CHANGED', attempts: 1 });
    expect(stage.to('/item').map(({ token }) => ownerOf(token))).toEqual(['alice']);
  });

  test('a call in flight is not replayed after a sign-out here and a sign-in at another holder', async () => {
    const stage = new Stage();
    const store = memoryPort();
    const scheme = stage.bearer({ store, tokens: stage.tokens.issueDead('alice') });
    stage.attach({ scheme });
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(5);
    await scheme.signOut();
    await stage.bearer({ store }).signIn(stage.tokens.issue('bob'));
    expect(await stage.outcome(call)).toMatchObject({ status: 401, code: 'ERR_AUTH_SESSION_CHANGED', attempts: 1 });
    expect(await scheme.getAccessToken()).toBe('bob-a1');
  });

  test.each([
    ['signIn() and the update() after it win over a sign-in', 5, ['signIn', 'update'], 6, 'bob-a2'],
    ['update() gives way to a sign-in', 5, ['update'], 5, 'carol-a1'],
    ['update() wins over a refresh', 0, ['update'], 0, 'bob-a1'],
  ] as const)('%s of another holder before', async (_, written, acts, epoch, accessToken) => {
    const stage = new Stage();
    const store = slowStore(stage, 10);
    const scheme = stage.bearer({ store, tokens: stage.tokens.issue('alice') });
    await stage.clock.until(scheme.getAccessToken());
    await stage.clock.advance(100);
    const tokens = { accessToken: stage.tokens.issue('carol').access_token };
    await store.inner.compareAndSet(1, { version: 1, generation: written === 0 ? 5 : 2, epoch: written, tokens });
    await stage.settled(acts.map((act) => scheme[act](stage.tokens.issue('bob'))));
    expect(await store.inner.load()).toMatchObject({ epoch, tokens: { accessToken } });
    expect(await scheme.getAccessToken()).toBe(accessToken);
  });

  test('the generation grows with every write, and the epoch with every principal', async () => {
    const stage = new Stage();
    const store = memoryPort();
    const written: StoredSession[] = [];
    const recording: TokenStore = {
      ...store,
      compareAndSet: async (expected, next) => {
        const isWritten = await store.compareAndSet(expected, next);
        if (isWritten) written.push(next);
        return isWritten;
      },
    };
    const schemes = times(3, () => stage.bearer({ store: recording }));
    const instances = schemes.map((scheme) => {
      const instance = stage.instance();
      stage.attach({ scheme }, instance);
      return instance;
    });
    for (let round = 0; round < 12; round++) {
      await schemes[round % 3]!.signIn(stage.tokens.issueDead(round % 2 ? 'alice' : 'bob'));
      await stage.settled(instances.map((instance) => instance.get('/item')));
      if (round % 4 === 3) await schemes[(round + 1) % 3]!.signOut();
    }
    const generations = written.map(({ generation }) => generation);
    expect(generations.length).toBeGreaterThan(24);
    expect(generations).toEqual([...new Set(generations)].sort((a, b) => a - b));
    const epochs = written.map(({ epoch }) => epoch);
    expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
    const owners = new Map<number, Set<string | undefined>>();
    for (const { epoch, tokens } of written) {
      owners.set(epoch, (owners.get(epoch) ?? new Set()).add(ownerOf(tokens?.accessToken)));
    }
    expect([...owners.values()].every(({ size }) => size === 1)).toBe(true);
    expect(stage.tokens.reuses).toBe(0);
  });
});

describe('two sessions in one process', () => {
  test('share no token, refresh, circuit breaker, sign-out or throttle', async () => {
    const stage = new Stage();
    const [alice, bob] = ['alice', 'bob'].map((name) => {
      const api = stage.instance({ headers: { 'X-Call': name } });
      const scheme = stage.bearer({ tokens: stage.tokens.issueDead(name) });
      stage.attach({ scheme }, api);
      return { api, scheme };
    });
    const all = await stage.outcomes([
      ...times(10, () => alice!.api.get('/item')),
      ...times(10, () => bob!.api.get('/item')),
    ]);
    expect(all.every(({ status }) => status === 200)).toBe(true);
    expect(stage.tokens.asks.map(({ refreshToken }) => refreshToken)).toEqual(['alice-r1', 'bob-r1']);

    stage.always('/closed', ({ call }) => (call === 'alice' ? unauthorized() : 200));
    await stage.outcome(alice!.api.get('/closed'));
    expect(await stage.outcome(alice!.api.get('/closed'))).toMatchObject({ reason: 'refresh-breaker' });
    stage.tokens.revoke('bob-a2');
    expect(await stage.outcome(bob!.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });

    stage.always('/busy', ({ call }) => (call === 'alice' ? tooMany(30) : 200));
    const waiting = underway(alice!.api.get('/busy'));
    await stage.clock.advance(20);
    expect(await stage.outcome(bob!.api.get('/busy'))).toMatchObject({ status: 200, waitedMs: 0 });

    await alice!.scheme.signOut();
    expect(await stage.outcome(bob!.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    await stage.clock.until(Promise.allSettled([waiting]));
    const mixed = stage.calls.filter(({ call, token }) => token !== undefined && ownerOf(token) !== call);
    expect(mixed).toEqual([]);
  });

  test('no credential is sent to another origin', async () => {
    const { stage } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    stage.always('/item', undefined);
    await stage.settled([
      stage.api.get('/item'),
      stage.api.get('https://elsewhere.example/item'),
      stage.api.get('//elsewhere.example/item'),
    ]);
    const foreign = stage.calls.filter(({ origin }) => origin === 'https://elsewhere.example');
    expect(foreign).toHaveLength(2);
    expect(JSON.stringify(foreign.map(({ headers, body, query }) => [headers, body, query]))).not.toMatch(/alice-/);
    expect(stage.tokens.refreshes).toBe(1);
  });
});
