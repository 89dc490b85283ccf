/**
 * One session, and one cool-down, for many machines.
 *
 * @module axios-attach-auth/redis
 */
export { redisStore, type RedisStoreOptions } from './stores/redis.js';
export { redisCooldown, type RedisCooldownOptions } from './stores/redis-cooldown.js';
export type { IoRedisClient, NodeRedisClient, RedisClient } from './stores/redis-client.js';
