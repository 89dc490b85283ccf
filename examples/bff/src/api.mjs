import { AsyncLocalStorage } from 'node:async_hooks';
import axios from 'axios';
import { attachAuth, createThrottle } from 'axios-attach-auth';
import { redisCooldown } from 'axios-attach-auth/redis';

/** The session of the user whose request is being served. */
export const currentSession = new AsyncLocalStorage();

/**
 * One instance for all users. The API limits this service as a whole: all users share one throttle, and all machines its
 * cool-downs. `detach()` ends it.
 */
export function createApi(baseURL, redis) {
  const api = axios.create({ baseURL });
  const { detach } = attachAuth(api, {
    scheme: () => currentSession.getStore() ?? null,
    throttle: createThrottle({ keyOf: () => 'upstream', shared: redisCooldown(redis, { prefix: 'upstream' }) }),
  });
  return { api, detach };
}
