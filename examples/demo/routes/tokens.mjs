import { randomBytes } from 'node:crypto';
import { Router } from 'express';

const LIFETIME_S = 600;

/** A token endpoint (password and refresh_token grants, rotating) and paths that need its tokens. */
export class Tokens {
  #access = new Map();
  #refresh = new Set();

  routes() {
    const routes = Router();
    routes.post('/token', (request, response) => {
      const form = new URLSearchParams(request.body?.toString('utf8'));
      const isKnown =
        form.get('grant_type') === 'refresh_token' ? this.#refresh.delete(form.get('refresh_token')) : isAda(form);
      if (!isKnown) return response.status(400).json({ error: 'invalid_grant' });
      request.entry.isRefresh = form.get('grant_type') === 'refresh_token';
      response.json(this.issue());
    });
    routes.get('/me', this.guard, (request, response) => response.json({ user: 'ada' }));
    return routes;
  }

  issue() {
    const access_token = randomBytes(18).toString('base64url');
    const refresh_token = randomBytes(18).toString('base64url');
    this.#access.set(access_token, Date.now() + LIFETIME_S * 1000);
    this.#refresh.add(refresh_token);
    return { access_token, refresh_token, token_type: 'Bearer', expires_in: LIFETIME_S };
  }

  /** Revokes all access tokens. Refresh tokens stay valid. */
  revokeAccess() {
    this.#access.clear();
  }

  guard = (request, response, next) => {
    const token = /^Bearer (.+)$/.exec(request.get('Authorization') ?? '')?.[1];
    if (token !== undefined && (this.#access.get(token) ?? 0) > Date.now()) return next();
    const error = token === undefined ? '' : ', error="invalid_token"';
    response.status(401).set('WWW-Authenticate', `Bearer realm="demo"${error}`).end();
  };
}

function isAda(form) {
  return form.get('grant_type') === 'password' && form.get('username') === 'ada' && form.get('password') === 'engine';
}
