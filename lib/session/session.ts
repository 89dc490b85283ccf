import { alarm, type Clock } from '../clock.js';
import type { AuthError } from '../errors.js';
import type { MaybePromise } from '../maybe-promise.js';
import { CircuitBreaker, type AuthResult, type Endpoint } from './circuit-breaker.js';
import { GrowingDelay } from './growing-delay.js';
import { Refresh, type RefreshDeps } from './refresh.js';
import type { RefreshContext, RefreshFunction, RevokeFunction } from './refresh-context.js';
import type { RefreshMemory } from './refresh-request.js';
import { Revocation } from './revocation.js';
import { refreshFailed, sessionChanged, sessionExpired } from './session-errors.js';
import { MemoryState, type SessionChange, type SessionState, type SessionStateDeps } from './session-state.js';
import { SessionObservers, type ClientProvider, type SessionSnapshot } from './snapshot.js';
import { stateIn, type SessionStore } from './store.js';
import type { Tokens } from './tokens.js';

/** Options of a session, with every default in its place. */
export interface SessionOptions {
  readonly initial: Tokens | undefined;
  readonly store: SessionStore | undefined;
  readonly refresh: RefreshFunction | undefined;
  readonly revoke: RevokeFunction | undefined;
  readonly refreshAheadMs: number | undefined;
  readonly refreshTimeoutMs: number;
}

/** The token that a call was sent with. The generation tells whether a 401 speaks of the current one. */
export interface SentToken {
  readonly accessToken: string;
  readonly generation: number;
  /** The header's value, which its scheme makes and checks once for all calls. */
  headerValue: string | undefined;
}

/** A call as its session knows it. */
export interface SessionCall {
  /** Of the principal who was signed in when it began. */
  readonly principalVersion: number;
  readonly sent: SentToken | undefined;
}

const LONGEST_AHEAD_MS = 60_000;
/** API.md: `refresh` is asked at most every 30 s who is signed in. */
const ASK_AGAIN_MS = 30_000;

/** The tokens of one principal, and the one refresh that all callers share. */
export class Session {
  readonly state: SessionState;
  readonly observers: SessionObservers;
  private readonly _breaker: CircuitBreaker;
  private readonly _revocation: Revocation | undefined;
  /** No refresh for a while after one that failed: the calls share its failure. */
  private readonly _coolDown = new GrowingDelay(500, 30_000);
  private readonly _memory: RefreshMemory = {
    isCalling: false,
    refusedGeneration: -1,
    dead: undefined,
    spent: undefined,
  };
  /** Spreads the holders of one token, so that they do not all refresh at the same instant. */
  private readonly _spread: number;
  private _refresh: Refresh | undefined;
  private _failure: AuthError | undefined;
  private _sent: SentToken | undefined;
  /** The generation that has no successor: its refresh token was refused. */
  private _lastGeneration = -1;
  private _askAgainAt = Infinity;
  /** Why the session ended. */
  private _end: AuthError | undefined;

  constructor(
    private readonly _options: SessionOptions,
    private readonly _clock: Clock,
  ) {
    const { store, revoke, initial } = _options;
    const clock = _clock;
    this._breaker = new CircuitBreaker(clock);
    this._spread = 1 - clock.random() / 10;
    this.observers = new SessionObservers(() => this.state.follow());
    this._revocation = revoke && new Revocation(revoke, clock, this.observers);
    const deps: SessionStateDeps = {
      clock,
      initial,
      emit: (event) => {
        this.observers.emit(event);
      },
      changed: (change) => {
        this._changed(change);
      },
    };
    this.state = store ? stateIn(store, deps) : new MemoryState(deps);
    this._publish();
  }

  get isCallingRefresh(): boolean {
    return this._memory.isCalling;
  }

