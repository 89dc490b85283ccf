import { inspect } from 'node:util';
import type { StoredSession, TokenStore } from '../lib/store.js';
import { redisStore, type RedisClient, type RedisStoreOptions } from '../lib/redis.js';
import { redisPort } from '../lib/stores/redis.js';
import { FakeClient, FakeRedis } from './support/redis-fake.js';
import { VirtualClock } from './support/virtual-clock.js';

let clock: VirtualClock;
let redis: FakeRedis;
beforeEach(() => {
  clock = new VirtualClock();
  redis = new FakeRedis(clock);
});

const LOCK = '{s}:lock';
const session = (generation: number, accessToken = 'CANARY-access'): StoredSession => ({
  version: 1,
  generation,
  epoch: 0,
  tokens: { accessToken, refreshToken: 'CANARY-refresh' },
});

/** A process with its own client. */
function holder(options?: RedisStoreOptions): { client: FakeClient; store: TokenStore } {
  const client = new FakeClient(redis);
  return { client, store: redisPort(client, 's', options, clock) };
}

/** Requests the lock, and reports when it is acquired. The work lasts until `done`. */
function ask(
  store: TokenStore,
  signal = new AbortController().signal,
): { hasIt: () => boolean; done: () => void; over: Promise<unknown>; at: () => number } {
  let at = NaN;
  let done!: () => void;
  const working = new Promise<void>((resolve) => (done = resolve));
  const over = store.exclusive!(
    () => {
      at = clock.monotonic();
      return working;
    },
    { signal },
  );
  over.catch(() => undefined);
  return { hasIt: () => !Number.isNaN(at), done, over, at: () => at };
}

describe('an argument of another type', () => {
  const client = {} as RedisClient;
  test.each<[string, () => unknown]>([
    ['`client` takes a client of `redis` or `ioredis`, but got object', () => redisStore(client, 's')],
    ['`client` takes a client of `redis` or `ioredis`, but got null', () => redisStore(null as never, 's')],
    ['`key` takes a non-empty string without braces, but got string', () => redisStore(new FakeClient(redis), '')],
    ['`key` takes a non-empty string without braces, but got string', () => redisStore(new FakeClient(redis), 'a}b')],
    ['`key` takes a non-empty string without braces, but got 1', () => redisStore(new FakeClient(redis), 1 as never)],
    ['`options` takes an object, but got null', () => redisStore(new FakeClient(redis), 's', null as never)],
    ['`lockMs` takes a number of ms, 1000 to 60000, but got 999', () => holder({ lockMs: 999 })],
    ['`lockMs` takes a number of ms, 1000 to 60000, but got NaN', () => holder({ lockMs: NaN })],
    ['`lockMs` takes a number of ms, 1000 to 60000, but got Infinity', () => holder({ lockMs: Infinity })],
    ['`subscribe` takes true or false, but got string', () => holder({ subscribe: 'no' as never })],
  ])('is a TypeError: %s', (message, make) => {
    expect(make).toThrow(new TypeError(`redisStore(): ${message}`));
  });
});

describe('the stored session', () => {
  test('is written only over the expected generation', async () => {
    const { store } = holder();
    expect(await store.load()).toBeUndefined();
    expect(await store.compareAndSet(1, session(2))).toBe(false);
    expect(await store.compareAndSet(undefined, session(1))).toBe(true);
    expect(await store.compareAndSet(undefined, session(2))).toBe(false);
    expect(await store.compareAndSet(1, { ...session(2), tokens: null })).toBe(true);
    expect(await store.load()).toEqual({ ...session(2), tokens: null });
  });

  test('is written by one of two holders that expect the same generation', async () => {
    const [one, other] = [holder(), holder()];
    const both = [one.store, other.store].map(async (store, index) =>
      store.compareAndSet(undefined, session(1, String(index))),
    );
    expect((await Promise.all(both)).sort()).toEqual([false, true]);
  });

  // F93
  test.each(['', 'nonsense', '{"version":2}', '{"version":1,"generation":4,"epoch":0}'])(
    'counts as empty if it is %j, which the next write moves aside',
    async (text) => {
      const { store } = holder();
      redis.set('{s}:session', text);
      expect(await store.load()).toBeUndefined();
      expect(await store.compareAndSet(undefined, session(1))).toBe(true);
      expect(await store.load()).toEqual(session(1));
      expect(redis.get('{s}:bad')).toBe(text);
    },
  );
});

