import { Readable } from 'node:stream';
import { AxiosError, type AxiosAdapter, type AxiosRequestConfig } from 'axios';
import { exchangeOf, signed, type AuthRequest, type RetryFailure } from '../lib/index.js';
import { Fifo } from '../lib/fifo.js';
import { reasonOf, Stage, summaryOf, tooMany, underway, type Reply } from './support/stage.js';
import { MORNING } from './support/virtual-clock.js';

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** The ms from each response of a path to the next send. */
function waits(stage: Stage, path: string): number[] {
  const sent = stage.to(path);
  const latencyMs = Number(stage.latencyMs);
  return sent.slice(1).map(({ at }, index) => at - (sent[index]!.at + latencyMs));
}

const at = (second: number): string => new Date(MORNING + second * 1_000).toUTCString();
const epoch = (second: number): string => String(MORNING / 1_000 + second);

// F49 F98
describe('a 429', () => {
  test.each([0, 0.001, 0.5, 0.999])('is never retried before Retry-After (chance %d)', async (chance) => {
    const { stage } = Stage.with({});
    stage.clock.chance = chance;
    for (const seconds of [1, 2, 7, 30, 59]) {
      const path = `/after/${String(seconds)}`;
      stage.script(path, tooMany(seconds));
      expect(await stage.outcome(stage.api.get(path))).toMatchObject({ status: 200, attempts: 2 });
      const [waited] = waits(stage, path);
      expect(waited).toBeGreaterThanOrEqual(seconds * 1_000);
      expect(waited).toBeLessThanOrEqual(seconds * 1_000 + Math.max(seconds * 100, 250));
    }
  });

  test('is retried for every method', async () => {
    for (const method of ['GET', 'POST', 'PATCH', 'DELETE']) {
      const { stage } = Stage.with({});
      stage.script('/item', tooMany(1));
      expect(await stage.outcome(stage.api.request({ url: '/item', method }))).toMatchObject({
        status: 200,
        attempts: 2,
      });
    }
  });

  test.each([
    ['IMF-fixdate', 'Mon, 23 Nov 2026 08:00:40 GMT'],
    ['RFC 850', 'Monday, 23-Nov-26 08:00:40 GMT'],
    ['asctime', 'Mon Nov 23 08:00:40 2026'],
  ])('with a date (%s) waits from the Date of the response, whatever the local clock shows', async (_, date) => {
    for (const skewMs of [-3_600_000, 0, 3_600_000]) {
      const { stage } = Stage.with({});
      stage.clock.setWall(MORNING + skewMs);
      stage.script('/item', { status: 429, headers: { 'Retry-After': date, Date: 'Mon, 23 Nov 2026 08:00:10 GMT' } });
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
      expect(waits(stage, '/item')[0]).toBeGreaterThanOrEqual(30_000);
      expect(waits(stage, '/item')[0]).toBeLessThanOrEqual(33_000);
    }
  });

  test('from a cache, with an old Date, waits from the local clock', async () => {
    const { stage } = Stage.with({});
    const headers = { 'Retry-After': at(40), Date: at(10), Age: '100' };
    stage.script('/item', { status: 429, headers });
    await stage.outcome(stage.api.get('/item'));
    expect(stage.to('/item')[1]?.at).toBeGreaterThanOrEqual(40_000);
  });

  test.each([
    ['nothing remains', { 'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': '20' }, 20_000],
    ['only the reset is known', { 'X-RateLimit-Reset': '20' }, 20_000],
    ['the clock of the server is an hour ahead', { 'X-RateLimit-Reset': epoch(3_620), Date: at(3_600) }, 20_000],
    ['Retry-After is shorter, by Retry-After', { 'X-RateLimit-Reset': '20', 'Retry-After': '2' }, 2_000],
    ['calls remain, by the backoff', { 'X-RateLimit-Remaining': '1', 'X-RateLimit-Reset': '20' }, 250],
  ])('waits until its limit resets if %s', async (_, headers, leastMs) => {
    const { stage } = Stage.with({});
    stage.script('/item', { status: 429, headers, afterMs: 0 });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    const [, second] = stage.to('/item');
    expect(second?.at).toBeGreaterThanOrEqual(leastMs);
    expect(second?.at).toBeLessThanOrEqual(leastMs * 1.1 + 250);
  });

  test('with a date and without Date waits from the local clock', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', { status: 429, headers: { 'Retry-After': 'Mon, 23 Nov 2026 08:00:40 GMT' } });
    await stage.outcome(stage.api.get('/item'));
    expect(stage.to('/item')[1]?.at).toBeGreaterThanOrEqual(40_000);
  });

  test.each([
    ['no Retry-After', undefined],
    ['a malformed one', 'soon'],
    ['a negative one', '-1'],
    ['an exponent', '1e3'],
    ['0', '0'],
    ['a date in the past', 'Mon, 23 Nov 2020 08:00:00 GMT'],
  ])('with %s is retried after at least half a backoff step', async (_, retryAfter) => {
    for (const chance of [0, 0.999]) {
      const { stage } = Stage.with({});
      stage.clock.chance = chance;
      stage.script('/item', ...times(5, () => tooMany(retryAfter)));
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 6 });
      waits(stage, '/item').forEach((waited, failures) => {
        expect(waited).toBeGreaterThanOrEqual(250 * 2 ** failures);
        expect(waited).toBeLessThanOrEqual(500 * 2 ** failures);
      });
    }
  });

  test('above maxRetryAfterMs settles at once, with retryAt', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', tooMany(61));
    const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(error).toMatchObject({ name: 'AxiosError', code: 'ERR_BAD_REQUEST', response: { status: 429 } });
    expect(exchangeOf(error)).toEqual({
      call: 1,
      attempts: 1,
      refreshed: false,
      waitedMs: 0,
      retryAt: MORNING + 10 + 61_000,
      reason: 'retry-after-too-long',
    });
    expect(stage.clock.monotonic()).toBe(10);
  });

  test('is retried up to maxRetryAfterMs, and not above', async () => {
    const { stage } = Stage.with({ attach: { retry: { maxRetryAfterMs: 600_000 }, deadlineMs: 3_600_000 } });
    stage.script('/item', tooMany(600), tooMany(601));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
      status: 429,
      attempts: 2,
      reason: 'retry-after-too-long',
    });
  });

  test('beyond the deadline settles at once', async () => {
    const { stage } = Stage.with({ attach: { deadlineMs: 20_000 } });
    stage.script('/item', tooMany(30));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
      status: 429,
      attempts: 1,
      reason: 'deadline',
      retryAt: MORNING + 10 + 30_000,
    });
    expect(stage.clock.monotonic()).toBe(10);
  });

  test('five times in a row succeeds with the sixth send', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', ...times(5, () => tooMany(2)));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 6 });
    expect(waits(stage, '/item').every((waited) => waited >= 2_000)).toBe(true);
  });

  test('six times in a row settles the call', async () => {
    const { stage } = Stage.with({});
    stage.always('/item', tooMany(2));
    const outcome = await stage.outcome(stage.api.get('/item'));
    expect(outcome).toMatchObject({ status: 429, code: 'ERR_BAD_REQUEST', attempts: 6, reason: 'attempts-exhausted' });
    expect(outcome.retryAt).toBe(Math.round(stage.clock.now() + 2_000));
  });

  test.each([1, 2, 3])('is sent maxThrottledAttempts times: %i', async (maxThrottledAttempts) => {
    const { stage } = Stage.with({ attach: { retry: { maxThrottledAttempts } } });
    stage.always('/item', tooMany(1));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 429, attempts: maxThrottledAttempts });
  });

  test('does not count towards maxAttempts, nor an error towards maxThrottledAttempts', async () => {
    const { stage } = Stage.with({});
    stage.clock.chance = 0.5;
    stage.script('/item', tooMany(1), 503, tooMany(1), 503, tooMany(1), 503, tooMany(1), tooMany(1));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 9 });
  });
});

