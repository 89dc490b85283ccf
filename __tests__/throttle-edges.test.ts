import { inspect } from 'node:util';
import { createThrottle } from '../lib/index.js';
import { Throttle } from '../lib/throttle/throttle.js';
import { RETRY_DEFAULTS } from '../lib/retry/decide.js';
import { times } from './support/series.js';
import { Stage, tooMany, underway } from './support/stage.js';
import { VirtualClock } from './support/virtual-clock.js';

// F105
test('calls that a shared key takes over are rejected if they may not wait for it', async () => {
  const { stage } = Stage.with({});
  stage.script('/one', tooMany(5));
  stage.script('/two', { ...tooMany(300), afterMs: 100 });
  const refused = underway(stage.api.get('/one'));
  const other = underway(stage.api.get('/two'));
  await stage.clock.advance(50);
  const queued = underway(stage.api.get('/one'));
  const patience = { deadlineMs: 900_000, retry: { maxRetryAfterMs: 600_000 } };
  const patient = underway(stage.api.get('/one', { attachAuth: patience }));
  expect(await stage.outcomes([refused, other, queued])).toMatchObject([
    { status: 429, attempts: 1, reason: 'retry-after-too-long' },
    { status: 429, attempts: 1, reason: 'retry-after-too-long' },
    { code: 'ERR_AUTH_THROTTLED', attempts: 0 },
  ]);
  expect(stage.clock.monotonic()).toBe(100);
  expect(await stage.outcome(patient)).toMatchObject({ status: 200 });
  expect(stage.to('/one').at(-1)!.at).toBeGreaterThanOrEqual(300_100);
});

// F105
test('a path that is refused later, on its own, does not close the origin that two paths closed before', async () => {
  const { stage } = Stage.with({});
  for (const path of ['/one', '/two']) stage.script(path, tooMany(2));
  await stage.outcomes(['/one', '/two'].map((path) => stage.api.get(path)));
  for (let second = 0; second < 60; second++) {
    expect(await stage.outcome(stage.api.get('/one'))).toMatchObject({ status: 200, waitedMs: 0 });
    await stage.clock.advance(1_000);
  }
  stage.script('/three', tooMany(20));
  const three = underway(stage.api.get('/three'));
  await stage.clock.advance(100);
  expect(await stage.outcome(stage.api.get('/one'))).toMatchObject({ status: 200, waitedMs: 0 });
  await stage.outcome(three);
});

test('calls that wait for a daily quota are sent within their deadline once it is renewed', async () => {
  const { stage } = Stage.with({});
  const headers = { 'RateLimit-Policy': '"day";q=1000;w=86400', RateLimit: '"day";r=0;t=5' };
  stage.script('/item', { status: 429, headers });
  const first = underway(stage.api.get('/item'));
  await stage.clock.advance(100);
  const calls = [first, ...times(20, () => underway(stage.api.get('/item')))];
  expect((await stage.outcomes(calls)).filter(({ status }) => status !== 200)).toEqual([]);
});

// F154
test('late responses of an outage do not delay its probe', async () => {
  const { stage } = Stage.with({});
  const hour = { status: 503, headers: { 'Retry-After': '3600' } };
  stage.script('/item', hour, { ...hour, afterMs: 50_000 });
  const calls = times(2, () => underway(stage.api.get('/item')));
  await stage.clock.advance(60_100);
  await stage.outcomes(calls);
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1, waitedMs: 0 });
});

// F100
test('a key that no call waits for opens a little later than the server said, too', async () => {
  const { stage } = Stage.with({ attach: { retry: false } });
  stage.clock.chance = 0.9;
  stage.script('/item', tooMany(50));
  await stage.outcome(stage.api.get('/item'));
  await stage.clock.advance(50_001);
  await stage.outcome(stage.api.get('/item'));
  expect(stage.to('/item')[1]!.at).toBe(10 + 50_000 + 4_500);
});

test('a path that another machine closed counts as refused once its calls are refused here', async () => {
  const clock = new VirtualClock();
  const throttle = new Throttle(clock);
  const refusal = { status: 429, retryAfterMs: 5_000 };
  throttle.refused(['a/one'], undefined, refusal, RETRY_DEFAULTS);
  expect(throttle.refused(['a/one', 'a'], undefined, refusal, RETRY_DEFAULTS)).toBe('a/one');
  expect(throttle.refused(['a/two', 'a'], undefined, refusal, RETRY_DEFAULTS)).toBe('a');
});

// F86
test('a throttle that is printed while calls wait shows no token', async () => {
  const throttle = createThrottle();
  const { stage } = Stage.with({ attach: { throttle } });
  stage.script('/item', tooMany(5));
  const calls = times(3, () => underway(stage.api.get('/item')));
  await stage.clock.advance(100);
  const printed = inspect(throttle, { depth: Infinity, showHidden: true });
  expect(printed).toContain('Permit');
  expect(printed).not.toMatch(/alice-/);
  await stage.outcomes(calls);
});

// F98: only a time that the server named counts.
test.each([0, 1_000])('maxRetryAfterMs %i does not limit a backoff of our own', async (maxRetryAfterMs) => {
  const { stage } = Stage.with({ attach: { retry: { maxRetryAfterMs } } });
  stage.script('/item', 429, 429, 429, 429);
  const first = underway(stage.api.get('/item'));
  await stage.clock.advance(100);
  const later = underway(stage.api.get('/item'));
  expect(await stage.outcomes([first, later])).toMatchObject([{ status: 200 }, { status: 200 }]);
  stage.script('/named', tooMany(5));
  expect(await stage.outcome(stage.api.get('/named'))).toMatchObject({ status: 429, reason: 'retry-after-too-long' });
  expect(await stage.outcome(stage.api.get('/named'))).toMatchObject({ code: 'ERR_AUTH_THROTTLED' });
});
