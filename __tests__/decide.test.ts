import fc from 'fast-check';
import {
  decide,
  settled,
  type Circumstances,
  type Outcome,
  type Progress,
  type RetryPolicy,
} from '../lib/retry/decide.js';

const HALF = 0.5;

const policy: RetryPolicy = {
  maxAttempts: 4,
  maxThrottledAttempts: 6,
  statuses: new Set([408, 500, 502, 503, 504]),
  methods: new Set(['GET']),
  baseDelayMs: 500,
  maxDelayMs: 20_000,
  maxRetryAfterMs: 60_000,
};
const get: Circumstances = { isReplayable: true, isIdempotent: true, shouldRetry: undefined };
const post: Circumstances = { ...get, isIdempotent: false };
const stream: Circumstances = { ...get, isReplayable: false };
const asking = (wish: boolean | undefined, call = get): Circumstances => ({ ...call, shouldRetry: () => wish });

const after = (errors: number, throttles = 0, remainingMs = 120_000): Progress => {
  return {
    errors,
    throttles,
    attempts: errors + throttles,
    canReauthorize: true,
    isReplay: false,
    maxChallenges: 1,
    remainingMs,
  };
};
const answer = (status: number, retryAfterMs?: number): Outcome => ({
  kind: 'answer',
  status,
  isRefusal: false,
  retryAfterMs,
});
const refusal = (status: number): Outcome => ({ kind: 'answer', status, isRefusal: true, retryAfterMs: undefined });
const unauthorized = refusal(401);
const network: Outcome = { kind: 'network' };
const timeout: Outcome = { kind: 'timeout' };
const final: Outcome = { kind: 'final' };

const settle = (reason?: string): object => ({ kind: 'settle', reason });
const wait = (reason: string, delayMs: number): object => ({ kind: 'wait', reason, delayMs });
const REAUTHORIZE = { kind: 'reauthorize' };

type Row = [what: string, outcome: Outcome, progress: Progress, call: Circumstances, decision: object];

/** Tests the rows of a table. `retryAfterMs` of a decision is the delay of the server. */
function holds(rows: readonly Row[]): void {
  test.each(rows)('%s', (_what, outcome, progress, call, decision) => {
    const { retryAfterMs, ...rest } = {
      retryAfterMs: undefined,
      reason: undefined,
      ...decide(outcome, progress, call, policy, true, HALF),
    };
    expect(rest).toEqual({ reason: undefined, ...decision });
    if (retryAfterMs !== undefined) expect(outcome).toHaveProperty('retryAfterMs', retryAfterMs);
  });
}

describe('401', () => {
  const replayed: Progress = { ...after(0), canReauthorize: false, isReplay: true };

  holds([
    ['the first is answered with other credentials', unauthorized, after(0), get, REAUTHORIZE],
    ['so it is for a POST: the server did not act', unauthorized, after(0), post, REAUTHORIZE],
    ['so it is when attempts for errors and throttling are used up', unauthorized, after(4, 6), get, REAUTHORIZE],
    ['so it is for another status that means the same', refusal(200), after(0), get, REAUTHORIZE],
    ['shouldRetry has no say in it', unauthorized, after(0), asking(false), REAUTHORIZE],
    ['the second settles the call', unauthorized, replayed, get, settle('unauthorized-again')],
    [
      'the first settles the call if no scheme handles it',
      unauthorized,
      { ...replayed, isReplay: false },
      get,
      settle(),
    ],
    ['a moment before the deadline is answered', unauthorized, after(0, 0, 1), get, REAUTHORIZE],
    ['past the deadline settles the call', unauthorized, after(0, 0, 0), get, settle('deadline')],
    ['settles a stream', unauthorized, after(0), stream, settle('body-not-replayable')],
    ['after all sends that a call may make settles it', unauthorized, after(5, 6), get, settle('unauthorized-again')],
    ['one send earlier is answered', unauthorized, after(4, 6), get, REAUTHORIZE],
    ['that is not about credentials settles the call', answer(401), after(1), get, settle()],
  ]);

  test('is replayed without retries, too', () => {
    expect(decide(unauthorized, after(0), post, policy, false, HALF)).toEqual(REAUTHORIZE);
    expect(decide(unauthorized, replayed, post, policy, false, HALF)).toMatchObject(settle('unauthorized-again'));
  });
});

