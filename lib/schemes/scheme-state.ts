import type { Clock } from '../clock.js';
import { Throttle } from '../throttle/throttle.js';
import type { AuthScheme } from './scheme.js';

/** What all instances of one scheme share. It references no instance. */
export class SchemeState {
  readonly throttle: Throttle;

  constructor(clock: Clock) {
    this.throttle = new Throttle(clock);
  }
}

const states = new WeakMap<AuthScheme, SchemeState>();

/** Returns the state of a scheme. One scheme object is one principal: two schemes share nothing. */
export function stateOf(scheme: AuthScheme, clock: Clock): SchemeState {
  let state = states.get(scheme);
  if (!state) states.set(scheme, (state = new SchemeState(clock)));
  return state;
}
