import type { AxiosInstance } from 'axios';
import { createThrottle } from '../lib/create-throttle.js';
import { basic, type AuthEvent, type AuthScheme, type SharedCooldown } from '../lib/index.js';
import { times } from './support/series.js';
import { ORIGIN, Stage, tooMany, underway } from './support/stage.js';

/** The closed limits that machines share, after a delay. */
class Board {
  readonly closedUntil = new Map<string, number>();
  readonly asked: string[] = [];
  readonly closings: [key: string, forMs: number][] = [];
  readonly listeners = new Set<(key: string, forMs: number) => void>();

  constructor(
    readonly stage: Stage,
    readonly delayMs = 5,
  ) {}

  get now(): number {
    return this.stage.clock.monotonic();
  }

  /** The port of one machine. */
  port({ subscribes = true }: { subscribes?: boolean } = {}): SharedCooldown {
    return {
      close: async (key, forMs) => {
        this.closings.push([key, forMs]);
        await this.stage.clock.pass(this.delayMs);
        this.closedUntil.set(key, Math.max(this.closedUntil.get(key) ?? 0, this.now + forMs));
        for (const listener of this.listeners) listener(key, forMs);
      },
      closedForMs: async (key) => {
        this.asked.push(key);
        await this.stage.clock.pass(this.delayMs);
        return (this.closedUntil.get(key) ?? 0) - this.now;
      },
      ...(subscribes && {
        subscribe: (onClosed: (key: string, forMs: number) => void) => {
          this.listeners.add(onClosed);
          return () => void this.listeners.delete(onClosed);
        },
      }),
    };
  }
}

function machine(
  stage: Stage,
  shared: SharedCooldown,
  more: object = {},
): { api: AxiosInstance; events: AuthEvent[]; detach: () => void } {
  const api = stage.instance();
  const events: AuthEvent[] = [];
  const scheme = basic({ username: 'service', password: 'secret' });
  const onEvent = (event: AuthEvent): void => void events.push(event);
  const { detach } = stage.attach({ scheme, onEvent, throttle: { keyOf: () => 'upstream', shared, ...more } }, api);
  return { api, events, detach };
}

describe.each([
  ['that publishes closed limits', true],
  ['without subscribe()', false],
])('machines with a store %s', (_, subscribes) => {
  // F149
  test('obey a closed limit of another machine after one of their own', async () => {
    const stage = new Stage();
    const board = new Board(stage);
    const [first, second] = times(2, () => machine(stage, board.port({ subscribes })));
    for (const { api } of [first!, second!]) {
      stage.script('/open/x', tooMany(2));
      expect(await stage.outcome(api.get('/open/x'))).toMatchObject({ status: 200 });
      await stage.clock.advance(20_000);
    }
    stage.script('/open/x', tooMany(10));
    const refused = underway(second!.api.get('/open/x'));
    await stage.clock.advance(50);
    const from = board.now;
    await stage.outcome(first!.api.get('/open/x'));
    await stage.outcome(refused);
    const since = stage.to('/open/x').filter(({ at }) => at > from);
    expect(since).toHaveLength(2);
    for (const { at } of since) expect(at).toBeGreaterThan(from + 9_000);
  });

  test('obey a Retry-After that one of them got', async () => {
    const stage = new Stage();
    const board = new Board(stage);
    const machines = times(5, () => machine(stage, board.port({ subscribes })));
    await stage.outcomes(machines.map(({ api }) => api.get('/open/warm-up')));
    stage.script('/open/x', tooMany(10));
    const calls = [underway(machines[0]!.api.get('/open/x'))];
    await stage.clock.advance(50);
    calls.push(...machines.map(({ api }) => underway(api.get('/open/x'))));
    expect((await stage.outcomes(calls)).every(({ status }) => status === 200)).toBe(true);
    const [refused, ...others] = stage.to('/open/x');
    for (const { at } of others) expect(at).toBeGreaterThanOrEqual(refused!.at + 10_000);
    expect(others).toHaveLength(6);
  });

  test('obey a Retry-After if they start later, too', async () => {
    const stage = new Stage();
    const board = new Board(stage);
    const first = machine(stage, board.port({ subscribes }));
    stage.script('/open/x', tooMany(10));
    const call = underway(first.api.get('/open/x'));
    await stage.clock.advance(3_000);
    const late = machine(stage, board.port({ subscribes }));
    await stage.outcomes([call, late.api.get('/open/y')]);
    expect(stage.to('/open/y')[0]!.at).toBeGreaterThanOrEqual(10_010);
    expect(late.events.map(({ type }) => type)).toEqual(['throttled', 'resumed']);
  });

  test('hold back all calls that begin before the store has answered', async () => {
    const stage = new Stage();
    const board = new Board(stage);
    const first = machine(stage, board.port({ subscribes }));
    stage.script('/open/x', tooMany(10));
    const calls = [underway(first.api.get('/open/x'))];
    await stage.clock.advance(3_000);
    const { api } = machine(stage, board.port({ subscribes }));
    calls.push(...times(5, () => underway(api.get('/open/y'))));
    await stage.outcomes(calls);
    expect(stage.to('/open/y')).toHaveLength(5);
    for (const { at } of stage.to('/open/y')) expect(at).toBeGreaterThanOrEqual(10_010);
  });

  test('read the store once for a key if it publishes, else before each call', async () => {
    const stage = new Stage();
    const board = new Board(stage);
    const { api } = machine(stage, board.port({ subscribes }));
    for (let call = 0; call < 3; call++) await stage.outcome(api.get('/open/x'));
    expect(board.asked).toHaveLength(subscribes ? 1 : 3);
  });
});

