import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import axios, { AxiosError, type AxiosAdapter, type AxiosInstance } from 'axios';
import { apiKey, attachAuth, basic, createThrottle, exchangeOf, type AuthEvent } from '../lib/index.js';
import { createThrottle as createThrottleWith } from '../lib/create-throttle.js';
import { RETRY_DEFAULTS } from '../lib/retry/decide.js';
import { Throttle } from '../lib/throttle/throttle.js';
import { rounds } from './support/rounds.js';
import { times } from './support/series.js';
import { ORIGIN, reasonOf, Stage, tooMany, underway, type Reply } from './support/stage.js';
import { MORNING, VirtualClock } from './support/virtual-clock.js';

const limited = (headers: Record<string, string>, status = 429): Reply => ({ status, headers });
const alice = (): ReturnType<typeof basic> => basic({ username: 'alice', password: 'secret' });
const HOUR = 3_600;

// F98 F152 F153
describe('the limit headers of a 429', () => {
  test.each<[what: string, headers: Record<string, string>, leastMs: number]>([
    ['a RateLimit field without Retry-After', { RateLimit: '"burst";r=0;t=7' }, 7_000],
    ['X-Rate-Limit-Retry-After-Seconds', { 'X-Rate-Limit-Retry-After-Seconds': '7' }, 7_000],
    ['X-RateLimit-Retry-After', { 'X-RateLimit-Retry-After': '7' }, 7_000],
    [
      'Retry-After, before the others',
      { 'Retry-After': '2', RateLimit: '"a";r=0;t=50', 'X-RateLimit-Retry-After': '50' },
      2_000,
    ],
  ])('%s is obeyed', async (_, headers, leastMs) => {
    const { stage } = Stage.with({});
    stage.script('/item', limited(headers));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    const [first, second] = stage.to('/item');
    expect(second!.at - first!.at - 10).toBeGreaterThanOrEqual(leastMs);
    expect(second!.at - first!.at - 10).toBeLessThan(leastMs * 1.2 + 250);
  });

  test('a limit with calls left is not the one that refused', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', limited({ 'X-RateLimit-Remaining': '12', 'X-RateLimit-Reset': '50' }));
    await stage.outcome(stage.api.get('/item'));
    expect(stage.clock.monotonic()).toBeLessThan(1_000);
  });

  test.each([-3_600, -1, -0.5, 0, 0.5, 1, 3_600])(
    'an instant is never too early if the clock of the server is %d s ahead',
    async (aheadS) => {
      const { stage } = Stage.with({});
      await stage.clock.advance(700);
      const serverS = (): number => stage.clock.now() / 1_000 + aheadS;
      const endsAt = Math.ceil(serverS() + 5.3);
      stage.always('/item', () =>
        serverS() >= endsAt
          ? 200
          : limited({
              Date: new Date(Math.floor(serverS()) * 1_000).toUTCString(),
              'X-RateLimit-Remaining': '0',
              'X-RateLimit-Reset': String(endsAt),
            }),
      );
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
      expect(stage.clock.monotonic()).toBeLessThan(9_000);
    },
  );

  test('an instant is relative to the local clock if Date is invalid', async () => {
    const { stage } = Stage.with({});
    const reset = String(stage.clock.now() / 1000 + 5);
    stage.script('/item', limited({ Date: 'today', 'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': reset }));
    await stage.outcome(stage.api.get('/item'));
    expect(stage.clock.monotonic()).toBeGreaterThanOrEqual(5_000);
    expect(stage.clock.monotonic()).toBeLessThan(6_000);
  });

  test.each([
    ['as the end of the wait', '31 Dec 2016 23:59:59', '31 Dec 2016 23:59:60', 1_000],
    ['as the Date', '31 Dec 2016 23:59:60', '01 Jan 2017 00:00:00', 1_000],
  ])('a leap second %s sends no call early', async (_, date, until, leastMs) => {
    const { stage } = Stage.with({});
    stage.clock.chance = 0;
    stage.script('/item', limited({ Date: `Sat, ${date} GMT`, 'Retry-After': `Sat, ${until} GMT` }));
    await stage.outcome(stage.api.get('/item'));
    const [first, second] = stage.to('/item');
    expect(second!.at - first!.at).toBeGreaterThanOrEqual(leastMs + 10);
  });

  // F151
  test.each(['content-bytes', 'concurrent-requests'])('a policy in %s is ignored', async (unit) => {
    const { stage } = Stage.with({});
    const headers = { 'RateLimit-Policy': `"b";q=60;w=60;qu="${unit}"`, RateLimit: '"b";r=0;t=60', 'Retry-After': '1' };
    stage.script('/item', limited(headers));
    const calls = [underway(stage.api.get('/item'))];
    await stage.clock.advance(100);
    calls.push(...times(60, () => underway(stage.api.get('/item'))));
    expect((await stage.outcomes(calls)).every(({ status }) => status === 200)).toBe(true);
    expect(stage.clock.monotonic()).toBeLessThan(3_000);
  });

  test('calls are sent evenly at the published rate', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', limited({ 'Retry-After': '1', 'RateLimit-Policy': '"a";q=20;w=2' }));
    const calls = [underway(stage.api.get('/item'))];
    await stage.clock.advance(100);
    calls.push(...times(20, () => underway(stage.api.get('/item'))));
    await stage.outcomes(calls);
    const [, ...sent] = stage.to('/item').map(({ at }) => at);
    const gaps = sent.slice(1).map((at, index) => at - sent[index]!);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(102);
    expect(Math.max(...gaps)).toBeLessThan(110);
  });
});

