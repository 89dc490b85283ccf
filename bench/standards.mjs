// The cost of an attempt under the standards: this package through its port, hand-written node:crypto, and a library if there is one.
import { createHash, createHmac, generateKeyPairSync, randomBytes, randomUUID, sign, webcrypto } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import { AxiosHeaders } from 'axios';
import { bearer } from 'axios-attach-auth';
import { digest } from 'axios-attach-auth/digest';
import { dpop, dpopProver } from 'axios-attach-auth/dpop';
import { httpSignature } from 'axios-attach-auth/http-signature';
import { sigV4 } from 'axios-attach-auth/sigv4';
import { generateProof } from 'dpop';
import { createSigner, httpbis } from 'http-message-signatures';
import { OURS } from './contenders.mjs';

const URL_SIGNED = 'https://api.example.com/orders/2026%20Q4?state=open&sort=by%20name';
const BODY = new Uint8Array(Buffer.alloc(1_000, '{"a":1}'));
const hash = (name, data) => createHash(name).update(data).digest('hex');
const hmac = (key, data) => createHmac('sha256', key).update(data).digest();

function requestOf(exchange = {}) {
  return {
    method: 'POST',
    url: new URL(URL_SIGNED),
    headers: new AxiosHeaders({ Accept: 'application/json', 'Content-Type': 'application/json' }),
    body: { kind: 'bytes', bytes: () => Promise.resolve(BODY) },
    now: Date.now(),
    exchange,
  };
}

/** An answer with a nonce that the server has accepted before. */
async function digests() {
  const pair = { username: 'ada', password: 'engine' };
  const params = { realm: 'orders', nonce: '7ypf/xlj9XXwfDPEoM4URrv', qop: 'auth', algorithm: 'SHA-256' };
  const scheme = digest(pair);
  const request = requestOf();
  const response = { status: 401, headers: {} };
  await scheme.onChallenge({ request, response, challenges: [{ scheme: 'digest', params }] });
  await scheme.authorize(request);
  await scheme.onAnswer({ request, response: { status: 200, headers: {} }, isRefusal: false });

  const a1 = hash('sha256', `ada:orders:engine`);
  let uses = 0;
  const byHand = async () => {
    const { method, url, headers } = requestOf();
    const uri = url.pathname + url.search;
    const nc = (++uses).toString(16).padStart(8, '0');
    const cnonce = randomBytes(16).toString('hex');
    const a2 = hash('sha256', `${method}:${uri}`);
    const proof = hash('sha256', `${a1}:${params.nonce}:${nc}:${cnonce}:auth:${a2}`);
    headers.set(
      'Authorization',
      `Digest username="ada", realm="orders", nonce="${params.nonce}", uri="${uri}", response="${proof}", ` +
        `algorithm=SHA-256, qop=auth, nc=${nc}, cnonce="${cnonce}"`,
    );
  };
  return [
    ['by hand', byHand],
    [OURS, async () => scheme.authorize(requestOf())],
  ];
}

/** For @smithy/signature-v4, which has no hash. */
class Sha256 {
  constructor(secret) {
    this.hash = secret ? createHmac('sha256', secret) : createHash('sha256');
  }
  update(data) {
    this.hash.update(data);
  }
  digest() {
    return Promise.resolve(new Uint8Array(this.hash.digest()));
  }
}

async function signatures() {
  const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
  const place = { service: 'execute-api', region: 'eu-central-1' };
  const scheme = sigV4({ ...place, credentials });
  const library = new SignatureV4({ ...place, credentials, sha256: Sha256, applyChecksum: false });

  const keys = new Map();
  const byHand = async () => {
    const { method, url, headers, now } = requestOf();
    const date = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '');
    const scope = `${date.slice(0, 8)}/eu-central-1/execute-api/aws4_request`;
    if (!keys.has(scope)) keys.set(scope, scope.split('/').reduce(hmac, `AWS4${credentials.secretAccessKey}`));
    headers.set('X-Amz-Date', date);
    const names = 'accept;content-type;host;x-amz-date';
    const canonical = [
      method,
      encodeURIComponent(url.pathname).replaceAll('%2F', '/'),
      [...url.searchParams]
        .map((pair) => pair.map(encodeURIComponent).join('='))
        .sort()
        .join('&'),
      `accept:application/json\ncontent-type:application/json\nhost:${url.host}\nx-amz-date:${date}\n`,
      names,
      hash('sha256', BODY),
    ].join('\n');
    const signature = hmac(keys.get(scope), `AWS4-HMAC-SHA256\n${date}\n${scope}\n${hash('sha256', canonical)}`);
    headers.set(
      'Authorization',
      `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/${scope}, SignedHeaders=${names}, Signature=${signature.toString('hex')}`,
    );
    return headers;
  };
  const byOurs = async () => {
    const request = requestOf();
    await scheme.authorize(request);
    return request.headers;
  };
  const byLibrary = async () => {
    const { method, url, headers } = requestOf();
    const signed = await library.sign({
      method,
      protocol: url.protocol,
      hostname: url.hostname,
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: { host: url.host, accept: headers.get('accept'), 'content-type': headers.get('content-type') },
      body: BODY,
    });
    return new AxiosHeaders(signed.headers);
  };
  return signingAlike('Authorization', [
    ['by hand', byHand],
    [OURS, byOurs],
    ['@smithy/signature-v4', byLibrary],
  ]);
}

