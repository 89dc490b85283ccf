import axios from 'axios';
import { attachAuth, bearer, exchangeOf } from '../lib/index.js';
import { reply, serve } from './support/serve.js';

test('sixty concurrent calls with a dead token cost one refresh', async () => {
  let refreshes = 0;
  const server = await serve((seen, response) => {
    if (seen.headers.authorization === 'Bearer new') reply(response, 200, { ok: seen.url });
    else reply(response, 401, {}, { 'WWW-Authenticate': 'Bearer error="invalid_token"' });
  });
  const api = axios.create({ baseURL: server.origin });
  const scheme = bearer({
    tokens: { accessToken: 'old', refreshToken: 'r1' },
    refresh: async () => {
      refreshes++;
      await new Promise((resolve) => setTimeout(resolve, 20));
      return { accessToken: 'new', refreshToken: 'r2', expiresIn: 3600 };
    },
  });
  attachAuth(api, { scheme, onEvent: (e) => { console.log(JSON.stringify(e)); } });
  const answers = await Promise.all(Array.from({ length: 5 }, (_, i) => api.post(`/x/${i}`, { i })));
  expect(answers.map((a) => a.status)).toEqual(Array(5).fill(200));
  expect(refreshes).toBe(1);
  expect(server.seen.length).toBe(10);
  expect(exchangeOf(answers[0])).toMatchObject({ attempts: 2, refreshed: true });
  expect(JSON.stringify(answers[0]!.config)).not.toContain('new');
  await server.close();
});
