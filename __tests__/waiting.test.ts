import axios, { type AxiosRequestConfig } from 'axios';
import { signed, type AuthHandle, type BearerScheme } from '../lib/index.js';
import { memoryPort } from './support/memory-port.js';
import type { TokenStore } from '../lib/store.js';
import { expired, listeners, listenersOf, refreshing, scenes, throttled, type Scene } from './support/scenes.js';
import { times } from './support/series.js';
import { reasonOf, Stage, summaryOf, TOKEN_PATH, tooMany, unauthorized, underway } from './support/stage.js';
import { MORNING } from './support/virtual-clock.js';

/** No timer is left once all calls have settled. */
async function leavesNothing({ stage, handle }: Scene): Promise<void> {
  await stage.clock.advance(60_000);
  expect(stage.clock.pending).toBe(0);
  handle.detach();
  expect(stage.clock.pending).toBe(0);
}

// F57 F58 F59 F60
describe.each(scenes)('a call that waits for %s', (_, scene) => {
  test('rejects at once if its signal aborts, and no other call does', async () => {
    const at = scene();
    const { stage, call, afterMs, answered } = at;
    const controller = new AbortController();
    const calls = [
      underway(call({ signal: controller.signal })),
      underway(call()),
      underway(call({ signal: new AbortController().signal })),
    ];
    await stage.clock.advance(afterMs);
    controller.abort();
    const settled = await stage.clock.until(calls[0]!);
    expect(stage.clock.monotonic()).toBe(afterMs);
    expect(summaryOf(settled)).toMatchObject({ code: 'ERR_CANCELED', attempts: answered === undefined ? 0 : 1 });
    expect(axios.isCancel(reasonOf(settled))).toBe(true);
    expect(listeners(controller.signal)).toBe(0);
    expect(await stage.outcomes(calls.slice(1))).toMatchObject([{ status: 200 }, { status: 200 }]);
    await leavesNothing(at);
  });

  test('rejects at once if its CancelToken cancels, and no other call does', async () => {
    const at = scene();
    const { stage, call, afterMs } = at;
    const source = axios.CancelToken.source();
    const calls = [underway(call({ cancelToken: source.token })), underway(call())];
    await stage.clock.advance(afterMs);
    source.cancel('enough');
    const [settled] = await stage.settled([calls[0]!]);
    expect(stage.clock.monotonic()).toBe(afterMs);
    expect(reasonOf(settled!)).toMatchObject({ code: 'ERR_CANCELED', message: 'enough' });
    expect(listenersOf(source)).toBe(0);
    expect(await stage.outcome(calls[1]!)).toMatchObject({ status: 200 });
    await leavesNothing(at);
  });

  test('and succeeds leaves no listener on its signal and CancelToken', async () => {
    const at = scene();
    const { stage, call, afterMs } = at;
    const { signal } = new AbortController();
    const source = axios.CancelToken.source();
    const calls = [underway(call({ signal })), underway(call({ cancelToken: source.token }))];
    await stage.clock.advance(afterMs);
    expect([listeners(signal), listenersOf(source)]).toEqual([1, 1]);
    expect(await stage.outcomes(calls)).toMatchObject([{ status: 200 }, { status: 200 }]);
    expect([listeners(signal), listenersOf(source)]).toEqual([0, 0]);
    await leavesNothing(at);
  });

  test('rejects at once at detach()', async () => {
    const at = scene();
    const { stage, call, handle, afterMs, answered } = at;
    const { signal } = new AbortController();
    const calls = times(5, () => underway(call({ signal })));
    await stage.clock.advance(afterMs);
    handle.detach();
    const settled = await stage.settled(calls);
    expect(stage.clock.monotonic()).toBe(afterMs);
    for (const one of settled) {
      expect(reasonOf(one)).toMatchObject({ name: 'AuthError', code: 'ERR_AUTH_DETACHED' });
      expect(reasonOf(one).response?.status).toBe(answered);
    }
    expect(listeners(signal)).toBe(0);
    expect(stage.clock.holding).toBe(0);
    const sent = stage.calls.length;
    await leavesNothing(at);
    expect(stage.calls).toHaveLength(sent);
  });

  test('rejects at once at signOut()', async () => {
    const at = scene();
    const { stage, scheme, call, afterMs, answered } = at;
    const { signal } = new AbortController();
    const calls = times(5, () => underway(call({ signal })));
    await stage.clock.advance(afterMs);
    void scheme.signOut();
    const settled = await stage.settled(calls);
    expect(stage.clock.monotonic()).toBe(afterMs);
    for (const one of settled) {
      expect(reasonOf(one)).toMatchObject({ name: 'AuthError', code: 'ERR_AUTH_SESSION_CHANGED' });
      expect(reasonOf(one).response?.status).toBe(answered);
    }
    expect(listeners(signal)).toBe(0);
    await leavesNothing(at);
  });

  test('settles at its deadline, and no other call does', async () => {
    const at = scene();
    const { stage, call, afterMs, answered, beginsAtMs = 0 } = at;
    const calls = [underway(call({ attachAuth: { deadlineMs: afterMs + 100 } })), underway(call())];
    const outcome = await stage.outcome(calls[0]!);
    expect(stage.clock.monotonic()).toBeLessThanOrEqual(beginsAtMs + afterMs + 110);
    if (answered === undefined) {
      expect(['ERR_AUTH_DEADLINE', 'ERR_AUTH_THROTTLED']).toContain(outcome.code);
      expect(outcome.attempts).toBe(0);
    } else {
      expect(outcome).toMatchObject({ status: answered, attempts: 1, reason: 'deadline' });
      expect(outcome.code).not.toMatch(/^ERR_AUTH/);
    }
    expect(await stage.outcome(calls[1]!)).toMatchObject({ status: 200 });
    await leavesNothing(at);
  });

  test('keeps the process alive until it has settled', async () => {
    const at = scene();
    const { stage, call, afterMs } = at;
    const waiting = underway(call());
    await stage.clock.advance(afterMs);
    expect(stage.clock.holding).toBeGreaterThan(0);
    expect(await stage.outcome(waiting)).toMatchObject({ status: 200 });
    expect(stage.clock.holding).toBe(0);
  });
});

