import type { Clock } from '../clock.js';
import type { AuthError } from '../errors.js';
import type { MaybePromise } from '../maybe-promise.js';
import { CircuitBreaker, type AuthResult, type Endpoint } from './circuit-breaker.js';
import type { RefreshFunction, RevokeFunction } from './refresh-context.js';
import { Refresher } from './refresher.js';
import { Revocation } from './revocation.js';
import type { SentToken, SessionCall } from './session-call.js';
import { sessionChanged, sessionExpired } from './session-errors.js';
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

const LONGEST_AHEAD_MS = 60_000;

/** The tokens of one principal, and when they are refreshed. */
export class Session {
  readonly state: SessionState;
  readonly observers: SessionObservers;
  private readonly _breaker: CircuitBreaker;
  private readonly _revocation: Revocation | undefined;
  private readonly _refresher: Refresher;
  /** Spreads the holders of one token, so that they do not all refresh at the same instant. */
  private readonly _spread: number;
  private _sent: SentToken | undefined = undefined;

  constructor(
    private readonly _options: SessionOptions,
    private readonly _clock: Clock,
  ) {
    const { store, refresh, revoke, initial, refreshTimeoutMs: timeoutMs } = _options;
    const clock = _clock;
    const breaker = (this._breaker = new CircuitBreaker(clock));
    const observers = (this.observers = new SessionObservers(() => this.state.follow()));
    const revocation = (this._revocation = revoke && new Revocation(revoke, clock, observers));
    this._spread = 1 - clock.random() / 10;
    const deps: SessionStateDeps = {
      clock,
      initial,
      emit: (event) => {
        observers.emit(event);
      },
      changed: (change) => {
        this._changed(change);
      },
    };
    const state = (this.state = store ? stateIn(store, deps) : new MemoryState(deps));
    this._refresher = new Refresher({ clock, state, observers, breaker, revocation, timeoutMs }, refresh, () => {
      this._publish();
    });
    this._publish();
  }

  get isCallingRefresh(): boolean {
    return this._refresher.memory.isCalling;
  }

  /** What a call waits for before there is a token to send; undefined: nothing. After it, it may have to wait again. */
  waitFor(principalVersion: number | undefined, clients: ClientProvider): Promise<void> | undefined {
    const { state, _refresher: refresher } = this;
    const { refresh } = this._options;
    const loading = state.ready();
    if (loading) return loading;
    this._assertPrincipal(principalVersion);
    const { tokens, generation, lifetimeMs } = state;
    if (!refresh) return undefined;
    if (!tokens) return state.status === 'empty' ? refresher.refresh('missing', clients) : undefined;
    const { refusedGeneration, spent } = refresher.memory;
    if (refresher.isActive && refusedGeneration === generation) return refresher.refresh('rejected', clients);
    if (lifetimeMs === Infinity) return undefined;
    const { remainingMs } = state;
    if (remainingMs > this._aheadMs(lifetimeMs) || this._breaker.isPaused()) return undefined;
    if (remainingMs <= 0) return refresher.refresh('expiring', clients);
    // In the background, while the token is good. A refresh token that may be spent is sent only if a call needs it.
    if (generation !== refresher.lastGeneration && (!spent || tokens.refreshToken !== spent))
      void refresher.refresh('expiring', clients).catch(() => undefined);
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
    const { _refresher: refresher } = this;
    const { status, tokens, generation } = this.state;
    if (status === 'expired') throw refresher.end ?? sessionExpired();
    let refreshed: Promise<void> | undefined;
    if (tokens) {
      // A newer generation may hold the same token, written again by another holder.
      if (call.sent?.accessToken !== tokens.accessToken) return true;
      if (!this._options.refresh || this.isRefreshPaused(request)) return false;
      refresher.memory.refusedGeneration = generation;
      refreshed = refresher.refresh('rejected', request);
    } else if (status === 'signed-out') refreshed = refresher.askAgain(request);
    return refreshed ? refreshed.then(() => this.challenged(call, request)) : false;
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
    await this._refresher.refresh('manual', this.observers.anyClient);
  }

  async token(): Promise<string | undefined> {
    return (await this.credential(undefined, this.observers.anyClient))?.accessToken;
  }

  snapshot(): SessionSnapshot {
    void this.state.ready();
    return this.observers.current;
  }

  private _changed(change: SessionChange | 'loaded'): void {
    const { generation, tokens } = this.state;
    const { observers } = this;
    this._sent = undefined;
    this._refresher.stateChanged(change);
    if (change === 'principal') {
      this._breaker.reset();
      observers.principalChanged();
      observers.emit({ type: tokens ? 'signed-in' : 'signed-out', generation });
    } else if (change.startsWith('refused')) observers.emit({ type: 'session-expired', generation });
    // One change for the listeners, though the refresh is over only when its lock is released.
    this._publish(/^(?:refreshed|refused.*|nobody)$/.test(change));
  }

  private _reset(): void {
    this._refresher.reset();
    this._breaker.reset();
  }

  private _assertPrincipal(principalVersion: number | undefined): void {
    if (principalVersion !== undefined && principalVersion !== this.state.principalVersion) throw sessionChanged();
  }

  private _aheadMs(lifetimeMs: number): number {
    const byDefault = Math.min(lifetimeMs / 10, LONGEST_AHEAD_MS) * this._spread;
    return Math.min(this._options.refreshAheadMs ?? byDefault, lifetimeMs / 2);
  }

  private _publish(isRefreshOver = false): void {
    const { status, tokens, generation } = this.state;
    const { refresh } = this._options;
    this.observers.publish({
      status: status !== 'empty' ? status : refresh ? 'unknown' : 'signed-out',
      refreshing: this._refresher.isActive && !isRefreshOver,
      expiresAt: tokens?.accessToken === '' ? undefined : tokens?.expiresAt,
      generation,
    });
  }
}
