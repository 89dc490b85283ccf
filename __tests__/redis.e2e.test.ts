import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { Redis } from 'ioredis';
import { bearer } from '../lib/index.js';
import { redisStore, type RedisClient } from '../lib/redis.js';
import { aesGcm, type StoredSession } from '../lib/store.js';
import { redisPort } from '../lib/stores/redis.js';
import { connected, LIBRARIES, type Library } from './support/redis-clients.js';
import { authorizationServer, buildHolder, Holder, type HolderPlan, type Place } from './support/redis-holders.js';
import { isRedisInstalled, startRedis, type RedisServer } from './support/redis-server.js';
import { cases, rounds } from './support/rounds.js';
import type { Recorder } from './support/serve.js';
import { times } from './support/series.js';
import type { TokenEndpoint } from './support/token-endpoint.js';

// Starts processes. A busy machine must not fail the test.
jest.setTimeout(120_000);

/** How often the token expires, for each number of processes. */
const EXPIRIES = Number(process.env['REDIS_EXPIRIES'] ?? rounds(3, 25));
const isThere = isRedisInstalled();
if (!isThere && process.env['REQUIRE_REAL'] === '1') throw new Error('There is no redis-server on the PATH');
const suite = isThere ? describe : describe.skip;
const whether = isThere ? '' : ' (skipped: there is no redis-server on the PATH)';

let folder: string;
let program: string;
let redis: RedisServer;
let endpoint: TokenEndpoint;
let server: Recorder;
let key = '';
let sessions = 0;
const holders: Holder[] = [];

