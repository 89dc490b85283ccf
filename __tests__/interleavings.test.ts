import { getEventListeners } from 'node:events';
import { Readable } from 'node:stream';
import type { AxiosInstance } from 'axios';
import fc from 'fast-check';
import { isAuthError, memoryStore, type AuthHandle, type BearerScheme, type TokenStore } from '../lib/index.js';
import { reasonOf, Stage, told, TOKEN_PATH, type Reply, type Sent } from './support/stage.js';
import { ownerOf } from './support/token-endpoint.js';

/*
 * Small worlds at random, each with a few calls and what may happen to them, told by the log of the server whether the
 * invariants held. RUNS=100000 runs more of them; SEED and REPLAY, as fast-check prints them for a failure, run that one.
 */

/** What the server does with one send: `judge`: answers by its token. */
type Fate = 'judge' | 503 | 'later' | 'unsaid' | 'reset' | 'silence';

interface CallPlan {
  readonly at: number;
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: '/one' | '/two';
  readonly kind: 'own' | 'omit' | 'foreign' | 'stream';
  readonly sends: readonly { readonly fate: Fate; readonly afterMs: number }[];
  readonly abortAt: number | undefined;
  readonly deadlineMs: number | undefined;
}

interface ActPlan {
  readonly at: number;
  readonly what: 'sign-out' | 'sign-in' | 'update' | 'refresh' | 'revoke' | 'detach' | 'sleep' | 'set back';
}

interface RefreshPlan {
  readonly afterMs: number;
  readonly fate: 'good' | 'refused' | 'lost' | 500 | 'busy' | 'dead' | 'configuration' | 'nonsense' | 'silence';
}

interface Plan {
  readonly seed: number;
  readonly isDead: boolean;
  readonly expiresIn: number | undefined;
  readonly storeMs: number;
  /** One instance, two with one scheme, or two with a scheme each over one store. */
  readonly holders: 'one' | 'two instances' | 'two schemes';
  readonly calls: readonly CallPlan[];
  readonly acts: readonly ActPlan[];
  readonly refreshes: readonly RefreshPlan[];
}

const TIMEOUT_MS = 40;
const RETRY_AFTER_MS = 1_000;
/** As they look here: p0-a1. */
const TOKEN = /p\d+-[ar]\d/;
const FOREIGN = 'https://elsewhere.example';

const ANSWERS: Readonly<Record<Fate, Reply | undefined>> = {
  judge: undefined,
  503: { status: 503 },
  later: { status: 429, headers: { 'Retry-After': String(RETRY_AFTER_MS / 1_000) } },
  unsaid: { status: 429 },
  reset: { fault: 'reset' },
  silence: { fault: 'silence' },
};

const TOKEN_ANSWERS: Readonly<Record<RefreshPlan['fate'], Reply | undefined>> = {
  good: undefined,
  refused: { fault: 'refused' },
  lost: { fault: 'reset' },
  500: { status: 500 },
  busy: { status: 429, headers: { 'Retry-After': '1' } },
  dead: { status: 400, data: { error: 'invalid_grant' } },
  configuration: { status: 401, data: { error: 'invalid_client' } },
  nonsense: { status: 200, data: {} },
  silence: { fault: 'silence' },
};