/** A proof by ES256, with the hash of the access token. */
async function proofs() {
  const accessToken = randomBytes(32).toString('base64url');
  const keyPair = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const scheme = dpop(bearer(accessToken), { prover: dpopProver({ keyPair }) });

  const { kty, crv, x, y, d } = await webcrypto.subtle.exportKey('jwk', keyPair.privateKey);
  const key = { key: { kty, crv, x, y, d }, format: 'jwk', dsaEncoding: 'ieee-p1363' };
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const head = encode({ alg: 'ES256', typ: 'dpop+jwt', jwk: { kty, crv, x, y } });
  const byHand = async () => {
    const { method, url, headers, now } = requestOf();
    const ath = createHash('sha256').update(accessToken).digest('base64url');
    const claims = { iat: Math.floor(now / 1000), jti: randomUUID(), htm: method, htu: url.origin + url.pathname, ath };
    const text = `${head}.${encode(claims)}`;
    headers.set('DPoP', `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`);
    headers.set('Authorization', `DPoP ${accessToken}`);
  };
  const byLibrary = async () => {
    const { method, url, headers } = requestOf();
    headers.set('DPoP', await generateProof(keyPair, url.origin + url.pathname, method, undefined, accessToken));
    headers.set('Authorization', `DPoP ${accessToken}`);
  };
  return [
    ['by hand', byHand],
    [OURS, async () => scheme.authorize(requestOf())],
    ['dpop', byLibrary],
  ];
}

/** The default components, with a Content-Digest. */
async function messageSignatures() {
  const { privateKey } = generateKeyPairSync('ed25519');
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
  const key = await webcrypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', false, ['sign']);
  const scheme = httpSignature({ keyId: 'service', algorithm: 'ed25519', key });
  const signer = createSigner(privateKey, 'ed25519', 'service');
  const fields = ['@method', '@authority', '@path', '@query', 'content-type', 'content-digest'];
  const digestOf = (body) => `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;

  const byHand = async () => {
    const { method, url, headers, now } = requestOf();
    headers.set('Content-Digest', digestOf(BODY));
    const list = fields.map((name) => `"${name}"`).join(' ');
    const params = `(${list});created=${String(Math.floor(now / 1000))};keyid="service"`;
    const base =
      `"@method": ${method}\n"@authority": ${url.host}\n"@path": ${url.pathname}\n"@query": ${url.search}\n` +
      `"content-type": ${headers.get('Content-Type')}\n"content-digest": ${headers.get('Content-Digest')}\n` +
      `"@signature-params": ${params}`;
    headers.set('Signature-Input', `sig1=${params}`);
    headers.set('Signature', `sig1=:${sign(null, Buffer.from(base), privateKey).toString('base64')}:`);
    return headers;
  };
  const byOurs = async () => {
    const request = requestOf();
    await scheme.authorize(request);
    return request.headers;
  };
  const byLibrary = async () => {
    const { method, url, headers, now } = requestOf();
    headers.set('Content-Digest', digestOf(BODY));
    const paramValues = { created: new Date(now) };
    const config = { key: signer, fields, params: ['created', 'keyid'], paramValues, name: 'sig1' };
    const signed = await httpbis.signMessage(config, { method, url, headers: headers.toJSON() });
    return new AxiosHeaders(signed.headers);
  };
  return signingAlike('Signature', [
    ['by hand', byHand],
    [OURS, byOurs],
    ['http-message-signatures', byLibrary],
  ]);
}

/** The contenders, which sign the same. */
async function signingAlike(header, works) {
  for (let attempt = 0; ; attempt++) {
    const written = await Promise.all(works.map(async ([, work]) => (await work()).get(header)));
    if (new Set(written).size === 1) return works;
    // A second may have passed between them.
    if (attempt === 3) throw new Error('The contenders sign differently');
  }
}

/** Each: its name and, as a promise, [name, work][], the first of them by hand. */
export const STANDARDS = [
  ['digest(), SHA-256', digests],
  ['sigV4(), body of 1 kB', signatures],
  ['dpop(), ES256', proofs],
  ['httpSignature(), Ed25519, body of 1 kB', messageSignatures],
];
