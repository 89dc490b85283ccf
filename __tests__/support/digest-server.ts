import { createHash, randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { reply, serve, type Recorder, type Seen } from './serve.js';

type Params = Record<string, string | undefined>;

export interface DigestServerOptions {
  /** One challenge each, in this order. `undefined`: a challenge without an algorithm. */
  readonly algorithms?: readonly (string | undefined)[];
  /** `null`: no qop, as in RFC 2069. */
  readonly qop?: string | null;
  readonly users?: Readonly<Record<string, string>>;
  readonly realmOf?: (url: string) => string;
  readonly userhash?: boolean;
  /** Every nonce is valid for one request. */
  readonly oneTime?: boolean;
  /** Every accepted request gets the nonce of the next one. */
  readonly nextnonce?: boolean;
  /** Whether an expired nonce is refused with stale=true. */
  readonly sendsStale?: boolean;
  readonly sha512256?: 'truncated' | 'fips';
  /** Sent with accepted requests. */
  readonly rspauth?: 'right' | 'wrong' | 'none';
  /** The response to an accepted request. */
  readonly accept?: (seen: Seen, response: ServerResponse, headers: Record<string, string>) => void;
}

/** A strict server for RFC 7616: nonce, count, uri, realm, opaque, algorithm and body. */
export interface DigestServer extends Recorder {
  /** Why each request was refused; undefined: accepted. */
  readonly verdicts: (string | undefined)[];
  /** Credentials of each request that had some. */
  readonly credentials: Params[];
  expireNonces(): void;
}

export async function serveDigest(options: DigestServerOptions = {}): Promise<DigestServer> {
  const { algorithms = ['MD5'], qop = 'auth', users = { Mufasa: 'Circle of Life' }, oneTime = false } = options;
  const realmOf = options.realmOf ?? (() => 'http-auth@example.org');
  const opaque = randomBytes(8).toString('base64');
  const nonces = new Map<string, { lastCount: number; realm: string; session?: string }>();
  const expired = new Set<string>();
  const verdicts: (string | undefined)[] = [];
  const credentials: Params[] = [];

  const issue = (realm: string): string => {
    const nonce = randomBytes(12).toString('base64');
    nonces.set(nonce, { lastCount: 0, realm });
    return nonce;
  };

  const hashWith =
    (algorithm = 'MD5') =>
    (data: string | Buffer): string => {
      const name = algorithm.replace(/-sess$/i, '');
      if (name !== 'SHA-512-256') return createHash(name.replace('-', '')).update(data).digest('hex');
      if (options.sha512256 === 'fips') return createHash('sha512-256').update(data).digest('hex');
      return createHash('sha512').update(data).digest('hex').slice(0, 64);
    };

  /** The reason of a refusal, or the proof of the server. */
  const judge = (seen: Seen): { refusal: string; proof?: undefined } | { proof: string; params: Params } => {
    const header = seen.headers.authorization;
    if (header === undefined) return { refusal: 'no credentials' };
    const params = parse(header);
    if (!params) return { refusal: 'malformed' };
    credentials.push(params);
    const realm = realmOf(seen.url);
    const { nonce = '', nc = '', cnonce = '', uri, algorithm } = params;
    if (Buffer.from(params['realm'] ?? '', 'latin1').toString() !== realm) return { refusal: 'realm' };
    if (params['opaque'] !== opaque) return { refusal: 'opaque' };
    if (uri !== seen.url) return { refusal: 'uri' };
    if (!algorithms.includes(algorithm)) return { refusal: 'algorithm' };
    const known = nonces.get(nonce);
    if (known?.realm !== realm) return { refusal: expired.has(nonce) ? 'stale' : 'nonce' };

    const hash = hashWith(algorithm);
    const user = Object.keys(users).find((name) =>
      options.userhash
        ? params['userhash'] === 'true' && hash(`${name}:${realm}`) === params['username']
        : userOf(params) === name,
    );
    if (user === undefined) return { refusal: 'user' };
    let a1 = hash(`${user}:${realm}:${users[user]!}`);
    if (algorithm?.endsWith('-sess')) a1 = known.session ??= hash(`${a1}:${nonce}:${cnonce}`);
    const protection = params['qop'];
    if (qop === null ? protection !== undefined : !qop.split(', ').includes(String(protection)))
      return { refusal: 'qop' };
    const a2 = (method: string, body: Buffer | string): string =>
      hash(`${method}:${uri}${protection === 'auth-int' ? `:${hash(body)}` : ''}`);
    const digest = (second: string): string =>
      hash(qop === null ? [a1, nonce, second].join(':') : [a1, nonce, nc, cnonce, protection, second].join(':'));
    if (digest(a2(seen.method, seen.body)) !== params['response']) return { refusal: 'response' };
    if (qop !== null) {
      if (!/^[0-9a-f]{8}$/.test(nc) || cnonce === '') return { refusal: 'count' };
      if (parseInt(nc, 16) <= known.lastCount) return { refusal: 'replay' };
      known.lastCount = parseInt(nc, 16);
    }
    if (oneTime) {
      nonces.delete(nonce);
      expired.add(nonce);
    }
    return { proof: digest(a2('', '{}')), params };
  };

  const recorder = await serve((seen, response) => {
    const judged = judge(seen);
    const realm = realmOf(seen.url);
    if (judged.proof === undefined) {
      verdicts.push(judged.refusal);
      const isStale = judged.refusal === 'stale' && options.sendsStale !== false;
      const challenges = algorithms.map((algorithm) =>
        [
          `Digest realm="${latin1(realm).replace(/["\\]/g, '\\$&')}"`,
          ...(qop === null ? [] : [`qop="${qop}"`]),
          ...(algorithm === undefined ? [] : [`algorithm=${algorithm}`]),
          `nonce="${issue(realm)}", opaque="${opaque}"`,
          ...(options.userhash ? ['charset=UTF-8, userhash=true'] : []),
          ...(isStale ? ['stale=true'] : []),
        ].join(', '),
      );
      response.writeHead(401, { 'WWW-Authenticate': challenges, 'Content-Type': 'application/json' });
      response.end('{"error":"unauthorized"}');
      return;
    }
    verdicts.push(undefined);
    const { params, proof } = judged;
    const info = [
      ...(options.nextnonce ? [`nextnonce="${issue(realm)}"`] : []),
      ...(options.rspauth === 'right' || options.rspauth === 'wrong'
        ? [
            `rspauth="${options.rspauth === 'right' ? proof : proof.replace(/./g, '0')}"`,
            ...(qop === null ? [] : [`qop=${params['qop']!}, cnonce="${params['cnonce']!}", nc=${params['nc']!}`]),
          ]
        : []),
    ];
    const headers: Record<string, string> = info.length > 0 ? { 'Authentication-Info': info.join(', ') } : {};
    if (options.accept) options.accept(seen, response, headers);
    else reply(response, 200, {}, headers);
  });

  return Object.assign(recorder, {
    verdicts,
    credentials,
    expireNonces: () => {
      for (const nonce of nonces.keys()) expired.add(nonce);
      nonces.clear();
    },
  });
}

/** Quoted where RFC 7616 §3.4 wants quotes, and unquoted where it wants none. */
function parse(header: string): Params | undefined {
  if (!header.startsWith('Digest ')) return undefined;
  const params = Object.create(null) as Params;
  const field = /([a-z0-9*]+)=(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))(?:, |$)/gy;
  field.lastIndex = 'Digest '.length;
  while (field.lastIndex < header.length) {
    const at = field.lastIndex;
    const [, name = '', quoted, token] = field.exec(header) ?? [];
    if (field.lastIndex <= at || name in params) return undefined;
    const isToken = ['algorithm', 'qop', 'nc', 'userhash', 'username*'].includes(name);
    if (isToken !== (token !== undefined)) return undefined;
    params[name] = token ?? quoted?.replace(/\\(.)/g, '$1');
  }
  return params;
}

function userOf(params: Params): string | undefined {
  const extended = params['username*'];
  if (extended === undefined) return params['username'];
  if (params['username'] !== undefined || !extended.startsWith("UTF-8''")) return undefined;
  return decodeURIComponent(extended.slice("UTF-8''".length));
}

/** The bytes of UTF-8 as Node writes them into a header. */
function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}
