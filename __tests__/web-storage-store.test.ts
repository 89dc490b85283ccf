import type { AuthEvent } from '../lib/index.js';
import type { StoredSession, TokenStore } from '../lib/store.js';
import { webStoragePort } from '../lib/stores/web-storage.js';
import { failureOf } from './support/answers.js';
import { Stage } from './support/stage.js';
import { times } from './support/series.js';
import { VirtualClock } from './support/virtual-clock.js';
import { FakeLocks, FakeStorage, withGlobals } from './support/web-fakes.js';

const KEY = 'session';
const WAKE_UPS = ['visibilitychange', 'pageshow', 'resume', 'online'];

class FakeChannel {
  static readonly open = new Set<FakeChannel>();
  static readonly posted: unknown[] = [];
  onmessage: ((event: { data: unknown }) => void) | null = null;
  constructor(readonly name: string) {
    FakeChannel.open.add(this);
  }
  postMessage(data: unknown): void {
    FakeChannel.posted.push(data);
  }
  close(): void {
    FakeChannel.open.delete(this);
  }
}

let clock: VirtualClock;
let locks: FakeLocks;
let local: FakeStorage;
let ofTab: FakeStorage;
let restore: (() => void)[];
let listening: Map<string, Set<(event: object) => void>>;

function browser(globals: Record<string, unknown> = {}): void {
  restore.push(withGlobals(globals));
}
beforeEach(() => {
  clock = new VirtualClock();
  locks = new FakeLocks();
  local = new FakeStorage();
  ofTab = new FakeStorage();
  listening = new Map();
  restore = [];
  FakeChannel.open.clear();
  FakeChannel.posted.length = 0;
  const of = (type: string) => listening.get(type) ?? new Set();
  browser({
    navigator: { locks },
    localStorage: local,
    sessionStorage: ofTab,
    BroadcastChannel: FakeChannel,
    addEventListener: (type: string, listener: (event: object) => void) => listening.set(type, of(type).add(listener)),
    removeEventListener: (type: string, listener: (event: object) => void) => of(type).delete(listener),
  });
});
afterEach(() => {
  for (const back of restore.splice(0).reverse()) back();
});

const open = (storage?: FakeStorage): TokenStore =>
  webStoragePort(KEY, { storage: storage as unknown as Storage | undefined }, clock);
const session = (generation: number, accessToken = `token-${String(generation)}`): StoredSession => ({
  version: 1,
  generation,
  epoch: 0,
  tokens: { accessToken, refreshToken: 'r', expiresAt: 4_000_000_000_000 },
});
const happen = (type: string, event: object = {}): void => listening.get(type)?.forEach((listener) => listener(event));
const listeners = (): number => [...listening.values()].reduce((sum, { size }) => sum + size, 0);
const done = async <T>(work: T | Promise<T>): Promise<T> => {
  const settled = await clock.until(Promise.resolve(work));
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
};
const never = new AbortController().signal;
const quota = (): never => {
  throw new DOMException('full', 'QuotaExceededError');
};
const forbidden = (): never => {
  throw new DOMException('no', 'SecurityError');
};

/** The largest number of holders that ran their work at the same time. */
async function mostAtOnce(stores: readonly TokenStore[]): Promise<number> {
  let [inside, most] = [0, 0];
  const work = async (): Promise<void> => {
    most = Math.max(most, ++inside);
    await clock.pass(500);
    inside--;
  };
  await done(Promise.all(stores.map((store) => store.exclusive!(work, { signal: never }))));
  return most;
}

