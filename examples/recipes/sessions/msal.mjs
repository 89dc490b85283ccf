import { bearer } from 'axios-attach-auth';

/** @param {import('@azure/msal-browser').PublicClientApplication} msal with an active account */
export function sessionOf(msal, scopes) {
  return bearer({
    refresh: async ({ reason }) => {
      const account = msal.getActiveAccount();
      const answer = account && (await msal.acquireTokenSilent({ account, scopes, forceRefresh: reason !== 'missing' }));
      return answer && { accessToken: answer.accessToken, expiresAt: answer.expiresOn?.getTime() };
    },
  });
}
