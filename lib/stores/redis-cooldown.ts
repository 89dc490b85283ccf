import { createHash } from 'node:crypto';
import type { SharedCooldown } from '../options.js';
import { ownValue } from '../safe-read.js';
import { redisOf, type RedisClient } from './redis-client.js';
import { redisMessages } from './redis-messages.js';

/** Options of {@link redisCooldown}. */
export interface RedisCooldownOptions {
  /**
   * Names the limit, or the principal whose limits these are, such as `upstream` or `partner:42`. Machines with the same prefix
   * share. A non-empty string without braces.
   */
  readonly prefix: string;
}

/** The keys of an app that are known here. The oldest is forgotten; it is read again when it is asked for. */
const MOST_KEYS = 10_000;

/** Keeps the longer closed time, and publishes it. */
const CLOSE = `
if tonumber(ARGV[1]) > redis.call('pttl', KEYS[1]) then
  redis.call('set', KEYS[1], '1', 'px', ARGV[1])
  redis.pcall('publish', ARGV[2], ARGV[3] .. ' ' .. ARGV[1])
end
`;

/** A script is never run by a replica, which may lag behind. */
const READ = `return redis.call('pttl', KEYS[1])`;

/**
 * Returns a SharedCooldown for `throttle.shared`: machines that name the same prefix obey the Retry-After that one of them got.
 *
 * Each closed limit is one key: `{prefix}:closed:` and the SHA-256 of the throttle's key. It expires after the closed time.
 * Changes are published on the channel `{prefix}:closed`. If Redis is away, each machine throttles on its own.
 *
 * @param client A client of `redis` 5 or later or of `ioredis` 5 or later, single or cluster. It stays the app's own. Listening
 *   uses a `duplicate()` of it while instances are attached.
 * @throws TypeError for another client or prefix.
 */
export function redisCooldown(client: RedisClient, options: RedisCooldownOptions): SharedCooldown {
  const redis = redisOf(client);
  if (!redis) throw new TypeError('redisCooldown(): `client` takes a client of `redis` or `ioredis`');
  const prefix = ownValue(options, 'prefix');
  if (typeof prefix !== 'string' || !/^[^{}]+$/.test(prefix))
    throw new TypeError(
      `redisCooldown(): \`prefix\` takes a non-empty string without braces, but got ${typeof prefix}`,
    );
  // The text in braces decides where in a cluster a key is stored.
  const channel = `{${prefix}}:closed`;
  const messages = redisMessages(redis, [channel]);
  /** By hash. */
  const keys = new Map<string, string>();
  const hashOf = (key: string): string => {
    const hash = createHash('sha256').update(key).digest('base64url');
    const [oldest] = keys.size >= MOST_KEYS ? keys.keys() : [];
    if (oldest !== undefined) keys.delete(oldest);
    keys.set(hash, key);
    return hash;
  };
  const closedForMs = async (key: string): Promise<number> =>
    Math.max(0, Number(await redis.run(READ, [`${channel}:${hashOf(key)}`])));

  return {
    closedForMs,
    async close(key, forMs) {
      const hash = hashOf(key);
      await redis.run(CLOSE, [`${channel}:${hash}`], String(Math.max(1, Math.ceil(forMs))), channel, hash);
    },
    subscribe: (onClosed) =>
      messages.listen((message) => {
        if (message === undefined) {
          // The connection is there again, and may have missed some.
          for (const key of keys.values())
            closedForMs(key).then(
              (forMs) => {
                onClosed(key, forMs);
              },
              () => undefined,
            );
          return;
        }
        const [hash = '', forMs] = message.split(' ');
        const key = keys.get(hash);
        if (key !== undefined) onClosed(key, Number(forMs));
      }),
  };
}
