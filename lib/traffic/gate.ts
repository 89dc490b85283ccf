import { timeline, type Clock } from '../clock.js';
import { AuthError } from '../errors.js';
import type { Tell } from '../events.js';
import type { Backoff } from '../retry/backoff.js';
import { Burst } from './burst.js';
import { Lane, type Pass, type Waiter } from './lane.js';

/** Who may share a limit: the narrower key first, then the one that it may be part of. */
export type GateKeys = readonly [key: string, shared?: string];

/** Whether a call gets through. */
export type Admission =
  | { readonly kind: 'go'; readonly pass: Pass }
  | { readonly kind: 'refused'; readonly error: AuthError; readonly opensInMs: number };

export type Entry = Admission | Turn;

/** What the gate asks of a call. */
export interface Arrival {
  mayWait(opensInMs: number): boolean;
  /** It was sent before, and is not turned away for the length of the queue. */
  readonly isKnown: boolean;
}

/** What a refusal said. */
export interface Throttling {
  readonly retryAfterMs: number | undefined;
  readonly quota: number | undefined;
  readonly perSecond: number | undefined;
  /** The limit's own name. */
  readonly policy: string | undefined;
}

const TIDY_MS = 1_000;

/**
 * Where calls wait together while a server throttles. A 429 closes the key it was refused for: first its own path; a
 * second path of the origin that is refused meanwhile shows that the limit is shared, and closes the origin.
 */
export class Gate {
  readonly #clock: Clock;
  readonly #now: () => number;
  readonly #tell: Tell;
  readonly #maxQueued: number;
  readonly #backoff: Backoff;
  readonly #lanes = new Map<string, Lane>();
  #tidyAt = 0;
  readonly #burst = new Burst();
  readonly #policies = new WeakMap<Lane, string>();

  constructor(clock: Clock, tell: Tell, maxQueued: number, backoff: Backoff) {
    this.#clock = clock;
    this.#now = timeline(clock);
    this.#tell = tell;
    this.#maxQueued = maxQueued;
    this.#backoff = backoff;
  }

