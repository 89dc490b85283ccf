import { atLeast, check, checkFunctions } from './check.js';
import { systemClock, type Clock } from './clock.js';
import type { SharedCooldown, Throttle as PublicThrottle, ThrottleOptions } from './options.js';
import { isObject, safeGet, withoutPrototype } from './safe-read.js';
import type { AuthRequest } from './schemes/scheme.js';
import { Throttle } from './throttle/throttle.js';

/** Resolved throttle options. */
export interface ThrottlePolicy {
  readonly keyOf: ((request: AuthRequest) => string) | undefined;
  readonly maxQueued: number;
  readonly shared: SharedCooldown | undefined;
  /** Replaces the throttle of the scheme. Always an own property, so that a polluted prototype cannot provide one. */
  readonly throttle: Throttle | undefined;
}

class GivenThrottle extends Throttle {
  constructor(
    clock: Clock,
    readonly policy: Omit<ThrottlePolicy, 'throttle'>,
  ) {
    super(clock);
  }
}

/**
 * Returns a throttle for any number of instances and users: give it to each `attachAuth` as `throttle`. It replaces the
 * cool-downs of their schemes. Use it if one limit counts the calls of all users, such as the limit of a backend's upstream.
 *
 * @param options Apply to all instances that are given the throttle. Without `keyOf`, keys are learned.
 * @throws TypeError for wrong options.
 */
export function createThrottle(options?: ThrottleOptions): PublicThrottle;
/** @internal */
export function createThrottle(options: ThrottleOptions | undefined, clock: Clock): Throttle;
export function createThrottle(options: ThrottleOptions = {}, clock: Clock = systemClock): Throttle {
  check(isObject(options), 'createThrottle: options', 'an object', options);
  return new GivenThrottle(clock, resolve(options, 'createThrottle: '));
}

/** @throws TypeError that names the option. */
export function resolveThrottle(given: ThrottleOptions | PublicThrottle | false = {}): ThrottlePolicy | false {
  if (given === false) return false;
  check(isObject(given), 'throttle', 'a throttle of createThrottle(), an object or false', given);
  // Another copy of this package may have made it.
  const policy = safeGet(given, 'policy') as ThrottlePolicy | undefined;
  return policy ? { ...policy, throttle: given as Throttle } : resolve(given as ThrottleOptions, 'throttle.');
}

function resolve(options: ThrottleOptions, prefix: string): ThrottlePolicy {
  const { keyOf, maxQueued, shared } = withoutPrototype(options);
  checkFunctions({ [`${prefix}keyOf`]: keyOf });
  const isShared = ['close', 'closedForMs'].every((name) => typeof safeGet(shared, name) === 'function');
  check(shared === undefined || isShared, `${prefix}shared`, 'an object with close() and closedForMs()', shared);
  return { keyOf, maxQueued: atLeast(0, maxQueued, Infinity, `${prefix}maxQueued`), shared, throttle: undefined };
}