// F103
describe('a 503 with Retry-After', () => {
  test('is retried after that time, as often as a 429', async () => {
    const { stage } = Stage.with({});
    const busy: Reply = { status: 503, headers: { 'Retry-After': '3' } };
    stage.script('/item', ...times(5, () => busy));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 6 });
    expect(waits(stage, '/item').every((waited) => waited >= 3_000)).toBe(true);
  });

  test('of 0, without end, settles after six sends, with a backoff before each', async () => {
    const { stage } = Stage.with({});
    stage.clock.chance = 0;
    stage.always('/item', { status: 503, headers: { 'Retry-After': '0' } });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
      status: 503,
      attempts: 6,
      reason: 'attempts-exhausted',
    });
    waits(stage, '/item').forEach((waited, failures) => {
      expect(waited).toBeGreaterThanOrEqual(250 * 2 ** failures);
    });
  });

  test('is not retried for a POST, since the server may have acted', async () => {
    const { stage } = Stage.with({});
    stage.always('/item', { status: 503, headers: { 'Retry-After': '3' } });
    expect(await stage.outcome(stage.api.post('/item'))).toMatchObject({
      status: 503,
      attempts: 1,
      reason: 'not-idempotent',
    });
  });
});

// F63 F99 F105
describe('a limit of a minute with a reset instant', () => {
  test('sends nothing too early, although reset and Date are rounded to seconds', async () => {
    const { stage } = Stage.with({});
    await stage.clock.advance(500);
    const seconds = (at: number): number => (MORNING + at) / 1000;
    stage.always('/item', ({ at }) =>
      at > 60_600
        ? 200
        : {
            status: 429,
            headers: {
              'X-RateLimit-Reset': String(Math.ceil(seconds(60_500))),
              Date: new Date(1000 * Math.floor(seconds(at))).toUTCString(),
            },
          },
    );
    const calls = times(3, () => underway(stage.api.get('/item')));
    await stage.clock.advance(30);
    calls.push(underway(stage.api.get('/item')));
    expect((await stage.outcomes(calls)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const [first] = stage.to('/item').filter(({ status }) => status === 200);
    expect(first?.at).toBeGreaterThanOrEqual(61_000);
    expect(first?.at).toBeLessThan(68_000);
  });
});

describe('the throttle', () => {
  test('enqueues later calls of a refused path, and releases none before Retry-After', async () => {
    const { stage } = Stage.with({});
    stage.script('/busy', tooMany(20));
    const calls = [underway(stage.api.get('/busy'))];
    await stage.clock.advance(10);
    for (let made = 0; made < 50; made++) {
      calls.push(underway(stage.api.get(`/busy?n=${String(made)}`)), underway(stage.api.post('/busy')));
      await stage.clock.advance(100);
    }
    const outcomes = await stage.outcomes(calls);
    expect(outcomes.every(({ status }) => status === 200)).toBe(true);
    expect(outcomes.slice(1).every(({ attempts }) => attempts === 1)).toBe(true);
    const [refused, ...others] = stage.to('/busy');
    expect(refused?.at).toBe(0);
    expect(Math.min(...others.map(({ at }) => at))).toBeGreaterThanOrEqual(20_010);
    expect(outcomes[1]?.waitedMs).toBeGreaterThanOrEqual(20_000);
  });

  test('releases none of a thousand refused calls before Retry-After', async () => {
    const { stage } = Stage.with({});
    stage.always('/busy', ({ at }) => (at < 30_000 ? tooMany(30) : 200));
    const calls = times(1_000, () => underway(stage.api.get('/busy')));
    await stage.clock.advance(10);
    calls.push(...times(100, () => underway(stage.api.get('/busy'))));
    expect((await stage.outcomes(calls)).every(({ status }) => status === 200)).toBe(true);
    expect(stage.to('/busy').filter(({ at }) => at > 0 && at < 30_010)).toEqual([]);
    expect(stage.to('/busy')).toHaveLength(2_100);
  });

  test('has a call signed again on release if it closed during the signing', async () => {
    const stage = new Stage();
    const sign = async (): Promise<Record<string, string>> => {
      const at = stage.clock.monotonic();
      await stage.clock.pass(100);
      return { 'X-Signed-At': String(at) };
    };
    stage.attach({ scheme: signed(sign) });
    stage.always('/busy', ({ at }) => (at < 1_000 ? tooMany(20) : 200));
    const calls = [underway(stage.api.get('/busy'))];
    await stage.clock.advance(105);
    calls.push(underway(stage.api.get('/busy')), underway(stage.api.get('/quiet')));
    expect(await stage.outcomes(calls)).toMatchObject([{ attempts: 2 }, { attempts: 1 }, { attempts: 1 }]);
    const [refused, ...others] = stage.to('/busy');
    expect(refused?.at).toBe(100);
    for (const { at, headers } of others) {
      expect(at).toBeGreaterThanOrEqual(20_110);
      expect(at - Number(headers['X-Signed-At'])).toBe(100);
    }
    expect(stage.to('/quiet').map(({ at }) => at)).toEqual([205]);
  });

  test.each([200, 404, 500])('releases four calls at a time while the rate is unknown (%i)', async (status) => {
    const { stage } = Stage.with({ attach: { retry: { statuses: [] } } });
    const path = `/status/${String(status)}`;
    stage.script(path, { ...tooMany(5), afterMs: 0 });
    const first = underway(stage.api.get(path));
    await stage.clock.settle();
    await stage.clock.advance(1);
    await stage.outcomes([first, ...times(20, () => underway(stage.api.get(path)))]);
    const [opened] = stage.to(path).slice(1);
    const inTurn = [0, 10].map((ms) => stage.to(path).filter(({ at }) => at === opened!.at + ms).length);
    expect(inTurn).toEqual([4, 4]);
  });

  // I10
  test('keeps released calls that wait for a refresh if it closes again meanwhile', async () => {
    const { stage } = Stage.with({ expiresIn: 4 });
    stage.refreshMs = 2_000;
    stage.script('/busy', { ...tooMany(30), afterMs: 6_000 }, { ...tooMany(5), afterMs: 0 });
    const calls = times(2, () => underway(stage.api.get('/busy')));
    await stage.clock.advance(100);
    calls.push(underway(stage.api.get('/busy')));
    expect(await stage.outcomes(calls)).toMatchObject(times(3, () => ({ status: 200 })));
    expect(stage.tokens.asks.map(({ at }) => at < 6_000)).toEqual([true, false]);
    for (const { at } of stage.to('/busy').slice(2)) expect(at).toBeGreaterThanOrEqual(36_000);
  });

  test('releases calls in the order of their arrival', async () => {
    const { stage } = Stage.with({});
    stage.script('/busy', tooMany(5));
    const calls = [underway(stage.api.get('/busy'))];
    for (let made = 0; made < 20; made++) {
      await stage.clock.advance(50);
      calls.push(underway(stage.api.get('/busy', { headers: { 'X-Call': String(made) } })));
    }
    await stage.settled(calls);
    const order = stage.to('/busy').map(({ call }) => call);
    expect(order.filter((call) => call !== undefined)).toEqual(times(20, String));
  });

  test.each([
    ['were refused', 0],
    ['had not been sent', 100],
  ])('released calls that %s, and abort while they wait for a refresh, delay no other call', async (_, madeAtMs) => {
    const { stage } = Stage.with({ expiresIn: 25 });
    stage.clock.chance = 0;
    stage.refreshMs = 3_000;
    stage.always('/busy', ({ at }) => (at < 1_000 ? tooMany(30) : 200));
    const controllers = times(21, () => new AbortController());
    const get = ({ signal }: AbortController): Promise<unknown> => underway(stage.api.get('/busy', { signal }));
    const impatient = controllers.slice(0, 1).map(get);
    await stage.clock.advance(madeAtMs);
    impatient.push(...controllers.slice(1).map(get));
    await stage.clock.advance(1_000 - madeAtMs);
    const patient = times(2, () => underway(stage.api.get('/busy', { headers: { 'X-Call': 'patient' } })));
    await stage.clock.advance(30_500);
    expect(stage.reasons).toEqual(['expiring']);
    for (const controller of controllers) controller.abort();
    expect((await stage.outcomes(patient)).every(({ status }) => status === 200)).toBe(true);
    await stage.settled(impatient);
    const sent = stage.to('/busy').filter(({ at }) => at > 1_000);
    expect(sent.map(({ call }) => call)).toEqual(['patient', 'patient']);
    expect(sent.map(({ at }) => at)).toEqual([33_010, 33_010]);
  });

  test.each(times(12, (ticks) => ticks + 1))(
    'a call that is cancelled between its release and its send delays no other (after %d ticks)',
    async (ticks) => {
      const controller = new AbortController();
      const { signal } = controller;
      let releases = 0;
      // A call leaves its queue when it is released.
      const released = jest.spyOn(Fifo.prototype, 'delete').mockImplementation(function (this: Set<object>, call) {
        const wasThere = Set.prototype.delete.call(this, call);
        if (wasThere && ++releases === 2)
          void (async () => {
            for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
            controller.abort();
          })();
        return wasThere;
      });
      const { stage } = Stage.with({});
      stage.clock.chance = 0;
      stage.script('/busy', tooMany(1), tooMany(1));
      const cancelled = underway(stage.api.get('/busy', { signal }));
      await stage.clock.advance(1_100);
      const next = underway(stage.api.get('/busy', { headers: { 'X-Call': 'next' } }));
      expect(await stage.outcome(next)).toMatchObject({ status: 200 });
      expect(signal.aborted).toBe(true);
      expect(stage.to('next')[0]?.at).toBeLessThan(4_000);
      await stage.settled([cancelled]);
      released.mockRestore();
    },
  );

  test('sends other paths until a second path is refused, and then closes the origin', async () => {
    const { stage } = Stage.with({});
    stage.script('/one', tooMany(20));
    const calls = [underway(stage.api.get('/one'))];
    await stage.clock.advance(10);
    expect(await stage.outcome(stage.api.get('/two'))).toMatchObject({ status: 200, waitedMs: 0 });
    stage.script('/three', tooMany(30));
    calls.push(underway(stage.api.get('/three')));
    await stage.clock.advance(20);
    calls.push(underway(stage.api.get('/two', { headers: { 'X-Call': 'held' } })));
    await stage.settled(calls);
    expect(stage.to('held')[0]?.at).toBeGreaterThanOrEqual(30_030);
    expect(await stage.outcome(stage.api.get('/two'))).toMatchObject({ status: 200, waitedMs: 0 });
  });

  test('does not close the origin for two paths that are refused one after the other', async () => {
    const { stage } = Stage.with({});
    stage.script('/one', tooMany(2));
    await stage.outcome(stage.api.get('/one'));
    stage.script('/two', tooMany(20));
    const call = underway(stage.api.get('/two'));
    await stage.clock.advance(100);
    expect(await stage.outcome(stage.api.get('/three'))).toMatchObject({ status: 200, waitedMs: 0 });
    await stage.outcome(call);
  });

  test('does not delay another origin', async () => {
    const { stage } = Stage.with({ attach: { origins: '*' } });
    stage.script('/one', tooMany(20));
    stage.script('/two', tooMany(20));
    const calls = [underway(stage.api.get('/one')), underway(stage.api.get('/two'))];
    await stage.clock.advance(100);
    expect(await stage.outcome(stage.api.get('https://other.example/one'))).toMatchObject({ status: 200, waitedMs: 0 });
    await stage.settled(calls);
  });

  test('keyOf decides which calls share a limit', async () => {
    const { stage } = Stage.with({
      attach: { throttle: { keyOf: ({ method, url }) => `${method} ${url.pathname.split('/')[1] ?? ''}` } },
    });
    stage.script('/users/1', tooMany(20));
    const calls = [underway(stage.api.get('/users/1'))];
    await stage.clock.advance(10);
    calls.push(underway(stage.api.get('/users/2')));
    expect(await stage.outcome(stage.api.post('/users/2'))).toMatchObject({ status: 200, waitedMs: 0 });
    expect(await stage.outcome(stage.api.get('/orders/2'))).toMatchObject({ status: 200, waitedMs: 0 });
    await stage.settled(calls);
    expect(stage.to('/users/2').find(({ method }) => method === 'GET')?.at).toBeGreaterThanOrEqual(20_010);
    expect(stage.eventsOf('throttled')).toMatchObject([{ key: 'GET users' }]);
  });

  test('a call that may not wait that long is rejected unsent, with retryAt', async () => {
    const { stage } = Stage.with({});
    stage.script('/busy', tooMany(600));
    await stage.outcome(stage.api.get('/busy'));
    await stage.clock.advance(1_000);
    const error = reasonOf(await stage.clock.until(stage.api.get('/busy')));
    expect(error).toMatchObject({ name: 'AuthError', code: 'ERR_AUTH_THROTTLED', config: { url: '/busy' } });
    expect(error.response).toBeUndefined();
    expect(exchangeOf(error)).toMatchObject({ attempts: 0, waitedMs: 0, retryAt: MORNING + 10 + 600_000 });
    expect(stage.to('/busy')).toHaveLength(1);
    expect(stage.clock.monotonic()).toBe(1_010);
    await stage.clock.advance(600_000);
    expect(await stage.outcome(stage.api.get('/busy'))).toMatchObject({ status: 200 });
  });

  test('a call whose deadline comes first is rejected unsent too', async () => {
    const { stage } = Stage.with({});
    stage.script('/busy', tooMany(30));
    const first = underway(stage.api.get('/busy'));
    await stage.clock.advance(10);
    expect(await stage.outcome(stage.api.get('/busy', { attachAuth: { deadlineMs: 29_000 } }))).toMatchObject({
      code: 'ERR_AUTH_THROTTLED',
      attempts: 0,
    });
    expect(stage.clock.monotonic()).toBe(10);
    expect(await stage.outcome(first)).toMatchObject({ status: 200 });
  });

  test('a call that was sent before, and may not wait that long, settles with its last response', async () => {
    const { stage } = Stage.with({});
    stage.script('/busy', { ...tooMany(5), afterMs: 10 }, { ...tooMany(300), afterMs: 1_000 });
    const first = underway(stage.api.get('/busy'));
    const patient = underway(
      stage.api.get('/busy', { attachAuth: { deadlineMs: 900_000, retry: { maxRetryAfterMs: 600_000 } } }),
    );
    expect(await stage.outcome(first)).toMatchObject({
      status: 429,
      attempts: 1,
      reason: 'retry-after-too-long',
      retryAt: MORNING + 301_000,
    });
    expect(stage.clock.monotonic()).toBe(1_000);
    expect(await stage.outcome(patient)).toMatchObject({ status: 200, attempts: 2 });
  });

  test('maxQueued bounds the queue of a key', async () => {
    const { stage } = Stage.with({ attach: { throttle: { maxQueued: 3 } } });
    stage.script('/busy', tooMany(10));
    const first = underway(stage.api.get('/busy'));
    await stage.clock.advance(10);
    const others = times(5, () => underway(stage.api.get('/busy')));
    await stage.clock.settle();
    const errors = (await stage.settled(others.slice(3))).map(reasonOf);
    expect(stage.clock.monotonic()).toBe(10);
    for (const error of errors)
      expect(summaryOf({ status: 'rejected', reason: error })).toMatchObject({
        code: 'ERR_AUTH_QUEUE_FULL',
        attempts: 0,
      });
    expect((await stage.outcomes([first, ...others.slice(0, 3)])).map(({ status }) => status)).toEqual([
      200, 200, 200, 200,
    ]);
  });

  test('a call that was sent before is enqueued in a full queue, too', async () => {
    const { stage } = Stage.with({ attach: { throttle: { maxQueued: 0 } } });
    stage.script('/busy', tooMany(10), tooMany(10));
    expect(await stage.outcomes(times(2, () => stage.api.get('/busy')))).toMatchObject(
      times(2, () => ({ status: 200, attempts: 2 })),
    );
  });

  test('an aborted call leaves room in the queue', async () => {
    const { stage } = Stage.with({ attach: { throttle: { maxQueued: 1 } } });
    stage.script('/busy', tooMany(10));
    const first = underway(stage.api.get('/busy'));
    await stage.clock.advance(10);
    const controller = new AbortController();
    const second = underway(stage.api.get('/busy', { signal: controller.signal }));
    await stage.clock.settle();
    expect(await stage.outcome(stage.api.get('/busy'))).toMatchObject({ code: 'ERR_AUTH_QUEUE_FULL' });
    controller.abort();
    expect(await stage.outcome(second)).toMatchObject({ code: 'ERR_CANCELED' });
    expect((await stage.outcomes([first, stage.api.get('/busy')])).map(({ status }) => status)).toEqual([200, 200]);
  });

  test('a call whose path closes during authorize() is enqueued once', async () => {
    const { stage } = Stage.with({ attach: { throttle: { maxQueued: 1 } }, expiresIn: 100 });
    stage.script('/busy', { ...tooMany(5), afterMs: 30 });
    const first = underway(stage.api.get('/busy'));
    await stage.clock.settle();
    stage.clock.sleepMachine(101_000);
    const second = underway(stage.api.get('/busy'));
    expect(await stage.outcomes([first, second])).toMatchObject([{ status: 200 }, { status: 200 }]);
  });

  test('throttle: false enqueues no call', async () => {
    const { stage } = Stage.with({ attach: { throttle: false } });
    stage.script('/busy', tooMany(20));
    const first = underway(stage.api.get('/busy'));
    await stage.clock.advance(10);
    expect(await stage.outcome(stage.api.get('/busy'))).toMatchObject({ status: 200, waitedMs: 0 });
    expect(await stage.outcome(first)).toMatchObject({ status: 200, attempts: 2 });
    expect(waits(stage, '/busy')).toHaveLength(2);
    expect(stage.eventsOf('throttled')).toEqual([]);
  });

  test('throttle: false enqueues no call of an asynchronous scheme, either', async () => {
    const stage = new Stage();
    const attempts: number[] = [];
    const authorize = async ({ attempt }: AuthRequest): Promise<void> => {
      await stage.clock.pass(50);
      attempts.push(attempt);
    };
    stage.attach({ scheme: { name: 'Slow', authorize }, throttle: false });
    stage.script('/open/busy', tooMany(20));
    expect(await stage.outcome(stage.api.get('/open/busy'))).toMatchObject({ status: 200, attempts: 2 });
    expect(attempts).toEqual([1, 2]);
  });

  test('emits throttled when it closes and resumed when it opens', async () => {
    const { stage } = Stage.with({});
    stage.script('/busy', tooMany(20));
    await stage.outcome(stage.api.get('/busy?secret=1'));
    const key = 'https://api.example.com/busy';
    expect(stage.eventsOf('throttled')).toEqual([
      { type: 'throttled', at: MORNING + 10, key, resumesAt: MORNING + 10 + 20_000, waiting: 0 },
    ]);
    expect(stage.eventsOf('resumed')).toEqual([{ type: 'resumed', at: MORNING + 10 + 20_000, key }]);
  });

  test('emits throttled once for concurrent refusals, and again for a much longer Retry-After', async () => {
    const { stage } = Stage.with({});
    const answers = [
      ...times(50, (call) => ({ ...tooMany(2), afterMs: 10 + call * 10 })),
      { ...tooMany(20), afterMs: 600 },
    ];
    stage.script('/busy', ...answers);
    await stage.outcomes(answers.map(() => stage.api.get('/busy')));
    expect(stage.eventsOf('throttled')).toMatchObject([
      { at: MORNING + 10, resumesAt: MORNING + 2_010, waiting: 0 },
      { at: MORNING + 600, resumesAt: MORNING + 20_600, waiting: 50 },
    ]);
    expect(stage.eventsOf('resumed')).toHaveLength(1);
  });

  test('enqueues calls without credentials, too', async () => {
    const { stage } = Stage.with({});
    stage.script('/open/busy', tooMany(20));
    const first = underway(stage.api.get('/open/busy'));
    await stage.clock.advance(10);
    const second = underway(stage.api.get('/open/busy', { attachAuth: { credentials: 'omit' } }));
    expect(await stage.outcome(stage.api.get('/open/busy', { attachAuth: false }))).toEqual({ status: 200 });
    await stage.settled([first, second]);
    expect(stage.to('/open/busy').filter(({ at }) => at > 10 && at < 20_010)).toEqual([]);
  });
});

// F52
describe('errors', () => {
  const idempotent = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'];
  const others = ['POST', 'PATCH'];
  const failures: [string, Reply, object][] = [
    ...[408, 500, 502, 503, 504].map((status): [string, Reply, object] => [String(status), { status }, { status }]),
    ['a reset', { fault: 'reset' }, { code: 'ECONNRESET' }],
    ['a refused connection', { fault: 'refused' }, { code: 'ECONNREFUSED' }],
    ['ERR_NETWORK', { fault: 'reset', code: 'ERR_NETWORK' }, { code: 'ERR_NETWORK' }],
    ['a timeout', { fault: 'silence' }, { code: 'ECONNABORTED' }],
  ];

  test.each(failures)('%s is retried three times for idempotent methods', async (_, reply, outcome) => {
    for (const method of idempotent) {
      const { stage } = Stage.with({ defaults: { timeout: 1_000 } });
      stage.script('/item', reply, reply, reply);
      expect(await stage.outcome(stage.api.request({ url: '/item', method }))).toMatchObject({
        status: 200,
        attempts: 4,
      });
      stage.always('/item', reply);
      expect(await stage.outcome(stage.api.request({ url: '/item', method }))).toMatchObject({
        ...outcome,
        attempts: 4,
        reason: 'attempts-exhausted',
      });
    }
  });

  test.each(failures)('%s settles the call at once for other methods', async (_, reply, outcome) => {
    for (const method of others) {
      const { stage } = Stage.with({ defaults: { timeout: 1_000 } });
      stage.script('/item', reply);
      const settled = await stage.outcome(stage.api.request({ url: '/item', method, data: { a: 1 } }));
      expect(settled).toMatchObject({ ...outcome, attempts: 1, reason: 'not-idempotent' });
    }
  });

  test.each<[string, AxiosRequestConfig]>([
    ['an Idempotency-Key', { headers: { 'Idempotency-Key': 'k1' } }],
    ['idempotent: true', { attachAuth: { idempotent: true } }],
    ['its method among methods', { attachAuth: { retry: { methods: ['post'] } } }],
  ])('a POST with %s is retried', async (_, config) => {
    for (const [, reply] of failures) {
      const { stage } = Stage.with({ defaults: { timeout: 1_000 } });
      stage.script('/item', reply);
      expect(await stage.outcome(stage.api.post('/item', { a: 1 }, config))).toMatchObject({
        status: 200,
        attempts: 2,
      });
      expect(stage.calls.map(({ body }) => body)).toEqual(['{"a":1}', '{"a":1}']);
      expect(stage.calls[1]?.headers['Idempotency-Key']).toBe(stage.calls[0]?.headers['Idempotency-Key']);
    }
  });

  test.each([
    ...[400, 403, 404, 409, 410, 422, 501, 505].map((status): [string, Reply] => [String(status), { status }]),
    ...[
      ...[
        'ERR_CANCELED',
        'ERR_BAD_OPTION',
        'ERR_BAD_OPTION_VALUE',
        'ERR_INVALID_URL',
        'ERR_BAD_REQUEST',
        'ECONNABORTED',
      ],
      ...['ERR_FORM_DATA_DEPTH_EXCEEDED', 'ERR_FR_TOO_MANY_REDIRECTS', 'ERR_AUTH_OTHER', 'ERR_NOT_SUPPORT'],
      ...[
        'ERR_DEPRECATED',
        'ERR_BAD_RESPONSE',
        'ERR_TLS_CERT_ALTNAME_INVALID',
        'ERR_SSL_WRONG_VERSION_NUMBER',
        'EPROTO',
      ],
      ...['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_GET_ISSUER_CERT'],
    ].map((code): [string, Reply] => [code, { fault: 'refused', code }]),
  ])('%s is never retried', async (_, reply) => {
    const { stage } = Stage.with({});
    stage.always('/item', reply);
    const outcome = await stage.outcome(stage.api.get('/item'));
    expect(outcome).toMatchObject({ attempts: 1 });
    expect(outcome.reason).toBeUndefined();
    expect(stage.calls).toHaveLength(1);
  });

  test('the backoff is between 0 and its step, which doubles', async () => {
    for (const chance of [0, 0.25, 0.999]) {
      const { stage } = Stage.with({ attach: { retry: { maxAttempts: 10, maxDelayMs: 3_000 } } });
      stage.clock.chance = chance;
      stage.always('/item', 500);
      await stage.outcome(stage.api.get('/item'));
      const steps = [500, 1_000, 2_000, 3_000, 3_000, 3_000, 3_000, 3_000, 3_000];
      waits(stage, '/item').forEach((waited, failures) => {
        expect(waited).toBeGreaterThanOrEqual(steps[failures]! * chance);
        expect(waited).toBeLessThanOrEqual(steps[failures]! * chance + 1);
      });
      expect(stage.to('/item')).toHaveLength(10);
    }
  });

  test.each(['EPROTOTYPE', 'X_EPROTO'])('%s is retried although it resembles a code that is not', async (code) => {
    const { stage } = Stage.with({});
    stage.script('/item', { fault: 'reset', code });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
  });

  test.each([
    ['a response that breaks off', new AxiosError('stream has been aborted', 'ERR_BAD_RESPONSE'), 4],
    ['an error of axios without a code', new AxiosError('odd'), 4],
    ['an error that axios did not create', new Error('odd'), 1],
  ])('%s: number of sends', async (_, error, attempts) => {
    const { stage } = Stage.with({});
    const adapter = jest.fn((config: object) => Promise.reject(Object.assign(error, { config })));
    await stage.outcome(stage.api.get('/item', { adapter }));
    expect(adapter).toHaveBeenCalledTimes(attempts);
  });

  test('a URL with an opaque origin is not retried, since it reaches no server', async () => {
    const { stage } = Stage.with({});
    stage.always('/item', { fault: 'reset' });
    const call = stage.api.get('app://host/item', { attachAuth: { credentials: 'omit' } });
    expect(await stage.outcome(call)).toMatchObject({ code: 'ECONNRESET', attempts: 1 });
  });

  test('a 503 with rate-limit headers and without Retry-After is retried with backoff', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', { status: 503, headers: { 'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': '30' } });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    expect(stage.eventsOf('retry')).toMatchObject([{ reason: 'status' }]);
    expect(stage.clock.monotonic()).toBeLessThan(1_000);
  });

  test('a timeout keeps its axios error code', async () => {
    for (const clarifyTimeoutError of [false, true]) {
      const { stage } = Stage.with({ defaults: { timeout: 1_000, transitional: { clarifyTimeoutError } } });
      stage.always('/item', { fault: 'silence' });
      const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
      expect(error.code).toBe(clarifyTimeoutError ? 'ETIMEDOUT' : 'ECONNABORTED');
      expect(exchangeOf(error)).toMatchObject({ attempts: 4 });
      expect(error.config?.transitional?.clarifyTimeoutError).toBe(clarifyTimeoutError);
      expect(stage.eventsOf('retry')).toMatchObject(times(3, () => ({ reason: 'timeout' })));
    }
  });

  test('the call rejects with the error of the last attempt, and its response', async () => {
    const { stage } = Stage.with({ attach: { retry: { maxAttempts: 2 } } });
    stage.script('/item', { fault: 'reset' }, { status: 503, data: { nth: 2 } });
    const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(error).toMatchObject({
      name: 'AxiosError',
      code: 'ERR_BAD_RESPONSE',
      response: { status: 503, data: { nth: 2 } },
    });
  });

  test.each([undefined, null, 'broken', Object.freeze(new Error('broken')), new Error('broken')])(
    'a value that an adapter rejects a later attempt with is passed on unchanged: %p',
    async (broken) => {
      const stage = new Stage();
      let sends = 0;
      const adapter: AxiosAdapter = (config) => (++sends === 1 ? stage.adapter(config) : Promise.reject(broken));
      const api = stage.instance({ adapter });
      stage.attach({ scheme: signed(() => ({})) }, api);
      stage.script('/item', 503);
      const settled = await stage.clock.until(api.get('/item'));
      expect(settled).toEqual({ status: 'rejected', reason: broken });
      if (broken instanceof Error) expect(broken).not.toHaveProperty('config');
      expect(sends).toBe(2);
    },
  );

  test('a stream is not sent twice, whatever the failure', async () => {
    for (const [, reply, outcome] of failures) {
      const { stage } = Stage.with({ defaults: { timeout: 1_000 } });
      stage.script('/item', reply);
      expect(await stage.outcome(stage.api.put('/item', Readable.from(['a'])))).toMatchObject({
        ...outcome,
        attempts: 1,
        reason: 'body-not-replayable',
      });
    }
  });
});

describe('retry options', () => {
  test.each([1, 2, 7])('maxAttempts counts sends: %i', async (maxAttempts) => {
    const { stage } = Stage.with({ attach: { retry: { maxAttempts } } });
    stage.always('/item', 503);
    const outcome = await stage.outcome(stage.api.get('/item'));
    expect(outcome).toMatchObject({ status: 503, attempts: maxAttempts, reason: 'attempts-exhausted' });
  });

  test('statuses and methods replace the defaults', async () => {
    const { stage } = Stage.with({ attach: { retry: { statuses: [418], methods: ['POST'] } } });
    stage.script('/item', 418);
    expect(await stage.outcome(stage.api.post('/item'))).toMatchObject({ status: 200, attempts: 2 });
    stage.script('/item', 503, 418);
    expect(await stage.outcome(stage.api.post('/item'))).toMatchObject({ status: 503, attempts: 1 });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
      status: 418,
      attempts: 1,
      reason: 'not-idempotent',
    });
  });

  test('retry: false sends every call once', async () => {
    for (const reply of [503, tooMany(1), { fault: 'reset' } as Reply]) {
      const { stage } = Stage.with({ attach: { retry: false } });
      stage.always('/item', reply);
      const outcome = await stage.outcome(stage.api.get('/item'));
      expect(outcome.attempts).toBe(1);
      expect(stage.calls).toHaveLength(1);
    }
  });

  test('the options of a call override those of the instance, field by field', async () => {
    const { stage } = Stage.with({ attach: { retry: { maxAttempts: 2, baseDelayMs: 100 } } });
    stage.clock.chance = 0.5;
    stage.always('/item', 503);
    await stage.outcome(stage.api.get('/item', { attachAuth: { retry: { maxAttempts: 3 } } }));
    expect(waits(stage, '/item')).toEqual([50, 100]);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ attempts: 2 });
    expect(await stage.outcome(stage.api.get('/item', { attachAuth: { retry: false } }))).toMatchObject({
      attempts: 1,
    });
    expect(await stage.outcome(stage.api.get('/item', { attachAuth: { retry: undefined } }))).toMatchObject({
      attempts: 2,
    });
  });

  test('a call may turn retries on if the instance turned them off', async () => {
    const { stage } = Stage.with({ attach: { retry: false } });
    stage.always('/item', 503);
    expect(await stage.outcome(stage.api.get('/item', { attachAuth: { retry: {} } }))).toMatchObject({ attempts: 4 });
  });

  test.each<[string, unknown]>([
    ['attachAuth', 'no'],
    ['attachAuth.credentials', { credentials: 'none' }],
    ['attachAuth.idempotent', { idempotent: 'yes' }],
    ['attachAuth.deadlineMs', { deadlineMs: -1 }],
    ['attachAuth.retry', { retry: true }],
    ['attachAuth.retry.maxAttempts', { retry: { maxAttempts: 0 } }],
    ['attachAuth.retry.statuses', { retry: { statuses: ['503'] } }],
  ])('a wrong option of a call rejects it with a TypeError that names %s', async (name, attachAuth) => {
    const { stage } = Stage.with({});
    const settled = await stage.clock.until(stage.api.get('/item', { attachAuth } as AxiosRequestConfig));
    expect(reasonOf(settled)).toBeInstanceOf(TypeError);
    expect(reasonOf(settled).message).toContain(name);
    expect(stage.calls).toEqual([]);
  });
});

