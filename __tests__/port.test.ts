import { inspect } from 'node:util';
import axios, { type AxiosError, type AxiosInstance, type AxiosRequestConfig } from 'axios';
import {
  apiKey,
  attachAuth,
  bearer,
  exchangeOf,
  signed,
  type AttachAuthOptions,
  type AuthAnswer,
  type AuthChallenge,
  type AuthRequest,
  type AuthScheme,
} from '../lib/index.js';
import { failureOf, inTurn, servers } from './support/answers.js';
import { recording } from './support/recording.js';
import { reply, type Recorder } from './support/serve.js';
import { reasonOf, Stage, tooMany, unauthorized, underway } from './support/stage.js';

const start = servers();
const adapters = ['http', 'fetch'] as const;

/** A scheme that records the status of every response, and whether it was a refusal. */
function toy(members: Partial<AuthScheme> = {}) {
  const answers: AuthAnswer[] = [];
  const scheme: AuthScheme = {
    name: 'Toy',
    authorize: ({ headers }) => void headers.set('X-Toy', 'toy'),
    onAnswer: (answer) => void answers.push(answer),
    ...members,
  };
  return {
    scheme,
    answers,
    get statuses() {
      return answers.map(({ response, isRefusal }) => [response.status, isRefusal]);
    },
  };
}

function client(
  { origin }: Recorder,
  adapter: 'http' | 'fetch',
  scheme: AuthScheme,
  { defaults, ...options }: Partial<AttachAuthOptions> & { defaults?: AxiosRequestConfig } = {},
): AxiosInstance {
  const api = axios.create({ baseURL: origin, adapter, ...defaults });
  attachAuth(api, { scheme, retry: { baseDelayMs: 1 }, ...options });
  return api;
}

