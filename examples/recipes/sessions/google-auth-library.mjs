import { bearer } from 'axios-attach-auth';

/** @param {import('google-auth-library').OAuth2Client} client of a user, or a JWT or Compute client, which extend it */
export function sessionOf(client) {
  return bearer({
    refresh: async ({ reason }) => {
      // getAccessToken() renews what has expired.
      if (reason !== 'missing') client.setCredentials({ ...client.credentials, expiry_date: 1 });
      const { token } = await client.getAccessToken();
      return { accessToken: token, expiresAt: client.credentials.expiry_date };
    },
  });
}
