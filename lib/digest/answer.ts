import type { Challenge } from '../http/www-authenticate.js';
import type { MaybePromise } from '../maybe-promise.js';
import type { BasicCredentials } from '../schemes/basic.js';
import { toHex, type Bytes } from '../schemes/hash.js';
import { notSignable } from '../schemes/not-signable.js';
import type { AuthRequest } from '../schemes/scheme.js';

export type Hash = (data: Bytes) => MaybePromise<Bytes>;

/** A nonce of the server, with the challenge that it came in. */
export interface Nonce {
  readonly params: Challenge['params'];
  readonly hash: Hash;
  readonly qop: string | undefined;
  /** A `-sess` algorithm hashes these into A1 until the next challenge (RFC 7616 §3.4.2). */
  readonly session: readonly [nonce: string, cnonce: string] | undefined;
  uses: number;
  isAccepted: boolean;
}

export interface Sent extends BasicCredentials {
  readonly nonce: Nonce;
  /** Computes `response` for a method, and `rspauth` for an empty one. */
  readonly prove: (method: string, qop: string | undefined, body: Bytes) => Promise<string>;
}

/** Writes the Authorization header (RFC 7616 §3.4). */
export async function answer(
  { method, url, headers, body }: AuthRequest,
  nonce: Nonce,
  pair: BasicCredentials,
  clientNonce: string,
): Promise<Sent> {
  const { params, qop, session, hash } = nonce;
  const { realm, algorithm, userhash } = params;
  const content = qop === 'auth-int' ? await body.bytes() : new Uint8Array();
  if (!content) throw notSignable();
  const uri = url.pathname + url.search;
  const cnonce = session?.[1] ?? clientNonce;
  const nc = (++nonce.uses).toString(16).padStart(8, '0');
  const user = utf8(pair.username);
  const hex = async (...parts: unknown[]): Promise<string> => toHex(await hash(latin1(parts.join(':'))));

  const secret = await hex(user, realm, utf8(pair.password));
  const a1 = session ? await hex(secret, ...session) : secret;
  const prove: Sent['prove'] = async (by, protection, bytes) => {
    const a2 = await hex(by, uri, ...(protection === 'auth-int' ? [toHex(await hash(bytes))] : []));
    return hex(a1, params['nonce'], ...(protection ? [nc, cnonce, protection] : []), a2);
  };

  const isHashed = userhash?.toLowerCase() === 'true';
  const name = isHashed ? await hex(user, realm) : pair.username;
  // Only ASCII stays the same in UTF-8.
  const isExtended = !isHashed && user !== name;
  const fields = Object.entries({
    [isExtended ? 'username*' : 'username']: isExtended ? `UTF-8''${extended(name)}` : quoted(name),
    realm: quoted(realm),
    nonce: quoted(params['nonce']),
    uri: quoted(uri),
    response: quoted(await prove(method, qop, content)),
    algorithm,
    opaque: quoted(params['opaque']),
    qop,
    nc: qop && nc,
    cnonce: (qop ?? session) && quoted(cnonce),
    userhash: isHashed || undefined,
  });
  const written = fields.filter(([, value]) => value !== undefined).map(([key, value]) => `${key}=${String(value)}`);
  headers.set('Authorization', `Digest ${written.join(', ')}`);
  return { ...pair, nonce, prove };
}

/** Header values are read as Latin-1: a realm in UTF-8 has the same form there. */
function utf8(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

function latin1(text: string): Bytes {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/** JSON and a quoted-string (RFC 9110 §5.6.4) are the same without control characters. */
function quoted(text: string | undefined): string | undefined {
  return JSON.stringify(text);
}

/** RFC 8187 §3.2.1. */
function extended(text: string): string {
  return encodeURIComponent(text).replace(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
}