describe('onAnswer', () => {
  describe.each(adapters)('over the %s adapter', (adapter) => {
    test('gets every response, parsed, with the raw data of the adapter', async () => {
      const server = await start(inTurn(401, 503, 200));
      const { scheme, answers, statuses } = toy({ onChallenge: () => true });
      await client(server, adapter, scheme).get('/item');
      expect(answers.map(({ response, isRefusal }) => [response.status, isRefusal])).toEqual([
        [401, true],
        [503, false],
        [200, false],
      ]);
      expect(answers.map(({ response }) => response.data)).toEqual([{ answer: 1 }, { answer: 2 }, { answer: 3 }]);
      expect(answers.map(({ received }) => received)).toEqual(['{"answer":1}', '{"answer":2}', '{"answer":3}']);
      expect(answers.map(({ request }) => request.attempt)).toEqual([1, 2, 3]);
      expect(statuses).toEqual([]);
    });

    test.each([200, 404])('is called for a %s although transformResponse threw', async (status) => {
      const server = await start((_, response) => {
        response.writeHead(status, { 'Content-Type': 'text/html' }).end('<html>');
      });
      const { scheme, answers } = toy();
      const api = client(server, adapter, scheme, {
        defaults: { transformResponse: [(text: string): unknown => JSON.parse(text)] },
      });
      const error = await failureOf(api.get('/item'));
      expect(error).toBeInstanceOf(SyntaxError);
      expect(answers.map(({ response, received }) => [response.status, received])).toEqual([[status, '<html>']]);
    });

    test('is not called for a response of another origin after a redirect', async () => {
      const foreign = await start(inTurn(200, 401));
      const own = await start((_, response) => {
        response.writeHead(302, { Location: `${foreign.origin}/elsewhere` }).end();
      });
      const { scheme, answers } = toy({ isRefusal: () => true, onChallenge: () => true });
      const api = client(own, adapter, scheme);
      expect((await api.get('/item')).status).toBe(200);
      expect(await failureOf(api.get('/item'))).toMatchObject({ status: 401 });
      expect(answers).toEqual([]);
      expect(foreign.seen.map(({ headers }) => headers['x-toy'])).toEqual([undefined, undefined]);
    });

    test.each([200, 401, 429, 503])(
      'an error that it throws for a %s rejects the call, with the response',
      async (status) => {
        const server = await start(inTurn([status, { 'Retry-After': '1' }]));
        const onChallenge = jest.fn(() => true);
        for (const fail of [
          () => {
            throw new Error('not to be trusted');
          },
          () => Promise.reject(new Error('not to be trusted')),
        ]) {
          const { scheme } = toy({ onAnswer: fail, onChallenge });
          const error = await failureOf(client(server, adapter, scheme).get('/item'));
          expect(error.message).toBe('not to be trusted');
          expect((error as AxiosError).response?.status).toBe(status);
          expect(exchangeOf(error)).toMatchObject({ attempts: 1 });
        }
        expect(server.seen).toHaveLength(2);
        expect(onChallenge).not.toHaveBeenCalled();
      },
    );
  });

  test('runs before the handlers that were added after attachAuth, and before the call settles', async () => {
    const stage = new Stage();
    const log: string[] = [];
    stage.api.interceptors.response.use((response) => (log.push('added before'), response));
    const { scheme } = toy({
      onAnswer: async () => {
        await stage.clock.pass(100);
        log.push('onAnswer');
      },
    });
    stage.attach({ scheme });
    stage.api.interceptors.response.use((response) => (log.push('added after'), response));
    await stage.clock.until(stage.api.get('/open').then(() => log.push('caller')));
    expect(log).toEqual(['added before', 'onAnswer', 'added after', 'caller']);
  });

  test.each<[string, AxiosRequestConfig]>([
    ['omits credentials', { attachAuth: { credentials: 'omit' } }],
    ['has the header already', { headers: { 'X-Toy': 'mine' } }],
    ['goes to another origin', { baseURL: 'https://other.example' }],
    ['has attachAuth: false', { attachAuth: false }],
  ])('is not called if the scheme did not run: the call %s', async (_, config) => {
    const { scheme, answers } = toy({ credentialHeaders: ['X-Toy'] });
    const { api, sent } = recording(scheme);
    await api.get('/item', config);
    expect(sent).toHaveLength(1);
    expect(answers).toEqual([]);
  });

  test('is not called for a call that got no response', async () => {
    const stage = new Stage();
    const { scheme, answers } = toy();
    stage.attach({ scheme });
    stage.script('/open', { fault: 'reset' }, 200);
    await stage.outcome(stage.api.get('/open'));
    expect(answers.map(({ response }) => response.status)).toEqual([200]);
  });

  test('of two schemes both run, although the first throws; the call rejects with that error', async () => {
    const first = toy({
      name: 'First',
      authorize: () => undefined,
      onAnswer: () => Promise.reject(new Error('first')),
    });
    const second = toy({
      onAnswer: () => {
        throw new Error('second');
      },
    });
    const { api } = recording([first.scheme, second.scheme] as never);
    // An error that is lost would end the process.
    expect((await failureOf(api.get('/item'))).message).toMatch(/first|second/);
    await new Promise((resolve) => setImmediate(resolve));
  });

  // I2 I7
  describe('that never settles', () => {
    const never = (): Promise<never> => new Promise(() => undefined);

    test.each([200, 401, 503])(
      'ends at the deadline of its call, which does not settle with an unchecked %s',
      async (status) => {
        const stage = new Stage();
        stage.attach({ scheme: toy({ onAnswer: never }).scheme, deadlineMs: 5_000 });
        stage.always('/item', status);
        const settled = await stage.clock.until(stage.api.get('/item'), 10_000);
        expect(reasonOf(settled)).toMatchObject({ code: 'ERR_AUTH_DEADLINE', response: { status } });
        expect(stage.sent).toHaveLength(1);
      },
    );

    test.each<[string, string, (stage: Stage, controller: AbortController, detach: () => void) => void]>([
      ["its caller's abort", 'ERR_CANCELED', (_stage, controller) => controller.abort()],
      ['detach()', 'ERR_AUTH_DETACHED', (_stage, _controller, detach) => detach()],
    ])('is ended by %s', async (_, code, end) => {
      const stage = new Stage();
      const { detach } = stage.attach({ scheme: toy({ onAnswer: never }).scheme });
      const controller = new AbortController();
      const call = underway(stage.api.get('/open', { signal: controller.signal }));
      await stage.clock.advance(100);
      end(stage, controller, detach);
      expect(reasonOf(await stage.clock.until(call, 10))).toMatchObject({ code });
    });
  });

  test.each(['an asynchronous signature', 'the throttle'])(
    'is called once for a response, although the call ends before it is sent again, waiting for %s',
    async (wait) => {
      const stage = new Stage();
      const controller = new AbortController();
      const { scheme, answers } = toy({
        onChallenge: () => true,
        authorize: async ({ attempt, headers }) => {
          if (attempt === 2 && wait !== 'the throttle') await stage.clock.pass(1_000);
          headers.set('X-Toy', 'toy');
        },
      });
      stage.attach({ scheme });
      stage.script('/item', wait === 'the throttle' ? tooMany(5) : unauthorized());
      const call = underway(stage.api.get('/item', { signal: controller.signal }));
      await stage.clock.advance(100);
      controller.abort();
      expect(reasonOf(await stage.clock.until(call))).toMatchObject({ code: 'ERR_CANCELED' });
      expect(answers).toHaveLength(1);
    },
  );
});