describe('a call that was cancelled before it began', () => {
  const cancelled: [string, () => AxiosRequestConfig][] = [
    ['signal', () => ({ signal: AbortSignal.abort() })],
    [
      'CancelToken',
      () => {
        const source = axios.CancelToken.source();
        source.cancel();
        return { cancelToken: source.token };
      },
    ],
  ];
  test.each(cancelled)('is never sent, and starts no refresh (%s)', async (_, config) => {
    for (const scene of [refreshing, expired]) {
      const { stage, call } = scene();
      expect(await stage.outcome(call(config()))).toMatchObject({ code: 'ERR_CANCELED' });
      expect(stage.clock.monotonic()).toBe(0);
      expect(stage.sent).toEqual([]);
      expect(stage.clock.pending).toBe(0);
    }
  });

  test('is not refreshed if an earlier response handler aborts it', async () => {
    const stage = new Stage();
    const controller = new AbortController();
    stage.api.interceptors.response.use(undefined, (error: unknown) => {
      controller.abort();
      throw error;
    });
    stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issueDead() }) });
    expect(await stage.outcome(stage.api.get('/item', { signal: controller.signal }))).toMatchObject({
      code: 'ERR_CANCELED',
      attempts: 1,
    });
    expect(stage.clock.monotonic()).toBe(10);
  });

  test.each(cancelled)('is not sent while other calls are queued (%s)', async (_, config) => {
    const { stage } = throttled();
    const first = underway(stage.api.get('/item'));
    await stage.clock.advance(1_000);
    expect(await stage.outcome(stage.api.get('/item', config()))).toMatchObject({ code: 'ERR_CANCELED' });
    expect(stage.clock.monotonic()).toBe(1_000);
    expect(await stage.outcome(first)).toMatchObject({ status: 200 });
  });
});

