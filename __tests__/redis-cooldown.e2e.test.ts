import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { AuthEvent } from '../lib/index.js';
import { attachAuth, basic } from '../lib/index.js';
import { redisCooldown, type RedisClient } from '../lib/redis.js';
import { cases } from './support/rounds.js';
import { connected, LIBRARIES, type Library } from './support/redis-clients.js';
import { isRedisInstalled, startRedis, type RedisServer } from './support/redis-server.js';
import axios, { AxiosError, type AxiosAdapter, type AxiosInstance } from 'axios';

// A busy machine must not fail the test.
jest.setTimeout(120_000);

const isThere = isRedisInstalled();
if (!isThere && process.env['REQUIRE_REAL'] === '1') throw new Error('There is no redis-server on the PATH');
const suite = isThere ? describe : describe.skip;
const whether = isThere ? '' : ' (skipped: there is no redis-server on the PATH)';

test.each<[string, () => unknown]>([
  ['another client', () => redisCooldown({} as RedisClient, { prefix: 'a' })],
  ['no prefix', () => redisCooldown(fakeClient, {} as { prefix: string })],
  ['an empty prefix', () => redisCooldown(fakeClient, { prefix: '' })],
  ['a prefix with braces', () => redisCooldown(fakeClient, { prefix: '{a}' })],
])('redisCooldown() throws a TypeError for %s', (_, make) => {
  expect(make).toThrow(TypeError);
  expect(make).toThrow(/^redisCooldown\(\): `(?:client|prefix)` takes /);
});

suite(`closed limits in Redis${whether}`, () => {
  let redis: RedisServer;
  let prefix = '';
  let count = 0;
  const closes: (() => void)[] = [];
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(async () => redis.close());
  beforeEach(() => {
    prefix = `upstream-${String(count++)}`;
  });
  afterEach(() => {
    for (const close of closes.splice(0)) close();
  });

  const client = async (library: Library): Promise<RedisClient> => {
    const connection = await connected(library, redis.port);
    closes.push(connection.close);
    return connection.client;
  };

  /** A machine with its own client, scheme and instance. */
  async function machine(
    library: Library,
    adapter: AxiosAdapter,
  ): Promise<{ api: AxiosInstance; events: AuthEvent[] }> {
    const api = axios.create({ baseURL: 'https://api.example.com', adapter });
    const events: AuthEvent[] = [];
    const { detach } = attachAuth(api, {
      scheme: basic({ username: 'service', password: 'secret' }),
      throttle: { keyOf: () => 'SECRET limit', shared: redisCooldown(await client(library), { prefix }) },
      onEvent: (event) => events.push(event),
    });
    closes.unshift(detach);
    return { api, events };
  }

  /** An upstream that refuses one call and then grants all. */
  function upstream(retryAfterS: number): { adapter: AxiosAdapter; sentAt: number[] } {
    const sentAt: number[] = [];
    const adapter: AxiosAdapter = (config) => {
      const isRefused = sentAt.push(performance.now()) === 3;
      const response = { status: isRefused ? 429 : 200, statusText: '', headers: {}, config, data: '' };
      if (!isRefused) return Promise.resolve(response);
      response.headers = { 'retry-after': String(retryAfterS) };
      return Promise.reject(new AxiosError('refused', 'ERR_BAD_REQUEST', config, {}, response));
    };
    return { adapter, sentAt };
  }

  const until = async (isDone: () => unknown): Promise<void> => {
    while (!(await isDone())) await new Promise((resolve) => setTimeout(resolve, 10));
  };

  test.each(
    cases(
      2,
      LIBRARIES.flatMap((one) => LIBRARIES.map((two) => [one, two] as const)),
    ),
  )('a Retry-After of one machine (%s) delays another (%s)', async (one, two) => {
    const { adapter, sentAt } = upstream(2);
    const [first, second] = [await machine(one, adapter), await machine(two, adapter)];
    await Promise.all([first.api.get('/a'), second.api.get('/a')]);
    const refused = first.api.get('/a');
    await until(() => sentAt.length === 3);
    const shared = redisCooldown(await client('ioredis'), { prefix });
    await until(async () => (await shared.closedForMs('SECRET limit')) > 0);
    // Waits for the publication.
    await new Promise((resolve) => setTimeout(resolve, 200));
    await Promise.all([refused, second.api.get('/a'), second.api.get('/b')]);
    expect(sentAt).toHaveLength(6);
    for (const at of sentAt.slice(3)) expect(at - sentAt[2]!).toBeGreaterThanOrEqual(1_990);
    expect(second.events.map(({ type }) => type)).toEqual(['throttled', 'resumed']);
  });

  test('a Retry-After delays a machine that starts later, too', async () => {
    const { adapter, sentAt } = upstream(2);
    const first = await machine('redis', adapter);
    for (let call = 0; call < 2; call++) await first.api.get('/a');
    const refused = first.api.get('/a');
    await until(() => sentAt.length === 3);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const late = await machine('ioredis', adapter);
    await Promise.all([refused, late.api.get('/a')]);
    for (const at of sentAt.slice(3)) expect(at - sentAt[2]!).toBeGreaterThanOrEqual(1_990);
  });

  test.each(LIBRARIES)('keeps one key with an expiry for each closed limit, hashed (%s)', async (library) => {
    const shared = redisCooldown(await client(library), { prefix });
    const admin = (await client('ioredis')) as Redis;
    await shared.close('SECRET limit', 5_000.4);
    await shared.close('SECRET limit', 1_000);
    await shared.close('other', 700);
    const hash = createHash('sha256').update('SECRET limit').digest('base64url');
    const keys = await admin.keys(`{${prefix}}*`);
    expect(keys).toHaveLength(2);
    expect(keys).toContain(`{${prefix}}:closed:${hash}`);
    const left = await shared.closedForMs('SECRET limit');
    expect(left).toBeGreaterThan(4_000);
    expect(left).toBeLessThanOrEqual(5_001);
    await until(async () => (await admin.keys(`{${prefix}}*`)).length === 1);
    expect(await shared.closedForMs('other')).toBe(0);
  });

  test('each machine throttles alone without Redis, and shares again when it is back', async () => {
    const { adapter, sentAt } = upstream(1);
    const machines = [await machine('redis', adapter), await machine('ioredis', adapter)];
    await Promise.all(machines.map(({ api }) => api.get('/a')));
    await redis.kill();
    const from = performance.now();
    expect((await machines[0]!.api.get('/a')).status).toBe(200);
    expect((await machines[1]!.api.get('/a')).status).toBe(200);
    expect(sentAt).toHaveLength(5);
    expect(performance.now() - from).toBeLessThan(10_000);
    await redis.start('lost');
    const shared = redisCooldown(await client('redis'), { prefix });
    await shared.close('SECRET limit', 60_000);
    await until(async () => {
      const [outcome] = await Promise.allSettled([machines[0]!.api.get('/a', { attachAuth: { deadlineMs: 100 } })]);
      return outcome.status === 'rejected';
    });
  });
});

const fakeClient = { eval: fail, evalSha: fail, duplicate: fail } as unknown as RedisClient;

function fail(): never {
  throw new Error('not called');
}
