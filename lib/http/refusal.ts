import { parseServed } from './http-date.js';
import { parseRetryAfter } from './retry-after.js';
import { readRateLimit } from './rate-limit.js';
import { dateOf, headerOf } from './response-headers.js';

/** The delay and the limit in the headers of a refusal. */
export interface Refusal {
  readonly status: number;
  readonly retryAfterMs: number | undefined;
  /** It is the difference of two instants in whole seconds: up to a second too long, never too short. */
  readonly isRounded?: boolean | undefined;
  /** Calls per second that the limit grants. */
  readonly perSecond?: number | undefined;
  /** The name of the limit. */
  readonly policy?: string | undefined;
}

/** Reads the headers of a response. Instants are measured against its own Date, unless it comes from a cache (Age). */
export function readRefusal(response: { readonly status: number }, now: number): Refusal {
  const { status } = response;
  const header = (name: string): string | undefined => headerOf(response, name);
  const date = dateOf(response);
  const retryAfterMs = parseRetryAfter(header('retry-after'), { now, date });
  if (status !== 429) return { status, retryAfterMs };
  const limit = readRateLimit(header, (date === undefined ? undefined : parseServed(date, now)) ?? now);
  // A limit that has calls left is not the one that refused.
  const resetMs = (limit?.remaining ?? 0) < 1 ? limit?.resetMs : undefined;
  const { perSecond, policy } = limit ?? {};
  const isRounded = retryAfterMs === undefined;
  return { status, retryAfterMs: retryAfterMs ?? limit?.retryAfterMs ?? resetMs, isRounded, perSecond, policy };
}
