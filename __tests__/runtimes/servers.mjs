// The servers of conformance.mjs: an API, and another origin. Each run has its own state, and the servers judge it.
import { createHash, createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { verifiers } from './verifiers.mjs';

const RETRY_AFTER_MS = 1_000;
const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': '*',
  'Access-Control-Expose-Headers': '*',
  'Access-Control-Max-Age': '0',
};

/** @param pages path → { type, body }: pages of the API's origin for browsers. */
export async function startServers(pages = new Map()) {
  const runs = new Map();
  const stateOf = (run) => {
    if (!runs.has(run))
      runs.set(run, {
        ...{ refreshes: 0, refused: 0, unsigned: 0, redirects: 0, leaked: 0 },
        limited: { early: 0, arrivals: 0 },
      });
    return runs.get(run);
  };
  const server = async () => {
    const listening = createServer((request, response) => void answer(request, response));
    await new Promise((resolve) => listening.listen(0, '127.0.0.1', resolve));
    return listening;
  };

  async function answer(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const reply = (status, data, headers = {}) => {
      // Headers by name, since the wildcard does not cover Authorization.
      const asked = request.headers['access-control-request-headers'] ?? '*';
      response.writeHead(status, {
        'Content-Type': 'application/json',
        ...CORS,
        'Access-Control-Allow-Headers': asked,
        ...headers,
      });
      response.end(typeof data === 'string' ? data : JSON.stringify(data));
    };
    if (request.method === 'OPTIONS') return reply(204, '');
    const page = pages.get(request.url);
    if (page) return reply(200, page.body, { 'Content-Type': page.type });
    const [, run, path] = /^\/(run-[\w-]+)(\/.*)$/.exec(request.url) ?? [];
    if (run === undefined) return reply(404, {});
    const url = new URL(path, 'http://server');
    const state = stateOf(run);
    const route = Object.keys(routes).find((name) => url.pathname.startsWith(name));
    return route ? routes[route]({ request, url, path, body, state, reply }) : reply(404, {});
  }

  const listening = [await server(), await server()];
  const [api, foreign] = listening.map((each) => `http://127.0.0.1:${each.address().port}`);
  const close = () => listening.forEach((each) => (each.close(), each.closeAllConnections()));
  return { api, foreign, pages, close };
}

const routes = {
  ...verifiers,

  '/facts': ({ state, reply }) => reply(200, state),

  '/token': ({ body, state, reply }) => {
    const expected = state.refreshToken ?? 'first';
    state.refreshes++;
    if (JSON.parse(String(body)).refresh_token !== expected) return reply(400, { error: 'invalid_grant' });
    state.token = `token-${state.refreshes}`;
    state.refreshToken = `refresh-${state.refreshes}`;
    // Long enough that all ten calls are refused before.
    setTimeout(
      () => reply(200, { access_token: state.token, refresh_token: state.refreshToken, expires_in: 3600 }),
      200,
    );
  },

  '/me': ({ request, path, state, reply }) => {
    if (state.token !== undefined && request.headers.authorization === `Bearer ${state.token}`)
      return reply(200, { url: path });
    state.refused++;
    reply(401, {}, { 'WWW-Authenticate': 'Bearer error="invalid_token"' });
  },

  '/limited': ({ state: { limited }, reply }) => {
    limited.arrivals++;
    if (limited.until === undefined) {
      limited.until = performance.now() + RETRY_AFTER_MS;
      return reply(429, {}, { 'Retry-After': String(RETRY_AFTER_MS / 1_000) });
    }
    if (performance.now() < limited.until) limited.early++;
    reply(200, {});
  },

  '/signed': ({ request, path, body, state, reply }) => {
    const { 'x-api-key': key, 'x-timestamp': timestamp, 'x-signature': signature } = request.headers;
    if (signature === undefined) state.unsigned++;
    // The client signed the sent path, with the name of the run.
    const full = request.url;
    const hash = createHash('sha256').update(body).digest('hex');
    const text = `${request.method}\n${full}\n${timestamp}\n${hash}`;
    const expected = createHmac('sha256', 'tops3cret').update(text).digest('hex');
    const verified = key === 'key-1' && signature === expected && Math.abs(Date.now() / 1_000 - timestamp) < 60;
    reply(verified ? 200 : 403, { verified, path });
  },

  '/echo': ({ request, reply }) => reply(200, { seen: request.headers['x-seen'], url: request.url }),

  '/redirect': ({ url, state, reply }) => {
    state.redirects++;
    reply(302, '', { Location: url.searchParams.get('to') });
  },

  '/foreign': ({ request, state, reply }) => {
    if (request.headers['x-api-key'] !== undefined) state.leaked++;
    reply(200, {});
  },
};
