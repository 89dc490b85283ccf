import { AsyncLocalStorage } from 'node:async_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import axios from 'axios';
import {
  apiKey,
  attachAuth,
  bearer,
  exchangeOf,
  signed,
  type AuthScheme,
  type BearerScheme,
  type Schemes,
} from '../lib/index.js';
import { memoryPort } from './support/memory-port.js';
import { failureOf } from './support/answers.js';
import { recording, type Sent as Recorded } from './support/recording.js';
import { rounds } from './support/rounds.js';
import { times } from './support/series.js';
import { Stage, TOKEN_PATH, tooMany, unauthorized, underway, type Sent, type CallSummary } from './support/stage.js';
import { ownerOf } from './support/token-endpoint.js';

const owner = (refreshToken: string | undefined): string | undefined => ownerOf(refreshToken);

/** One instance whose scheme is the session of the user of the current context. */
class House {
  readonly stage: Stage;
  readonly sessions = new Map<string, BearerScheme>();
  readonly detach: () => void;
  readonly #context = new AsyncLocalStorage<string>();

  constructor(seed = 1) {
    this.stage = new Stage(seed);
    const { detach } = this.stage.attach({ scheme: () => this.sessions.get(this.#context.getStore() ?? '') ?? null });
    this.detach = detach;
  }

  /** A signed-in user. */
  signIn(user: string): BearerScheme {
    const session = this.stage.bearer({ tokens: this.stage.tokens.issue(user) });
    this.sessions.set(user, session);
    return session;
  }

  call(user: string, url = '/item'): Promise<unknown> {
    return this.#context.run(user, () => this.stage.api.get(url, { headers: { 'X-Call': user } }));
  }
}

/** State that lives as long as the process. */
const roots = new Set<() => void>();

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

async function collected(): Promise<void> {
  for (let round = 0; round < 5; round++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  await new Promise((resolve) => setTimeout(resolve, 10));
}

const usersOf = (sent: readonly Sent[]): (string | undefined)[] => sent.map(({ call }) => call);

// F168, I1 I2 I4 I10
describe('thirty users on one instance', () => {
  const names = times(30, (index) => `user${String(index)}`);

  test.each(times(rounds(1, 8), (seed) => seed + 1))(
    'share nothing while tokens expire and are refused, users sign out and calls are throttled (seed %i)',
    async (seed) => {
      const house = new House(seed);
      const { stage } = house;
      const { clock, tokens } = stage;
      const pick = (count: number): number => Math.floor(clock.random() * count);
      const closed = new Map<string, { from: number; until: number }>();
      const early: string[] = [];
      stage.latencyMs = () => 5 + pick(200);
      stage.refreshMs = () => 20 + pick(300);
      stage.always('/item', ({ call = '', at, token }) => {
        const { from, until } = closed.get(call) ?? { from: 0, until: 0 };
        if (at > from && at < until) early.push(`${call} at ${String(at)}, before ${String(until)}`);
        if (token === undefined || clock.random() > 0.1) return undefined;
        const seconds = 1 + pick(3);
        // The client knows only when the response has arrived.
        if (at + 5 + seconds * 1_000 > until) closed.set(call, { from: at + 5, until: at + 5 + seconds * 1_000 });
        return { ...tooMany(seconds), afterMs: 5 };
      });
      for (const name of names) house.signIn(name);

      const calls: Promise<unknown>[] = [];
      for (let step = 0; step < 400; step++) {
        const name = names[pick(names.length)]!;
        const kind = clock.random();
        if (kind < 0.75) calls.push(underway(house.call(name)));
        else if (kind < 0.87) tokens.revoke(stage.to(name).at(-1)?.token ?? '');
        else if (kind < 0.93) void house.sessions.get(name)?.signOut();
        else void house.sessions.get(name)?.signIn(tokens.issue(name));
        if (clock.random() < 0.3) await clock.advance(pick(400));
      }
      const outcomes = await stage.outcomes(calls);

      expect(early).toEqual([]);
      const misdirected = stage.calls.filter(({ call, token }) => token !== undefined && ownerOf(token) !== call);
      expect(misdirected).toEqual([]);
      // Each refresh token is sent once.
      expect(tokens.reuses).toBe(0);
      const asked = tokens.asks.map(({ refreshToken }) => refreshToken);
      expect(new Set(asked).size).toBe(asked.length);
      for (const outcome of outcomes) expect(namesOf(outcome)).toMatch(/^(?:200|401|429|ERR_AUTH_SESSION_CHANGED)$/);
      expect(outcomes.filter(({ status }) => status === 200).length).toBeGreaterThan(100);
      expect(stage.eventsOf('refreshed').length).toBeGreaterThan(5);
    },
  );

  function namesOf({ status, code }: CallSummary): string {
    return code?.startsWith('ERR_AUTH') ? code : String(status ?? code);
  }

  test('refresh once each if all their tokens die at once and each has three calls', async () => {
    const house = new House();
    const { stage } = house;
    for (const name of names) house.signIn(name);
    stage.tokens.revokeAll();
    const outcomes = await stage.outcomes(names.flatMap((name) => times(3, () => house.call(name))));
    expect(outcomes.map(({ status }) => status)).toEqual(times(90, () => 200));
    expect(stage.tokens.asks.map(({ refreshToken }) => owner(refreshToken)).sort()).toEqual([...names].sort());
    expect(stage.calls.every(({ call, token }) => ownerOf(token) === call)).toBe(true);
  });

  test('have separate cool-downs: the Retry-After of one delays no other', async () => {
    const house = new House();
    const { stage } = house;
    house.signIn('alice');
    house.signIn('bob');
    stage.script('/item', tooMany(10));
    const alice = underway(house.call('alice'));
    await stage.clock.advance(50);
    const [again, bob] = [underway(house.call('alice')), house.call('bob')];
    expect(await stage.outcome(bob)).toMatchObject({ status: 200, waitedMs: 0 });
    expect(stage.clock.monotonic()).toBeLessThan(100);
    await stage.outcomes([alice, again]);
    const times = stage.to('/item').filter(({ call }) => call === 'alice');
    expect(times.slice(1).every(({ at }) => at >= 10_010)).toBe(true);
  });

  test('do not delay a call without a user, nor does it delay theirs', async () => {
    const house = new House();
    const { stage } = house;
    house.signIn('alice');
    stage.script('/open', tooMany(10));
    const anonymous = underway(house.call('anonymous', '/open'));
    await stage.clock.advance(50);
    expect(await stage.outcome(house.call('alice', '/open'))).toMatchObject({ status: 200, waitedMs: 0 });
    expect(await stage.outcome(anonymous)).toMatchObject({ status: 200, attempts: 2, bare: 'none-given' });
  });

  test('have separate clocks', async () => {
    const stage = new Stage();
    const offsets: Record<string, number[]> = { alice: [], bob: [] };
    const schemes = new Map(
      Object.keys(offsets).map((user) => [
        user,
        signed(({ now }) => {
          offsets[user]!.push(Math.round((now - stage.clock.now()) / 60_000));
          return { 'X-Signature': user };
        }),
      ]),
    );
    let user = '';
    stage.attach({ scheme: () => schemes.get(user)! });
    stage.always('/open', ({ headers }) => ({
      headers: {
        Date: new Date(stage.clock.now() + (headers['X-Signature'] === 'alice' ? 1 : -1) * 3_600_000).toUTCString(),
      },
    }));
    for (user of ['alice', 'bob', 'alice', 'bob']) await stage.outcome(stage.api.get('/open'));
    expect(offsets).toEqual({ alice: [0, 60], bob: [0, -60] });
  });

  test('a sign-out ends only the waiting calls of that user', async () => {
    const house = new House();
    const { stage } = house;
    const alice = house.signIn('alice');
    house.signIn('bob');
    stage.tokens.revokeAll();
    stage.refreshMs = 1_000;
    const calls = ['alice', 'bob', 'alice', 'bob'].map((name) => underway(house.call(name)));
    await stage.clock.advance(500);
    void alice.signOut();
    expect((await stage.outcomes(calls)).map(({ code, status }) => code ?? status)).toEqual([
      'ERR_AUTH_SESSION_CHANGED',
      200,
      'ERR_AUTH_SESSION_CHANGED',
      200,
    ]);
    expect(usersOf(stage.to('/item'))).toEqual(['alice', 'bob', 'alice', 'bob', 'bob', 'bob']);
  });

  test('emit their events to the instance that they use, until detach()', async () => {
    const house = new House();
    const { stage } = house;
    house.signIn('alice');
    const bob = house.signIn('bob');
    stage.tokens.revokeAll();
    await stage.outcomes([house.call('alice'), house.call('bob')]);
    expect(stage.eventsOf('refreshed')).toHaveLength(2);
    house.detach();
    const before = stage.events.length;
    await stage.clock.until(bob.signOut());
    await stage.clock.until(bob.signIn(stage.tokens.issue('bob')));
    await stage.clock.advance(100);
    expect(stage.events).toHaveLength(before);
  });

  test('leave no subscription to their stores after detach()', async () => {
    const stage = new Stage();
    let subscribed = 0;
    const sessions = names.slice(0, 3).map((name) => {
      const subscribe = (): (() => void) => {
        subscribed++;
        return () => {
          subscribed--;
        };
      };
      return stage.bearer({ store: { ...memoryPort(), subscribe }, tokens: stage.tokens.issue(name) });
    });
    let user = 0;
    const scheme = (): BearerScheme => sessions[user]!;
    const api = stage.instance();
    const handles = [stage.attach({ scheme }, api)];
    for (user of [0, 1]) expect(await stage.outcome(api.get('/item'))).toMatchObject({ status: 200 });
    const other = stage.instance();
    handles.push(stage.attach({ scheme: sessions[0]! }, other));
    user = 2;
    expect(await stage.outcome(other.get('/item', { attachAuth: { scheme } }))).toMatchObject({ status: 200 });
    expect(subscribed).toBe(3);
    handles[0]!.detach();
    expect(subscribed).toBe(2);
    handles[1]!.detach();
    expect(subscribed).toBe(0);
  });

  // F144
  test('are garbage-collected with their state once the app has dropped their sessions', async () => {
    const house = new House();
    const { stage } = house;
    stage.latencyMs = 0;
    const references: WeakRef<BearerScheme>[] = [];
    stage.always('/item', ({ call, at }) => (call === 'user3' && at < 100 ? tooMany(1) : undefined));
    await (async () => {
      for (const name of names) references.push(new WeakRef(house.signIn(name)));
      stage.tokens.revoke('user7-a1');
      await stage.outcomes(names.map((name) => house.call(name)));
    })();
    stage.sent.length = 0;
    house.sessions.clear();
    await stage.clock.advance(60_000);
    await collected();
    expect(references.filter((reference) => reference.deref() !== undefined)).toHaveLength(0);
    house.signIn('late');
    expect(await stage.outcome(house.call('late'))).toMatchObject({ status: 200 });
  });

  test('whose sessions are dropped leave no store subscription, but a listener of a session keeps its own', async () => {
    const stage = new Stage();
    const subscribed = new Set<string>();
    const sessions = new Map<string, BearerScheme>();
    let user = '';
    const api = stage.instance();
    stage.attach({ scheme: () => sessions.get(user) ?? null }, api);
    const stop = await (async () => {
      for (const name of names) {
        // A connection, a file or a window keeps its listeners alive.
        const subscribe = (onChange: () => void): (() => void) => {
          const key = `${name} ${String(roots.add(onChange).size)}`;
          subscribed.add(key);
          return () => {
            subscribed.delete(key);
            roots.delete(onChange);
          };
        };
        const store = { ...memoryPort(), subscribe };
        sessions.set(name, stage.bearer({ store, tokens: stage.tokens.issue(name) }));
        user = name;
        expect(await stage.outcome(api.get('/item'))).toMatchObject({ status: 200 });
      }
      return sessions.get('user7')!.subscribe(() => undefined);
    })();
    expect(subscribed.size).toBe(30);
    sessions.clear();
    await stage.outcome(api.get('/open'));
    stage.sent.length = 0;
    await collected();
    expect([...subscribed].map((key) => key.split(' ')[0])).toEqual(['user7']);
    stop();
    expect(subscribed.size).toBe(0);
  });
});

describe('scheme as a function', () => {
  test('is called once per call with several sends, and not at attach', async () => {
    const stage = new Stage();
    const session = stage.bearer({ tokens: stage.tokens.issueDead() });
    const scheme = jest.fn((): Schemes => session);
    stage.attach({ scheme });
    expect(scheme).not.toHaveBeenCalled();
    stage.script('/item', undefined as never, 503, tooMany(1));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 4 });
    expect(scheme).toHaveBeenCalledTimes(1);
    await stage.outcome(stage.api.get('/item', { attachAuth: false }));
    expect(scheme).toHaveBeenCalledTimes(1);
  });

  test.each<[string, null | []]>([
    ['null', null],
    ['[]', []],
  ])('that returns %s sends the call without credentials', async (_, nothing) => {
    const stage = new Stage();
    stage.attach({ scheme: () => nothing });
    expect(await stage.outcome(stage.api.get('/open'))).toMatchObject({ status: 200, bare: 'none-given' });
    expect(stage.sent[0]?.headers).not.toHaveProperty('Authorization');
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401, attempts: 1 });
  });

  test('that returns several schemes, or another one for the next call', async () => {
    let schemes: Schemes = [apiKey('a', { header: 'X-A' }), apiKey('b', { header: 'X-B' })];
    const { api, sent } = recording(() => schemes);
    await api.get('/item');
    schemes = bearer('c');
    await api.get('/item');
    expect(sent.map(({ headers }) => [headers['x-a'], headers['x-b'], headers['authorization']])).toEqual([
      ['a', 'b', undefined],
      [undefined, undefined, 'Bearer c'],
    ]);
  });

  test.each<[string, () => unknown, RegExp]>([
    [
      'that throws',
      () => {
        throw new Error('no user in this context');
      },
      /no user in this context/,
    ],
    ['that returns undefined', () => undefined, /`scheme` takes/],
    ['that returns a promise', () => Promise.resolve(apiKey('k')), /`scheme` takes/],
    ['that returns a token', () => 'canary', /`scheme` takes/],
    ['that returns two schemes for one header', () => [bearer('a'), bearer(() => 'b')], /two schemes write/],
  ])('%s rejects the call unsent', async (_, scheme, message) => {
    const { api, sent } = recording(scheme as never);
    const error = await failureOf(api.get('/item'));
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('canary');
    expect(sent).toEqual([]);
  });
});