// F105
describe('the scope of a limit', () => {
  test.each([
    ['"all"', '"all"', true],
    ['"one"', '"two"', false],
    ['"all";pk=:YQ==:', '"all";pk=:Yg==:', false],
  ])('two paths refused by %s and %s share a limit: %s', async (one, two, isShared) => {
    const { stage } = Stage.with({});
    stage.script('/one', limited({ RateLimit: one.replace(/(?=;|$)/, ';r=0;t=5') }));
    stage.script('/two', limited({ RateLimit: two.replace(/(?=;|$)/, ';r=0;t=5') }));
    const both = ['/one', '/two'].map((path) => underway(stage.api.get(path)));
    await stage.clock.advance(100);
    const other = underway(stage.api.get('/other'));
    await stage.outcomes([...both, other]);
    expect(stage.to('/other')[0]!.at >= 5_000).toBe(isShared);
  });

  test('calls queued for their paths are queued for the origin once it has closed, in their order', async () => {
    const { stage } = Stage.with({});
    stage.script('/one', { ...tooMany(5), afterMs: 1 });
    stage.script('/two', { ...tooMany(5), afterMs: 50 });
    const calls = [underway(stage.api.get('/one')), underway(stage.api.get('/two'))];
    await stage.clock.advance(10);
    for (const name of ['a', 'b', 'c']) calls.push(underway(stage.api.get('/one', { headers: { 'X-Call': name } })));
    await stage.clock.advance(50);
    for (const name of ['d', 'e']) calls.push(underway(stage.api.get('/two', { headers: { 'X-Call': name } })));
    await stage.outcomes(calls);
    const order = stage.calls.flatMap(({ call }) => call ?? []);
    expect(order).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(stage.eventsOf('throttled').map((event) => 'key' in event && event.key)).toEqual([`${ORIGIN}/one`, ORIGIN]);
  });

  test('a long Retry-After applies to its own path if a second path closes the origin for less', async () => {
    const { stage } = Stage.with({});
    stage.script('/one', tooMany(HOUR));
    stage.script('/two', tooMany(2));
    await stage.outcome(stage.api.get('/one'));
    const two = underway(stage.api.get('/two'));
    await stage.clock.advance(100);
    const other = underway(stage.api.get('/other'));
    expect(await stage.outcome(stage.api.get('/one'))).toMatchObject({ code: 'ERR_AUTH_THROTTLED', attempts: 0 });
    expect(await stage.outcomes([two, other])).toMatchObject([{ status: 200 }, { status: 200 }]);
    expect(stage.to('/other')[0]!.at).toBeGreaterThanOrEqual(2_000);
    await stage.clock.advance(60_000);
    expect(await stage.outcome(stage.api.get('/one'))).toMatchObject({ code: 'ERR_AUTH_THROTTLED', attempts: 0 });
    await stage.clock.advance(HOUR * 1_000);
    expect(await stage.outcome(stage.api.get('/one'))).toMatchObject({ status: 200 });
  });

  // I10
  test('calls queued for a longer closed path are not sent while the origin is closed, either', async () => {
    const { stage } = Stage.with({});
    stage.script('/one', tooMany(20));
    stage.script('/two', { ...tooMany(2), afterMs: 100 }, { ...tooMany(30), afterMs: 10 });
    const calls = [underway(stage.api.get('/one')), underway(stage.api.get('/two'))];
    await stage.clock.advance(200);
    calls.push(underway(stage.api.get('/one')));
    expect((await stage.outcomes(calls)).every(({ status }) => status === 200)).toBe(true);
    const closedAt = stage.to('/two')[1]!.at + 10;
    expect(closedAt).toBeLessThan(4_000);
    for (const { at } of stage.to('/one').slice(1)) expect(at).toBeGreaterThanOrEqual(closedAt + 30_000);
  });
});

