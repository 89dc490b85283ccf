import { randomBytes } from 'node:crypto';
import { Router } from 'express';
import * as openid from 'openid-client';

const MINUTES = 60_000;

/** Authorization code with PKCE (RFC 7636). The browser never sees a token: it gets the id of a session. */
export async function loginRoutes({ issuer, clientId, clientSecret, origin, sessions, cookie }) {
  const isLocal = issuer.startsWith('http:');
  const config = await openid.discovery(new URL(issuer), clientId, undefined, openid.ClientSecretBasic(clientSecret), {
    execute: isLocal ? [openid.allowInsecureRequests] : [],
  });
  const routes = Router();

  routes.get('/login', async (request, response) => {
    const [verifier, state] = [openid.randomPKCECodeVerifier(), openid.randomState()];
    response.cookie('login', JSON.stringify({ verifier, state }), { ...cookie, path: '/auth', maxAge: 10 * MINUTES });
    const url = openid.buildAuthorizationUrl(config, {
      redirect_uri: `${origin}/auth/callback`,
      scope: 'openid offline_access',
      prompt: 'consent',
      state,
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    response.redirect(url.href);
  });

  routes.get('/callback', async (request, response) => {
    const { verifier, state } = JSON.parse(request.cookies.login ?? '{}');
    const tokens = await openid.authorizationCodeGrant(config, new URL(request.originalUrl, origin), {
      pkceCodeVerifier: verifier,
      expectedState: state,
    });
    // A new id for every sign-in, so that an id planted by an attacker gets no session.
    const id = randomBytes(32).toString('base64url');
    await sessions.of(id).signIn(tokens);
    response.clearCookie('login', { ...cookie, path: '/auth' });
    response.cookie('sid', id, cookie);
    response.redirect('/');
  });

  routes.post('/logout', async (request, response) => {
    if (request.cookies.sid) await sessions.of(request.cookies.sid).signOut();
    response.clearCookie('sid', cookie);
    response.sendStatus(204);
  });
  return routes;
}