describe('the stored session', () => {
  test('is loaded synchronously, and is JSON under the key', async () => {
    expect(await done(open().compareAndSet(undefined, session(1)))).toBe(true);
    expect(JSON.parse(local.items.get(KEY)!)).toEqual(session(1));
    expect(open().load()).toEqual(session(1));
    expect(ofTab.items.size).toBe(0);
  });

  test('is in sessionStorage if the option says so', async () => {
    expect(await done(open(ofTab).compareAndSet(undefined, session(1)))).toBe(true);
    expect([...ofTab.items.keys(), ...local.items.keys()]).toEqual([KEY]);
  });

  test('is not changed by compareAndSet if the generation differs', async () => {
    await done(open().compareAndSet(undefined, session(5)));
    expect(await done(open().compareAndSet(4, session(6)))).toBe(false);
    expect(await done(open().compareAndSet(undefined, session(6)))).toBe(false);
    expect(open().load()).toEqual(session(5));
  });

  // F93
  test.each(['', '{', 'null', '"text"', '{"version":2}', JSON.stringify(session(1)).slice(0, -9)])(
    'is undefined for the text %p, which stays until a session is written',
    async (text) => {
      local.items.set(KEY, text);
      expect(open().load()).toBeUndefined();
      expect(local.items.get(KEY)).toBe(text);
      expect(await done(open().compareAndSet(undefined, session(1)))).toBe(true);
    },
  );
});

describe('wrong arguments throw a TypeError', () => {
  test.each([[''], [7], [undefined]])('a key %p', (key) => {
    expect(() => webStoragePort(key as string)).toThrow(/`key` takes/);
  });
  test.each([[null], ['local'], [{}]])('a storage %p', (storage) => {
    const make = () => webStoragePort(KEY, { storage: storage as never });
    if (storage === null) expect(make).not.toThrow();
    else expect(make).toThrow(/`storage` takes localStorage or sessionStorage/);
  });
});

// F92
describe('a storage that fails', () => {
  test('is not accessed before load()', async () => {
    browser({ localStorage: forbidden, sessionStorage: forbidden });
    const store = webStoragePort(KEY, {}, clock);
    expect(() => store.load()).toThrow(expect.objectContaining({ name: 'SecurityError' }));
    browser({ localStorage: undefined });
    expect(() => store.load()).toThrow(expect.objectContaining({ code: 'ENOSTORAGE' }));
  });

  test('that is full keeps the old session', async () => {
    await done(open().compareAndSet(undefined, session(1)));
    local.setItem = quota;
    await expect(done(open().compareAndSet(1, session(2)))).rejects.toThrow('full');
    expect(open().load()).toEqual(session(1));
  });

  test.each(times(12, (index) => index))('at its call %i does not fail the refresh', async (failing) => {
    const stage = new Stage();
    clock = stage.clock;
    const events: AuthEvent[] = [];
    let calls = 0;
    local.fail = () => {
      if (calls++ === failing) quota();
    };
    const scheme = stage.bearer({ store: open(), tokens: stage.tokens.issueDead() });
    stage.attach({ scheme, onEvent: (event) => events.push(event) });
    const settled = await clock.until(stage.api.get('/me'));
    expect(settled).toMatchObject({ status: 'fulfilled', value: { status: 200 } });
    expect([stage.tokens.refreshes, stage.tokens.reuses]).toEqual([1, 0]);
    const text = local.items.get(KEY);
    if (text !== undefined) expect(JSON.parse(text)).toMatchObject({ version: 1 });
  });

  test('permanently emits store-degraded, and the session continues in memory', async () => {
    const stage = new Stage();
    clock = stage.clock;
    local.fail = quota;
    const scheme = stage.bearer({ store: open(), tokens: stage.tokens.issueDead() });
    stage.attach({ scheme });
    expect(await clock.until(stage.api.get('/me'))).toMatchObject({ status: 'fulfilled' });
    expect(stage.eventsOf('store-degraded').length).toBeGreaterThan(0);
    expect(stage.tokens.refreshes).toBe(1);
  });
});