describe('isRefusal', () => {
  const bodies: [string, number, unknown, unknown][] = [
    ['a 403', 403, { error: 'csrf' }, { ok: true }],
    ['a 419', 419, 'expired', { ok: true }],
    ['a body that says so in a 200', 200, { errors: ['UNAUTHENTICATED'] }, { ok: true }],
  ];

  describe.each(adapters)('over the %s adapter', (adapter) => {
    test.each(bodies)('treats %s as a refusal, and the call is replayed', async (_, status, refused, good) => {
      let answered = 0;
      const server = await start((_seen, response) => {
        if (++answered === 1) reply(response, status, refused);
        else reply(response, 200, good);
      });
      const { scheme, answers } = toy({
        isRefusal: ({ data }) => !(data as { ok?: boolean }).ok,
        onChallenge: () => true,
      });
      const answer = await client(server, adapter, scheme).post('/item', { a: 1 });
      expect(answer.data).toEqual(good);
      expect(exchangeOf(answer)).toMatchObject({ attempts: 2, refreshed: true });
      expect(answers.map(({ isRefusal }) => isRefusal)).toEqual([true, false]);
    });
  });

  test.each<[string, unknown]>([
    ['1', 1],
    ['a text', 'yes'],
    ['an object', {}],
    ['a promise of true', Promise.resolve(true)],
    ['a promise of nothing', Promise.resolve()],
    ['undefined', undefined],
  ])('that returns %s means no refusal', async (_, value) => {
    void Promise.resolve(value).catch(() => undefined);
    const onChallenge = jest.fn(() => true);
    const { api, sent } = recording(toy({ isRefusal: () => value as boolean, onChallenge }).scheme, [401]);
    await api.get('/item');
    expect(sent).toHaveLength(1);
    expect(onChallenge).not.toHaveBeenCalled();
  });

  test('replaces the default: a 401 for which it returns false settles the call', async () => {
    const { api, sent } = recording(
      toy({ isRefusal: ({ status }) => status === 419, onChallenge: () => true }).scheme,
      [401],
    );
    await api.get('/item');
    expect(sent).toHaveLength(1);
  });

  test('gets `this`, and its error rejects the call, with the response', async () => {
    class Scheme implements AuthScheme {
      readonly name = 'Class';
      readonly #refused = new Set([419]);
      authorize(): void {
        this.#refused.add(420);
      }
      onChallenge(): boolean {
        return this.#refused.has(419);
      }
      isRefusal({ status }: { status: number }): boolean {
        if (status === 500) throw new Error('bad predicate');
        return this.#refused.has(status);
      }
      onAnswer(): void {
        this.#refused.delete(420);
      }
    }
    const { api, sent } = recording(new Scheme(), [419, 200, 500], { retry: false });
    expect((await api.get('/item')).status).toBe(200);
    expect(sent).toHaveLength(2);
    const error = await failureOf(api.get('/item'));
    expect(error.message).toBe('bad predicate');
    expect((error as AxiosError).response?.status).toBe(500);
  });

  test("attachAuth's isUnauthorized takes precedence with one scheme", async () => {
    const isRefusal = jest.fn(() => true);
    const { api, sent } = recording(toy({ isRefusal, onChallenge: () => true }).scheme, [401, 418, 200], {
      isUnauthorized: ({ status }) => status === 418,
    });
    expect((await api.get('/item')).status).toBe(401);
    expect(isRefusal).not.toHaveBeenCalled();
    expect((await api.get('/item')).status).toBe(200);
    expect(sent).toHaveLength(3);
  });

  test("with several schemes attachAuth's isUnauthorized replaces the default of those without isRefusal", async () => {
    const asked: string[] = [];
    const part = (name: string, members: Partial<AuthScheme>): AuthScheme =>
      toy({
        name,
        authorize: ({ headers }) => void headers.set(`X-${name}`, '1'),
        onChallenge: () => {
          asked.push(name);
          return true;
        },
        ...members,
      }).scheme;
    const { api } = recording(
      [part('Csrf', { isRefusal: ({ status }) => status === 403 }), part('Session', {})] as never,
      [418, 403, 200, 401],
      { isUnauthorized: ({ status }) => status === 418 },
    );
    expect((await api.get('/item')).status).toBe(200);
    expect(asked).toEqual(['Session', 'Csrf']);
    expect((await api.get('/item')).status).toBe(401);
  });

  // I10
  test('that throws at a 429 does not delay queued calls', async () => {
    const stage = new Stage();
    stage.attach({
      scheme: toy({
        isRefusal: ({ data }) => {
          if (data === 'bad') throw new Error('bad predicate');
          return false;
        },
      }).scheme,
    });
    stage.always('/item', ({ at }) => (at < 1_500 ? { ...tooMany(1), data: at < 500 ? '' : 'bad' } : 200));
    const first = [...Array(6)].map(() => underway(stage.api.get('/item')));
    await stage.clock.advance(4_000);
    const late = [...Array(12)].map(() => underway(stage.api.get('/item')));
    await stage.outcomes([...first, ...late]);
    const { at } = stage.sent.at(-1)!;
    expect(stage.sent.filter(({ status }) => status === 429).length).toBeGreaterThan(6);
    expect(at).toBeLessThan(5_000);
  });

  test('that throws at a 429 does not keep the next call from waiting as the server asked', async () => {
    const stage = new Stage();
    const isRefusal = ({ status }: { status: number }): boolean => {
      if (status === 429) throw new Error('bad predicate');
      return false;
    };
    stage.attach({ scheme: toy({ isRefusal }).scheme });
    stage.always('/item', ({ at }) => (at < 900 ? tooMany(1) : 200));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 429, waitedMs: 0 });
    await stage.outcome(stage.api.get('/item'));
    expect(stage.sent[1]!.at).toBeGreaterThanOrEqual(1_000);
  });
});

