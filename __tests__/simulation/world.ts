import { getEventListeners } from 'node:events';
import { Readable } from 'node:stream';
import type { AxiosInstance } from 'axios';
import {
  isAuthError,
  type AuthEvent,
  type AuthHandle,
  type BearerOptions,
  type BearerScheme,
  type TokenResponse,
} from '../../lib/index.js';
import { Stage, TOKEN_PATH, summaryOf, type Courier, type Reply, type Sent } from '../support/stage.js';
import { Dispatches } from './dispatches.js';
import { ANSWERS, TOKEN_ANSWERS } from './fates.js';
import { Fingerprint } from './fingerprint.js';
import type { Entry, History, Made, Moment } from './history.js';
import { TOKEN } from './invariants.js';
import type { ActPlan, CallPlan, Fate, WorldPlan } from './plan.js';
import { readChoice, type Driver, type Offer } from './schedule.js';
import { slowStore } from './slow-store.js';

const TIMEOUT_MS = 40;
const FOREIGN = 'https://elsewhere.example';
/** An upper limit of microtask rounds for one step. */
const LONGEST_TICKS = 40;
/** An upper limit of steps. A world that reaches it loops. */
const MOST_STEPS = 2_000;

/** One round of microtasks. queueMicrotask() would be slower. */
const MICROTASK = Promise.resolve();

interface Caller {
  readonly made: Made;
  readonly controller: AbortController;
}

/** A small world. A driver chooses every step: the next response, call, act or passing of time. */
export class World {
  readonly history: History;
  readonly #plan: WorldPlan;
  readonly #stage: Stage;
  readonly #scheme: BearerScheme;
  readonly #instances: AxiosInstance[];
  readonly #handles: AuthHandle[];
  readonly #callers = new Map<number, Caller>();
  readonly #freely: number[];
  readonly #dispatches = new Dispatches();
  readonly #fingerprint: Fingerprint;
  /** Token requests with a slow response. */
  readonly #late = new Set<string>();
  #acted = 0;
  #patience: number;
  #principal: string | undefined = 'p0';
  #principals = 1;
  #isAttached = true;
  #step = 0;
  #order = 0;
  #tick = -1;
  #lastTick = -1;

