import { createClient } from 'redis';
import { Redis } from 'ioredis';
import type { RedisClient } from '../../lib/redis.js';

export const LIBRARIES = ['redis', 'ioredis'] as const;
export type Library = (typeof LIBRARIES)[number];

/** A client as an app makes it, and the function that closes it. */
export async function connected(
  library: Library,
  port: number,
  username?: string,
): Promise<{ client: RedisClient; close: () => void }> {
  if (library === 'redis') {
    const client = createClient({
      socket: { host: '127.0.0.1', port },
      ...(username !== undefined && { username, password: 'any' }),
    });
    client.on('error', () => undefined);
    await client.connect();
    return { client, close: () => client.destroy() };
  }
  const client = new Redis(port, '127.0.0.1', username === undefined ? {} : { username, password: 'any' });
  client.on('error', () => undefined);
  return { client, close: () => client.disconnect() };
}
