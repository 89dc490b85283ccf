import type { Clock } from '../clock.js';
import type { AuthError } from '../errors.js';
import { revocation } from './revocation.js';
import { whenReady, type MaybePromise } from '../maybe-promise.js';
import type { RefreshDeps, SessionOptions } from './refresh-deps.js';
import { CircuitBreaker, type Endpoint } from './circuit-breaker.js';
import { sessionChanged, sessionExpired } from './session-errors.js';
import { Refresher } from './refresher.js';
import { SessionCall, type SentToken, type SessionAnswer, type SessionRequest } from './session-call.js';
import { MemoryState, type SessionChange, type SessionState } from './session-state.js';
import { SessionObservers, type ClientProvider, type SessionInstance, type SessionSnapshot } from './snapshot.js';
import { stateIn, type SessionStore } from './store.js';
import type { Tokens } from './tokens.js';

/** The tokens of one principal, and the calls that are sent with them. */
export class Session {
  readonly state: SessionState;
  private readonly _deps: RefreshDeps;
  private readonly _refresher: Refresher;
  private _sent: SentToken | undefined = undefined;
  private _expiredVersion = -1; // of the principal whose session has expired
  private readonly _foreignCalls = new WeakMap<object, SessionCall>(); // a scheme of the app passes their requests on

  constructor(options: SessionOptions, clock: Clock) {
    const { store, revoke, initial } = options;
    const observers = new SessionObservers(() => this.state.follow());
    const stateDeps = { clock, initial, emit: observers.emit.bind(observers), changed: this._changed.bind(this) };
    const state = (this.state = store ? stateIn(store, stateDeps) : new MemoryState(stateDeps));
    this._deps = {
      clock,
      options,
      state,
      observers,
      breaker: new CircuitBreaker(clock),
      revoke: revoke && revocation(revoke, clock, observers),
      memory: { isCalling: false, refusedGeneration: -1, dead: undefined, end: undefined, spent: undefined },
    };
    this._refresher = new Refresher(this._deps, this._publish.bind(this));
    this._publish();
  }

  /** The synchronous part of `refresh()` runs: a call that begins then must not wait for the refresh. */
  get isCallingRefresh(): boolean {
    return this._deps.memory.isCalling;
  }
  get store(): SessionStore | undefined {
    return this._deps.options.store;
  }

  /** Creates `AuthRequest.exchange` for a new call, which notes the principal of the call. */
  newExchange(): SessionCall {
    return new SessionCall(this, this.state.principalVersion);
  }

  /** A promise to wait for before there is a token to send. undefined: none. Afterwards the call may have to wait again. */
  waitFor(exchange: object | undefined, clients: ClientProvider): Promise<void> | undefined {
    const loading = this.state.ready();
    if (loading) return loading;
    if (exchange) this._assertPrincipal(exchange);
    return this._refresher.refreshIfDue(clients);
  }

  /** The token to send now, refreshed first if it has to be; undefined: the call is sent without credentials. */
  credential(request: SessionRequest): MaybePromise<SentToken | undefined> {
    const { exchange } = request;
    return whenReady(this._token(exchange, request), (sent) => this._callOf(exchange).send(sent, this.state.ageMs));
  }

  /**
   * After a 401 for the token that was sent: true if a replay may succeed.
   * @throws AuthError if the session has ended, changed or could not be refreshed.
   */
  challenged(request: SessionRequest): MaybePromise<boolean> {
    const { _refresher: refresher } = this;
    const { exchange } = request;
    const call = this._callOf(exchange);
    call.isReplay = true;
    this._assertPrincipal(exchange);
    const { status, tokens, generation } = this.state;
    // A newer generation may hold the same token, written again by another holder.
    const hasOther = (): boolean => ![undefined, call.sent?.accessToken].includes(this.state.tokens?.accessToken);
    if (hasOther()) return true;
    let refreshed: Promise<void> | undefined;
    // A pause keeps a refresh from starting. One that is under way still returns the next token.
    if (tokens && (refresher.isActive || (this._deps.options.refresh && !this.isRefreshPaused(request)))) {
      this._deps.memory.refusedGeneration = generation;
      refreshed = refresher.refresh('rejected', request);
    } else if (status === 'signed-out') refreshed = refresher.askAgain(request);
    if (refreshed) return refreshed.then(() => this.challenged(request));
    // No refresh reads the store, where another holder may have stored new tokens.
    const reading = this.state.reload();
    return whenReady(status === 'signed-out' ? undefined : reading, () => {
      this._assertPrincipal(exchange);
      if (this.state.status === 'expired') throw this._deps.memory.end ?? sessionExpired();
      return hasOther();
    });
  }