describe('maxChallenges', () => {
  const retrying = (maxChallenges?: number): { scheme: AuthScheme; challenges: AuthChallenge[] } => {
    const challenges: AuthChallenge[] = [];
    const { scheme } = toy({
      maxChallenges,
      onChallenge: (challenge) => {
        challenges.push(challenge);
        return true;
      },
    });
    return { scheme, challenges };
  };

  test.each<[number | undefined, number]>([
    [0, 0],
    [undefined, 1],
    [1, 1],
    [3, 3],
  ])('%p: a server that always refuses gets so many replays: %i', async (maxChallenges, replays) => {
    const { scheme, challenges } = retrying(maxChallenges);
    const stage = new Stage();
    stage.attach({ scheme });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401, attempts: replays + 1 });
    expect(challenges.map(({ request }) => request.attempt)).toEqual([...Array(replays)].map((_, index) => index + 1));
    expect(challenges.map((challenge) => challenge.challenges)).toEqual(
      challenges.map(() => [{ scheme: 'bearer', params: { error: 'invalid_token' } }]),
    );
  });

  test('0: the reason is not unauthorized-again', async () => {
    const { api } = recording(retrying(0).scheme, [401]);
    expect(exchangeOf(await api.get('/item'))).not.toHaveProperty('reason');
  });

  test('Infinity: the limits of attempts bound the sends', async () => {
    const { scheme, challenges } = retrying(Infinity);
    const { api, sent } = recording(scheme, [401]);
    expect(exchangeOf(await api.get('/item'))).toMatchObject({ reason: 'unauthorized-again' });
    expect(sent).toHaveLength(11);
    expect(challenges).toHaveLength(10);
  });

  test.each([-1, NaN, '3', null])('of %p is a TypeError that names it', (maxChallenges) => {
    const { scheme } = toy({ maxChallenges: maxChallenges as number });
    const attach = () => attachAuth(axios.create(), { scheme });
    if (maxChallenges === null) expect(attach).not.toThrow();
    else expect(attach).toThrow(/TypeError|scheme\.maxChallenges/);
  });

  test('an onChallenge that returns false is not called again', async () => {
    const onChallenge = jest.fn(() => false);
    const { api, sent } = recording(toy({ maxChallenges: 3, onChallenge }).scheme, [401]);
    await api.get('/item');
    expect(sent).toHaveLength(1);
    expect(onChallenge).toHaveBeenCalledTimes(1);
  });
});

