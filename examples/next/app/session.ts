'use client';

import axios from 'axios';
import { attachAuth, bearer, type TokenResponse } from 'axios-attach-auth';

export const api = axios.create();

/**
 * The session of this browser tab, in memory. The server never uses it: it renders client components with the status
 * `unknown`, and this module-level object would be shared by all users there.
 */
export const session = bearer({
  refresh: async ({ client, signal }) => (await client.post<TokenResponse>('/auth/refresh', null, { signal })).data,
});

attachAuth(api, { scheme: session });
