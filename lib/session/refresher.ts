import type { AuthError } from '../errors.js';
import { refreshFailed } from './session-errors.js';
import { GrowingDelay } from './growing-delay.js';
import type { RefreshContext } from './refresh-context.js';
import type { RefreshDeps, RefreshEnd } from './refresh-deps.js';
import { Refresh } from './refresh.js';
import type { SessionChange } from './session-state.js';
import type { ClientProvider } from './snapshot.js';

/** API.md: without a session `refresh` is called at most every 30 s. */
const ASK_AGAIN_MS = 30_000;
const LONGEST_AHEAD_MS = 60_000;

/** Starts refreshes, one at a time, and remembers how they ended. */
export class Refresher {
  private _current: Refresh | undefined = undefined;
  private _failure: AuthError | undefined = undefined;
  /** The generation that has no successor: its refresh token was refused. */
  private _lastGeneration = -1;
  /** After a failure no refresh starts for a while: the calls share it. */
  private readonly _coolDown: GrowingDelay;
  /** Monotonic. From then on, a 401 of a call without credentials calls `refresh` again. */
  private _askAgainAt = Infinity;
  private _checking: Promise<void> | undefined = undefined;
  /** Spreads the holders of one token, so that they do not all refresh at the same instant. */
  private readonly _spread: number;

  constructor(
    private readonly _deps: RefreshDeps,
    /** Called when a refresh begins and when it is over. */
    private readonly _changed: () => void,
  ) {
    this._coolDown = new GrowingDelay(_deps.clock, 500, 30_000);
    this._spread = 1 - _deps.clock.random() / 10;
  }

  get isActive(): boolean {
    return this._current !== undefined;
  }

  /** False once its result is stored: that is one change for the listeners, though the refresh is over only when its lock is released. */
  get isRefreshing(): boolean {
    const state = this._current?.state ?? 'done';
    return state !== 'storing' && state !== 'done';
  }

  /** Starts or joins the refresh that the tokens need. Returns a promise if a call must wait for it. */
  refreshIfDue(clients: ClientProvider): Promise<void> | undefined {
    const { options, state, breaker, memory } = this._deps;
    const { tokens, generation, lifetimeMs, status } = state;
    if (!options.refresh) return undefined;
    if (!tokens) return status === 'empty' ? this.refresh('missing', clients) : undefined;
    const { refusedGeneration, spent } = memory;
    if (this._current && refusedGeneration === generation) return this.refresh('rejected', clients);
    if (lifetimeMs === Infinity) return undefined;
    const byDefault = Math.min(lifetimeMs / 10, LONGEST_AHEAD_MS) * this._spread;
    const aheadMs = Math.min(options.refreshAheadMs ?? byDefault, lifetimeMs / 2);
    const { remainingMs } = state;
    if (remainingMs > aheadMs || breaker.isPaused()) return undefined;
    if (remainingMs <= 0) return this.refresh('expiring', clients);
    // In the background, while the token is good. A refresh token that may be spent is sent only if a call needs it.
    if (generation !== this._lastGeneration && (!spent || tokens.refreshToken !== spent))
      void this.refresh('expiring', clients).catch(() => undefined);
    return undefined;
  }

  /** Starts a refresh, or joins the one that is under way. Resolves when the call may continue. */
  refresh(reason: RefreshContext['reason'], clients: ClientProvider): Promise<void> {
    if (this._current) return this._current.wait();
    if (!this._deps.options.refresh) return Promise.reject(refreshFailed('bearer() has no `refresh`.'));
    if (this._failure && this._coolDown.remainingMs > 0) return this._sharedFailure(this._failure);
    const started = (this._current = new Refresh(this._deps, reason, clients));
    void started.done.then((end) => {
      if (this._current === started) this._done(end);
    });
    this._changed();
    return started.wait();
  }

  /** After a 401 of a call without a session: asks `refresh` again, at most every 30 s. Returns undefined before that. */
  askAgain(clients: ClientProvider): Promise<void> | undefined {
    const now = this._deps.clock.monotonic();
    if (now < this._askAgainAt && !this._current) return undefined;
    this._askAgainAt = now + ASK_AGAIN_MS;
    return this.refresh('missing', clients);
  }

  /** An explicit call by the app resets the cool-down and the breaker. */
  reset(): void {
    this._coolDown.reset();
    this._deps.breaker.reset();
  }

  /** The session's state has changed. */
  stateChanged(change: SessionChange | 'loaded'): void {
    const { _current: current } = this;
    if (change === 'principal') {
      this._askAgainAt = Infinity;
      this._current = undefined;
      current?.principalChanged();
      this.reset();
    } else if (change === 'updated') current?.updated();
    else current?.stored();
    if (change === 'loaded') this._coolDown.reset();
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

  private _done({ error, failure, pauseMs }: RefreshEnd): void {
    const { clock, state } = this._deps;
    this._current = undefined;
    if (!error) this._coolDown.reset();
    else if (error.code === 'ERR_AUTH_REFRESH_FAILED') {
      this._deps.memory.refusedGeneration = -1;
      this._failure = error;
      if (pauseMs !== undefined) this._coolDown.begin(pauseMs);
    } else this._lastGeneration = state.generation;
    // An explicit answer of the server is final. A plain status, which a gateway may have sent, is asked for again.
    const isDefinite = failure?.code === 'rejected' || failure?.code === 'invalid_grant';
    if (failure?.kind === 'not-signed-in') this._askAgainAt = isDefinite ? Infinity : clock.monotonic() + ASK_AGAIN_MS;
    this._changed();
  }
}
