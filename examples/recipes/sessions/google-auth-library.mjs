import { bearer } from 'axios-attach-auth';

/** @param {import('google-auth-library').OAuth2Client} client or any other that has refreshAccessToken(): JWT, Compute, … */
export function sessionOf(client) {
  return bearer({
    refresh: async ({ reason }) => {
      if (reason === 'missing') await client.getAccessToken();
      else await client.refreshAccessToken();
      return { accessToken: client.credentials.access_token, expiresAt: client.credentials.expiry_date };
    },
  });
}
