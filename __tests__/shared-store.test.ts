import { type BearerScheme, type TokenResponse } from '../lib/index.js';
import { memoryPort } from './support/memory-port.js';
import type { StoredSession, TokenStore } from '../lib/store.js';
import { Stage, underway } from './support/stage.js';

/** A record that other holders write, too. Tests decide how it is read and locked. */
function recordOf(stage: Stage): {
  store: TokenStore;
  write: (next: Partial<StoredSession>) => void;
  notify: () => void;
} {
  const inner = memoryPort();
  const listeners = new Set<() => void>();
  const read = (): StoredSession | undefined => inner.load() as StoredSession | undefined;
  const { access_token: accessToken, refresh_token: refreshToken } = stage.tokens.issueDead();
  void inner.compareAndSet(undefined, { version: 1, generation: 1, epoch: 0, tokens: { accessToken, refreshToken } });
  return {
    store: {
      load: read,
      compareAndSet: (expected, next) => inner.compareAndSet(expected, next),
      subscribe(onChange) {
        listeners.add(onChange);
        return () => listeners.delete(onChange);
      },
    },
    write(next) {
      const before = read()!;
      void inner.compareAndSet(before.generation, { ...before, generation: before.generation + 1, ...next });
    },
    notify() {
      for (const listener of listeners) listener();
    },
  };
}

/** The tokens that another holder gets for the stored refresh token. */
function refreshed(stage: Stage): Partial<StoredSession> {
  const { data } = stage.tokens.answer('alice-r1') as { data: { access_token: string; refresh_token: string } };
  return { tokens: { accessToken: data.access_token, refreshToken: data.refresh_token } };
}

// F30 F34
test('a call that waits for the lock is released as soon as another holder has refreshed, and its lock request is aborted', async () => {
  const stage = new Stage();
  const { store, write, notify } = recordOf(stage);
  const signals: AbortSignal[] = [];
  const exclusive: TokenStore['exclusive'] = (_work, { signal }) => {
    signals.push(signal);
    return new Promise(() => undefined);
  };
  stage.attach({ scheme: stage.bearer({ store: { ...store, exclusive } }) });
  const call = underway(stage.api.get('/item'));
  while (signals.length === 0) await stage.clock.advance(10);
  write(refreshed(stage));
  notify();
  expect(signals[0]).toMatchObject({ aborted: true });
  expect(await stage.outcome(call)).toMatchObject({ status: 200 });
  expect(stage.tokens.refreshes).toBe(1);
});

// F35
test('a holder that was stopped while it read under the lock reads again', async () => {
  const stage = new Stage();
  const { store, write } = recordOf(stage);
  let reads = 0;
  const load = async (): Promise<StoredSession | undefined> => {
    const found = await store.load();
    if (++reads === 2) {
      write(refreshed(stage));
      stage.clock.sleepMachine(60_000);
    }
    return found;
  };
  stage.attach({ scheme: stage.bearer({ store: { ...store, load } }) });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
  expect(stage.tokens.reuses).toBe(0);
});

// F35
test.each([
  [500, 1],
  [501, 2],
])('a holder that was stopped for %i ms while it read under the lock reads %i times', async (ms, times) => {
  const stage = new Stage();
  const { store } = recordOf(stage);
  let reads = 0;
  const load = (): ReturnType<TokenStore['load']> => {
    if (++reads === 2) stage.clock.sleepMachine(ms);
    return store.load();
  };
  stage.attach({ scheme: stage.bearer({ store: { ...store, load } }) });
  await stage.outcome(stage.api.get('/item'));
  expect(reads - 1).toBe(times);
});

// F30
test('refresh() requests tokens if the tokens that another holder has written have expired', async () => {
  const stage = new Stage();
  const { store, write } = recordOf(stage);
  const scheme = stage.bearer({ store });
  stage.attach({ scheme });
  await scheme.getAccessToken();
  const { tokens } = refreshed(stage);
  write({ tokens: { ...tokens!, expiresAt: stage.clock.now() } });
  stage.refreshMs = 0;
  await stage.clock.until(scheme.refresh());
  expect(await scheme.getAccessToken()).toBe('alice-a3');
  expect(stage.reasons).toEqual(['manual']);
});

