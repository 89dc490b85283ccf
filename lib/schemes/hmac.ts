import { type MaybePromise, whenReady } from '../maybe-promise.js';
import { AuthError } from '../errors.js';
import { check } from '../check.js';
import { isObject, withoutPrototype } from '../safe-read.js';
import { isHeaderName } from '../http/header-values.js';
import { toBase64, toHex, utf8, type Bytes, type Digest, type Hash } from './hash.js';
import { hasher, hmacSigner } from './hasher.node.js';
import { notSignable } from './not-signable.js';
import { type AuthRequest, type AuthScheme } from './scheme.js';

/** Options of {@link hmac}. */
export interface HmacOptions {
  /** The id of the secret, sent unchanged. */
  keyId: string;
  /**
   * The shared secret, not empty. A string is encoded as UTF-8. A function is called at every attempt, and once more after a 401. null or
   * undefined: the call is sent without a signature.
   */
  secret: string | Uint8Array | (() => MaybePromise<string | Uint8Array | null | undefined>);
  /** The hash of the HMAC and of the body: SHA-256, SHA-384 or SHA-512. @default 'SHA-256' */
  hash?: Hash | undefined;
  /** The encoding of the signature. @default 'hex' */
  encoding?: 'hex' | 'base64' | undefined;
  /** Names of the headers. @default X-API-Key, X-Timestamp (whole seconds), X-Signature */
  headers?: { keyId?: string | undefined; timestamp?: string | undefined; signature?: string | undefined } | undefined;
  /** Returns the text to sign. @default `METHOD \n path?query \n timestamp \n hex(hash(body))` */
  stringToSign?:
    | ((parts: { method: string; path: string; timestamp: string; bodyHash: string; request: AuthRequest }) => string)
    | undefined;
}

type Secret = string | Uint8Array;

/** If the server's time differs by more from the signed time, the server may have refused the timestamp. */
const STALE_MS = 5_000;

/**
 * Returns a scheme that signs method, path, query, time and body of every attempt by HMAC (RFC 2104). The time is that of the
 * server's clock, as far as its Date header has shown it. After a 401 the call is replayed only if the secret or the known server
 * time has changed, or more than 5 s have passed since it was signed.
 *
 * @throws TypeError for wrong options. A call with a stream or multipart form rejects with ERR_AUTH_BODY_NOT_SIGNABLE, unsent.
 */
export function hmac(options: HmacOptions): AuthScheme {
  check(isObject(options), 'hmac(): options', 'an object', options);
  const {
    keyId,
    secret,
    hash = 'SHA-256',
    encoding = 'hex',
    headers = {},
    stringToSign = defaultStringToSign,
  } = withoutPrototype(options);
  check(typeof keyId === 'string' && keyId !== '', 'hmac(): keyId', 'a non-empty string', keyId);
  const isSecret = typeof secret === 'string' || typeof secret === 'function' || ArrayBuffer.isView(secret);
  if (!isSecret)
    throw new TypeError(`hmac(): \`secret\` takes a string, bytes or a function, but got ${typeof secret}`);
  check(['SHA-256', 'SHA-384', 'SHA-512'].includes(hash), 'hmac(): hash', 'SHA-256, SHA-384 or SHA-512', hash);
  check(['hex', 'base64'].includes(encoding), 'hmac(): encoding', 'hex or base64', encoding);
  check(typeof stringToSign === 'function', 'hmac(): stringToSign', 'a function', stringToSign);
  check(isObject(headers), 'hmac(): headers', 'an object', headers);
  const named = withoutPrototype(headers);
  const names = {
    keyId: named.keyId ?? 'X-API-Key',
    timestamp: named.timestamp ?? 'X-Timestamp',
    signature: named.signature ?? 'X-Signature',
  };
  for (const [key, name] of Object.entries(names))
    check(isHeaderName(name), `hmac(): headers.${key}`, 'the name of a header', name);
  const digest = hasher(hash);
  const write = encoding === 'hex' ? toHex : toBase64;
  const sent = new WeakMap<object, { secret: Secret; signedAt: number }>();
  let known: { secret: Secret; sign: MaybePromise<Digest> } | undefined;

  const signerFor = (value: Secret): MaybePromise<Digest> => {
    if (!known || !isSame(known.secret, value))
      known = { secret: snapshot(value), sign: hmacSigner(hash, bytesOf(value)) };
    return known.sign;
  };

  return {
    name: 'HMAC',
    credentialHeaders: Object.values(names),
    async authorize(request) {
      const value = typeof secret === 'function' ? await secret() : secret;
      if (value === null || value === undefined) return;
      const body = await request.body.bytes();
      if (!body) throw notSignable();
      const signedAt = request.now;
      const timestamp = String(Math.floor(signedAt / 1000));
      const bodyHash = toHex(await digest(body));
      const path = request.url.pathname + request.url.search;
      const text: unknown = stringToSign({ method: request.method, path, timestamp, bodyHash, request });
      check(typeof text === 'string', 'hmac(): stringToSign', 'a function that returns a string', text);
      const sign = await signerFor(value);
      const signature = await sign(utf8(text));
      request.headers.set(names.keyId, keyId);
      request.headers.set(names.timestamp, timestamp);
      request.headers.set(names.signature, write(signature));
      sent.set(request.exchange, { secret: snapshot(value), signedAt });
    },
    onChallenge({ request }) {
      const before = sent.get(request.exchange);
      if (before && Math.abs(request.now - before.signedAt) > STALE_MS) return true;
      return (
        typeof secret === 'function' &&
        whenReady(
          secret(),
          (value) => value !== null && value !== undefined && !(before && isSame(before.secret, value)),
        )
      );
    },
  };
}

function defaultStringToSign(parts: { method: string; path: string; timestamp: string; bodyHash: string }): string {
  return `${parts.method}\n${parts.path}\n${parts.timestamp}\n${parts.bodyHash}`;
}

function bytesOf(secret: unknown): Bytes {
  if (typeof secret === 'string' && secret !== '') return utf8(secret);
  if (ArrayBuffer.isView(secret) && secret.byteLength > 0)
    return new Uint8Array(secret.buffer as ArrayBuffer, secret.byteOffset, secret.byteLength).slice();
  throw new AuthError(
    'ERR_AUTH_INVALID_CREDENTIAL',
    `hmac(): \`secret\` takes a non-empty string or bytes, but got ${typeof secret}`,
  );
}

/** Copies bytes, since the app may overwrite them. */
function snapshot(secret: Secret): Secret {
  return typeof secret === 'string' ? secret : bytesOf(secret);
}

function isSame(one: Secret, other: Secret): boolean {
  if (typeof one === 'string' || typeof other === 'string') return one === other;
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
