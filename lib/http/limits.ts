import type { AxiosResponse } from 'axios';
import { skewOf } from './http-date.js';
import { readRateLimit, type RateLimit } from './rate-limit.js';
import { headerOf } from './response-headers.js';
import { parseRetryAfter } from './retry-after.js';

/** What an error response says about limits. */
export interface Limits {
  /** Ms that the server does not want to be asked again. */
  readonly retryAfterMs: number | undefined;
  /** What a 429 says beyond that. */
  readonly rateLimit: RateLimit | undefined;
}

export function limitsOf(response: AxiosResponse, now: number): Limits {
  const date = headerOf(response, 'age') === undefined ? headerOf(response, 'date') : undefined;
  const retryAfterMs = parseRetryAfter(headerOf(response, 'retry-after'), { now, date });
  if (response.status !== 429) return { retryAfterMs, rateLimit: undefined };
  const skewMs = date === undefined ? undefined : skewOf(date, now);
  const rateLimit = readRateLimit((name) => headerOf(response, name), now + (skewMs ?? 0));
  // A limit that has calls left is not the one that refused this call.
  const untilReset = (rateLimit?.remaining ?? 0) < 1 ? rateLimit?.resetMs : undefined;
  return { retryAfterMs: retryAfterMs ?? untilReset, rateLimit };
}