describe('the lock', () => {
  test('is held by one holder at a time, and released at the end', async () => {
    const [one, other] = [ask(holder().store), ask(holder().store)];
    await clock.advance(300);
    expect([one.hasIt(), other.hasIt()]).toEqual([true, false]);
    one.done();
    await clock.advance(0);
    // Its message arrives at once.
    expect(other.hasIt()).toBe(true);
    other.done();
    await Promise.all([one.over, other.over]);
    expect(redis.get(LOCK)).toBeUndefined();
    expect(clock.pending).toBe(0);
    expect(redis.connections.size).toBe(0);
  });

  test('is requested by one caller of a process at a time', async () => {
    const blocker = ask(holder().store);
    await clock.advance(10);
    const { client, store } = holder();
    const asked = Array.from({ length: 10 }, () => ask(store));
    redis.log.length = 0;
    await clock.advance(1_000);
    const claims = redis.log.filter((entry) => entry.client === client && entry.what === 'claim');
    expect(claims.length).toBeGreaterThanOrEqual(5);
    expect(claims.length).toBeLessThanOrEqual(12);
    blocker.done();
    for (const each of asked) {
      await clock.advance(1);
      expect(asked.filter(({ hasIt }) => hasIt()).length).toBe(asked.indexOf(each) + 1);
      each.done();
    }
  });

  test('is renewed for as long as the work takes', async () => {
    const [one, other] = [ask(holder().store), ask(holder().store)];
    await clock.advance(120_000);
    expect([one.hasIt(), other.hasIt()]).toEqual([true, false]);
  });

  // F32
  test.each([100, 199, 350, 777, 3_000])(
    'of a holder that dies after %i ms is acquired within a second',
    async (livesMs) => {
      const victim = holder({ lockMs: 60_000 });
      ask(victim.store);
      const other = ask(holder({ lockMs: 60_000 }).store);
      await clock.advance(livesMs);
      victim.client.die();
      await clock.advance(999);
      expect(other.hasIt()).toBe(true);
    },
  );

  test('of a holder that died while no other waited is acquired within a second, too', async () => {
    const victim = holder({ lockMs: 60_000 });
    ask(victim.store);
    await clock.advance(100);
    victim.client.die();
    await clock.advance(2_000);
    const other = ask(holder().store);
    await clock.advance(999);
    expect(other.hasIt()).toBe(true);
  });

  test('of a holder that is too busy to renew it lasts for lockMs', async () => {
    const busy = holder({ lockMs: 5_000 });
    ask(busy.store);
    await clock.advance(100);
    busy.client.fault = 'silent';
    const other = ask(holder().store);
    await clock.advance(4_600);
    expect(other.hasIt()).toBe(false);
    await clock.advance(700);
    expect(other.hasIt()).toBe(true);
  });

  test('is kept by a holder whose subscriber connection is lost', async () => {
    const disconnected = holder();
    ask(disconnected.store);
    await clock.advance(100);
    for (const connection of disconnected.client.made) connection.disconnect();
    const other = ask(holder().store);
    await clock.advance(60_000);
    expect(other.hasIt()).toBe(false);
  });

  test('lasts for lockMs after the death of a holder without subscription', async () => {
    const victim = holder({ lockMs: 3_000, subscribe: false });
    ask(victim.store);
    await clock.advance(1);
    victim.client.die();
    const other = ask(holder({ subscribe: false }).store);
    await clock.advance(2_500);
    expect(other.hasIt()).toBe(false);
    await clock.advance(1_000);
    expect(other.hasIt()).toBe(true);
    expect(redis.connections.size).toBe(0);
  });

  // F35
  test('is acquired again by a holder that was stopped for longer than it lasts, before that holder reads', async () => {
    const stopped = holder({ lockMs: 1_000 });
    ask(stopped.store);
    await clock.advance(10);
    stopped.client.fault = 'held';
    await clock.advance(1_500);
    const other = ask(holder().store);
    await clock.advance(300);
    expect(other.hasIt()).toBe(true);
    stopped.client.fault = undefined;
    let found: unknown = 'nothing yet';
    void Promise.resolve(stopped.store.load()).then((value) => (found = value));
    await clock.advance(500);
    expect(found).toBe('nothing yet');
    other.done();
    await clock.advance(500);
    expect(found).toBeUndefined();
  });
});

