import { Gate } from '../lib/traffic/gate.js';
import { Silence } from '../lib/traffic/silence.js';
import { times } from './support/series.js';
import { Stage, tooMany, underway } from './support/stage.js';
import { VirtualClock } from './support/virtual-clock.js';

const limited = (headers: Record<string, string>): { status: number; headers: Record<string, string> } => ({
  status: 429,
  headers,
});

// F98
describe('what a 429 says of its limit', () => {
  test('is heard where it comes without Retry-After', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', limited({ RateLimit: '"burst";r=0;t=7' }));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    const [first, second] = stage.to('/item');
    expect(second!.at - first!.at).toBeGreaterThanOrEqual(7_000);
  });

  test('gives way to Retry-After', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', limited({ 'Retry-After': '2', RateLimit: '"burst";r=0;t=50' }));
    await stage.outcome(stage.api.get('/item'));
    expect(stage.clock.monotonic()).toBeLessThan(3_000);
  });

  test('is of another limit where that has calls left', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', limited({ 'X-RateLimit-Remaining': '12', 'X-RateLimit-Reset': '50' }));
    await stage.outcome(stage.api.get('/item'));
    expect(stage.clock.monotonic()).toBeLessThan(1_000);
  });

  test('counts an instant from the clock of the server', async () => {
    const { stage } = Stage.with({});
    const Date_ = 'Mon, 23 Nov 2026 20:00:00 GMT';
    const reset = String(Date.UTC(2026, 10, 23, 20) / 1000 + 5);
    stage.script('/item', limited({ Date: Date_, 'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': reset }));
    await stage.outcome(stage.api.get('/item'));
    expect(stage.clock.monotonic()).toBeGreaterThanOrEqual(5_000);
    expect(stage.clock.monotonic()).toBeLessThan(6_000);
  });

  test('counts an instant from the clock of this machine where the Date of the answer is none', async () => {
    const { stage } = Stage.with({});
    const reset = String(stage.clock.now() / 1000 + 5);
    stage.script('/item', limited({ Date: 'today', 'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': reset }));
    await stage.outcome(stage.api.get('/item'));
    expect(stage.clock.monotonic()).toBeGreaterThanOrEqual(5_000);
    expect(stage.clock.monotonic()).toBeLessThan(6_000);
  });
});

// F105
describe('what a limit reaches', () => {
  test('a second path refused by it closes the origin', async () => {
    const { stage } = Stage.with({});
    stage.script('/one', limited({ RateLimit: '"all";r=0;t=5' }));
    stage.script('/two', limited({ RateLimit: '"all";r=0;t=5' }));
    const both = ['/one', '/two'].map((path) => underway(stage.api.get(path)));
    await stage.clock.advance(100);
    const other = underway(stage.api.get('/other'));
    await stage.outcomes([...both, other]);
    expect(stage.to('/other')[0]!.at).toBeGreaterThanOrEqual(5_000);
  });

  test('a second path refused by one with another name does not', async () => {
    const { stage } = Stage.with({});
    stage.script('/one', limited({ RateLimit: '"one";r=0;t=5' }));
    stage.script('/two', limited({ RateLimit: '"two";r=0;t=5' }));
    const both = ['/one', '/two'].map((path) => underway(stage.api.get(path)));
    await stage.clock.advance(100);
    expect(await stage.outcome(stage.api.get('/other'))).toMatchObject({ status: 200, waitedMs: 0 });
    await stage.outcomes(both);
  });

  test('calls that wait for their paths wait together once the origin has closed, in their order', async () => {
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
    expect(stage.heard('throttled').map((event) => 'key' in event && event.key)).toEqual([
      'https://api.example.com/one',
      'https://api.example.com',
    ]);
  });
});

// F100
describe('when it opens', () => {
  test('a few go first, and more with every answer', async () => {
    const { stage } = Stage.with({});
    stage.latencyMs = 100;
    stage.script('/item', tooMany(5));
    const calls = [underway(stage.api.get('/item'))];
    await stage.clock.advance(200);
    calls.push(...times(99, () => underway(stage.api.get('/item'))));
    await stage.outcomes(calls);
    const [, ...sent] = stage.to('/item').map(({ at }) => at);
    const firstAt = sent[0]!;
    expect(sent.filter((at) => at < firstAt + 100)).toHaveLength(4);
    expect(sent.filter((at) => at < firstAt + 200).length).toBeLessThanOrEqual(12);
  });

  test('calls that hang hold up the others for five seconds each at most', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', tooMany(1), ...times(4, () => ({ fault: 'silence' }) as const));
    const calls = [underway(stage.api.get('/item'))];
    await stage.clock.advance(100);
    calls.push(...times(5, () => underway(stage.api.get('/item'))));
    await stage.clock.advance(12_500);
    expect(stage.to('/item').map(({ status }) => status)).toEqual([429, ...times(4, () => 'lost'), 200, 200]);
    expect(calls).toHaveLength(6);
  });

  test('calls that fail without a word hold up nobody', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', tooMany(1), ...times(8, () => ({ fault: 'reset' }) as const));
    const calls = [underway(stage.api.post('/item'))];
    await stage.clock.advance(100);
    calls.push(...times(11, () => underway(stage.api.post('/item'))));
    await stage.settled(calls);
    expect(stage.to('/item')).toHaveLength(13);
    expect(stage.clock.monotonic()).toBeLessThan(2_000);
  });

  test('a call now and then that is refused teaches no rate', async () => {
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

  test('what was learned is forgotten ten quiet seconds later', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', tooMany(1));
    await stage.outcome(stage.api.get('/item'));
    await stage.clock.advance(11_000);
    await stage.outcomes(times(50, () => stage.api.get('/item')));
    const last = stage.to('/item').slice(-50);
    expect(new Set(last.map(({ at }) => at)).size).toBe(1);
  });
});

