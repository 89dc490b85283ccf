import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import nock from 'nock';
import { createApi } from './app.mjs';

before(() => nock.disableNetConnect());
after(() => {
  nock.enableNetConnect();
  nock.restore();
});

test('a call whose token has expired', async () => {
  const scope = nock('https://api.example.com');
  scope.get('/me').matchHeader('authorization', 'Bearer old').reply(401);
  scope.post('/auth/refresh', { refreshToken: 'r1' }).reply(200, { accessToken: 'new', refreshToken: 'r2' });
  scope.get('/me').matchHeader('authorization', 'Bearer new').reply(200, { name: 'Ada' });
  const { api } = createApi();

  assert.deepEqual((await api.get('/me')).data, { name: 'Ada' });
  scope.done();
});
