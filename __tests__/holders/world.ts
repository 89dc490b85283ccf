import axios, { AxiosError, AxiosHeaders, type AxiosAdapter, type AxiosInstance } from 'axios';
import { attachAuth, bearer, isAuthError, type BearerScheme, type TokenResponse } from '../../lib/index.js';
import { tokenStore, type StoredSession } from '../../lib/store.js';
import { Dispatches } from '../simulation/dispatches.js';
import { byNumbers, type Driver } from '../simulation/schedule.js';
import { TokenEndpoint, type Ask } from '../support/token-endpoint.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { Line } from './line.js';
import { Medium } from './medium.js';
import type { Act, HoldersPlan } from './plan.js';

const MOST_STEPS = 5_000;
const LONG_MS = 600_000;

/** One call, and the tokens of its sends. */
export interface Made {
  readonly holder: number;
  readonly tokens: (string | undefined)[];
  outcome: string | undefined;
}

export interface HoldersHistory {
  readonly plan: HoldersPlan;
  readonly calls: readonly Made[];
  /** The last call of each living holder, made when no event was left and the store had been read again. */
  readonly last: readonly Made[];
  readonly writes: readonly StoredSession[];
  readonly asks: readonly Ask[];
  readonly events: readonly { readonly holder: number; readonly type: string }[];
  readonly expiries: number;
  /** No holder has the lock. */
  readonly isLockFree: boolean;
  readonly timers: number;
}

interface Holder {
  readonly line: Line;
  readonly api: AxiosInstance;
  readonly scheme: BearerScheme;
}

/** Holders of one store. A driver chooses every step. */
export class HoldersWorld {
  readonly #plan: HoldersPlan;
  readonly #clock: VirtualClock;
  readonly #tokens: TokenEndpoint;
  readonly #dispatches = new Dispatches();
  readonly #medium: Medium;
  readonly #holders: readonly Holder[];
  readonly #calls: Made[] = [];
  readonly #events: { holder: number; type: string }[] = [];
  /** Token responses that may still be lost, by the name of their arrival. */
  #lost: number;
  #patience: number;
  #acted = 0;
  /** The last messages arrive without delay. */
  #isPrompt = false;
  #expiries = 1;
  #principals = 1;

  constructor(plan: HoldersPlan) {
    this.#plan = plan;
    this.#lost = plan.lost;
    this.#patience = plan.patience;
    this.#clock = new VirtualClock(plan.seed);
    this.#tokens = new TokenEndpoint(this.#clock);
    this.#tokens.graceMs = plan.graceMs;
    this.#tokens.onReuse = plan.onReuse;
    this.#medium = new Medium(plan);
    const { access_token: accessToken, refresh_token: refreshToken } = this.#tokens.issueDead('p0');
    this.#medium.record = { version: 1, generation: 1, epoch: 0, tokens: { accessToken, refreshToken } };
    this.#holders = Array.from({ length: plan.holders }, (_, index) => this.#holder(index));
  }

  async run(driver: Driver): Promise<HoldersHistory> {
    await this.#untilQuiet(driver);
    for (const { line } of this.#living) if (line.isFrozen) line.thaw();
    await this.#untilQuiet(driver);
    this.#medium.lostNotifications = 0;
    this.#medium.notifyAll();
    await this.#untilQuiet(driver);
    this.#isPrompt = true;
    // If a new token was revoked at once, the circuit breaker pauses refreshes.
    await this.#callOnce();
    const last = await this.#callOnce();
    return {
      plan: this.#plan,
      calls: this.#calls,
      last,
      writes: this.#medium.writes,
      asks: this.#tokens.asks,
      events: this.#events,
      expiries: this.#expiries,
      isLockFree: this.#medium.owner === undefined,
      timers: this.#clock.pending,
    };
  }

  /** Long after, each living holder makes a call. */
  async #callOnce(): Promise<Made[]> {
    await this.#clock.advance(LONG_MS);
    const made: Made[] = [];
    for (const [index, { line }] of this.#holders.entries()) {
      if (line.isCrashed) continue;
      made.push(this.#call(index));
      await this.#untilQuiet(byNumbers([]));
    }
    return made;
  }

  get #living(): Holder[] {
    return this.#holders.filter(({ line }) => !line.isCrashed);
  }

