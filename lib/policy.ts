import type { AxiosResponse } from 'axios';
import type { AuthEvent } from './events.js';
import type { AttachAuthOptions, RequestAuthOptions, RetryFailure, RetryOptions, Schemes } from './options.js';
import { atLeast, check, checkFunctions } from './check.js';
import { resolveThrottle, type ThrottlePolicy } from './create-throttle.js';
import { isObject, withoutPrototype } from './safe-read.js';
import { RETRY_DEFAULTS, type RetryPolicy } from './retry/decide.js';
import { parseUrl, type OriginPolicy } from './transport/origin.js';

/** Resolved retry options. */
interface CallRetry {
  readonly retry: RetryPolicy;
  /** False: the call is not retried, but `retry` still limits how long it waits for a limit of others. */
  readonly isRetried: boolean;
  readonly shouldRetry: ((failure: RetryFailure) => boolean | undefined) | undefined;
}

/** The options of one call, with every default in its place. */
export interface CallPolicy extends CallRetry {
  readonly deadlineMs: number;
  readonly credentials: 'attach' | 'omit';
  readonly isIdempotent: boolean;
  readonly schemes: (() => Schemes | null) | undefined;
  readonly body: (() => unknown) | undefined;
}

/** The options of an instance, and of each call without its own. */
export interface Policy extends CallPolicy {
  readonly scheme: Schemes | (() => Schemes | null);
  readonly throttle: ThrottlePolicy | false;
  readonly origins: OriginPolicy;
  readonly foreignOrigin: 'send-bare' | 'refuse';
  readonly isUnauthorized: ((response: AxiosResponse) => boolean) | undefined;
  readonly onEvent: ((event: AuthEvent) => void) | undefined;
}

/**
 * Checks all options but the schemes, and fills in the defaults.
 * @throws TypeError that names the option, the value it got and the values it takes.
 */
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
  check(['send-bare', 'refuse'].includes(foreignOrigin), 'foreignOrigin', "'send-bare' or 'refuse'", foreignOrigin);
  checkFunctions({ isUnauthorized, onEvent });
  return {
    ...resolveRetry(retry, { retry: RETRY_DEFAULTS, isRetried: true, shouldRetry: undefined }, 'retry'),
    scheme,
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
    schemes: undefined,
    body: undefined,
    onEvent,
  };
}

/** Resolves the options of one call. @throws TypeError as {@link resolveOptions} does, naming `attachAuth`. */
export function resolveCall(given: RequestAuthOptions | undefined, policy: Policy): CallPolicy {
  if (given === undefined) return policy;
  check(isObject(given), 'attachAuth', 'an object or false', given);
  const { credentials = 'attach', idempotent = false, retry, deadlineMs, scheme, body } = withoutPrototype(given);
  check(['attach', 'omit'].includes(credentials), 'attachAuth.credentials', "'attach' or 'omit'", credentials);
  check(typeof idempotent === 'boolean', 'attachAuth.idempotent', 'a boolean', idempotent);
  checkFunctions({ 'attachAuth.scheme': scheme, 'attachAuth.body': body });
  return {
    ...resolveRetry(retry, policy, 'attachAuth.retry'),
    deadlineMs: atLeast(0, deadlineMs, policy.deadlineMs, 'attachAuth.deadlineMs'),
    credentials,
    isIdempotent: idempotent,
    schemes: credentials === 'omit' ? undefined : scheme,
    body,
  };
}

function resolveRetry(given: RetryOptions | false | undefined, over: CallRetry, name: string): CallRetry {
  if (given === undefined) return over;
  if (given === false) return { ...over, isRetried: false, shouldRetry: undefined };
  check(isObject(given), name, 'an object or false', given);
  const wanted = withoutPrototype(given);
  const { statuses, methods, shouldRetry = over.shouldRetry } = wanted;
  checkEach(
    statuses,
    (status) => Number.isInteger(status) && status >= 100 && status <= 599,
    `${name}.statuses`,
    'an array of statuses, 100 to 599',
  );
  checkEach(methods, (method) => typeof method === 'string', `${name}.methods`, 'an array of methods');
  checkFunctions({ [`${name}.shouldRetry`]: shouldRetry });
  const retry = { ...over.retry };
  for (const key of Object.keys(LEAST) as (keyof typeof LEAST)[])
    retry[key] = atLeast(LEAST[key], wanted[key], retry[key], `${name}.${key}`);
  if (statuses) retry.statuses = new Set(statuses);
  if (methods) retry.methods = new Set(methods.map((method) => method.toUpperCase()));
  return { ...over, isRetried: true, retry, shouldRetry };
}

/** The least value of each number. */
const LEAST = { maxAttempts: 1, maxThrottledAttempts: 1, baseDelayMs: 0, maxDelayMs: 0, maxRetryAfterMs: 0 };

function checkEach<T>(
  given: readonly T[] | undefined,
  isRight: (value: T) => boolean,
  name: string,
  takes: string,
): void {
  check(given === undefined || (Array.isArray(given) && given.every(isRight)), name, takes, given);
}

function originSet(given: unknown, name: string, or: string): ReadonlySet<string> {
  const takes = `${or}origins such as ['https://api.example.com']`;
  check(Array.isArray(given), name, takes, given);
  return new Set(
    given.map((origin: unknown) => {
      const url = parseUrl(origin);
      check(url !== undefined && /^https?:[/]{2}[^/@*]+[/]?$/.test(url.href), name, takes, origin);
      return url.origin;
    }),
  );
}
