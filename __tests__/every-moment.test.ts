import type { AxiosResponse } from 'axios';
import type { AuthHandle, AuthScheme, BearerScheme } from '../lib/index.js';
import { rounds } from './support/rounds.js';
import { listeners } from './support/scenes.js';
import { Stage, summaryOf, tooMany, underway, type Reply, type CallSummary } from './support/stage.js';

/** Microtasks between two timers. No step of the library needs more. */
const TURNS = 24;

interface Play {
  readonly stage: Stage;
  readonly handle: AuthHandle;
  readonly session: BearerScheme;
  readonly controller: AbortController;
  readonly call: Promise<AxiosResponse>;
  /** The statuses that onAnswer was called with. */
  readonly answers: number[];
}

/** A CSRF token and a session, both stale and both slow, then a 429 and a 503. */
function play(): Play {
  const stage = new Stage();
  const answers: number[] = [];
  const session = stage.bearer({ tokens: stage.tokens.issueDead() });
  let token = 'stale';
  const soon = (): Promise<void> => stage.clock.pass(1);
  const csrf: AuthScheme = {
    name: 'Csrf',
    credentialHeaders: ['X-CSRF-Token'],
    singleFlight: true,
    isRefusal: ({ status }) => status === 403,
    authorize: async ({ headers }) => {
      await soon();
      headers.set('X-CSRF-Token', token);
    },
    onChallenge: async ({ request }) => {
      await soon();
      await request.client.get('/open/csrf');
      token = 'fresh';
      return true;
    },
    onAnswer: async ({ response }) => {
      answers.push(response.status);
      await soon();
    },
  };
  const handle = stage.attach({ scheme: [csrf, session], retry: { baseDelayMs: 10 } });
  let sends = 0;
  stage.always('/item', ({ headers }) => {
    sends++;
    if (headers['X-CSRF-Token'] !== 'fresh') return 403;
    if (sends === 3) return tooMany(1);
    if (sends === 4) return 503;
    return undefined;
  });
  const controller = new AbortController();
  const call = underway(stage.api.put('/item', { a: 1 }, { signal: controller.signal }));
  return { stage, handle, session, controller, call, answers };
}

/** Runs until a moment, counted in microtasks and timers from the begin of the call. Returns false if the call has settled before. */
async function until(moment: number, { stage, call }: Play): Promise<boolean> {
  let isSettled = false;
  void call.then(
    () => (isSettled = true),
    () => (isSettled = true),
  );
  for (let turn = 1; turn <= moment; turn++) {
    await Promise.resolve();
    if (turn % TURNS === 0 && stage.clock.isBusy) stage.clock.step();
  }
  return !isSettled;
}

async function outcomeOf({ stage, call }: Play): Promise<CallSummary> {
  return summaryOf(await stage.clock.until(call, 60_000));
}

/** Every moment at which the call has not settled yet: each ninth one in `npm test`. */
async function atEveryMoment(check: (scene: Play, moment: number) => Promise<void>): Promise<number> {
  for (let moment = 0; ; moment += rounds(9, 1)) {
    const scene = play();
    if (!(await until(moment, scene))) return moment;
    try {
      await check(scene, moment);
    } catch (error) {
      throw Object.assign(error as Error, { message: `at moment ${String(moment)}: ${(error as Error).message}` });
    }
  }
}

test('the call of these tests gets each kind of refusal, and succeeds', async () => {
  const scene = play();
  const { stage, answers } = scene;
  expect(await outcomeOf(scene)).toMatchObject({ status: 200, refreshed: true });
  expect(stage.to('/item').map(({ status }) => status)).toEqual([403, 401, 429, 503, 200]);
  expect(answers).toEqual([403, 401, 429, 503, 200]);
});

/** Holds for every way and every moment to end a call. */
async function holds({ stage, controller, answers }: Play, sent: number, moment: number): Promise<void> {
  expect(stage.to('/item').length).toBe(sent);
  expect(listeners(controller.signal)).toBe(0);
  expect(answers).toEqual(
    stage
      .to('/item')
      .slice(0, answers.length)
      .map(({ status }) => status),
  );
  expect(stage.clock.holding).toBe(0);
  if (moment % 8 > 0) return;
  // The calls behind it are not delayed.
  const begunAt = stage.clock.monotonic();
  stage.always('/item', ({ headers }) => (headers['X-CSRF-Token'] === 'fresh' ? undefined : 403));
  const others = await stage.outcomes([1, 2, 3].map(() => stage.api.put('/item')));
  expect(others.map(({ status, code }) => code ?? status)).toEqual([200, 200, 200]);
  expect(stage.clock.monotonic() - begunAt).toBeLessThan(3_000);
}