// F120
test('keyOf gets the request without credentials, before the send and at a refusal', async () => {
  const seen: string[] = [];
  const stage = new Stage();
  const keyOf = ({ headers }: { headers: { get(name: string): unknown } }): string => {
    seen.push(String(headers.get('X-API-Key')));
    return 'one';
  };
  stage.attach({ scheme: apiKey('SECRET'), throttle: { keyOf } });
  stage.script('/open/a', tooMany(1), tooMany(1));
  const first = underway(stage.api.get('/open/a'));
  await stage.clock.advance(100);
  await stage.outcomes([first, stage.api.get('/open/a')]);
  expect(stage.to('/open/a')[0]!.headers).toMatchObject({ 'X-API-Key': 'SECRET' });
  expect(new Set(seen)).toEqual(new Set(['undefined']));
  expect(JSON.stringify(stage.events)).not.toContain('SECRET');
});

// F112
describe('retry: false', () => {
  test('settles with retryAt, and rejects the next calls unsent', async () => {
    const { stage } = Stage.with({ attach: { retry: false } });
    stage.script('/x', tooMany(100));
    expect(await stage.outcome(stage.api.get('/x'))).toMatchObject({
      status: 429,
      attempts: 1,
      retryAt: MORNING + 10 + 100_000,
    });
    expect(await stage.outcome(stage.api.get('/x'))).toMatchObject({
      code: 'ERR_AUTH_THROTTLED',
      attempts: 0,
      retryAt: MORNING + 10 + 100_000,
    });
  });

  test('has the maxRetryAfterMs of its instance', async () => {
    const { stage } = Stage.with({ attach: { retry: { maxRetryAfterMs: 5_000 } } });
    stage.script('/x', tooMany(10));
    await stage.outcome(stage.api.get('/x'));
    const config = { attachAuth: { retry: false } } as const;
    expect(await stage.outcome(stage.api.get('/x', config))).toMatchObject({ code: 'ERR_AUTH_THROTTLED' });
    await stage.clock.advance(6_000);
    expect(await stage.outcome(stage.api.get('/x', config))).toMatchObject({ status: 200, attempts: 1 });
  });
});