describe('one call through 401, refresh, 503 and 429', () => {
  /** Sends at 0, 60, 320 and 1455 ms; each is on the wire for 10 ms. */
  function eventful(deadlineMs?: number): {
    stage: Stage;
    scheme: BearerScheme;
    handle: AuthHandle;
    make: (config?: AxiosRequestConfig) => Promise<unknown>;
  } {
    const { stage, scheme, handle } = Stage.with({
      tokens: (endpoint) => endpoint.issueDead(),
      ...(deadlineMs !== undefined && { attach: { deadlineMs } }),
    });
    stage.clock.chance = 0.5;
    stage.script('/item', unauthorized(), 503, tooMany(1));
    return { stage, scheme, handle, make: (config) => underway(stage.api.get('/item', config)) };
  }
  const instants = [
    0, 5, 10, 11, 30, 59, 60, 65, 70, 71, 200, 319, 320, 325, 330, 331, 700, 1_400, 1_455, 1_460, 1_465, 1_500,
  ];
  const isOnTheWire = (stage: Stage, at: number): boolean =>
    stage.calls.some((sent) => sent.at <= at && at < sent.at + 10);

  test('is sent four times', async () => {
    const { stage, make } = eventful();
    expect(await stage.outcome(make())).toMatchObject({ status: 200, attempts: 4, refreshed: true });
    expect(stage.to('/item').map(({ at }) => at)).toEqual([0, 60, 320, 1_455]);
  });

  test.each(instants)('rejects at once if its caller aborts after %i ms', async (at) => {
    for (const kind of ['signal', 'cancelToken'] as const) {
      const { stage, handle, make } = eventful();
      const controller = new AbortController();
      const source = axios.CancelToken.source();
      const call = make(kind === 'signal' ? { signal: controller.signal } : { cancelToken: source.token });
      await stage.clock.advance(at);
      const isOver = stage.to('/item').length === 4 && stage.clock.monotonic() >= 1_465;
      controller.abort();
      source.cancel();
      const outcome = await stage.outcome(call);
      expect(outcome.code ?? outcome.status).toBe(isOver ? 200 : 'ERR_CANCELED');
      expect(stage.clock.monotonic()).toBe(at);
      expect([listeners(controller.signal), listenersOf(source)]).toEqual([0, 0]);
      await stage.clock.advance(10_000);
      expect(stage.clock.pending).toBe(0);
      handle.detach();
    }
  });

  test.each(instants)('rejects at detach() after %i ms, or settles with the response in flight', async (at) => {
    const { stage, handle, make } = eventful();
    const call = make();
    await stage.clock.advance(at);
    const sent = stage.to('/item').length;
    const isSettling = isOnTheWire(stage, at);
    handle.detach();
    const outcome = await stage.outcome(call);
    expect(stage.to('/item')).toHaveLength(sent);
    if (sent === 4) expect(outcome).toMatchObject({ status: 200 });
    else if (isSettling)
      expect(outcome).toMatchObject({
        status: [401, 503, 429][sent - 1],
        code: expect.stringMatching(/^ERR_BAD/) as string,
      });
    else {
      expect(outcome).toMatchObject({ code: 'ERR_AUTH_DETACHED', status: [401, 503, 429][sent - 1] });
      expect(stage.clock.monotonic()).toBe(at);
    }
    await stage.clock.advance(10_000);
    expect(stage.clock.pending).toBe(0);
  });

  test.each(instants)('rejects at signOut() after %i ms, unless a 200 is in flight', async (at) => {
    const { stage, scheme, make } = eventful();
    const call = make();
    await stage.clock.advance(at);
    const sent = stage.to('/item').length;
    const isSettling = isOnTheWire(stage, at);
    await scheme.signOut();
    const outcome = await stage.outcome(call);
    expect(stage.to('/item')).toHaveLength(sent);
    expect(outcome.code ?? outcome.status).toBe(sent === 4 ? 200 : 'ERR_AUTH_SESSION_CHANGED');
    if (!isSettling) expect(stage.clock.monotonic()).toBe(at);
    await stage.clock.advance(10_000);
    expect(stage.clock.pending).toBe(0);
  });

  test.each(instants.slice(1))('has settled at a deadline of %i ms', async (deadlineMs) => {
    const { stage, make } = eventful(deadlineMs);
    const outcome = await stage.outcome(make());
    expect(stage.clock.monotonic()).toBeLessThanOrEqual(deadlineMs + 10);
    expect(stage.to('/item').every(({ at }) => at < deadlineMs)).toBe(true);
    const { attempts = 0 } = outcome;
    expect(outcome).toMatchObject(
      attempts === 4 ? { status: 200 } : { status: [401, 503, 429][attempts - 1], reason: 'deadline' },
    );
    expect(outcome.code ?? '').not.toMatch(/^ERR_AUTH/);
    await stage.clock.advance(10_000);
    expect(stage.clock.pending).toBe(0);
  });
});