/** A CSRF token that the server replaces at any time. onChallenge gets the new one by `fetchToken`. */
function csrf(fetchToken: (challenge: AuthChallenge) => Promise<string>, members: Partial<AuthScheme> = {}) {
  let token = 'old';
  const run = jest.fn(async (challenge: AuthChallenge) => {
    token = await fetchToken(challenge);
    return true;
  });
  const scheme: AuthScheme = {
    name: 'Csrf',
    credentialHeaders: ['X-CSRF-Token'],
    singleFlight: true,
    isRefusal: ({ status }) => status === 403,
    authorize: ({ headers }) => void headers.set('X-CSRF-Token', token),
    onChallenge: run,
    ...members,
  };
  return { scheme, run };
}

const byToken =
  (...good: string[]) =>
  ({ headers }: { headers: Readonly<Record<string, string>> }) => ({
    status: good.includes(headers['X-CSRF-Token'] ?? '') ? 200 : 403,
  });

// F147
describe('singleFlight', () => {
  test.each(adapters)('20 concurrent refused calls run onChallenge once, over the %s adapter', async (adapter) => {
    const server = await start((seen, response) => {
      if (seen.url === '/csrf') reply(response, 200, { token: 'new' });
      else reply(response, seen.headers['x-csrf-token'] === 'new' ? 200 : 403);
    });
    const { scheme, run } = csrf(async ({ request }) => {
      const { data } = await request.client.get<{ token: string }>('/csrf');
      return data.token;
    });
    const api = client(server, adapter, scheme);
    const answers = await Promise.all([...Array(20)].map((_, index) => api.post(`/item/${String(index)}`, {})));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(run).toHaveBeenCalledTimes(1);
    expect(server.seen.filter(({ url }) => url === '/csrf')).toHaveLength(1);
    expect(server.seen).toHaveLength(41);
  });

  test('a late refusal of the old credentials is replayed without another run', async () => {
    const stage = new Stage();
    const { scheme, run } = csrf(async () => {
      await stage.clock.pass(50);
      return 'new';
    });
    stage.attach({ scheme });
    stage.latencyMs = ({ path, headers }) => (path === '/open/slow' && headers['X-CSRF-Token'] === 'old' ? 1_000 : 10);
    stage.always('/open/fast', byToken('new'));
    stage.always('/open/slow', byToken('new'));
    const outcomes = await stage.outcomes([stage.api.get('/open/slow'), stage.api.get('/open/fast')]);
    expect(outcomes).toMatchObject([
      { status: 200, attempts: 2 },
      { status: 200, attempts: 2 },
    ]);
    expect(run).toHaveBeenCalledTimes(1);
    expect(stage.clock.monotonic()).toBe(1_010);
  });

  test('a refusal of the new credentials causes another run', async () => {
    const stage = new Stage();
    const tokens = ['first', 'second'];
    const { scheme, run } = csrf(() => Promise.resolve(tokens.shift()!));
    stage.attach({ scheme });
    stage.always('/open', byToken('first'));
    expect(await stage.outcome(stage.api.get('/open'))).toMatchObject({ status: 200 });
    stage.always('/open', byToken('second'));
    expect(await stage.outcome(stage.api.get('/open'))).toMatchObject({ status: 200 });
    expect(run).toHaveBeenCalledTimes(2);
  });

  test('a run that fails rejects all its calls, each with its own response, and the next call starts another run', async () => {
    const stage = new Stage();
    let isUp = false;
    const { scheme, run } = csrf(async () => {
      await stage.clock.pass(50);
      if (!isUp) throw new Error('log-in is down');
      return 'new';
    });
    stage.attach({ scheme });
    stage.always('/open/1', byToken('new'));
    stage.always('/open/2', byToken('new'));
    const settled = await stage.settled([stage.api.get('/open/1'), stage.api.get('/open/2')]);
    expect(settled.map((one) => reasonOf(one).message)).toEqual(['log-in is down', 'log-in is down']);
    expect(run).toHaveBeenCalledTimes(1);
    isUp = true;
    expect(await stage.outcome(stage.api.get('/open/1'))).toMatchObject({ status: 200, attempts: 2 });
    expect(run).toHaveBeenCalledTimes(2);
  });

  test('a run that returns false settles all calls with their refusals', async () => {
    const stage = new Stage();
    const onChallenge = jest.fn(async () => {
      await stage.clock.pass(50);
      return false;
    });
    stage.attach({ scheme: csrf(() => Promise.resolve(''), { onChallenge }).scheme });
    stage.always('/open', 403);
    const outcomes = await stage.outcomes([...Array(5)].map(() => stage.api.get('/open')));
    expect(outcomes).toMatchObject(Array(5).fill({ status: 403, attempts: 1 }));
    expect(onChallenge).toHaveBeenCalledTimes(1);
  });

  test.each([0, 1])('the abort of caller %i ends neither the run nor the other calls', async (aborted) => {
    const stage = new Stage();
    const signals: AbortSignal[] = [];
    const { scheme, run } = csrf(async ({ request }) => {
      signals.push(request.signal);
      await stage.clock.pass(500);
      return 'new';
    });
    stage.attach({ scheme });
    stage.always('/open', byToken('new'));
    const controllers = [new AbortController(), new AbortController(), new AbortController()];
    const calls = controllers.map(({ signal }) => underway(stage.api.get('/open', { signal })));
    await stage.clock.advance(100);
    controllers[aborted]!.abort();
    const outcomes = await stage.outcomes(calls);
    expect(outcomes.map(({ code, status }) => code ?? status)).toEqual(
      controllers.map((_, index) => (index === aborted ? 'ERR_CANCELED' : 200)),
    );
    expect(run).toHaveBeenCalledTimes(1);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
  });

  test('one run serves two instances of one scheme, and the detach() of the first one does not end it', async () => {
    const stage = new Stage();
    const { scheme, run } = csrf(async () => {
      await stage.clock.pass(500);
      return 'new';
    });
    const other = stage.instance();
    const first = stage.attach({ scheme });
    stage.attach({ scheme }, other);
    stage.always('/open', byToken('new'));
    const calls = [stage.api.get('/open'), other.get('/open')].map(underway);
    await stage.clock.advance(100);
    first.detach();
    expect((await stage.outcomes(calls)).map(({ code, status }) => code ?? status)).toEqual(['ERR_AUTH_DETACHED', 200]);
    expect(run).toHaveBeenCalledTimes(1);
  });

  test('a run that hangs settles its calls after a minute, and the next refusal starts another run', async () => {
    const stage = new Stage();
    const signals: AbortSignal[] = [];
    let hangs = true;
    const { scheme, run } = csrf(({ request }) => {
      signals.push(request.signal);
      return hangs ? new Promise(() => undefined) : Promise.resolve('new');
    });
    stage.attach({ scheme });
    stage.always('/open', byToken('new'));
    const outcomes = await stage.outcomes([1, 2, 3].map(() => stage.api.get('/open')));
    expect(outcomes).toMatchObject(Array(3).fill({ status: 403, attempts: 1 }));
    expect(stage.clock.monotonic()).toBe(60_010);
    hangs = false;
    expect(await stage.outcome(stage.api.get('/open'))).toMatchObject({ status: 200, attempts: 2 });
    expect(run).toHaveBeenCalledTimes(2);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  });

  test('without it each call runs onChallenge by itself', async () => {
    const stage = new Stage();
    const { scheme, run } = csrf(() => Promise.resolve('new'), { singleFlight: false });
    stage.attach({ scheme });
    stage.always('/open', byToken('new'));
    await stage.outcomes([...Array(5)].map(() => stage.api.get('/open')));
    expect(run).toHaveBeenCalledTimes(5);
  });

  test('a cookie log-in, which writes no header, is not reported as a call without credentials', async () => {
    const stage = new Stage();
    let isIn = false;
    const scheme: AuthScheme = {
      name: 'Cookie',
      singleFlight: true,
      authorize: () => undefined,
      onChallenge: async ({ request }) => {
        await request.client.post('/login');
        return true;
      },
    };
    stage.always('/login', () => {
      isIn = true;
      return 204;
    });
    stage.always('/item', () => (isIn ? 200 : 401));
    stage.always('/admin', 401);
    stage.attach({ scheme });
    const [item, admin] = await stage.outcomes([stage.api.get('/item'), stage.api.get('/admin')]);
    expect(item).toMatchObject({ status: 200, attempts: 2 });
    expect(admin).toMatchObject({ status: 401, attempts: 2, reason: 'unauthorized-again' });
    expect(admin).not.toHaveProperty('bare');
    expect(stage.eventsOf('refusal-ignored')).toEqual([]);
    expect(stage.to('/login')).toHaveLength(1);
  });
});

