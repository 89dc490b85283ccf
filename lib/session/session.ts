import type { MaybePromise } from '../maybe-promise.js';
import type { AxiosInstance } from 'axios';
import { alarm, type Clock } from '../clock.js';
import { AuthError } from '../errors.js';
import type { Happening } from '../events.js';
import { Audience, type Lender, type SessionSnapshot } from './audience.js';
import { Breaker, type Place, type Reception } from './breaker.js';
import { Ledger } from './ledger.js';
import { takeOff, type Flight } from './flight.js';
import { sessionExpired, type Refresh, type RefreshContext } from './refresh.js';
import { Restraint } from './restraint.js';
import type { TokenStore } from './store.js';
import type { Tokens } from './tokens.js';

export interface SessionOptions {
  readonly initial: Tokens | undefined;
  readonly store: TokenStore;
  readonly refresh: Refresh | undefined;
  readonly refreshAheadMs: number | undefined;
  readonly refreshTimeoutMs: number;
  readonly plainClient: () => AxiosInstance;
}

/** What a call carried: the generation tells whether a 401 speaks of the current token. */
export interface Carried {
  readonly accessToken: string;
  readonly generation: number;
  /** What its scheme made of the token, which need not be made and checked for every call. */
  authorization: string | undefined;
}

/** A call as its session knows it. */
export interface Caller {
  /** Whose call it is: that of the principal who was signed in when it began. */
  readonly turn: number;
  readonly carried: Carried | undefined;
}

const LONGEST_AHEAD_MS = 60_000;

/** The tokens of one principal, and the one refresh that everybody shares. */
export class Session {
  /** True while the synchronous part of `refresh()` runs: a call that begins then belongs to it and must not wait for it. */
  isCallingRefresh = false;
  readonly ledger: Ledger;
  readonly audience: Audience;
  readonly #options: SessionOptions;
  readonly #clock: Clock;
  readonly #breaker: Breaker;
  /** No refresh for a while: it failed for now, and callers share the failure. */
  readonly #coolDown = new Restraint(500, 30_000);
  #failure: AuthError | undefined;
  #flight: Flight | undefined;
  #carried: Carried | undefined;
  #deadRefreshToken: string | undefined;
  /** A generation that the server has refused. */
  #refused = -1;
  /** A generation that nothing comes after: its refresh token was refused for good. */
  #last = -1;
  /** Spreads the holders of one token, so that not all of them refresh at the same instant. */
  readonly #spread: number;

  constructor(options: SessionOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#breaker = new Breaker(clock);
    this.#spread = 1 - clock.random() / 10;
    this.audience = new Audience(() => this.ledger.follow());
    this.ledger = new Ledger(
      options.store,
      clock,
      (happening) => {
        this.#tell(happening);
      },
      options.initial,
      (what) => {
        this.#carried = undefined;
        if (what === 'principal') {
          this.#flight?.abandon(sessionChanged());
          this.audience.principalChanged();
        } else this.#flight?.heard();
        this.#publish();
      },
    );
  }