  /** Nobody throttles: nobody needs to know a call's key. */
  get isCalm(): boolean {
    if (this.#lanes.size > 0) this.#tidy();
    return this.#lanes.size === 0;
  }

  /** Ms until calls with these keys may go. */
  opensInMs(keys: GateKeys): number {
    return this.#laneOf(keys)?.opensInMs ?? 0;
  }

  /** undefined: nobody throttles these keys. */
  enter(keys: GateKeys, arrival: Arrival): Entry | undefined {
    const lane = this.#laneOf(keys);
    if (!lane) return undefined;
    const { opensInMs } = lane;
    if (!arrival.mayWait(opensInMs)) return { kind: 'refused', error: throttled(opensInMs), opensInMs };
    const pass = lane.pass();
    if (pass) return { kind: 'go', pass };
    if (!arrival.isKnown && lane.newcomers >= this.#maxQueued)
      return { kind: 'refused', error: queueFull(), opensInMs };
    return new Turn(lane, arrival);
  }

  /** The server accepted a call that nobody held back, made at that instant of the monotonic clock. */
  granted(beganAt: number): void {
    const now = this.#clock.monotonic();
    this.#burst.granted(now, now - beganAt);
  }

  /** The server refused a call of these keys. `pass`: what it had been let go with, if anything. */
  refused([key, shared]: GateKeys, pass: Pass | undefined, throttling: Throttling): void {
    const isShared = shared !== undefined && !this.#lanes.has(shared) && this.#hasNeighbour(key, shared, throttling);
    const at = shared !== undefined && (isShared || this.#lanes.has(shared)) ? shared : key;
    const lane = this.#lanes.get(at) ?? this.#open(at);
    if (isShared) this.#gather(shared, lane);
    const { retryAfterMs, quota, perSecond, policy } = throttling;
    if (!pass) this.#burst.refused(this.#clock.monotonic(), retryAfterMs);
    if (policy !== undefined) this.#policies.set(lane, policy);
    if (quota !== undefined && perSecond !== undefined) lane.published(perSecond, quota);
    if (pass && pass.lane !== lane) pass.lane.heard(pass, 'ended');
    if (lane.refused(pass?.lane === lane ? pass : undefined, retryAfterMs))
      this.#tell({
        type: 'throttled',
        key: at,
        resumesAt: Math.round(this.#clock.now() + lane.opensInMs),
        waiting: lane.waiting,
      });
  }

  /** Forgets everything; who waits must have been told already. */
  dispose(): void {
    for (const lane of this.#lanes.values()) lane.dispose();
    this.#lanes.clear();
  }

  #laneOf([key, shared]: GateKeys): Lane | undefined {
    return (shared === undefined ? undefined : this.#lanes.get(shared)) ?? this.#lanes.get(key);
  }

  #open(key: string): Lane {
    const lane = new Lane(this.#clock, this.#now, this.#backoff, this.#burst, () => {
      this.#tell({ type: 'resumed', key });
    });
    this.#lanes.set(key, lane);
    return lane;
  }

  /** Forgets what nobody has used for a while, once a second at most. */
  #tidy(): void {
    const now = this.#clock.monotonic();
    if (now < this.#tidyAt) return;
    this.#tidyAt = now + TIDY_MS;
    for (const [key, lane] of this.#lanes) if (lane.isAtRest) this.#lanes.delete(key);
  }

  /** Another key of `shared` is throttled, too, and not by a limit with another name. */
  #hasNeighbour(key: string, shared: string, { policy }: Throttling): boolean {
    for (const [other, lane] of this.#lanes) {
      const theirs = this.#policies.get(lane);
      const isSameLimit = policy === undefined || theirs === undefined || policy === theirs;
      if (other !== key && other.startsWith(`${shared}/`) && lane.isContended && isSameLimit) return true;
    }
    return false;
  }

  /** Those who wait at the narrower keys wait together from now on. */
  #gather(shared: string, lane: Lane): void {
    for (const [other, narrower] of this.#lanes) {
      if (!other.startsWith(`${shared}/`)) continue;
      this.#lanes.delete(other);
      lane.take(narrower);
    }
  }
}

/** A place in the queue of a lane. */
class Turn implements Waiter {
  readonly kind = 'wait';
  readonly turn: Promise<Admission>;
  lane: Lane | undefined;
  readonly #arrival: Arrival;
  #admit!: (admission: Admission) => void;
  #pass: Pass | undefined;

  constructor(lane: Lane, arrival: Arrival) {
    this.#arrival = arrival;
    this.turn = new Promise((resolve) => {
      this.#admit = resolve;
    });
    lane.queue(this);
  }

  get isKnown(): boolean {
    return this.#arrival.isKnown;
  }

  mayWait(opensInMs: number): boolean {
    return this.#arrival.mayWait(opensInMs);
  }

  go(pass: Pass): void {
    this.#pass = pass;
    this.#admit({ kind: 'go', pass });
  }

  turnAway(opensInMs: number): void {
    this.#admit({ kind: 'refused', error: throttled(opensInMs), opensInMs });
  }

  /** Gives the place up, or the pass, if it has come meanwhile. */
  leave(): void {
    this.lane?.drop(this);
    this.#pass?.lane.heard(this.#pass, 'ended');
  }
}

function throttled(opensInMs: number): AuthError {
  return new AuthError(
    'ERR_AUTH_THROTTLED',
    `The server asked for ${String(Math.ceil(opensInMs / 1000))} s of silence, longer than this call may wait: it was not sent (retryAt).`,
  );
}

function queueFull(): AuthError {
  return new AuthError(
    'ERR_AUTH_QUEUE_FULL',
    'As many calls as throttle.maxQueued allows are waiting for this server already.',
  );
}
