import axios from 'axios';
import { attachAuth, bearer } from 'axios-attach-auth';

/** The code of an app, under test. Created for each test: a session, once signed in, stays so. */
export function createApi() {
  const api = axios.create({ baseURL: 'https://api.example.com' });
  const session = bearer({
    tokens: { accessToken: 'old', refreshToken: 'r1' },
    refresh: async ({ client, refreshToken }) => (await client.post('/auth/refresh', { refreshToken })).data,
  });
  attachAuth(api, { scheme: session });
  return { api, session };
}
