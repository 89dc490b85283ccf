import { resolve } from 'node:path';
import axios from 'axios';
import type * as oauth from 'oauth4webapi';
import { dpop, dpopProver } from '../lib/dpop.js';
import { attachAuth, bearer, type BearerOptions, type BearerScheme } from '../lib/index.js';
import {
  clientCredentialsGrant,
  clientSecretBasic,
  clientSecretPost,
  jwtBearerGrant,
  none,
  refreshTokenGrant,
  revocation,
  tokenExchangeGrant,
  type ClientAuth,
  type GrantOptions,
} from '../lib/oauth2.js';
import type * as esm from './support/esm.js';
import { requireEsm } from './support/esm.js';
import { startOidc, type Oidc } from './support/oidc.js';
import { reply, serve } from './support/serve.js';
import { times } from './support/series.js';

// It is an ES module only, which Jest cannot require.
jest.mock('dpop', () => jest.requireActual<typeof esm>('./support/esm.js').requireEsm('dpop'));

const { PrivateKeyJwt } = requireEsm('oauth4webapi') as typeof oauth;

let oidc: Oidc;
let authentications: Record<'basic' | 'post' | 'jwt' | 'public' | 'dpop', ClientAuth>;
beforeAll(async () => {
  oidc = await startOidc(resolve(__dirname, 'support/oauth2-provider.mjs'));
  const { client_secret: secret, private_jwk: jwk } = oidc.client;
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const key = await crypto.subtle.importKey('jwk', jwk!, algorithm, false, ['sign']);
  authentications = {
    basic: clientSecretBasic(secret),
    post: clientSecretPost(secret),
    jwt: PrivateKeyJwt(key),
    public: none(),
    dpop: clientSecretPost(secret),
  };
});
afterAll(() => oidc.close());
beforeEach(() => oidc.clear());

const grantFor = (clientId: keyof typeof authentications, more: Partial<GrantOptions> = {}): GrantOptions => ({
  issuer: oidc.origin,
  clientId,
  clientAuth: authentications[clientId],
  ...more,
});

function attached(options: BearerOptions): { whoAmI: () => Promise<unknown>; session: BearerScheme } {
  const api = axios.create({ baseURL: oidc.origin });
  const session = bearer(options);
  attachAuth(api, { scheme: session });
  return { whoAmI: async () => (await api.get('/me')).data.sub, session };
}

/** RFC 7662. */
async function introspect(token: string | undefined, clientId = 'post'): Promise<Record<string, unknown>> {
  const { client_secret: secret } = oidc.client;
  const form = new URLSearchParams({ token: token ?? '', client_id: clientId, client_secret: secret });
  return (await axios.post(`${oidc.origin}/token/introspection`, form)).data as Record<string, unknown>;
}

/** Only the code: a mismatch would print a whole error with its call. */
const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'fulfilled',
    (error: unknown) => (error as { code?: unknown }).code,
  );

const expectHealthy = async (): Promise<void> => {
  expect(await oidc.log()).toMatchObject({ revoked: [], refused: [] });
};

describe.each(['basic', 'post', 'jwt', 'public'] as const)('oidc-provider, client %s:', (clientId) => {
  test('twenty concurrent calls with a dead token cost one refresh, three times in a row, and every refresh rotates', async () => {
    const { tokens, grantId } = await oidc.mint({ clientId });
    const documents: Record<string, unknown>[] = [];
    const refresh = refreshTokenGrant(grantFor(clientId, { onTokens: (document) => documents.push(document) }));
    const { whoAmI, session } = attached({ tokens, refresh });

    for (let round = 1; round <= 3; round++) {
      expect(await Promise.all(times(20, whoAmI))).toEqual(times(20, () => 'ada'));
      expect(await oidc.refreshes()).toBe(round);
      await oidc.killAccessToken(await session.getAccessToken());
    }
    expect(new Set(documents.map((document) => document['refresh_token'])).size).toBe(3);
    expect(documents[0]).toMatchObject({ token_type: 'Bearer', id_token: expect.any(String) as string });
    expect(await oidc.isGrantAlive(grantId)).toBe(true);
    await expectHealthy();
  });
});

