import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AxiosInstance } from 'axios';
import type { AuthHandle, BearerScheme } from '../lib/index.js';
import { filePort } from '../lib/stores/file.js';
import { redisPort } from '../lib/stores/redis.js';
import { webStoragePort } from '../lib/stores/web-storage.js';
import type { TokenStore } from '../lib/store.js';
import { FakeClient, FakeRedis } from './support/redis-fake.js';
import { isFull } from './support/rounds.js';
import { times } from './support/series.js';
import { Stage, TOKEN_PATH, underway } from './support/stage.js';
import { FakeLocks, FakeStorage, withGlobals } from './support/web-fakes.js';

/*
 * F130: every limit of a caller, at every store, for slow and lost responses. The servers have a grace period or none. The log of the token
 * endpoint decides.
 */

const DELAYS = [500, 2_000, 8_000, 15_000, 45_000, 'lost'] as const;
const LIMITS = ['timeout', 'refreshTimeoutMs', 'deadlineMs', 'abort', 'detach'] as const;
const STORES = ['memory', 'file', 'web', 'redis'] as const;
const GRACES = [0, 10_000, 30_000] as const;
const LIMIT_MS = 1_000;

const cells = STORES.flatMap((store) =>
  LIMITS.flatMap((limit) => GRACES.flatMap((graceMs) => DELAYS.map((delay) => ({ store, limit, graceMs, delay })))),
);
type Cell = (typeof cells)[number];

let folder: string;
let restore: () => void;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fault-matrix-'));
  restore = withGlobals({ navigator: { locks: new FakeLocks() }, localStorage: new FakeStorage() });
});
afterEach(() => {
  restore();
  rmSync(folder, { recursive: true, force: true });
});

/** Stops virtual time while a real file is read, written or locked. */
function withRealFiles(stage: Stage): (port: TokenStore) => TokenStore {
  let pending = 0;
  let waiters = 0;
  let isHeld = false;
  const isIdle = (): boolean => pending === 0 && (waiters === 0 || isHeld);
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  stage.clock.settle = async () => {
    do await turn();
    while (!isIdle() || !(await turn().then(isIdle)));
  };
  const counted = async <T>(work: () => T | Promise<T>): Promise<T> => {
    pending++;
    try {
      return await work();
    } finally {
      pending--;
    }
  };
  return (port) => ({
    load: () => counted(() => port.load()),
    compareAndSet: (expected, next) => counted(() => port.compareAndSet(expected, next)),
    exclusive: async (work, options) => {
      waiters++;
      let isWaiting = true;
      const stopWaiting = (): void => {
        if (isWaiting) waiters--;
        isWaiting = false;
      };
      try {
        return await port.exclusive!(async () => {
          stopWaiting();
          isHeld = true;
          try {
            return await work();
          } finally {
            isHeld = false;
          }
        }, options);
      } finally {
        stopWaiting();
      }
    },
    subscribe: (onChange) => port.subscribe!(onChange),
  });
}

function portsFor(stage: Stage, store: Cell['store']): () => TokenStore | undefined {
  const { clock } = stage;
  if (store === 'file') {
    const counted = withRealFiles(stage);
    return () => counted(filePort(join(folder, 'session.json')));
  }
  if (store === 'web') return () => webStoragePort('session', {}, clock);
  const redis = new FakeRedis(clock);
  return () => (store === 'redis' ? redisPort(new FakeClient(redis), 's', undefined, clock) : undefined);
}

interface Holder {
  readonly api: AxiosInstance;
  readonly scheme: BearerScheme;
  handle: AuthHandle;
}

