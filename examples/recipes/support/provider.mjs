import { createServer } from 'node:http';
import { after } from 'node:test';
import Provider from 'oidc-provider';

/**
 * oidc-provider on loopback, with the public client `app`. It rotates refresh tokens, and revokes the grant if one is sent
 * twice. `pages`: origins whose pages may call it.
 */
export async function startProvider({ redirectUri = 'http://127.0.0.1/callback', pages = [] } = {}) {
  const server = createServer((request, response) => {
    if (request.url.startsWith('/interaction/')) void interact(request, response);
    else provider.callback()(request, response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const counts = { refreshes: 0, revoked: 0 };
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'app',
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
        redirect_uris: [redirectUri],
      },
    ],
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: false } },
    interactions: { url: (ctx, { uid }) => `/interaction/${uid}` },
    clientBasedCORS: (ctx, origin) => pages.includes(origin),
    findAccount: (ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    rotateRefreshToken: true,
    clockTolerance: 0,
    cookies: { keys: ['for this test only'] },
    ttl: {
      AccessToken: 600,
      AuthorizationCode: 60,
      DeviceCode: 600,
      Grant: 3600,
      IdToken: 600,
      Interaction: 600,
      Session: 3600,
    },
  });
  provider.on('grant.success', ({ oidc }) => {
    if (oidc.params.grant_type === 'refresh_token') counts.refreshes++;
  });
  provider.on('grant.revoked', () => counts.revoked++);

  const scope = 'openid offline_access';
  async function grantFor(clientId, accountId) {
    const grant = new provider.Grant({ clientId, accountId });
    grant.addOIDCScope(scope);
    return grant.save();
  }
  /** The result of the pages for log-in and consent. */
  async function interact(request, response) {
    const { params } = await provider.interactionDetails(request, response);
    const consent = { grantId: await grantFor(params.client_id, 'ada') };
    await provider.interactionFinished(request, response, { login: { accountId: 'ada' }, consent });
  }
  return {
    issuer,
    counts,
    /** Tokens of a sign-in, with a revoked access token. */
    async mint() {
      const client = await provider.Client.find('app');
      const grantId = await grantFor('app', 'ada');
      const about = { client, accountId: 'ada', grantId, scope, gty: 'authorization_code', expiresWithSession: false };
      const refreshToken = new provider.RefreshToken({ ...about, authTime: Math.floor(Date.now() / 1000) });
      return { access_token: 'revoked', refresh_token: await refreshToken.save() };
    },
    async killAccessToken(token) {
      await (await provider.AccessToken.find(token)).destroy();
    },
    /** The request of the user's page after the consent. */
    async approveDevice(userCode) {
      const code = await provider.DeviceCode.findByUserCode(userCode.replace(/[^A-Z\d]/g, ''));
      const grantId = await grantFor('app', 'ada');
      Object.assign(code, { accountId: 'ada', grantId, scope, authTime: Math.floor(Date.now() / 1000) });
      await code.save();
    },
  };
}
