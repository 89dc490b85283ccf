import type { AxiosError, AxiosInstance, InternalAxiosRequestConfig } from 'axios';
import type { Tokens } from './server.js';

type Sent = InternalAxiosRequestConfig & { _retry?: boolean; _waits?: number };

// #region queue
/** Two interceptors with a flag and a queue, as most posts show them. */
export function attachQueueingPair(api: AxiosInstance, plain: AxiosInstance, tokens: Tokens): void {
  let isRefreshing = false;
  let failedQueue: { resolve: () => void; reject: (error: unknown) => void }[] = [];

  api.interceptors.request.use((config) => {
    config.headers.set('Authorization', `Bearer ${tokens.accessToken}`);
    return config;
  });

  api.interceptors.response.use(undefined, async (error: AxiosError) => {
    const original = error.config as Sent;
    if (error.response?.status === 429) return waitAndSendAgain(api, error);
    if (error.response?.status !== 401 || original._retry) throw error;

    original._retry = true;
    if (isRefreshing) {
      await new Promise<void>((resolve, reject) => failedQueue.push({ resolve, reject }));
      return api(original);
    }
    isRefreshing = true;
    try {
      const { data } = await plain.post<Tokens>('/auth/refresh', { refreshToken: tokens.refreshToken });
      Object.assign(tokens, data);
      for (const { resolve } of failedQueue) resolve();
    } catch (refreshError) {
      for (const { reject } of failedQueue) reject(refreshError);
      throw refreshError;
    } finally {
      failedQueue = [];
      isRefreshing = false;
    }
    return api(original);
  });
}
// #endregion queue

// #region flag
/** Two interceptors with nothing but a flag on the request: the short form. */
export function attachFlagPair(api: AxiosInstance, plain: AxiosInstance, tokens: Tokens): void {
  api.interceptors.request.use((config) => {
    config.headers.set('Authorization', `Bearer ${tokens.accessToken}`);
    return config;
  });

  api.interceptors.response.use(undefined, async (error: AxiosError) => {
    const original = error.config as Sent;
    if (error.response?.status === 429) return waitAndSendAgain(api, error);
    if (error.response?.status !== 401 || original._retry) throw error;

    original._retry = true;
    const { data } = await plain.post<Tokens>('/auth/refresh', { refreshToken: tokens.refreshToken });
    Object.assign(tokens, data);
    return api(original);
  });
}
// #endregion flag

// #region wait
/** Both obey `Retry-After`, wait a second without it, and give up after three waits. */
async function waitAndSendAgain(api: AxiosInstance, error: AxiosError): Promise<unknown> {
  const original = error.config as Sent;
  original._waits = (original._waits ?? 0) + 1;
  if (original._waits > 3) throw error;
  const seconds = Number(error.response?.headers['retry-after'] ?? 1);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return api(original);
}
// #endregion wait
