import type { ActPlan, CallPlan, WorldPlan } from './plan.js';

/** A point in history: virtual ms, the step of the schedule, and the order among all records. */
export interface Moment {
  readonly at: number;
  readonly step: number;
  readonly order: number;
}

/** One request in the log of the server, and its end for the sender. */
export interface Entry {
  readonly id: number;
  /** undefined: a request for tokens. */
  readonly call: number | undefined;
  readonly origin: string;
  readonly path: string;
  /** The bearer token of the request. */
  readonly token: string | undefined;
  readonly refreshToken: string | undefined;
  /** The scheme that sent a token request. */
  readonly holder: string | undefined;
  /** Whether a header contains a token. */
  readonly isMarked: boolean;
  readonly sent: Moment;
  status: number | 'lost' | undefined;
  retryAfterMs: number | undefined;
  /** Whether the response had new tokens. */
  isGood: boolean;
  /** A response or a broken connection. false: the sender gave up. */
  isAnswered: boolean;
  /** undefined: in flight. */
  ended: Moment | undefined;
}

export interface Outcome {
  readonly isFulfilled: boolean;
  readonly isAuthError: boolean;
  readonly code: string | undefined;
  readonly status: number | undefined;
  readonly attempts: number | undefined;
}

/** A call, and all facts about it that are visible outside the library. */
export interface Made {
  readonly index: number;
  readonly plan: CallPlan;
  readonly instance: number;
  /** The principal when it was made. */
  readonly principal: string | undefined;
  readonly isAttached: boolean;
  readonly begun: Moment;
  aborted: Moment | undefined;
  outcome: Outcome | undefined;
  settled: Moment | undefined;
  settlements: number;
  deliveries: number;
  /** The listeners on its signal, in the end. */
  listeners: number;
}

/** An act that must end all waiting calls. */
export interface EndingAct extends Moment {
  readonly what: ActPlan['what'];
}

/** The history of one world, as its server and callers saw it. */
export interface History {
  readonly plan: WorldPlan;
  readonly entries: Entry[];
  readonly calls: Made[];
  readonly endingActs: EndingAct[];
  /** The generations that were stored, in order. */
  readonly generations: number[];
  /** All texts in events. */
  readonly texts: string[];
  /** The number of session-expired events. */
  expiries: number;
  /** The principals whose refresh token the server accepts in the end. */
  kept: readonly string[];
  /** The instants at which the app called refresh(). */
  readonly refreshes: Moment[];
  /** Timers of the library that remain in the end. */
  timers: number;
  isLockFree: boolean;
}