test('a call that was sent without credentials is replayed with the tokens that another holder stored meanwhile', async () => {
  const stage = new Stage();
  const store = memoryPort();
  stage.attach({ scheme: stage.bearer({ store, refresh: undefined }) });
  const call = underway(stage.api.get('/item'));
  await stage.clock.advance(5);
  stage.bearer({ store, tokens: stage.tokens.issue() }).getSnapshot();
  expect(await stage.outcome(call)).toMatchObject({ status: 200, attempts: 2 });
});

test('the second of two writes expects the generation of the first', async () => {
  const stage = new Stage();
  const { store } = recordOf(stage);
  const expected: (number | undefined)[] = [];
  const compareAndSet: TokenStore['compareAndSet'] = (generation, next) => {
    expected.push(generation);
    return store.compareAndSet(generation, next);
  };
  const scheme = stage.bearer({ store: { load: store.load, compareAndSet } });
  await scheme.getAccessToken();
  for (let made = 0; made < 2; made++) await scheme.update(stage.tokens.issue());
  expect(expected).toEqual([1, 2]);
});

// F39 F40
test('the refresh token of a malformed token response gives way to tokens that another holder has written', async () => {
  const stage = new Stage();
  const { store, write } = recordOf(stage);
  const theirs = refreshed(stage);
  stage.script('/oauth/token', () => {
    write(theirs);
    return { status: 200, data: { access_token: 'no token', refresh_token: 'alice-r9' } };
  });
  stage.attach({ scheme: stage.bearer({ store }) });
  await stage.outcome(stage.api.get('/item'));
  expect(await store.load()).toMatchObject({ generation: 2, ...theirs });
});

// F38 F40
test('the store is read again before a refresh is retried', async () => {
  const stage = new Stage();
  const { store, write } = recordOf(stage);
  stage.script('/oauth/token', () => {
    write(refreshed(stage));
    return { fault: 'refused' };
  });
  stage.attach({ scheme: stage.bearer({ store }) });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
  expect(stage.tokens.reuses).toBe(0);
  expect(stage.eventsOf('refreshed')).toEqual([]);
});

// F39
test('refreshed tokens are stored although another holder, whose token was refused, stored the end of the session', async () => {
  const stage = new Stage();
  const { store, write } = recordOf(stage);
  stage.script('/oauth/token', () => {
    write({ tokens: null });
    return undefined;
  });
  const scheme = stage.bearer({ store });
  stage.attach({ scheme });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
  expect(await store.load()).toMatchObject({ epoch: 0, tokens: { refreshToken: 'alice-r2' } });
  expect(scheme.getSnapshot().status).toBe('signed-in');
});

// F72
test('a sign-out of another holder takes effect when the store reports it, before the next send', async () => {
  const stage = new Stage();
  const { store, write, notify } = recordOf(stage);
  const scheme = stage.bearer({ store });
  stage.attach({ scheme });
  await stage.outcome(stage.api.get('/item'));
  write({ epoch: 1, tokens: null });
  notify();
  const call = stage.outcome(stage.api.get('/late'));
  expect(scheme.getSnapshot().status).toBe('signed-out');
  expect(await call).toMatchObject({ status: 401 });
  expect(stage.to('/late').map(({ token }) => token)).toEqual([undefined]);
});

// F69 F72
test.each(['the first read', 'a later read'] as const)(
  'a principal that changes during %s is stored as another one than the stored principal',
  async (which) => {
    const stage = new Stage();
    const { store, write, notify } = recordOf(stage);
    write({ epoch: 1 });
    const reads: (() => void)[] = [];
    let isHeld = which === 'the first read';
    const load = async (): Promise<StoredSession | undefined> => {
      if (isHeld) await new Promise<void>((resolve) => reads.push(resolve));
      return store.load();
    };
    const scheme = stage.bearer({ store: { ...store, load } });
    stage.attach({ scheme });
    scheme.getSnapshot();
    await stage.clock.settle();
    if (which === 'a later read') {
      isHeld = true;
      notify();
      // Another holder signs in meanwhile.
      write({ epoch: 2, tokens: { accessToken: 'carol-a1' } });
    }
    expect(reads).toHaveLength(1);
    const signingIn = scheme.signIn({ accessToken: 'bob-a1' });
    isHeld = false;
    for (const answer of reads) answer();
    await stage.clock.until(signingIn);
    expect(await store.load()).toMatchObject({
      epoch: which === 'the first read' ? 2 : 3,
      tokens: { accessToken: 'bob-a1' },
    });
  },
);

