/**
 * HTTP message signatures (RFC 9421).
 *
 * @module axios-attach-auth/http-signature
 */

import type { InnerList } from 'structured-headers';
import { check } from './check.js';
import { systemClock } from './clock.js';
import type { CryptoKey } from './crypto-key.js';
import { AuthError } from './errors.js';
import { ALGORITHMS, assert, componentOf, inOrder, keyFor, keySource, sign } from './http-signature/message.js';
import { signatureBase, structuredHeaders, withParameters, type Component } from './http-signature/message.js';
import type { SignatureAlgorithm, SignatureParameters, VerifyOptions } from './http-signature/message.js';
import { bodyView } from './http/body.js';
import { headerOf } from './http/response-headers.js';
import type { MaybePromise } from './maybe-promise.js';
import { isObject, safeGet, withoutPrototype } from './safe-read.js';
import { toBase64 } from './schemes/hash.js';
import type { AuthAnswer, AuthScheme } from './schemes/scheme.js';

export type { Component, SignatureAlgorithm, VerifyOptions } from './http-signature/message.js';

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
   * @default `@method`, `@authority`, `@path`, `@query`; with a body content-digest, too, and its content-type unless it is a
   *   stream or form
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
 * Returns a scheme that signs requests (RFC 9421) and their bodies (RFC 9530), anew for every attempt. After a 401 the call is
 * sent again once, if the key has changed or the clock was corrected by more than 5 s.
 *
 * @throws TypeError for wrong options. A call that lacks a covered component rejects with a TypeError that names it.
 *   ERR_AUTH_BODY_NOT_SIGNABLE: a stream without a Content-Digest. ERR_AUTH_INVALID_CREDENTIAL: a key of another algorithm.
 *   ERR_AUTH_RESPONSE_NOT_VERIFIED: the response is not verified.
 */
export function httpSignature(options: HttpSignatureOptions): AuthScheme {
  const given = withoutPrototype(options);
  const { keyId, algorithm, key, digest = 'sha-256', label = 'sig1', expiresIn, verify } = given;
  const { tag, nonce = false, includeAlg = false } = given;
  const rule = (option: keyof HttpSignatureOptions, takes: string, isRight: boolean): void => {
    check(isRight, `httpSignature(): ${option}`, takes, given[option]);
  };
  const isText = (got: unknown): boolean => typeof got === 'string' && /^[ -~]+$/.test(got);
  const algorithms: string[] = Object.keys(ALGORITHMS);
  rule('keyId', 'visible ASCII characters', isText(keyId));
  rule('algorithm', algorithms.join(', '), algorithms.includes(algorithm));
  rule('key', 'a CryptoKey, bytes, an object { sign } or a function', isObject(key));
  rule('components', 'an array', Array.isArray(given.components ?? []));
  rule('digest', 'sha-256, sha-512 or false', ['sha-256', 'sha-512', false].includes(digest));
  rule('label', 'a lower-case name', /^[a-z*][a-z\d_\-.*]*$/.test(label));
  rule('tag', 'visible ASCII characters', tag === undefined || isText(tag));
  rule('expiresIn', 'whole seconds above 0', expiresIn === undefined || (Number.isInteger(expiresIn) && expiresIn > 0));
  rule('nonce', 'a boolean', typeof nonce === 'boolean');
  rule('includeAlg', 'a boolean', typeof includeAlg === 'boolean');
  const components = given.components?.map(componentOf);
  const sent = new WeakMap<object, { readonly usedId: unknown; readonly offsetMs: number }>();
  const currentKey = keySource(key);

  return {
    name: 'HTTP-Signature',
    credentialHeaders: ['Signature', 'Signature-Input'],
    async authorize(request) {
      const { headers, body, now } = request;
      const usedKey = await currentKey();
      const names = ['@method', '@authority', '@path', '@query'];
      if (body.kind !== 'none') {
        // That of a form, with its boundary, is made later.
        if (body.kind === 'bytes' && headers.get('Content-Type')) names.push('content-type');
        if (digest) names.push('content-digest');
      }
      const covered = components ?? names.map(componentOf);
      if (digest && covered.some(({ name }) => name === 'content-digest') && !headers.get('Content-Digest')) {
        const bytes = await body.bytes();
        if (!bytes) {
          throw new AuthError(
            'ERR_AUTH_BODY_NOT_SIGNABLE',
            'Not sent: set the Content-Digest of a stream or form, or `digest: false`.',
          );
        }
        headers.set('Content-Digest', `${digest}=:${toBase64(await crypto.subtle.digest(digest, bytes))}:`);
      }
      const created = Math.floor(now / 1000);
      const input = withParameters(`(${covered.map(({ id }) => id).join(' ')})`, {
        created,
        expires: expiresIn && created + expiresIn,
        keyid: keyId,
        alg: includeAlg && algorithm,
        nonce: nonce && toBase64(crypto.getRandomValues(new Uint8Array(18))),
        tag,
      });
      const signature = await sign(algorithm, usedKey, await signatureBase(covered, input, request));
      headers.set({ 'Signature-Input': `${label}=${input}`, Signature: `${label}=:${toBase64(signature)}:` });
      sent.set(request.exchange, { usedId: usedKey.id, offsetMs: now - systemClock.now() });
    },
    async onChallenge({ request }) {
      const before = sent.get(request.exchange);
      if (!before) return false;
      const correctionMs = request.now - systemClock.now() - before.offsetMs;
      return Math.abs(correctionMs) > LEAST_CORRECTION_MS || (await currentKey()).id !== before.usedId;
    },
    ...(verify !== undefined && { onAnswer: verifier(verify) }),
  };
}