  async #untilQuiet(driver: Driver): Promise<void> {
    for (let step = 0; ; step++) {
      await this.#clock.settle();
      const events = this.#offer();
      if (events.length === 0) return;
      if (step > MOST_STEPS) throw new Error('these holders never run out of events');
      this.#happen(driver.choose({ events, pushes: [] }));
    }
  }

  #offer(): string[] {
    const arrivals = this.#dispatches.names().filter((name) => !this.#holders.some(({ line }) => line.keeps(name)));
    const { owner } = this.#medium;
    const events = [...arrivals, ...(this.#acted < this.#plan.acts.length ? ['a'] : [])];
    // All holders have one clock. If time ends locks, it ends those of dead and frozen holders.
    if (owner && (owner.isCrashed || (owner.isFrozen && this.#plan.lock === 'expiring'))) events.push('x');
    if (this.#clock.isBusy && (events.length === 0 || this.#patience > 0)) events.push('t');
    return events;
  }

  #happen(event: string): void {
    if (event === 'a') this.#act(this.#plan.acts[this.#acted++]!);
    else if (event === 'x') this.#medium.free();
    else if (event === 't') {
      this.#patience--;
      this.#clock.step();
    } else this.#dispatches.arrive(event);
  }

  #act({ what, holder }: Act): void {
    const index = holder % this.#holders.length;
    const { line, scheme } = this.#holders[index]!;
    if (what === 'expire') {
      this.#expiries++;
      this.#tokens.revokeAll();
      return;
    }
    if (line.isCrashed) return;
    if (what === 'thaw') line.thaw();
    else if (line.isFrozen) return;
    else if (what === 'freeze') line.isFrozen = true;
    else if (what === 'call') this.#call(index);
    else if (what === 'sign-in') void scheme.signIn(this.#tokens.issue(`p${String(this.#principals++)}`));
    else if (what === 'sign-out') void scheme.signOut();
    // At least one holder must live until the end.
    else if (this.#living.length > 1) {
      line.crash();
      if (this.#plan.lock === 'connection') this.#medium.cut(line);
    }
  }

  #call(holder: number): Made {
    const made: Made = { holder, tokens: [], outcome: undefined };
    this.#calls.push(made);
    this.#holders[holder]!.api.get('/item', { headers: { 'X-Call': String(this.#calls.length - 1) } }).then(
      () => (made.outcome = '200'),
      (error: unknown) => (made.outcome = isAuthError(error) ? error.code : String((error as AxiosError).status)),
    );
    return made;
  }

  #holder(index: number): Holder {
    const line = new Line(index, this.#clock, this.#dispatches);
    const adapter: AxiosAdapter = async (config) => {
      const headers = AxiosHeaders.from(config.headers);
      const [, token] = /^Bearer (.+)$/.exec(String(headers.get('Authorization') ?? '')) ?? [];
      this.#calls[Number(headers.get('X-Call'))]!.tokens.push(token);
      const status = await line.ask('server', () => (this.#tokens.accepts(token) === undefined ? 401 : 200));
      const response = { status, statusText: '', data: {}, headers: new AxiosHeaders(), config };
      if (status === 200) return response;
      throw new AxiosError('refused', AxiosError.ERR_BAD_REQUEST, config, {}, response);
    };
    const api = axios.create({ adapter, baseURL: 'https://api.example.com' });
    const scheme = bearer(
      {
        store: tokenStore(this.#medium.storeFor(line)),
        refresh: ({ refreshToken }) => this.#refresh(line, refreshToken),
      },
      line,
    );
    attachAuth(api, { scheme, onEvent: ({ type }) => this.#events.push({ holder: index, type }) }, line);
    return { line, api, scheme };
  }

  #refresh(line: Line, refreshToken: string | undefined): Promise<TokenResponse> {
    return new Promise((resolve, reject) => {
      line.toWorld('server', () => {
        const { status, data } = this.#tokens.answer(refreshToken);
        const isLost = this.#lost > 0 && status === 200;
        if (isLost) this.#lost--;
        const lateMs = this.#isPrompt ? undefined : this.#plan.lateMs[this.#tokens.refreshes - 1];
        const arrive = (): void => {
          if (isLost) reject(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
          else if (status === 200) resolve(data as TokenResponse);
          else reject(Object.assign(new Error('refused'), { response: { status, data } }));
        };
        if (lateMs === undefined) line.toHolder(arrive);
        else this.#clock.later(lateMs, () => line.toHolder(arrive));
      });
    });
  }
}