// F92
describe.each([
  ['Web Locks', {}],
  ['claims', { navigator: {} }],
])('a storage that drops every write silently, with %s', (_locks, globals) => {
  test('rejects a write, and delays no work', async () => {
    browser(globals);
    local.setItem = () => undefined;
    await expect(done(open().compareAndSet(undefined, session(1)))).rejects.toMatchObject({ code: 'ENOSTORAGE' });
    const began = clock.monotonic();
    expect(await done(open().exclusive!(async () => 'done', { signal: never }))).toBe('done');
    expect(clock.monotonic() - began).toBeLessThan(200);
  });

  test('emits store-degraded, and the session continues in memory', async () => {
    browser(globals);
    local.setItem = () => undefined;
    const stage = new Stage();
    clock = stage.clock;
    const scheme = stage.bearer({ store: open(), tokens: stage.tokens.issueDead() });
    stage.attach({ scheme });
    for (let refresh = 1; refresh <= 2; refresh++) {
      expect(await stage.outcome(stage.api.get('/me'))).toMatchObject({ status: 200 });
      expect(stage.tokens.refreshes).toBe(refresh);
      stage.tokens.revokeAll();
    }
    expect(stage.eventsOf('store-degraded').length).toBeGreaterThan(0);
  });
});

/**
 * localStorage as one tab sees it. Writes of other tabs arrive `lagMs` later, in the order in which the browser got them. A tab ignores
 * them until its own write has come back.
 */
class LaggingView extends FakeStorage {
  static readonly views = new Set<LaggingView>();
  #underway = 0;
  constructor(readonly lagMs: number) {
    super();
    LaggingView.views.add(this);
  }
  override setItem(key: string, value: string): void {
    super.setItem(key, value);
    this.#spread((items) => items.set(key, value));
  }
  override removeItem(key: string): void {
    super.removeItem(key);
    this.#spread((items) => items.delete(key));
  }
  #spread(write: (items: Map<string, string>) => void): void {
    this.#underway++;
    clock.later(this.lagMs, () => {
      this.#underway--;
      for (const view of LaggingView.views) if (view.#underway === 0) write(view.items);
    });
  }
}
afterEach(() => LaggingView.views.clear());

/** Each tab in turn adds one to the generation that it sees. */
async function countInTurns(stores: readonly TokenStore[]): Promise<number> {
  const count = async (store: TokenStore): Promise<void> =>
    store.exclusive!(
      async () => {
        const at = (store.load() as StoredSession | undefined)?.generation;
        await store.compareAndSet(at, session((at ?? 0) + 1));
      },
      { signal: never },
    );
  await done(Promise.all(stores.map(count)));
  await clock.advance(10_000);
  return (stores[0]!.load() as StoredSession).generation;
}

// F30
describe('exclusive', () => {
  test('runs the work of one tab at a time', async () => {
    expect(await mostAtOnce(times(4, () => open()))).toBe(1);
    expect(locks.names).toEqual([]);
  });

  test('waits until the tab sees the write of the last holder', async () => {
    expect(await countInTurns(times(4, () => open(new LaggingView(60))))).toBe(4);
  });

  test('waits at most a second for a write that was cleared', async () => {
    await done(open().compareAndSet(undefined, session(1)));
    local.items.clear();
    const began = clock.monotonic();
    await done(open().exclusive!(async () => undefined, { signal: never }));
    expect(clock.monotonic() - began).toBeLessThan(1_100);
  });

  test.each([
    ['a Web Lock', {}],
    ['a claim', { navigator: {} }],
  ])('rejects at once if it is aborted while it waits for %s, and its work is never called', async (_what, globals) => {
    browser(globals);
    const [holder, waiter] = [open(), open()];
    const held = holder.exclusive!(() => clock.pass(3_000), { signal: never });
    await clock.advance(300);
    const controller = new AbortController();
    const work = jest.fn(async () => undefined);
    const waiting = failureOf(waiter.exclusive!(work, { signal: controller.signal }));
    await clock.advance(300);
    controller.abort(new Error('enough'));
    await clock.settle();
    expect((await waiting).message).toBe('enough');
    await done(held);
    await clock.advance(10_000);
    expect(work).not.toHaveBeenCalled();
    expect(clock.pending).toBe(0);
    expect([...local.items.keys()]).toEqual([]);
  });

  // F34
  test('completes its work although its lock was stolen', async () => {
    const work = jest.fn(() => clock.pass(500));
    const result = open().exclusive!(work, { signal: never });
    await clock.advance(100);
    locks.steal(`axios-attach-auth/refresh/${KEY}`);
    await done(result);
    expect(work).toHaveBeenCalledTimes(1);
  });

  test('does not delay a write', async () => {
    const held = open().exclusive!(() => clock.pass(5_000), { signal: never });
    await clock.settle();
    const began = clock.monotonic();
    expect(await done(open().compareAndSet(undefined, session(1)))).toBe(true);
    expect(clock.monotonic() - began).toBeLessThan(100);
    await done(held);
  });

  test('rejects with the error of its work', async () => {
    const work = () => Promise.reject(new Error('mine'));
    await expect(done(open().exclusive!(work, { signal: never }))).rejects.toThrow('mine');
  });
});

