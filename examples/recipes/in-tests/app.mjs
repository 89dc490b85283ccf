import axios from 'axios';
import { attachAuth, bearer } from 'axios-attach-auth';

/** The code of an app, under test. Created for each test, since a session stays signed in. */
export function createApi() {
  const api = axios.create({ baseURL: 'https://api.example.com' });
  const session = bearer({
    tokens: { accessToken: 'old', refreshToken: 'r1' },
    refresh: async ({ client, refreshToken }) => (await client.post('/auth/refresh', { refreshToken })).data,
  });
  attachAuth(api, { scheme: session });
  return { api, session };
}