test('only the Retry-After of a server is shared, once for a burst', async () => {
  const stage = new Stage();
  const board = new Board(stage);
  const { api } = machine(stage, board.port());
  stage.script('/open/x', ...times(20, () => tooMany(10)));
  await stage.outcomes(times(20, () => api.get('/open/x')));
  expect(board.closings).toEqual([['upstream', 10_000]]);
  stage.script('/open/x', { status: 429 });
  await stage.outcome(api.get('/open/x'));
  expect(board.closings).toHaveLength(1);
});

test('learned keys are shared, too', async () => {
  const stage = new Stage();
  const board = new Board(stage);
  const [one, two] = times(2, () => machine(stage, board.port(), { keyOf: undefined }));
  for (const path of ['/open/a', '/open/b']) stage.script(path, tooMany(10));
  const calls = ['/open/a', '/open/b'].map((path) => underway(one!.api.get(path)));
  await stage.clock.advance(100);
  expect(board.closings.map(([key]) => key)).toEqual([`${ORIGIN}/open/a`, ORIGIN]);
  calls.push(underway(two!.api.get('/open/c')));
  await stage.outcomes(calls);
  expect(stage.to('/open/c')[0]!.at).toBeGreaterThanOrEqual(10_010);
});

test.each<[string, SharedCooldown, firstWaitsMs: number]>([
  ['throws', { close: fail, closedForMs: fail, subscribe: fail }, 0],
  [
    'rejects',
    { close: () => Promise.reject(new Error('away')), closedForMs: () => Promise.reject(new Error('away')) },
    0,
  ],
  [
    'never answers',
    { close: () => new Promise(() => undefined), closedForMs: () => new Promise(() => undefined) },
    2_000,
  ],
  ['answers nonsense', { close: () => undefined, closedForMs: () => 'soon' as unknown as number }, 0],
])('with a store that %s a machine throttles alone', async (_, store, firstWaitsMs) => {
  const stage = new Stage();
  const { api, detach } = machine(stage, store);
  expect(await stage.outcome(api.get('/open/x'))).toMatchObject({ status: 200, waitedMs: firstWaitsMs });
  expect(await stage.outcome(api.get('/open/x'))).toMatchObject({ status: 200, waitedMs: 0 });
  stage.script('/open/x', tooMany(10));
  const from = stage.clock.monotonic();
  expect(await stage.outcome(api.get('/open/x'))).toMatchObject({ status: 200, attempts: 2 });
  expect(stage.clock.monotonic() - from).toBeGreaterThanOrEqual(10_000);
  detach();
  expect(stage.clock.pending).toBe(0);
});

