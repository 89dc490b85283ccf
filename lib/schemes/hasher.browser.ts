import type { MaybePromise } from '../maybe-promise.js';
import type { Bytes, Digest, Hash } from './hash.js';

/** Returns a hash function by WebCrypto, which has no SHA-512-256. Pages of plain http have no WebCrypto. */
export function hasher(hash: Hash | 'SHA-512-256'): Digest {
  return async (data) => new Uint8Array(await crypto.subtle.digest(hash, data));
}

/** Imports a secret once. Returns the function that signs with it (HMAC). */
export function hmacSigner(hash: Hash, secret: Bytes): MaybePromise<Digest> {
  const importing = crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash }, false, ['sign']);
  return importing.then((key) => async (data) => new Uint8Array(await crypto.subtle.sign('HMAC', key, data)));
}
