// Waits of minutes pass at once. node:test leaves `performance` alone; Jest and Vitest need no option either.
import assert from 'node:assert/strict';
import test, { mock } from 'node:test';
import MockAdapter from 'axios-mock-adapter';
import { createApi } from './app.mjs';

/** Lets the call continue until it needs a timer. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

test('a rate limit of a minute', async () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  try {
    const { api } = createApi();
    const adapter = new MockAdapter(api);
    adapter.onGet('/me').replyOnce(429, '', { 'Retry-After': '60' });
    adapter.onGet('/me').reply(200, { name: 'Ada' });

    const call = api.get('/me');
    await settle();
    mock.timers.tick(59_000);
    await settle();
    assert.equal(adapter.history.get.length, 1);

    mock.timers.tick(10_000);
    assert.deepEqual((await call).data, { name: 'Ada' });
  } finally {
    mock.timers.reset();
  }
});