describe('a scheme that writes to the URL', () => {
  /** A presigned query, new for every attempt. */
  const presigned = (members: Partial<AuthScheme> = {}): AuthScheme => ({
    name: 'Presigned',
    authorize: ({ url, attempt }) => url.searchParams.set('sig', `canary-${String(attempt)}`),
    onChallenge: () => true,
    ...members,
  });
  const shown = (value: unknown): string => inspect(value, { depth: 12, getters: true });

  describe.each(adapters)('over the %s adapter', (adapter) => {
    test('has its URL sent, with base, path and params of the call, new for each attempt', async () => {
      const server = await start(inTurn(401, 200));
      const api = client(server, adapter, presigned(), { defaults: { baseURL: `${server.origin}/v1/` } });
      const answer = await api.get('items/ü', { params: { q: 'a b', list: [1, 2] } });
      expect(server.seen.map(({ url }) => url)).toEqual([
        '/v1/items/%C3%BC?q=a+b&list%5B%5D=1&list%5B%5D=2&sig=canary-1',
        '/v1/items/%C3%BC?q=a+b&list%5B%5D=1&list%5B%5D=2&sig=canary-2',
      ]);
      expect(answer.config).toMatchObject({ url: 'items/ü', params: { q: 'a b', list: [1, 2] } });
      expect(shown(answer)).not.toContain('canary');
      expect(exchangeOf(answer)).not.toHaveProperty('bare');
    });

    test.each([
      ['404', inTurn(404)],
      ['broken connection', (_: unknown, response: Parameters<typeof reply>[0]) => void response.socket?.destroy()],
    ])('is not shown by the error of a %s', async (_, handler) => {
      const server = await start(handler);
      const error = await failureOf(client(server, adapter, presigned(), { retry: false }).get('/item'));
      expect((error as AxiosError).config).toMatchObject({ url: '/item', baseURL: server.origin });
      expect(shown(error)).not.toContain('canary');
    });

    test('signs a redirect within the origin again over fetch, and a redirect to another origin is not followed', async () => {
      const foreign = await start(inTurn(200));
      const server = await start((seen, response) => {
        const { pathname } = new URL(seen.url, 'http://own');
        if (pathname === '/start') response.writeHead(307, { Location: '/next' }).end();
        else if (pathname === '/leave') response.writeHead(307, { Location: foreign.origin }).end();
        else reply(response, 200);
      });
      const api = client(server, adapter, presigned());
      await api.get('/start');
      await api.get('/leave');
      expect(server.seen.map(({ url }) => url)).toEqual([
        '/start?sig=canary-1',
        adapter === 'fetch' ? '/next?sig=canary-1' : '/next',
        '/leave?sig=canary-1',
      ]);
      expect(foreign.seen.map(({ url }) => url)).toEqual(['/']);
    });

    test.each<[string, (url: URL) => void]>([
      ['host', (url) => void (url.hostname = 'evil.example')],
      ['port', (url) => void (url.port = '1')],
      ['protocol', (url) => void (url.protocol = 'https:')],
      ['whole address', (url) => void (url.href = 'https://evil.example/item')],
    ])('may not change the %s', async (_, modify) => {
      const server = await start(inTurn(200));
      const api = client(server, adapter, presigned({ authorize: ({ url }) => modify(url) }));
      expect(await failureOf(api.get('/item'))).toMatchObject({
        code: 'ERR_AUTH_FOREIGN_ORIGIN',
        config: { url: '/item' },
      });
      expect(server.seen).toEqual([]);
    });
  });

  test('has its URL sent over a custom adapter, also if it is relative', async () => {
    const { api, sent } = recording(presigned());
    const answer = await api.get('/item', { params: { a: 1 } });
    expect(sent.map(({ url }) => url)).toEqual(['https://api.example.com/item?a=1&sig=canary-1']);
    expect(answer.config).toMatchObject({ url: '/item', baseURL: 'https://api.example.com', params: { a: 1 } });
    const relative = recording(presigned());
    delete relative.api.defaults.baseURL;
    await relative.api.get('/item?a=1');
    expect(relative.sent.map(({ url }) => url)).toEqual(['/item?a=1&sig=canary-1']);
  });

  test('that only reads it does not change the config for a custom adapter', async () => {
    const { api, sent } = recording(signed(({ url }) => ({ 'X-Path': url.pathname })));
    await api.get('/item', { params: { a: 1 } });
    expect(sent).toMatchObject([{ url: 'https://api.example.com/item?a=1', headers: { 'x-path': '/item' } }]);
  });

  test('does not show its secret to keyOf, shouldRetry and events, even in the path', async () => {
    const stage = new Stage();
    const seen: unknown[] = [];
    stage.attach({
      scheme: presigned({
        authorize: ({ url }) => {
          url.pathname = `/bot-canary${url.pathname}`;
          url.searchParams.set('sig', 'canary');
        },
      }),
      throttle: {
        keyOf: ({ url }) => {
          seen.push(url.href);
          return url.pathname;
        },
      },
      retry: {
        shouldRetry: (failure) => {
          seen.push(failure.url);
          return undefined;
        },
      },
    });
    stage.script('/bot-canary/open', tooMany(2), 401, 503);
    stage.always('/bot-canary/open', 200);
    const first = underway(stage.api.get('/open'));
    await stage.clock.advance(100);
    const outcomes = await stage.outcomes([first, stage.api.get('/open')]);
    expect(outcomes.map(({ code }) => code)).toEqual([undefined, undefined]);
    expect(stage.eventsOf('throttled')).toMatchObject([{ key: '/open' }]);
    expect(stage.eventsOf('replay')).toHaveLength(1);
    expect(stage.eventsOf('retry').length).toBeGreaterThan(1);
    expect(seen.length).toBeGreaterThan(2);
    expect(inspect([stage.events, seen], { depth: 6 })).not.toContain('canary');
  });

  test('does not change the throttle key of the call, although every path it sends is new', async () => {
    const stage = new Stage();
    let sends = 0;
    stage.attach({ scheme: presigned({ authorize: ({ url }) => void (url.pathname = `/open/${String(++sends)}`) }) });
    stage.script('/open/1', tooMany(10));
    const first = underway(stage.api.get('/open'));
    await stage.clock.advance(100);
    const second = underway(stage.api.get('/open'));
    await stage.clock.advance(5_000);
    expect(stage.sent).toHaveLength(1);
    expect(await stage.outcomes([first, second])).toMatchObject([{ status: 200 }, { status: 200 }]);
  });
});