// F60
describe('the signal of an AuthRequest', () => {
  test.each<[string, (ending: { controller: AbortController; handle: AuthHandle; stage: Stage }) => unknown, string]>([
    ['its caller', ({ controller }) => controller.abort(), 'ERR_CANCELED'],
    ['detach()', ({ handle }) => handle.detach(), 'ERR_AUTH_DETACHED'],
    ['the deadline', ({ stage }) => stage.clock.advance(5_000), 'ERR_AUTH_DEADLINE'],
  ])('aborts with %s during authorize()', async (_, end, code) => {
    const stage = new Stage();
    const seen: AbortSignal[] = [];
    const scheme = signed(({ signal }) => {
      seen.push(signal);
      return new Promise(() => undefined);
    });
    const handle = stage.attach({ scheme, deadlineMs: 5_000 });
    const controller = new AbortController();
    const call = underway(stage.api.get('/item', { signal: controller.signal }));
    await stage.clock.advance(100);
    expect(seen.map(({ aborted }) => aborted)).toEqual([false]);
    await end({ controller, handle, stage });
    expect(reasonOf(await stage.clock.until(call)).code).toBe(code);
    expect(seen.map(({ aborted }) => aborted)).toEqual([true]);
    expect(stage.sent).toEqual([]);
  });

  test.each<[string, (ending: { controller: AbortController; handle: AuthHandle; stage: Stage }) => unknown]>([
    ['its caller', ({ controller }) => controller.abort()],
    ['detach()', ({ handle }) => handle.detach()],
    ['the deadline', ({ stage }) => stage.clock.advance(5_000)],
  ])('aborts with %s while the request is on the wire, and leaves nothing behind', async (_, end) => {
    const stage = new Stage();
    const seen: AbortSignal[] = [];
    const scheme = signed(({ signal }) => {
      seen.push(signal);
      return {};
    });
    const handle = stage.attach({ scheme, deadlineMs: 5_000 });
    const controller = new AbortController();
    stage.always('/open/slow', { afterMs: 10_000 });
    const first = stage.api.get('/open/fast');
    await stage.settled([first]);
    expect(stage.clock.pending).toBe(0);
    const call = underway(stage.api.get('/open/slow', { signal: controller.signal }));
    await stage.clock.advance(100);
    expect(seen.map(({ aborted }) => aborted)).toEqual([false, false]);
    await end({ controller, handle, stage });
    await stage.clock.settle();
    expect(seen.map(({ aborted }) => aborted)).toEqual([false, true]);
    expect(await stage.outcome(call)).toMatchObject({ attempts: 1, waitedMs: 0 });
    expect(stage.clock.pending).toBe(0);
  });

  test('has aborted already if the scheme reads it after the deadline', async () => {
    const stage = new Stage();
    const reasons: unknown[] = [];
    const scheme = signed(async (request) => {
      await new Promise<void>((resolve) => stage.clock.later(2_000, resolve));
      reasons.push(request.signal.reason);
      return {};
    });
    stage.attach({ scheme, deadlineMs: 1_000 });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_DEADLINE' });
    await stage.clock.advance(1_000);
    expect(reasons).toMatchObject([{ code: 'ERR_AUTH_DEADLINE' }]);
  });
});