test('a frozen tab that holds the write lock delays other writes for a second at most', async () => {
  void locks.request(`axios-attach-auth/write/${KEY}`, {}, () => new Promise(() => undefined));
  const began = clock.monotonic();
  expect(await done(open().compareAndSet(undefined, session(1)))).toBe(true);
  expect(clock.monotonic() - began).toBeLessThan(1_100);
});

// F36
test('a lock works with a stand-in for Web Locks that has no `query`', async () => {
  browser({ navigator: { locks: { request: locks.request.bind(locks) } } });
  let hasRun = false;
  await done(open().exclusive!(async () => void (hasRun = true), { signal: never }));
  expect(hasRun).toBe(true);
  expect(await done(open().compareAndSet(undefined, session(1)))).toBe(true);
});

// F36
describe.each([
  ['are missing', {}],
  ['are forbidden', { locks: { request: async () => forbidden(), query: async () => forbidden() } }],
  ['throw', { locks: { request: forbidden, query: forbidden } }],
])('if Web Locks %s', (_how, navigator) => {
  beforeEach(() => browser({ navigator }));

  test('a claim runs the work of one tab at a time', async () => {
    expect(await mostAtOnce(times(4, () => open(new LaggingView(40))))).toBe(1);
  });

  test('the next tab sees the write of the last one', async () => {
    expect(await countInTurns(times(4, () => open(new LaggingView(40))))).toBe(4);
  });

  test('the claim of a crashed tab expires after five seconds', async () => {
    void open().exclusive!(() => new Promise(() => undefined), { signal: never });
    await clock.advance(200);
    // Its timers die with it.
    clock = new VirtualClock(2);
    const began = clock.monotonic();
    await done(open().exclusive!(async () => undefined, { signal: never }));
    expect(clock.monotonic() - began).toBeGreaterThan(4_500);
    expect(clock.monotonic() - began).toBeLessThan(5_500);
  });

  test('a claim is kept for as long as the work takes', async () => {
    const long = open().exclusive!(() => clock.pass(20_000), { signal: never });
    await clock.advance(1_000);
    const began = clock.monotonic();
    await done(open().exclusive!(async () => undefined, { signal: never }));
    expect(clock.monotonic() - began).toBeGreaterThanOrEqual(18_900);
    await done(long);
    expect(clock.pending).toBe(0);
  });

  test('a claim that expires in the far future delays no tab', async () => {
    local.items.set(`${KEY}.claim`, JSON.stringify({ claimant: 1, until: clock.now() + 3_600_000 }));
    const began = clock.monotonic();
    await done(open().exclusive!(async () => undefined, { signal: never }));
    expect(clock.monotonic() - began).toBeLessThan(200);
  });

  test('at most one of two concurrent compareAndSet() returns true', async () => {
    const [one, other] = [open(new LaggingView(20)), open(new LaggingView(20))];
    const written = await done(
      Promise.all([one.compareAndSet(undefined, session(1, 'a')), other.compareAndSet(undefined, session(1, 'b'))]),
    );
    expect(written.filter(Boolean).length).toBeLessThanOrEqual(1);
  });

  test('a storage that fails does not prevent the work', async () => {
    local.fail = quota;
    expect(await done(open().exclusive!(async () => 'done', { signal: never }))).toBe('done');
  });
});

test('frames of one tab exclude each other by a claim alone', async () => {
  expect(await mostAtOnce(times(3, () => open(ofTab)))).toBe(1);
  expect([...ofTab.items.keys()]).toEqual([]);
});

