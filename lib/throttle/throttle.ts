import { Timeline, type Clock } from '../clock.js';
import type { Refusal } from '../http/refusal.js';
import type { RetryPolicy } from '../retry/decide.js';
import { LimitQueue, type Permit } from './limit-queue.js';

export { LONGEST_MS, type LimitQueue, type Permit, type QueuedCall } from './limit-queue.js';

/** What a call counts against: the narrower key first, then the one that it may be part of. */
export type ThrottleKeys = readonly [key: string, shared?: string];

const EVICT_EVERY_MS = 1_000;

/** The closed limits of one principal, or of all instances that were given this throttle. */
export class Throttle {
  private readonly _timeline: Timeline;
  private readonly _queues = new Map<string | undefined, LimitQueue>();
  private _evictAt = 0;

  constructor(clock: Clock) {
    this._timeline = new Timeline(clock);
  }

  /** No key is tracked: the caller need not even compute keys. */
  get isIdle(): boolean {
    if (this._queues.size === 0) return true;
    const now = this._timeline.now();
    if (now < this._evictAt) return false;
    this._evictAt = now + EVICT_EVERY_MS;
    for (const queue of this._queues.values()) if (queue.isIdle) this._queues.delete(queue.key);
    return this._queues.size === 0;
  }

  /** Returns undefined if the keys are not tracked. A narrower key that is closed for longer keeps its own queue. */
  queueOf([key, shared]: ThrottleKeys): LimitQueue | undefined {
    const [own, wider] = [this._queues.get(key), this._queues.get(shared)];
    return own && wider && own.closedForMs <= wider.closedForMs ? wider : (own ?? wider);
  }

  /** The server refused a call of these keys. Returns the key that this closes. */
  refused(keys: ThrottleKeys, permit: Permit | undefined, refusal: Refusal, retry: RetryPolicy): string {
    const [key, shared = key] = keys;
    const { policy } = refusal;
    const related = [...this._queues.values()].filter(
      (other) => (other.shared ?? other.key) === shared && (other.policy ?? policy) === (policy ?? other.policy),
    );
    // A second key that is refused meanwhile, and by no limit of another name, shows that the limit is shared.
    const isShared = related.some((other) => other.key !== key && (other.closedForMs > 0 || other.waiting.size > 0));
    const queue = this._track(isShared ? shared : key);
    queue.shared ??= keys[1];
    queue.policy ??= policy;
    queue.refused(permit, refusal, retry);
    permit?.release();
    for (const other of isShared ? related : [])
      if (other !== queue && other.closedForMs <= queue.closedForMs && this._queues.delete(other.key))
        queue.take(other);
    return queue.key;
  }

  /** Forgets every cool-down. Waiting calls are released as if nothing were known. */
  reset(): void {
    for (const old of [...this._queues.values()]) {
      this._queues.delete(old.key);
      if (old.waiting.size > 0) this._track(old.key).take(old);
    }
  }

  private _track(key: string): LimitQueue {
    const queue = this._queues.get(key) ?? new LimitQueue(key, this._timeline);
    this._queues.set(key, queue);
    return queue;
  }
}
