import type { ActPlan, CallPlan, WorldPlan } from './plan.js';

/** A place in history: virtual ms, the step of the schedule, and the order among all that was written down. */
export interface Moment {
  readonly at: number;
  readonly step: number;
  readonly order: number;
}

/** One request in the server's log, and how it ended for whoever sent it. */
export interface Entry {
  readonly id: number;
  /** undefined: a request for tokens. */
  readonly call: number | undefined;
  readonly origin: string;
  readonly path: string;
  /** The bearer token it carried. */
  readonly token: string | undefined;
  readonly refreshToken: string | undefined;
  /** Which scheme sent a request for tokens. */
  readonly holder: string | undefined;
  /** Some header of it holds a token. */
  readonly isMarked: boolean;
  readonly sent: Moment;
  status: number | 'lost' | undefined;
  retryAfterMs: number | undefined;
  /** It brought new tokens. */
  isGood: boolean;
  /** An answer or a broken connection; false: its sender gave it up. */
  isAnswered: boolean;
  /** undefined: it is on the wire. */
  ended: Moment | undefined;
}

export interface Outcome {
  readonly isFulfilled: boolean;
  readonly isAuthError: boolean;
  readonly code: string | undefined;
  readonly status: number | undefined;
  readonly attempts: number | undefined;
}

/** A call and all that is known of it from outside. */
export interface Made {
  readonly index: number;
  readonly plan: CallPlan;
  readonly instance: number;
  /** Who was signed in when it was made. */
  readonly principal: string | undefined;
  readonly isAttached: boolean;
  readonly begun: Moment;
  aborted: Moment | undefined;
  outcome: Outcome | undefined;
  settled: Moment | undefined;
  settlements: number;
  handedOn: number;
  /** On its signal, in the end. */
  listeners: number;
}

/** When something happened that everybody who waits must hear of. */
export interface Turn extends Moment {
  readonly what: ActPlan['what'];
}

/** What happened in one world, as its server and its people saw it. */
export interface History {
  readonly plan: WorldPlan;
  readonly entries: Entry[];
  readonly calls: Made[];
  readonly turns: Turn[];
  /** The generations that were stored, in order. */
  readonly generations: number[];
  /** Every text that an event held. */
  readonly said: string[];
  /** How often a session ended. */
  expiries: number;
  /** Whose refresh tokens the server would accept in the end. */
  kept: readonly string[];
  /** When the app called refresh(). */
  readonly refreshes: Moment[];
  /** Timers of the library that are left in the end. */
  timers: number;
  isLockFree: boolean;
}