async function run({ store, limit, graceMs, delay }: Cell) {
  const stage = new Stage();
  stage.tokens.graceMs = graceMs;
  if (delay === 'lost') stage.script(TOKEN_PATH, { fault: 'reset' });
  else stage.refreshMs = delay;
  const tokens = stage.tokens.issueDead();
  const port = portsFor(stage, store);
  const attach = (scheme: BearerScheme, api: AxiosInstance): AuthHandle =>
    stage.attach({ scheme, ...(limit === 'deadlineMs' && { deadlineMs: LIMIT_MS }) }, api);
  const holders = times(store === 'memory' ? 1 : 2, (): Holder => {
    const api = stage.instance(limit === 'timeout' ? { timeout: LIMIT_MS } : {});
    const scheme = stage.bearer({
      tokens,
      store: port(),
      ...(limit === 'refreshTimeoutMs' && { refreshTimeoutMs: LIMIT_MS }),
    });
    return { api, scheme, handle: attach(scheme, api) };
  });
  const controller = new AbortController();
  const settledAt: number[] = [];
  const calls = holders.map(({ api }) =>
    underway(api.get('/item', { signal: controller.signal }).finally(() => settledAt.push(stage.clock.monotonic()))),
  );
  await stage.clock.advance(LIMIT_MS);
  if (limit === 'abort') controller.abort();
  if (limit === 'detach') for (const { handle } of holders) handle.detach();
  await stage.clock.advance(70_000);
  await stage.settled(calls);
  if (limit === 'detach') for (const holder of holders) holder.handle = attach(holder.scheme, holder.api);
  // The next response is prompt. The test is about the first one.
  stage.refreshMs = 50;
  const last = [];
  for (const { api } of holders) last.push(await stage.outcome(api.get('/item')));
  const asks = stage.tokens.asks.map(({ outcome }) => outcome);
  const statuses = holders.map(({ scheme }) => scheme.getSnapshot().status);
  const expiries = stage.eventsOf('session-expired').length;
  for (const { handle } of holders) handle.detach();
  await stage.clock.settle();
  return { last, asks, statuses, expiries, settledAt, holders: holders.length, timers: stage.clock.pending };
}

test(`there are ${String(cells.length)} cells`, () => {
  expect(cells.length).toBeGreaterThanOrEqual(200);
});

describe.each(STORES)('at a session in %s', (store) => {
  describe.each(LIMITS)('callers that end by %s', (limit) => {
    const all = cells.filter((cell) => cell.store === store && cell.limit === limit);
    const rows = all.filter(({ delay }, index) => isFull || delay === 'lost' || index % 5 === 0);

    test.each(rows.filter(({ delay }) => delay !== 'lost'))(
      'after $delay ms, with a grace of $graceMs ms: one request, and its tokens are used by all',
      async (cell) => {
        const { last, asks, statuses, expiries, settledAt, holders, timers } = await run(cell);
        expect(asks).toEqual(['issued']);
        // A holder without a notification gets a 401, and finds the tokens in the store.
        expect(last).toMatchObject(times(holders, () => ({ status: 200 })));
        expect(statuses).toEqual(times(holders, () => 'signed-in'));
        expect({ expiries, timers }).toEqual({ expiries: 0, timers: 0 });
        if (limit === 'timeout') return;
        // The limit holds, but for the time that a store needs to lock and read.
        for (const at of settledAt) expect(at).toBeLessThanOrEqual(Math.min(Number(cell.delay), LIMIT_MS) + 400);
      },
    );

    test.each(rows.filter(({ delay, graceMs }) => delay === 'lost' && graceMs > 0))(
      'a lost response, with a grace of $graceMs ms: the refresh is repeated at once, and the session continues',
      async (cell) => {
        const { last, asks, expiries, holders } = await run(cell);
        expect(asks).toEqual(['issued', 'again']);
        expect(last).toMatchObject(times(holders, () => ({ status: 200 })));
        expect(expiries).toBe(0);
      },
    );

    test.each(rows.filter(({ delay, graceMs }) => delay === 'lost' && graceMs === 0))(
      'a lost response, without a grace: the session ends, once for each holder',
      async (cell) => {
        const { asks, statuses, expiries, holders } = await run(cell);
        expect(asks).toEqual(['issued', 'reused']);
        expect(statuses).toEqual(times(holders, () => 'expired'));
        expect(expiries).toBeLessThanOrEqual(holders);
      },
    );
  });
});