test('the Retry-After of a status from `statuses` is obeyed, too', async () => {
  const { stage } = Stage.with({
    attach: { retry: { statuses: [400] } },
    defaults: { validateStatus: () => true },
  });
  stage.script('/item', { status: 400, headers: { 'Retry-After': '3' } });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
  expect(waits(stage, '/item')[0]).toBeGreaterThanOrEqual(3_000);
});

describe('shouldRetry', () => {
  test('overrides the decision: true retries, false settles', async () => {
    const { stage } = Stage.with({
      attach: { retry: { shouldRetry: ({ status }) => status === 500 || status === 409 } },
    });
    stage.clock.chance = 0.5;
    stage.script('/a', 500, 409);
    expect(await stage.outcome(stage.api.post('/a'))).toMatchObject({ status: 200, attempts: 3 });
    stage.script('/b', 503);
    expect(await stage.outcome(stage.api.get('/b'))).toMatchObject({ status: 503, attempts: 1 });
    stage.script('/c', tooMany(1));
    expect(await stage.outcome(stage.api.get('/c'))).toMatchObject({ status: 429, attempts: 1 });
  });

  test('gets the failure and the decision, without the query', async () => {
    const seen: RetryFailure[] = [];
    const { stage } = Stage.with({
      attach: {
        retry: {
          shouldRetry: (failure) => {
            seen.push(failure);
            return undefined;
          },
        },
      },
    });
    stage.clock.chance = 0.5;
    stage.script('/item', 503, { fault: 'reset' }, 404);
    expect(await stage.outcome(stage.api.get('/item?token=1', { params: { key: 2 } }))).toMatchObject({
      status: 404,
      attempts: 3,
    });
    const url = 'https://api.example.com/item';
    expect(seen).toMatchObject([
      { method: 'GET', url, attempt: 1, status: 503, willRetry: true, error: { response: { status: 503 } } },
      { method: 'GET', url, attempt: 2, willRetry: true, error: { code: 'ECONNRESET' } },
      { method: 'GET', url, attempt: 3, status: 404, willRetry: false },
    ]);
    expect(seen[1]).not.toHaveProperty('status');
  });

  test('gets no error if validateStatus accepts the status', async () => {
    const shouldRetry = jest.fn(() => undefined);
    const { stage } = Stage.with({ attach: { retry: { shouldRetry } }, defaults: { validateStatus: () => true } });
    await stage.outcome(stage.api.get('/status/404'));
    const url = 'https://api.example.com/status/404';
    expect(shouldRetry.mock.calls).toStrictEqual([[{ method: 'GET', url, attempt: 1, status: 404, willRetry: false }]]);
  });

  test('cannot exceed the limits of attempts, time and body', async () => {
    const shouldRetry = (): boolean => true;
    const { stage } = Stage.with({ attach: { retry: { shouldRetry, maxAttempts: 3 } } });
    stage.always('/item', 500);
    expect(await stage.outcome(stage.api.post('/item'))).toMatchObject({ attempts: 3, reason: 'attempts-exhausted' });
    expect(await stage.outcome(stage.api.post('/item', Readable.from(['a'])))).toMatchObject({
      attempts: 1,
      reason: 'body-not-replayable',
    });
    stage.always('/busy', tooMany(61));
    expect(await stage.outcome(stage.api.get('/busy'))).toMatchObject({ attempts: 1, reason: 'retry-after-too-long' });
    stage.clock.chance = 0.999;
    const outcome = await stage.outcome(stage.api.get('/item', { attachAuth: { deadlineMs: 1_000 } }));
    expect(outcome).toMatchObject({ status: 500, reason: 'deadline' });
  });

  test('is not called for a success, nor for a 401 that is replayed', async () => {
    const seen: RetryFailure[] = [];
    const { stage } = Stage.with({
      tokens: (endpoint) => endpoint.issueDead(),
      attach: { retry: { shouldRetry: (failure) => void seen.push(failure) } },
    });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    expect(seen).toEqual([]);
  });

  test('of a call precedes that of the instance', async () => {
    const { stage } = Stage.with({ attach: { retry: { shouldRetry: () => false } } });
    stage.script('/item', 503);
    const own = { attachAuth: { retry: { shouldRetry: () => true } } };
    expect(await stage.outcome(stage.api.get('/item', own))).toMatchObject({ status: 200, attempts: 2 });
  });
});