test('a session that another holder has ended is expired here, too', async () => {
  const stage = new Stage();
  const { store, write, notify } = recordOf(stage);
  const scheme = stage.bearer({ store });
  stage.attach({ scheme });
  await stage.outcome(stage.api.get('/item'));
  write({ tokens: null });
  notify();
  expect(scheme.getSnapshot().status).toBe('expired');
  await stage.clock.settle();
  expect(stage.eventsOf('session-expired')).toHaveLength(1);
  expect(stage.eventsOf('signed-out')).toEqual([]);
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
});

// F19 F39
test('an access token that another holder has written is used, although its refresh token was refused', async () => {
  const stage = new Stage();
  const { store, write } = recordOf(stage);
  stage.script('/oauth/token', () => {
    write({ tokens: { accessToken: stage.tokens.issue().access_token, refreshToken: 'alice-r1' } });
    return { status: 400, data: { error: 'invalid_grant' } };
  });
  stage.attach({ scheme: stage.bearer({ store }) });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
  expect(stage.eventsOf('session-expired')).toEqual([]);
});

// F19 F39
test.each([
  ['new tokens: they are used', refreshed, { status: 200 }, 0],
  ['the end, too: one event', () => ({ tokens: null }), { code: 'ERR_AUTH_SESSION_EXPIRED' }, 1],
] as const)('before this holder writes the end of the session, another has written %s', async (...row) => {
  const [, written, outcome, ends] = row;
  const stage = new Stage();
  const { store, write } = recordOf(stage);
  stage.script('/oauth/token', { status: 400, data: { error: 'invalid_grant' } });
  let isFirst = true;
  const compareAndSet: TokenStore['compareAndSet'] = (expected, next) => {
    if (isFirst) write(written(stage));
    isFirst = false;
    return store.compareAndSet(expected, next);
  };
  stage.attach({ scheme: stage.bearer({ store: { ...store, compareAndSet } }) });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject(outcome);
  expect(stage.eventsOf('session-expired')).toHaveLength(ends);
  expect(await store.load()).toMatchObject({ generation: 2 });
});

// F39 F40
test.each([
  ['its tokens', (stage: Stage) => refreshed(stage), { status: 200, attempts: 2 }, 'alice-a2'],
  ['a sign-out', () => ({ epoch: 1, tokens: null }), { code: 'ERR_AUTH_SESSION_CHANGED' }, undefined],
] as const)('refreshed tokens give way to a write of another holder meanwhile: %s', async (...row) => {
  const [, written, outcome, accessToken] = row;
  const stage = new Stage();
  const { store, write } = recordOf(stage);
  const refresh = (): TokenResponse => {
    write(written(stage));
    return stage.tokens.issue();
  };
  const scheme = stage.bearer({ store, refresh });
  stage.attach({ scheme });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject(outcome);
  expect(await scheme.getAccessToken()).toBe(accessToken);
  expect(await store.load()).toMatchObject({ generation: 2 });
});

test('refreshed tokens are stored although the store was restored to an earlier generation', async () => {
  const stage = new Stage();
  const { store, write } = recordOf(stage);
  const backup = (await store.load())!;
  write({});
  let current: StoredSession | undefined;
  const load = (): ReturnType<TokenStore['load']> => current ?? store.load();
  const compareAndSet: TokenStore['compareAndSet'] = (expected, next) => {
    const isExpected = (current ??= backup).generation === expected;
    if (isExpected) current = next;
    return isExpected;
  };
  const scheme = stage.bearer({ store: { load, compareAndSet } });
  stage.attach({ scheme });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
  expect(current).toMatchObject({ generation: 3, tokens: { accessToken: 'alice-a2' } });
  expect(stage.eventsOf('store-degraded')).toEqual([]);
});