describe('subscribe', () => {
  const followed = (storage?: FakeStorage) => {
    const onChange = jest.fn();
    return { onChange, unsubscribe: open(storage).subscribe!(onChange) };
  };
  const message = (data: unknown): void => FakeChannel.open.forEach((channel) => channel.onmessage?.({ data }));

  // F41
  test.each(WAKE_UPS)('reports a possible change at %s', (type) => {
    const { onChange } = followed();
    happen(type);
    expect(onChange).toHaveBeenCalledTimes(1);
  });

  test('reports storage events of its key, or of a cleared storage, and of no other storage', () => {
    const { onChange } = followed();
    happen('storage', { key: 'other', storageArea: local });
    happen('storage', { key: KEY, storageArea: ofTab });
    expect(onChange).not.toHaveBeenCalled();
    happen('storage', { key: KEY, storageArea: local });
    happen('storage', { key: null, storageArea: local });
    expect(onChange).toHaveBeenCalledTimes(2);
  });

  // F42
  test('ignores messages without a generation, and posts no token', async () => {
    const { onChange } = followed();
    const garbage = [
      null,
      undefined,
      7,
      'x',
      [],
      {},
      { v: 2, generation: 1 },
      { v: 1 },
      { v: 1, generation: 'x' },
      { v: 1, generation: NaN },
    ];
    for (const data of garbage) message(data);
    expect(onChange).not.toHaveBeenCalled();
    message({ v: 1, generation: 9 });
    expect(onChange).toHaveBeenCalledTimes(1);
    const store = open();
    store.subscribe!(() => undefined);
    await done(store.compareAndSet(undefined, session(3)));
    expect(FakeChannel.posted).toEqual([{ v: 1, generation: 3 }]);
  });

  test('has no listener and no channel before the first listener and after the last', () => {
    const store = open();
    expect([listeners(), FakeChannel.open.size]).toEqual([0, 0]);
    const unsubscribers = times(3, () => store.subscribe!(() => undefined));
    expect([listeners(), FakeChannel.open.size]).toEqual([5, 1]);
    for (const unsubscribe of [...unsubscribers, ...unsubscribers]) unsubscribe();
    expect([listeners(), FakeChannel.open.size]).toEqual([0, 0]);
    store.subscribe!(() => undefined);
    expect([listeners(), FakeChannel.open.size]).toEqual([5, 1]);
  });

  test.each([
    ['missing', undefined],
    [
      'forbidden',
      function () {
        forbidden();
      },
    ],
  ])('reports storage events if BroadcastChannel is %s', async (_how, BroadcastChannel) => {
    browser({ BroadcastChannel });
    const { onChange, unsubscribe } = followed();
    happen('storage', { key: KEY, storageArea: local });
    expect(onChange).toHaveBeenCalledTimes(1);
    expect(await done(open().compareAndSet(undefined, session(1)))).toBe(true);
    unsubscribe();
    expect(listeners()).toBe(0);
  });

  test('does nothing on a server', () => {
    browser({ addEventListener: undefined });
    followed().unsubscribe();
    expect(FakeChannel.open.size).toBe(0);
  });
});

// F69 F72
describe('a write whose page is left', () => {
  test.each(['while it waits for the lock', 'while it waits to see the last write'])(
    '%s is done at once',
    async (when) => {
      await done(open().compareAndSet(undefined, session(1)));
      let release!: () => void;
      const held = new Promise<void>((resolve) => (release = resolve));
      const isLocked = when === 'while it waits for the lock';
      if (isLocked) void locks.request(`axios-attach-auth/write/${KEY}`, {}, () => held);
      else local.items.set(KEY, JSON.stringify(session(0)));
      const write = open().compareAndSet(isLocked ? 1 : 0, session(2));
      await clock.settle();
      expect(open().load()).toEqual(session(isLocked ? 1 : 0));
      happen('pagehide');
      expect(open().load()).toEqual(session(2));
      // The page may come back.
      release();
      expect(await done(write)).toBe(true);
      expect(open().load()).toEqual(session(2));
      expect(listeners()).toBe(0);
    },
  );
});
