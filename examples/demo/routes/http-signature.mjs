import { createHash, generateKeyPairSync } from 'node:crypto';
import { Router } from 'express';
import { createSigner, createVerifier, httpbis } from 'http-message-signatures';

// Client and server sign with their own keys, and have each other's public key.
const [clientKeys, serverKeys] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];
export const CLIENT_KEY = clientKeys.privateKey.export({ type: 'pkcs8', format: 'der' });
export const SERVER_KEY = serverKeys.publicKey.export({ type: 'spki', format: 'der' });
const AHEAD_MS = 3_600_000;
const TOLERANCE_S = 30;
const REQUIRED = ['@method', '@authority', '@path', '@query'];

/** Routes that verify message signatures (RFC 9421) by another library, and sign their responses. */
export function messageSignatures() {
  const routes = Router();
  routes.all(['/message', '/message/*rest'], verified(Date.now, JSON.stringify));
  // The same on a server whose clock is an hour ahead.
  routes.all(
    '/ahead/message',
    verified(() => Date.now() + AHEAD_MS, JSON.stringify),
  );
  // Changes the signed body, as a proxy might.
  routes.all(
    '/tampered/message',
    verified(Date.now, (data) => JSON.stringify({ ...data, verified: 'tampered' })),
  );
  return routes;
}

function verified(clock, write) {
  return async (request, response) => {
    const now = clock();
    response.set('Date', new Date(now).toUTCString());
    const { method, originalUrl, headers, body } = request;
    const message = { method, url: `http://${headers.host}${originalUrl}`, headers };
    if (!(await isMessageSigned(message, Buffer.isBuffer(body) ? body : undefined, now))) {
      return response.status(401).json({ error: 'signature' });
    }
    const data = { verified: true, method };
    const contentDigest = digestOf(JSON.stringify(data));
    const signed = await httpbis.signMessage(
      {
        key: createSigner(serverKeys.privateKey, 'ed25519', 'server'),
        fields: ['@status', 'content-digest', '@method;req', '@path;req'],
        paramValues: { created: new Date(now) },
        params: ['created', 'keyid'],
      },
      { status: 200, headers: { 'Content-Digest': contentDigest } },
      message,
    );
    response.set(signed.headers).type('json').send(write(data));
  };
}

/** Whether the signature is valid now, and covers the required components. */
export async function isMessageSigned({ method, url, headers }, body, now = Date.now()) {
  const requiredFields = body ? [...REQUIRED, 'content-digest'] : REQUIRED;
  const verify = createVerifier(clientKeys.publicKey, 'ed25519');
  const created = Number(/;created=(\d+)/.exec(headers['signature-input'])?.[1]);
  try {
    const isValid = await httpbis.verifyMessage(
      { keyLookup: async () => ({ verify }), requiredFields, tolerance: TOLERANCE_S + AHEAD_MS / 1000 },
      { method, url, headers },
    );
    const isFresh = Math.abs(now / 1000 - created) < TOLERANCE_S;
    return isValid === true && isFresh && (!body || headers['content-digest'] === digestOf(body));
  } catch {
    return false;
  }
}

function digestOf(body) {
  return `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
}
