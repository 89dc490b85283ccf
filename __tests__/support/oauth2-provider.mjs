// oidc-provider with every kind of client that /oauth2 authenticates. Speaks with the process that forked it as
// examples/demo/oidc-server.mjs does: { id, ask, about } in, { id, answer } or { id, error } out.
import { generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import Provider from 'oidc-provider';
import { listen } from '../../examples/demo/listen.mjs';

const SECRET = 'a secret: of+app %';
const KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = (key, more) => ({ ...key.export({ format: 'jwk' }), alg: 'ES256', ...more });
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const clientOf = (id, method, more) => ({
  client_id: id,
  token_endpoint_auth_method: method,
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials', JWT_BEARER, TOKEN_EXCHANGE],
  response_types: ['code'],
  redirect_uris: ['https://app.example/callback'],
  id_token_signed_response_alg: 'ES256',
  ...(method.startsWith('client_secret') && { client_secret: SECRET }),
  ...more,
});
const CLIENTS = [
  clientOf('basic', 'client_secret_basic'),
  clientOf('post', 'client_secret_post'),
  clientOf('jwt', 'private_key_jwt', { jwks: { keys: [jwk(KEY.publicKey, { use: 'sig' })] } }),
  clientOf('dpop', 'client_secret_post', { dpop_bound_access_tokens: true }),
  clientOf('public', 'none', { grant_types: ['authorization_code', 'refresh_token'] }),
];

const refused = [];
const revoked = [];
let provider;

function createProvider(issuer) {
  const resource = (audience) => ({ audience, scope: 'read write', accessTokenFormat: 'opaque', accessTokenTTL: 600 });
  const created = new Provider(issuer, {
    clients: CLIENTS,
    jwks: { keys: [jwk(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, { use: 'sig' })] },
    cookies: { keys: ['only for this test'] },
    scopes: ['openid', 'offline_access', 'read', 'write'],
    clientAuthSigningAlgValues: ['ES256'],
    enabledJWA: { clientAuthSigningAlgValues: ['ES256'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, audience) => resource(audience),
      },
    },
    interactions: { url: () => '/not-here' },
    findAccount: (ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    rotateRefreshToken: true,
    clockTolerance: 0,
    ttl: { AccessToken: 600, ClientCredentials: 600, RefreshToken: 86_400, Grant: 86_400, IdToken: 600 },
  });
  // oidc-provider does not implement these two grants.
  const register = (type, parameters, isGood) => {
    const answer = async (ctx) => {
      const { client, params } = ctx.oidc;
      if (!(await isGood(params))) {
        ctx.status = 400;
        ctx.body = { error: 'invalid_grant' };
        return;
      }
      const token = new created.ClientCredentials({ client, scope: 'read', aud: params.audience });
      const issued = { issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' };
      ctx.body = { access_token: await token.save(), token_type: 'Bearer', expires_in: 600, ...issued };
    };
    created.registerGrantType(type, answer, parameters);
  };
  register(JWT_BEARER, ['assertion'], ({ assertion }) => {
    const [header, payload, signature] = assertion.split('.');
    const key = { key: KEY.publicKey, dsaEncoding: 'ieee-p1363' };
    return (
      verify('sha256', `${header}.${payload}`, key, Buffer.from(signature, 'base64url')) &&
      JSON.parse(Buffer.from(payload, 'base64url')).aud === issuer
    );
  });
  const exchanged = ['subject_token', 'subject_token_type', 'audience'];
  register(TOKEN_EXCHANGE, exchanged, ({ subject_token: subject }) => created.ClientCredentials.find(subject));
  created.on('grant.success', ({ req, oidc }) => {
    req.entry.isRefresh = oidc.params.grant_type === 'refresh_token';
  });
  created.on('grant.error', (ctx, error) => refused.push(error.error));
  created.on('grant.revoked', (ctx, grantId) => revoked.push(grantId));
  return created;
}

const { origin, log } = await listen((issuer) => {
  provider = createProvider(issuer);
  return provider.callback();
});

const answers = {
  async mint({ clientId = 'basic' } = {}) {
    const client = await provider.Client.find(clientId);
    const scope = 'openid offline_access read';
    const grant = new provider.Grant({ clientId, accountId: 'ada' });
    grant.addOIDCScope(scope);
    grant.addResourceScope('https://api.example', 'read');
    const grantId = await grant.save();
    const about = { client, accountId: 'ada', grantId, scope, gty: 'authorization_code', expiresWithSession: false };
    const resource = ['https://api.example'];
    const authTime = Math.floor(Date.now() / 1000);
    const refreshToken = await new provider.RefreshToken({ ...about, resource, authTime }).save();
    return { grantId, tokens: { access_token: 'dead', refresh_token: refreshToken, expires_in: 600 } };
  },
  async killAccessToken({ token }) {
    await (await provider.AccessToken.find(token))?.destroy();
  },
  async isGrantAlive({ grantId }) {
    return (await provider.Grant.find(grantId)) !== undefined;
  },
  log: () => ({ entries: log.entries, revoked, refused }),
  clear() {
    log.clear();
    revoked.length = refused.length = 0;
  },
};

process.on('message', async ({ id, ask, about }) => {
  try {
    process.send({ id, answer: await answers[ask](about) });
  } catch (error) {
    process.send({ id, error: error.stack });
  }
});
process.on('disconnect', () => process.exit());
const privateJwk = jwk(KEY.privateKey);
process.send({ ready: { origin, client: { client_id: 'basic', client_secret: SECRET, private_jwk: privateJwk } } });