// F101
describe('the retry budget', () => {
  test('limits the load in an outage to 1.1 times the calls', async () => {
    const { stage } = Stage.with({});
    stage.always('/item', 503);
    const calls: Promise<unknown>[] = [];
    for (let made = 0; made < 1_000; made++) {
      calls.push(underway(stage.api.get('/item')));
      await stage.clock.advance(20);
    }
    const outcomes = await stage.outcomes(calls);
    expect(stage.calls.length).toBeGreaterThan(1_000);
    expect(stage.calls.length).toBeLessThanOrEqual(1_100 + 10);
    expect(outcomes.every(({ status }) => status === 503)).toBe(true);
    expect(outcomes.at(-1)).toMatchObject({ attempts: 1, reason: 'retry-budget' });
  });

  test('single faults are always retried', async () => {
    const { stage } = Stage.with({});
    for (let made = 0; made < 20; made++) {
      stage.script('/item', 503);
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
      await stage.clock.advance(5_000);
    }
  });

  test('counts neither replays after a 401 nor those after a 429', async () => {
    const { stage } = Stage.with({});
    stage.always('/busy', ({ at }) => (at < 1_000 ? tooMany(1) : 200));
    expect((await stage.outcomes(times(100, () => stage.api.get('/busy')))).every(({ status }) => status === 200)).toBe(
      true,
    );
    stage.tokens.revokeAll();
    expect((await stage.outcomes(times(100, () => stage.api.get('/item')))).every(({ status }) => status === 200)).toBe(
      true,
    );
    stage.script('/item', 503);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
  });

  test('is a tenth of the calls, first attempts counted alone', async () => {
    const { stage } = Stage.with({});
    await stage.settled(times(300, () => stage.api.get('/fine', { attachAuth: { credentials: 'omit' } })));
    stage.script('/item', ...times(40, () => 503));
    const outcomes = await stage.outcomes(times(40, () => stage.api.get('/item')));
    const healed = outcomes.filter(({ status }) => status === 200).length;
    expect(healed).toBe(34);
  });

  test('is separate for each origin', async () => {
    const { stage } = Stage.with({ attach: { origins: '*' } });
    stage.always('/item', ({ origin }) => (origin === 'https://api.example.com' ? 503 : 200));
    await stage.settled(times(100, () => stage.api.get('/item')));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ reason: 'retry-budget' });
    stage.script('/other', 503);
    expect(await stage.outcome(stage.api.get('https://other.example/other'))).toMatchObject({
      status: 200,
      attempts: 2,
    });
  });
});