describe('429', () => {
  holds([
    ['without Retry-After waits by backoff', answer(429), after(0, 1), get, wait('throttled', 375)],
    ['without Retry-After waits longer each time', answer(429), after(0, 3), get, wait('throttled', 1_500)],
    [
      'with Retry-After waits that long, and a little more',
      answer(429, 1_000),
      after(0, 1),
      get,
      wait('throttled', 1_125),
    ],
    [
      'with Retry-After waits no longer after many failures',
      answer(429, 10_000),
      after(0, 5),
      get,
      wait('throttled', 10_500),
    ],
    ['with Retry-After: 0 waits by backoff', answer(429, 0), after(0, 1), get, wait('throttled', 375)],
    [
      'is retried for a POST, too, since the server did not act',
      answer(429, 1_000),
      after(0, 1),
      post,
      wait('throttled', 1_125),
    ],
    ['is counted separately from errors', answer(429), after(4, 5), get, wait('throttled', 6_000)],
    ['settles after maxThrottledAttempts', answer(429, 1_000), after(0, 6), get, settle('attempts-exhausted')],
    ['may ask for maxRetryAfterMs', answer(429, 60_000), after(0, 1), get, wait('throttled', 63_000)],
    [
      'with an instant rounded up to a second may exceed it by that',
      answer(429, 60_999),
      after(0, 1),
      get,
      wait('throttled', 64_048.95),
    ],
    ['that asks for more settles at once', answer(429, 61_000), after(0, 1), get, settle('retry-after-too-long')],
    ['that asks for ever settles at once', answer(429, Infinity), after(0, 1), get, settle('retry-after-too-long')],
    ['may last until the deadline', answer(429, 10_000), after(0, 1, 10_500), get, wait('throttled', 10_500)],
    ['that would last longer settles at once', answer(429, 10_000), after(0, 1, 10_499), get, settle('deadline')],
    ['settles a stream', answer(429, 1_000), after(0, 1), stream, settle('body-not-replayable')],
  ]);

  test.each([
    ['attempts-exhausted', answer(429, 90_000), after(0, 6), get],
    ['retry-after-too-long', answer(429, 90_000), after(0, 1), get],
    ['deadline', answer(429, 50_000), after(0, 1, 1_000), get],
    ['body-not-replayable', answer(429, 50_000), after(0, 1), stream],
  ] as const)('that settles for %s keeps the delay of the server', (reason, outcome, progress, call) => {
    const { retryAfterMs } = outcome as { retryAfterMs: number };
    expect(decide(outcome, progress, call, policy, true, HALF)).toEqual({ kind: 'settle', reason, retryAfterMs });
  });
});

describe('503 with Retry-After', () => {
  holds([
    ['waits for a GET as a 429 does', answer(503, 1_000), after(0, 1), get, wait('throttled', 1_125)],
    ['counts with the 429s', answer(503, 1_000), after(4, 5), get, wait('throttled', 1_125)],
    ['settles after maxThrottledAttempts', answer(503, 1_000), after(0, 6), get, settle('attempts-exhausted')],
    ['settles a POST: the server may have acted', answer(503, 1_000), after(0, 1), post, settle('not-idempotent')],
    ['asks for 0 for ever: backoff, and attempts end', answer(503, 0), after(0, 1), get, wait('throttled', 375)],
  ]);
});

describe('other statuses', () => {
  const retried = [408, 500, 502, 503, 504];
  holds([
    ...retried.flatMap<Row>((status) => [
      [
        `${String(status)} waits by backoff where sending again does no harm`,
        answer(status),
        after(1),
        get,
        wait('status', 250),
      ],
      [`${String(status)} settles a POST`, answer(status), after(1), post, settle('not-idempotent')],
      [`${String(status)} settles a stream`, answer(status), after(1), stream, settle('body-not-replayable')],
    ]),
    ...[200, 304, 400, 403, 404, 409, 422, 425, 501, 505, 511].flatMap<Row>((status) => [
      [`${String(status)} settles`, answer(status), after(1), get, settle()],
      [`${String(status)} settles a POST`, answer(status), after(1), post, settle()],
    ]),
    ['500 waits longer each time', answer(500), after(3), get, wait('status', 1_000)],
    ['500 settles after maxAttempts', answer(500), after(4), get, settle('attempts-exhausted')],
    ['500 counts apart from throttling', answer(500), after(1, 6), get, wait('status', 250)],
    ['500 with Retry-After waits that long', answer(500, 10_000), after(1), get, wait('status', 10_500)],
    ['500 with Retry-After: 0 has a backoff', answer(500, 0), after(1), get, wait('status', 375)],
    ['500 with too long a Retry-After settles', answer(500, 61_000), after(1), get, settle('retry-after-too-long')],
    ['500 shortly before the deadline settles', answer(500), after(1, 0, 249), get, settle('deadline')],
  ]);

  test('those of the policy count, and 429 besides', () => {
    const own = { ...policy, statuses: new Set([425]) };
    expect(decide(answer(425), after(1), get, own, true, HALF)).toMatchObject(wait('status', 250));
    expect(decide(answer(503, 1_000), after(0, 1), get, own, true, HALF)).toEqual(settled(undefined, 1_000));
    expect(decide(answer(429), after(0, 1), get, own, true, HALF)).toMatchObject(wait('throttled', 375));
  });
});

