import { parseStored, type StoredSession, type TokenStore } from './token-store.js';
import { systemClock, type Clock } from '../clock.js';
import { redisMessages } from './redis-messages.js';
import type { SessionStore } from '../session/store.js';
import { isObject, ownValue } from '../safe-read.js';
import { redisOf, type RedisClient } from './redis-client.js';
import { sharedStore, type SealOptions } from './shared-store.js';
import { redisLock } from './redis-lock.js';
import { randomUUID } from 'node:crypto';

/** Options of {@link redisStore}. */
export interface RedisStoreOptions extends SealOptions {
  /**
   * In ms, 1000 to 60 000. The lock expires so long after its last renewal if Redis cannot know whether the holder lives. Its
   * machine or network failed, it is stopped, or it has no subscription. A holder renews it five times a second, as long as a
   * refresh takes. One whose process blocks for longer than this loses the lock, and another may send the same refresh token.
   * @default 5000
   */
  readonly lockMs?: number | undefined;
  /**
   * `false`: no second connection is made. Then changes of other holders are found at the next refresh, 401 or expiry. The lock of a killed
   * holder lasts `lockMs`, instead of less than a second. @default true
   */
  readonly subscribe?: boolean | undefined;
}

const LOCK_MS = 5_000;
const SHORTEST_LOCK_MS = 1_000;
const LONGEST_LOCK_MS = 60_000;

/** A script, since it is never sent to a replica, which may be behind. */
const READ = `
local text = redis.call('get', KEYS[1])
return text and {text, redis.sha1hex(text)}
`;

/** Replaces the text whose hash is ARGV[1]. A text that is no session is kept aside. */
const REPLACE = `
local text = redis.call('get', KEYS[1])
if (text and redis.sha1hex(text) or '') ~= ARGV[1] then return 0 end
if ARGV[2] == 'aside' then redis.call('rename', KEYS[1], KEYS[2]) end
redis.call('set', KEYS[1], ARGV[3])
redis.pcall('publish', ARGV[4], ARGV[5])
return 1
`;

/**
 * Keeps a session in Redis, for all processes and machines that use the same key. One of them refreshes, the others use its
 * tokens.
 *
 * It is stored as JSON under `{key}:session`, without an expiry. The lock is `{key}:lock`, the channel of changes
 * `{key}:changes`. Without `seal` the tokens can be read by all who can read Redis. A value that is no session counts as empty,
 * and the next write moves it to `{key}:bad`. If Redis fails or does not reply within 2 s, the session is kept in memory (event
 * `store-degraded`). It is not refreshed without the lock. Errors contain the name and code of the client's error only.
 *
 * @param client A client of `redis` 5 or later or of `ioredis` 5 or later, single or cluster. The app connects, configures and
 *   closes it. Changes are received over a `duplicate()` of it, while the session is attached or subscribed to.
 * @param key Names the session, one for each principal: `session:42`. A non-empty string without braces.
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
  // A cluster places keys by the part in braces.
  const [session, bad, channel] = ['session', 'bad', 'changes'].map((part) => `{${key}}:${part}`) as [
    string,
    string,
    string,
  ];
  const id = randomUUID();
  const holderChannel = `{${key}}:holder:`;
  const messages = subscribe ? redisMessages(redis, [channel, holderChannel + id]) : undefined;
  const lock = redisLock({ redis, clock, messages, key: `{${key}}:lock`, channel, holderChannel, id, lockMs });

  const read = async (): Promise<{ found: StoredSession | undefined; mark: string }> => {
    const reply = await redis.run(READ, [session]);
    if (!Array.isArray(reply)) return { found: undefined, mark: '' };
    // A client may be configured to return bytes.
    const [text, mark] = reply.map(String) as [string, string];
    return { found: parseStored(text), mark };
  };

  return {
    async load() {
      await lock.reacquired();
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
    ...(messages && {
      subscribe: (onChange) =>
        messages.listen((message) => {
          if (message === undefined || /^\d+$/.test(message)) onChange();
        }),
    }),
  };
}

function checked(options: RedisStoreOptions): { lockMs: number; subscribe: boolean } {
  if (!isObject(options)) throw wrong('options', 'an object', options);
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
  return new TypeError(`redisStore(): \`${what}\` takes ${takes}, but got ${shown}`);
}