// F126
describe('the delay of a retry event is the wait', () => {
  test.each<[string, Reply]>([
    ['a 429 with Retry-After', tooMany(7)],
    ['a 429 without', { status: 429 }],
    ['a 503', { status: 503 }],
  ])('after %s', async (_, reply) => {
    const { stage } = Stage.with({});
    stage.script('/item', reply);
    await stage.outcome(stage.api.get('/item'));
    const [event] = stage.eventsOf('retry') as [Extract<AuthEvent, { type: 'retry' }>];
    const [first, second] = stage.to('/item');
    expect(Math.abs(second!.at - (first!.at + 10) - event.delayMs)).toBeLessThanOrEqual(1);
  });

  test('is not emitted if the call may not wait that long', async () => {
    const { stage } = Stage.with({});
    stage.script('/busy', { ...tooMany(5), afterMs: 10 }, { ...tooMany(300), afterMs: 8 });
    const [patient, impatient] = [
      stage.api.get('/busy'),
      stage.api.get('/busy', { attachAuth: { deadlineMs: 1e9, retry: { maxRetryAfterMs: 1e9 } } }),
    ].map(underway);
    expect(await stage.outcome(patient!)).toMatchObject({ status: 429, reason: 'retry-after-too-long' });
    expect(stage.eventsOf('retry')).toHaveLength(1);
    expect(await stage.outcome(impatient!)).toMatchObject({ status: 200 });
  });
});

// F154, I10
describe('after a 503 with a long Retry-After', () => {
  const outage = (): { stage: Stage; get: (path: string) => Promise<object>; recover: () => void } => {
    const { stage } = Stage.with({});
    let isWell = false;
    const maintenance = (): Reply | undefined => (isWell ? undefined : limited({ 'Retry-After': String(HOUR) }, 503));
    for (const path of ['/a', '/b', '/c']) stage.always(path, maintenance);
    return {
      stage,
      get: (path) => stage.outcome(stage.api.get(path)),
      recover: () => {
        isWell = true;
      },
    };
  };

  test('calls are rejected unsent for maxRetryAfterMs, then one call is sent as a probe before the next ones', async () => {
    const { stage, get, recover } = outage();
    for (const path of ['/a', '/b'])
      expect(await get(path)).toMatchObject({ status: 503, reason: 'retry-after-too-long' });
    recover();
    for (const path of ['/a', '/b', '/c'])
      expect(await get(path)).toMatchObject({ code: 'ERR_AUTH_THROTTLED', attempts: 0 });
    await stage.clock.advance(59_900);
    expect(await get('/c')).toMatchObject({ code: 'ERR_AUTH_THROTTLED' });
    await stage.clock.advance(101);
    expect(await get('/c')).toMatchObject({ status: 200, attempts: 1 });
    for (const path of ['/a', '/b', '/c']) expect(await get(path)).toMatchObject({ status: 200, waitedMs: 0 });
    expect(stage.eventsOf('resumed')).toHaveLength(2);
  });

  test('one probe is sent in each further maxRetryAfterMs, and no other call while it is in flight', async () => {
    const { stage, get } = outage();
    await get('/a');
    const sent = (): number => stage.to('/a').length;
    for (let minute = 1; minute <= 3; minute++) {
      await stage.clock.advance(60_100);
      const calls = times(3, () => underway(stage.api.get('/a')));
      await stage.outcomes(calls);
      expect(sent()).toBe(1 + minute);
    }
  });

  // F154
  test('a call that waits for an hour by an option of its own keeps no other from a probe', async () => {
    const { stage, get, recover } = outage();
    const patient = { attachAuth: { retry: { maxRetryAfterMs: 2 * HOUR * 1_000 } } };
    expect(await stage.outcome(stage.api.get('/a', patient))).toMatchObject({ status: 503 });
    recover();
    await stage.clock.advance(60_100);
    expect(await get('/a')).toMatchObject({ status: 200, attempts: 1 });
  });

  // F154
  test('a probe that was never sent is followed by another one at once', async () => {
    let isDown = false;
    const stage = new Stage();
    stage.attach({
      scheme: {
        name: 'Vault',
        authorize: async () => {
          await Promise.resolve();
          if (isDown) throw new Error('vault');
        },
      },
    });
    stage.script('/open/a', limited({ 'Retry-After': String(HOUR) }, 503));
    await stage.outcome(stage.api.get('/open/a'));
    await stage.clock.advance(60_100);
    isDown = true;
    await stage.outcome(stage.api.get('/open/a'));
    expect(stage.to('/open/a')).toHaveLength(1);
    isDown = false;
    expect(await stage.outcome(stage.api.get('/open/a'))).toMatchObject({ status: 200, attempts: 1 });
  });

  test('no probe is sent if the wait is short enough', async () => {
    const { stage } = Stage.with({});
    stage.script('/a', limited({ 'Retry-After': '20' }, 503));
    expect(await stage.outcome(stage.api.get('/a'))).toMatchObject({ status: 200, attempts: 2 });
    expect(stage.to('/a')[1]!.at).toBeGreaterThanOrEqual(20_010);
  });

  test('a 429 for the probe replaces the wait of the 503', async () => {
    const { stage } = Stage.with({});
    stage.script('/a', limited({ 'Retry-After': String(HOUR) }, 503), tooMany(2 * HOUR));
    await stage.outcome(stage.api.get('/a'));
    await stage.clock.advance(60_100);
    expect(await stage.outcome(stage.api.get('/a'))).toMatchObject({ status: 429 });
    for (const ms of [60_100, HOUR * 1_000]) {
      await stage.clock.advance(ms);
      expect(await stage.outcome(stage.api.get('/a'))).toMatchObject({ code: 'ERR_AUTH_THROTTLED' });
    }
    expect(stage.to('/a')).toHaveLength(2);
  });

  test('a 429 is obeyed for its whole Retry-After, without a probe', async () => {
    const { stage } = Stage.with({});
    stage.script('/a', tooMany(HOUR));
    await stage.outcome(stage.api.get('/a'));
    for (const ms of [60_100, 3_000_000]) {
      await stage.clock.advance(ms);
      expect(await stage.outcome(stage.api.get('/a'))).toMatchObject({ code: 'ERR_AUTH_THROTTLED' });
    }
    expect(stage.to('/a')).toHaveLength(1);
  });
});