describe('exchangeOf()', () => {
  test('reports attempts, refresh and wait of a call', async () => {
    const { stage } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    expect(await stage.outcome(stage.api.get('/item'))).toStrictEqual({
      status: 200,
      call: 1,
      attempts: 2,
      refreshed: true,
      waitedMs: 50,
    });
    expect(await stage.outcome(stage.api.get('/item'))).toStrictEqual({
      status: 200,
      call: 2,
      attempts: 1,
      refreshed: false,
      waitedMs: 0,
    });
    stage.clock.chance = 0.5;
    stage.script('/item', 503, 503);
    expect(await stage.outcome(stage.api.get('/item'))).toStrictEqual({
      status: 200,
      call: 3,
      attempts: 3,
      refreshed: false,
      waitedMs: 750,
    });
    stage.script('/item', tooMany(1));
    expect((await stage.outcome(stage.api.get('/item'))).waitedMs).toBeGreaterThanOrEqual(1_000);
    expect(await stage.outcome(stage.api.get('/status/404'))).toStrictEqual({
      status: 404,
      code: 'ERR_BAD_REQUEST',
      call: 5,
      attempts: 1,
      refreshed: false,
      waitedMs: 0,
    });
  });

  test('returns undefined for anything that this package did not send', async () => {
    const { stage } = Stage.with({});
    const [settled] = await stage.settled([stage.instance().get('/open/item')]);
    const [left] = await stage.settled([stage.api.get('/open/item', { attachAuth: false })]);
    expect(settled).toMatchObject({ status: 'fulfilled' });
    expect(left).toMatchObject({ status: 'fulfilled' });
    for (const thing of [
      settled,
      left,
      undefined,
      null,
      1,
      'a',
      {},
      { config: null },
      { config: {} },
      new Error('a'),
    ]) {
      expect(exchangeOf(thing)).toBeUndefined();
    }
    expect(exchangeOf((settled as PromiseFulfilledResult<unknown>).value)).toBeUndefined();
    expect(exchangeOf((left as PromiseFulfilledResult<unknown>).value)).toBeUndefined();
  });
});

