import { randomBytes } from 'node:crypto';
import express from 'express';

/** A refresh token that was replaced a moment ago is not theft: a user may open two tabs at once. */
const GRACE_MS = 10_000;

/** An auth server with rotating refresh cookies, and the API. It counts its requests. */
export function createServers() {
  const counts = { refreshes: 0, unauthorized: 0 };
  const refreshTokens = new Map();
  const accessTokens = new Map();
  const random = () => randomBytes(16).toString('base64url');
  const cookie = (token) => `refresh=${token}; HttpOnly; SameSite=Lax; Path=/`;
  const issue = (user) => {
    const refresh = random();
    refreshTokens.set(refresh, { user, replacedAt: Infinity });
    return refresh;
  };

  const auth = express();
  auth.get('/login', (request, response) => {
    response.set('Set-Cookie', cookie(issue(request.query.user ?? 'ada'))).send('Signed in.');
  });
  auth.post('/refresh', (request, response) => {
    const [, token] = /(?:^|; )refresh=([^;]+)/.exec(request.headers.cookie ?? '') ?? [];
    const entry = refreshTokens.get(token);
    if (!entry || Date.now() > entry.replacedAt + GRACE_MS) return response.sendStatus(401);
    counts.refreshes++;
    entry.replacedAt = Math.min(entry.replacedAt, Date.now());
    const accessToken = random();
    accessTokens.set(accessToken, entry.user);
    response.set('Set-Cookie', cookie(issue(entry.user))).json({ accessToken, expiresIn: 300 });
  });

  const api = express();
  api.use((request, response, next) => {
    request.user = accessTokens.get(request.headers.authorization?.replace('Bearer ', ''));
    if (request.user) return next();
    counts.unauthorized++;
    response.sendStatus(401);
  });
  api.get('/me', ({ user }, response) => response.json({ name: user }));
  api.get('/orders', ({ user }, response) => response.json([`a book for ${user}`, `a pen for ${user}`]));
  return { auth, api, counts, accessTokens };
}
