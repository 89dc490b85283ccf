import type { MaybePromise } from '../maybe-promise.js';
import { safeGet } from '../safe-read.js';
import type { Bytes, Digest, Hash } from './hash.js';
import * as web from './hasher.browser.js';

/*
 * node:crypto where it is there: WebCrypto takes about ten times as long for small inputs (100 bytes, Node 20).
 */

/** The part of node:crypto that is used here. */
interface NodeCrypto {
  createHash(name: string): { update(data: Bytes): { digest(): Bytes } };
  createHmac(name: string, key: unknown): { update(data: Bytes): { digest(): Bytes } };
  createSecretKey(key: Bytes): unknown;
}

/** Returns a hash function. `SHA-512-256` (FIPS 180-4 §6.7): node:crypto only. */
export function hasher(hash: Hash | 'SHA-512-256'): Digest {
  const crypto = nodeCrypto();
  return crypto ? (data) => crypto.createHash(nameOf(hash)).update(data).digest() : web.hasher(hash);
}

/** Imports a secret once. Returns the function that signs with it (HMAC). */
export function hmacSigner(hash: Hash, secret: Bytes): MaybePromise<Digest> {
  const crypto = nodeCrypto();
  if (!crypto) return web.hmacSigner(hash, secret);
  const key = crypto.createSecretKey(secret);
  return (data) => crypto.createHmac(nameOf(hash), key).update(data).digest();
}

function nameOf(hash: string): string {
  return hash.replace('-', '').toLowerCase();
}

/** Loaded without an import, which bundlers would try to resolve. undefined before Node 20.16 and in workers. */
function nodeCrypto(): NodeCrypto | undefined {
  try {
    const node = safeGet(globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } }, 'process');
    return safeGet(node, 'getBuiltinModule')?.('node:crypto') as NodeCrypto | undefined;
  } catch {
    return undefined;
  }
}
