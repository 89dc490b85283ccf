import axios from 'axios';
import { attachAuth, bearer, exchangeOf } from '../../lib/index.js';
import { fileStore } from '../../lib/node.js';

// A process of its own: it makes one call with the session that it finds in the file, and says how it went.
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
