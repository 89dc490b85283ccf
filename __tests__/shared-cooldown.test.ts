import type { AxiosInstance } from 'axios';
import { basic, type AuthEvent, type SharedCooldown } from '../lib/index.js';
import { times } from './support/series.js';
import { ORIGIN, Stage, tooMany, underway } from './support/stage.js';

/** Where machines share closed limits, after a delay. */
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
  ['that has to be asked', false],
])('machines with a store %s', (_, subscribes) => {
  test('obey the one Retry-After that one of them got', async () => {
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

  test('that start later obey it, too', async () => {
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

  test('are asked once for a key, or before each call', async () => {
    const stage = new Stage();
    const board = new Board(stage);
    const { api } = machine(stage, board.port({ subscribes }));
    for (let call = 0; call < 3; call++) await stage.outcome(api.get('/open/x'));
    expect(board.asked).toHaveLength(subscribes ? 1 : 3);
  });
});

test('what is shared are the closed times that the server named, once for a burst', async () => {
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
])('of a store that %s only the sharing is lost', async (_, store, firstWaitsMs) => {
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

test('the wait for a store ends with the call’s signal', async () => {
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

test('closed limits of others are obeyed where there is no WeakRef', async () => {
  const { WeakRef: original } = globalThis;
  Reflect.deleteProperty(globalThis, 'WeakRef');
  try {
    const stage = new Stage();
    const board = new Board(stage);
    const { api, detach } = machine(stage, board.port());
    await stage.outcome(api.get('/open/warm-up'));
    for (const listener of board.listeners) listener('upstream', 10_000);
    expect(await stage.outcome(api.get('/open/x'))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.clock.monotonic()).toBeGreaterThanOrEqual(10_000);
    detach();
  } finally {
    Object.assign(globalThis, { WeakRef: original });
  }
});

function fail(): never {
  throw new Error('away');
}
