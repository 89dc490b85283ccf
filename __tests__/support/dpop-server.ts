import { createHash, createPublicKey, randomBytes, verify, type JsonWebKey } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { reply, serve, type Recorder, type Seen } from './serve.js';

/** The claims of a proof that is right. */
export interface Proof {
  readonly jti: string;
  readonly htm: string;
  readonly htu: string;
  readonly iat: number;
  readonly ath?: string;
  readonly nonce?: string;
  /** Thumbprint of its key (RFC 7638). */
  readonly jkt: string;
}

const HASH = { ES256: 'sha256', RS256: 'sha256', PS256: 'sha256', Ed25519: undefined, EdDSA: undefined };
const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url');

/** Checks form and signature of a proof (RFC 9449 §4.3), by node:crypto. @throws Error that names the defect. */
export function readProof(jwt: string): Proof {
  const [head = '', body = '', signature = '', ...rest] = jwt.split('.');
  const { typ, alg, jwk } = JSON.parse(Buffer.from(head, 'base64url').toString()) as {
    typ: string;
    alg: keyof typeof HASH;
    jwk: JsonWebKey;
  };
  if (rest.length > 0 || typ !== 'dpop+jwt') throw new Error('no DPoP proof');
  if (!(alg in HASH)) throw new Error(`alg ${alg}`);
  if ('d' in jwk || 'k' in jwk) throw new Error('a private key in the proof');
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  const isRight = verify(
    HASH[alg],
    Buffer.from(`${head}.${body}`),
    { key, dsaEncoding: 'ieee-p1363', ...(alg === 'PS256' && { padding: 6, saltLength: 32 }) },
    Buffer.from(signature, 'base64url'),
  );
  if (!isRight) throw new Error('a wrong signature');
  const { crv, e, kty, n, x, y } = jwk;
  const jkt = sha256(JSON.stringify({ crv, e, kty, n, x, y }));
  return { ...(JSON.parse(Buffer.from(body, 'base64url').toString()) as Omit<Proof, 'jkt'>), jkt };
}

export interface DpopServer extends Recorder {
  /** Proofs that were right, at /token and elsewhere. */
  readonly proofs: { readonly token: Proof[]; readonly resource: Proof[] };
  /** Accepted access tokens. Each belongs to the key of its first use. */
  readonly tokens: Map<string, string | undefined>;
  /** How many refreshes succeeded. */
  refreshes: number;
  /** `required`: the current nonce. `one-time`: a new nonce in every response, each valid for one request. */
  nonces: 'none' | 'required' | 'one-time';
  /** How far its clock is ahead, in ms. */
  aheadMs: number;
  /** Called after a refresh. */
  onRefresh: () => void;
  /** Answers a request to the resource instead, or returns false. */
  intercept: (response: ServerResponse) => boolean;
  /** Replaces the current nonce. */
  rotate(): void;
  /** How many requests the resource got. */
  sends(): number;
}

/** A resource server at every path and a token endpoint at /token, each with its own nonces (RFC 9449 §8, §9). `pages`: by path. */
export async function serveDpop(pages: Readonly<Record<string, string>> = {}): Promise<DpopServer> {
  const jtis = new Set<string>();
  const nonceOf = { token: 'as-0', resource: 'rs-0' };
  const unused = { token: new Set<string>(), resource: new Set<string>() };
  let serial = 0;
  const next = (at: 'token' | 'resource'): string => {
    if (server.nonces !== 'one-time') return nonceOf[at];
    const nonce = `${at}-${String(++serial)}`;
    unused[at].add(nonce);
    return nonce;
  };

  const check = (seen: Seen, at: 'token' | 'resource', accessToken?: string): Proof | string => {
    let proof: Proof;
    try {
      proof = readProof(String(seen.headers['dpop']));
    } catch (error) {
      return `invalid_dpop_proof ${String(error)}`;
    }
    const { htm, htu, iat, jti, nonce, ath } = proof;
    if (htm !== seen.method || htu !== server.origin + (seen.url.split('?')[0] ?? ''))
      return 'invalid_dpop_proof htm, htu';
    if (ath !== (accessToken === undefined ? undefined : sha256(accessToken))) return 'invalid_dpop_proof ath';
    if (!Number.isInteger(iat) || Math.abs(iat * 1000 - Date.now() - server.aheadMs) > 5_000)
      return 'invalid_dpop_proof iat';
    if (jtis.has(jti)) return 'invalid_dpop_proof jti';
    jtis.add(jti);
    const isGood = server.nonces === 'required' ? nonce === nonceOf[at] : unused[at].delete(nonce ?? '');
    if (server.nonces !== 'none' && !isGood) return 'use_dpop_nonce';
    server.proofs[at].push(proof);
    return proof;
  };

  const recorder = await serve((seen, response) => {
    const page = pages[seen.url];
    if (page !== undefined) {
      response.setHeader('Content-Type', seen.url.endsWith('.js') ? 'text/javascript' : 'text/html');
      return void response.end(page);
    }
    const date = new Date(Date.now() + server.aheadMs).toUTCString();
    if (seen.url === '/token') {
      const found = check(seen, 'token');
      const headers = { Date: date, ...(server.nonces !== 'none' && { 'DPoP-Nonce': next('token') }) };
      if (typeof found === 'string') return reply(response, 400, { error: found.split(' ')[0] }, headers);
      server.refreshes++;
      const accessToken = randomBytes(12).toString('base64url');
      server.tokens.set(accessToken, found.jkt);
      server.onRefresh();
      return reply(
        response,
        200,
        { access_token: accessToken, refresh_token: 'rt', expires_in: 600, token_type: 'DPoP' },
        headers,
      );
    }
    if (server.intercept(response)) return;
    const [, accessToken] = /^DPoP (.+)$/.exec(seen.headers.authorization ?? '') ?? [];
    const found = accessToken === undefined ? 'invalid_token' : check(seen, 'resource', accessToken);
    const headers = { Date: date, ...(server.nonces !== 'none' && { 'DPoP-Nonce': next('resource') }) };
    const refused = (error: string): void =>
      reply(
        response,
        401,
        {},
        { ...headers, 'WWW-Authenticate': `DPoP error="${error.split(' ')[0] ?? ''}", algs="ES256"` },
      );
    if (typeof found === 'string') return refused(found);
    const bound = server.tokens.get(accessToken ?? '');
    if (!server.tokens.has(accessToken ?? '') || (bound ?? found.jkt) !== found.jkt) return refused('invalid_token');
    server.tokens.set(accessToken ?? '', found.jkt);
    reply(response, 200, { nonce: found.nonce }, headers);
  });

  const server: DpopServer = Object.assign(recorder, {
    proofs: { token: [], resource: [] },
    tokens: new Map<string, string | undefined>(),
    refreshes: 0,
    onRefresh: () => undefined,
    intercept: () => false,
    nonces: 'none' as const,
    aheadMs: 0,
    rotate: () => {
      serial++;
      nonceOf.token = `as-${String(serial)}`;
      nonceOf.resource = `rs-${String(serial)}`;
    },
    sends: () => recorder.seen.filter(({ url }) => url !== '/token').length,
  });
  return server;
}
