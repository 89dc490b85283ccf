import { createServer } from 'node:http';

const CLIENT = { id: 'nightly-sync', secret: 'only for this example' };

/** An API with a limit of `limit` calls per `windowMs` for this client, and its token endpoint. It counts what it does. */
export async function startApi({ limit = 100, windowMs = 1_000, lifetimeS = 5 } = {}) {
  const counts = { tokens: 0, served: 0, refused: 0, unauthorized: 0 };
  const alive = new Map();
  let window = 0;
  let used = 0;

  const server = createServer((request, response) => {
    const reply = (status, body, headers = {}) =>
      response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
    const [kind, credentials = ''] = (request.headers.authorization ?? '').split(' ');
    request.resume();

    if (request.url === '/token') {
      const [id, secret] = Buffer.from(credentials, 'base64').toString().split(':').map(decode);
      if (id !== CLIENT.id || secret !== CLIENT.secret) return reply(401, { error: 'invalid_client' });
      const token = `token-${++counts.tokens}`;
      alive.set(token, Date.now() + lifetimeS * 1000);
      return reply(200, { access_token: token, token_type: 'Bearer', expires_in: lifetimeS });
    }
    if (kind !== 'Bearer' || !(alive.get(credentials) > Date.now())) {
      counts.unauthorized++;
      return reply(401, {}, { 'WWW-Authenticate': 'Bearer error="invalid_token"' });
    }
    const now = Math.floor(Date.now() / windowMs);
    if (now !== window) [window, used] = [now, 0];
    if (++used > limit) {
      counts.refused++;
      const seconds = Math.ceil(((window + 1) * windowMs - Date.now()) / 1000);
      return reply(429, {}, { 'Retry-After': String(seconds) });
    }
    counts.served++;
    return reply(200, { id: request.url.split('/').pop() });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    counts,
    /** The configuration of the service. */
    env: { API_URL: origin, TOKEN_URL: `${origin}/token`, CLIENT_ID: CLIENT.id, CLIENT_SECRET: CLIENT.secret },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

const decode = (part) => new URLSearchParams(`v=${part}`).get('v');