describe('a store whose writes do not answer', () => {
  /** It stores or loses a write, and answers only while it `isWell`. */
  function unanswered(does: 'stores' | 'loses') {
    const stage = new Stage();
    const record = recordOf(stage);
    const state = { isWell: false };
    const compareAndSet: TokenStore['compareAndSet'] = (expected, next) => {
      if (state.isWell) return record.store.compareAndSet(expected, next);
      if (does === 'stores') void record.store.compareAndSet(expected, next);
      return new Promise(() => undefined);
    };
    const scheme = stage.bearer({ store: { ...record.store, compareAndSet } });
    stage.attach({ scheme });
    const isBack = async (): Promise<void> => {
      state.isWell = true;
      await stage.clock.advance(6_000);
      await scheme.getAccessToken();
      await stage.clock.settle();
    };
    return { stage, ...record, scheme, state, isBack };
  }

  test.each(['signIn', 'signOut'] as const)('has one epoch more after %s(), not two', async (act) => {
    const { stage, store, scheme, isBack } = unanswered('stores');
    await scheme.getAccessToken();
    await stage.clock.until(scheme[act](stage.tokens.issue('bob')));
    await isBack();
    expect(await store.load()).toMatchObject({ generation: 2, epoch: 1 });
  });

  test('gets the update() that followed, with the epoch that it has already', async () => {
    const { stage, store, scheme, state } = unanswered('stores');
    await scheme.getAccessToken();
    await stage.clock.until(scheme.signIn(stage.tokens.issue('bob')));
    state.isWell = true;
    await scheme.update(stage.tokens.issue('bob'));
    expect(await store.load()).toMatchObject({ epoch: 1, tokens: { accessToken: 'bob-a2' } });
  });

  test('is not taken for having written if another holder wrote that epoch', async () => {
    const { stage, store, write, scheme, isBack } = unanswered('loses');
    await scheme.getAccessToken();
    await stage.clock.until(scheme.signIn(stage.tokens.issue('bob')));
    write({ epoch: 1, tokens: { accessToken: 'carol-a1' } });
    await isBack();
    expect(await store.load()).toMatchObject({ epoch: 2, tokens: { accessToken: 'bob-a1' } });
  });

  test('gets the refreshed tokens once it answers again', async () => {
    const { stage, store, scheme, isBack } = unanswered('loses');
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(await scheme.getAccessToken()).toBe('alice-a2');
    await isBack();
    expect(await store.load()).toMatchObject({ epoch: 0, tokens: { accessToken: 'alice-a2' } });
  });

  test('gets the end of a session once it answers again, and the event is not repeated', async () => {
    const { stage, store, scheme, isBack } = unanswered('loses');
    stage.tokens.endSession();
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    await isBack();
    expect(await store.load()).toMatchObject({ generation: 2, tokens: null });
    expect(scheme.getSnapshot().status).toBe('expired');
    expect(stage.eventsOf('session-expired')).toHaveLength(1);
  });

  test('gets the principal of signIn() although another holder wrote, also after a refresh', async () => {
    const { stage, store, write, scheme, isBack } = unanswered('loses');
    await scheme.getAccessToken();
    await stage.clock.until(scheme.signIn(stage.tokens.issueDead('bob')));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    write({ epoch: 5, tokens: { accessToken: 'carol-a1' } });
    await isBack();
    expect(await store.load()).toMatchObject({ epoch: 6, tokens: { accessToken: 'bob-a2' } });
  });
});

