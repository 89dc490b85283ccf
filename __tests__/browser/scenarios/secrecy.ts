import { bearer, type AuthEvent, type BearerOptions, type TokenResponse } from '../../../lib/index.js';
import { client, type Setting } from './client.js';
import { traces } from './traces.js';

/** Every secret of these scenarios contains this. */
export const CANARY = 'canary-3f9c';

const tokens = { accessToken: `${CANARY}-access`, refreshToken: `${CANARY}-refresh` };

function session(options: BearerOptions = {}): ReturnType<typeof bearer> {
  return bearer({
    tokens,
    refresh: async ({ client: bare, refreshToken }) =>
      (await bare.post<TokenResponse>('/token', { refreshToken })).data,
    refreshTimeoutMs: 50,
    ...options,
  });
}

/** The paths of the canary in the result of a call and in its events, and whether the call rejected. */
export async function leaks(setting: Setting, path: string): Promise<{ traces: string[]; isError: boolean }> {
  const events: AuthEvent[] = [];
  const controller = new AbortController();
  const { api } = client(setting, {
    scheme: session(),
    retry: { maxAttempts: 2, baseDelayMs: 1 },
    onEvent: (event) => events.push(event),
  });
  if (path === '/aborted') {
    setTimeout(() => {
      controller.abort();
    }, 20);
  }
  const [settled] = await Promise.allSettled([
    api.post(path, 'body', {
      responseType: 'json',
      transitional: { silentJSONParsing: false },
      signal: controller.signal,
      ...(path === '/silent' && { timeout: 50 }),
      attachAuth: { idempotent: true },
    }),
  ]);
  return {
    traces: traces({ settled, events, defaults: { ...api.defaults } }, CANARY),
    isError: settled.status === 'rejected',
  };
}
