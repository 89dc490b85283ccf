import { attachAuth, basic, bearer, exchangeOf } from 'axios-attach-auth';
import { settled } from '../lab.mjs';

const TIMEOUT_MS = 500;
const RETRY = { baseDelayMs: 60 };

export const oneClient = {
  name: 'One client',
  title: 'One client that does all of it',
  promise: 'Dead tokens, server errors, broken connections, timeouts, throttling: one call meets them all and arrives.',
  servedBy: ['api'],
  async run(lab) {
    const { refresh_token } = lab.tokens.issue();
    const api = lab.client({ timeout: TIMEOUT_MS });
    attachAuth(api, {
      retry: RETRY,
      scheme: bearer({
        tokens: { access_token: 'expired-yesterday', refresh_token },
        async refresh({ refreshToken, client }) {
          const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken });
          return (await client.post('/token', form)).data;
        },
      }),
    });

    const odyssey = '/flaky/503,reset,silent,429:1,200';
    const [{ status }, ...others] = await Promise.all([
      api.get(odyssey),
      ...Array.from({ length: 4 }, () => api.get('/me')),
    ]);
    const order = { item: 'Lochkarten' };
    const risky = await settled(api.post('/flaky/503,201', order));
    const broken = await settled(api.post('/flaky/reset,201', order));
    const named = await api.post('/flaky/reset,503,201', order, { headers: { 'Idempotency-Key': 'order-1' } });

    lab.check(
      'one call through six kinds of trouble',
      [status, lab.statuses(odyssey)],
      [200, [401, 503, 'reset', 'gave up', 429, 200]],
    );
    lab.check('with one refresh for it and its neighbours', [others.length, lab.sends('/token').length], [4, 1]);
    lab.check(
      'a POST that may have been done is not done twice',
      [risky.error?.response.status, lab.statuses('/flaky/503,201')],
      [503, [503]],
    );
    lab.check(
      'nor after a broken connection',
      [broken.error?.code, exchangeOf(broken.error).reason],
      ['ECONNRESET', 'not-idempotent'],
    );
    lab.check(
      'unless an Idempotency-Key makes it safe',
      [named.status, lab.statuses('/flaky/reset,503')],
      [201, ['reset', 503, 201]],
    );
    const bodies = lab.sends('/flaky/reset,503').map(({ body }) => body);
    lab.check('and its body is the same each time', bodies, Array(3).fill(JSON.stringify(order)));
  },
};

export const oneClientOnHttpbin = {
  name: 'One client',
  title: 'One client that does all of it',
  promise: 'Credentials, server errors, timeouts, throttling: each is met in its own way, and nothing is done twice.',
  servedBy: ['httpbin'],
  async run(lab) {
    const api = lab.client({ timeout: TIMEOUT_MS });
    attachAuth(api, { retry: RETRY, scheme: basic({ username: 'ada', password: 'engine' }) });

    const { status } = await api.get('/basic-auth/ada/engine');
    const unwell = await settled(api.get('/status/500'));
    const slow = await settled(api.get('/delay/2', { attachAuth: { retry: { maxAttempts: 2 } } }));
    const throttled = await settled(api.get('/status/429', { attachAuth: { retry: { maxThrottledAttempts: 3 } } }));
    const risky = await settled(api.post('/status/503', { item: 'Lochkarten' }));

    lab.check('a call that is let in', status, 200);
    lab.check(
      'server errors: four sends, then the answer',
      [unwell.response.status, lab.statuses('/status/500').length],
      [500, 4],
    );
    lab.check(
      'timeouts: as often as this call may, then the timeout',
      [slow.error.code, lab.statuses('/delay/2').length],
      ['ECONNABORTED', 2],
    );
    lab.check('throttled: the same', [throttled.response.status, lab.statuses('/status/429').length], [429, 3]);
    lab.check(
      'a POST that may have been done is not done twice',
      [risky.response.status, lab.statuses('/status/503').length],
      [503, 1],
    );
  },
};
