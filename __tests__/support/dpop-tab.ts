import axios from 'axios';
import { dpop, dpopProver, indexedDbKeyPair } from '../../lib/dpop.js';
import { attachAuth, bearer, type TokenResponse } from '../../lib/index.js';
import { webStorageStore } from '../../lib/web.js';

// Code of a page: one tab of an app. Must not import modules of Node.
const url = `${location.origin}/token`;
const keyPair = indexedDbKeyPair('keys');
export const prover = dpopProver({ keyPair });
const scheme = dpop(
  bearer({
    store: webStorageStore('session'),
    refresh: async ({ client }) => {
      const headers = { DPoP: await prover.proof({ url, method: 'POST' }) };
      const response = await client.post<TokenResponse>(url, {}, { headers });
      prover.heard(url, response.headers);
      return response.data;
    },
  }),
  { prover },
);
const api = axios.create();
attachAuth(api, { scheme });

export const signIn = (tokens: TokenResponse): Promise<void> => scheme.signIn(tokens);
export const call = async (): Promise<number> => (await api.get('/orders', { validateStatus: null })).status;

/** The private key as an attacker in the page gets it. */
export const stolen = async (): Promise<string> => {
  const { privateKey } = await keyPair();
  return crypto.subtle.exportKey('jwk', privateKey).then(
    () => 'exported',
    (error: unknown) => (error as Error).name,
  );
};
