// What an attempt costs under the standards: this package through its port, node:crypto by hand, and a library where there is one.
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import { AxiosHeaders } from 'axios';
import { digest } from 'axios-attach-auth/digest';
import { sigV4 } from 'axios-attach-auth/sigv4';
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

/** An answer under a nonce that the server has accepted before. */
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

/** For @smithy/signature-v4, which brings no hash of its own. */
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
  const works = [
    ['by hand', byHand],
    [OURS, byOurs],
    ['@smithy/signature-v4', byLibrary],
  ];
  for (let attempt = 0; ; attempt++) {
    const written = await Promise.all(works.map(async ([, work]) => (await work()).get('Authorization')));
    if (new Set(written).size === 1) return works;
    // A second may have passed between them.
    if (attempt === 3) throw new Error('The contenders sign differently');
  }
}

/** Each: its name and, as a promise, [name, work][], the first of them by hand. */
export const STANDARDS = [
  ['digest(), SHA-256', digests],
  ['sigV4(), body of 1 kB', signatures],
];
