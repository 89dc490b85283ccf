// oidc-provider with every kind of client that /oauth2 authenticates. Speaks with the process that forked it as
// examples/demo/oidc-server.mjs does: { id, ask, about } in, { id, answer } or { id, error } out.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';
import { listen } from '../../examples/demo/listen.mjs';

const SECRET = 'a secret: of+app %';
const KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = (key, more) => ({ ...key.export({ format: 'jwk' }), alg: 'ES256', ...more });
const clientOf = (id, method, more) => ({
  client_id: id,
  token_endpoint_auth_method: method,
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
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
