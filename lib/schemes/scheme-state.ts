import type { AxiosResponse } from 'axios';
import { atLeast, check, checkFunctions } from '../check.js';
import type { Clock } from '../clock.js';
import { Throttle } from '../throttle/throttle.js';
import { SingleFlight } from './single-flight.js';
import { skewOf } from '../http/http-date.js';
import { dateOf } from '../http/response-headers.js';
import type { Session } from '../session/session.js';
import { sessionOf, type AuthScheme } from './scheme.js';
import { isObject, safeGet } from '../safe-read.js';

export const A_SCHEME =
  'basic(), bearer(), … or an object with authorize(), an array of them, or a function that returns them, no promise';
/** How many origins a scheme remembers the clock of. */
const MAX_ORIGINS = 100;

/** The state of one scheme object, shared by its instances: cool-downs, clock skew by origin, single-flight challenge. */
export class SchemeState {
  readonly session: Session | undefined;
  readonly singleFlight: SingleFlight | undefined;
  /** Lower case. */
  readonly credentialHeaders: readonly string[];
  readonly maxChallenges: number;
  /** The synchronous part of the scheme's `authorize` or `onChallenge` runs: a call that begins in it would wait for itself. */
  isRunning = false;
  private _throttle: Throttle | undefined = undefined;
  private readonly _skews = new Map<string, number>();

  /** `scheme` undefined: calls without a scheme share cool-downs, too. */
  constructor(
    readonly scheme: AuthScheme | undefined,
    private readonly _clock: Clock,
  ) {
    this.session = scheme && sessionOf(scheme);
    this.maxChallenges = safeGet(scheme, 'maxChallenges') ?? 1;
    this.singleFlight = safeGet(scheme, 'singleFlight') === true ? new SingleFlight(_clock) : undefined;
    this.credentialHeaders = (safeGet(scheme, 'credentialHeaders') ?? []).map((name) => name.toLowerCase());
  }

  get throttle(): Throttle {
    return (this._throttle ??= new Throttle(this._clock));
  }

  /** Calls a member of the scheme. */
  run<T>(member: () => T): T {
    this.isRunning = true;
    try {
      return member();
    } finally {
      this.isRunning = false;
    }
  }

  /** Epoch ms by the clock of this origin's server, as far as its Date headers have shown it. */
  serverNow(origin: string): number {
    return this._clock.now() + (this._skews.get(origin) ?? 0);
  }

  /** Reads the server's clock from its first response, and from every refusal. */
  learnClock(response: AxiosResponse, origin: string): void {
    if (this._skews.has(origin) && response.status < 400) return;
    const date = dateOf(response);
    const skewMs = date === undefined ? undefined : skewOf(date, this._clock.now());
    if (this._skews.size >= MAX_ORIGINS) this._skews.clear();
    this._skews.set(origin, skewMs ?? this._skews.get(origin) ?? 0);
  }
}

/** The schemes of a call, and the one whose session, clock and cool-downs count. */
export interface Principal {
  readonly schemes: readonly SchemeState[];
  readonly main: SchemeState;
}

/** Weak: a scheme that is dropped takes its state along. */
const states = new WeakMap<AuthScheme, SchemeState>();

/**
 * Checks schemes and finds their state. `anonymous` is the state of calls without a scheme.
 * @throws TypeError for a value that is not a scheme, two sessions, or two schemes that write one header.
 */
export function principalOf(given: unknown, anonymous: SchemeState, clock: Clock): Principal {
  const list: readonly unknown[] = Array.isArray(given) ? given : given === null ? [] : [given];
  const schemes = list.map((scheme) => stateOf(scheme, clock));
  const sessions = schemes.filter(({ session }) => session);
  if (sessions.length > 1) throw new TypeError('attachAuth: `scheme` takes at most one scheme with a session');
  const headers = schemes.flatMap(({ credentialHeaders }) => [...new Set(credentialHeaders)]);
  assertWrittenOnce(headers.find((name, index) => headers.indexOf(name) !== index));
  return { schemes, main: sessions[0] ?? schemes[0] ?? anonymous };
}

/** @throws TypeError for a header that two schemes write. */
export function assertWrittenOnce(twice: string | undefined): void {
  if (twice !== undefined) throw new TypeError(`attachAuth: two schemes write the header ${twice}. Remove one of them`);
}

function stateOf(given: unknown, clock: Clock): SchemeState {
  const known = isObject(given) ? states.get(given as unknown as AuthScheme) : undefined;
  if (known) return known;
  assertScheme(given);
  const state = new SchemeState(given, clock);
  states.set(given, state);
  return state;
}

function assertScheme(given: unknown): asserts given is AuthScheme {
  check(typeof safeGet(given, 'authorize') === 'function', 'scheme', A_SCHEME, given);
  for (const name of ['onChallenge', 'isRefusal', 'onAnswer'])
    checkFunctions({ [`scheme.${name}`]: safeGet(given, name) });
  const headers = safeGet(given, 'credentialHeaders') ?? [];
  const areNames = Array.isArray(headers) && headers.every((name) => typeof name === 'string');
  check(areNames, 'scheme.credentialHeaders', 'an array of names', headers);
  atLeast(0, safeGet(given, 'maxChallenges') ?? 1, 1, 'scheme.maxChallenges');
}