describe('events', () => {
  test('report every retry and replay, without query and user-info', async () => {
    const { stage } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    stage.clock.chance = 0.5;
    stage.script('/item', 503, { status: 401 }, { fault: 'reset' });
    await stage.outcome(stage.api.get('/item?token=secret', { params: { key: 'secret' } }));
    const url = 'https://api.example.com/item';
    expect(stage.events.filter(({ type }) => type === 'retry' || type === 'replay')).toEqual([
      { type: 'retry', at: MORNING + 10, call: 1, method: 'GET', url, attempt: 2, delayMs: 250, reason: 'status' },
      { type: 'replay', at: MORNING + 320, call: 1, method: 'GET', url, attempt: 3 },
      { type: 'retry', at: MORNING + 330, call: 1, method: 'GET', url, attempt: 4, delayMs: 500, reason: 'network' },
    ]);
    stage.script('/mine', 503);
    await stage.outcome(stage.api.get('https://me:secret@api.example.com/mine?token=secret#secret'));
    expect(stage.eventsOf('retry').at(-1)).toMatchObject({ url: 'https://api.example.com/mine' });
    expect(JSON.stringify(stage.events)).not.toContain('secret');
  });

  test('report as delay of a 429 how long its key is closed, even if its own Retry-After is shorter', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', tooMany(30), { ...tooMany(1), afterMs: 20 });
    await stage.outcomes(times(2, () => underway(stage.api.get('/item'))));
    const retries = stage.events.flatMap((event) => (event.type === 'retry' ? [event.delayMs] : []));
    expect(retries).toHaveLength(2);
    expect(Math.min(...retries)).toBeGreaterThan(29_000);
  });

  test('report a 429 as throttled, and ignore errors of the listener', async () => {
    for (const listener of [
      () => {
        throw new Error('listener');
      },
      () => Promise.reject(new Error('listener')),
    ]) {
      const { stage } = Stage.with({ attach: { onEvent: listener } });
      stage.script('/item', tooMany(1), 503);
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 3 });
    }
    const { stage } = Stage.with({});
    stage.script('/item', tooMany(1));
    await stage.outcome(stage.api.get('/item'));
    expect(stage.eventsOf('retry')).toMatchObject([{ attempt: 2, reason: 'throttled' }]);
  });

  test('a rejected call has the server response on its error', async () => {
    const { stage } = Stage.with({});
    stage.always('/item', { status: 429, data: { detail: 'slow down' }, headers: { 'Retry-After': '90' } });
    const error: AxiosError = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(error.response).toMatchObject({ status: 429, data: { detail: 'slow down' } });
    expect(error.config?.url).toBe('/item');
  });
});
