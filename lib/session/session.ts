import type { AxiosInstance } from 'axios';
import { alarm, type Clock } from '../clock.js';
import { AuthError } from '../errors.js';
import type { Tell } from '../events.js';
import { Audience, type LendClient, type SessionSnapshot } from './audience.js';
import { Breaker } from './breaker.js';
import { CoolDown } from './cool-down.js';
import { Flight, sessionExpired, type Landing } from './flight.js';
import { GuardedStore } from './guarded-store.js';
import { Ledger } from './ledger.js';
import type { Refresh, RefreshReason } from './refresh.js';
import type { MaybePromise, TokenStore } from './store.js';
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
}

const LONGEST_AHEAD_MS = 60_000;

/** The tokens of one principal, and the one refresh that everybody shares. */
export class Session {
  readonly #options: SessionOptions;
  readonly #clock: Clock;
  readonly #store: GuardedStore;
  readonly #ledger: Ledger;
  readonly #breaker = new Breaker();
  readonly #coolDown = new CoolDown();
  readonly #audience: Audience;
  #flight: Flight | undefined;
  #deadRefreshToken: string | undefined;
  /** Generations, by what the server made of them. */
  #refused = -1;
  #accepted = -1;
  #refreshed = -1;
  #broken = -1;
  #isCallingRefresh = false;
  /** Spreads the holders of one token, so that not all of them refresh at the same instant. */
  readonly #spread: number;

