import axios, { type AxiosInstance } from 'axios';
import {
  attachAuth,
  bearer,
  exchangeOf,
  isAuthError,
  type BearerOptions,
  type BearerScheme,
  type RefreshContext,
  type TokenResponse,
} from '../lib/index.js';
import { memoryPort } from './support/memory-port.js';
import { tokenStore } from '../lib/store.js';
import { startOidc, type Minted, type Oidc } from './support/oidc.js';

let oidc: Oidc;
beforeAll(async () => {
  oidc = await startOidc();
});
afterAll(() => oidc.close());
beforeEach(() => oidc.clear());

const CALLS = 60;

/** A refresh_token grant as apps write it (RFC 6749 §6). */
async function refresh({ refreshToken = '', client }: RefreshContext): Promise<TokenResponse> {
  const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken });
  const auth = { username: oidc.client.client_id, password: oidc.client.client_secret };
  return (await client.post<TokenResponse>('/token', form, { auth })).data;
}

function attached(options: BearerOptions): { api: AxiosInstance; scheme: BearerScheme } {
  const api = axios.create({ baseURL: oidc.origin });
  const scheme = bearer({ refresh, ...options });
  attachAuth(api, { scheme });
  return { api, scheme };
}

async function storm(api: AxiosInstance): Promise<number[]> {
  const answers = await Promise.all(Array.from({ length: CALLS }, () => api.get('/me')));
  expect(answers.map(({ data }) => data.sub)).toEqual(Array(CALLS).fill('ada'));
  return answers.map((answer) => exchangeOf(answer)?.attempts ?? 0);
}

async function expectGrantUnharmed({ grantId }: Minted): Promise<void> {
  expect(await oidc.isGrantAlive(grantId)).toBe(true);
  expect(await oidc.log()).toMatchObject({ revoked: [], refused: [] });
}

test('sixty calls with a dead token cost one refresh, and the grant is not revoked', async () => {
  const minted = await oidc.mint({ isDead: true });
  const { api } = attached({ tokens: minted.tokens });

  const attempts = await storm(api);

  expect(Math.max(...attempts)).toBe(2);
  expect(await oidc.refreshes()).toBe(1);
  await expectGrantUnharmed(minted);
});

test('each round of calls rotates the refresh token once, and uses the newest one', async () => {
  const minted = await oidc.mint();
  const store = memoryPort();
  const { api, scheme } = attached({ tokens: minted.tokens, store: tokenStore(store) });
  const refreshTokens = new Set([minted.tokens.refresh_token]);

  for (let round = 1; round <= 3; round++) {
    await oidc.killAccessToken(await scheme.getAccessToken());
    await storm(api);
    refreshTokens.add((await store.load())?.tokens?.refreshToken ?? '');
    expect(await oidc.refreshes()).toBe(round);
  }
  expect(refreshTokens.size).toBe(4);
  await expectGrantUnharmed(minted);
});

test('a token that has expired by the clock is refreshed before it is sent', async () => {
  const minted = await oidc.mint();
  const { access_token: accessToken, refresh_token: refreshToken } = minted.tokens;
  const { api } = attached({ tokens: { accessToken, refreshToken, expiresAt: Date.now() - 1 } });

  const attempts = await storm(api);

  expect(attempts).toEqual(Array(CALLS).fill(1));
  expect(await oidc.refreshes()).toBe(1);
  expect((await oidc.log()).entries.filter(({ status }) => status === 401)).toEqual([]);
});

test('two instances with one scheme share the session and its refresh', async () => {
  const minted = await oidc.mint({ isDead: true });
  const { api, scheme } = attached({ tokens: minted.tokens });
  const other = axios.create({ baseURL: oidc.origin });
  attachAuth(other, { scheme });

  await Promise.all([storm(api), storm(other)]);

  expect(await oidc.refreshes()).toBe(1);
  await expectGrantUnharmed(minted);
});

test('two schemes over one store share the session and its refresh', async () => {
  const minted = await oidc.mint({ isDead: true });
  const store = memoryPort();
  const one = attached({ tokens: minted.tokens, store: tokenStore(store) });
  const other = attached({ tokens: minted.tokens, store: tokenStore(store) });

  await Promise.all([storm(one.api), storm(other.api)]);

  expect(await oidc.refreshes()).toBe(1);
  await expectGrantUnharmed(minted);
});

test('scheme.refresh() joins the refresh of the calls', async () => {
  const minted = await oidc.mint({ isDead: true });
  const { api, scheme } = attached({ tokens: minted.tokens });

  await Promise.all([storm(api), scheme.refresh(), scheme.refresh()]);

  expect(await oidc.refreshes()).toBeLessThanOrEqual(2);
  await expectGrantUnharmed(minted);
});

test('the provider revokes the grant if a refresh token is used twice', async () => {
  const { tokens, grantId } = await oidc.mint();
  const client = axios.create({ baseURL: oidc.origin });
  const context = { refreshToken: tokens.refresh_token, client } as RefreshContext;

  await refresh(context);
  await expect(refresh(context)).rejects.toMatchObject({ response: { data: { error: 'invalid_grant' } } });

  expect(await oidc.isGrantAlive(grantId)).toBe(false);
  expect((await oidc.log()).revoked).toEqual([grantId]);
});

test('a refused refresh token ends the session for every call, and is sent once', async () => {
  const { tokens } = await oidc.mint({ isDead: true });
  const { api, scheme } = attached({ tokens: { ...tokens, refresh_token: 'never-issued' } });

  const outcomes = await Promise.allSettled(Array.from({ length: CALLS }, () => api.get('/me')));

  for (const outcome of outcomes) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ERR_AUTH_SESSION_EXPIRED' } });
  }
  expect((await oidc.log()).refused).toEqual(['invalid_grant']);
  expect(scheme.getSnapshot().status).toBe('expired');
});

test('calls after a new sign-in use its tokens', async () => {
  const { tokens } = await oidc.mint({ isDead: true });
  const { api, scheme } = attached({ tokens: { ...tokens, refresh_token: 'never-issued' } });
  await expect(api.get('/me')).rejects.toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });

  await scheme.signIn((await oidc.mint()).tokens);

  expect((await api.get('/me')).data.sub).toBe('ada');
});

test('a refused client keeps its session', async () => {
  const { tokens } = await oidc.mint({ isDead: true });
  const { api, scheme } = attached({
    tokens,
    refresh: ({ refreshToken = '', client }) => {
      const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken });
      const auth = { username: oidc.client.client_id, password: 'wrong' };
      return client.post<TokenResponse>('/token', form, { auth }).then(({ data }) => data);
    },
  });

  const error: unknown = await api.get('/me').catch((thrown: unknown) => thrown);

  expect(isAuthError(error) && error.code).toBe('ERR_AUTH_REFRESH_FAILED');
  expect((await oidc.log()).refused).toEqual(['invalid_client']);
  expect(scheme.getSnapshot().status).toBe('signed-in');
  expect(JSON.stringify(error)).not.toContain(tokens.refresh_token);
});
