import type { MaybePromise } from '../maybe-promise.js';
import { safeGet } from '../safe-read.js';

/** Seals the tokens of a store, so that a reader of the store cannot use them. Either function may be called for several texts at once. */
export interface Seal {
  /** Returns `text` in sealed form. `context` is the storage or Redis key, and empty for files and for a store of your own. */
  seal(text: string, context: string): MaybePromise<string>;
  /**
   * Returns the text that was sealed with the same `context`. If it throws, the text cannot be opened, and the store counts as
   * empty. An error with the `code` ERR_SEAL_UNAVAILABLE means that it cannot be opened for now. Then the stored text stays
   * unchanged.
   */
  open(text: string, context: string): MaybePromise<string>;
}

/** A key of AES-256: 32 bytes, or a CryptoKey for AES-GCM with a length of 256. */
export type SealKey = CryptoKey | Uint8Array;
/** A key, or a function that returns it: from a keychain, a key management service, IndexedDB. */
export type SealKeySource = SealKey | (() => MaybePromise<SealKey>);

/** Begins each sealed text, in case there is ever another form. */
const FORM = 'a256gcm.';
const KEY_BYTES = 32;
/** NIST SP 800-38D §5.2.1.1 recommends 96 bits. */
const NONCE_BYTES = 12;

/**
 * Returns a seal by AES-256-GCM with WebCrypto (NIST SP 800-38D). Each text gets a new random nonce. The context is
 * additional data: a text that was copied to another storage key cannot be opened there. One key may seal 2^32 texts.
 *
 * @param key The key. An array rotates keys: the first one seals, all of them open. A function is called for every read and
 *   write. If it fails, the store is unavailable (event `store-degraded`), and the function is called again later.
 * @throws TypeError if a key is neither 32 bytes, nor a CryptoKey for AES-GCM with a length of 256, nor a function.
 */
export function aesGcm(key: SealKeySource | readonly SealKeySource[]): Seal {
  const keys = (Array.isArray(key) ? (key as readonly SealKeySource[]) : [key as SealKeySource]).map(keyring);
  const [newest] = keys;
  if (!newest) throw wrongKey('an empty array');
  return {
    async seal(text, context) {
      const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
      const sealed = await crypto.subtle.encrypt(algorithm(nonce, context), await newest(), utf8(text));
      const bytes = [...nonce, ...new Uint8Array(sealed)];
      return FORM + btoa(bytes.map((byte) => String.fromCharCode(byte)).join(''));
    },
    async open(text, context) {
      const bytes = text.startsWith(FORM) ? Uint8Array.from(atob(text.slice(FORM.length)), codeOf) : new Uint8Array();
      const parameters = algorithm(bytes.subarray(0, NONCE_BYTES), context);
      for (const each of keys) {
        const cryptoKey = await each();
        try {
          const opened = await crypto.subtle.decrypt(parameters, cryptoKey, bytes.subarray(NONCE_BYTES));
          return new TextDecoder().decode(opened);
        } catch {
          // Another key may open it.
        }
      }
      throw new Error('aesGcm(): no key opens the text. It was sealed with another key or context, or it was changed.');
    },
  };
}

/** Returns the function that gets the key. Reads and writes that need it at the same time share one call of the source. */
function keyring(source: SealKeySource): () => Promise<CryptoKey> {
  const given = typeof source === 'function' ? undefined : checkedKey(source);
  let asked: Promise<CryptoKey> | undefined;
  const ask = async (): Promise<CryptoKey> => {
    try {
      const key = given ?? checkedKey(await (source as () => MaybePromise<SealKey>)());
      if (!ArrayBuffer.isView(key)) return key;
      return await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['encrypt', 'decrypt']);
    } catch (error) {
      throw Object.assign(new Error('aesGcm(): the key is not available.', { cause: error }), {
        name: safeGet(error, 'name') ?? 'Error',
        code: 'ERR_SEAL_UNAVAILABLE',
      });
    }
  };
  return () =>
    (asked ??= ask().finally(() => {
      asked = undefined;
    }));
}

/** Bytes are copied: the app may overwrite its own. */
function checkedKey(key: SealKey): CryptoKey | Uint8Array<ArrayBuffer> {
  // Also of another realm.
  if (ArrayBuffer.isView(key)) {
    if (key.byteLength === KEY_BYTES) return new Uint8Array(key);
    throw wrongKey(`${String(key.byteLength)} bytes`);
  }
  const found: unknown = safeGet(key, 'algorithm');
  if (safeGet(found, 'name') === 'AES-GCM' && safeGet(found, 'length') === KEY_BYTES * 8) return key;
  throw wrongKey(found === undefined ? typeof key : 'a CryptoKey of another kind');
}

function wrongKey(got: string): TypeError {
  return new TypeError(
    `aesGcm() takes 32 bytes (Uint8Array), a CryptoKey for AES-GCM with a length of 256, or a function that returns either, but got ${got}.`,
  );
}

function algorithm(iv: Uint8Array<ArrayBuffer>, context: string): AesGcmParams {
  return { name: 'AES-GCM', iv, additionalData: utf8(context) };
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function codeOf(character: string): number {
  return character.charCodeAt(0);
}
