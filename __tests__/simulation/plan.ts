/** The reaction of the server to one send of a call. `judge`: it checks the token. */
export type Fate = 'judge' | 503 | 'later' | 'unhinted' | 'reset' | 'silence' | 'portal';

/** The response to one token request. `cut`: half a JSON document. */
export type RefreshFate =
  | 'good'
  | 'refused'
  | 'lost'
  | 500
  | 'busy'
  | 'dead'
  | 'configuration'
  | 'empty'
  | 'cut'
  | 'portal'
  | 'sorry page'
  | 'silence';

export interface CallPlan {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: '/one' | '/two';
  readonly kind: 'own' | 'omit' | 'foreign' | 'stream';
  /** `freely`: at a choice of the schedule. Else inside a listener of the library, at its first call. */
  readonly begins: 'freely' | 'on event' | 'on snapshot' | 'in handler';
  readonly sends: readonly Fate[];
  readonly deadlineMs?: number | undefined;
}

export interface ActPlan {
  readonly what:
    | 'abort'
    | 'sign-out'
    | 'sign-in'
    | 'update'
    | 'refresh'
    | 'revoke'
    | 'end session'
    | 'detach'
    | 'sleep'
    | 'set back';
  /** The call to abort. */
  readonly call?: number | undefined;
}

/** A world as JSON. A schedule adds the order of events. */
export interface WorldPlan {
  readonly seed: number;
  readonly isDead: boolean;
  /** The server checks a request when it sends the response, not when the request arrives. */
  readonly isLate: boolean;
  readonly expiresIn?: number | undefined;
  readonly graceMs: number;
  /** `lockless`: a store without a lock. Two schemes over one store always have a lock. */
  readonly store: 'memory' | 'lockless' | 'asynchronous';
  /** One instance, two with one scheme, or two with a scheme each over one store. */
  readonly holders: 'one' | 'two instances' | 'two schemes';
  readonly calls: readonly CallPlan[];
  readonly acts: readonly ActPlan[];
  readonly refreshes: readonly RefreshFate[];
  /** How long the first token requests take, in ms: from half to ten times the limits of waiting calls. */
  readonly lateMs?: readonly number[] | undefined;
  /** How often time may pass although another event is possible. It always passes if none is. */
  readonly patience: number;
  /** Of several calls with the same history, only the first continues, since the others are equivalent. */
  readonly isSymmetric: boolean;
}
