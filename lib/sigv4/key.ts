import type { MaybePromise } from '../maybe-promise.js';
import { hasher, toHex, type Bytes, type Hasher } from '../schemes/hash.js';

type Sign = (data: Bytes) => MaybePromise<Bytes>;

/** A process may sign for several regions and services, and for each of them anew every day. */
const MOST_KEYS = 20;

/** SHA-256, and HMAC with the key of a day, region and service, which is derived once. A closure: the keys are secret. */
export function signer(): {
  hash: (data: Bytes) => Promise<string>;
  sign: (text: string, secret: string, scope: string) => Promise<string>;
} {
  const keys = new Map<string, Sign>();
  let known: Hasher | undefined;
  const sha = (): Hasher => (known ??= hasher('SHA-256'));
  return {
    hash: async (data) => toHex(await sha().digest(data)),
    async sign(text, secret, scope) {
      const id = `${scope} ${secret}`;
      let sign = keys.get(id);
      if (!sign) {
        sign = await sha().signer(utf8(`AWS4${secret}`));
        for (const part of scope.split('/')) sign = await sha().signer(await sign(utf8(part)));
        if (keys.size >= MOST_KEYS) keys.clear();
        keys.set(id, sign);
      }
      return toHex(await sign(utf8(text)));
    },
  };
}

export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text);
}
