import type { AxiosInstance } from 'axios';
import { basic, type AttachAuthOptions } from '../../lib/index.js';
import { changing, fixedWindow, ownWindow, slidingWindow, tokenBucket, type Hint, type Limiter } from './limiters.js';
import { Stage } from './stage.js';

/** The latency of a response, and the time that server and client need per call, one after the other. */
export interface Distance {
  readonly latencyMs: readonly [least: number, most: number];
  readonly busyMs: number;
  readonly readMs?: number;
}

export interface World {
  readonly name: string;
  readonly limiter: () => Limiter;
  readonly distance?: Distance;
}

/** Calls without a limit, to another path or another origin. */
export type Traffic = 'path' | 'origin';

export interface Plan {
  readonly seed: number;
  readonly calls?: number;
  readonly attach?: Omit<AttachAuthOptions, 'scheme'>;
  readonly traffic?: readonly Traffic[];
  /** Instances of one scheme, among which the calls are divided. */
  readonly instances?: number;
}

export interface Drained {
  readonly lost: number;
  /** Refusals after the first burst, per call. */
  readonly refused: number;
  /** The time until the last grant, relative to the least that the limit allows. */
  readonly time: number;
  /** The longest wait of a call of the other traffic, in ms. */
  readonly othersWaitedMs: number;
}

const NEAR: Distance = { latencyMs: [5, 20], busyMs: 0 };
const FAR: Distance = { latencyMs: [90, 110], busyMs: 0 };
/** It needs two seconds for a thousand calls, so windows pass during the first burst. */
const BUSY: Distance = { latencyMs: [1, 2], busyMs: 2 };
/** It needs half a second for a thousand responses. */
const SLOW_READER: Distance = { latencyMs: [1, 3], busyMs: 0.25, readMs: 0.5 };
const SLOW_READER_FAR_AWAY: Distance = { latencyMs: [50, 150], busyMs: 0.25, readMs: 0.5 };
const OTHERS_EVERY_MS = 20;
const OTHER_ORIGIN = 'https://other.example.com';

const world = (name: string, limiter: () => Limiter, distance?: Distance): World => ({
  name,
  limiter,
  ...(distance && { distance }),
});

