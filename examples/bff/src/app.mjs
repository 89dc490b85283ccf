import { isAuthError } from 'axios-attach-auth';
import express from 'express';
import { createApi, currentSession } from './api.mjs';
import { loginRoutes } from './login.mjs';
import { Sessions } from './sessions.mjs';

const HOME = `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>BFF</title><p><a href="/auth/login">Sign in</a>, then <a href="/api/me">who am I?</a>`;

/** The backend for a frontend: it holds the tokens, and calls the API as the user of the request. */
export async function createApp({ redis, issuer, clientId, clientSecret, apiUrl, origin }) {
  const sessions = new Sessions({ redis, issuer, clientId, clientSecret });
  const { api, detach } = createApi(apiUrl, redis);
  const cookie = { httpOnly: true, sameSite: 'lax', secure: origin.startsWith('https:') };
  const app = express();

  app.use((request, response, next) => {
    request.cookies = cookiesOf(request);
    next();
  });
  app.use('/auth', await loginRoutes({ issuer, clientId, clientSecret, origin, sessions, cookie }));
  app.use('/api', (request, response, next) => {
    const { sid } = request.cookies;
    if (!sid) return response.sendStatus(401);
    currentSession.run(sessions.of(sid), next);
  });

  app.get('/api/me', async (request, response) => {
    const { data } = await api.get('/me');
    response.json({ name: data.sub });
  });
  app.get('/', (request, response) => {
    response.send(HOME);
  });

  // Four parameters make it an error handler.
  app.use((error, request, response, next) => {
    if (response.headersSent) return next(error);
    const status = error.response?.status;
    if (status === 401 || (isAuthError(error) && error.code === 'ERR_AUTH_SESSION_EXPIRED'))
      return response.sendStatus(401);
    if (status === 429 || (isAuthError(error) && error.code === 'ERR_AUTH_THROTTLED')) return response.sendStatus(503);
    console.error(error.message);
    response.sendStatus(502);
  });
  return { app, detach };
}

/** The host may have cookies of other apps, in any form. */
function cookiesOf({ headers }) {
  const pairs = (headers.cookie ?? '').split('; ').map((pair) => /^([^=]*)=?(.*)$/s.exec(pair).slice(1));
  return Object.fromEntries(pairs.map(([name, value]) => [name, decoded(value)]));
}

function decoded(value) {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