test("a log-in with credentials: 'omit' does not call scheme(), which may throw if nobody is signed in", async () => {
  const scheme = jest.fn((): AuthScheme => {
    throw new Error('nobody is signed in');
  });
  const { api, sent } = recording(scheme);
  const answer = await api.post('/login', {}, { attachAuth: { credentials: 'omit' } });
  expect(sent.map(({ headers }: Recorded) => headers['authorization'])).toEqual([undefined]);
  expect(exchangeOf(answer)).toMatchObject({ attempts: 1, bare: 'omitted' });
  expect(scheme).not.toHaveBeenCalled();
});

describe('attachAuth: { scheme } of one call', () => {
  test('sends it as another principal, with the refresh and the replay of that principal', async () => {
    const { stage, scheme: own } = Stage.with({});
    const other = stage.bearer({ tokens: stage.tokens.issueDead('bob') });
    const impersonate = jest.fn(() => other);
    const [bob, alice] = await stage.outcomes([
      stage.api.get('/item', { headers: { 'X-Call': 'bob' }, attachAuth: { scheme: impersonate } }),
      stage.api.get('/item', { headers: { 'X-Call': 'alice' } }),
    ]);
    expect(bob).toMatchObject({ status: 200, attempts: 2, refreshed: true });
    expect(alice).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.calls.map(({ call, token }) => [call, token])).toEqual([
      ['bob', 'bob-a1'],
      ['alice', 'alice-a1'],
      ['bob', 'bob-a2'],
    ]);
    expect(stage.tokens.asks.map(({ refreshToken }) => refreshToken)).toEqual(['bob-r1']);
    expect(impersonate).toHaveBeenCalledTimes(1);
    expect(own.getSnapshot().generation).toBe(1);
  });

  test('ends with the sign-out of that principal, not of the own one', async () => {
    const { stage, scheme: own } = Stage.with({});
    const other = stage.bearer({ tokens: stage.tokens.issueDead('bob') });
    stage.refreshMs = 1_000;
    const call = () => underway(stage.api.get('/item', { attachAuth: { scheme: () => other } }));
    const first = call();
    await stage.clock.advance(100);
    void own.signOut();
    expect(await stage.outcome(first)).toMatchObject({ status: 200, attempts: 2 });
    stage.tokens.revokeAll();
    const second = call();
    await stage.clock.advance(100);
    void other.signOut();
    expect(await stage.outcome(second)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
  });

  test("is not called with credentials: 'omit'", async () => {
    const { api, sent } = recording(bearer('own'));
    const scheme = jest.fn((): AuthScheme => {
      throw new Error('no such principal');
    });
    const answer = await api.get('/item', { attachAuth: { credentials: 'omit', scheme } });
    expect(sent.map(({ headers }: Recorded) => headers['authorization'])).toEqual([undefined]);
    expect(exchangeOf(answer)).toMatchObject({ bare: 'omitted' });
    expect(scheme).not.toHaveBeenCalled();
  });

  test('null sends that call without credentials', async () => {
    const { api, sent } = recording(bearer('own'));
    await api.get('/item', { attachAuth: { scheme: () => null } });
    expect(sent[0]?.headers).not.toHaveProperty('authorization');
  });

  test('is used again if a retry library sends the config again', async () => {
    const { stage } = Stage.with({});
    const other = stage.bearer({ tokens: stage.tokens.issue('bob') });
    stage.script('/item', 404);
    const error = (await failureOf(
      stage.clock.until(stage.api.get('/item', { attachAuth: { scheme: () => other } })).then((settled) => {
        if (settled.status === 'rejected') throw settled.reason;
      }),
    )) as { config?: object };
    expect(await stage.outcome(stage.api.request(error.config!))).toMatchObject({ status: 200 });
    expect(stage.calls.map(({ token }) => token)).toEqual(['bob-a1', 'bob-a1']);
  });

  test('must be a function, since configs are cloned', () => {
    expect(() => attachAuth(axios.create(), { scheme: 'canary' as never })).toThrow(/`scheme` takes/);
    expect(() => attachAuth(axios.create(), { scheme: 'canary' as never })).not.toThrow(/canary/);
  });
});

test('a refresh that calls the attached instance does not wait for itself, for any user', async () => {
  const house = new House();
  const { stage } = house;
  const session: BearerScheme = bearer(
    {
      tokens: stage.tokens.issueDead('alice'),
      refresh: async ({ refreshToken }) => {
        const { data } = await (house.call('alice', '/open/ping').catch(() => undefined),
        stage.api.post(TOKEN_PATH, { refresh_token: refreshToken }, { attachAuth: false }));
        return data;
      },
    },
    stage.clock,
  );
  house.sessions.set('alice', session);
  stage.always('/item', ({ token }) => (token === 'alice-a2' ? 200 : unauthorized()));
  expect(await stage.outcome(house.call('alice'))).toMatchObject({ status: 200, attempts: 2 });
});
