// One mock on the app's instance answers its calls and its refresh: `client` has the instance's adapter.
import assert from 'node:assert/strict';
import test from 'node:test';
import MockAdapter from 'axios-mock-adapter';
import { createApi } from './app.mjs';

test('a call whose token has expired', async () => {
  const { api } = createApi();
  const mock = new MockAdapter(api);
  mock.onPost('/auth/refresh').reply(200, { accessToken: 'new', refreshToken: 'r2' });
  mock.onGet('/me').reply(({ headers }) => (headers.Authorization === 'Bearer new' ? [200, { name: 'Ada' }] : [401]));

  assert.deepEqual((await api.get('/me')).data, { name: 'Ada' });

  // The history has every attempt.
  assert.equal(mock.history.get.length, 2);
  assert.equal(mock.history.post.length, 1);
});

test('the end of a session', async () => {
  const { api, session } = createApi();
  const mock = new MockAdapter(api);
  mock.onPost('/auth/refresh').reply(400, { error: 'invalid_grant' });
  mock.onAny().reply(401);

  await assert.rejects(api.get('/me'), { code: 'ERR_AUTH_SESSION_EXPIRED' });
  assert.equal(session.getSnapshot().status, 'expired');
});
