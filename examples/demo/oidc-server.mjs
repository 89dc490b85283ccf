import { generateKeyPairSync, randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';
import { listen } from './listen.mjs';

// Runs in its own process, and exchanges messages with its parent: { id, ask, about } in, { id, answer } or { id, error } out.

const CLIENT = { client_id: 'demo', client_secret: randomBytes(24).toString('base64url') };
/** A public client, since only its refresh tokens are bound to a DPoP key, too (RFC 9449 §5). */
const PUBLIC_CLIENT = { client_id: 'demo-public' };
const revoked = [];
const refused = [];
/** Lifetime in seconds of access tokens that are issued from now on. */
let lifetime;
/** Revokes the access token at these requests to /me with a valid one, counted from the last clear(). */
let deadly = [];
let living = 0;
/** Requests with a DPoP proof need a nonce of the provider. */
let areNoncesRequired = false;

function createProvider(issuer) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const provider = new Provider(issuer, {
    clients: [
      {
        ...CLIENT,
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: ['https://app.example/callback'],
        token_endpoint_auth_method: 'client_secret_basic',
        id_token_signed_response_alg: 'ES256',
      },
      {
        ...PUBLIC_CLIENT,
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: ['https://app.example/callback'],
        token_endpoint_auth_method: 'none',
        id_token_signed_response_alg: 'ES256',
        dpop_bound_access_tokens: true,
      },
    ],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256' }] },
    cookies: { keys: [randomBytes(24).toString('base64url')] },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => areNoncesRequired },
    },
    interactions: { url: () => '/not-here' },
    findAccount: (ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    rotateRefreshToken: true,
    clockTolerance: 0,
    ttl: { AccessToken: () => lifetime, RefreshToken: 86_400, Grant: 86_400, IdToken: 600 },
  });
  provider.on('grant.success', ({ req, oidc }) => {
    req.entry.isRefresh = oidc.params.grant_type === 'refresh_token';
  });
  provider.on('grant.error', (ctx, error) => refused.push(error.error));
  provider.on('grant.revoked', (ctx, grantId) => revoked.push(grantId));
  return provider;
}

let provider;
const { origin, log } = await listen((issuer) => {
  provider = createProvider(issuer);
  const answer = provider.callback();
  return async (request, response) => {
    const token = await provider.AccessToken.find(request.headers.authorization?.split(' ')[1]);
    if (request.url === '/me' && token && deadly.includes(++living)) await token.destroy();
    answer(request, response);
  };
});

const answers = {
  /**
   * Tokens of a sign-in in the browser. `isDead`: the access token is revoked. `jkt`: tokens of the public client, bound to the DPoP key
   * with this thumbprint.
   */
  async mint({ isDead = false, lifetimeS = 600, jkt } = {}) {
    lifetime = lifetimeS;
    const accountId = 'ada';
    const scope = 'openid offline_access';
    const client = await provider.Client.find((jkt ? PUBLIC_CLIENT : CLIENT).client_id);
    const grant = new provider.Grant({ clientId: client.clientId, accountId });
    grant.addOIDCScope(scope);
    const grantId = await grant.save();
    const about = { client, accountId, grantId, scope, jkt, gty: 'authorization_code', expiresWithSession: false };
    const accessToken = new provider.AccessToken(about);
    const tokens = {
      access_token: await accessToken.save(),
      refresh_token: await new provider.RefreshToken({ ...about, authTime: Math.floor(Date.now() / 1000) }).save(),
      expires_in: accessToken.expiration,
    };
    if (isDead) await accessToken.destroy();
    return { grantId, tokens };
  },
  async killAccessToken({ token }) {
    await (await provider.AccessToken.find(token))?.destroy();
  },
  killAtRequests({ numbers }) {
    deadly = numbers;
  },
  requireNonces({ areRequired }) {
    areNoncesRequired = areRequired;
  },
  async isGrantAlive({ grantId }) {
    return (await provider.Grant.find(grantId)) !== undefined;
  },
  log: () => ({ entries: log.entries, revoked, refused }),
  clear() {
    log.clear();
    areNoncesRequired = false;
    deadly = [];
    living = 0;
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
process.send({ ready: { origin, client: CLIENT, publicClient: PUBLIC_CLIENT } });