suite(`a session in Redis${whether}`, () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'redis-holders-'));
    program = buildHolder(folder);
    redis = await startRedis();
  });
  afterAll(async () => {
    await redis.close();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    ({ endpoint, server } = await authorizationServer());
    key = `session-${String(sessions++)}`;
    await store();
  });
  afterEach(async () => {
    await Promise.all(holders.splice(0).map((holder) => holder.kill()));
    await server.close();
  });

  /** Stores valid tokens at first. */
  async function store(): Promise<void> {
    const { client, close } = await connected('redis', redis.port);
    const { access_token: accessToken, refresh_token: refreshToken } = endpoint.issue();
    await redisPort(client, key).compareAndSet(undefined, {
      version: 1,
      generation: 1,
      epoch: 0,
      tokens: { accessToken, refreshToken },
    });
    close();
  }

  async function start(count: number, plan: Partial<HolderPlan> = {}): Promise<Holder[]> {
    const started = await Promise.all(
      times(count, (index) =>
        Holder.start({
          program,
          library: LIBRARIES[index % 2]!,
          port: redis.port,
          key,
          origin: server.origin,
          ...plan,
        }),
      ),
    );
    holders.push(...started);
    return started;
  }

  const callEach = async (among: readonly Holder[]): Promise<string[]> =>
    (await Promise.all(among.map((holder) => holder.call(2)))).flat();
  const good = (among: readonly Holder[]): string[] => among.flatMap(() => ['200', '200']);
  const untilGood = async (among: readonly Holder[]): Promise<void> => {
    while ((await callEach(among)).some((outcome) => outcome !== '200')) await sleep(20);
  };

  // F30 F31
  test.each(
    cases(2, [
      [2, EXPIRIES],
      [16, EXPIRIES],
      [4, EXPIRIES],
    ]),
  )('is refreshed once for each expiry by %i processes of both libraries', async (count, expiries) => {
    const all = await start(count);
    for (let expiry = 1; expiry <= expiries; expiry++) {
      endpoint.revokeAll();
      expect(await callEach(all)).toEqual(good(all));
      expect(endpoint.refreshes).toBe(expiry);
    }
    expect(endpoint.reuses).toBe(0);
  });

  // F32: the lock would last for a minute. Redis sees the death, which frees it.
  test.each<[Place, Library]>(
    cases(2, [
      ['asking', 'ioredis'],
      ['read', 'redis'],
      ['written', 'redis'],
    ]),
  )('is refreshed once if its holder is killed at `%s` (%s)', async (place, library) => {
    const [victim, other] = await start(2, { library, lockMs: 60_000 });
    endpoint.revokeAll();
    await victim!.haltAt(place);
    const calls = other!.call(2);
    await victim!.kill();
    expect(await calls).toEqual(['200', '200']);
    expect(endpoint.asks.map(({ outcome }) => outcome)).toEqual(['issued']);
  });

  // F38: its tokens are lost. Only a server with a grace answers the old refresh token again.
  test('continues if its holder is killed before it stores the response, and the server has a grace', async () => {
    endpoint.graceMs = 60_000;
    const [victim, other] = await start(2, { library: 'ioredis', lockMs: 60_000 });
    endpoint.revokeAll();
    await victim!.haltAt('answered');
    await victim!.kill();
    expect(await other!.call()).toEqual(['200']);
    expect(endpoint.asks.map(({ outcome }) => outcome)).toEqual(['issued', 'again']);
  });

  // I11: no living holder has the response.
  test('ends once if its holder is killed before it stores the response, at a server without a grace', async () => {
    const [victim, ...others] = await start(3, { lockMs: 60_000 });
    // All have loaded the session. A holder that first loads its end is just signed out.
    await callEach(others);
    endpoint.revokeAll();
    await victim!.haltAt('answered');
    await victim!.kill();
    for (const outcome of await callEach(others)) expect(outcome).toMatch(/^ERR_AUTH_SESSION_EXPIRED/);
    expect(endpoint.asks.map(({ outcome }) => outcome)).toEqual(['issued', 'reused']);
    const { client, close } = await connected('redis', redis.port);
    expect(await redisPort(client, key).load()).toMatchObject({ generation: 2, tokens: null });
    close();
  });

  // F35
  test.each<[Library, Place]>([
    ['redis', 'written'],
    ['ioredis', 'asking'],
  ])(
    'is refreshed once if its holder (%s) was stopped, and continues while another is at `%s`',
    async (library, place) => {
      const [frozen, other] = await start(2, { library, lockMs: 1_000 });
      endpoint.revokeAll();
      await frozen!.haltAt('read');
      frozen!.signal('SIGSTOP');
      await other!.haltAt(place);
      frozen!.signal('SIGCONT');
      const call = frozen!.resume();
      expect(await other!.resume()).toEqual(['200']);
      expect(await call).toEqual(['200']);
      expect(endpoint.asks.map(({ outcome }) => outcome)).toEqual(['issued']);
    },
  );

  test('survives a killed Redis, and lost connections', async () => {
    const all = await start(3);
    const { client, close } = await connected('ioredis', redis.port);
    for (const round of [1, 2]) {
      await redis.kill();
      // A valid token needs no Redis.
      expect(await callEach(all)).toEqual(good(all));
      await redis.start('kept');
      endpoint.revokeAll();
      expect(await callEach(all)).toEqual(good(all));
      expect(endpoint.refreshes).toBe(round);
    }
    await (client as Redis).call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    endpoint.revokeAll();
    expect(await callEach(all)).toEqual(good(all));
    expect(endpoint.asks.every(({ outcome }) => outcome === 'issued')).toBe(true);
    expect(endpoint.refreshes).toBe(3);
    close();
  });

  // F165
  test('counts as never stored if Redis has lost it, and the next one is loaded', async () => {
    const all = await start(2);
    // A holder that notices the loss before its calls asks `refresh` once for a session, without a refresh token.
    const refreshes = (): number => endpoint.asks.filter(({ refreshToken }) => refreshToken !== undefined).length;
    await redis.kill();
    await redis.start('lost');
    endpoint.revokeAll();
    for (const outcome of await callEach(all)) expect(outcome).toMatch(/^(?:401|ERR_AUTH_SESSION_CHANGED)/);
    expect(refreshes()).toBe(0);
    await store();
    await untilGood(all);
    endpoint.revokeAll();
    expect(await callEach(all)).toEqual(good(all));
    expect(refreshes()).toBe(1);
    expect(endpoint.reuses).toBe(0);
  });

  // F143
  test('is not refreshed while Redis is full: calls with a valid token succeed, others reject with the cause', async () => {
    const all = await start(2);
    const { client, close } = await connected('ioredis', redis.port);
    const limit = (bytes: string): Promise<unknown> => (client as Redis).call('CONFIG', 'SET', 'maxmemory', bytes);
    await limit('1');
    expect(await callEach(all)).toEqual(good(all));
    endpoint.revokeAll();
    for (const outcome of await callEach(all))
      expect(outcome).toMatch(/^ERR_AUTH_REFRESH_FAILED .*lock could not be acquired/);
    expect(endpoint.refreshes).toBe(0);
    for (const holder of all) expect(await holder.degraded()).toContain('lock: Error OOM; no refresh without the lock');
    await limit('0');
    await untilGood(all);
    expect(endpoint.asks.map(({ outcome }) => outcome)).toEqual(['issued']);
    close();
  });

  test('is shared by processes with one key, and no token of it can be read', async () => {
    const { client, close } = await connected('ioredis', redis.port);
    const text = async (): Promise<string> => String(await (client as Redis).get(`{${key}}:session`));
    await (client as Redis).del(`{${key}}:session`);
    const seal = randomBytes(32).toString('hex');
    const { access_token: accessToken, refresh_token: refreshToken } = endpoint.issue();
    await bearer({
      store: redisStore(client, key, { seal: aesGcm(Buffer.from(seal, 'hex')), subscribe: false }),
    }).signIn({
      accessToken,
      refreshToken: refreshToken,
    });
    const all = await start(rounds(2, 6), { seal });
    for (let expiry = 1; expiry <= 3; expiry++) {
      endpoint.revokeAll();
      expect(await callEach(all)).toEqual(good(all));
      expect(endpoint.refreshes).toBe(expiry);
      expect(await text()).toContain('a256gcm.');
      expect(await text()).not.toMatch(/alice/);
    }
    expect(endpoint.reuses).toBe(0);
    close();
  });

  test('is not refreshed while Redis is down, rejects with the cause, and is refreshed once when it is back', async () => {
    const all = await start(2);
    await redis.kill();
    endpoint.revokeAll();
    for (const outcome of await callEach(all))
      expect(outcome).toBe(
        "ERR_AUTH_REFRESH_FAILED The refresh failed, the session is kept: the store's lock could not be acquired.",
      );
    expect(endpoint.refreshes).toBe(0);
    await redis.start('kept');
    // A failed refresh has a cool-down.
    await untilGood(all);
    expect(endpoint.asks.map(({ outcome }) => outcome)).toEqual(['issued']);
  });

  describe.each(LIBRARIES)('over a client of %s', (library) => {
    let client: RedisClient;
    let admin: Redis;
    let closes: (() => void)[];
    beforeEach(async () => {
      const [app, other] = [await connected(library, redis.port), await connected('ioredis', redis.port)];
      client = app.client;
      admin = other.client as Redis;
      closes = [app.close, other.close];
    });
    afterEach(() => {
      for (const close of closes) close();
    });
    const next: StoredSession = {
      version: 1,
      generation: 2,
      epoch: 0,
      tokens: { accessToken: 'CANARY-a', refreshToken: 'CANARY-r' },
    };

    // F93
    test.each(['nonsense', Buffer.from([0xff, 0xfe, 0x00]), '{"version":1}'])(
      'a malformed session is moved aside',
      async (text) => {
        await admin.set(`{${key}}:session`, text);
        const found = redisPort(client, key);
        expect(await found.load()).toBeUndefined();
        expect(await found.compareAndSet(undefined, next)).toBe(true);
        expect(await found.load()).toEqual(next);
        expect(await admin.getBuffer(`{${key}}:bad`)).toEqual(Buffer.from(text));
        expect(await admin.ttl(`{${key}}:session`)).toBe(-1);
      },
    );

    // F81
    test('no token is in an error', async () => {
      await admin.del(`{${key}}:session`);
      await admin.rpush(`{${key}}:session`, 'CANARY-list');
      const error: unknown = await Promise.resolve(redisPort(client, key).compareAndSet(1, next)).catch(
        (reason: unknown) => reason,
      );
      expect(error).toMatchObject({ code: 'WRONGTYPE' });
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('CANARY');
    });

    // A subscription does not keep the process alive.
    test('a process ends when the app has closed its client', async () => {
      const [stopping] = await start(1, { library });
      await stopping!.stop();
    });

    test('a session can be shared by a Redis user without access to channels', async () => {
      await admin.call('ACL', 'SETUSER', 'narrow', 'on', 'nopass', '~*', '+@all', 'resetchannels');
      const narrow = await connected(library, redis.port, 'narrow');
      const found = redisPort(narrow.client, key);
      const stop = found.subscribe!(() => undefined);
      const { signal } = new AbortController();
      expect(await found.exclusive!(async () => found.compareAndSet(1, next), { signal })).toBe(true);
      stop();
      narrow.close();
    });
  });
});
