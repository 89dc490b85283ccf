import type { MaybePromise } from '../maybe-promise.js';

export type Hash = 'SHA-256' | 'SHA-384' | 'SHA-512';
export type Bytes = Uint8Array<ArrayBuffer>;
/** Hashes or signs. */
export type Digest = (data: Bytes) => MaybePromise<Bytes>;

export function toHex(bytes: Uint8Array): string {
  let hex = '';
  for (const byte of bytes) hex += byte.toString(16).padStart(2, '0');
  return hex;
}

export function toBase64(bytes: Uint8Array | ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)));
}

export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text);
}