describe('detach()', () => {
  test('lets calls in flight settle with their own responses', async () => {
    const { stage, handle } = Stage.with({});
    stage.script('/bad', unauthorized());
    stage.script('/busy', tooMany(1));
    const calls = [
      stage.api.get('/item'),
      stage.api.get('/bad'),
      stage.api.get('/busy'),
      stage.api.get('/status/503'),
    ].map(underway);
    await stage.clock.advance(5);
    handle.detach();
    expect((await stage.outcomes(calls)).map(({ status, attempts }) => [status, attempts])).toEqual([
      [200, 1],
      [401, 1],
      [429, 1],
      [503, 1],
    ]);
    expect(stage.tokens.refreshes).toBe(0);
    expect(stage.clock.pending).toBe(0);
  });

  test('leaves a plain instance, and a session that works for other instances', async () => {
    const { stage, scheme, handle } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    const other = stage.instance();
    stage.attach({ scheme }, other);
    const [mine, theirs] = [underway(stage.api.get('/item')), underway(other.get('/item'))];
    await stage.clock.advance(20);
    handle.detach();
    expect(await stage.outcome(mine)).toMatchObject({ code: 'ERR_AUTH_DETACHED' });
    expect(await stage.outcome(theirs)).toMatchObject({ status: 200, attempts: 2 });
    expect(await stage.outcome(stage.api.get('/item'))).toEqual({ status: 401, code: 'ERR_BAD_REQUEST' });
    expect(stage.calls.at(-1)?.token).toBeUndefined();
  });

  test('leaves no handler and no timer after ten thousand rounds', () => {
    const { stage, scheme, handle } = Stage.with({});
    handle.detach();
    for (let round = 0; round < 10_000; round++) stage.attach({ scheme }).detach();
    for (const which of ['request', 'response'] as const) {
      let live = 0;
      (stage.api.interceptors[which] as unknown as { forEach: (visit: () => void) => void }).forEach(() => live++);
      expect(live).toBe(0);
    }
    expect(stage.clock.pending).toBe(0);
  });
});

// F61
describe('many calls with one signal', () => {
  test('leave no listener on it, whether they succeed or abort', async () => {
    const controller = new AbortController();
    const { stage } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    stage.clock.chance = 0.5;
    stage.script('/item', 503, 503, tooMany(1));
    const calls = times(200, () => underway(stage.api.get('/item', { signal: controller.signal })));
    await stage.clock.advance(20);
    expect(listeners(controller.signal)).toBeGreaterThan(100);
    expect((await stage.outcomes(calls)).every(({ status }) => status === 200)).toBe(true);
    expect(listeners(controller.signal)).toBe(0);
    stage.tokens.revokeAll();
    const others = times(200, () => underway(stage.api.get('/item', { signal: controller.signal })));
    await stage.clock.advance(20);
    controller.abort();
    expect((await stage.outcomes(others)).every(({ code }) => code === 'ERR_CANCELED')).toBe(true);
    expect(listeners(controller.signal)).toBe(0);
    await stage.clock.advance(10_000);
    expect(stage.clock.pending).toBe(0);
  });
});

describe('the process is kept alive', () => {
  test('by no closed key, early refresh or cool-down without a waiting call', async () => {
    const { stage, scheme } = Stage.with({ expiresIn: 1_000 });
    scheme.getSnapshot();
    stage.script('/busy', tooMany(600));
    expect(await stage.outcome(stage.api.get('/busy'))).toMatchObject({ status: 429 });
    expect(stage.clock.holding).toBe(0);
    stage.always(TOKEN_PATH, { fault: 'silence' });
    await stage.clock.advance(960_000);
    await stage.outcome(stage.api.get('/item'));
    expect(stage.tokens.refreshes).toBe(1);
    expect(stage.clock.holding).toBe(0);
  });

  test.each(['refresh', 'getAccessToken'] as const)('by a pending %s()', async (what) => {
    const { stage, scheme } = Stage.with({ tokens: (endpoint) => ({ ...endpoint.issue(), expires_in: 0 }) });
    const waiting = underway<unknown>(scheme[what]());
    await stage.clock.advance(10);
    expect(stage.clock.holding).toBeGreaterThan(0);
    await stage.clock.until(waiting);
    expect(stage.clock.pending).toBe(0);
  });
});