// F100
describe('when a key opens', () => {
  test('a few calls are sent at a time, and more if the server is far away', async () => {
    const { stage } = Stage.with({});
    stage.latencyMs = 100;
    stage.script('/item', tooMany(5));
    const calls = [underway(stage.api.get('/item'))];
    await stage.clock.advance(200);
    calls.push(...times(99, () => underway(stage.api.get('/item'))));
    await stage.outcomes(calls);
    const [, ...sent] = stage.to('/item').map(({ at }) => at);
    const inRound = (round: number): number => sent.filter((at) => Math.floor((at - sent[0]!) / 100) === round).length;
    expect(inRound(0)).toBe(4);
    expect(inRound(1)).toBeLessThanOrEqual(8);
    expect(inRound(5)).toBe(10);
  });

  test('one call is in flight after two refusals in a row', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', tooMany(1), ...times(4, () => tooMany(1)));
    const calls = [underway(stage.api.get('/item'))];
    await stage.clock.advance(100);
    calls.push(...times(20, () => underway(stage.api.get('/item'))));
    await stage.outcomes(calls);
    const [third] = stage.to('/item').slice(5);
    expect(stage.to('/item').filter(({ at }) => at >= third!.at && at < third!.at + 10)).toHaveLength(1);
  });

  test('calls that hang delay the others for five seconds each at most', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', tooMany(1), ...times(4, () => ({ fault: 'silence' }) as const));
    const calls = [underway(stage.api.get('/item'))];
    await stage.clock.advance(100);
    calls.push(...times(5, () => underway(stage.api.get('/item'))));
    await stage.clock.advance(12_500);
    expect(stage.to('/item').map(({ status }) => status)).toEqual([429, ...times(4, () => 'lost'), 200, 200]);
    expect(calls).toHaveLength(6);
  });

  test('calls that fail without a response delay no other', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', tooMany(1), ...times(8, () => ({ fault: 'reset' }) as const));
    const calls = [underway(stage.api.post('/item'))];
    await stage.clock.advance(100);
    calls.push(...times(11, () => underway(stage.api.post('/item'))));
    await stage.settled(calls);
    expect(stage.to('/item')).toHaveLength(13);
    expect(stage.clock.monotonic()).toBeLessThan(2_000);
  });

  test('occasional refusals set no rate', async () => {
    const { stage } = Stage.with({});
    for (let made = 0; made < 40; made++) {
      if (made % 8 === 0) stage.script('/item', tooMany(1));
      await stage.outcome(stage.api.get('/item'));
      await stage.clock.advance(1_000);
    }
    const from = stage.clock.monotonic();
    await stage.outcomes(times(8, () => stage.api.get('/item')));
    expect(stage.clock.monotonic() - from).toBeLessThan(100);
  });

  test('the rate is forgotten after ten seconds without calls', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', tooMany(1));
    await stage.outcome(stage.api.get('/item'));
    await stage.clock.advance(11_000);
    await stage.outcomes(times(50, () => stage.api.get('/item')));
    const last = stage.to('/item').slice(-50);
    expect(new Set(last.map(({ at }) => at)).size).toBe(1);
  });

  test('a server without hints is tried more often if many calls are queued', async () => {
    const asked = async (calls: number): Promise<number> => {
      const { stage } = Stage.with({});
      stage.always('/item', () => (stage.clock.monotonic() < 40_000 ? { status: 429 } : { status: 200 }));
      await stage.outcomes(times(calls, () => stage.api.get('/item')));
      return stage.to('/item').filter(({ at }) => at > 0 && at < 40_000).length;
    };
    expect(await asked(1)).toBe(5);
    expect(await asked(40)).toBeGreaterThan(7);
  });
});