/** A thousand calls at once against each of these. */
export const WORLDS: readonly World[] = [
  world('a bucket of 50 a second', () => tokenBucket(50, 50)),
  world('a bucket of 50 a second, with Retry-After', () => tokenBucket(50, 50, 'secs')),
  world('a small bucket of 50 a second', () => tokenBucket(50, 5)),
  world('a small bucket of 50 a second, with Retry-After', () => tokenBucket(50, 5, 'secs')),
  world('a window of 50 a second', () => fixedWindow(50, 1_000)),
  world('a window of 50 a second, with Retry-After', () => fixedWindow(50, 1_000, 'secs')),
  world('a window of 100 a second, with Retry-After', () => fixedWindow(100, 1_000, 'secs')),
  world('a window of 200 a second, with Retry-After', () => fixedWindow(200, 1_000, 'secs')),
  world('a window of 50 a second that RateLimit headers describe', () => fixedWindow(50, 1_000, 'draft')),
  world('a window of 100 in ten seconds, with Retry-After', () => fixedWindow(100, 10_000, 'secs')),
  world('a window of its own, 100 a second', () => ownWindow(100, 1_000, 'secs')),
  world('a window of its own, 200 a second', () => ownWindow(200, 1_000, 'secs')),
  world('a window of its own, 200 a second, that RateLimit headers describe', () => ownWindow(200, 1_000, 'draft')),
  world('a window of its own, 50 a second, of which an instant is told', () => ownWindow(50, 1_000, 'epoch')),
  world('a window of its own, 100 a second, far away', () => ownWindow(100, 1_000, 'secs'), FAR),
  world('a window of its own, 100 a second, of a busy server', () => ownWindow(100, 1_000), BUSY),
  world(
    'a window of its own, 100 a second, with Retry-After, of a busy server',
    () => ownWindow(100, 1_000, 'secs'),
    BUSY,
  ),
  world('a window of its own, 200 a second, of a busy server', () => ownWindow(200, 1_000), BUSY),
  world('a window of 100 a second, with Retry-After, of a busy server', () => fixedWindow(100, 1_000, 'secs'), BUSY),
  world('a small bucket of 100 a second of a busy server', () => tokenBucket(100, 10), BUSY),
  world('a window of 50 a second, with Retry-After, read slowly', () => fixedWindow(50, 1_000, 'secs'), SLOW_READER),
  world(
    'a window of its own, 50 a second, that RateLimit headers describe, read slowly',
    () => ownWindow(50, 1_000, 'draft'),
    SLOW_READER,
  ),
  world(
    'a window of its own, 50 a second, with Retry-After, read slowly, far away',
    () => ownWindow(50, 1_000, 'secs'),
    SLOW_READER_FAR_AWAY,
  ),
  world(
    'a sliding window of 50 a second, with Retry-After, read slowly',
    () => slidingWindow(50, 1_000, 'secs'),
    SLOW_READER,
  ),
  world('a bucket of 50 a second, with Retry-After, read slowly', () => tokenBucket(50, 50, 'secs'), SLOW_READER),
  world('a small bucket of 100 a second, read slowly', () => tokenBucket(100, 10), SLOW_READER),
  world('a window of 25 in half a second, with Retry-After', () => fixedWindow(25, 500, 'secs')),
  world('a sliding window of 50 a second', () => slidingWindow(50, 1_000)),
  world('a sliding window of 50 a second, with Retry-After', () => slidingWindow(50, 1_000, 'secs')),
  world('a sliding window that counts what it refused', () => slidingWindow(50, 1_000, 'none', true)),
  world('a bucket that is halved meanwhile', () => changing(8_000, tokenBucket(50, 50), tokenBucket(25, 25))),
  world('a bucket that doubles meanwhile', () => changing(8_000, tokenBucket(50, 50), tokenBucket(100, 100))),
];

/** 50 a second with each kind of hint, for 150 calls. `draft` describes windows only. */
export const SMALL_WORLDS: readonly World[] = (['none', 'secs', 'exact', 'epoch', 'draft'] as const).flatMap((hint) => [
  ...(hint === 'draft'
    ? []
    : [
        world(`a bucket of 50 (${hint})`, () => tokenBucket(50, 50, hint)),
        ...(isWholeSeconds(hint) ? [] : [world(`a bucket of 5 (${hint})`, () => tokenBucket(50, 5, hint))]),
        world(`a sliding window (${hint})`, () => slidingWindow(50, 1_000, hint)),
      ]),
  world(`a window (${hint})`, () => fixedWindow(50, 1_000, hint)),
  world(`a window of its own (${hint})`, () => ownWindow(50, 1_000, hint)),
]);

/** Each refusal costs at least half a second then, and a bucket of 5 fills in a tenth of that. No client is fast there. */
function isWholeSeconds(hint: Hint): boolean {
  return hint === 'secs' || hint === 'epoch' || hint === 'draft';
}