describe('of a quota that a server publishes, calls use', () => {
  const post = (stage: Stage): Promise<unknown> => stage.outcome(stage.api.post('/item'));

  test.each<[what: string, before: (stage: Stage) => Promise<unknown>, inASecond: number]>([
    ['half where it has granted none before', () => Promise.resolve(), 4],
    ['one call at a time where it has granted few in a go', post, 3],
    [
      'half where it has failed those before',
      (stage) => {
        stage.script('/item', 500);
        return post(stage);
      },
      4,
    ],
    [
      'half where those before had to wait',
      (stage) => {
        stage.script('/item', tooMany(1));
        return post(stage);
      },
      4,
    ],
  ])('%s', async (_, before, inASecond) => {
    const { stage } = Stage.with({});
    await before(stage);
    stage.script('/item', { status: 429, headers: { 'Retry-After': '1', 'RateLimit-Policy': '20;w=10' } });
    const calls = [underway(stage.api.get('/item'))];
    await stage.clock.advance(50);
    const refusedAt = stage.clock.monotonic();
    calls.push(...times(3, () => underway(stage.api.get('/item'))));
    await stage.outcomes(calls);
    const sent = stage.to('/item').flatMap(({ at }) => (at > refusedAt ? [at] : []));
    expect(sent.filter((at) => at < sent[0]! + 1_000)).toHaveLength(inASecond);
  });
});

test('who leaves with a pass in hand makes room for the next', async () => {
  const clock = new VirtualClock();
  const gate = new Gate(clock, () => undefined, Infinity, { baseDelayMs: 500, maxDelayMs: 20_000 });
  const keys = ['https://api.example.com/item', 'https://api.example.com'] as const;
  const refusal = { retryAfterMs: 1_000, quota: undefined, perSecond: undefined, policy: undefined };
  gate.refused(keys, undefined, refusal);
  const entries = times(8, () => gate.enter(keys, { mayWait: () => true, isKnown: false }));
  const admitted: number[] = [];
  for (const [index, entry] of entries.entries())
    if (entry?.kind === 'wait') void entry.turn.then(() => admitted.push(index));

  await clock.advance(2_000);
  expect(admitted).toEqual([0, 1, 2, 3]);
  for (const index of admitted) {
    const entry = entries[index];
    if (entry?.kind === 'wait') entry.leave();
  }
  await clock.advance(1);
  expect(admitted).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

// I8
test('an answer that comes after detach() leaves no timer at a gate that was closed', async () => {
  const { stage, handle } = Stage.with({});
  stage.script('/item', tooMany(1), { status: 200, afterMs: 500 }, { ...tooMany(30), afterMs: 10 });
  const calls = [underway(stage.api.get('/item'))];
  await stage.clock.advance(100);
  calls.push(underway(stage.api.get('/item')));
  await stage.clock.advance(1_300);
  expect(stage.heard('throttled')).toHaveLength(2);

  handle.detach();
  await stage.settled(calls);

  expect(stage.clock.pending).toBe(0);
});

// F98
test.each([
  { lastMs: 1_600, isCrowded: false, expected: [100, 200, 400, 4_000, 8_000] },
  // Many share what it costs.
  { lastMs: 1_600, isCrowded: true, expected: [100, 200, 400, 500, 1_000, 2_000, 2_000] },
  { lastMs: 8_000, isCrowded: true, expected: [500, 1_000, 2_000, 2_000, 4_000, 4_000] },
  { lastMs: 400, isCrowded: true, expected: [500, 1_000, 2_000, 2_000] },
  { lastMs: 400, isCrowded: false, expected: [500, 1_000, 2_000, 4_000, 8_000, 10_000] },
])(
  'a silence that goes on longer than the last one, of $lastMs ms, is tried again and again: crowded $isCrowded',
  ({ lastMs, isCrowded, expected }) => {
    const silence = new Silence({ baseDelayMs: 500, maxDelayMs: 20_000 });
    silence.struck(0);
    silence.granted(lastMs);
    const waits = expected.map(() => {
      silence.struck(10_000);
      return silence.guess(10_000, 0, { isCrowded, chance: 0 }) - 10_000;
    });
    expect(waits).toEqual(expected);
  },
);

// F100
test('a server that says nothing is asked every few seconds where many wait, and ever more seldom where one does', async () => {
  const gaps = async (calls: number): Promise<number[]> => {
    const { stage } = Stage.with({});
    stage.always('/item', () => (stage.clock.monotonic() < 40_000 ? { status: 429 } : { status: 200 }));
    await stage.outcomes(times(calls, () => stage.api.get('/item')));
    const asked = stage.to('/item').map(({ at }) => at);
    return asked.slice(calls).flatMap((at, ask) => (at < 40_000 ? [at - asked[calls + ask - 1]!] : []));
  };
  const crowd = await gaps(40);
  expect(crowd.length).toBeGreaterThan(10);
  expect(Math.max(...crowd)).toBeLessThan(4_100);
  expect(Math.max(...(await gaps(1)))).toBeGreaterThan(4_100);
});
