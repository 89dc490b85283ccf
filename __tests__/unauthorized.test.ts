import { exchangeOf } from '../lib/index.js';
import { reasonOf, Stage, unauthorized } from './support/stage.js';

// F25 F26 F27 F68
describe('a response that is not a refusal of the token', () => {
  test.each([
    ['a 403', { status: 403 }],
    ['insufficient_scope', unauthorized('Bearer realm="api", error="insufficient_scope", scope="admin"')],
    ['insufficient_scope in a second challenge', unauthorized('Basic realm="a", Bearer error=insufficient_scope')],
  ])('%s starts no refresh', async (_, reply) => {
    const { stage } = Stage.with({});
    stage.always('/item', reply);
    for (let made = 0; made < 5; made++) {
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
        status: reply.status,
        attempts: 1,
        refreshed: false,
      });
    }
    expect(stage.tokens.refreshes).toBe(0);
  });

  test.each([
    ['no challenge', undefined],
    ['another scheme', 'Basic realm="proxy"'],
    ['Negotiate', 'Negotiate TlRMTVNTUAAB, NTLM'],
    ['another realm', 'Bearer realm="elsewhere"'],
    ['invalid_token among others', 'Digest nonce="a, b", Bearer error="invalid_token"'],
    ['a broken challenge', 'Bearer error="invalid'],
  ])('a 401 with %s starts a refresh', async (_, challenge) => {
    const { stage } = Stage.with({});
    stage.script('/item', challenge === undefined ? 401 : unauthorized(challenge));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2, refreshed: true });
    expect(stage.tokens.refreshes).toBe(1);
  });

  test.each([
    ['419', { status: 419 }],
    ['440', { status: 440 }],
    ['200 with an error in it', { status: 200, data: { error: 'login required' } }],
  ])('isUnauthorized decides: %s starts a refresh if it returns true', async (_, reply) => {
    const { stage } = Stage.with({
      attach: {
        isUnauthorized: ({ status, data }) =>
          status === 419 || status === 440 || (data as { error?: string } | null)?.error === 'login required',
      },
    });
    stage.script('/item', reply);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2, refreshed: true });
    stage.script('/item', 401);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401, attempts: 1 });
    expect(stage.tokens.refreshes).toBe(1);
  });

  test.each<[string, object]>([
    ['Authorization header', { headers: { Authorization: 'Bearer mine' } }],
    ['auth', { auth: { username: 'me', password: 'secret' } }],
  ])('a call with its own %s keeps it, and its 401 starts no refresh', async (_, own) => {
    const { stage } = Stage.with({});
    stage.script('/item', unauthorized());
    expect(await stage.outcome(stage.api.get('/item', own))).toMatchObject({
      status: 401,
      attempts: 1,
      refreshed: false,
    });
    expect(stage.tokens.refreshes).toBe(0);
    expect(stage.calls[0]?.token).not.toBe('alice-a1');
  });

  test.each<[string, object]>([
    ['attachAuth: false', { attachAuth: false }],
    ["credentials: 'omit'", { attachAuth: { credentials: 'omit' } }],
    ['an Authorization header of false', { headers: { Authorization: false } }],
  ])('a call with %s is sent without credentials, and its 401 starts no refresh', async (_, own) => {
    const { stage } = Stage.with({});
    expect(await stage.outcome(stage.api.get('/item', own))).toMatchObject({ status: 401, code: 'ERR_BAD_REQUEST' });
    expect(stage.calls.map(({ token }) => token)).toEqual([undefined]);
    expect(stage.tokens.refreshes).toBe(0);
  });

  test.each<[string, object]>([
    ['no URL', {}],
    ['an auth of undefined', { url: '/item', auth: undefined }],
    ['an Authorization header of null', { url: '/item', headers: { Authorization: null } }],
  ])('a call with %s has no credentials of its own, and is sent with those of the scheme', async (_, config) => {
    const { stage } = Stage.with({});
    expect(await stage.outcome(stage.api.request(config))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.calls[0]?.token).toBe('alice-a1');
  });

  test('a response that isUnauthorized treats as a refusal starts no cool-down, whatever its status', async () => {
    const { stage } = Stage.with({ attach: { isUnauthorized: ({ status }) => status === 429 } });
    stage.script('/item', { status: 429, headers: { 'Retry-After': '60' } });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2, waitedMs: 50 });
    expect(stage.eventsOf('throttled')).toEqual([]);
  });

  test('a 401 settles the call if there is no `refresh`', async () => {
    const stage = new Stage();
    stage.attach({ scheme: stage.bearer({ refresh: undefined, tokens: stage.tokens.issueDead() }) });
    const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(error).toMatchObject({ name: 'AxiosError', code: 'ERR_BAD_REQUEST', response: { status: 401 } });
    expect(exchangeOf(error)).not.toHaveProperty('reason');
    expect(stage.calls).toHaveLength(1);
  });
});