/** Makes all calls at once, and lets virtual time pass until they have settled. */
export async function drain({ limiter: makeLimiter, distance = NEAR }: World, plan: Plan): Promise<Drained> {
  const { seed, calls: count = 1_000, attach = {}, traffic = [], instances = 1 } = plan;
  const { latencyMs, busyMs, readMs = 0 } = distance;
  const [least, most] = latencyMs;
  const limiter = makeLimiter();
  const stage = new Stage(seed);
  const scheme = basic({ username: 'alice', password: 'secret' });
  const apis = Array.from({ length: instances }, () => stage.instance());
  for (const api of apis) stage.attach({ scheme, ...attach }, api);
  let servedAt = 0;
  let readAt = 0;
  let answers = 0;
  let lastAt = 0;
  stage.always('/open/item', () => {
    const now = stage.clock.monotonic();
    servedAt = Math.max(servedAt, now) + busyMs;
    const refusal = limiter.take(servedAt);
    if (!refusal) lastAt = servedAt;
    readAt = Math.max(readAt, servedAt + least + stage.clock.random() * (most - least)) + readMs;
    // Some responses of a burst are read last, since they were incomplete at first.
    const isLate = readMs > 0 && answers++ < count && stage.clock.random() < 0.3;
    const afterMs = readAt - now + (isLate ? (count / 2) * readMs : 0);
    return { ...(refusal ?? { status: 200 }), afterMs };
  });
  const calls = Array.from({ length: count }, (_, index) => apis[index % instances]!.get('/open/item'));
  const others = beside(stage, apis[0]!, traffic);
  const outcomes = await stage.outcomes(calls);
  const waits = (await stage.outcomes(others.stop())).map(({ waitedMs = 0 }) => waitedMs);
  const refusals = stage.to('/open/item').filter(({ status, at }) => status === 429 && at > 0);
  return {
    lost: outcomes.filter(({ status }) => status !== 200).length,
    refused: refusals.length / count,
    time: lastAt / limiter.idealMs(count),
    othersWaitedMs: Math.max(0, ...waits),
  };
}

function beside(
  { clock }: Stage,
  api: AxiosInstance,
  traffic: readonly Traffic[],
): { readonly stop: () => Promise<unknown>[] } {
  const calls: Promise<unknown>[] = [];
  let isOver = traffic.length === 0;
  const next = (): void => {
    if (isOver) return;
    for (const kind of traffic)
      calls.push(api.get(kind === 'path' ? '/open/other' : `${OTHER_ORIGIN}/open/item/${String(calls.length % 3)}`));
    clock.later(OTHERS_EVERY_MS, next);
  };
  next();
  return {
    stop() {
      isOver = true;
      return calls;
    },
  };
}

/** The ratio of grants of two clients with a common limit, when the first of them is done. */
export async function ratioOfTwo(makeLimiter: () => Limiter, each: number, seed: number): Promise<number> {
  const stage = new Stage(seed);
  stage.latencyMs = () => 5 + stage.clock.random() * 15;
  const limiter = makeLimiter();
  stage.always('/open', () => limiter.take(stage.clock.monotonic()));
  const calls = ['a', 'b'].flatMap((client) => {
    const api = stage.instance();
    stage.attach({ scheme: basic({ username: client, password: 'secret' }) }, api);
    return Array.from({ length: each }, () => api.get('/open', { headers: { 'X-Call': client } }));
  });
  const outcomes = await stage.outcomes(calls);
  expect(outcomes.filter(({ status }) => status !== 200)).toEqual([]);
  const grants = ['a', 'b'].map((client) => stage.to(client).filter(({ status }) => status === 200));
  const firstIsDoneAt = Math.min(...grants.map((sent) => sent.at(-1)!.at));
  const shares = grants.map((sent) => sent.filter(({ at }) => at <= firstIsDoneAt).length);
  return Math.max(...shares) / Math.min(...shares);
}

export const SHARED_WORLDS: readonly (World & { readonly each: number })[] = [
  { ...world('a window of 50 a second, with Retry-After', () => fixedWindow(50, 1_000, 'secs')), each: 500 },
  { ...world('a window of 100 in ten seconds, with Retry-After', () => fixedWindow(100, 10_000, 'secs')), each: 300 },
  {
    ...world('a window of 100 a second that RateLimit headers describe', () => fixedWindow(100, 1_000, 'draft')),
    each: 500,
  },
  { ...world('a bucket of 50 a second', () => tokenBucket(50, 50)), each: 500 },
  { ...world('a sliding window of 50 a second, with Retry-After', () => slidingWindow(50, 1_000, 'secs')), each: 500 },
];

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
