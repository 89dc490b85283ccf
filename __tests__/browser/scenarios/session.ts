import type { InternalAxiosRequestConfig } from 'axios';
import { bearer, type AuthEvent, type SessionSnapshot } from '../../../lib/index.js';
import type { CallSummary } from '../../support/stage.js';
import { client, deadSession, outcome, outcomes, release, type Setting } from './client.js';

export async function bearerToken(setting: Setting): Promise<CallSummary> {
  return outcome(client(setting, { scheme: bearer('good') }).api.get('/x', { params: { q: 'ä b' } }));
}

export async function storm(setting: Setting): Promise<CallSummary[]> {
  const { api } = client(setting, { scheme: deadSession() });
  return outcomes(Array.from({ length: 20 }, (_, index) => api.get(`/x/${String(index)}`)));
}

export async function late401(setting: Setting): Promise<CallSummary[]> {
  const { api } = client(setting, { scheme: deadSession() });
  return outcomes([api.get('/held'), api.get('/x')]);
}

export async function unauthorizedAgain(setting: Setting): Promise<CallSummary> {
  return outcome(client(setting, { scheme: deadSession() }).api.get('/never'));
}

/** A session whose token has expired, so that the call waits for a refresh before its send. */
export async function refreshFails(
  setting: Setting,
): Promise<{ code: string | undefined; status: SessionSnapshot['status'] }> {
  const scheme = deadSession({
    tokens: { accessToken: 'dead', refreshToken: 'r1', expiresAt: 1 },
    refreshTimeoutMs: 50,
  });
  const { code } = await outcome(client(setting, { scheme }).api.get('/x'));
  return { code, status: scheme.getSnapshot().status };
}

export const payloads: Record<string, () => unknown> = {
  'a string': () => 'Grüße, “Ada”\r\n',
  'plain data': () => ({ name: 'Ada', languages: ['de', 'en'] }),
  URLSearchParams: () => new URLSearchParams({ a: 'ä b', c: '1&2' }),
  'native FormData': () => {
    const form = new FormData();
    form.append('name', 'Ada');
    form.append('file', new Blob(['bytes \r\n of a file'], { type: 'text/plain' }), 'notes.txt');
    return form;
  },
  'a Blob': () => new Blob(['bytes of a blob'], { type: 'application/octet-stream' }),
  'a view of a Uint8Array': () => Uint8Array.from({ length: 16 }, (_, index) => index + 250).subarray(4, 8),
};

/** How often transformRequest and the app's interceptors ran for this call. */
export interface RunCounts {
  transforms: number;
  requests: number;
  outcomes: number;
}

export async function replayed(setting: Setting, payload: string): Promise<CallSummary & RunCounts> {
  const counts: RunCounts = { transforms: 0, requests: 0, outcomes: 0 };
  const { api } = client(setting, { scheme: deadSession() });
  api.interceptors.request.use((config: InternalAxiosRequestConfig) => {
    counts.requests++;
    return config;
  });
  api.interceptors.response.use((response) => {
    counts.outcomes++;
    return response;
  });
  const transformRequest = [
    (data: unknown) => {
      counts.transforms++;
      return data;
    },
    ...[api.defaults.transformRequest ?? []].flat(),
  ];
  return { ...(await outcome(api.post('/x', payloads[payload]?.(), { transformRequest }))), ...counts };
}

export async function everyStatusResolves(setting: Setting): Promise<CallSummary> {
  return outcome(client(setting, { scheme: deadSession() }).api.get('/x', { validateStatus: () => true }));
}

/** Over fetch alone: a stream of the Fetch standard. */
export async function streamed(setting: Setting): Promise<CallSummary & { text: string }> {
  const { api } = client(setting, { scheme: deadSession() });
  const call = api.get<ReadableStream>('/x', { responseType: 'stream' });
  return { ...(await outcome(call)), text: await new Response((await call).data).text() };
}

/** The bytes that an upload reported, in order. */
export async function uploadProgress(setting: Setting): Promise<CallSummary & { loaded: number[] }> {
  const loaded: number[] = [];
  const { api } = client(setting, { scheme: deadSession() });
  const summary = await outcome(
    api.post('/x', 'x'.repeat(1000), { onUploadProgress: (progress) => loaded.push(progress.loaded) }),
  );
  return { ...summary, loaded };
}

export async function abortWhileRefreshing(
  setting: Setting,
): Promise<{ aborted: CallSummary; wasRefreshing: boolean; other: CallSummary }> {
  const controller = new AbortController();
  const scheme = deadSession();
  const { api } = client(setting, {
    scheme,
    onEvent: ({ type }) => {
      if (type === 'refreshing') controller.abort();
    },
  });
  const aborted = await outcome(api.get('/aborted', { signal: controller.signal }));
  const wasRefreshing = scheme.getSnapshot().refreshing;
  const other = outcome(api.get('/other'));
  await release(setting);
  return { aborted, wasRefreshing, other: await other };
}

export async function signOutWhileRefreshing(
  setting: Setting,
): Promise<CallSummary & { status: SessionSnapshot['status'] }> {
  const scheme = deadSession();
  const { api } = client(setting, {
    scheme,
    onEvent: ({ type }) => {
      if (type === 'refreshing') void scheme.signOut();
    },
  });
  const summary = await outcome(api.get('/x'));
  await release(setting);
  return { ...summary, status: scheme.getSnapshot().status } as CallSummary & { status: SessionSnapshot['status'] };
}

export async function signOutWhileBackingOff(setting: Setting): Promise<CallSummary> {
  const scheme = bearer({ tokens: { accessToken: 'good' } });
  const onEvent = ({ type }: AuthEvent): void => {
    if (type === 'retry') void scheme.signOut();
  };
  return outcome(client(setting, { scheme, onEvent }).api.get('/throttled'));
}