// F119
describe('Content-Type', () => {
  const noBody = Symbol('no body');
  const bodies: [string, unknown][] = [
    ['an object', { a: 1 }],
    ['a text', 'text'],
    ['bytes', Buffer.from('bytes')],
    ['URLSearchParams', new URLSearchParams({ a: '1' })],
    ['a Blob with a type', new Blob(['{}'], { type: 'application/vnd.own+json' })],
    ['a Blob without a type', new Blob(['{}'])],
    ['an empty Blob', new Blob([])],
    ['nothing', noBody],
    ['null', null],
  ];

  describe.each(adapters)('over the %s adapter', (adapter) => {
    test.each(bodies)('and body are those of the send, for %s', async (_, data) => {
      const server = await start(inTurn(200));
      const seen: unknown[] = [];
      const scheme = signed(async ({ headers, body }: AuthRequest) => {
        const type: unknown = headers.get('Content-Type');
        seen.push(type === null || type === false ? undefined : type, Buffer.from((await body.bytes())!).toString());
        return { 'X-Signature': 'x' };
      });
      const api = client(server, adapter, scheme);
      for (const method of ['post', 'put'] as const) await api[method]('/item', data === noBody ? undefined : data);
      await api.request({ url: '/item', method: 'get', ...(data !== noBody && adapter === 'http' && { data }) });
      await api.delete('/item');
      const asSent = server.seen.flatMap(({ headers, body }) => [headers['content-type'], body.toString()]);
      expect(seen).toEqual(asSent);
    });

    test('of a form is multipart without the boundary, and its body is opaque', async () => {
      const server = await start(inTurn(200));
      const seen: unknown[] = [];
      const scheme = signed(async ({ headers, body }: AuthRequest) => {
        seen.push(headers.get('Content-Type'), body.kind, await body.bytes());
        return { 'X-Signature': 'x' };
      });
      await client(server, adapter, scheme).postForm('/item', { a: 1 });
      expect(seen).toEqual([expect.stringMatching(/^multipart\/form-data|^$/), 'opaque', undefined]);
      expect(server.seen[0]?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
    });
  });
});

test('a header that a scheme writes or deletes is not on the config of the call', async () => {
  const { api, sent } = recording(apiKey('canary'));
  const answer = await api.get('/item');
  expect(sent[0]?.headers).toMatchObject({ 'x-api-key': 'canary' });
  expect(inspect(answer, { depth: 8 })).not.toContain('canary');
});

test('bearer: header and prefix allow any token header', async () => {
  const { api, sent } = recording(bearer({ tokens: { accessToken: 't' }, header: 'X-Access-Token', prefix: '' }));
  await api.get('/item', { headers: { Authorization: 'Basic proxy' } });
  expect(sent[0]?.headers).toMatchObject({ authorization: 'Basic proxy', 'x-access-token': 't' });
});
