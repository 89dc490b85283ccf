import axios from 'axios';
import { attachAuth, bearer, type TokenResponse } from 'axios-attach-auth';
import { webStorageStore } from 'axios-attach-auth/web';

export const api = axios.create();

/**
 * The refresh token is in an HttpOnly cookie, which no script can read. The short access token is in localStorage, so that
 * all tabs share it: one of them refreshes for all, and a sign-out in one is a sign-out in all.
 */
export const session = bearer({
  store: webStorageStore('orders-session'),
  refresh: async ({ client, signal }) => (await client.post<TokenResponse>('/auth/refresh', null, { signal })).data,
});

attachAuth(api, { scheme: session });

/** Calls that need no token. A 401 of the log-in means a wrong password, not an expired token. */
const open = { attachAuth: { credentials: 'omit' } } as const;

export async function signIn(user: string, password: string): Promise<void> {
  const { data } = await api.post<TokenResponse>('/auth/login', { user, password }, open);
  await session.signIn(data);
}

export async function signOut(): Promise<void> {
  // The local session first: every tab signs out at once, and no call is sent with the old token.
  await session.signOut();
  await api.post('/auth/logout', null, open);
}

/** The demo buttons: failures of real servers, on request. */
export const demo = {
  expireAfter: (orders: number) => api.post(`/demo/expire-after/${orders}`, null, open),
  endSession: () => api.post('/demo/end-session', null, open),
};