const instant = fc.nat(16).map((slot) => slot * 5);
const plans: fc.Arbitrary<Plan> = fc.record({
  seed: fc.nat(1_000),
  isDead: fc.boolean(),
  expiresIn: fc.option(fc.constantFrom(0.02, 0.05, 1, 3_600), { nil: undefined, freq: 2 }),
  storeMs: fc.constantFrom(0, 0, 5),
  holders: fc.constantFrom('one', 'one', 'two instances', 'two schemes'),
  calls: fc.array(
    fc.record<CallPlan>({
      at: instant,
      method: fc.constantFrom('GET', 'GET', 'POST', 'PUT'),
      path: fc.constantFrom('/one', '/two'),
      kind: fc.constantFrom('own', 'own', 'own', 'own', 'omit', 'foreign', 'stream'),
      sends: fc.array(
        fc.record({
          fate: fc.constantFrom<Fate>('judge', 'judge', 'judge', 503, 'later', 'unsaid', 'reset', 'silence'),
          afterMs: fc.constantFrom(0, 5, 10, 35),
        }),
        { maxLength: 3 },
      ),
      abortAt: fc.option(instant, { nil: undefined, freq: 4 }),
      deadlineMs: fc.option(fc.constantFrom(0, 10, 50, 1_200, 5_000), { nil: undefined, freq: 4 }),
    }),
    { minLength: 1, maxLength: 5 },
  ),
  acts: fc.array(
    fc.record<ActPlan>({
      at: instant,
      what: fc.constantFrom('sign-out', 'sign-in', 'update', 'refresh', 'revoke', 'detach', 'sleep', 'set back'),
    }),
    { maxLength: 3 },
  ),
  refreshes: fc.array(
    fc.record<RefreshPlan>({
      afterMs: fc.constantFrom(0, 5, 20, 35),
      fate: fc.constantFrom<RefreshPlan['fate']>(
        'good',
        'good',
        'good',
        'refused',
        'lost',
        500,
        'busy',
        'dead',
        'configuration',
        'nonsense',
        'silence',
      ),
    }),
    { maxLength: 4 },
  ),
});

/** A call and all that is known of it from outside. */
interface Made {
  readonly plan: CallPlan;
  readonly name: string;
  readonly instance: AxiosInstance;
  readonly at: number;
  /** Who was signed in when it was made. */
  readonly principal: string | undefined;
  readonly isAttached: boolean;
  readonly controller: AbortController;
  promise: Promise<unknown>;
  settled: PromiseSettledResult<unknown> | undefined;
  settledAt: number;
  handedOn: number;
}

class World {
  readonly stage: Stage;
  readonly made: Made[] = [];
  readonly generations: number[] = [];
  /** When everybody who waits must let go. */
  readonly turns: { readonly at: number; readonly what: ActPlan['what'] }[] = [];
  readonly #plan: Plan;
  readonly #scheme: BearerScheme;
  readonly #instances: AxiosInstance[];
  readonly #handles: AuthHandle[];
  #principal: string | undefined = 'p0';
  #principals = 1;
  #isAttached = true;

  constructor(plan: Plan) {
    this.#plan = plan;
    const stage = (this.stage = new Stage(plan.seed, { timeout: TIMEOUT_MS }));
    stage.tokens.expiresIn = plan.expiresIn;
    const tokens = plan.isDead ? stage.tokens.issueDead('p0') : stage.tokens.issue('p0');
    const store = this.#store();
    this.#scheme = stage.bearer({ tokens, store });
    this.#instances = plan.holders === 'one' ? [stage.api] : [stage.api, stage.instance({ timeout: TIMEOUT_MS })];
    this.#handles = this.#instances.map((instance, index) => {
      const isItsOwn = index > 0 && plan.holders === 'two schemes';
      return stage.attach({ scheme: isItsOwn ? stage.bearer({ tokens, store }) : this.#scheme }, instance);
    });
    const count = (config: unknown): void => {
      const name = (config as { headers?: { get?: (name: string) => unknown } } | undefined)?.headers?.get?.('X-Call');
      const call = this.made.find((one) => one.name === name);
      if (call) call.handedOn++;
    };
    for (const instance of this.#instances) {
      instance.interceptors.response.use(
        (response) => {
          count(response.config);
          return response;
        },
        (error: { config?: unknown }) => {
          count(error.config);
          return Promise.reject(error);
        },
      );
    }
    for (const path of ['/one', '/two']) stage.always(path, (sent) => ANSWERS[fateOf(this, sent)?.fate ?? 'judge']);
    stage.latencyMs = (sent) => fateOf(this, sent)?.afterMs ?? 10;
    stage.always(TOKEN_PATH, () => TOKEN_ANSWERS[plan.refreshes[stage.tokens.refreshes]?.fate ?? 'good']);
    stage.refreshMs = () => plan.refreshes[stage.tokens.refreshes - 1]?.afterMs ?? 20;
  }

