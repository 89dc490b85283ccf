export { redisStore, type RedisStoreOptions } from './stores/redis.js';
export type { IoRedisClient, NodeRedisClient, RedisClient } from './stores/redis-client.js';
