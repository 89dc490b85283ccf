// A small backend: short access tokens, and a refresh token that rotates in an HttpOnly cookie.
import { randomUUID } from 'node:crypto';
import express from 'express';

const USERS = new Map([['ada', 'lovelace']]);
const ACCESS_TOKEN_SECONDS = 300;
const ORDERS = Array.from({ length: 30 }, (_, index) => ({
  id: index + 1,
  customer: ['Ada', 'Grace', 'Edsger', 'Barbara', 'Alan'][index % 5],
  total: 12.5 * (index + 1),
}));

/** Returns an Express router, and for tests the log of requests and functions that cause failures. */
export function createApi() {
  /** access token → { user, expiresAt } */
  const accessTokens = new Map();
  /** refresh token → { user, family, isSpent } */
  const refreshTokens = new Map();
  const log = [];
  let ordersUntilExpiry = Infinity;
  let isDown = false;

  const endFamily = (family) => {
    for (const [token, entry] of refreshTokens) if (entry.family === family) refreshTokens.delete(token);
  };
  const expireAccessTokens = () => accessTokens.clear();

  function issue(response, user, family) {
    const refreshToken = randomUUID();
    refreshTokens.set(refreshToken, { user, family, isSpent: false });
    response.cookie('refresh', refreshToken, { httpOnly: true, sameSite: 'strict', path: '/auth', maxAge: 86_400_000 });
    const accessToken = randomUUID();
    accessTokens.set(accessToken, { user, expiresAt: Date.now() + ACCESS_TOKEN_SECONDS * 1000 });
    response.json({ access_token: accessToken, expires_in: ACCESS_TOKEN_SECONDS });
  }
  const cookieOf = (request) => /(?:^|; )refresh=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];

  const router = express.Router();
  router.use(['/auth', '/api', '/demo'], (request, response, next) => {
    response.set('Cache-Control', 'no-store');
    const entry = { method: request.method, url: request.originalUrl, status: 0 };
    log.push(entry);
    response.on('finish', () => (entry.status = response.statusCode));
    next();
  });
  router.use(express.json());

  router.post('/auth/login', (request, response) => {
    const { user, password } = request.body ?? {};
    if (typeof user !== 'string' || USERS.get(user) !== password)
      return void response.status(401).json({ error: 'wrong user name or password' });
    issue(response, user, randomUUID());
  });

  router.post('/auth/refresh', (request, response) => {
    if (isDown) return void response.sendStatus(503);
    const token = cookieOf(request);
    const entry = refreshTokens.get(token);
    if (!entry || entry.isSpent) {
      // A refresh token that is used twice may be stolen: the whole family ends (RFC 9700, section 4.14.2).
      if (entry) {
        log.push({ method: 'REUSE', url: '/auth/refresh', status: 400 });
        endFamily(entry.family);
      }
      return void response.status(400).json({ error: 'invalid_grant' });
    }
    entry.isSpent = true;
    issue(response, entry.user, entry.family);
  });

  router.post('/auth/logout', (request, response) => {
    const entry = refreshTokens.get(cookieOf(request));
    if (entry) endFamily(entry.family);
    response.clearCookie('refresh', { path: '/auth' }).sendStatus(204);
  });

  router.use('/api', (request, response, next) => {
    if (isDown) return void response.sendStatus(503);
    const token = request.headers.authorization?.replace(/^Bearer /, '');
    const access = accessTokens.get(token);
    if (!access || access.expiresAt < Date.now())
      return void response.status(401).set('WWW-Authenticate', 'Bearer error="invalid_token"').json({});
    response.locals.user = access.user;
    next();
  });
  router.get('/api/me', (_, response) => void response.json({ user: response.locals.user }));
  router.get('/api/orders', (_, response) => void response.json(ORDERS.map(({ id }) => id)));
  router.get('/api/orders/:id', (request, response) => {
    const order = ORDERS.find(({ id }) => String(id) === request.params.id);
    if (--ordersUntilExpiry === 0) expireAccessTokens();
    if (!order) return void response.status(404).json({});
    response.json(order);
  });

  // The actions of the buttons of the page. No real backend has these.
  router.post('/demo/expire-after/:count', (request, response) => {
    ordersUntilExpiry = Number(request.params.count);
    if (ordersUntilExpiry === 0) expireAccessTokens();
    response.sendStatus(204);
  });
  router.post('/demo/end-session', (_, response) => {
    expireAccessTokens();
    refreshTokens.clear();
    response.sendStatus(204);
  });

  return {
    router,
    log,
    setDown: (down) => {
      isDown = down;
    },
  };
}