  async run(): Promise<void> {
    const { clock } = this.stage;
    for (const act of this.#plan.acts) {
      clock.later(act.at, () => {
        this.#act(act);
      });
    }
    for (const [index, call] of this.#plan.calls.entries()) {
      clock.later(call.at, () => {
        this.#call(call, index);
      });
    }
    await clock.advance(100);
    await clock.until(Promise.allSettled(this.made.map(({ promise }) => promise)), 600_000);
    await clock.advance(1_000_000);
  }

  #store(): TokenStore {
    const inner = memoryStore();
    const { storeMs } = this.#plan;
    const { clock } = this.stage;
    const record = (isWritten: boolean, generation: number): boolean => {
      if (isWritten) this.generations.push(generation);
      return isWritten;
    };
    if (storeMs === 0) {
      return {
        ...inner,
        compareAndSet: (expected, next) => record(inner.compareAndSet(expected, next) as boolean, next.generation),
      };
    }
    return {
      ...inner,
      load: async () => {
        await clock.pass(storeMs);
        return inner.load();
      },
      compareAndSet: async (expected, next) => {
        await clock.pass(storeMs);
        const isWritten = record(await inner.compareAndSet(expected, next), next.generation);
        await clock.pass(storeMs);
        return isWritten;
      },
    };
  }

  #call(plan: CallPlan, index: number): void {
    const { clock } = this.stage;
    const name = `call ${String(index)}`;
    const instance = this.#instances[index % this.#instances.length]!;
    const controller = new AbortController();
    const made: Made = {
      plan,
      name,
      instance,
      at: clock.monotonic(),
      principal: this.#principal,
      isAttached: this.#isAttached,
      controller,
      promise: Promise.resolve(),
      settled: undefined,
      settledAt: Infinity,
      handedOn: 0,
    };
    this.made.push(made);
    if (plan.abortAt !== undefined) {
      clock.later(Math.max(plan.abortAt - plan.at, 0), () => {
        controller.abort();
      });
    }
    made.promise = instance
      .request({
        url: plan.kind === 'foreign' ? FOREIGN + plan.path : plan.path,
        method: plan.method,
        headers: { 'X-Call': name },
        signal: controller.signal,
        ...(plan.kind === 'stream' && { data: Readable.from(['a']) }),
        attachAuth: {
          credentials: plan.kind === 'omit' ? 'omit' : 'attach',
          ...(plan.deadlineMs !== undefined && { deadlineMs: plan.deadlineMs }),
        },
      })
      .then(
        (value) => ({ status: 'fulfilled', value }) as const,
        (reason: unknown) => ({ status: 'rejected', reason }) as const,
      )
      .then((settled) => {
        made.settled = settled;
        made.settledAt = clock.monotonic();
      });
  }

  #act({ what }: ActPlan): void {
    const { clock, tokens } = this.stage;
    // Another holder hears of these a little later, so nobody outside can tell what a call of it belongs to.
    const isOneSidedNews = what === 'sign-out' || what === 'sign-in' || what === 'update';
    if (this.#plan.holders === 'two schemes' && isOneSidedNews) return;
    const scheme = this.#scheme;
    const ignore = (work: Promise<unknown>): void => void work.catch(() => undefined);
    if (what === 'sign-out' || what === 'sign-in') {
      this.#principal = what === 'sign-out' ? undefined : `p${String(this.#principals++)}`;
      this.turns.push({ at: clock.monotonic(), what });
      ignore(this.#principal === undefined ? scheme.signOut() : scheme.signIn(tokens.issue(this.#principal)));
    } else if (what === 'update') {
      if (this.#principal !== undefined) ignore(scheme.update(tokens.issue(this.#principal)));
    } else if (what === 'refresh') ignore(scheme.refresh());
    else if (what === 'revoke') tokens.revokeAll();
    else if (what === 'sleep') clock.sleepMachine(8 * 3_600_000);
    else if (what === 'set back') clock.setWall(clock.now() - 8 * 3_600_000);
    else {
      this.#isAttached = false;
      this.turns.push({ at: clock.monotonic(), what });
      for (const handle of this.#handles) handle.detach();
    }
  }
}

/** What was planned for a request. */
function fateOf({ stage, made }: World, sent: Sent): CallPlan['sends'][number] | undefined {
  const nth = stage.calls.filter(({ call }) => call === sent.call).indexOf(sent);
  return made.find(({ name }) => name === sent.call)?.plan.sends[nth];
}

/** Until when a request is on the wire, unless its caller cancels. */
function answeredAt(world: World, sent: Sent): number {
  const { fate, afterMs } = fateOf(world, sent) ?? { fate: 'judge', afterMs: 10 };
  return sent.at + (fate === 'silence' ? TIMEOUT_MS : afterMs);
}

function assertInvariants(world: World, plan: Plan): void {
  const { stage, made } = world;
  const { calls } = stage;

  // I1: a refresh token is answered once, and no two requests with it are under way together.
  const isLossless = !plan.refreshes.some(({ fate }) => fate === 'lost' || fate === 'silence');
  if (isLossless) holds(stage.tokens.reuses === 0, 'no refresh token is used twice');
  const asks = stage.tokens.asks.map(({ at, refreshToken }, index) => {
    const { fate, afterMs } = plan.refreshes[index] ?? { fate: 'good', afterMs: 20 };
    return { refreshToken, at, until: at + (fate === 'silence' ? TIMEOUT_MS : afterMs) };
  });
  for (const [index, ask] of asks.entries()) {
    const isDoubled = asks.some(
      ({ refreshToken, at }, other) => other > index && refreshToken === ask.refreshToken && at < ask.until,
    );
    holds(!isDoubled, 'one refresh at a time');
  }

  for (const call of made) assertCall(world, call);

  // I9: what is stored only ever gets newer.
  const { generations } = world;
  const isGrowing = generations.every((generation, index) => index === 0 || generation > generations[index - 1]!);
  holds(isGrowing, 'the stored generation grows');

  // I10: nothing goes to a path before the instant that its server named.
  if (!plan.acts.some(({ what }) => what === 'sleep' || what === 'detach')) {
    for (const refused of calls.filter((sent) => sent.status === 429)) {
      const call = made.find(({ name }) => name === refused.call)!;
      const at = answeredAt(world, refused);
      if (fateOf(world, refused)?.fate !== 'later' || at >= call.settledAt) continue;
      // Each instance has a gate of its own.
      const neighbours = new Set(made.filter(({ instance }) => instance === call.instance).map(({ name }) => name));
      const isEarly = calls.some(
        (sent) =>
          neighbours.has(sent.call ?? '') &&
          sent.origin === refused.origin &&
          sent.path === refused.path &&
          sent.at > at &&
          sent.at < at + RETRY_AFTER_MS,
      );
      holds(!isEarly, 'nobody is early');
    }
  }

  // I8: no timer is left behind.
  holds(stage.clock.pending === 0, 'no timer is left');
  holds(!TOKEN.test(JSON.stringify(stage.events)), 'no event holds a token');
}

function assertCall(world: World, call: Made): void {
  const { plan } = call;
  const sends = world.stage.calls.filter((sent) => sent.call === call.name);

  // I2: it settled, and later handlers heard of it once.
  holds(call.settled !== undefined, 'it settles');
  holds(call.handedOn === 1, 'later handlers hear of it once');

  for (const [index, { status, origin }] of sends.slice(0, -1).entries()) {
    holds(plan.kind !== 'stream', 'no stream is sent twice');
    // I3: what the server may have acted on is not sent again, unless it does no harm.
    if (plan.method === 'POST')
      holds(status === 401 || status === 429, 'no POST is sent again that may have been acted on');
    if (status === 401) holds(origin !== FOREIGN && plan.kind !== 'omit', 'only a 401 of ours is replayed');
    holds(sends[index + 1]!.at >= answeredAt(world, sends[index]!), 'one attempt at a time');
  }

  // I4: never with the token of anybody but whoever was signed in when it was made.
  for (const { token } of sends) {
    holds(token === undefined || ownerOf(token) === call.principal, 'it is sent as nobody else');
  }

  // I5: no token to another origin, nor where it was asked to stay out.
  if (plan.kind === 'foreign' || plan.kind === 'omit' || !call.isAttached) {
    for (const { headers } of sends) holds(!TOKEN.test(JSON.stringify(headers)), 'no token goes where it should not');
  }

  // I6: at most one replay after a 401.
  holds(sends.slice(0, -1).filter(({ status }) => status === 401).length <= 1, 'it is replayed once');

  // I7: no attempt begins after the deadline, and nothing but the wire is waited for beyond it.
  if (call.isAttached) {
    const deadlineAt = call.at + (plan.deadlineMs ?? 120_000);
    const lastAt = Math.max(deadlineAt, ...sends.map((sent) => answeredAt(world, sent)));
    const isInTime = sends.every(({ at }) => at <= deadlineAt);
    holds(isInTime, 'no attempt begins after the deadline');
    holds(call.settledAt <= lastAt, 'no wait lasts beyond the deadline');
  }

  // I8: nothing of it is left on its signal.
  holds(getEventListeners(call.controller.signal, 'abort').length === 0, 'no listener is left');

  // Who cancels is let go at once.
  const abortAt = plan.abortAt === undefined ? Infinity : Math.max(plan.abortAt, call.at);
  holds(call.settledAt <= abortAt, 'an abort ends it at once');

  // Who waits while the principal changes, or while the instance is detached, is let go at once.
  for (const { at, what } of world.turns) {
    const isOnTheWire = sends.some((sent) => sent.at <= at && at <= answeredAt(world, sent));
    if (!call.isAttached || call.at >= at || at >= call.settledAt || isOnTheWire) continue;
    const isConcerned = what === 'detach' || plan.kind === 'own' || plan.kind === 'stream';
    holds(!isConcerned, `a ${what} ends every wait at once`);
  }

  assertOutcome(call, sends);
}

/** What a call came to must be what its last send was answered with, or an error of ours that fits. */
function assertOutcome(call: Made, sends: readonly Sent[]): void {
  const outcome = told(call.settled!);
  const last = sends.at(-1);
  if (call.settled!.status === 'fulfilled') {
    holds(last?.status === 200, 'only a good answer fulfils it');
    return;
  }
  const error = reasonOf(call.settled!);
  if (isAuthError(error)) {
    const isFitting = /^ERR_AUTH_(REFRESH_FAILED|SESSION_EXPIRED|SESSION_CHANGED|DEADLINE|THROTTLED|DETACHED)$/.test(
      error.code,
    );
    holds(isFitting, `${error.code} has no place here`);
    const isUnsent = error.code === 'ERR_AUTH_DEADLINE' || error.code === 'ERR_AUTH_THROTTLED';
    holds(!isUnsent || last === undefined || last.status === 'lost', `${error.code} only where there is no answer`);
    holds(error.response === undefined || error.response.status === last?.status, 'it has the last answer');
  } else {
    holds(error.code === 'ERR_CANCELED' || (outcome.status ?? 'lost') === last?.status, 'it has the last answer');
  }
  if (call.isAttached) holds((outcome.attempts ?? sends.length) === sends.length, 'attempts are counted');
}

/** As expect() would say it; that looks at the stack every time, and this is asked a million times. */
function holds(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new Error(`broken: ${invariant}`);
}

// Thousands of errors, and nobody looks at where they came from.
const { stackTraceLimit } = Error;
beforeAll(() => {
  Error.stackTraceLimit = 0;
});
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

test('whatever happens to whom and when, the invariants hold', async () => {
  const { RUNS, SEED, REPLAY } = process.env;
  await fc.assert(
    fc.asyncProperty(plans, async (plan) => {
      const world = new World(plan);
      await world.run();
      assertInvariants(world, plan);
    }),
    { numRuns: Number(RUNS ?? 3_000), seed: Number(SEED ?? 20_261_123), ...(REPLAY !== undefined && { path: REPLAY }) },
  );
}, 600_000);
