/**
 * HTTP message signatures (RFC 9421).
 *
 * @module axios-attach-auth/http-signature
 */

import { check } from './check.js';
import { systemClock } from './clock.js';
import type { CryptoKey } from './crypto-key.js';
import { AuthError } from './errors.js';
import {
  ALGORITHMS,
  base64Digest,
  comparable,
  componentOf,
  importKey,
  linesOf,
  parametersFor,
  signatureBase,
  withParameters,
  wrong,
} from './http-signature/message.js';
import type { Component, Covered, SignatureAlgorithm } from './http-signature/message.js';
import { isVerifyOptions, verifyResponse, type VerifyOptions } from './http-signature/verify.js';
import type { MaybePromise } from './maybe-promise.js';
import { safeGet, withoutPrototype } from './safe-read.js';
import { toBase64, type Bytes } from './schemes/hash.js';
import type { AuthAnswer, AuthRequest, AuthScheme } from './schemes/scheme.js';

export type { Component, SignatureAlgorithm } from './http-signature/message.js';
export type { VerifyOptions } from './http-signature/verify.js';

/** Options of {@link httpSignature}. */
export interface HttpSignatureOptions {
  /** Names the key for the server. */
  keyId: string;
  /** Must fit the key. */
  algorithm: SignatureAlgorithm;
  /**
   * Bytes: the secret of hmac-sha256, else a private key in PKCS #8. A function is called at every attempt, and once more
   * after a 401. `{ sign }` signs elsewhere (KMS, HSM).
   */
  key:
    | CryptoKey
    | Uint8Array
    | (() => MaybePromise<CryptoKey | Uint8Array>)
    | { sign(base: Uint8Array): MaybePromise<Uint8Array> };
  /**
   * What the signature covers: names, and objects for components with parameters.
   * @default `@method`, `@authority`, `@path`, `@query`; with a body content-digest, too, and content-type if there is one
   */
  components?: readonly (string | Component)[] | undefined;
  /** Hash of the Content-Digest (RFC 9530), which is written if it is covered and the call has none. @default 'sha-256' */
  digest?: 'sha-256' | 'sha-512' | false | undefined;
  /** The name of the signature in its headers. @default 'sig1' */
  label?: string | undefined;
  /** The parameter `tag`, by which an application knows its own signatures. @default none */
  tag?: string | undefined;
  /** In seconds after `created`. @default no `expires` */
  expiresIn?: number | undefined;
  /** Adds a random `nonce`. @default false */
  nonce?: boolean | undefined;
  /** Adds `alg`. @default false */
  includeAlg?: boolean | undefined;
  /** Verifies responses. Needs the package `structured-headers`. */
  verify?: VerifyOptions | undefined;
}

/** Servers commonly accept a `created` that is some seconds off. */
const LEAST_CORRECTION_MS = 5_000;

/**
 * Returns a scheme that signs requests (RFC 9421) and their bodies (RFC 9530), anew for every attempt. After a 401 the call
 * is sent again once, if the clock was corrected by more than 5 s or the key has changed.
 *
 * @throws TypeError for wrong options. A call that lacks a covered component rejects with a TypeError that names it, a
 *   stream without a Content-Digest with ERR_AUTH_BODY_NOT_SIGNABLE, a key of another algorithm with
 *   ERR_AUTH_INVALID_CREDENTIAL, a response that is not verified with ERR_AUTH_RESPONSE_NOT_VERIFIED.
 */