test('the `tokens` option gives way to stored tokens, even if its own write failed at first', async () => {
  const stage = new Stage();
  const inner = memoryPort();
  let isDown = true;
  const compareAndSet: TokenStore['compareAndSet'] = (expected, next) => {
    if (isDown) throw new Error('away');
    return inner.compareAndSet(expected, next);
  };
  const scheme = stage.bearer({ store: { ...inner, compareAndSet }, tokens: stage.tokens.issue() });
  expect(await scheme.getAccessToken()).toBe('alice-a1');
  const stored = { accessToken: stage.tokens.issue().access_token };
  await inner.compareAndSet(undefined, { version: 1, generation: 1, epoch: 0, tokens: stored });
  isDown = false;
  await stage.clock.advance(6_000);
  await scheme.getAccessToken();
  await stage.clock.settle();
  expect(await scheme.getAccessToken()).toBe('alice-a2');
});

test('the later of two updates is used at once, and is the one that stays stored', async () => {
  const stage = new Stage();
  const { store } = recordOf(stage);
  const compareAndSet: TokenStore['compareAndSet'] = async (expected, next) => {
    await stage.clock.pass(next.tokens?.accessToken === 'alice-a2' ? 10 : 100);
    return store.compareAndSet(expected, next);
  };
  const scheme = stage.bearer({ store: { ...store, compareAndSet } });
  const updates = [stage.tokens.issue(), stage.tokens.issue()].map((tokens) => scheme.update(tokens));
  await stage.clock.advance(50);
  expect(await scheme.getAccessToken()).toBe('alice-a3');
  await stage.settled(updates);
  expect(await store.load()).toMatchObject({ tokens: { accessToken: 'alice-a3' } });
});

test('a store that reports a change before the session is used is not read', async () => {
  const stage = new Stage();
  const { store, notify } = recordOf(stage);
  const load = jest.fn(() => store.load());
  stage.attach({ scheme: stage.bearer({ store: { ...store, load } }) });
  notify();
  expect(load).not.toHaveBeenCalled();
});

// F92
test.each([
  [
    'at once',
    (failure: Error) => {
      throw failure;
    },
  ],
  ['later', (failure: Error) => Promise.reject(failure)],
])('a session uses a store whose subscribe() fails %s, and emits store-degraded', async (_when, fail) => {
  const stage = new Stage();
  const { store } = recordOf(stage);
  const subscribe = (): never => fail(Object.assign(new Error('alice-r1'), { code: 'EMFILE' })) as never;
  stage.attach({ scheme: stage.bearer({ store: { ...store, subscribe } }) });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
  expect(stage.eventsOf('store-degraded')).toMatchObject([
    { reason: expect.stringContaining('subscribe: Error EMFILE') as string },
  ]);
  expect(JSON.stringify(stage.events)).not.toContain('alice-r1');
});

// F92
describe('a store that was unavailable at the start', () => {
  test('is read by the first call after five seconds', async () => {
    const stage = new Stage();
    const { store } = recordOf(stage);
    let isDown = true;
    const load = (): ReturnType<TokenStore['load']> => {
      if (isDown) throw new Error('away');
      return store.load();
    };
    const scheme = stage.bearer({ store: { ...store, load }, refresh: () => null });
    stage.attach({ scheme });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401 });
    isDown = false;
    await stage.clock.advance(4_000);
    expect(await scheme.getAccessToken()).toBeUndefined();
    await stage.clock.advance(2_000);
    expect(await scheme.getAccessToken()).toBe('alice-a1');
  });

  test('is written to by the first call after five seconds', async () => {
    const stage = new Stage();
    const { store } = recordOf(stage);
    let isDown = true;
    const compareAndSet: TokenStore['compareAndSet'] = (expected, next) => {
      if (isDown) throw new Error('away');
      return store.compareAndSet(expected, next);
    };
    const scheme = stage.bearer({ store: { ...store, compareAndSet } });
    await scheme.signIn(stage.tokens.issue('bob'));
    isDown = false;
    await stage.clock.advance(6_000);
    expect(await scheme.getAccessToken()).toBe('bob-a1');
    await stage.clock.settle();
    expect(await store.load()).toMatchObject({ epoch: 1, tokens: { accessToken: 'bob-a1' } });
  });
});

