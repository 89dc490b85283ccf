import type { MaybePromise } from '../maybe-promise.js';
import { hasher, toHex, type Bytes } from '../schemes/hash.js';

type Sign = (data: Bytes) => MaybePromise<Bytes>;

/** A process may sign for several regions and services, and for each of them anew every day. */
const MOST_KEYS = 20;

export async function hashOf(data: Bytes): Promise<string> {
  return toHex(await hasher('SHA-256').digest(data));
}

/** Signs with the key of a day, region and service, which it derives once. */
export function signWithKey(): (text: string, secret: string, scope: string) => Promise<string> {
  const keys = new Map<string, Sign>();
  return async (text, secret, scope) => {
    const { signer } = hasher('SHA-256');
    const id = `${scope} ${secret}`;
    let sign = keys.get(id);
    if (!sign) {
      sign = await signer(utf8(`AWS4${secret}`));
      for (const part of scope.split('/')) sign = await signer(await sign(utf8(part)));
      if (keys.size >= MOST_KEYS) keys.clear();
      keys.set(id, sign);
    }
    return toHex(await sign(utf8(text)));
  };
}

export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text);
}