  constructor(plan: WorldPlan) {
    this.#plan = plan;
    this.#patience = plan.patience;
    this.#freely = [...plan.calls.keys()].filter((index) => plan.calls[index]!.begins === 'freely');
    this.history = {
      plan,
      entries: [],
      calls: [],
      endingActs: [],
      generations: [],
      texts: [],
      expiries: 0,
      kept: [],
      refreshes: [],
      timers: 0,
      isLockFree: false,
    };
    this.#fingerprint = new Fingerprint(this.history);
    const stage = (this.#stage = new Stage(plan.seed, { timeout: TIMEOUT_MS }));
    stage.courier = this.#courier;
    stage.tokens.expiresIn = plan.expiresIn;
    stage.tokens.graceMs = plan.graceMs;
    const tokens = plan.isDead ? stage.tokens.issueDead('p0') : stage.tokens.issue('p0');
    const { generations } = this.history;
    const { exclusive, ...lockless } = slowStore(
      plan.store === 'asynchronous' ? this.#dispatches : undefined,
      (next) => {
        generations.push(next.generation);
      },
    );
    const hasLock = plan.store !== 'lockless' || plan.holders === 'two schemes';
    const store = { ...lockless, ...(hasLock && exclusive && { exclusive }) };
    this.#isLockFree = async () => exclusive?.(() => Promise.resolve(), { signal: new AbortController().signal });
    this.#scheme = stage.bearer({ tokens, store, refresh: this.#refreshOf('0') });
    this.#instances = plan.holders === 'one' ? [stage.api] : [stage.api, stage.instance({ timeout: TIMEOUT_MS })];
    this.#handles = this.#instances.map((instance, index) => {
      const isItsOwn = index > 0 && plan.holders === 'two schemes';
      const scheme = isItsOwn ? stage.bearer({ tokens, store, refresh: this.#refreshOf('1') }) : this.#scheme;
      return stage.attach({ scheme, onEvent: this.#record }, instance);
    });
    for (const { interceptors } of this.#instances) {
      interceptors.response.use(
        (response) => {
          this.#recordDelivery(response.config);
          return response;
        },
        (error: { config?: unknown }) => {
          this.#recordDelivery(error.config);
          return Promise.reject(error);
        },
      );
    }
    if (plan.calls.some(({ begins }) => begins === 'on snapshot')) {
      this.#scheme.subscribe(() => {
        this.#beginFrom('on snapshot');
      });
    }
    const script = ({ call }: Sent): Reply | undefined => ANSWERS[this.#fateOf(call)];
    for (const path of ['/one', '/two']) stage.always(path, script);
    stage.always(TOKEN_PATH, () => TOKEN_ANSWERS[plan.refreshes[stage.tokens.refreshes] ?? 'good']);
  }

  readonly #isLockFree: () => Promise<void>;

  #refreshOf(holder: string): NonNullable<BearerOptions['refresh']> {
    return async ({ client, refreshToken, signal }) => {
      const headers = { 'X-Holder': holder };
      const body = { refresh_token: refreshToken };
      return (await client.post<TokenResponse>(TOKEN_PATH, body, { signal, headers })).data;
    };
  }

  /** Runs until no choice is left. Calls `seen` with every state. */
  async run(driver: Driver, seen?: (fingerprint: number) => void): Promise<History> {
    const { stackTraceLimit } = Error;
    // The stack traces of thousands of errors are not used.
    Error.stackTraceLimit = 0;
    try {
      for (;;) {
        await this.#stage.clock.settle();
        if (this.#step > 0) driver.ran?.(this.#lastTick);
        seen?.(this.#fingerprint.of(this.#acted));
        const offer = this.#offer();
        if (offer.events.length === 0) break;
        if (++this.#step > MOST_STEPS) throw new Error('this world never runs out of events');
        this.#perform(driver.choose(offer), driver.ran !== undefined);
      }
      await this.#windUp();
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
    return this.history;
  }

  /** The possible next events, the most ordinary first. */
  #offer(): Offer {
    const { acts } = this.#plan;
    const pushes = [
      ...this.#freely.slice(0, 1).map((index) => `b${String(index)}`),
      ...(this.#acted < acts.length ? [`a${String(this.#acted)}`] : []),
    ];
    const events = [...pushes.slice(0, 1), ...this.#arrivals(), ...pushes.slice(1)];
    const isOver = events.length === 0 && this.#late.size === 0 && this.history.calls.every(({ settled }) => settled);
    const mayPass = this.#patience > 0;
    if (!isOver && (events.length === 0 || mayPass) && this.#stage.clock.isBusy) events.push('t');
    return { events, pushes };
  }

  #arrivals(): string[] {
    const waiting = this.#dispatches.names();
    if (!this.#plan.isSymmetric) return waiting;
    const ways = new Set<string>();
    return waiting.filter((name) => {
      const call = name.startsWith('d') ? this.history.entries[Number(name.slice(1))]?.call : undefined;
      if (call === undefined) return true;
      const way = this.#wayOf(call);
      return !ways.has(way) && ways.add(way);
    });
  }

  /** The history of a call, as far as the library can distinguish it from others. */
  #wayOf(call: number): string {
    const target = this.#plan.acts.some((act) => act.call === call) ? call : '';
    const { entries } = this.history;
    const sends = entries.filter((entry) => entry.call === call);
    const hasBegunRefresh = sends.some(({ ended }) =>
      entries.some(({ call: whose, sent }) => whose === undefined && sent.step === ended?.step),
    );
    return `${String(target)} ${String(hasBegunRefresh)} ${sends.map(({ token, status }) => `${token ?? ''}:${String(status)}`).join()}`;
  }

  #perform(choice: string, isMeasured: boolean): void {
    const { event, push, tick = -1 } = readChoice(choice);
    const ticks = isMeasured ? LONGEST_TICKS : tick + 1;
    this.#lastTick = this.#tick = -1;
    // It is enqueued before the event runs, and so comes first in every round of microtasks.
    const hop = (): void => {
      if (++this.#tick === tick) this.#happen(push!);
      if (this.#tick + 1 < ticks) void MICROTASK.then(hop);
    };
    if (ticks > 0) void MICROTASK.then(hop);
    this.#happen(event);
  }

  #happen(event: string): void {
    const index = Number(event.slice(1));
    if (event === 't') {
      this.#patience--;
      this.#stage.clock.step();
    } else if (event.startsWith('b')) {
      this.#freely.splice(this.#freely.indexOf(index), 1);
      this.#begin(index);
    } else if (event.startsWith('a')) {
      this.#acted++;
      this.#act(this.#plan.acts[index]!);
    } else this.#dispatches.arrive(event);
  }

  #begin(index: number): void {
    const plan = this.#plan.calls[index]!;
    const place = index % this.#instances.length;
    const controller = new AbortController();
    const made: Made = {
      index,
      plan,
      instance: place,
      principal: this.#principal,
      isAttached: this.#isAttached,
      begun: this.#now(),
      aborted: undefined,
      outcome: undefined,
      settled: undefined,
      settlements: 0,
      deliveries: 0,
      listeners: 0,
    };
    this.history.calls.push(made);
    this.#callers.set(index, { made, controller });
    const settle = (settled: PromiseSettledResult<unknown>): void => {
      const { status, code, attempts } = summaryOf(settled);
      const isFulfilled = settled.status === 'fulfilled';
      const isOurs = !isFulfilled && isAuthError(settled.reason);
      made.outcome = { isFulfilled, isAuthError: isOurs, code, status, attempts };
      made.settled = this.#now();
      made.settlements++;
    };
    this.#instances[place]!.request(this.#configOf(plan, index, controller.signal)).then(
      (value) => {
        settle({ status: 'fulfilled', value });
      },
      (reason: unknown) => {
        settle({ status: 'rejected', reason });
      },
    );
  }

  #configOf({ kind, path, method, deadlineMs }: CallPlan, index: number, signal: AbortSignal): object {
    return {
      url: kind === 'foreign' ? FOREIGN + path : path,
      method,
      headers: { 'X-Call': String(index) },
      signal,
      ...(kind === 'stream' && { data: Readable.from(['a']) }),
      attachAuth: {
        credentials: kind === 'omit' ? 'omit' : 'attach',
        ...(deadlineMs !== undefined && { deadlineMs }),
      },
    };
  }

  #beginFrom(hook: CallPlan['begins']): void {
    const index = this.#plan.calls.findIndex(({ begins }, at) => begins === hook && !this.#callers.has(at));
    if (index >= 0) this.#begin(index);
  }

  readonly #record = (event: AuthEvent): void => {
    this.#now();
    if (event.type === 'session-expired') this.history.expiries++;
    for (const text of Object.values(event)) if (typeof text === 'string') this.history.texts.push(text);
    this.#beginFrom('on event');
  };

  #recordDelivery(config: unknown): void {
    this.#now();
    const name = (config as { headers?: { get?: (name: string) => unknown } } | undefined)?.headers?.get?.('X-Call');
    const caller = this.#callers.get(Number(name));
    if (caller) caller.made.deliveries++;
    this.#beginFrom('in handler');
  }

