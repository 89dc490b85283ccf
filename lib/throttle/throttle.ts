import { Timeline, type Clock } from '../clock.js';
import type { Emit } from '../events.js';
import type { Backoff } from '../retry/backoff.js';
import {
  LimitQueue,
  type QueuePermit,
  type Permit,
  type QueuedCall,
  type QueueEntry,
  type Refusal,
} from './limit-queue.js';

export type { Permit, QueuedCall, QueueEntry, Refusal } from './limit-queue.js';

/** Names of the limits that a call may count against: the narrower one first, then the one that it may be part of. */
export type ThrottleKeys = readonly [key: string, shared?: string];

const EVICT_EVERY_MS = 1_000;

/** The closed limits of one principal, or of all that share a throttle. It references no instance, except weakly or while calls wait. */
export class Throttle {
  private readonly _timeline: Timeline;
  private readonly _queues = new Map<string, LimitQueue>();
  private _evictAt = 0;

  constructor(clock: Clock) {
    this._timeline = new Timeline(clock);
  }

  /** True if no key is tracked: the caller need not even compute keys. */
  get isIdle(): boolean {
    if (this._queues.size > 0) this._evict();
    return this._queues.size === 0;
  }

  closedForMs(keys: ThrottleKeys): number {
    return this._queueOf(keys)?.closedForMs ?? 0;
  }

  /**
   * Returns undefined if the keys are not tracked.
   * @throws AuthError ERR_AUTH_THROTTLED, ERR_AUTH_QUEUE_FULL
   */
  enter(keys: ThrottleKeys, call: QueuedCall, maxQueued: number): Permit | QueueEntry | undefined {
    return this._queueOf(keys)?.enter(call, maxQueued);
  }

  /** The server refused a call of these keys. */
  refused(
    [key, shared]: ThrottleKeys,
    permit: Permit | undefined,
    refusal: Refusal,
    backoff: Backoff,
    emit: WeakRef<Emit>,
  ): void {
    const given = permit as QueuePermit | undefined;
    let queue = shared === undefined ? undefined : this._queues.get(shared);
    if (!queue && shared !== undefined && this._isShared(key, shared, refusal.policy)) queue = this._track(shared);
    queue ??= this._queues.get(key) ?? this._track(key, shared);
    queue.policy ??= refusal.policy;
    if (given?.queue !== queue) given?.release('ended');
    queue.refused(given?.queue === queue ? given : undefined, refusal, backoff, emit);
    for (const other of [...this._queues.values()]) if (other.shared === queue.key) this._merge(other, queue);
  }

  reset(): void {
    for (const queue of this._queues.values()) queue.reset();
    this._queues.clear();
  }

  /** An instance was detached: it gets no more events. */
  forget(emit: WeakRef<Emit>): void {
    for (const queue of this._queues.values()) queue.forget(emit);
  }

  /** A narrower key that is closed for longer keeps its own queue until it opens. */
  private _queueOf([key, shared]: ThrottleKeys): LimitQueue | undefined {
    return this._queues.get(key) ?? (shared === undefined ? undefined : this._queues.get(shared));
  }

  private _track(key: string, shared?: string): LimitQueue {
    const queue = new LimitQueue(key, shared, this._timeline, (opened) => {
      const wider = shared === undefined ? undefined : this._queues.get(shared);
      if (wider) this._merge(opened, wider);
    });
    this._queues.set(key, queue);
    return queue;
  }

  private _merge(narrower: LimitQueue, wider: LimitQueue): void {
    if (narrower.closedForMs > wider.closedForMs) return;
    this._queues.delete(narrower.key);
    wider.take(narrower);
  }

  /** Another key of `shared` is throttled, and by no limit of another name. */
  private _isShared(key: string, shared: string, policy: string | undefined): boolean {
    for (const queue of this._queues.values()) {
      const isSameLimit = policy === undefined || queue.policy === undefined || policy === queue.policy;
      if (queue.shared === shared && queue.key !== key && queue.isContended && isSameLimit) return true;
    }
    return false;
  }

  private _evict(): void {
    const now = this._timeline.now();
    if (now < this._evictAt) return;
    this._evictAt = now + EVICT_EVERY_MS;
    for (const [key, queue] of this._queues) if (queue.isIdle) this._queues.delete(key);
  }
}