describe('a wait for the lock that is aborted', () => {
  test.each(['for Redis', 'for another process', 'for another of its own process'])(
    '%s rejects at once',
    async (what) => {
      const { client, store } = holder();
      if (what !== 'for Redis') ask(what === 'for another process' ? holder().store : store);
      else client.fault = 'silent';
      await clock.advance(1_000);
      const before = clock.pending;
      const controller = new AbortController();
      const { over, hasIt, done } = ask(store, controller.signal);
      await clock.advance(500);
      const reason = new Error('enough');
      controller.abort(reason);
      done();
      await expect(over).rejects.toBe(reason);
      expect(clock.pending).toBe(before);
      await clock.advance(10_000);
      expect(hasIt()).toBe(false);
    },
  );

  test('before it began rejects at once, and sends no command', async () => {
    const { store } = holder();
    const reason = new Error('enough');
    await expect(ask(store, AbortSignal.abort(reason)).over).rejects.toBe(reason);
    await clock.advance(0);
    expect(redis.log).toEqual([]);
  });

  test('leaves no listener on its signal', async () => {
    const controller = new AbortController();
    const add = jest.spyOn(controller.signal, 'addEventListener');
    const remove = jest.spyOn(controller.signal, 'removeEventListener');
    const blocker = ask(holder().store);
    await clock.advance(10);
    const { done, over } = ask(holder().store, controller.signal);
    await clock.advance(1_000);
    blocker.done();
    done();
    await clock.advance(10);
    await over;
    await clock.settle();
    expect(add.mock.calls.length).toBeGreaterThan(5);
    for (const [, listener] of add.mock.calls) expect(remove.mock.calls.map((call) => call[1])).toContain(listener);
  });

  test('releases the lock if Redis grants it later', async () => {
    const { client, store } = holder();
    client.fault = 'held';
    const { over } = ask(store);
    const result = await clock.until(over);
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'ETIMEDOUT' } });
    expect(clock.monotonic()).toBeLessThan(3_000);
    client.fault = undefined;
    for (const release of client.waiting) release();
    await clock.settle();
    expect(redis.log.map(({ what }) => what)).toEqual(['claim', 'release']);
    expect(redis.get(LOCK)).toBeUndefined();
  });
});

test('a failed duplicate() of the client rejects one lock request, and no later one', async () => {
  const { client, store } = holder();
  const duplicate = jest.spyOn(client, 'duplicate').mockImplementation(() => {
    throw new Error('no more connections');
  });
  await expect(ask(store).over).rejects.toThrow('no more connections');
  duplicate.mockRestore();
  const { hasIt } = ask(store);
  await clock.advance(10);
  expect(hasIt()).toBe(true);
});

describe('changes', () => {
  test('are reported for every write, and not for a message without a generation', async () => {
    const [one, other] = [holder(), holder()];
    const onChange = jest.fn();
    const stop = other.store.subscribe!(onChange);
    await clock.settle();
    // The connection is ready. A change may have been missed before.
    expect(onChange).toHaveBeenCalledTimes(1);
    await one.store.compareAndSet(undefined, session(1));
    expect(onChange).toHaveBeenCalledTimes(2);
    for (const garbage of ['', 'free', '{"accessToken":"x"}', '1e3', '-1']) redis.publish('{s}:changes', garbage);
    expect(onChange).toHaveBeenCalledTimes(2);
    other.client.made[0]!.emit('ready');
    await clock.settle();
    expect(onChange).toHaveBeenCalledTimes(3);
    stop();
    stop();
    expect(redis.connections.size).toBe(0);
  });

  test('use one connection for all listeners, and a new one if there are listeners again', () => {
    const { client, store } = holder();
    const stops = [store.subscribe!(() => {}), store.subscribe!(() => {})];
    expect(client.made).toHaveLength(1);
    for (const stop of stops) stop();
    store.subscribe!(() => {})();
    expect(client.made).toHaveLength(2);
  });

  test('contain no tokens', async () => {
    const publish = jest.spyOn(redis, 'publish');
    await holder().store.compareAndSet(undefined, session(7));
    expect(publish.mock.calls).toEqual([['{s}:changes', '7']]);
  });

  test('survive an error of their connection', () => {
    const { client, store } = holder();
    store.subscribe!(() => {});
    expect(() => client.made[0]!.emit('error', new Error('gone'))).not.toThrow();
  });
});

// F81
test('an error of the client is passed on without its command', async () => {
  const { client, store } = holder();
  client.fault = Object.assign(new Error('NOPERM at CANARY-message'), { name: 'ReplyError' });
  for (const call of [
    async () => store.load(),
    async () => store.compareAndSet(undefined, session(1)),
    async () => clock.until(ask(store).over).then((result) => Promise.reject((result as PromiseRejectedResult).reason)),
  ]) {
    const error: unknown = await call().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'NOPERM', message: expect.stringContaining('ReplyError NOPERM') });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('CANARY');
  }
});