  /** Adds an instance, which is referenced weakly. Returns the observers of the session. */
  addInstance(instance: SessionInstance): SessionObservers {
    this._deps.observers.addInstance(instance);
    return this._deps.observers;
  }
  subscribe(listener: () => void): () => void {
    return this._deps.observers.subscribe(listener);
  }
  followUntilCollected(owner: object): void {
    if (this.store) this._deps.observers.followUntilCollected(owner);
  }

  /** The circuit breaker keeps a 401 of this endpoint from causing a refresh. */
  isRefreshPaused(endpoint: Endpoint): boolean {
    return this._deps.breaker.isPaused(endpoint);
  }

  /** The server has answered a token. Only the current one counts. */
  answered({ request: endpoint, response, isRefusal }: SessionAnswer): void {
    const { state } = this;
    const { generation } = state;
    const { sent, isFresh, isReplay } = this._callOf(endpoint.exchange);
    // A token that has expired meanwhile, or may have before it was sent, says nothing about the refresh that returned it.
    if (sent?.generation !== generation || (isRefusal && !(isFresh && state.remainingMs > 0))) return;
    const pausedMs = this._deps.breaker.record({ generation, status: response.status, isRefusal, isReplay, endpoint });
    if (pausedMs === undefined) return;
    const until = Math.round(this._deps.clock.now() + pausedMs);
    this._deps.observers.emit({ type: 'refresh-paused', generation, until });
  }

  /** A change by the app: in memory at once, and it takes precedence over a refresh in flight. */
  async change(change: 'updated' | 'principal', tokens: Tokens | null): Promise<void> {
    this._refresher.reset();
    const replaced = await this.state.change(change, tokens);
    if (change === 'principal' && !tokens && replaced) void this._deps.revoke?.(replaced);
  }

  /** Why the call must not be sent any more: its principal has expired or signed out, or another one has signed in. */
  endOf(exchange: object): AuthError | undefined {
    const { principalVersion } = this._callOf(exchange);
    if (principalVersion === this.state.principalVersion) return undefined;
    return principalVersion === this._expiredVersion ? (this._deps.memory.end ?? sessionExpired()) : sessionChanged();
  }

  /** Refreshes regardless of the token's age, or joins the running refresh. */
  async refresh(): Promise<void> {
    await this.state.ready();
    this._refresher.reset();
    await this._refresher.refresh('manual', this._deps.observers.anyClient);
  }

  async token(): Promise<string | undefined> {
    return (await this._token(undefined, this._deps.observers.anyClient))?.accessToken;
  }
  snapshot(): SessionSnapshot {
    void this.state.ready();
    return this._deps.observers.current;
  }

  private _token(exchange: object | undefined, clients: ClientProvider): MaybePromise<SentToken | undefined> {
    const wait = this.waitFor(exchange, clients);
    if (wait) return wait.then(() => this._token(exchange, clients));
    const { tokens, generation } = this.state;
    if (!tokens) return undefined;
    return (this._sent ??= { accessToken: tokens.accessToken, generation, headerValue: undefined });
  }

  private _callOf(exchange: object): SessionCall {
    if (exchange instanceof SessionCall && exchange.isOf(this)) return exchange;
    let call = this._foreignCalls.get(exchange);
    if (!call) this._foreignCalls.set(exchange, (call = this.newExchange()));
    return call;
  }
  private _assertPrincipal(exchange: object): void {
    const end = this.endOf(exchange);
    if (end) throw end;
  }

  private _changed(change: SessionChange | 'loaded'): void {
    const { generation, tokens, status, principalVersion } = this.state;
    const { observers } = this._deps;
    this._sent = undefined;
    this._refresher.stateChanged(change);
    if (change === 'principal') {
      observers.principalChanged();
      observers.emit({ type: tokens ? 'signed-in' : 'signed-out', generation });
    } else this._expiredVersion = status === 'expired' ? principalVersion : -1;
    if (change.startsWith('refused')) observers.emit({ type: 'session-expired', generation });
    this._publish();
  }

  private _publish(): void {
    const { status, tokens, generation } = this.state;
    const { observers, options } = this._deps;
    observers.publish({
      status: status !== 'empty' ? status : options.refresh ? 'unknown' : 'signed-out',
      refreshing: this._refresher.isRefreshing,
      expiresAt: tokens?.accessToken ? tokens.expiresAt : undefined,
      generation,
    });
  }
}