// I2 I4 I8
describe('at every moment', () => {
  test('an abort ends the call, which is not sent again, and delays no other call', async () => {
    const moments = await atEveryMoment(async (scene, moment) => {
      const sent = scene.stage.to('/item').length;
      scene.controller.abort();
      const { code, status } = await outcomeOf(scene);
      if (status === 200) expect(scene.answers.at(-1)).toBe(200);
      else expect(code).toBe('ERR_CANCELED');
      await holds(scene, sent, moment);
    });
    expect(moments).toBeGreaterThan(300);
  });

  test('detach() ends the call, or lets it settle with the response in flight, and it is not sent again', async () => {
    await atEveryMoment(async (scene) => {
      const { stage, handle, controller } = scene;
      const sent = stage.to('/item').length;
      const isUnderway = stage.to('/item').length > scene.answers.length;
      handle.detach();
      const { code, status } = await outcomeOf(scene);
      expect([code ?? status, isUnderway]).not.toEqual([undefined, isUnderway]);
      if (code?.startsWith('ERR_AUTH')) expect(code).toBe('ERR_AUTH_DETACHED');
      expect(stage.to('/item').length).toBe(sent);
      expect(listeners(controller.signal)).toBe(0);
      await stage.clock.advance(5_000);
      expect(stage.clock.holding).toBe(0);
      expect(stage.to('/item').length).toBe(sent);
    });
  });

  test('signOut() ends the call, and its token is not sent again', async () => {
    await atEveryMoment(async (scene) => {
      const { stage, session, controller } = scene;
      const sent = stage.to('/item').length;
      void session.signOut();
      const { code, status } = await outcomeOf(scene);
      if (code?.startsWith('ERR_AUTH')) expect(code).toBe('ERR_AUTH_SESSION_CHANGED');
      else expect(status).toBe(scene.answers.at(-1));
      expect(stage.to('/item').length).toBe(sent);
      expect(listeners(controller.signal)).toBe(0);
      await stage.clock.advance(5_000);
      expect(stage.clock.holding).toBe(0);
    });
  });

  test('signIn() of another principal ends the call, which is never sent with the new token', async () => {
    await atEveryMoment(async (scene) => {
      const { stage, session } = scene;
      void session.signIn(stage.tokens.issue('bob'));
      const { code, status } = await outcomeOf(scene);
      if (code?.startsWith('ERR_AUTH')) expect(code).toBe('ERR_AUTH_SESSION_CHANGED');
      else expect(status).toBe(scene.answers.at(-1));
      expect(stage.to('/item').filter(({ token }) => token?.startsWith('bob'))).toEqual([]);
    });
  });
});

// I2 I8
test('calls with a random scheme, server and callers all settle, with a report each', async () => {
  for (let seed = 1; seed <= rounds(8, 25); seed++) {
    const stage = new Stage(seed);
    const { clock } = stage;
    const chance = clock.random;
    const pick = <T>(...list: readonly T[]): T => list[Math.floor(chance() * list.length)]!;
    const soon = async <T>(value: T): Promise<T> => {
      await clock.pass(chance() * 50);
      return value;
    };
    const any = <T>(value: T): T | Promise<T> => {
      if (chance() < 0.02) throw new Error('scheme');
      if (chance() < 0.02) return Promise.reject(new Error('scheme'));
      return chance() < 0.5 ? value : soon(value);
    };
    const scheme = (name: string, refusal: number): AuthScheme => ({
      name,
      maxChallenges: pick(0, 1, 3, Infinity),
      isRefusal: ({ status }) => status === refusal,
      authorize: async ({ headers }) => {
        await any(undefined);
        headers.set(`X-${name}`, 'v');
      },
      onChallenge: () => any(chance() < 0.8),
      onAnswer: () => any(undefined),
    });
    stage.attach({ scheme: [scheme('A', 401), scheme('B', 403)], retry: { baseDelayMs: 20 }, deadlineMs: 60_000 });
    for (const path of ['/a', '/b'])
      stage.always(path, () =>
        clock.monotonic() > 30_000
          ? 200
          : pick<Reply | number>(200, 200, 401, 403, tooMany(2), 429, 503, { fault: 'reset' }),
      );
    const controllers: AbortController[] = [];
    const calls: Promise<unknown>[] = [];
    for (let index = 0; index < 40; index++) {
      const controller = new AbortController();
      controllers.push(controller);
      const config = { signal: controller.signal, headers: { 'X-Call': String(index) } };
      calls.push(underway(stage.api.request({ ...config, url: pick('/a', '/b'), method: pick('get', 'post') })));
      if (chance() < 0.15) pick(...controllers).abort();
      if (chance() < 0.6) await clock.advance(chance() * 600);
    }
    const outcomes = await stage.outcomes(calls);
    outcomes.forEach(({ attempts, code }, index) => {
      const sends = stage.to(String(index)).length;
      expect([seed, index, code === 'ERR_CANCELED' ? sends : attempts]).toEqual([seed, index, sends]);
      expect(sends).toBeLessThanOrEqual(4 + 6 + 6);
    });
    expect([seed, controllers.map(({ signal }) => listeners(signal)).filter(Boolean), clock.holding]).toEqual([
      seed,
      [],
      0,
    ]);
    await clock.advance(60_000);
    const begunAt = clock.monotonic();
    await stage.settled([...Array(12)].map((_, index) => stage.api.get(index % 2 === 0 ? '/a' : '/b')));
    expect([seed, clock.monotonic() - begunAt < 4_000]).toEqual([seed, true]);
  }
});
