/** What the server does with one send of a call; `judge`: answers by its token. */
export type Fate = 'judge' | 503 | 'later' | 'unsaid' | 'reset' | 'silence' | 'portal';

/** What becomes of one request for tokens. `cut`: half a JSON document. */
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
  /** `freely`: when the schedule says so; else from inside a listener of the library, the first time that it is called. */
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
  /** Whom `abort` is for. */
  readonly call?: number | undefined;
}

/** A world before it runs, as JSON holds it: all of it but the order of things, which a schedule says. */
export interface WorldPlan {
  readonly seed: number;
  readonly isDead: boolean;
  /** The server looks at a request when its answer leaves, not when it comes. */
  readonly isLate: boolean;
  readonly expiresIn?: number | undefined;
  readonly graceMs: number;
  /** `lockless`: nothing but the session itself keeps refreshes apart; two schemes over one store always have a lock. */
  readonly store: 'memory' | 'lockless' | 'asynchronous';
  /** One instance, two with one scheme, or two with a scheme each over one store. */
  readonly holders: 'one' | 'two instances' | 'two schemes';
  readonly calls: readonly CallPlan[];
  readonly acts: readonly ActPlan[];
  readonly refreshes: readonly RefreshFate[];
  /** How long the responses to the first requests for tokens take, in ms: from half to ten times the limits of those who wait. */
  readonly lateMs?: readonly number[] | undefined;
  /** How often time may pass although something else could happen; where nothing else can, it always does. */
  readonly patience: number;
  /** Of several calls that have gone the same way so far, only the first goes on: the others would do the same. */
  readonly isSymmetric: boolean;
}
