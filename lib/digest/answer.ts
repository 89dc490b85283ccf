import { systemClock } from '../clock.js';
import type { Challenge } from '../http/www-authenticate.js';
import type { BasicCredentials } from '../schemes/basic.js';
import { toHex, utf8, type Bytes, type Digest } from '../schemes/hash.js';
import { notSignable } from '../schemes/not-signable.js';
import type { AuthRequest } from '../schemes/scheme.js';

/** A nonce of the server, with the challenge that it came in. */
export interface Nonce {
  readonly params: Challenge['params'];
  readonly hash: Digest;
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
  // An empty query is sent by some platforms and not by others.
  if (url.href.endsWith('?')) url.search = '';
  const uri = url.pathname + url.search;
  const cnonce = session?.[1] ?? clientNonce;
  const nc = (++nonce.uses).toString(16).padStart(8, '0');
  const user = binary(pair.username);
  const hex = async (...parts: unknown[]): Promise<string> => toHex(await hash(bytesOf(parts.join(':'))));

  let a1 = await hex(user, realm, binary(pair.password));
  if (session) a1 = await hex(a1, ...session);
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
  const written = fields.filter(([, value]) => value !== undefined).map((field) => field.join('='));
  headers.set('Authorization', `Digest ${written.join(', ')}`);
  return { ...pair, nonce, prove };
}

export function clientNonce(): string {
  const bytes = new Uint8Array(16);
  // React Native has no crypto.
  const { crypto } = globalThis as Partial<typeof globalThis>;
  return toHex(crypto?.getRandomValues(bytes) ?? bytes.map(() => systemClock.random() * 256));
}

/** Bytes as a string, as headers are read: a realm in UTF-8 has the same form. */
function binary(text: string): string {
  return String.fromCharCode(...utf8(text));
}

function bytesOf(binary: string): Bytes {
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
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

const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];

/** MD5 (RFC 1321). WebCrypto has none, and node:crypto has none in FIPS mode. */
export function md5(data: Uint8Array): Bytes {
  const { length } = data;
  const bytes = new Uint8Array(((length + 72) >> 6) << 6);
  bytes.set(data);
  bytes[length] = 0x80;
  const view = new DataView(bytes.buffer);
  view.setBigUint64(bytes.length - 8, BigInt(length * 8), true);
  let state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let block = 0; block < bytes.length; block += 64) {
    let [a = 0, b = 0, c = 0, d = 0] = state;
    for (let step = 0; step < 64; step++) {
      const [mixed = 0, word = 0] = [
        [(b & c) | (~b & d), step],
        [(d & b) | (~d & c), step * 5 + 1],
        [b ^ c ^ d, step * 3 + 5],
        [c ^ (b | ~d), step * 7],
      ][step >> 4] as number[];
      const sine = Math.floor(Math.abs(Math.sin(step + 1)) * 2 ** 32);
      const sum = (a + mixed + sine + view.getUint32(block + (word & 15) * 4, true)) | 0;
      const shift = SHIFTS[((step >> 4) << 2) | (step & 3)] ?? 0;
      [a, d, c, b] = [d, c, b, (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0];
    }
    state = [a, b, c, d].map((value, index) => (value + (state[index] ?? 0)) | 0);
  }
  return new Uint8Array(Int32Array.from(state).buffer);
}
