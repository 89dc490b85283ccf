import axios from 'axios';
import { attachAuth, bearer, exchangeOf } from '../../lib/index.js';
import { fileStore } from '../../lib/node.js';

// A process that makes one call with the session in the file, and prints its result.
const [baseURL = '', file = ''] = process.argv.slice(2);
const api = axios.create({ baseURL });
attachAuth(api, {
  scheme: bearer({
    store: fileStore(file),
    refresh: async ({ refreshToken, client }) =>
      (await client.post<{ access_token: string }>('/token', { refresh_token: refreshToken ?? null })).data,
  }),
});
void api.get('/me').then((answer) => process.send?.({ status: answer.status, ...exchangeOf(answer) }));
