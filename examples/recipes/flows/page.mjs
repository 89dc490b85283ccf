/* global location, history */
import * as oauth from 'oauth4webapi';

/**
 * Authorization code with PKCE (RFC 7636) in a page.
 *
 * @param {oauth.AuthorizationServer} as its metadata
 * @param {oauth.Client} client
 * @param {string} redirectUri a page of the app, which calls finishSignIn()
 */
export async function startSignIn(as, client, redirectUri) {
  const [verifier, state] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState()];
  sessionStorage.setItem('sign-in', JSON.stringify({ verifier, state }));
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'openid offline_access',
    prompt: 'consent',
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  location.assign(url);
}

/** @param {import('axios-attach-auth').BearerScheme} session */
export async function finishSignIn(session, as, client, redirectUri, options) {
  const { verifier, state } = JSON.parse(sessionStorage.getItem('sign-in'));
  sessionStorage.removeItem('sign-in');
  const code = oauth.validateAuthResponse(as, client, new URL(location.href), state);
  const response = await oauth.authorizationCodeGrantRequest(
    as,
    client,
    oauth.None(),
    code,
    redirectUri,
    verifier,
    options,
  );
  await session.signIn(await oauth.processAuthorizationCodeResponse(as, client, response));
  history.replaceState(null, '', '/');
}
