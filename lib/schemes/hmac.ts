import { type MaybePromise, whenReady } from '../maybe-promise.js';
import { AuthError } from '../errors.js';
import { withoutPrototype } from '../safe-read.js';
import { assertHeader, isHeaderName } from '../http/header-values.js';
import { toBase64, toHex, utf8, type Bytes, type Digest, type Hash } from './hash.js';
import { hasher, hmacSigner } from './hasher.node.js';
import { notSignable } from './not-signable.js';
import { type AuthRequest, type AuthScheme } from './scheme.js';

/** Options of {@link hmac}. */
export interface HmacOptions {
  /** The id of the secret, sent unchanged. */
  keyId: string;
  /** The shared secret. A string is encoded as UTF-8. A function is called at every attempt, and once more after a 401. */
  secret: string | Uint8Array | (() => MaybePromise<string | Uint8Array>);
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

/** If the server's time differs by more from the signed time, the server may have refused the timestamp. */
const STALE_MS = 5_000;

/**
 * Returns a scheme that signs method, path, query, time and body of every attempt by HMAC (RFC 2104). The time is that of the
 * server's clock, as far as its Date header has shown it. After a 401 the call is replayed only if the secret or the known server
 * time has changed.
 *
 * @throws TypeError for wrong options. A call with a stream or multipart form rejects with ERR_AUTH_BODY_NOT_SIGNABLE, unsent.
 */
export function hmac(options: HmacOptions): AuthScheme {
  const given: unknown = options;
  if (typeof given !== 'object' || given === null) throw new TypeError('hmac() takes { keyId, secret }');
  const {
    keyId,
    secret,
    hash = 'SHA-256',
    encoding = 'hex',
    headers = {},
    stringToSign = defaultStringToSign,
  } = withoutPrototype(options);
  const named = withoutPrototype(headers);
  const names = {
    keyId: named.keyId ?? 'X-API-Key',
    timestamp: named.timestamp ?? 'X-Timestamp',
    signature: named.signature ?? 'X-Signature',
  };
  assertOptions({ keyId, secret, hash, encoding, headers: names, stringToSign });
  const digest = hasher(hash);
  const write = encoding === 'hex' ? toHex : toBase64;
  const sent = new WeakMap<object, { secret: string | Uint8Array; signedAt: number }>();
  let known: { secret: string | Uint8Array; sign: MaybePromise<Digest> } | undefined;

  const signerFor = (value: string | Uint8Array): MaybePromise<Digest> => {
    if (!known || !isSame(known.secret, value))
      known = { secret: snapshot(value), sign: hmacSigner(hash, bytesOf(value)) };
    return known.sign;
  };

  return {
    name: 'HMAC',
    credentialHeaders: Object.values(names),
    async authorize(request) {
      const value = typeof secret === 'function' ? await secret() : secret;
      const body = await request.body.bytes();
      if (!body) throw notSignable();
      const signedAt = request.now;
      const timestamp = String(Math.floor(signedAt / 1000));
      const bodyHash = toHex(await digest(body));
      const path = request.url.pathname + request.url.search;
      const text = stringToSign({ method: request.method, path, timestamp, bodyHash, request });
      const sign = await signerFor(value);
      const signature = await sign(utf8(text));
      assertHeader(names.keyId, keyId);
      request.headers.set(names.keyId, keyId);
      request.headers.set(names.timestamp, timestamp);
      request.headers.set(names.signature, write(signature));
      sent.set(request.exchange, { secret: snapshot(value), signedAt });
    },
    onChallenge({ request }) {
      const before = sent.get(request.exchange);
      if (!before) return false;
      if (Math.abs(request.now - before.signedAt) > STALE_MS) return true;
      return typeof secret === 'function' && whenReady(secret(), (value) => !isSame(before.secret, value));
    },
  };
}

function defaultStringToSign(parts: { method: string; path: string; timestamp: string; bodyHash: string }): string {
  return `${parts.method}\n${parts.path}\n${parts.timestamp}\n${parts.bodyHash}`;
}

function assertOptions(options: { [K in keyof HmacOptions]-?: NonNullable<HmacOptions[K]> }): void {
  const { keyId, secret, hash, encoding, stringToSign, headers } = options;
  if (typeof keyId !== 'string' || keyId === '')
    throw new TypeError(`hmac(): \`keyId\` takes a non-empty string, but got ${typeof keyId}`);
  if (typeof secret !== 'string' && typeof secret !== 'function' && !ArrayBuffer.isView(secret)) {
    throw new TypeError(`hmac(): \`secret\` takes a string, bytes or a function, but got ${typeof secret}`);
  }
  if (!['SHA-256', 'SHA-384', 'SHA-512'].includes(hash)) {
    throw new TypeError(`hmac(): \`hash\` takes SHA-256, SHA-384 or SHA-512, but got ${hash}`);
  }
  if (!['hex', 'base64'].includes(encoding)) {
    throw new TypeError(`hmac(): \`encoding\` takes hex or base64, but got ${encoding}`);
  }
  if (typeof stringToSign !== 'function') {
    throw new TypeError(`hmac(): \`stringToSign\` takes a function, but got ${typeof stringToSign}`);
  }
  for (const [key, name] of Object.entries(headers)) {
    if (!isHeaderName(name))
      throw new TypeError(`hmac(): \`headers.${key}\` takes the name of a header, but got ${String(name)}`);
  }
}

function bytesOf(secret: unknown): Bytes {
  if (typeof secret === 'string') return utf8(secret);
  if (ArrayBuffer.isView(secret))
    return new Uint8Array(secret.buffer as ArrayBuffer, secret.byteOffset, secret.byteLength).slice();
  throw new AuthError(
    'ERR_AUTH_INVALID_CREDENTIAL',
    `hmac(): \`secret()\` returned ${typeof secret}. Return a string or bytes.`,
  );
}

/** Copies bytes, since the app may overwrite them. */
function snapshot(secret: string | Uint8Array): string | Uint8Array {
  return typeof secret === 'string' ? secret : bytesOf(secret);
}

function isSame(one: string | Uint8Array, other: string | Uint8Array): boolean {
  if (typeof one === 'string' || typeof other === 'string') return one === other;
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