describe('without an answer', () => {
  holds([
    ['a network error waits by backoff', network, after(1), get, wait('network', 250)],
    ['a network error waits longer each time', network, after(3), get, wait('network', 1_000)],
    ['a network error settles a POST: the server may have acted', network, after(1), post, settle('not-idempotent')],
    ['a network error settles a stream', network, after(1), stream, settle('body-not-replayable')],
    ['a network error settles after maxAttempts', network, after(4), get, settle('attempts-exhausted')],
    ['a network error shortly before the deadline settles', network, after(1, 0, 249), get, settle('deadline')],
    ['a timeout waits by backoff', timeout, after(1), get, wait('timeout', 250)],
    ['a timeout settles a POST', timeout, after(1), post, settle('not-idempotent')],
    ['a final failure settles', final, after(1), get, settle()],
  ]);
});

describe('shouldRetry', () => {
  holds([
    ['true: a status that is not listed is retried', answer(404), after(1), asking(true), wait('status', 250)],
    ['true: 400 is a failure too', answer(400), after(1), asking(true), wait('status', 250)],
    ['true: a POST is retried after 500', answer(500), after(1), asking(true, post), wait('status', 250)],
    [
      'true: a POST is retried after 503 with Retry-After',
      answer(503, 1_000),
      after(0, 1),
      asking(true, post),
      wait('throttled', 1_125),
    ],
    ['true: a POST is retried after a network error', network, after(1), asking(true, post), wait('network', 250)],
    ['true: maxAttempts holds', answer(500), after(4), asking(true), settle('attempts-exhausted')],
    ['true: maxAttempts holds for a POST', network, after(4), asking(true, post), settle('attempts-exhausted')],
    ['true: a stream is not sent twice', answer(404), after(1), asking(true, stream), settle('body-not-replayable')],
    ['true: the deadline holds', answer(404), after(1, 0, 249), asking(true), settle('deadline')],
    ['true: maxRetryAfterMs holds', answer(404, 61_000), after(1), asking(true), settle('retry-after-too-long')],
    ['true: a final failure settles', final, after(1), asking(true), settle()],
    ['true: a response that is not a failure settles', answer(304), after(1), asking(true), settle()],
    ['false: 500 settles', answer(500), after(1), asking(false), settle()],
    ['false: 429 settles', answer(429, 1_000), after(0, 1), asking(false), settle()],
    ['false: a network error settles', network, after(1), asking(false), settle()],
    [
      'false: the reason of a call that settles anyway is kept',
      answer(500),
      after(4),
      asking(false),
      settle('attempts-exhausted'),
    ],
    ['undefined: as decided, to wait', answer(500), after(1), asking(undefined), wait('status', 250)],
    ['undefined: as decided, to settle', answer(500), after(1), asking(undefined, post), settle('not-idempotent')],
  ]);

  test.each<[string, Outcome, Progress, Circumstances, boolean[]]>([
    ['with true for a retry', answer(500), after(1), get, [true]],
    ['with false for a failure that settles', answer(500), after(1), post, [false]],
    ['with true for a network error', network, after(1), get, [true]],
    ['never for a response that is not a failure', answer(200), after(1), get, []],
    ['never for a final failure', final, after(1), get, []],
    ['never for a 401 that is replayed', unauthorized, after(1), get, []],
  ])('is called at most once: %s', (_what, outcome, progress, call, expected) => {
    const shouldRetry = jest.fn((willRetry: boolean) => (willRetry ? undefined : false));
    decide(outcome, progress, { ...call, shouldRetry }, policy, true, HALF);
    expect(shouldRetry.mock.calls).toEqual(expected.map((willRetry) => [willRetry]));
  });
});