  readonly #courier: Courier = (request, reply, arrive) => {
    const { entries } = this.history;
    const { path, token, headers, origin } = request;
    const isRefresh = path === TOKEN_PATH;
    const fate = this.#fateOf(request.call);
    const entry: Entry = {
      id: entries.length,
      call: isRefresh ? undefined : Number(request.call),
      origin,
      path,
      token,
      refreshToken: isRefresh ? this.#stage.tokens.asks.at(-1)?.refreshToken : undefined,
      holder: headers['X-Holder'],
      isMarked: Object.values(headers).some((value) => TOKEN.test(value)),
      sent: this.#now(),
      status: request.status,
      retryAfterMs: undefined,
      isGood: isRefresh && /^(?:issued|again)$/.test(this.#stage.tokens.asks.at(-1)?.outcome ?? ''),
      isAnswered: false,
      ended: undefined,
    };
    entries.push(entry);
    this.#fingerprint.met(entry);
    const name = `d${String(entry.id)}`;
    let stopDelay: (() => void) | undefined;
    const lateMs = isRefresh ? this.#plan.lateMs?.[this.#stage.tokens.refreshes - 1] : undefined;
    if (reply.fault !== 'silence') {
      const send = (): void => {
        this.#late.delete(name);
        this.#dispatches.add(name, answer);
      };
      const answer = (): void => {
        const arrived = this.#plan.isLate && !isRefresh && fate === 'judge' ? this.#stage.judge(request) : reply;
        if (arrived.fault === undefined) entry.status = request.status = arrived.status ?? 200;
        else entry.isGood = false;
        const seconds = arrived.headers?.['Retry-After'];
        if (seconds !== undefined) entry.retryAfterMs = Number(seconds) * 1_000;
        entry.isAnswered = true;
        arrive(arrived);
      };
      if (lateMs === undefined) send();
      else {
        this.#late.add(name);
        stopDelay = this.#stage.clock.later(lateMs, send);
      }
    }
    return () => {
      this.#late.delete(name);
      stopDelay?.();
      entry.ended = this.#now();
      if (!entry.isAnswered) entry.status = 'lost';
      this.#dispatches.drop(name);
    };
  };

