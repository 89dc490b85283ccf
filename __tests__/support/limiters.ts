import type { Reply } from './stage.js';

/**
 * The hint of a refusal. `secs`: whole seconds, rounded up. `exact`: with a fraction. `draft`: only RateLimit headers. `epoch`: only an
 * instant, in whole seconds.
 */
export type Hint = 'none' | 'secs' | 'exact' | 'draft' | 'epoch';

/** The first wall time of every stage. */
const MORNING = Date.UTC(2026, 10, 23, 8, 0, 0);

/** A limit of a server: grants or refuses a call at an instant. */
export interface Limiter {
  take(now: number): Reply | undefined;
  /** The least time for that many calls. */
  idealMs(calls: number): number;
}

export function tokenBucket(perSecond: number, burst: number, hint: Hint = 'none'): Limiter {
  let tokens = burst;
  let last = 0;
  return {
    take(now) {
      tokens = Math.min(burst, tokens + ((now - last) / 1000) * perSecond);
      last = now;
      if (tokens < 1) return refuse(hint, ((1 - tokens) / perSecond) * 1000);
      tokens--;
      return undefined;
    },
    idealMs: (calls) => (Math.max(0, calls - burst) / perSecond) * 1000,
  };
}

export function fixedWindow(quota: number, windowMs: number, hint: Hint = 'none'): Limiter {
  let window = -1;
  let taken = 0;
  return {
    take(now) {
      const current = Math.floor(now / windowMs);
      if (current !== window) taken = 0;
      window = current;
      if (++taken <= quota) return undefined;
      return refuse(hint, (current + 1) * windowMs - now, `"all";q=${String(quota)};w=${String(windowMs / 1000)}`, now);
    },
    idealMs: (calls) => (Math.ceil(calls / quota) - 1) * windowMs,
  };
}

/** A window begins with the first call after the end of the previous one, as in express-rate-limit. */
export function ownWindow(quota: number, windowMs: number, hint: Hint = 'none'): Limiter {
  let endsAt = 0;
  let taken = 0;
  return {
    take(now) {
      if (now >= endsAt) {
        endsAt = now + windowMs;
        taken = 0;
      }
      if (++taken <= quota) return undefined;
      return refuse(hint, endsAt - now, `"all";q=${String(quota)};w=${String(windowMs / 1000)}`, now);
    },
    idealMs: (calls) => (Math.ceil(calls / quota) - 1) * windowMs,
  };
}

/** A log of the last calls. With `isStrict` refused ones count, too. */
export function slidingWindow(quota: number, windowMs: number, hint: Hint = 'none', isStrict = false): Limiter {
  const log: number[] = [];
  return {
    take(now) {
      while (log.length > 0 && log[0]! <= now - windowMs) log.shift();
      if (log.length < quota) {
        log.push(now);
        return undefined;
      }
      const untilMs = log[0]! + windowMs - now;
      if (isStrict) {
        log.shift();
        log.push(now);
      }
      return refuse(hint, untilMs);
    },
    idealMs: (calls) => (Math.ceil(calls / quota) - 1) * windowMs,
  };
}

/** One limit until an instant, then another one, which is full. */
export function changing(atMs: number, before: Limiter, after: Limiter): Limiter {
  return {
    take: (now) => (now < atMs ? before : after).take(now),
    idealMs(calls) {
      let granted = 0;
      while (before.idealMs(granted + 1) < atMs) granted++;
      return granted >= calls ? before.idealMs(calls) : atMs + after.idealMs(calls - granted);
    },
  };
}

function refuse(hint: Hint, untilMs: number, policy?: string, now = 0): Reply {
  const seconds = Math.max(1, Math.ceil(untilMs / 1000));
  const headers = {
    none: {},
    secs: { 'Retry-After': String(seconds) },
    exact: { 'Retry-After': (untilMs / 1000).toFixed(3) },
    epoch: { 'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': String(Math.ceil((MORNING + now + untilMs) / 1000)) },
    draft: { RateLimit: `"all";r=0;t=${String(seconds)}`, ...(policy && { 'RateLimit-Policy': policy }) },
  }[hint];
  return { status: 429, headers };
}