describe('retry: false', () => {
  test.each<[string, Outcome]>([
    ['429', answer(429, 1_000)],
    ['503 with Retry-After', answer(503, 1_000)],
    ['500', answer(500)],
    ['a network error', network],
    ['a timeout', timeout],
  ])('settles after %s without calling shouldRetry, and keeps the delay of the server', (_what, outcome) => {
    const shouldRetry = jest.fn(() => true);
    const { retryAfterMs } = { retryAfterMs: undefined, ...outcome };
    expect(decide(outcome, after(1, 1), { ...get, shouldRetry }, policy, false, HALF)).toEqual({
      kind: 'settle',
      retryAfterMs,
    });
    expect(shouldRetry).not.toHaveBeenCalled();
  });
});

describe('for all inputs', () => {
  const ms = fc.oneof(fc.integer({ min: 0, max: 200_000 }), fc.constantFrom(0, 1, 500, 60_000, Infinity));
  const count = fc.integer({ min: 1, max: 8 });
  const outcomes: fc.Arbitrary<Outcome> = fc.oneof(
    fc.record({
      kind: fc.constant('answer' as const),
      status: fc.oneof(fc.constantFrom(200, 401, 404, 408, 429, 500, 503), fc.integer({ min: 100, max: 599 })),
      isRefusal: fc.boolean(),
      retryAfterMs: fc.option(ms, { nil: undefined }),
    }),
    fc.record({ kind: fc.constantFrom('network' as const, 'timeout' as const, 'final' as const) }),
  );
  const circumstances = fc.record({
    isReplayable: fc.boolean(),
    isIdempotent: fc.boolean(),
    wish: fc.constantFrom(true, false, undefined),
  });
  const progresses = fc.record({
    errors: count,
    throttles: count,
    attempts: count,
    canReauthorize: fc.boolean(),
    isReplay: fc.boolean(),
    maxChallenges: count,
    remainingMs: fc.oneof(ms, fc.integer({ min: -1_000, max: 0 })),
  });
  const policies = fc.record({
    maxAttempts: count,
    maxThrottledAttempts: count,
    statuses: fc.constantFrom(policy.statuses, new Set([401, 404]), new Set<number>()),
    methods: fc.constant(policy.methods),
    baseDelayMs: fc.integer({ min: 0, max: 5_000 }),
    maxDelayMs: fc.integer({ min: 0, max: 100_000 }),
    maxRetryAfterMs: ms,
  });
  const chances = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  test('a call is sent again only if body, time, attempts and method allow it, and not before the delay of the server', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(
        outcomes,
        progresses,
        circumstances,
        policies,
        chances,
        (outcome, progress, { wish, ...call }, some, chance) => {
          const decision = decide(outcome, progress, { ...call, shouldRetry: () => wish }, some, true, chance);
          seen.add(decision.kind);
          const { status, isRefusal, retryAfterMs } = {
            status: 0,
            isRefusal: false,
            retryAfterMs: undefined,
            ...outcome,
          };
          if (decision.kind === 'settle') return;
          expect(call.isReplayable).toBe(true);
          if (decision.kind === 'reauthorize') {
            expect([isRefusal, progress.canReauthorize, progress.remainingMs > 0]).toEqual([true, true, true]);
            expect(progress.attempts).toBeLessThan(
              some.maxAttempts + some.maxThrottledAttempts + progress.maxChallenges,
            );
            return;
          }
          expect(outcome.kind).not.toBe('final');
          expect(wish).not.toBe(false);
          expect(decision.delayMs).toBeGreaterThanOrEqual(retryAfterMs ?? 0);
          expect(decision.delayMs).toBeLessThanOrEqual(progress.remainingMs);
          expect(Math.floor((retryAfterMs ?? 0) / 1000) * 1000).toBeLessThanOrEqual(some.maxRetryAfterMs);
          const [sent, most] =
            decision.reason === 'throttled'
              ? [progress.throttles, some.maxThrottledAttempts]
              : [progress.errors, some.maxAttempts];
          expect(sent).toBeLessThan(most);
          if (!call.isIdempotent && wish !== true) expect(status).toBe(429);
        },
      ),
      { numRuns: 3_000 },
    );
    expect([...seen].sort()).toEqual(['reauthorize', 'settle', 'wait']);
  });
});
