import { bearer, RefreshRejectedError } from 'axios-attach-auth';

const MUST_LOG_IN = ['login_required', 'missing_refresh_token', 'invalid_grant'];

/** @param {import('@auth0/auth0-spa-js').Auth0Client} auth0 */
export function sessionOf(auth0) {
  return bearer({
    refresh: async ({ reason }) => {
      try {
        return { accessToken: await auth0.getTokenSilently({ cacheMode: reason === 'missing' ? 'on' : 'off' }) };
      } catch (error) {
        throw MUST_LOG_IN.includes(error.error) ? new RefreshRejectedError() : error;
      }
    },
  });
}
