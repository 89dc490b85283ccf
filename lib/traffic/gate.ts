import { alarm, stopwatch, type Cancel, type Clock } from '../clock.js';
import { AuthError } from '../errors.js';
import type { Tell } from '../events.js';
import { equalJitter, type Backoff } from '../recovery/backoff.js';

/** A place in the queue of a closed key; or, with a `refusal`, why there is none. */
export interface Ticket {
  readonly opensInMs: number;
  readonly refusal?: AuthError;
  /** Resolves when the key opens. */
  readonly turn: Promise<void>;
  /** Gives the place up. */
  readonly leave: Cancel;
}

interface Lane {
  /** Ms until something is sent again; only the server's words change it, and only to more. */
  opensInMs: () => number;
  /** Refusals in a row that came without a Retry-After. */
  strikes: number;
  readonly queue: Set<() => void>;
  cancel: Cancel | undefined;
}

/**
 * Where calls wait together while a server throttles. A 429 closes the key it was refused for: first its own path; a
 * second path of the origin that is refused meanwhile shows that the limit is shared, and closes the origin.
 */
export class Gate {
  readonly #clock: Clock;
  readonly #tell: Tell;
  readonly #maxQueued: number;
  readonly #backoff: Backoff;
  readonly #lanes = new Map<string, Lane>();

  constructor(clock: Clock, tell: Tell, maxQueued: number, backoff: Backoff) {
    this.#clock = clock;
    this.#tell = tell;
    this.#maxQueued = maxQueued;
    this.#backoff = backoff;
  }

  /** Nothing is closed: nobody needs to know a call's key. */
  get isCalm(): boolean {
    return this.#lanes.size === 0;
  }

  isClosed(keys: readonly (string | undefined)[]): boolean {
    return this.#closed(keys) !== undefined;
  }

  /** undefined: go now. */
  enter(keys: readonly (string | undefined)[], longestWaitMs: number): Ticket | undefined {
    const lane = this.#closed(keys);
    if (!lane) return undefined;
    const opensInMs = lane.opensInMs();
    const refusal =
      opensInMs > longestWaitMs ? throttled(opensInMs) : lane.queue.size >= this.#maxQueued ? queueFull() : undefined;
    let go = (): void => undefined;
    const turn = new Promise<void>((resolve) => {
      go = resolve;
    });
    if (!refusal) lane.queue.add(go);
    return { opensInMs, turn, leave: () => lane.queue.delete(go), ...(refusal && { refusal }) };
  }

  /** The server refused a call of `key`. A second key of `shared` that is refused meanwhile closes that, too. */
  close([key, shared]: readonly [string, string?], retryAfterMs: number | undefined): void {
    const isShared =
      shared !== undefined &&
      [...this.#lanes.keys()].some((other) => other !== key && (other === shared || other.startsWith(`${shared}/`)));
    this.#close(key, retryAfterMs);
    if (isShared) this.#close(shared, retryAfterMs);
  }

  /** Forgets everything; who waits must have been told already. */
  dispose(): void {
    for (const { cancel } of this.#lanes.values()) cancel?.();
    this.#lanes.clear();
  }

  #closed(keys: readonly (string | undefined)[]): Lane | undefined {
    return keys.map((key) => this.#lanes.get(key ?? '')).find((lane) => lane);
  }

  #close(key: string, retryAfterMs: number | undefined): void {
    const clock = this.#clock;
    const lane = this.#lanes.get(key) ?? { opensInMs: () => 0, strikes: 0, queue: new Set(), cancel: undefined };
    this.#lanes.set(key, lane);
    const delayMs =
      retryAfterMs !== undefined && retryAfterMs > 0
        ? retryAfterMs
        : equalJitter(this.#backoff, ++lane.strikes, clock.random());
    if (delayMs <= lane.opensInMs()) return;
    const passedMs = stopwatch(clock);
    lane.opensInMs = () => delayMs - passedMs();
    lane.cancel?.();
    this.#tell({ type: 'throttled', key, resumesAt: Math.round(clock.now() + delayMs), waiting: lane.queue.size });
    const open = (): void => {
      this.#lanes.delete(key);
      this.#tell({ type: 'resumed', key });
      for (const go of lane.queue) go();
    };
    lane.cancel = alarm(clock, delayMs, open, 'idle');
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