/** Verifies responses (RFC 9421 §3.2). A refusal, a 429 and a 5xx may be unsigned: gateways make them, too. */
function verifier(options: VerifyOptions): (answer: AuthAnswer) => Promise<void> {
  const given = withoutPrototype(options);
  const { requiredComponents = [], maxAge = Infinity, digest } = given;
  const types = [typeof given.keyLookup, Array.isArray(requiredComponents), typeof maxAge, typeof (digest ?? false)];
  const isRight = types.join() === 'function,true,number,boolean';
  check(isRight, 'httpSignature(): verify', '{ keyLookup, requiredComponents?, maxAge?, digest? }', options);
  const required = requiredComponents.map((id) => inOrder(id.replace(/^[^";]+/, (name) => `"${name.toLowerCase()}"`)));

  return async ({ request, response, isRefusal, received }) => {
    const { status } = response;
    // As Node received them: axios takes Content-Encoding away when it decompresses.
    const headers: unknown = safeGet(safeGet(response.request, 'res'), 'headersDistinct') ?? response.headers;
    const message = { headers, status, request };
    if ((isRefusal || status === 429 || status >= 500) && !headerOf(message, 'signature-input')) return;
    try {
      const { parseDictionary, serializeList } = await structuredHeaders();
      const dictionary = (name: string) => parseDictionary(headerOf(message, name) ?? '');
      for (const [label, list] of dictionary('signature-input') as Map<string, InnerList>) {
        const { created = 0, expires = Infinity, keyid, alg }: SignatureParameters = Object.fromEntries(list[1]);
        const found = await given.keyLookup(keyid, alg);
        if (!found) continue;
        const { key, algorithm } = found;
        const now = request.now / 1000;
        assert((alg ?? algorithm) === algorithm, `it is signed with ${String(alg)}, but its key is for ${algorithm}`);
        assert(now - created <= maxAge, 'its signature is too old');
        assert(now <= expires, 'its signature has expired');
        const components = list[0].map(([name, params]) => componentOf({ name, params: Object.fromEntries(params) }));
        const covered = components.map(({ id }) => inOrder(id));
        for (const id of required) assert(covered.includes(id), `its signature does not cover ${id}`);
        const base = await signatureBase(components, serializeList([list]), message);
        const signature = dictionary('signature').get(label)?.[0] as ArrayBuffer;
        const isValid = await crypto.subtle.verify(...(await keyFor(algorithm, key)), signature, base);
        assert(isValid, 'its signature is wrong');
        // The Content-Digest of these may be that of a response with a body.
        if (digest === false || request.method === 'HEAD' || status === 304) return;
        const body = headerOf(message, 'content-encoding') ? undefined : await bodyView(received).bytes();
        let isVerified = body?.length === 0;
        for (const [name, [value]] of dictionary('content-digest')) {
          if (!body || !/^sha-(?:256|512)$/.test(name)) continue;
          const isMatch = toBase64(value as ArrayBuffer) === toBase64(await crypto.subtle.digest(name, body));
          assert(isMatch, 'its body does not match its Content-Digest');
          isVerified ||= covered.includes('"content-digest"');
        }
        assert(isVerified || !digest, 'its body has no covered Content-Digest');
        return;
      }
      assert(false, 'it has no signature of a known key');
    } catch (cause) {
      const reason = String(safeGet(cause, 'message')).replace('httpSignature(): ', '');
      throw new AuthError('ERR_AUTH_RESPONSE_NOT_VERIFIED', `The response is not verified: ${reason}.`, cause);
    }
  };
}
