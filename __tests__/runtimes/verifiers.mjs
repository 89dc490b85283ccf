// Servers for standards.mjs. They verify with node:crypto and two libraries, not with this package.
import { createHash, createPublicKey, createSecretKey, randomBytes, verify } from 'node:crypto';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { createVerifier, httpbis } from 'http-message-signatures';

const TOKEN = 'bound-token';
/** Issued nonces. Each is valid for any number of requests. */
const nonces = new Set();
const issue = () => {
  const nonce = randomBytes(12).toString('base64');
  nonces.add(nonce);
  return nonce;
};
const decoded = (part) => JSON.parse(Buffer.from(part, 'base64url'));

export const verifiers = {
  '/digest': ({ request, path, body, reply }) => {
    const [, , algorithm, qop] = path.split(/[/?]/);
    // RFC 7616 §3.9.2 prints the first half of SHA-512.
    const [name, length] = algorithm === 'SHA-512-256' ? ['sha512', 64] : [algorithm.replace('-', ''), undefined];
    const hash = (data) => createHash(name).update(data).digest('hex').slice(0, length);
    const pairs = String(request.headers.authorization).matchAll(/([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g);
    const sent = Object.fromEntries([...pairs].map(([, key, quoted, token]) => [key, quoted ?? token]));
    const a2 = hash(`${request.method}:${request.url}${qop === 'auth-int' ? `:${hash(body)}` : ''}`);
    const proof = [hash('ada:the "room":engine'), sent.nonce, sent.nc, sent.cnonce, qop, a2].join(':');
    if (nonces.has(sent.nonce) && sent.uri === request.url && sent.response === hash(proof))
      return reply(200, { verified: true });
    const challenge = `Digest realm="the \\"room\\"", nonce="${issue()}", qop="${qop}", algorithm=${algorithm}`;
    reply(401, { sent }, { 'WWW-Authenticate': challenge });
  },

  '/aws': async ({ request, path, body, reply }) => {
    const service = path.split('/')[2];
    const isS3 = service === 's3';
    const url = new URL(request.url, `http://${request.headers.host}`);
    const query = Object.fromEntries(url.searchParams);
    const isPresigned = 'X-Amz-Signature' in query;
    const field = (name) => (isPresigned ? query[`X-Amz-${name}`] : undefined);
    const [, names = '', signature] =
      /SignedHeaders=([^,]+), Signature=(\w+)/.exec(request.headers.authorization) ?? [];
    const signed = (field('SignedHeaders') ?? names).split(';');
    const date = field('Date') ?? request.headers['x-amz-date'] ?? '';
    const own = Object.entries(query).filter(([name]) => !name.startsWith('X-Amz-'));
    const wire = {
      method: request.method,
      protocol: 'http:',
      hostname: url.hostname,
      path: url.pathname,
      query: Object.fromEntries(own),
      headers: Object.fromEntries(signed.map((name) => [name, request.headers[name]])),
      body,
    };
    for (const name of ['x-amz-date', 'x-amz-security-token']) delete wire.headers[name];
    if (isS3 && isPresigned) wire.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
    const signer = new SignatureV4({
      credentials: { accessKeyId: 'AKID', secretAccessKey: 'tops3cret', sessionToken: 'session+/=' },
      ...{ service, region: 'eu-central-1', sha256: Sha256, uriEscapePath: !isS3, applyChecksum: isS3 },
    });
    const signingDate = new Date(date.replace(/(....)(..)(..T..)(..)(..)/, '$1-$2-$3:$4:$5'));
    const hidden = new Set(['x-amz-content-sha256']);
    const expected = isPresigned
      ? (await signer.presign(wire, { signingDate, unhoistableHeaders: hidden, unsignableHeaders: hidden })).query
      : (await signer.sign(wire, { signingDate })).headers;
    const isRight = isPresigned
      ? expected['X-Amz-Signature'] === query['X-Amz-Signature']
      : expected.authorization.endsWith(`Signature=${String(signature)}`);
    reply(isRight ? 200 : 403, { verified: isRight, url: request.url });
  },

  '/dpop': ({ request, reply }) => {
    const [head, claims, signature] = String(request.headers.dpop).split('.');
    if (signature === undefined) return reply(400, {});
    const { jwk, alg, typ } = decoded(head);
    const { htm, htu, ath, iat, nonce } = decoded(claims);
    const key = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' };
    const facts = {
      signature: verify('sha256', Buffer.from(`${head}.${claims}`), key, Buffer.from(signature, 'base64url')),
      header: alg === 'ES256' && typ === 'dpop+jwt' && jwk.d === undefined,
      request: htm === request.method && htu === `http://${request.headers.host}${request.url.split('?')[0]}`,
      token: ath === createHash('sha256').update(TOKEN).digest('base64url'),
      authorization: request.headers.authorization === `DPoP ${TOKEN}`,
      time: Math.abs(Date.now() / 1000 - iat) < 60,
    };
    if (!nonces.has(nonce))
      return reply(401, facts, { 'WWW-Authenticate': 'DPoP error="use_dpop_nonce"', 'DPoP-Nonce': issue() });
    reply(200, { ...facts, verified: Object.values(facts).every(Boolean) });
  },

  '/message': async ({ request, path, body, reply }) => {
    const algorithm = path.split(/[/?]/)[2];
    const keyLookup = async ({ keyid }) => {
      const jwk = JSON.parse(keyid);
      const key = jwk.k ? createSecretKey(jwk.k, 'base64url').export() : createPublicKey({ key: jwk, format: 'jwk' });
      return { verify: createVerifier(key, algorithm) };
    };
    const url = `http://${request.headers.host}${request.url}`;
    const requiredFields = ['@method', '@authority', '@path', '@query', 'content-type', 'content-digest'];
    const isSigned = await httpbis
      .verifyMessage({ keyLookup, requiredFields }, { method: request.method, url, headers: request.headers })
      .catch((error) => String(error));
    const digest = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
    const verified = isSigned === true && request.headers['content-digest'] === digest;
    reply(verified ? 200 : 403, { verified, isSigned });
  },
};