// F166
test.each<[string, (stage: Stage) => void]>([
  ['the wall clock', ({ clock }) => clock.setWall(MORNING - 1e9)],
  [
    'a monotonic clock',
    ({ clock }) => {
      const { monotonic } = clock;
      (clock as { monotonic: () => number }).monotonic = () => monotonic() - 1e9;
    },
  ],
])('%s that jumps back closes no key for longer than the remaining time', async (_, jump) => {
  const { stage } = Stage.with({});
  stage.script('/item', tooMany(30));
  const first = underway(stage.api.get('/item'));
  await stage.clock.advance(20_000);
  jump(stage);
  const second = underway(stage.api.get('/item'));
  await stage.clock.advance(14_000);
  expect(await stage.outcomes([first, second])).toMatchObject([{ status: 200 }, { status: 200 }]);
  expect(stage.to('/item').map(({ status }) => status)).toEqual([429, 200, 200]);
});

// F150 F168
describe('cool-downs belong to the scheme', () => {
  const setUp = (): {
    stage: Stage;
    events: AuthEvent[][];
    attach: (scheme: ReturnType<typeof basic>) => AxiosInstance;
  } => {
    const stage = new Stage();
    const events: AuthEvent[][] = [];
    return {
      stage,
      events,
      attach(scheme) {
        const api = stage.instance();
        const own: AuthEvent[] = [];
        events.push(own);
        stage.attach({ scheme, onEvent: (event) => own.push(event) }, api);
        return api;
      },
    };
  };

  test('instances of one scheme share a Retry-After, and those with calls of its key emit events', async () => {
    const { stage, events, attach } = setUp();
    const scheme = alice();
    const [one, two] = times(3, () => attach(scheme));
    stage.script('/open/x', tooMany(5));
    const first = underway(one!.get('/open/x'));
    await stage.clock.advance(100);
    const second = underway(two!.get('/open/x'));
    await stage.outcomes([first, second]);
    for (const { at } of stage.to('/open/x').slice(1)) expect(at).toBeGreaterThanOrEqual(5_010);
    expect(events.map((own) => own.map(({ type }) => type))).toEqual([
      ['throttled', 'retry', 'resumed'],
      ['throttled', 'resumed'],
      [],
    ]);
  });

  test('two schemes have separate cool-downs', async () => {
    const { stage, attach } = setUp();
    const [one, two] = [attach(alice()), attach(alice())];
    stage.script('/open/x', tooMany(5));
    const first = underway(one.get('/open/x'));
    await stage.clock.advance(100);
    expect(await stage.outcome(two.get('/open/x'))).toMatchObject({ status: 200, waitedMs: 0 });
    await stage.outcome(first);
  });

  test('createThrottle() shares them between schemes, and reset() ends them', async () => {
    const stage = new Stage();
    const throttle = createThrottleWith({ keyOf: () => 'upstream' }, stage.clock);
    const apis = times(3, () => {
      const api = stage.instance();
      stage.attach({ scheme: alice(), throttle }, api);
      return api;
    });
    stage.script('/open/x', tooMany(30));
    const first = underway(apis[0]!.get('/open/x'));
    await stage.clock.advance(100);
    const others = times(12, (index) => underway(apis[index % 3]!.get(`/open/${String(index)}`)));
    await stage.clock.advance(1_000);
    expect(stage.calls).toHaveLength(1);
    throttle.reset();
    expect(await stage.outcomes([first, ...others])).toMatchObject(times(13, () => ({ status: 200 })));
    expect(stage.clock.monotonic()).toBeLessThan(2_000);
    expect(stage.eventsOf('throttled')).toHaveLength(3);
    await stage.clock.advance(31_000);
    expect(stage.eventsOf('resumed')).toHaveLength(3);
  });

  test('fifty sessions of one upstream limit are refused once each at most, and none during its Retry-After', async () => {
    const stage = new Stage();
    const throttle = createThrottleWith({ keyOf: () => 'upstream' }, stage.clock);
    const apis = times(50, () => {
      const api = stage.instance();
      stage.attach({ scheme: alice(), throttle }, api);
      return api;
    });
    stage.script('/open/x', tooMany(10));
    const calls = [underway(apis[0]!.get('/open/x'))];
    await stage.clock.advance(50);
    calls.push(...apis.map((api) => underway(api.get('/open/x'))));
    expect((await stage.outcomes(calls)).every(({ status }) => status === 200)).toBe(true);
    expect(stage.calls.filter(({ status }) => status === 429)).toHaveLength(1);
  });

  test('an instance with its own keyOf uses its keys in the shared state', async () => {
    const stage = new Stage();
    const scheme = alice();
    const other = stage.instance();
    stage.attach({ scheme, throttle: { keyOf: () => 'all' } });
    stage.attach({ scheme }, other);
    stage.script('/open/x', tooMany(5));
    const first = underway(stage.api.get('/open/x'));
    await stage.clock.advance(100);
    expect(await stage.outcome(other.get('/open/x'))).toMatchObject({ status: 200, waitedMs: 0 });
    const second = underway(stage.api.get('/open/y'));
    await stage.outcomes([first, second]);
    expect(stage.to('/open/y')[0]!.at).toBeGreaterThanOrEqual(5_010);
  });

  test('an instance that is dropped without detach() is garbage-collected although the throttle lives', async () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const scheme = alice();
    const throttle = createThrottle();
    const refused: AxiosAdapter = (config) =>
      Promise.reject(
        new AxiosError(
          'refused',
          'ERR_BAD_REQUEST',
          config,
          {},
          {
            status: 429,
            statusText: '',
            headers: { 'retry-after': String(HOUR) },
            config,
            data: '',
          },
        ),
      );
    const drop = async (options: object): Promise<WeakRef<AxiosInstance>> => {
      const api = axios.create({ baseURL: ORIGIN, adapter: refused });
      const handle = attachAuth(api, { scheme, onEvent: () => undefined, ...options });
      for (let call = 0; call < 2; call++) await api.get('/x').catch(() => undefined);
      expect(handle).toBeDefined();
      return new WeakRef(api);
    };
    const dropped = [await drop({}), await drop({ throttle })];
    await new Promise((resolve) => setImmediate(resolve));
    gc();
    expect(dropped.map((ref) => ref.deref())).toEqual([undefined, undefined]);
  });
});

