import type { AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import type { CallPolicy } from '../policy.js';
import type { Outcome, SettleReason } from '../retry/decide.js';
import type { RequestView, ViewSource } from '../transport/request-view.js';
import type { Permit, QueuedCall, ThrottleKeys } from '../throttle/throttle.js';
import type { Reservation, WaitingCall, Waiting } from './waiting.js';

const UNKNOWN: Outcome = { kind: 'final' };

/** One attempt: what was sent, and what came of it. */
export class Attempt {
  outcome: Outcome = UNKNOWN;
  response: AxiosResponse | undefined;
  error: unknown;
  isDecided = false;

  constructor(
    readonly view: RequestView,
    readonly origin: string,
    /** The scheme has had its say: a 401 is about our credentials. */
    readonly isAuthorized: boolean,
  ) {}
}

/** What an exchange knows, for the steps that work on it: the attempt and what follows it. */
export interface Call extends ViewSource, WaitingCall, QueuedCall, Reservation {
  readonly policy: CallPolicy;
  readonly adapters: InternalAxiosRequestConfig['adapter'];
  readonly waiting: Waiting<Call>;
  /** The throttle's permit for this attempt, until its result is known. */
  permit: Permit | undefined;
  /** What the call counts against, once it has been asked. */
  keys: ThrottleKeys | undefined;
  /** The attempt before which the shared cool-down was asked for. */
  askedAttempt: number;
  last: Attempt | undefined;
  isAuthorized: boolean;
  attempts: number;
  /** Attempts that failed, by what the limits count; a 401 is in neither. */
  errors: number;
  throttles: number;
  challenges: number;
  isRefreshed: boolean;
  reason: SettleReason | undefined;
  /** Notes what the server asked for, if it did. */
  comeBackIn(delayMs: number | undefined): void;
}