  /** The planned reaction to the next send of a call. */
  #fateOf(call: string | undefined): Fate {
    const nth = this.history.entries.filter((entry) => entry.call === Number(call)).length;
    return this.#plan.calls[Number(call)]?.sends[nth] ?? 'judge';
  }

  #act({ what, call }: ActPlan): void {
    const { clock, tokens } = this.#stage;
    const scheme = this.#scheme;
    const ignore = (work: Promise<unknown>): void => void work.catch(() => undefined);
    const moment = this.#now();
    if (what === 'abort') {
      const caller = this.#callers.get(call ?? 0);
      if (!caller || caller.made.settled) return;
      caller.made.aborted = moment;
      caller.controller.abort();
    } else if (what === 'sign-out' || what === 'sign-in' || what === 'update') {
      // Another holder is notified later, so its calls cannot be assigned to a principal from outside.
      if (this.#plan.holders === 'two schemes') return;
      if (what === 'update') {
        if (this.#principal !== undefined) ignore(scheme.update(tokens.issue(this.#principal)));
        return;
      }
      this.#principal = what === 'sign-out' ? undefined : `p${String(this.#principals++)}`;
      this.history.endingActs.push({ ...moment, what });
      ignore(this.#principal === undefined ? scheme.signOut() : scheme.signIn(tokens.issue(this.#principal)));
    } else if (what === 'refresh') {
      this.history.refreshes.push(moment);
      ignore(scheme.refresh());
    } else if (what === 'revoke') tokens.revokeAll();
    else if (what === 'end session') tokens.endSession(this.#principal);
    else if (what === 'sleep') clock.sleepMachine(8 * 3_600_000);
    else if (what === 'set back') clock.setWall(clock.now() - 8 * 3_600_000);
    else {
      this.#isAttached = false;
      this.history.endingActs.push({ ...moment, what });
      for (const handle of this.#handles) handle.detach();
    }
  }

  /** Records that anything became visible outside. */
  #now(): Moment {
    this.#lastTick = this.#tick;
    return { at: this.#stage.clock.monotonic(), step: this.#step, order: this.#order++ };
  }

  async #windUp(): Promise<void> {
    const { clock } = this.#stage;
    // A refresh may still wait between two tries.
    const isAsked = this.#plan.acts.some(({ what }) => what === 'refresh');
    const holding = isAsked ? 0 : clock.holding;
    if (clock.isBusy) await clock.advance(1_000_000);
    this.history.timers = holding + clock.pending;
    for (const { made, controller } of this.#callers.values()) {
      made.listeners = getEventListeners(controller.signal, 'abort').length;
    }
    this.history.kept = this.#stage.tokens.principals;
    void this.#isLockFree().then(() => {
      this.history.isLockFree = true;
    });
    await clock.settle();
  }
}