  constructor(options: SessionOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#spread = 0.9 + 0.1 * clock.random();
    this.#audience = new Audience(() =>
      this.#store.subscribe(() => {
        if (this.#ledger.status !== 'unknown') void this.#ledger.reload();
      }),
    );
    const { tell } = this.#audience;
    this.#store = new GuardedStore(options.store, clock, tell);
    this.#ledger = new Ledger({
      store: this.#store,
      clock,
      tell,
      initial: options.initial,
      changed: (what) => {
        if (what === 'principal') this.#flight?.abandon(sessionChanged());
        this.#publish();
      },
    });
  }

  /** The principal as of now: a call that begins in one turn is never sent with a token of another. */
  get turn(): number {
    return this.#ledger.turn;
  }

  get tokens(): Tokens | null {
    return this.#ledger.tokens;
  }

  /** True while the synchronous part of `refresh()` runs: a call that begins then belongs to it and must not wait for it. */
  get isCallingRefresh(): boolean {
    return this.#isCallingRefresh;
  }

  /** The token to send now, refreshed first where it has to be; undefined: the call goes bare. */
  credential(turn: number | undefined, client: LendClient): MaybePromise<Carried | undefined> {
    const ledger = this.#ledger;
    const loading = ledger.ready();
    if (loading) return loading.then(() => this.credential(turn, client));
    this.#assertSamePrincipal(turn);
    const { tokens, generation } = ledger;
    if (!tokens) {
      if (ledger.status !== 'vacant' || !this.#options.refresh) return undefined;
      return this.#after(this.#fly('missing', client), turn, client);
    }
    if (this.#flight && this.#refused === generation) return this.#after(this.#flight.landing, turn, client);
    if (this.#options.refresh && ledger.lifetimeMs !== Infinity && !this.#breaker.isOpen(this.#clock.monotonic())) {
      const { remainingMs } = ledger;
      if (remainingMs <= 0) return this.#after(this.#fly('expiring', client), turn, client);
      if (remainingMs <= this.#aheadMs()) this.#fly('expiring', client).catch(() => undefined);
    }
    return { accessToken: tokens.accessToken, generation };
  }

  /**
   * After a 401 for what was carried: true if sending again may succeed.
   * @throws AuthError when the session has ended, changed or could not be refreshed.
   */
  challenged(turn: number | undefined, carried: Carried | undefined, client: LendClient): MaybePromise<boolean> {
    this.#assertSamePrincipal(turn);
    const ledger = this.#ledger;
    if (!ledger.tokens) {
      if (ledger.status === 'expired') throw sessionExpired(undefined);
      return false;
    }
    if (carried?.generation !== ledger.generation) return true;
    if (!this.#options.refresh || this.isRefreshUseless) return false;
    this.#refused = ledger.generation;
    return this.#fly('rejected', client).then(() => this.challenged(turn, carried, client));
  }

  /** The breaker is open: what was just refreshed was refused at once. */
  get isRefreshUseless(): boolean {
    return this.#breaker.isOpen(this.#clock.monotonic());
  }

  /** Hears what the server made of a token, and so notices when refreshing does not help. */
  answered(generation: number, isUnauthorized: boolean): void {
    if (generation !== this.#ledger.generation) return;
    if (!isUnauthorized) {
      if (this.#accepted === generation) return;
      this.#accepted = generation;
      this.#breaker.close();
    } else if (this.#refreshed === generation && this.#accepted !== generation && this.#broken !== generation) {
      this.#broken = generation;
      this.#breaker.open(this.#clock.monotonic());
    }
  }

  /** A new principal, nobody, or newer tokens of the same: memory has it at once, and it wins over a refresh in flight. */
  async change(status: 'signed-in' | 'signed-out', tokens: Tokens | null, principal: 'same' | 'other'): Promise<void> {
    this.#forgive();
    const saved = this.#ledger.change(status, tokens, principal);
    if (principal === 'same') this.#flight?.abandon();
    else this.#audience.tell({ type: status, generation: this.#ledger.generation });
    await saved;
  }

  /** Refreshes whatever the token looks like, or joins the refresh that is under way. */
  async refresh(): Promise<void> {
    await this.#ledger.ready();
    this.#forgive();
    await this.#held(this.#fly('manual', this.#anyClient));
  }

  async token(): Promise<string | undefined> {
    const credential = this.credential(undefined, this.#anyClient);
    return (credential instanceof Promise ? await this.#held(credential) : credential)?.accessToken;
  }

  snapshot(): SessionSnapshot {
    void this.#ledger.ready();
    return this.#audience.snapshot;
  }

  subscribe(listener: () => void): () => void {
    return this.#audience.subscribe(listener);
  }

  /** An instance that this session serves: it hears the events, and lends its client to refreshes that no call asked for. */
  join(tell: Tell, client: LendClient): () => void {
    return this.#audience.join(tell, client);
  }

  async #after(landing: Promise<void>, turn: number | undefined, client: LendClient): Promise<Carried | undefined> {
    await landing;
    return this.credential(turn, client);
  }

  /** Starts a refresh, or joins the one that is under way. */
  #fly(reason: RefreshReason, client: LendClient): Promise<void> {
    if (this.#flight) return this.#flight.landing;
    const { refresh, refreshTimeoutMs } = this.#options;
    if (!refresh) return Promise.reject(new AuthError('ERR_AUTH_REFRESH_FAILED', 'bearer() was given no `refresh` to refresh with.'));
    const coolingDown = this.#coolDown.errorAt(this.#clock.monotonic());
    if (coolingDown) return Promise.reject(coolingDown);
    const flight = new Flight({
      clock: this.#clock,
      ledger: this.#ledger,
      store: this.#store,
      refresh,
      reason,
      client,
      timeoutMs: refreshTimeoutMs,
      deadRefreshToken: this.#deadRefreshToken,
      tell: this.#audience.tell,
      during: (work) => this.#during(work),
      over: (landing) => {
        this.#flight = undefined;
        if (landing) this.#landed(landing);
        this.#publish();
      },
    });
    this.#flight = flight;
    this.#publish();
    void flight.run();
    return flight.landing;
  }

  #during<T>(work: () => T): T {
    this.#isCallingRefresh = true;
    try {
      return work();
    } finally {
      this.#isCallingRefresh = false;
    }
  }

  #landed(landing: Landing): void {
    if (landing.kind === 'refreshed') this.#refreshed = this.#ledger.generation;
    if (landing.kind === 'ended') this.#deadRefreshToken = landing.refreshToken;
    if (landing.kind === 'failed') {
      this.#refused = -1;
      this.#coolDown.begin(this.#clock.monotonic(), landing.error, landing.retryAfterMs ?? 0);
    } else {
      this.#coolDown.end();
    }
  }

  /** The app has spoken: what failed before says nothing any more. */
  #forgive(): void {
    this.#coolDown.end();
    this.#breaker.close();
  }

  #assertSamePrincipal(turn: number | undefined): void {
    if (turn !== undefined && turn !== this.#ledger.turn) throw sessionChanged();
  }

  #aheadMs(): number {
    const { lifetimeMs } = this.#ledger;
    const ahead = this.#options.refreshAheadMs ?? Math.min(lifetimeMs / 10, LONGEST_AHEAD_MS) * this.#spread;
    return Math.min(ahead, lifetimeMs / 2);
  }

  readonly #anyClient: LendClient = () => (this.#audience.client ?? this.#options.plainClient)();

  /** The timers of a refresh keep no process alive; somebody who waits for it does. */
  async #held<T>(work: Promise<T>): Promise<T> {
    const release = alarm(this.#clock, this.#options.refreshTimeoutMs + 1_000, () => undefined);
    try {
      return await work;
    } finally {
      release();
    }
  }

  #publish(): void {
    const { status, tokens, generation } = this.#ledger;
    this.#audience.publish(status, this.#flight !== undefined, tokens, generation);
  }
}

export function sessionChanged(): AuthError {
  return new AuthError(
    'ERR_AUTH_SESSION_CHANGED',
    'The call was not sent (again): somebody signed out or in while it waited. Make it again if it is still wanted.',
  );
}
