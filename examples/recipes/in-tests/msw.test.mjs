import assert from 'node:assert/strict';
import test, { after, afterEach, before } from 'node:test';
import { http, HttpResponse } from 'msw';
import { setupServer } from 'msw/node';
import { createApi } from './app.mjs';

const server = setupServer();
before(() => server.listen({ onUnhandledRequest: 'error' }));
afterEach(() => server.resetHandlers());
after(() => server.close());

test('ten calls whose token has expired cost one refresh', async () => {
  let refreshes = 0;
  server.use(
    http.post('https://api.example.com/auth/refresh', () =>
      HttpResponse.json({ accessToken: 'new', refreshToken: `r${++refreshes}` }),
    ),
    http.get('https://api.example.com/me', ({ request }) =>
      request.headers.get('Authorization') === 'Bearer new'
        ? HttpResponse.json({ name: 'Ada' })
        : new HttpResponse(null, { status: 401 }),
    ),
  );
  const { api } = createApi();

  const answers = await Promise.all(Array.from({ length: 10 }, () => api.get('/me')));

  assert.deepEqual(new Set(answers.map(({ data }) => data.name)), new Set(['Ada']));
  assert.equal(refreshes, 1);
});
