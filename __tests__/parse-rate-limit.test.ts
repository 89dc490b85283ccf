import fc from 'fast-check';
import { readRateLimit, type RateLimit } from '../lib/http/rate-limit.js';

const NOW = Date.UTC(2026, 10, 23, 8);
const NOTHING: RateLimit = {
  remaining: undefined,
  resetMs: undefined,
  retryAfterMs: undefined,
  perSecond: undefined,
  policy: undefined,
};

function read(headers: Readonly<Record<string, string>>): RateLimit | undefined {
  return readRateLimit((name) => headers[name], NOW);
}

describe('headers that servers send', () => {
  test.each<[what: string, headers: Record<string, string>, limit: Partial<RateLimit>]>([
    [
      'draft 8, as express-rate-limit sends it',
      { ratelimit: '"2-in-3sec"; r=0; t=3', 'ratelimit-policy': '"2-in-3sec"; q=2; w=4; pk=:ODM3OGM=:' },
      { remaining: 0, resetMs: 3_000, perSecond: 0.5, policy: '"2-in-3sec"' },
    ],
    [
      'draft 8 with a part of the caller',
      { ratelimit: '"day";r=1;t=60;pk=:YQ==:' },
      { remaining: 1, resetMs: 60_000, policy: '"day" :YQ==:' },
    ],
    [
      'draft 8 with two limits: the tighter one',
      { ratelimit: '"a,b;c";r=5;t=1, "hour";r=0;t=7', 'ratelimit-policy': '"a,b;c";q=10;w=1, "hour";q=100;w=3600' },
      { remaining: 0, resetMs: 7_000, perSecond: 100 / 3_600, policy: '"hour"' },
    ],
    [
      'two limits that are as tight: the later one',
      { ratelimit: '"a";r=0;t=1, "b";r=0;t=9' },
      { remaining: 0, resetMs: 9_000, policy: '"b"' },
    ],
    [
      'two limits that are as tight, the later one named first',
      { ratelimit: '"b";r=0;t=9, "a";r=0;t=1' },
      { remaining: 0, resetMs: 9_000, policy: '"b"' },
    ],
    [
      'two equal limits: the first',
      { ratelimit: '"a";r=0;t=9, "b";r=0;t=9' },
      { remaining: 0, resetMs: 9_000, policy: '"a"' },
    ],
    [
      'two limits that have calls left, the tighter one named first',
      { ratelimit: '"a";r=1;t=1, "b";r=5;t=9' },
      { remaining: 1, resetMs: 1_000, policy: '"a"' },
    ],
    [
      'two limits that have calls left, the tighter one named last',
      { ratelimit: '"b";r=5;t=9, "a";r=1;t=1' },
      { remaining: 1, resetMs: 1_000, policy: '"a"' },
    ],
    [
      'blanks around separators',
      { ratelimit: ' "a" ; r= 0 ; t=3 ', 'ratelimit-policy': ' 50 ; w=1 ' },
      { remaining: 0, resetMs: 3_000, perSecond: 50, policy: '"a"' },
    ],
    [
      'draft 7',
      { ratelimit: 'limit=2, remaining=0, reset=3', 'ratelimit-policy': '2;w=4' },
      { remaining: 0, resetMs: 3_000, perSecond: 0.5 },
    ],
    ['draft 7 without a reset', { ratelimit: 'limit=2, remaining=0' }, { remaining: 0 }],
    ['draft 7 without remaining', { ratelimit: 'limit=2, reset=3' }, { resetMs: 3_000 }],
    [
      'draft 6',
      { 'ratelimit-limit': '2', 'ratelimit-remaining': '1', 'ratelimit-reset': '3' },
      { remaining: 1, resetMs: 3_000 },
    ],
    ['remaining alone', { 'x-ratelimit-remaining': '0' }, { remaining: 0 }],
    ['a span', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '9' }, { remaining: 0, resetMs: 9_000 }],
    [
      'epoch seconds',
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(NOW / 1000 + 9) },
      { remaining: 0, resetMs: 9_000 },
    ],
    ['epoch milliseconds', { 'x-rate-limit-reset': String(NOW + 9_000) }, { resetMs: 9_000 }],
    ['an HTTP-date', { 'x-ratelimit-reset': 'Mon, 23 Nov 2026 08:00:09 GMT' }, { resetMs: 9_000 }],
    ['an instant that has passed', { 'x-ratelimit-reset': String(NOW / 1000 - 9) }, { resetMs: 0 }],
    [
      'a span with a fraction',
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset-after': '0.25' },
      { remaining: 0, resetMs: 250 },
    ],
    // F153
    ['the span of another header', { 'x-rate-limit-retry-after-seconds': '9' }, { retryAfterMs: 9_000 }],
    ['the instant of another header', { 'x-ratelimit-retry-after': String(NOW / 1000 + 9) }, { retryAfterMs: 9_000 }],
    // F151
    [
      'a policy in requests beside one in bytes',
      {
        ratelimit: '"bytes";r=0;t=60, "calls";r=1;t=5',
        'ratelimit-policy': '"bytes";q=60;w=60;qu="content-bytes", "calls";q=100;w=10;qu="requests"',
      },
      { remaining: 1, resetMs: 5_000, perSecond: 10, policy: '"calls"' },
    ],
    [
      'a unit that is a token',
      { 'ratelimit-policy': 'bytes;q=60;w=60;qu=content-bytes, calls;q=100;w=10;qu=requests' },
      { perSecond: 10 },
    ],
    [
      'draft 7 with a quota in bytes and one in requests',
      { ratelimit: 'limit=100, remaining=0, reset=3', 'ratelimit-policy': '5;w=60;qu="content-bytes", 100;w=10' },
      { remaining: 0, resetMs: 3_000, perSecond: 10 },
    ],
    [
      'the policy of the limit that was named, not the tightest',
      { ratelimit: '"burst";r=0;t=1', 'ratelimit-policy': '"burst";q=10;w=1, "day";q=1000;w=86400' },
      { remaining: 0, resetMs: 1_000, perSecond: 10, policy: '"burst"' },
    ],
    [
      'the policy of the quota that was named',
      {
        'ratelimit-limit': '10',
        'ratelimit-remaining': '0',
        'ratelimit-reset': '1',
        'ratelimit-policy': '10;w=1, 1000;w=86400',
      },
      { remaining: 0, resetMs: 1_000, perSecond: 10 },
    ],
    ['a policy alone', { 'ratelimit-policy': '"a";q=50;w=1' }, { perSecond: 50 }],
    // F153
    ['the seconds of bucket4j', { 'x-rate-limit-retry-after-seconds': '7' }, { retryAfterMs: 7_000 }],
  ])('%s', (_, headers, limit) => {
    expect(read(headers)).toEqual({ ...NOTHING, ...limit });
  });
});