test('the wait for a store ends if the call aborts', async () => {
  const stage = new Stage();
  const { api } = machine(stage, { close: () => undefined, closedForMs: () => new Promise(() => undefined) });
  const controller = new AbortController();
  const call = underway(api.get('/open/x', { signal: controller.signal }));
  await stage.clock.advance(500);
  controller.abort();
  expect(await stage.outcome(call)).toMatchObject({ code: 'ERR_CANCELED', attempts: 0 });
  expect(stage.clock.monotonic()).toBe(500);
});

test('detach() ends the subscription', async () => {
  const stage = new Stage();
  const board = new Board(stage);
  const machines = times(3, () => machine(stage, board.port()));
  await stage.outcomes(machines.map(({ api }) => api.get('/open/x')));
  expect(board.listeners.size).toBe(3);
  for (const { detach } of machines) detach();
  expect(board.listeners.size).toBe(0);
});

test('detach() ends the subscriptions of all users of an instance, and the timers of their events', async () => {
  const stage = new Stage();
  const board = new Board(stage);
  const users = times(3, (user) => basic({ username: `user${String(user)}`, password: 'secret' }));
  let user = 0;
  const scheme = (): AuthScheme => users[user]!;
  const shared = board.port();
  const handles = [{ shared }, createThrottle({ shared }, stage.clock)].map((throttle) => {
    const api = stage.instance();
    return { api, ...stage.attach({ scheme, throttle, onEvent: () => undefined, retry: false }, api) };
  });
  const own = stage.instance();
  const { detach } = stage.attach({ scheme: users[0]!, throttle: { shared } }, own);
  await stage.outcome(own.get('/open/x', { attachAuth: { scheme } }));
  for (user of [0, 1, 2]) {
    stage.script('/open/x', ...times(2, () => tooMany(10)));
    await stage.outcomes(handles.map(({ api }) => api.get('/open/x')));
    await stage.clock.advance(20_000);
  }
  expect(board.listeners.size).toBe(3 + 1 + 1);
  stage.script('/open/x', ...times(2, () => tooMany(10)));
  await stage.outcomes(handles.map(({ api }) => api.get('/open/x')));
  for (const handle of [...handles, { detach }]) handle.detach();
  expect({ listeners: board.listeners.size, timers: stage.clock.pending }).toEqual({ listeners: 0, timers: 0 });
});

test('an infinite closed time is shared as 24 h', async () => {
  const stage = new Stage();
  const board = new Board(stage);
  const { api } = machine(stage, board.port());
  stage.script('/open/x', { status: 429, headers: { 'retry-after': '9'.repeat(16) } });
  await stage.outcome(api.get('/open/x'));
  expect(board.closings).toEqual([['upstream', 24 * 3_600_000]]);
});

test('without WeakRef the Retry-After of other machines is obeyed, too', async () => {
  const { WeakRef } = globalThis;
  const stage = new Stage();
  const board = new Board(stage);
  const [one, two] = times(2, () => machine(stage, board.port()));
  Reflect.deleteProperty(globalThis, 'WeakRef');
  try {
    stage.script('/open/x', tooMany(10));
    const call = underway(one!.api.get('/open/x'));
    await stage.clock.advance(100);
    await stage.outcomes([call, two!.api.get('/open/y')]);
  } finally {
    globalThis.WeakRef = WeakRef;
  }
  expect(stage.to('/open/y')[0]!.at).toBeGreaterThanOrEqual(10_000);
});

function fail(): never {
  throw new Error('away');
}