// RFC 9449
test('oidc-provider, DPoP with nonces required: twenty concurrent calls cost one refresh, and every token is bound', async () => {
  const { tokens } = await oidc.mint({ clientId: 'dpop' });
  const prover = dpopProver();
  const types: unknown[] = [];
  const grant = grantFor('dpop', { dpop: prover, onTokens: (document) => types.push(document['token_type']) });
  const session = dpop(bearer({ tokens, refresh: refreshTokenGrant(grant) }), { prover });
  const api = axios.create({ baseURL: oidc.origin });
  attachAuth(api, { scheme: session });

  for (let round = 1; round <= 2; round++) {
    const answers = await Promise.all(times(20, () => api.get('/me')));
    expect(answers.map(({ data }) => data.sub)).toEqual(times(20, () => 'ada'));
    expect(await oidc.refreshes()).toBe(round);
    await oidc.killAccessToken(await session.getAccessToken());
  }
  expect(types).toEqual(['DPoP', 'DPoP']);
  // The first request of the grant had no nonce.
  expect((await oidc.log()).refused).toEqual(['use_dpop_nonce']);
});

describe('oidc-provider, client credentials:', () => {
  test.each(['basic', 'post', 'jwt'] as const)(
    'client %s, twenty concurrent calls: one token, which the server accepts',
    async (clientId) => {
      const api = await serve(async ({ headers }, response) => {
        const { active } = await introspect(headers.authorization?.slice('Bearer '.length));
        reply(response, active === true ? 200 : 401);
      });
      const session = bearer({
        refresh: clientCredentialsGrant(grantFor(clientId, { scope: 'read', resource: 'https://api.example' })),
      });
      const client = axios.create({ baseURL: api.origin });
      attachAuth(client, { scheme: session });

      const answers = await Promise.all(times(20, () => client.get('/')));

      expect(answers.map(({ status }) => status)).toEqual(times(20, () => 200));
      expect((await oidc.log()).entries.filter(({ path }) => path === '/token')).toHaveLength(1);
      expect(await introspect(await session.getAccessToken())).toMatchObject({
        client_id: clientId,
        scope: 'read',
        aud: 'https://api.example',
      });
      await expectHealthy();
      await api.close();
    },
  );

  test('an endpoint without an issuer serves private_key_jwt, too', async () => {
    const tokenEndpoint = `${oidc.origin}/token`;
    const options = { tokenEndpoint, clientId: 'jwt', clientAuth: authentications.jwt };
    const session = bearer({ refresh: clientCredentialsGrant(options) });
    expect(await introspect(await session.getAccessToken())).toMatchObject({ active: true, client_id: 'jwt' });
  });
});

describe('oidc-provider, a signed JWT and token exchange:', () => {
  const twenty = async (refresh: NonNullable<BearerOptions['refresh']>): Promise<Record<string, unknown>> => {
    const session = bearer({ refresh });
    const tokens = await Promise.all(times(20, () => session.getAccessToken()));
    expect(new Set(tokens).size).toBe(1);
    return introspect(tokens[0]);
  };
  const requests = async (): Promise<number> =>
    (await oidc.log()).entries.filter(({ path }) => path === '/token').length;

  test('jwtBearerGrant: twenty callers cost one request, and the server verifies the assertion', async () => {
    const { private_jwk: jwk } = oidc.client;
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
    const key = await crypto.subtle.importKey('jwk', jwk!, algorithm, false, ['sign']);
    const assertion = async (): Promise<string> => {
      const parts = [{ alg: 'ES256' }, { iss: 'basic', sub: 'ada', aud: oidc.origin }];
      const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
      const signature = await crypto.subtle.sign(algorithm, key, Buffer.from(text));
      return `${text}.${Buffer.from(signature).toString('base64url')}`;
    };
    const refresh = jwtBearerGrant({ ...grantFor('basic'), assertion });
    expect(await twenty(refresh)).toMatchObject({ active: true, client_id: 'basic', scope: 'read' });
    expect(await requests()).toBe(1);
  });

  test('tokenExchangeGrant: twenty callers cost one request, with the token of another session', async () => {
    const own = bearer({ refresh: clientCredentialsGrant(grantFor('post')) });
    const refresh = tokenExchangeGrant({
      ...grantFor('post', { parameters: { audience: 'https://lost.example' } }),
      subjectToken: () => own.getAccessToken(),
      audience: 'https://billing.example',
    });
    const token = await twenty(refresh);
    expect(token).toMatchObject({ active: true, client_id: 'post', aud: 'https://billing.example' });
    expect(await requests()).toBe(2);
  });
});

