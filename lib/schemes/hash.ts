import type { MaybePromise } from '../maybe-promise.js';
import { safeGet } from '../safe-read.js';

export type Hash = 'SHA-256' | 'SHA-384' | 'SHA-512';
export type Bytes = Uint8Array<ArrayBuffer>;

/** The part of node:crypto that is used here. */
interface NodeCrypto {
  createHash(name: string): { update(data: Bytes): { digest(): Bytes } };
  createHmac(name: string, key: unknown): { update(data: Bytes): { digest(): Bytes } };
  createSecretKey(key: Bytes): unknown;
}

/** Hashes and signs. In Node it uses node:crypto: WebCrypto takes about ten times as long for small inputs (100 bytes, Node 20). */
export interface Hasher {
  digest: (data: Bytes) => MaybePromise<Bytes>;
  /** Imports a secret once. Returns the function that signs with it. */
  signer: (secret: Bytes) => MaybePromise<(data: Bytes) => MaybePromise<Bytes>>;
}

/** `SHA-512-256` (FIPS 180-4 §6.7): node:crypto only. */
export function hasher(hash: Hash | 'SHA-512-256'): Hasher {
  const node = nodeCrypto();
  return node ? withNode(node, hash.replace('-', '').toLowerCase()) : withWebCrypto(hash);
}

/** Loaded without an import, which bundlers for browsers would try to resolve. undefined before Node 20.16 and in browsers. */
function nodeCrypto(): NodeCrypto | undefined {
  try {
    const node = safeGet(globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } }, 'process');
    return safeGet(node, 'getBuiltinModule')?.('node:crypto') as NodeCrypto | undefined;
  } catch {
    return undefined;
  }
}

function withNode(crypto: NodeCrypto, name: string): Hasher {
  return {
    digest: (data) => crypto.createHash(name).update(data).digest(),
    signer: (secret) => {
      const key = crypto.createSecretKey(secret);
      return (data) => crypto.createHmac(name, key).update(data).digest();
    },
  };
}

function withWebCrypto(hash: string): Hasher {
  const { subtle } = globalThis.crypto;
  return {
    digest: async (data) => new Uint8Array(await subtle.digest(hash, data)),
    signer: async (secret) => {
      const key = await subtle.importKey('raw', secret, { name: 'HMAC', hash }, false, ['sign']);
      return async (data) => new Uint8Array(await subtle.sign('HMAC', key, data));
    },
  };
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function toHex(bytes: Uint8Array): string {
  let hex = '';
  for (const byte of bytes) hex += HEX[byte] ?? '';
  return hex;
}

export function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
