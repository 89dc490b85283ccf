import { alarm, type Cancel, type Clock } from '../clock.js';
import type { Tell } from '../events.js';

/** A place in the queue of a closed key. */
export interface Ticket {
  /** Resolves when the key has opened and it is this call's turn. */
  readonly turn: Promise<void>;
  /** Gives the place up. */
  leave(): void;
}

/** Why a call may not even queue. */
export type GateRefusal = { readonly kind: 'too-long' | 'queue-full'; readonly opensInMs: number };

interface Lane {
  /** Monotonic instant before which nothing is sent; only the server's words move it, and only onwards. */
  opensAt: number;
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
  readonly #lanes = new Map<string, Lane>();

  constructor(clock: Clock, tell: Tell, maxQueued: number) {
    this.#clock = clock;
    this.#tell = tell;
    this.#maxQueued = maxQueued;
  }

  /** Nothing is closed: nobody needs to know a call's key. */
  get isCalm(): boolean {
    return this.#lanes.size === 0;
  }

  /** undefined: go now. Otherwise a place in the queue, or the reason why there is none. `keys` are looked up in turn. */
  enter(keys: readonly string[], longestWaitMs: number): Ticket | GateRefusal | undefined {
    for (const key of keys) {
      const lane = this.#lanes.get(key);
      if (!lane) continue;
      const opensInMs = lane.opensAt - this.#clock.monotonic();
      if (opensInMs <= 0) continue;
      if (opensInMs > longestWaitMs) return { kind: 'too-long', opensInMs };
      if (lane.queue.size >= this.#maxQueued) return { kind: 'queue-full', opensInMs };
      return queueIn(lane);
    }
    return undefined;
  }

  /** The server refused a call of `key` and asks for `delayMs`. A second key of `shared` that is refused meanwhile closes that. */
  close(key: string, shared: string | undefined, delayMs: number): void {
    const now = this.#clock.monotonic();
    const isShared =
      shared !== undefined && [...this.#lanes].some(([other, lane]) => other !== key && isPartOf(other, shared) && lane.opensAt > now);
    for (const closing of isShared ? [key, shared] : [key]) this.#closeLane(closing, now + delayMs);
  }

  #closeLane(key: string, opensAt: number): void {
    const lane = this.#lanes.get(key) ?? { opensAt: -Infinity, queue: new Set(), cancel: undefined };
    this.#lanes.set(key, lane);
    if (opensAt <= lane.opensAt) return;
    lane.opensAt = opensAt;
    lane.cancel?.();
    const delayMs = opensAt - this.#clock.monotonic();
    this.#tell({ type: 'throttled', key, resumesAt: this.#clock.now() + delayMs, waiting: lane.queue.size });
    lane.cancel = alarm(this.#clock, delayMs, () => {
      this.#open(key, lane);
    }, 'idle');
  }

  #open(key: string, lane: Lane): void {
    this.#lanes.delete(key);
    this.#tell({ type: 'resumed', key });
    for (const go of lane.queue) go();
  }

  /** Forgets everything; who waits must have been told already. */
  dispose(): void {
    for (const lane of this.#lanes.values()) lane.cancel?.();
    this.#lanes.clear();
  }
}

function queueIn(lane: Lane): Ticket {
  let go: () => void = () => undefined;
  const turn = new Promise<void>((resolve) => {
    go = resolve;
  });
  lane.queue.add(go);
  return { turn, leave: () => lane.queue.delete(go) };
}

function isPartOf(key: string, origin: string): boolean {
  return key === origin || key.startsWith(`${origin}/`);
}