// F30 F92
describe('a store that cannot be read under the lock', () => {
  /** The second of two holders, whose reads fail as long as `failures` is above 0. The first one has replaced the refresh token. */
  async function behind(how: 'throw' | 'hang' | 'reject') {
    const stage = new Stage();
    const port = memoryPort();
    const state = { failures: 0 };
    const fail = (): Promise<never> => {
      if (how === 'throw') throw new Error('away');
      return how === 'reject' ? Promise.reject(new Error('away')) : new Promise(() => undefined);
    };
    const faulty: TokenStore = {
      load: () => (state.failures-- > 0 ? fail() : port.load()),
      compareAndSet: (expected, next) => port.compareAndSet(expected, next),
      exclusive: (work, options) => port.exclusive!(work, options),
    };
    const tokens = stage.tokens.issueDead();
    const [first, second] = [port, faulty].map((store) => {
      const api = stage.instance();
      stage.attach({ scheme: stage.bearer({ store, tokens }) }, api);
      return api;
    });
    await stage.outcome(second!.get('/open/first'));
    await stage.outcome(first!.get('/item'));
    return { stage, state, api: second! };
  }

  test.each(['throw', 'hang', 'reject'] as const)('(%s) sends no refresh token that may be replaced', async (how) => {
    const { stage, state, api } = await behind(how);
    state.failures = Infinity;
    expect(await stage.outcome(api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED', status: 401 });
    expect(stage.tokens.asks).toHaveLength(1);
    state.failures = 0;
    expect(await stage.outcome(api.get('/item'))).toMatchObject({ status: 200 });
    expect(stage.tokens).toMatchObject({ refreshes: 1, reuses: 0 });
  });

  test.each(['throw', 'hang', 'reject'] as const)('(%s) is read once more', async (how) => {
    const { stage, state, api } = await behind(how);
    state.failures = 1;
    expect(await stage.outcome(api.get('/item'))).toMatchObject({ status: 200 });
    expect(stage.tokens.asks).toHaveLength(1);
  });

  test('and never could be read does not keep the session in memory from its refresh', async () => {
    const stage = new Stage();
    const fail = (): never => {
      throw new Error('away');
    };
    const store: TokenStore = { ...memoryPort(), load: fail, compareAndSet: fail };
    stage.attach({ scheme: stage.bearer({ store, tokens: stage.tokens.issueDead() }) });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
  });
});

// F41
describe('a store that answers late', () => {
  /** Its reads and writes find the record at once, and return it after so many ms. */
  function late(stage: Stage) {
    const record = recordOf(stage);
    const delay = { reads: 0, writes: 0 };
    const after = async <T>(ms: number, value: T | Promise<T>): Promise<T> => {
      await stage.clock.pass(ms);
      return value;
    };
    const store: TokenStore = {
      ...record.store,
      load: () => after(delay.reads, record.store.load()),
      compareAndSet: (expected, next) => after(delay.writes, record.store.compareAndSet(expected, next)),
    };
    const scheme = stage.bearer({ store });
    stage.attach({ scheme });
    return { ...record, scheme, delay };
  }

  test('to two reads in another order: the later read counts', async () => {
    const stage = new Stage();
    const { scheme, write, notify, delay } = late(stage);
    await stage.clock.until(scheme.getAccessToken());
    delay.reads = 400;
    write({ tokens: { accessToken: 'alice-a2' } });
    notify();
    delay.reads = 0;
    write({ tokens: { accessToken: 'alice-a3' } });
    notify();
    await stage.clock.advance(1_000);
    expect((await stage.clock.until(scheme.getAccessToken())) as unknown).toMatchObject({ value: 'alice-a3' });
    expect(stage.eventsOf('signed-in')).toEqual([]);
  });

  test('to the read under the lock only after a newer one: the refresh goes on', async () => {
    const stage = new Stage();
    const { scheme, notify, delay } = late(stage);
    await stage.clock.until(scheme.getAccessToken());
    delay.reads = 2_500;
    const refreshed = underway(scheme.refresh());
    // The first read exceeds its time limit of 2 s.
    await stage.clock.advance(1_900);
    delay.reads = 400;
    await stage.clock.advance(200);
    delay.reads = 0;
    notify();
    expect(await stage.clock.until(refreshed)).toMatchObject({ status: 'fulfilled' });
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('to a read that began before a sign-in: the sign-in counts', async () => {
    const stage = new Stage();
    const { scheme, notify, delay } = late(stage);
    await stage.clock.until(scheme.getAccessToken());
    delay.reads = 400;
    notify();
    await stage.clock.until(scheme.signIn({ accessToken: 'bob-a1' }));
    await stage.clock.until(scheme.update({ accessToken: 'bob-a2' }));
    await stage.clock.advance(1_000);
    expect((await stage.clock.until(scheme.getAccessToken())) as unknown).toMatchObject({ value: 'bob-a2' });
    expect(stage.eventsOf('signed-in')).toHaveLength(1);
  });

  // F72
  test.each(['a write', 'the first read'] as const)(
    'to %s: a sign-out of another holder meanwhile is not missed',
    async (what) => {
      const stage = new Stage();
      const { scheme, write, notify, delay } = late(stage);
      delay[what === 'a write' ? 'writes' : 'reads'] = 100;
      if (what === 'a write') await stage.clock.until(scheme.getAccessToken());
      const busy: Promise<unknown> =
        what === 'a write' ? scheme.update({ accessToken: 'alice-a2' }) : scheme.getAccessToken();
      await stage.clock.advance(50);
      write({ epoch: 1, tokens: null });
      notify();
      await stage.clock.until(busy);
      await stage.clock.advance(1_000);
      expect(scheme.getSnapshot().status).toBe('signed-out');
    },
  );
});

describe('a port', () => {
  test('may return 1 and 0, as databases count the rows that they changed', async () => {
    const stage = new Stage();
    const { store, write } = recordOf(stage);
    const compareAndSet = (async (expected: number | undefined, next: StoredSession) =>
      Number(await store.compareAndSet(expected, next))) as never;
    const scheme = stage.bearer({ store: { load: store.load, compareAndSet } });
    await scheme.getAccessToken();
    await scheme.update({ accessToken: 'alice-a2' });
    expect(await store.load()).toMatchObject({ generation: 2, tokens: { accessToken: 'alice-a2' } });
    write({ tokens: { accessToken: 'alice-a3' } });
    await scheme.update({ accessToken: 'alice-a4' });
    expect(await store.load()).toMatchObject({ generation: 4, tokens: { accessToken: 'alice-a4' } });
  });

  test('may return null if nothing is stored', async () => {
    const stage = new Stage();
    const port = memoryPort();
    const load = (async () => (await port.load()) ?? null) as never;
    stage.attach({ scheme: stage.bearer({ store: { ...port, load }, tokens: stage.tokens.issue() }) });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(stage.eventsOf('store-degraded')).toEqual([]);
  });

  test('whose exclusive() runs its work again, as transactions do, sends one refresh', async () => {
    const stage = new Stage();
    const exclusive: TokenStore['exclusive'] = async (work) => (await Promise.all([work(), work()]))[0];
    const store = { ...memoryPort(), exclusive };
    stage.attach({ scheme: stage.bearer({ store, tokens: stage.tokens.issueDead() }) });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(stage.tokens.asks.map(({ outcome }) => outcome)).toEqual(['issued']);
  });
});

// F39
test('the end of a session that could not be written gives way to tokens that another holder has written meanwhile', async () => {
  const stage = new Stage();
  const { store, write } = recordOf(stage);
  const winner = refreshed(stage);
  let isDown = false;
  const load = async (): Promise<StoredSession | undefined> => {
    if (isDown) throw new Error('away');
    return store.load();
  };
  stage.script('/oauth/token', () => {
    write(winner);
    isDown = true;
    return { status: 400, data: { error: 'invalid_grant' } };
  });
  const scheme = stage.bearer({ store: { load, compareAndSet: store.compareAndSet } });
  stage.attach({ scheme });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
  isDown = false;
  await stage.clock.advance(6_000);
  await stage.outcome(stage.api.get('/open/item'));
  expect(await store.load()).toMatchObject({ generation: 2, ...winner });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
});

test.each(['at once', 'later'])(
  'a port that announces a change whenever it is read is not read in a loop (%s)',
  async (when) => {
    const stage = new Stage();
    const port = memoryPort();
    let notify = (): void => undefined;
    let reads = 0;
    const load = (): ReturnType<TokenStore['load']> => {
      if (++reads < 1_000) notify();
      return when === 'at once' ? port.load() : Promise.resolve(port.load());
    };
    const subscribe: TokenStore['subscribe'] = (onChange) => {
      notify = onChange;
      return () => undefined;
    };
    stage.attach({ scheme: stage.bearer({ store: { ...port, load, subscribe }, tokens: stage.tokens.issueDead() }) });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(reads).toBeLessThan(10);
  },
);

/** Two holders of one database, which tells them nothing. */
function twoHolders(): { stage: Stage; store: TokenStore; holders: [BearerScheme, BearerScheme] } {
  const stage = new Stage();
  const { store } = recordOf(stage);
  const port = { load: store.load, compareAndSet: store.compareAndSet };
  const holders = [stage.bearer({ store: port }), stage.bearer({ store: port })] as [BearerScheme, BearerScheme];
  for (const scheme of holders) stage.attach({ scheme }, stage.instance());
  return { stage, store, holders };
}

// F39 F40
test('update() without a refresh token keeps the one that another holder has stored', async () => {
  const { stage, store, holders } = twoHolders();
  const [one, other] = holders;
  await other.getAccessToken();
  await stage.clock.until(one.refresh());
  await other.update({ accessToken: 'sliding' });
  expect(await store.load()).toMatchObject({ tokens: { accessToken: 'sliding', refreshToken: 'alice-r2' } });
  await stage.clock.until(other.refresh());
  expect(stage.tokens.reuses).toBe(0);
});

test('of two update() calls the second one stays, although the store answers its read first', async () => {
  const stage = new Stage();
  const { store } = recordOf(stage);
  const delays = [0, 60, 5];
  const load = async (): Promise<StoredSession | undefined> => {
    await stage.clock.pass(delays.shift() ?? 0);
    return store.load();
  };
  const scheme = stage.bearer({ store: { load, compareAndSet: store.compareAndSet } });
  await stage.clock.until(scheme.getAccessToken());
  const updates = [scheme.update({ accessToken: 'first' }), scheme.update({ accessToken: 'second' })];
  await stage.clock.until(Promise.all(updates));
  expect(await store.load()).toMatchObject({ tokens: { accessToken: 'second' } });
});

// F39 F40
test('a refresh token that arrives after an update() of another holder is kept', async () => {
  const { stage, store, holders } = twoHolders();
  const [one, other] = holders;
  await other.getAccessToken();
  const refreshing = underway(one.refresh());
  await stage.clock.advance(20);
  await other.update({ accessToken: 'sliding' });
  await stage.clock.until(refreshing);
  expect(await store.load()).toMatchObject({ tokens: { accessToken: 'sliding', refreshToken: 'alice-r2' } });
  await stage.clock.until(one.refresh());
  expect(stage.tokens.reuses).toBe(0);
});

// F40
test.each(['tokens', 'the end of the session'])('update() while a refresh stores %s takes precedence', async (what) => {
  const stage = new Stage();
  const { store } = recordOf(stage);
  const compareAndSet: TokenStore['compareAndSet'] = async (...given) => {
    const isWritten = await store.compareAndSet(...given);
    await stage.clock.pass(30);
    return isWritten;
  };
  const scheme = stage.bearer({ store: { load: store.load, compareAndSet } });
  stage.attach({ scheme });
  await scheme.getAccessToken();
  if (what !== 'tokens') stage.script('/oauth/token', { status: 400, data: { error: 'invalid_grant' } });
  const refreshing = underway(scheme.refresh());
  await stage.clock.advance(60);
  await stage.clock.until(scheme.update({ accessToken: 'other', refreshToken: 'other-r' }));
  await stage.clock.until(refreshing);
  expect(await scheme.getAccessToken()).toBe('other');
  expect(await store.load()).toMatchObject({ tokens: { accessToken: 'other', refreshToken: 'other-r' } });
});