describe('the queue of a key', () => {
  const keys = [`${ORIGIN}/item`, ORIGIN] as const;
  const patient = { wasSent: false, mayWait: () => true };
  const closed = (clock: VirtualClock): Throttle => {
    const throttle = new Throttle(clock);
    throttle.refused(keys, undefined, { status: 429, retryAfterMs: 1_000 }, RETRY_DEFAULTS);
    return throttle;
  };

  test('a call that leaves with its permit releases the next', async () => {
    const clock = new VirtualClock();
    const throttle = closed(clock);
    const permits = times(8, () => throttle.queueOf(keys)!.acquire(patient, Infinity));
    const admitted: number[] = [];
    for (const [index, { ready }] of permits.entries()) void ready.then(() => admitted.push(index));
    await clock.advance(2_000);
    expect(admitted).toEqual([0, 1, 2, 3]);
    for (const index of admitted) permits[index]!.release();
    await clock.advance(1);
    expect(admitted).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test.each([rounds(20_000, 60_000)])('%i calls are released in their order', async (count) => {
    const clock = new VirtualClock();
    const throttle = closed(clock);
    const order: number[] = [];
    for (let index = 0; index < count; index++) {
      const permit = throttle.queueOf(keys)!.acquire(patient, Infinity);
      void permit.ready.then(() => {
        order.push(index);
        permit.release('granted');
      });
    }
    await clock.advance(2_000);
    expect(order).toHaveLength(count);
    expect(order.every((index, place) => index === place)).toBe(true);
  });

  test('unused keys are forgotten', async () => {
    const clock = new VirtualClock();
    const throttle = closed(clock);
    const other = [`${ORIGIN}/other`] as const;
    throttle.refused(other, undefined, { status: 429, retryAfterMs: 60_000 }, RETRY_DEFAULTS);
    await clock.advance(12_000);
    expect(throttle.isIdle).toBe(false);
    expect([throttle.queueOf(keys), throttle.queueOf(other)?.closedForMs]).toEqual([undefined, 48_000]);
    await clock.advance(60_000);
    expect(throttle.isIdle).toBe(true);
    expect(clock.pending).toBe(0);
  });
});

// I8
test('a response after detach() leaves no timer for a closed key', async () => {
  const { stage, handle } = Stage.with({});
  stage.script('/item', tooMany(1), { status: 200, afterMs: 500 }, { ...tooMany(30), afterMs: 10 });
  const calls = [underway(stage.api.get('/item'))];
  await stage.clock.advance(100);
  calls.push(underway(stage.api.get('/item')));
  await stage.clock.advance(1_300);
  expect(stage.eventsOf('throttled')).toHaveLength(2);
  handle.detach();
  await stage.settled(calls);
  expect(stage.clock.pending).toBe(0);
});

test('the error of a call rejected unsent has advice and retryAt', async () => {
  const { stage } = Stage.with({});
  stage.script('/busy', tooMany(600));
  await stage.outcome(stage.api.get('/busy'));
  const error = reasonOf(await stage.clock.until(stage.api.get('/busy')));
  expect(error.message).toMatch(/another 600 s.*`maxRetryAfterMs`.*`deadlineMs`.*retryAt/);
  expect(exchangeOf(error)).toMatchObject({ attempts: 0, retryAt: MORNING + 600_010 });
});