describe('oidc-provider, revocation:', () => {
  test('refresh token and access token are inactive afterwards, by introspection', async () => {
    const { tokens } = await oidc.mint({ clientId: 'post' });
    let refreshToken = '';
    const keep = (document: Readonly<Record<string, unknown>>): void => {
      refreshToken = String(document['refresh_token']);
    };
    const { whoAmI, session } = attached({ tokens, refresh: refreshTokenGrant(grantFor('post', { onTokens: keep })) });
    expect(await whoAmI()).toBe('ada');
    const accessToken = (await session.getAccessToken()) ?? '';
    expect(await Promise.all([introspect(accessToken), introspect(refreshToken)])).toMatchObject([
      { active: true },
      { active: true },
    ]);

    const revoke = revocation(grantFor('post'));
    await revoke({
      tokens: { accessToken, refreshToken },
      client: axios.create(),
      signal: new AbortController().signal,
    });

    expect(await Promise.all([introspect(accessToken), introspect(refreshToken)])).toEqual([
      { active: false },
      { active: false },
    ]);
    expect((await oidc.log()).entries.map(({ path, status }) => [path, status])).toEqual(
      expect.arrayContaining([['/token/revocation', 200]]),
    );
  });
});

test('oidc-provider, revocation: signOut() revokes, and is not waited for', async () => {
  const { tokens, grantId } = await oidc.mint({ clientId: 'basic' });
  const { whoAmI, session } = attached({
    tokens,
    refresh: refreshTokenGrant(grantFor('basic')),
    revoke: revocation(grantFor('basic')),
  });
  expect(await whoAmI()).toBe('ada');
  const accessToken = await session.getAccessToken();
  await session.signOut();
  while (await oidc.isGrantAlive(grantId)) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(await introspect(accessToken)).toEqual({ active: false });
});

test('oidc-provider: two sessions with one refresh token lose the grant', async () => {
  const { tokens, grantId } = await oidc.mint();
  const refresh = refreshTokenGrant(grantFor('basic'));
  const sessions = [attached({ tokens, refresh }), attached({ tokens, refresh })];
  const outcomes = await Promise.allSettled(sessions.map(({ whoAmI }) => whoAmI()));
  expect(outcomes.some(({ status }) => status === 'rejected')).toBe(true);
  expect(await oidc.isGrantAlive(grantId)).toBe(false);
});

test('oidc-provider: a wrong secret keeps the session, a dead refresh token ends it', async () => {
  const { tokens } = await oidc.mint();
  const wrong = attached({
    tokens,
    refresh: refreshTokenGrant(grantFor('basic', { clientAuth: clientSecretBasic('x') })),
  });
  expect(await codeOf(wrong.whoAmI())).toBe('ERR_AUTH_REFRESH_FAILED');
  expect(wrong.session.getSnapshot().status).toBe('signed-in');

  const dead = { ...tokens, refresh_token: 'never-issued' };
  const over = attached({ tokens: dead, refresh: refreshTokenGrant(grantFor('basic')) });
  expect(await codeOf(over.whoAmI())).toBe('ERR_AUTH_SESSION_EXPIRED');
  expect(over.session.getSnapshot().status).toBe('expired');
  expect((await oidc.log()).refused).toEqual(['invalid_client', 'invalid_grant']);
});
