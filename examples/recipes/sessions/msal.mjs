import { bearer, RefreshRejectedError } from 'axios-attach-auth';

/** @param {import('@azure/msal-browser').IPublicClientApplication} msal with an active account */
export function sessionOf(msal, scopes) {
  return bearer({
    refresh: async ({ reason }) => {
      const account = msal.getActiveAccount();
      if (!account) return null;
      const request = { account, scopes, forceRefresh: reason !== 'missing' };
      const { accessToken, expiresOn } = await msal.acquireTokenSilent(request).catch(endIfInteractionRequired);
      return { accessToken, expiresAt: expiresOn?.getTime() };
    },
  });
}

function endIfInteractionRequired(error) {
  throw error.name === 'InteractionRequiredAuthError' ? new RefreshRejectedError() : error;
}