// F45 F46 F47 F48
describe('time', () => {
  const HOUR = 3_600_000;

  test('after a sleep beyond a Retry-After the call is sent soon', async () => {
    const { stage } = Stage.with({ attach: { deadlineMs: Infinity, retry: { maxRetryAfterMs: HOUR } } });
    stage.script('/item', tooMany(3_600));
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(5_000);
    stage.clock.sleepMachine(8 * HOUR);
    expect(await stage.outcome(call)).toMatchObject({ status: 200 });
    expect(stage.clock.monotonic()).toBeLessThan(66_000);
  });

  test('after a sleep beyond the deadline no attempt begins', async () => {
    const { stage } = Stage.with({ attach: { deadlineMs: 2 * HOUR, retry: { maxRetryAfterMs: HOUR } } });
    stage.script('/item', tooMany(3_600));
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(5_000);
    stage.clock.sleepMachine(8 * HOUR);
    expect(await stage.outcome(call)).toMatchObject({ status: 429, attempts: 1, reason: 'deadline' });
    expect(stage.clock.monotonic()).toBeLessThan(66_000);
  });

  test('after a sleep the token that expired meanwhile is not sent', async () => {
    const { stage } = Stage.with({ expiresIn: 3_600 });
    await stage.outcome(stage.api.get('/item'));
    stage.clock.sleepMachine(8 * HOUR);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.to('/item').map(({ token }) => token)).toEqual(['alice-a1', 'alice-a2']);
  });

  test('a wall clock set back makes no wait longer and no token younger', async () => {
    const { stage } = Stage.with({ expiresIn: 100 });
    stage.script('/item', tooMany(30));
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(5_000);
    stage.clock.setWall(MORNING - 24 * HOUR);
    expect(await stage.outcome(call)).toMatchObject({ status: 200 });
    expect(stage.clock.monotonic()).toBeLessThanOrEqual(33_020);
    await stage.clock.advance(70_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.to('/item').at(-1)?.token).toBe('alice-a2');
  });

  test('a wall clock set back while a token is being stored does not extend its lifetime', async () => {
    const stage = new Stage();
    stage.tokens.expiresIn = 60;
    const inner = memoryPort();
    const store: TokenStore = {
      load: () => inner.load(),
      compareAndSet: async (expected, next) => {
        await stage.clock.pass(100);
        return inner.compareAndSet(expected, next);
      },
    };
    stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issue(), store }) });
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(50);
    stage.clock.setWall(MORNING - HOUR);
    await stage.outcome(call);
    await stage.clock.advance(60_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.reasons).toEqual(['expiring']);
  });

  test('a wall clock set back extends no deadline and no refresh', async () => {
    const { stage } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    stage.always(TOKEN_PATH, { fault: 'silence' });
    const calls = [
      underway(stage.api.get('/item')),
      underway(stage.api.get('/item', { attachAuth: { deadlineMs: 5_000 } })),
    ];
    await stage.clock.advance(100);
    stage.clock.setWall(MORNING - 24 * HOUR);
    await stage.settled([calls[1]!]);
    expect(stage.clock.monotonic()).toBe(5_000);
    expect(await stage.outcome(calls[0]!)).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED' });
    expect(stage.clock.monotonic()).toBe(10_010);
  });

  test('a wall clock set forward and back again has no effect', async () => {
    const { stage } = Stage.with({ expiresIn: 3_600 });
    await stage.outcome(stage.api.get('/item'));
    stage.clock.setWall(MORNING + 24 * HOUR);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    stage.clock.setWall(MORNING + 10);
    for (let made = 0; made < 10; made++) {
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
      await stage.clock.advance(1_000);
    }
    expect(stage.tokens.refreshes).toBeLessThanOrEqual(2);
    expect(stage.tokens.reuses).toBe(0);
  });

  test('a clock that is a day off does not affect a token with a lifetime', async () => {
    for (const skewMs of [-24 * HOUR, 24 * HOUR]) {
      const stage = new Stage();
      stage.clock.setWall(MORNING + skewMs);
      stage.tokens.expiresIn = 100;
      stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issue() }) });
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, waitedMs: 0 });
      await stage.clock.advance(100_000);
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
      expect(stage.tokens.refreshes).toBe(1);
    }
  });

  test.each([
    ['attach', 24 * HOUR],
    ['omit', 0],
  ] as const)('only responses to credentials correct the clock (%s)', async (credentials, skewMs) => {
    const stage = new Stage();
    const seen: number[] = [];
    const scheme = signed(({ now }) => {
      seen.push(now - stage.clock.now());
      return {};
    });
    stage.attach({ scheme });
    const date = new Date(stage.clock.now() + 24 * HOUR).toUTCString();
    stage.script('/open/first', { status: 200, headers: { Date: date } });
    await stage.outcome(stage.api.get('/open/first', { attachAuth: { credentials } }));
    await stage.outcome(stage.api.get('/open/second'));
    expect(seen.at(-1)).toBeCloseTo(skewMs, -3);
  });

  test.each([
    ['of thirty days is one of 24 hours', 30 * 24 * HOUR, 24 * HOUR],
    ['of a day', 24 * HOUR, 24 * HOUR],
    ['of 20 hours', 20 * HOUR, 20 * HOUR],
  ])('a wait for a limit %s', async (_, askedMs, waitedMs) => {
    const { stage } = Stage.with({ attach: { deadlineMs: Infinity, retry: { maxRetryAfterMs: Infinity } } });
    stage.script('/item', tooMany(askedMs / 1_000));
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(20_000);
    stage.clock.sleepMachine(waitedMs - 400_000);
    await stage.clock.advance(300_000);
    expect(stage.to('/item')).toHaveLength(1);
    expect(await stage.outcome(call)).toMatchObject({ status: 200, attempts: 2 });
    expect(stage.clock.now() - MORNING).toBeGreaterThanOrEqual(waitedMs);
    expect(stage.clock.now() - MORNING).toBeLessThan(waitedMs + 20_000);
  });

  test.each([2 ** 31 - 1, 2 ** 31, 2 ** 53, Number.MAX_VALUE, Infinity])(
    'a deadline of %d ms is far away',
    async (deadlineMs) => {
      const { stage } = Stage.with({ tokens: (endpoint) => endpoint.issueDead(), attach: { deadlineMs } });
      stage.script('/busy', tooMany(60));
      expect(await stage.outcomes([stage.api.get('/item'), stage.api.get('/busy')])).toMatchObject([
        { status: 200, attempts: 2 },
        { status: 200, attempts: 2 },
      ]);
      expect(stage.clock.pending).toBe(0);
    },
  );

  test('a deadline of 0 ms sends nothing', async () => {
    const { stage } = Stage.with({ attach: { deadlineMs: 0 } });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_DEADLINE', attempts: 0 });
    expect(stage.sent).toEqual([]);
  });
});

