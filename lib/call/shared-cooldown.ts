import { within, type Clock } from '../clock.js';
import type { MaybePromise } from '../maybe-promise.js';
import type { SharedCooldown } from '../options.js';
import type { RetryPolicy } from '../retry/decide.js';
import { safeGet } from '../safe-read.js';
import { LONGEST_MS, type Throttle, type ThrottleKeys } from '../throttle/throttle.js';
import { weakly } from '../weak-list.js';

/** As everywhere in this package, a store that does not answer within 2 s counts as away. */
const ANSWER_LIMIT_MS = 2_000;
/** Bounds the number of remembered keys. A forgotten key is read again. */
const MOST_KEYS = 1_000;
/** The refusals of one burst differ by their travel time: a smaller extension is not shared. */
const NOTICEABLE_MS = 1_000;

/** Obeys the closed times of other machines, and shares those of this one. If the store fails, only the sharing is lost. */
export class CooldownSharing {
  /** The keys that were asked for, and until when (monotonic) this machine has shared that they are closed. */
  private readonly _known = new Map<string, number>();
  /** Of a store that publishes: calls that begin meanwhile wait for the same answer. */
  private readonly _asked = new Map<string, Promise<unknown>>();
  private _unsubscribe: (() => void) | undefined = undefined;
  private _isUnavailable = false;

  constructor(
    private readonly _store: SharedCooldown,
    private readonly _throttle: Throttle,
    private readonly _clock: Clock,
    private readonly _retry: RetryPolicy,
  ) {
    // The store may outlive this instance, and must not keep it alive.
    const weak = weakly<CooldownSharing>(this);
    void quietly(() => {
      const unsubscribe = safeGet(_store, 'subscribe')?.call(_store, (key, forMs) => {
        const sharing = weak.deref();
        if (sharing) sharing._close(key, forMs);
        else unsubscribe?.();
      });
      this._unsubscribe = unsubscribe;
    });
  }

  /** Returns a promise if a call of these keys has to wait for the closed times of other machines. */
  ask(keys: ThrottleKeys): Promise<unknown> | undefined {
    // Without `subscribe`, only the store knows what other machines have closed since.
    const unknown = keys.filter((key) => key !== undefined && !(this._unsubscribe && this._known.has(key))) as string[];
    if (unknown.length === 0 || this._throttle.queueOf(keys)?.closedForMs) return undefined;
    const answers: Promise<unknown> = Promise.all(unknown.map((key) => this._asked.get(key) ?? this._ask(key)));
    // An unavailable store delays one call, and not every call.
    return this._isUnavailable
      ? undefined
      : within(this._clock, ANSWER_LIMIT_MS, answers, () => (this._isUnavailable = true));
  }

  /** The server closed a key. */
  share(key: string, askedMs: number): void {
    const forMs = Math.min(askedMs, LONGEST_MS);
    const until = this._clock.monotonic() + forMs;
    if (until <= (this._known.get(key) ?? 0) + NOTICEABLE_MS) return;
    this._remember(key, until);
    void quietly(() => this._store.close(key, forMs));
  }

  stop(): void {
    void quietly(() => this._unsubscribe?.());
  }

  private async _ask(key: string): Promise<void> {
    const asking = quietly(() => this._store.closedForMs(key));
    if (this._unsubscribe) this._asked.set(key, asking);
    const forMs = await asking;
    if (this._asked.delete(key)) this._remember(key, this._known.get(key) ?? 0);
    this._isUnavailable = forMs === undefined;
    this._close(key, forMs);
  }

  private _close(key: string, forMs: unknown): void {
    if (typeof forMs === 'number' && forMs > 0)
      this._throttle.refused([key], undefined, { status: 429, retryAfterMs: forMs }, this._retry);
  }

  private _remember(key: string, until: number): void {
    if (this._known.size >= MOST_KEYS) this._known.clear();
    this._known.set(key, until);
  }
}

/** Resolves with undefined on an error. */
async function quietly<T>(work: () => MaybePromise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch {
    return undefined;
  }
}