  /** What a call waits for before there is a token to send; undefined: nothing. After it, it may have to wait again. */
  waitFor(principalVersion: number | undefined, clients: ClientProvider): Promise<void> | undefined {
    const { state } = this;
    const { refresh } = this._options;
    const loading = state.ready();
    if (loading) return loading;
    this._assertPrincipal(principalVersion);
    const { tokens, generation, lifetimeMs } = state;
    if (!tokens) return state.status === 'empty' && refresh ? this._refreshOnce('missing', clients) : undefined;
    if (this._refresh && this._memory.refusedGeneration === generation) return this._refresh.wait();
    if (!refresh || lifetimeMs === Infinity) return undefined;
    const { remainingMs } = state;
    if (remainingMs > this._aheadMs(lifetimeMs) || this._breaker.isPaused()) return undefined;
    if (remainingMs <= 0) return this._refreshOnce('expiring', clients);
    // In the background, while the token is good; a refresh token that may be spent is sent only if a call needs it.
    if (generation !== this._lastGeneration && (!tokens.refreshToken || tokens.refreshToken !== this._memory.spent))
      void this._refreshOnce('expiring', clients).catch(() => undefined);
    return undefined;
  }

  /** The token to send now, refreshed first if it has to be; undefined: the call is sent without credentials. */
  credential(principalVersion: number | undefined, clients: ClientProvider): MaybePromise<SentToken | undefined> {
    const wait = this.waitFor(principalVersion, clients);
    if (wait) return wait.then(() => this.credential(principalVersion, clients));
    const { tokens, generation } = this.state;
    if (!tokens) return undefined;
    return (this._sent ??= { accessToken: tokens.accessToken, generation, headerValue: undefined });
  }

  /**
   * After a 401 for the token that was sent: true if a replay may succeed.
   * @throws AuthError if the session has ended, changed or could not be refreshed.
   */
  challenged(call: SessionCall, request: Endpoint & ClientProvider): MaybePromise<boolean> {
    this._assertPrincipal(call.principalVersion);
    const { refresh } = this._options;
    const { status, tokens, generation } = this.state;
    if (status === 'expired') throw this._end ?? sessionExpired();
    const now = this._clock.monotonic();
    if (!tokens) {
      if (status !== 'signed-out' || !refresh || (now < this._askAgainAt && !this._refresh)) return false;
      this._askAgainAt = now + ASK_AGAIN_MS;
      return this._refreshOnce('missing', request).then(() => this.challenged(call, request));
    }
    // A newer generation may hold the same token, written again by another holder.
    if (call.sent?.accessToken !== tokens.accessToken) return true;
    if (!refresh || this.isRefreshPaused(request)) return false;
    this._memory.refusedGeneration = generation;
    return this._refreshOnce('rejected', request).then(() => this.challenged(call, request));
  }

  /** The circuit breaker keeps a 401 of this endpoint from causing a refresh. */
  isRefreshPaused(endpoint: Endpoint): boolean {
    return this._breaker.isPaused(endpoint);
  }

  /** The server has answered a token. Only the current one counts. */
  answered(result: AuthResult): void {
    const { generation } = this.state;
    const pausedMs = result.generation === generation ? this._breaker.record(result) : undefined;
    if (pausedMs === undefined) return;
    const until = Math.round(this._clock.now() + pausedMs);
    this.observers.emit({ type: 'refresh-paused', generation, until });
  }

  /** A change by the app: in memory at once, and it takes precedence over a refresh in flight. */
  async change(change: 'updated' | 'principal', tokens: Tokens | null): Promise<void> {
    this._reset();
    const replaced = await this.state.change(change, tokens);
    if (change === 'principal' && !tokens && replaced) void this._revocation?.run(replaced);
  }

  /** Why a call of that principal must not be sent any more. */
  endOf(principalVersion: number): AuthError | undefined {
    return principalVersion === this.state.principalVersion ? undefined : sessionChanged();
  }

  /** Refreshes whatever the token looks like, or joins the refresh that is under way. */
  async refresh(): Promise<void> {
    await this.state.ready();
    this._reset();
    await this._refreshOnce('manual', this._anyClient);
  }

  async token(): Promise<string | undefined> {
    return (await this.credential(undefined, this._anyClient))?.accessToken;
  }

