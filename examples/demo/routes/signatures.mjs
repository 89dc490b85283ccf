import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Router } from 'express';

export const KEY_ID = 'demo-key';
export const SECRET = 'kept by client and server, never sent';
const AHEAD_MS = 3_600_000;
const TOLERANCE_S = 30;

/** Routes that verify X-API-Key, X-Timestamp and X-Signature. */
export function signatures() {
  const routes = Router();
  routes.all(['/signed', '/signed/*rest'], verified(Date.now));
  // The same on a server whose clock is an hour ahead.
  routes.all(
    '/ahead/signed',
    verified(() => Date.now() + AHEAD_MS),
  );
  return routes;
}

function verified(clock) {
  return (request, response) => {
    const now = clock();
    response.set('Date', new Date(now).toUTCString());
    const { method, originalUrl: path, headers } = request;
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const isFresh = Math.abs(now / 1000 - Number(headers['x-timestamp'])) < TOLERANCE_S;
    if (isFresh && isSigned({ method, path, headers, body })) return response.json({ verified: true, method, path });
    response
      .status(401)
      .set('WWW-Authenticate', 'HMAC realm="demo"')
      .json({ error: isFresh ? 'signature' : 'time' });
  };
}

/** METHOD, path with query, time and hash of the body, under the shared secret. */
export function isSigned({ method, path, headers, body }) {
  const bodyHash = createHash('sha256').update(body).digest('hex');
  const text = [method, path, headers['x-timestamp'], bodyHash].join('\n');
  const expected = createHmac('sha256', SECRET).update(text).digest();
  const got = Buffer.from(headers['x-signature'] ?? '', 'hex');
  return headers['x-api-key'] === KEY_ID && got.length === expected.length && timingSafeEqual(got, expected);
}
