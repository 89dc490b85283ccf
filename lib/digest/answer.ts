import { systemClock } from '../clock.js';
import type { RequestBody } from '../http/body.js';
import { toHex, type Bytes, type Digest } from '../schemes/hash.js';
import { notSignable } from '../schemes/not-signable.js';
import type { AuthRequest } from '../schemes/scheme.js';

/** A nonce of the server, with the challenge that it came in. */
export interface Nonce extends Partial<Record<'realm' | 'algorithm' | 'opaque' | 'userhash', string>> {
  /** That of the challenge, or a `nextnonce` since. */
  readonly nonce: string;
  readonly hash: Digest;
  /** What to try if the answer is refused: another call may have changed the order meanwhile. */
  readonly rest: readonly Digest[];
  readonly qop: string | undefined;
  /** A `-sess` algorithm hashes these into A1 until the next challenge (RFC 7616 §3.4.2). */
  readonly session: readonly [nonce: string, cnonce: string] | false;
  uses: number;
  isAccepted?: true;
}

/** User name and password with a line break between them: neither of them has one. */
export type Pair = string;

export interface Sent {
  readonly pair: Pair;
  readonly nonce: Nonce;
  /** Computes `response` for a method, and `rspauth` for an empty one. A body that cannot be read makes it invalid. */
  readonly prove: (method: string, qop: string | undefined, body: RequestBody) => Promise<string>;
}

/** Writes the Authorization header (RFC 7616 §3.4). */
export async function answer(
  { method, url, headers, body }: AuthRequest,
  nonce: Nonce,
  pair: Pair,
  clientNonce: string,
): Promise<Sent> {
  const { realm, algorithm, opaque, userhash, nonce: value, qop, session, hash } = nonce;
  if (qop === 'auth-int' && body.kind === 'opaque') throw notSignable();
  const uri = url.pathname + url.search;
  const cnonce = session ? session[1] : clientNonce;
  const nc = (++nonce.uses).toString(16).padStart(8, '0');
  const [user, password] = binary(pair).split('\n') as [string, string];
  const hex = async (...parts: unknown[]): Promise<string> =>
    toHex(await hash(Uint8Array.from(parts.join(':'), (char) => char.charCodeAt(0))));

  let a1 = await hex(user, realm, password);
  if (session) a1 = await hex(a1, ...session);
  const prove: Sent['prove'] = async (by, protection, content) => {
    const bytes = protection === 'auth-int' && (await content.bytes());
    const a2 = bytes ? [by, uri, toHex(await hash(bytes))] : [by, uri];
    return hex(a1, value, ...(protection ? [nc, cnonce, protection] : []), await hex(...a2));
  };
  const response = await prove(method, qop, body);

  const isHashed = userhash?.toLowerCase() === 'true';
  // Only ASCII stays the same in UTF-8.
  const isExtended = !isHashed && binary(user) !== user;
  const fields = Object.entries({
    username: !isExtended && quoted(isHashed ? await hex(user, realm) : user),
    // RFC 8187 §3.2.1.
    'username*':
      isExtended && `UTF-8''${user.replace(/\W/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)}`,
    realm: quoted(realm),
    nonce: quoted(value),
    uri: quoted(uri),
    response: quoted(response),
    algorithm,
    opaque: quoted(opaque),
    qop,
    nc: qop && nc,
    cnonce: (qop ?? session) && quoted(cnonce),
    userhash: isHashed,
  });
  const written = fields.filter(([, value]) => value).map((field) => field.join('='));
  headers.set('Authorization', `Digest ${written.join(', ')}`);
  return { pair, nonce, prove };
}

export function clientNonce(): string {
  const bytes = new Uint8Array(16).map(() => systemClock.random() * 256);
  // React Native has no crypto.
  (globalThis as Partial<typeof globalThis>).crypto?.getRandomValues(bytes);
  return toHex(bytes);
}

/** Bytes as a string, as headers are read: a realm in UTF-8 has the same form. */
function binary(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

/** JSON and a quoted-string (RFC 9110 §5.6.4) are the same without control characters. */
function quoted(text: string | undefined): string | undefined {
  return JSON.stringify(text);
}

/* eslint-disable @typescript-eslint/no-non-null-assertion -- no index below is out of range */
/** MD5 (RFC 1321). WebCrypto has none, and node:crypto has none in FIPS mode. */
export function md5(data: Uint8Array): Bytes {
  const { length } = data;
  const words = new Int32Array(((length + 72) >> 6) << 4);
  const bytes = new Uint8Array(words.buffer);
  bytes.set(data);
  bytes[length] = 0x80;
  // The length in bits.
  words.set([length << 3, length >>> 29], words.length - 2);
  // The second word is the fourth inverted, the third the first.
  const state = Int32Array.of(0x67452301, ~0x10325476, ~0x67452301, 0x10325476);
  for (let block = 0; block < words.length; block += 16) {
    let [a, b, c, d] = state as unknown as [number, number, number, number];
    for (let step = 0; step < 64; step++) {
      // What is mixed, the word that is added, and by how many bits the sum is rotated.
      const [mixed, index, ...shifts] = [
        [(b & c) | (~b & d), step, 7, 12, 17, 22],
        [(b & d) | (c & ~d), step * 5 + 1, 5, 9, 14, 20],
        [b ^ c ^ d, step * 3 + 5, 4, 11, 16, 23],
        [c ^ (b | ~d), step * 7, 6, 10, 15, 21],
      ][step >> 4]! as [number, number, ...number[]];
      const sum = a + mixed + words[block + (index & 15)]! + ((Math.abs(Math.sin(step + 1)) * 2 ** 32) | 0);
      [a, d, c, b] = [d, c, b, b + ((sum << shifts[step & 3]!) | (sum >>> -shifts[step & 3]!))];
    }
    state.set([a, b, c, d].map((value, index) => value + state[index]!));
  }
  return new Uint8Array(state.buffer);
}
