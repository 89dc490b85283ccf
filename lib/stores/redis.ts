import { randomUUID } from 'node:crypto';
import { systemClock, type Clock } from '../clock.js';
import { ownValue } from '../safe-read.js';
import type { SessionStore } from '../session/store.js';
import { redisOf, type RedisClient } from './redis-client.js';
import { redisLock } from './redis-lock.js';
import { redisNews } from './redis-news.js';
import { sharedStore, type SealOptions } from './shared-store.js';
import { parseStored, type StoredSession, type TokenStore } from './token-store.js';

export interface RedisStoreOptions extends SealOptions {
  /**
   * Ms that the lock outlives the last sign of a holder of which Redis cannot tell whether it lives: one whose machine or
   * network is gone, or that is stopped. 1000 to 60 000. A holder whose process is busy for longer loses
   * the lock, and another may then use the same refresh token. @default 5000
   */
  readonly lockMs?: number | undefined;
  /**
   * false: no second connection is made. Changes of other holders are then found at the next refresh, the next 401 or
   * expiry, and a lock whose holder was killed lasts `lockMs`. @default true
   */
  readonly subscribe?: boolean | undefined;
}

const LOCK_MS = 5_000;
const SHORTEST_LOCK_MS = 1_000;
const LONGEST_LOCK_MS = 60_000;

/** By way of a script: so it is never read from a replica, which may be behind. */
const READ = `
local text = redis.call('get', KEYS[1])
return text and {text, redis.sha1hex(text)}
`;

/** Replaces just what was read. What was no session is kept aside. */
const REPLACE = `
local text = redis.call('get', KEYS[1])
if (text and redis.sha1hex(text) or '') ~= ARGV[1] then return 0 end
if ARGV[2] == 'aside' then redis.call('rename', KEYS[1], KEYS[2]) end
redis.call('set', KEYS[1], ARGV[3])
redis.pcall('publish', ARGV[4], ARGV[5])
return 1
`;

/**
 * Keeps a session in Redis, for all processes and machines that name the same key: one of them refreshes, the others find
 * what it got.
 *
 * It is stored as JSON under `{key}:session`, without an expiry; the lock is `{key}:lock`, the channel `{key}:news`. The
 * tokens stand there as they are: who may read Redis may use them.
 *
 * @param client A client of `redis` 5 or later or of `ioredis` 5 or later, single or cluster. It stays the app's own, which
 *   connects, configures and closes it. Listening is done over a `duplicate()` of it, from when the session is attached or
 *   subscribed to until it is no more.
 * @param key Which session: one key for each principal, such as `session:42`. A non-empty string without braces.
 * @returns A store. `exclusive()` rejects with the signal's reason while it waits, with the code ETIMEDOUT when Redis does
 *   not answer within 2 s. What Redis refuses rejects with an error that says the name and code of the client's own error and
 *   nothing of what was sent. What is found that is no session counts as nothing, and is moved to `{key}:bad` by the next write.
 * @throws TypeError for another client, key or option.
 */
export function redisStore(client: RedisClient, key: string, options: RedisStoreOptions = {}): SessionStore {
  return sharedStore('redisStore', redisPort(client, key, options), options, key);
}

/** @internal */
export function redisPort(
  client: RedisClient,
  key: string,
  options: RedisStoreOptions = {},
  clock: Clock = systemClock,
): TokenStore {
  const redis = redisOf(client);
  if (!redis) throw wrong('client', 'a client of `redis` or `ioredis`', client);
  if (typeof key !== 'string' || !/^[^{}]+$/.test(key)) throw wrong('key', 'a non-empty string without braces', key);
  const { lockMs, subscribe } = checked(options);
  // What stands in braces decides where in a cluster a key lives.
  const [session, bad, channel] = ['session', 'bad', 'news'].map((part) => `{${key}}:${part}`) as [
    string,
    string,
    string,
  ];
  const id = randomUUID();
  const holderChannel = `{${key}}:holder:`;
  const news = subscribe ? redisNews(redis, [channel, holderChannel + id]) : undefined;
  const lock = redisLock({ redis, clock, news, key: `{${key}}:lock`, channel, holderChannel, id, lockMs });

  const read = async (): Promise<{ found: StoredSession | undefined; mark: string }> => {
    const reply = await redis.run(READ, [session]);
    if (!Array.isArray(reply)) return { found: undefined, mark: '' };
    // A client may be set to bring bytes.
    const [text, mark] = reply.map(String) as [string, string];
    return { found: parseStored(text), mark };
  };

  return {
    async load() {
      await lock.regained();
      return (await read()).found;
    },
    async compareAndSet(expected, next) {
      const { found, mark } = await read();
      if (found?.generation !== expected) return false;
      const aside = mark !== '' && !found ? 'aside' : '';
      const text = JSON.stringify(next);
      const isDone = await redis.run(REPLACE, [session, bad], mark, aside, text, channel, String(next.generation));
      return Number(isDone) === 1;
    },
    exclusive: (work, { signal }) => lock.exclusive(work, signal),
    ...(news && {
      subscribe: (onChange) =>
        news.listen((message) => {
          if (message === undefined || /^\d+$/.test(message)) onChange();
        }),
    }),
  };
}

function checked(options: RedisStoreOptions): { lockMs: number; subscribe: boolean } {
  if (typeof options !== 'object' || (options as unknown) === null) throw wrong('options', 'an object', options);
  const lockMs = ownValue(options, 'lockMs') ?? LOCK_MS;
  const subscribe = ownValue(options, 'subscribe') ?? true;
  if (typeof lockMs !== 'number' || !(lockMs >= SHORTEST_LOCK_MS && lockMs <= LONGEST_LOCK_MS)) {
    throw wrong('lockMs', `a number of ms, ${String(SHORTEST_LOCK_MS)} to ${String(LONGEST_LOCK_MS)}`, lockMs);
  }
  if (typeof subscribe !== 'boolean') throw wrong('subscribe', 'true or false', subscribe);
  // PX takes whole ms.
  return { lockMs: Math.round(lockMs), subscribe };
}

function wrong(what: string, takes: string, got: unknown): TypeError {
  const shown = typeof got === 'number' ? String(got) : got === null ? 'null' : typeof got;
  return new TypeError(`redisStore(): ${what} takes ${takes}, but got ${shown}`);
}