  /** What has to be waited for before there is a token to send; undefined: nothing, and waiting again may follow. */
  busy(turn: number | undefined, lender: Lender): Promise<void> | undefined {
    const { ledger } = this;
    const { refresh } = this.#options;
    const loading = ledger.ready();
    if (loading) return loading;
    this.#assertSamePrincipal(turn);
    const { tokens, generation } = ledger;
    if (!tokens) return ledger.status === 'vacant' && refresh ? this.#fly('missing', lender) : undefined;
    if (this.#flight && this.#refused === generation) return this.#flight.landing;
    if (!refresh || ledger.lifetimeMs === Infinity) return undefined;
    const { remainingMs } = ledger;
    if (remainingMs > this.#aheadMs() || this.#breaker.isOpen()) return undefined;
    if (remainingMs <= 0) return this.#fly('expiring', lender);
    if (generation !== this.#last) this.#fly('expiring', lender).catch(() => undefined);
    return undefined;
  }

  /** The token to send now, refreshed first where it has to be; undefined: the call goes bare. */
  credential(turn: number | undefined, lender: Lender): MaybePromise<Carried | undefined> {
    const busy = this.busy(turn, lender);
    if (busy) return busy.then(() => this.credential(turn, lender));
    const { tokens, generation } = this.ledger;
    if (!tokens) return undefined;
    return (this.#carried ??= { accessToken: tokens.accessToken, generation, authorization: undefined });
  }

  /**
   * After a 401 for what was carried: true if sending again may succeed.
   * @throws AuthError when the session has ended, changed or could not be refreshed.
   */
  challenged(call: Caller, place: Place & Lender): MaybePromise<boolean> {
    this.#assertSamePrincipal(call.turn);
    const { status, tokens, generation } = this.ledger;
    if (status === 'expired') throw sessionExpired();
    if (!tokens) return false;
    // A newer generation may be the same token, written again by another holder.
    if (call.carried?.accessToken !== tokens.accessToken) return true;
    if (!this.#options.refresh || this.isRefreshUseless(place)) return false;
    this.#refused = generation;
    return this.#fly('rejected', place).then(() => this.challenged(call, place));
  }

  /** The breaker keeps a 401 of this place from a refresh. */
  isRefreshUseless(place: Place): boolean {
    return this.#breaker.isOpen(place);
  }

  /** Hears what the server made of the current token. */
  answered(reception: Reception): void {
    if (reception.generation === this.ledger.generation) this.#breaker.heard(reception);
  }

  /** The app's news: memory has it at once, and it wins over a refresh in flight. */
  async change(entry: 'updated' | 'principal', tokens: Tokens | null): Promise<void> {
    this.#forgive();
    const entered = this.ledger.enter(entry, tokens);
    if (entry === 'updated') this.#flight?.abandon();
    else this.#tell({ type: tokens ? 'signed-in' : 'signed-out', generation: this.ledger.generation });
    await entered;
  }

  /** Why a call of that turn may not be sent any more. */
  endOf(turn: number): AuthError | undefined {
    return turn === this.ledger.turn ? undefined : sessionChanged();
  }

  /** Refreshes whatever the token looks like, or joins the refresh that is under way. */
  async refresh(): Promise<void> {
    await this.ledger.ready();
    this.#forgive();
    await this.#fly('manual', this.#anyLender);
  }

  async token(): Promise<string | undefined> {
    return (await this.credential(undefined, this.#anyLender))?.accessToken;
  }

  /** The timers of a session keep no process alive; somebody who waits for its work does. */
  async held<T>(work: Promise<T>): Promise<T> {
    const release = alarm(this.#clock, Infinity, () => undefined);
    try {
      return await work;
    } finally {
      release();
    }
  }

  snapshot(): SessionSnapshot {
    void this.ledger.ready();
    return this.audience.snapshot;
  }

  /** Starts a refresh, or joins the one that is under way. */
  #fly(reason: RefreshContext['reason'], lender: Lender): Promise<void> {
    if (this.#flight) return this.#flight.landing;
    const { refresh, refreshTimeoutMs: timeoutMs, store } = this.#options;
    const clock = this.#clock;
    if (!refresh)
      return Promise.reject(
        new AuthError('ERR_AUTH_REFRESH_FAILED', 'bearer() was given no `refresh` to refresh with.'),
      );
    if (this.#failure && this.#coolDown.isOn(clock.monotonic())) return Promise.reject(this.#failure);
    this.#flight = takeOff({
      clock,
      ledger: this.ledger,
      store,
      refresh,
      reason,
      lender,
      timeoutMs,
      isStillGood: () =>
        reason === 'expiring' && this.ledger.remainingMs > 0 && this.#refused !== this.ledger.generation,
      deadRefreshToken: this.#deadRefreshToken,
      died: (refreshToken) => {
        this.#deadRefreshToken = refreshToken;
      },
      tell: (happening) => {
        this.#tell(happening);
      },
      during: (work) => {
        this.isCallingRefresh = true;
        try {
          return work();
        } finally {
          this.isCallingRefresh = false;
        }
      },
      over: (error, retryAfterMs) => {
        this.#flight = undefined;
        if (!error) this.#coolDown.end();
        if (error?.code === 'ERR_AUTH_SESSION_EXPIRED') this.#last = this.ledger.generation;
        if (error?.code === 'ERR_AUTH_REFRESH_FAILED') {
          this.#refused = -1;
          this.#failure = error;
          this.#coolDown.begin(clock.monotonic(), retryAfterMs);
        }
        this.#publish();
      },
    });
    this.#publish();
    return this.#flight.landing;
  }

  /** The app has spoken: what failed before says nothing any more. */
  #forgive(): void {
    this.#coolDown.end();
    this.#breaker.forgive();
  }

  #assertSamePrincipal(turn: number | undefined): void {
    const end = turn === undefined ? undefined : this.endOf(turn);
    if (end) throw end;
  }

  #aheadMs(): number {
    const { lifetimeMs } = this.ledger;
    return Math.min(
      this.#options.refreshAheadMs ?? Math.min(lifetimeMs / 10, LONGEST_AHEAD_MS) * this.#spread,
      lifetimeMs / 2,
    );
  }

  get #anyLender(): Lender {
    return this.audience.first ?? { client: this.#options.plainClient() };
  }

  #tell(happening: Happening): void {
    if (happening.type === 'refreshed') this.#breaker.refreshed(happening.generation);
    this.audience.tell(happening);
  }

  #publish(): void {
    const { status, tokens, generation } = this.ledger;
    this.audience.publish({
      status: status === 'vacant' ? (this.#options.refresh ? 'unknown' : 'signed-out') : status,
      refreshing: this.#flight !== undefined,
      expiresAt: tokens?.expiresAt,
      generation,
    });
  }
}

function sessionChanged(): AuthError {
  return new AuthError(
    'ERR_AUTH_SESSION_CHANGED',
    'The call was not sent (again): somebody signed out or in while it waited. Make it again if it is still wanted.',
  );
}