  /** The timers of a session hold no process; a caller that waits for its work does. */
  async held<T>(work: Promise<T>): Promise<T> {
    const release = alarm(this._clock, Infinity, () => undefined);
    try {
      return await work;
    } finally {
      release();
    }
  }

  snapshot(): SessionSnapshot {
    void this.state.ready();
    return this.observers.current;
  }

  /** Starts a refresh, or joins the one that is under way. */
  private _refreshOnce(reason: RefreshContext['reason'], clients: ClientProvider): Promise<void> {
    if (this._refresh) return this._refresh.wait();
    const { refresh, refreshTimeoutMs: timeoutMs } = this._options;
    if (!refresh) return Promise.reject(refreshFailed('bearer() was given no `refresh` to refresh with.'));
    if (this._failure && this._coolDown.remainingMs(this._clock.monotonic()) > 0) return Promise.reject(this._failure);
    const { state, observers, _clock: clock, _breaker: breaker, _memory: memory, _revocation: revocation } = this;
    const deps: RefreshDeps = { clock, state, observers, breaker, refresh, revocation, timeoutMs, memory };
    const started = (this._refresh = new Refresh(deps, reason, clients));
    void started.done.then((error) => {
      if (this._refresh === started) this._done(started, error);
    });
    this._publish();
    return started.wait();
  }

  private _done({ failure, pauseMs }: Refresh, error: AuthError | undefined): void {
    const now = this._clock.monotonic();
    this._refresh = undefined;
    if (!error) this._coolDown.reset();
    else if (error.code === 'ERR_AUTH_REFRESH_FAILED') {
      this._memory.refusedGeneration = -1;
      this._failure = error;
      this._coolDown.begin(now, pauseMs);
    } else this._lastGeneration = this.state.generation;
    if (this.state.status === 'expired') this._end = error;
    // A definite answer needs no second question; the status of a gateway does.
    const isDefinite = failure?.code === 'rejected' || failure?.code === 'invalid_grant';
    if (failure?.kind === 'not-signed-in') this._askAgainAt = isDefinite ? Infinity : now + ASK_AGAIN_MS;
    this._publish();
  }

  private _changed(change: SessionChange | 'loaded'): void {
    const { generation, tokens } = this.state;
    this._sent = undefined;
    if (change === 'principal') {
      this._reset();
      this._askAgainAt = Infinity;
      this._refresh?.principalChanged();
      this._refresh = undefined;
      this.observers.principalChanged();
      this.observers.emit({ type: tokens ? 'signed-in' : 'signed-out', generation });
    } else if (change === 'updated') this._refresh?.updated();
    else if (change === 'loaded') {
      this._coolDown.reset();
      this._refresh?.stored();
    } else if (change === 'refused' || change === 'refused-here') {
      this.observers.emit({ type: 'session-expired', generation });
      this._refresh?.stored();
    }
    // One change for the listeners, though the refresh ends only when its lock is released.
    this._publish(/^(?:refreshed|refused|refused-here|nobody)$/.test(change));
  }

  /** The app has spoken: earlier failures say nothing any more. */
  private _reset(): void {
    this._coolDown.reset();
    this._breaker.reset();
  }

  private _assertPrincipal(principalVersion: number | undefined): void {
    const end = principalVersion === undefined ? undefined : this.endOf(principalVersion);
    if (end) throw end;
  }

  private _aheadMs(lifetimeMs: number): number {
    const byDefault = Math.min(lifetimeMs / 10, LONGEST_AHEAD_MS) * this._spread;
    return Math.min(this._options.refreshAheadMs ?? byDefault, lifetimeMs / 2);
  }

  private get _anyClient(): ClientProvider {
    return this.observers.first ?? { client: undefined };
  }

  private _publish(isRefreshOver = false): void {
    const { status, tokens, generation } = this.state;
    const emptyStatus = this._options.refresh ? 'unknown' : 'signed-out';
    this.observers.publish({
      status: status === 'empty' ? emptyStatus : status,
      refreshing: this._refresh !== undefined && !isRefreshOver,
      expiresAt: tokens?.accessToken === '' ? undefined : tokens?.expiresAt,
      generation,
    });
  }
}
