import axios from 'axios';
import { attachAuth, bearer, exchangeOf, type BearerScheme, type TokenResponse } from '../../lib/index.js';
import { aesGcm } from '../../lib/store.js';
import { webStorageStore } from '../../lib/web.js';

// Code of a page: one tab of an app. Must not import modules of Node.
const name = location.hash.slice(1);
const options = new URLSearchParams(location.search);
const key = options
  .get('key')
  ?.match(/../g)
  ?.map((byte) => parseInt(byte, 16));
const api = axios.create();
export const scheme: BearerScheme = bearer({
  store: webStorageStore('session', key && { seal: aesGcm(new Uint8Array(key)) }),
  refreshTimeoutMs: Number(options.get('refreshTimeoutMs') ?? 10_000),
  refresh: async ({ refreshToken, client, signal }) =>
    (await client.post<TokenResponse>('/token', { refresh_token: refreshToken ?? null, tab: name }, { signal })).data,
});
document.addEventListener('resume', () => void call('/resumed'));
attachAuth(api, { scheme, allowInsecure: true });

/** The status of a call, or the code of its error. */
export async function call(path = '/me'): Promise<unknown> {
  return api.get(path, { validateStatus: () => true, headers: { 'X-Tab': name } }).then(
    (answer) => answer.status,
    (error: unknown) => exchangeOf(error)?.reason ?? String(error),
  );
}

export const status = (): string => scheme.getSnapshot().status;
