import { createServer } from 'node:http';
import Provider from 'oidc-provider';

/** oidc-provider on this machine, as identity server and, by its userinfo endpoint, as API. */
export async function startProvider() {
  const counts = { refreshes: 0, revokedGrants: 0 };
  const server = createServer((request, response) => {
    if (request.url.startsWith('/interaction/')) void interact(request, response);
    else provider.callback()(request, response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'orders-cli',
        token_endpoint_auth_method: 'none',
        grant_types: ['refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
        response_types: [],
        redirect_uris: [],
      },
    ],
    features: {
      deviceFlow: { enabled: true },
      devInteractions: { enabled: false },
      revocation: { enabled: true, allowedPolicy: () => true },
    },
    interactions: { url: (ctx, { uid }) => `/interaction/${uid}` },
    findAccount: (ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    rotateRefreshToken: true,
    clockTolerance: 0,
    cookies: { keys: ['for this example only'] },
    ttl: {
      AccessToken: 600,
      DeviceCode: 600,
      Grant: 86_400,
      IdToken: 600,
      Interaction: 600,
      RefreshToken: 86_400,
      Session: 600,
    },
  });
  provider.on('grant.success', ({ oidc }) => {
    if (oidc.params.grant_type === 'refresh_token') counts.refreshes++;
  });
  provider.on('grant.revoked', () => counts.revokedGrants++);

  async function grantFor(clientId) {
    const grant = new provider.Grant({ clientId, accountId: 'ada' });
    grant.addOIDCScope('openid offline_access');
    return grant.save();
  }
  /** Replaces the pages for log-in and consent. */
  async function interact(request, response) {
    const { params } = await provider.interactionDetails(request, response);
    const consent = { grantId: await grantFor(params.client_id) };
    await provider.interactionFinished(request, response, { login: { accountId: 'ada' }, consent });
  }

  const accessTokens = [];
  provider.on('access_token.saved', (token) => accessTokens.push(token));
  return {
    issuer,
    counts,
    /** The configuration of the tool. */
    env: { ISSUER: issuer, API_URL: issuer },
    /** The request of the device page after the user's consent. */
    async approveDevice(userCode) {
      const code = await provider.DeviceCode.findByUserCode(userCode.replace(/[^A-Z\d]/g, ''));
      const authTime = Math.floor(Date.now() / 1000);
      Object.assign(code, {
        accountId: 'ada',
        grantId: await grantFor('orders-cli'),
        scope: 'openid offline_access',
        authTime,
      });
      await code.save();
    },
    async revokeAccessTokens() {
      for (const token of accessTokens.splice(0)) await token.destroy();
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
