import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const CLIENT = { client_id: 'bff', client_secret: 'only for this example' };

/**
 * oidc-provider on this machine, as identity server and, by its userinfo endpoint, as API. Every sign-in is that of the next
 * of `users`.
 */
export async function startProvider({ redirectUri, users = ['ada'] }) {
  const counts = { refreshes: 0, revokedGrants: 0 };
  const accessTokens = [];
  let signIns = 0;
  const server = createServer((request, response) => {
    if (request.url.startsWith('/interaction/')) void interact(request, response);
    else provider.callback()(request, response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ ...CLIENT, grant_types: ['authorization_code', 'refresh_token'], redirect_uris: [redirectUri] }],
    features: { devInteractions: { enabled: false }, revocation: { enabled: true } },
    interactions: { url: (ctx, { uid }) => `/interaction/${uid}` },
    findAccount: (ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    rotateRefreshToken: true,
    clockTolerance: 0,
    cookies: { keys: ['for this example only'] },
    ttl: {
      AccessToken: 600,
      AuthorizationCode: 60,
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
  provider.on('access_token.saved', (token) => accessTokens.push(token));

  /** Replaces the pages for log-in and consent. */
  async function interact(request, response) {
    const { params } = await provider.interactionDetails(request, response);
    const accountId = users[signIns++ % users.length];
    const grant = new provider.Grant({ clientId: params.client_id, accountId });
    grant.addOIDCScope('openid offline_access');
    const consent = { grantId: await grant.save() };
    await provider.interactionFinished(request, response, { login: { accountId }, consent });
  }
  return {
    counts,
    /** The configuration of the BFF. */
    env: { ISSUER: issuer, API_URL: issuer, CLIENT_ID: CLIENT.client_id, CLIENT_SECRET: CLIENT.client_secret },
    async revokeAccessTokens() {
      for (const token of accessTokens.splice(0)) await token.destroy();
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
