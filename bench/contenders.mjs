// The setup of each contender, by its README, with its features for the purpose.
import axios from 'axios';
import { attachAuth, bearer } from 'axios-attach-auth';
import { createAuthRefresh } from 'axios-auth-refresh';
import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';
import { applyAuthTokenInterceptor, setAuthTokens } from 'axios-jwt';
import axiosRateLimit from 'axios-rate-limit';
import axiosRetry from 'axios-retry';
import * as rax from 'retry-axios';

export const OURS = 'axios-attach-auth';
export const OURS_ES2020 = 'axios-attach-auth, built for es2020';
export const BARE = 'bare axios';

const create = (adapter) => axios.create({ baseURL: 'https://api.example.com', adapter });

/** The pair of interceptors that tutorials show. */
function handWritten(api, { tokens, refresh }) {
  let current = tokens;
  let refreshing;
  api.interceptors.request.use((config) => {
    config.headers.Authorization = `Bearer ${current.accessToken}`;
    return config;
  });
  api.interceptors.response.use(undefined, async (error) => {
    const { config, response } = error;
    if (response?.status !== 401 || config.isReplay) throw error;
    config.isReplay = true;
    refreshing ??= refresh(current.refreshToken).finally(() => (refreshing = undefined));
    current = await refreshing;
    return api(config);
  });
}

/** Its README's "Request interceptor", too: the token is read for each call. */
function authRefresh(api, { tokens, refresh }, options) {
  let current = tokens;
  api.interceptors.request.use((config) => {
    config.headers.Authorization = `Bearer ${current.accessToken}`;
    return config;
  });
  createAuthRefresh(
    api,
    async (failed) => {
      current = await refresh(current.refreshToken);
      failed.response.config.headers.Authorization = `Bearer ${current.accessToken}`;
    },
    options,
  );
}

async function jwt(api, { tokens, refresh }) {
  const kept = new Map();
  const storage = {
    get: async (key) => kept.get(key) ?? null,
    set: async (key, value) => void kept.set(key, value),
    remove: async (key) => void kept.delete(key),
  };
  applyAuthTokenInterceptor(api, { requestRefresh: refresh, getStorage: () => storage });
  await setAuthTokens(tokens);
}

function ours({ attachAuth, bearer }) {
  return (api, { tokens, refresh }) =>
    attachAuth(api, { scheme: bearer({ tokens, refresh: ({ refreshToken }) => refresh(refreshToken) }) });
}

/** Returns the path of the package as an app that builds for an older target would bundle it. */
async function builtFor(target) {
  const outfile = fileURLToPath(new URL(`../node_modules/.cache/axios-attach-auth.${target}.mjs`, import.meta.url));
  const entryPoints = [fileURLToPath(new URL('../dist/index.mjs', import.meta.url))];
  await build({ entryPoints, outfile, target, bundle: true, format: 'esm', platform: 'node', packages: 'external' });
  return outfile;
}

/** A world has an adapter, tokens, and a refresh function from a refresh token to new tokens. */
const setUps = {
  [BARE]: () => undefined,
  'hand-written pair': handWritten,
  'axios-auth-refresh': (api, world) => authRefresh(api, world),
  'axios-auth-refresh, deduplicateRefresh: false': (api, world) =>
    authRefresh(api, world, { deduplicateRefresh: false }),
  'axios-retry': (api) => axiosRetry(api),
  'axios-auth-refresh + axios-retry': (api, world) => {
    authRefresh(api, world);
    axiosRetry(api);
  },
  'axios-jwt': jwt,
  'retry-axios': (api) => rax.attach(api),
  [OURS]: ours({ attachAuth, bearer }),
  [OURS_ES2020]: async (api, world) => ours(await import(await builtFor('es2020')))(api, world),
};

export async function contender(name, world) {
  const api = create(world.adapter);
  await setUps[name](api, world);
  return api;
}

/** Sleeps for the Retry-After of a 429, else a second, until the call succeeds. */
function sleeping(api) {
  api.interceptors.response.use(undefined, async (error) => {
    if (error.response?.status !== 429) throw error;
    const seconds = Number(error.response.headers['retry-after'] ?? 1);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    return api(error.config);
  });
}

const generousRetry = { retries: 10, retryDelay: axiosRetry.exponentialDelay };

/** Against a server with a limit: each is configured with the limit that it needs. */
const paced = {
  'sleep by hand': sleeping,
  'axios-retry': (api) => axiosRetry(api),
  'axios-retry ×10': (api) => axiosRetry(api, generousRetry),
  'retry-axios': (api) => rax.attach(api),
  'retry-axios ×10': (api) => {
    api.defaults.raxConfig = { retry: 10, jitter: 'full' };
    rax.attach(api);
  },
  'axios-rate-limit': (api, { quota, windowMs }) =>
    axiosRateLimit(api, { limits: [{ maxRequests: quota, duration: windowMs }] }),
  'axios-rate-limit + axios-retry ×10': (api, { quota, windowMs }) => {
    axiosRetry(axiosRateLimit(api, { limits: [{ maxRequests: quota, duration: windowMs }] }), generousRetry);
  },
  [OURS]: (api) => attachAuth(api, { scheme: bearer('token') }),
};

export const PACED = Object.keys(paced);

export function pacedContender(name, adapter, limit) {
  const api = create(adapter);
  paced[name](api, limit);
  return api;
}

const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');

/** A JWT in form, since axios-jwt and this package read its lifetime. */
export function token(name, livesS = 3600) {
  const now = Math.floor(Date.now() / 1000);
  return `${encode({ alg: 'none' })}.${encode({ sub: name, iat: now - 3600, exp: now + livesS })}.c2lnbmVk`;
}

/** An adapter that does nothing, at once. */
export const idle = (config) =>
  Promise.resolve({ status: 200, statusText: 'OK', headers: {}, data: '', config, request: undefined });