describe('no usable limit', () => {
  test.each<[headers: Record<string, string>]>([
    [{}],
    [{ ratelimit: '' }],
    [{ ratelimit: '"' }],
    [{ ratelimit: '"a";r=-1;t=3' }],
    [{ ratelimit: '"a";r=1e3' }],
    [{ 'x-ratelimit-reset': 'soon' }],
    [{ 'x-ratelimit-remaining': '1'.repeat(16) }],
    [{ 'ratelimit-policy': '"a";q=50;w=0' }],
    [{ 'ratelimit-policy': '"b";q=60;w=60;qu="content-bytes"', ratelimit: '"b";r=0;t=60' }],
    [{ 'ratelimit-policy': '60;w=60;qu="content-bytes"', ratelimit: 'limit=60, remaining=0, reset=9' }],
    [{ 'ratelimit-policy': '60;w=60;qu="concurrent-requests"', 'x-ratelimit-limit': '60', 'x-ratelimit-reset': '9' }],
    [{ 'ratelimit-policy': '"a";q=0;w=1' }],
    [{ ratelimit: `${' '.repeat(2_000)}"a";r=0;t=3` }],
  ])('%j', (headers) => {
    expect(read(headers)).toBeUndefined();
  });

  test('a reset of more than ten minutes is ignored', () => {
    expect(read({ ratelimit: '"a";r=0;t=601' })).toEqual({ ...NOTHING, remaining: 0, policy: '"a"' });
    expect(read({ ratelimit: '"a";r=0;t=600' })?.resetMs).toBe(600_000);
  });
});

// F96
test('it never throws, and returns finite delays', () => {
  const names = [
    'ratelimit',
    'ratelimit-policy',
    'ratelimit-remaining',
    'x-ratelimit-reset',
    'x-rate-limit-reset-after',
  ];
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: fc.constantFrom('"', ',', ';', '=', 'r', 't', 'q', 'w', '0', '1', '9', ' ', ':', '\\') }),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), text), (headers) => {
      const limit = read(headers);
      for (const value of [limit?.remaining, limit?.resetMs, limit?.perSecond]) {
        expect(value === undefined || (value >= 0 && value < Infinity)).toBe(true);
      }
    }),
    { seed: 20261123, numRuns: 2_000 },
  );
});
