import { createHash, randomBytes } from 'node:crypto';
import { Router } from 'express';

const REALM = 'me@example.com';

/** httpbin's path for Digest, but strict: only its own nonces, and each count once. */
export function digests() {
  const routes = Router();
  const counts = new Map();
  routes.all('/digest-auth/:qop/:user/:passwd/:algorithm', (request, response) => {
    const { user } = request.params;
    if (isDigest(request, counts)) return response.json({ authenticated: true, user });
    const nonce = randomBytes(16).toString('hex');
    counts.set(nonce, 0);
    const { qop, algorithm } = request.params;
    response
      .status(401)
      .set('WWW-Authenticate', `Digest realm="${REALM}", nonce="${nonce}", qop="${qop}", algorithm=${algorithm}`)
      .end();
  });
  return routes;
}

function isDigest(request, counts) {
  const fields = [...(request.get('Authorization') ?? '').matchAll(/(\w+)=(?:"([^"]*)"|([^",\s]+))/g)];
  const { nonce, nc, cnonce, response } = Object.fromEntries(
    fields.map(([, name, ...value]) => [name, value.join('')]),
  );
  const { qop, user, passwd, algorithm } = request.params;
  const h = (data) => createHash(algorithm.replace('-', '')).update(data).digest('hex');
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const a2 = [request.method, request.originalUrl, ...(qop === 'auth-int' ? [h(body)] : [])];
  const proof = [h(`${user}:${REALM}:${passwd}`), nonce, nc, cnonce, qop, h(a2.join(':'))];
  if (!counts.has(nonce) || parseInt(nc, 16) <= counts.get(nonce) || h(proof.join(':')) !== response) return false;
  counts.set(nonce, parseInt(nc, 16));
  return true;
}
