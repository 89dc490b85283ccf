import type { AuthError } from '../errors.js';
import { GrowingDelay } from './growing-delay.js';
import { Refresh } from './refresh.js';
import type { RefreshContext, RefreshFunction } from './refresh-context.js';
import type { RefreshDeps, RefreshMemory } from './refresh-deps.js';
import { refreshFailed } from './session-errors.js';
import type { SessionChange } from './session-state.js';
import type { ClientProvider } from './snapshot.js';

/** API.md: `refresh` is asked at most every 30 s who is signed in. */
const ASK_AGAIN_MS = 30_000;

/** Starts refreshes, one at a time, and remembers how they ended. */
export class Refresher {
  readonly memory: RefreshMemory = { isCalling: false, refusedGeneration: -1, dead: undefined, spent: undefined };
  /** The generation that has no successor: its refresh token was refused. */
  lastGeneration = -1;
  /** Why the session ended. */
  end: AuthError | undefined = undefined;
  private _current: Refresh | undefined = undefined;
  private _failure: AuthError | undefined = undefined;
  /** After a failure no refresh starts for a while: the calls share it. */
  private readonly _coolDown = new GrowingDelay(500, 30_000);
  /** Monotonic. From then on, a 401 of a call without credentials asks once more who is signed in. */
  private _askAgainAt = Infinity;
  private _checking: Promise<void> | undefined = undefined;

  constructor(
    private readonly _deps: Omit<RefreshDeps, 'refresh' | 'memory'>,
    private readonly _refresh: RefreshFunction | undefined,
    /** Called when a refresh begins and when it is over. */
    private readonly _changed: () => void,
  ) {}

  get isActive(): boolean {
    return this._current !== undefined;
  }

  /** Starts a refresh, or joins the one that is under way. Resolves when the call may continue. */
  refresh(reason: RefreshContext['reason'], clients: ClientProvider): Promise<void> {
    if (this._current) return this._current.wait();
    const { clock } = this._deps;
    const { _refresh: refresh } = this;
    if (!refresh) return Promise.reject(refreshFailed('bearer() was given no `refresh` to refresh with.'));
    if (this._failure && this._coolDown.remainingMs(clock.monotonic()) > 0) return this._sharedFailure(this._failure);
    const started = new Refresh({ ...this._deps, refresh, memory: this.memory }, reason, clients);
    this._current = started;
    void started.done.then((error) => {
      if (this._current === started) this._done(started, error);
    });
    this._changed();
    return started.wait();
  }

  /** Nobody was signed in, and a call met a 401: asks again, at most every 30 s; undefined: not yet. */
  askAgain(clients: ClientProvider): Promise<void> | undefined {
    const now = this._deps.clock.monotonic();
    if (now < this._askAgainAt && !this._current) return undefined;
    this._askAgainAt = now + ASK_AGAIN_MS;
    return this.refresh('missing', clients);
  }

  /** The app has spoken: earlier failures say nothing any more. */
  reset(): void {
    this._coolDown.reset();
  }

  /** The session's state has changed. */
  stateChanged(change: SessionChange | 'loaded'): void {
    if (change === 'principal') {
      this._askAgainAt = Infinity;
      this._current?.principalChanged();
      this._current = undefined;
    } else if (change === 'updated') this._current?.updated();
    else this._current?.stored();
    if (change === 'principal' || change === 'loaded') this._coolDown.reset();
  }

  /** Rejects with the failure, unless another holder has stored something meanwhile. */
  private _sharedFailure(failure: AuthError): Promise<void> {
    const { state } = this._deps;
    const { tokens } = state;
    // Many calls share one read.
    this._checking ??= Promise.resolve(state.reload()).then(() => {
      this._checking = undefined;
      if (state.tokens === tokens) throw failure;
    });
    return this._checking;
  }

  private _done({ failure, pauseMs }: Refresh, error: AuthError | undefined): void {
    const { clock, state } = this._deps;
    const now = clock.monotonic();
    this._current = undefined;
    if (!error) this._coolDown.reset();
    else if (error.code === 'ERR_AUTH_REFRESH_FAILED') {
      this.memory.refusedGeneration = -1;
      this._failure = error;
      if (pauseMs !== undefined) this._coolDown.begin(now, pauseMs);
    } else this.lastGeneration = state.generation;
    if (state.status === 'expired') this.end = error;
    // The word of the server needs no second question; a plain status, which a gateway may have sent, does.
    const isDefinite = failure?.code === 'rejected' || failure?.code === 'invalid_grant';
    if (failure?.kind === 'not-signed-in') this._askAgainAt = isDefinite ? Infinity : now + ASK_AGAIN_MS;
    this._changed();
  }
}
