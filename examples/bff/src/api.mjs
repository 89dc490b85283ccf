import { AsyncLocalStorage } from 'node:async_hooks';
import axios from 'axios';
import { attachAuth, createThrottle } from 'axios-attach-auth';

/** The session of the user whose request is being served. */
export const currentSession = new AsyncLocalStorage();

/** One instance for all users. The API limits this service as a whole, so all users share one throttle. */
export function createApi(baseURL) {
  const api = axios.create({ baseURL });
  attachAuth(api, {
    scheme: () => currentSession.getStore() ?? null,
    throttle: createThrottle({ keyOf: () => 'upstream' }),
  });
  return api;
}