export function httpSignature(options: HttpSignatureOptions): AuthScheme {
  const given = withoutPrototype(options);
  const components = readComponents(given);
  const {
    keyId,
    algorithm,
    key,
    digest = 'sha-256',
    label = 'sig1',
    tag,
    expiresIn,
    nonce,
    includeAlg,
    verify,
  } = given;
  const sent = new WeakMap<object, { readonly usedKey: unknown; readonly offsetMs: number }>();
  let last = { id: undefined as unknown, imported: undefined as unknown as Promise<CryptoKey> };

  const currentKey = async (): Promise<unknown> => (typeof key === 'function' ? key() : key);

  async function sign(value: unknown, base: Bytes): Promise<ArrayBuffer | Uint8Array> {
    if (typeof safeGet(value, 'sign') === 'function')
      return (value as Extract<HttpSignatureOptions['key'], { sign: unknown }>).sign(base);
    try {
      const id = comparable(value);
      if (last.id !== id) last = { id, imported: importKey(value, algorithm) };
      const imported = await last.imported;
      return await crypto.subtle.sign(parametersFor(algorithm, imported), imported, base);
    } catch (cause) {
      throw new AuthError('ERR_AUTH_INVALID_CREDENTIAL', `httpSignature(): \`key\` does not fit ${algorithm}.`, cause);
    }
  }

  return {
    name: 'HTTP-Signature',
    credentialHeaders: ['Signature', 'Signature-Input'],
    async authorize(request) {
      const { url, headers, now, exchange } = request;
      // An empty query is sent by some platforms and not by others.
      if (url.href.endsWith('?')) url.search = '';
      const type = headers.getContentType();
      // XMLHttpRequest writes it so.
      if (type && 'XMLHttpRequest' in globalThis)
        headers.setContentType(String(type).replace(/charset=utf-8/i, 'charset=UTF-8'));
      const value = await currentKey();
      const covered = components ?? defaultComponents(request, digest);
      if (digest && covered.some(({ name }) => name === 'content-digest')) await addDigest(request, digest);
      const created = Math.floor(now / 1000);
      const input = withParameters(`(${covered.map(({ id }) => id).join(' ')})`, {
        created,
        expires: expiresIn && created + expiresIn,
        keyid: keyId,
        alg: includeAlg && algorithm,
        nonce: nonce && toBase64(crypto.getRandomValues(new Uint8Array(18))),
        tag,
      });
      const base = await signatureBase(covered, input, request);
      const signature = new Uint8Array(await sign(value, base));
      headers.set('Signature-Input', `${label}=${input}`);
      headers.set('Signature', `${label}=:${toBase64(signature)}:`);
      sent.set(exchange, { usedKey: comparable(value), offsetMs: now - systemClock.now() });
    },
    async onChallenge({ request: { exchange, now } }) {
      const before = sent.get(exchange);
      if (!before) return false;
      const correctionMs = now - systemClock.now() - before.offsetMs;
      return Math.abs(correctionMs) > LEAST_CORRECTION_MS || comparable(await currentKey()) !== before.usedKey;
    },
    ...(verify && { onAnswer: (answer: AuthAnswer) => verifyResponse(answer, verify) }),
  };
}

/** Checks the options. Returns what they cover, if they say so. */
function readComponents(given: Partial<HttpSignatureOptions>): readonly Covered[] | undefined {
  const { keyId, algorithm, key, components, digest, label, tag, expiresIn, nonce, includeAlg, verify } = given;
  // The key is never shown.
  if (Object(key) !== key) wrong('`key` takes a CryptoKey, bytes, { sign } or a function');
  const isText = (got: unknown): boolean => typeof got === 'string' && /^[ -~]+$/.test(got);
  const isBoolean = (got: unknown): boolean => typeof (got ?? false) === 'boolean';
  const rules: [option: string, got: unknown, isRight: boolean, takes: string][] = [
    ['keyId', keyId, isText(keyId), 'visible ASCII characters'],
    ['algorithm', algorithm, Object.hasOwn(ALGORITHMS, String(algorithm)), Object.keys(ALGORITHMS).join(', ')],
    ['components', components, Array.isArray(components ?? []), 'an array'],
    ['digest', digest, [undefined, 'sha-256', 'sha-512', false].includes(digest), 'sha-256, sha-512 or false'],
    ['label', label, /^[a-z*][a-z\d_\-.*]*$/.test(label ?? 'sig'), 'a lower-case name'],
    ['tag', tag, tag === undefined || isText(tag), 'visible ASCII characters'],
    ['expiresIn', expiresIn, Number.isInteger(expiresIn ?? 1) && !(Number(expiresIn) < 1), 'whole seconds above 0'],
    ['nonce', nonce, isBoolean(nonce), 'a boolean'],
    ['includeAlg', includeAlg, isBoolean(includeAlg), 'a boolean'],
    [
      'verify',
      verify,
      verify === undefined || isVerifyOptions(verify),
      '{ keyLookup, requiredComponents?, maxAge?, digest? }',
    ],
  ];
  for (const [option, got, isRight, takes] of rules) check(isRight, `httpSignature(): \`${option}\``, takes, got);
  return components?.map(componentOf);
}

/** The covered components without the option `components`. */
function defaultComponents(request: AuthRequest, digest: string | false): readonly Covered[] {
  const names = ['@method', '@authority', '@path', '@query'];
  if (request.body.kind !== 'none') {
    if (linesOf(request, 'content-type')) names.push('content-type');
    if (digest) names.push('content-digest');
  }
  return names.map(componentOf);
}

async function addDigest(request: AuthRequest, algorithm: string): Promise<void> {
  if (linesOf(request, 'content-digest')) return;
  const bytes = await request.body.bytes();
  if (!bytes) {
    throw new AuthError(
      'ERR_AUTH_BODY_NOT_SIGNABLE',
      'Not sent: a stream or a multipart form has no bytes to sign yet. Set its Content-Digest, or `digest: false`.',
    );
  }
  request.headers.set('Content-Digest', `${algorithm}=:${await base64Digest(algorithm, bytes)}:`);
}