// F92
describe('a slow store', () => {
  function slow(stage: Stage, ms: number): TokenStore {
    const inner = memoryPort();
    return {
      load: async () => {
        await stage.clock.pass(ms);
        return inner.load();
      },
      compareAndSet: (expected, next) => inner.compareAndSet(expected, next),
    };
  }

  test('is waited for until an abort, the deadline or detach()', async () => {
    const stage = new Stage();
    const handle = stage.attach({ scheme: stage.bearer({ store: slow(stage, 1_000), tokens: stage.tokens.issue() }) });
    const controller = new AbortController();
    const calls = [
      underway(stage.api.get('/item')),
      underway(stage.api.get('/item', { signal: controller.signal })),
      underway(stage.api.get('/item', { attachAuth: { deadlineMs: 500 } })),
    ];
    await stage.clock.advance(100);
    controller.abort();
    expect(await stage.outcome(calls[1]!)).toMatchObject({ code: 'ERR_CANCELED', attempts: 0 });
    expect(stage.clock.monotonic()).toBe(100);
    expect(await stage.outcome(calls[2]!)).toMatchObject({ code: 'ERR_AUTH_DEADLINE', attempts: 0 });
    expect(stage.clock.monotonic()).toBe(500);
    expect(await stage.outcome(calls[0]!)).toMatchObject({ status: 200, attempts: 1, waitedMs: 1_000 });
    handle.detach();
    expect(stage.clock.pending).toBe(0);
  });

  test('is waited for until signOut()', async () => {
    const stage = new Stage();
    const scheme = stage.bearer({ store: slow(stage, 1_000), tokens: stage.tokens.issue() });
    stage.attach({ scheme });
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(100);
    const done = underway(scheme.signOut());
    expect(await stage.outcome(call)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED', attempts: 0 });
    expect(stage.clock.monotonic()).toBe(100);
    await stage.clock.until(done);
    expect(await scheme.getAccessToken()).toBeUndefined();
  });

  test('that never answers is given up, and the session continues in memory', async () => {
    const stage = new Stage();
    stage.attach({ scheme: stage.bearer({ store: slow(stage, 1e8), tokens: stage.tokens.issue() }) });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.clock.monotonic()).toBeLessThan(5_000);
    expect(stage.eventsOf('store-degraded').length).toBeGreaterThan(0);
  });
});
