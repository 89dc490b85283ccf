// The limiters that the tests use, too.
import { readFileSync } from 'node:fs';
import { transformSync } from 'esbuild';

const source = readFileSync(new URL('../__tests__/support/limiters.ts', import.meta.url), 'utf8');
const { code } = transformSync(source, { loader: 'ts' });
const { fixedWindow, slidingWindow, tokenBucket } = await import(`data:text/javascript,${encodeURIComponent(code)}`);

const perSecond = { quota: 50, windowMs: 1_000 };

/** By name: the limiter, and the configuration that a client would need. */
export const LIMITERS = {
  'bucket of 50/s': [() => tokenBucket(50, 50), perSecond],
  'bucket of 50/s, Retry-After': [() => tokenBucket(50, 50, 'secs'), perSecond],
  'small bucket of 50/s': [() => tokenBucket(50, 5), { quota: 5, windowMs: 100 }],
  'small bucket of 50/s, Retry-After': [() => tokenBucket(50, 5, 'secs'), { quota: 5, windowMs: 100 }],
  'window of 50/s': [() => fixedWindow(50, 1_000), perSecond],
  'window of 50/s, Retry-After': [() => fixedWindow(50, 1_000, 'secs'), perSecond],
  'window of 50/s, RateLimit headers': [() => fixedWindow(50, 1_000, 'draft'), perSecond],
  'window of 100/10 s, Retry-After': [() => fixedWindow(100, 10_000, 'secs'), { quota: 100, windowMs: 10_000 }],
  'sliding window of 50/s': [() => slidingWindow(50, 1_000), perSecond],
  'sliding, refused ones count': [() => slidingWindow(50, 1_000, 'none', true), perSecond],
};
