import type { AxiosInstance } from 'axios';
import type { EventBody } from '../events.js';
import { WeakList } from '../weak-list.js';

/** The state of a session, as `getSnapshot()` returns it. The object stays the same until something in it changes. */
export interface SessionSnapshot {
  /**
   * `unknown`: the store has not answered yet, or it is empty and `refresh` has not been called yet.
   * `expired`: the refresh token was refused, and no sign-in followed.
   */
  readonly status: 'unknown' | 'signed-out' | 'signed-in' | 'expired';
  /** Whether a refresh is under way. */
  readonly refreshing: boolean;
  /** Epoch ms. undefined if the server did not say. */
  readonly expiresAt: number | undefined;
  /** Grows with every change of the tokens. */
  readonly generation: number;
}

/** Creates a client when it is read. undefined: no instance is attached. */
export interface ClientProvider {
  readonly client: AxiosInstance | undefined;
}

/** An axios instance that a session serves. */
export interface SessionInstance extends ClientProvider {
  readonly isDetached: boolean;
  emit(event: EventBody): void;
  /** Calls that wait check whether the session is still that of their principal. */
  principalChanged(): void;
}

/** The snapshot and its listeners. */
export class Snapshots {
  current: SessionSnapshot = { status: 'unknown', refreshing: false, expiresAt: undefined, generation: 0 };
  protected readonly _listeners = new Set<() => unknown>();

  /** Replaces the snapshot if something differs, and calls each listener once. */
  publish(next: SessionSnapshot): void {
    if (JSON.stringify(next) === JSON.stringify(this.current)) return;
    this.current = next;
    for (const listener of this._listeners) void Promise.resolve().then(listener).catch(report);
  }

  subscribe(listener: () => unknown): () => void {
    // The same function may subscribe twice, and each subscription ends by itself, also one that has been notified already.
    const entry = (): unknown => this._listeners.has(entry) && listener();
    this._listeners.add(entry);
    return () => {
      this._listeners.delete(entry);
    };
  }
}

/** The observers of a session: the instances it serves, and the listeners of `subscribe`. The store is followed while there are any. */
export class SessionObservers extends Snapshots {
  private _instances = new WeakList<SessionInstance>();
  private _unfollow: (() => void) | undefined = undefined;
  private _registry: FinalizationRegistry<undefined> | undefined = undefined;

  constructor(private readonly _follow: () => (() => void) | undefined) {
    super();
  }

  /** That of the instance that was attached first. */
  get anyClient(): ClientProvider {
    return this.attached()[0] ?? { client: undefined };
  }

  emit(event: EventBody): void {
    for (const instance of this.attached()) instance.emit(event);
  }

  principalChanged(): void {
    for (const instance of this.attached()) instance.principalChanged();
  }

  addInstance(instance: SessionInstance): void {
    this._instances.add(instance);
    this._unfollow ??= this._follow();
  }

  /**
   * Stops following the store when `owner` is collected, which every scheme of the session references. Otherwise a connection or a window
   * would keep a session that the app has dropped.
   */
  followUntilCollected(owner: object): void {
    if (typeof FinalizationRegistry !== 'function') return;
    this._registry = new FinalizationRegistry(() => {
      this._instances = new WeakList();
      this.attached();
    });
    this._registry.register(owner, undefined);
  }

  override subscribe(listener: () => unknown): () => void {
    const unsubscribe = super.subscribe(listener);
    this._unfollow ??= this._follow();
    return () => {
      unsubscribe();
      this.attached();
    };
  }

  /** Returns the attached instances. Stops following the store if there are none, and no listeners. */
  attached(): SessionInstance[] {
    const attached = this._instances.live(({ isDetached }) => isDetached);
    if (attached.length + this._listeners.size === 0) {
      const unfollow = this._unfollow;
      this._unfollow = undefined;
      unfollow?.();
    }
    return attached;
  }
}

/** An error of a listener must neither stop other listeners nor end the process. */
function report(error: unknown): void {
  if (typeof reportError === 'function') reportError(error);
  else console.error(error);
}
