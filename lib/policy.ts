import type { AxiosResponse } from 'axios';
import { atLeast, check, checkFunctions, isObject } from './check.js';
import { resolveThrottle, type ThrottlePolicy } from './create-throttle.js';
import type { AuthEvent } from './events.js';
import type { AttachAuthOptions, RequestAuthOptions, RetryFailure, RetryOptions } from './options.js';
import { withoutPrototype, safeGet } from './safe-read.js';
import type { RetryPolicy } from './retry/decide.js';
import type { AuthScheme } from './schemes/scheme.js';
import type { OriginPolicy } from './transport/origin.js';

/** What holds for one call, with every default in its place. */
export interface CallPolicy {
  readonly retry: RetryPolicy | false;
  /** Those of `retry`, and if that is false, those that it would have: how long a call may wait for a limit. */
  readonly limits: RetryPolicy;
  readonly shouldRetry: ((failure: RetryFailure) => boolean | undefined) | undefined;
  readonly deadlineMs: number;
  readonly credentials: 'attach' | 'omit';
  readonly isIdempotent: boolean;
}

type RetryChoice = Pick<CallPolicy, 'retry' | 'limits' | 'shouldRetry'>;

/** What holds for an instance, and so for each call that says nothing else. */
export interface Policy extends CallPolicy {
  readonly scheme: AuthScheme;
  readonly credentialHeaders: readonly string[];
  readonly throttle: ThrottlePolicy | false;
  readonly origins: OriginPolicy;
  readonly foreignOrigin: 'send-bare' | 'refuse';
  readonly isUnauthorized: ((response: AxiosResponse) => boolean) | undefined;
  readonly onEvent: ((event: AuthEvent) => void) | undefined;
}

export const RETRY_DEFAULTS: RetryPolicy = {
  maxAttempts: 4,
  maxThrottledAttempts: 6,
  statuses: new Set([408, 500, 502, 503, 504]),
  methods: new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'QUERY']),
  baseDelayMs: 500,
  maxDelayMs: 20_000,
  maxRetryAfterMs: 60_000,
};

/** Checks all options and fills in the defaults. @throws TypeError that names the option, what it got and what it takes. */
export function resolveOptions(options: AttachAuthOptions): Policy {
  check(isObject(options), 'options', 'an object with a scheme', options);
  const {
    scheme,
    retry,
    throttle,
    deadlineMs,
    foreignOrigin = 'send-bare',
    isUnauthorized,
    onEvent,
    origins,
    allowInsecure = false,
  } = withoutPrototype(options);
  check(
    isObject(scheme) && typeof safeGet(scheme, 'authorize') === 'function',
    'scheme',
    'basic(), bearer(), … or an object with authorize()',
    scheme,
  );
  const credentialHeaders = safeGet(scheme, 'credentialHeaders') ?? [];
  check(Array.isArray(credentialHeaders), 'scheme.credentialHeaders', 'an array of names', credentialHeaders);
  checkFunctions({ 'scheme.onChallenge': safeGet(scheme, 'onChallenge') });
  check(['send-bare', 'refuse'].includes(foreignOrigin), 'foreignOrigin', "'send-bare' or 'refuse'", foreignOrigin);
  checkFunctions({ isUnauthorized, onEvent });
  return {
    ...resolveRetry(retry, { retry: RETRY_DEFAULTS, limits: RETRY_DEFAULTS, shouldRetry: undefined }, 'retry'),
    scheme,
    credentialHeaders: credentialHeaders.map((name) => String(name).toLowerCase()),
    throttle: resolveThrottle(throttle),
    origins: {
      origins: origins === undefined || origins === '*' ? origins : originSet(origins, 'origins', "'*' or "),
      allowInsecure:
        typeof allowInsecure === 'boolean' ? allowInsecure : originSet(allowInsecure, 'allowInsecure', 'a boolean or '),
    },
    foreignOrigin,
    isUnauthorized,
    deadlineMs: atLeast(0, deadlineMs, 120_000, 'deadlineMs'),
    credentials: 'attach',
    isIdempotent: false,
    onEvent,
  };
}

/** What holds for one call. @throws TypeError as {@link resolveOptions} does, naming `attachAuth`. */
export function resolveCall(given: RequestAuthOptions | undefined, policy: Policy): CallPolicy {
  if (given === undefined) return policy;
  check(isObject(given), 'attachAuth', 'an object or false', given);
  const { credentials = 'attach', idempotent = false, retry, deadlineMs } = withoutPrototype(given);
  check(['attach', 'omit'].includes(credentials), 'attachAuth.credentials', "'attach' or 'omit'", credentials);
  check(typeof idempotent === 'boolean', 'attachAuth.idempotent', 'a boolean', idempotent);
  return {
    ...resolveRetry(retry, policy, 'attachAuth.retry'),
    deadlineMs: atLeast(0, deadlineMs, policy.deadlineMs, 'attachAuth.deadlineMs'),
    credentials,
    isIdempotent: idempotent,
  };
}

function resolveRetry(given: RetryOptions | false | undefined, over: RetryChoice, name: string): RetryChoice {
  const { limits } = over;
  if (given === undefined) return { retry: over.retry, limits, shouldRetry: over.shouldRetry };
  if (given === false) return { retry: false, limits, shouldRetry: undefined };
  check(isObject(given), name, 'an object or false', given);
  const wanted = withoutPrototype(given);
  const { statuses, methods, shouldRetry } = wanted;
  check(
    statuses === undefined || (Array.isArray(statuses) && statuses.every(isStatus)),
    `${name}.statuses`,
    'an array of statuses, 100 to 599',
    statuses,
  );
  check(
    methods === undefined || (Array.isArray(methods) && methods.every((method) => typeof method === 'string')),
    `${name}.methods`,
    'an array of methods',
    methods,
  );
  checkFunctions({ [`${name}.shouldRetry`]: shouldRetry });
  const numbers = { ...limits };
  for (const key of ['maxAttempts', 'maxThrottledAttempts', 'baseDelayMs', 'maxDelayMs', 'maxRetryAfterMs'] as const) {
    Object.assign(numbers, {
      [key]: atLeast(key.endsWith('s') && !key.endsWith('Ms') ? 1 : 0, wanted[key], limits[key], `${name}.${key}`),
    });
  }
  const resolved = {
    ...numbers,
    statuses: statuses ? new Set(statuses) : limits.statuses,
    methods: methods ? new Set(methods.map((method) => method.toUpperCase())) : limits.methods,
  };
  return { retry: resolved, limits: resolved, shouldRetry: shouldRetry ?? over.shouldRetry };
}

function originSet(given: unknown, name: string, or: string): ReadonlySet<string> {
  const takes = `${or}origins such as ['https://api.example.com']`;
  check(Array.isArray(given), name, takes, given);
  return new Set(
    given.map((origin: unknown) => {
      let url: URL | undefined;
      try {
        url = new URL(String(origin));
      } catch {
        // Said below.
      }
      check(url !== undefined && /^https?:[/]{2}[^/@]+[/]?$/.test(url.href), name, takes, origin);
      return url.origin;
    }),
  );
}

function isStatus(status: unknown): boolean {
  return Number.isInteger(status) && (status as number) >= 100 && (status as number) <= 599;
}
