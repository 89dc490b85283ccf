import { createSecretKey, generateKeyPairSync, randomBytes, sign, webcrypto, type KeyObject } from 'node:crypto';
import { createSigner, type SigningKey } from 'http-message-signatures';
import type { SignatureAlgorithm } from '../../lib/http-signature.js';

const { subtle } = webcrypto;

/** WebCrypto's names. */
export const IMPORT: Record<SignatureAlgorithm, RsaHashedImportParams | EcKeyImportParams | HmacImportParams> = {
  ed25519: { name: 'Ed25519' } as EcKeyImportParams,
  'ecdsa-p256-sha256': { name: 'ECDSA', namedCurve: 'P-256' },
  'ecdsa-p384-sha384': { name: 'ECDSA', namedCurve: 'P-384' },
  'rsa-pss-sha512': { name: 'RSA-PSS', hash: 'SHA-512' },
  'rsa-v1_5-sha256': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  'hmac-sha256': { name: 'HMAC', hash: 'SHA-256' },
};
export const ALGORITHMS = Object.keys(IMPORT) as SignatureAlgorithm[];

export interface Keys {
  /** As WebCrypto and as Node have them. */
  readonly signing: CryptoKey;
  readonly verifying: CryptoKey;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** PKCS #8, or the secret. */
  readonly bytes: Uint8Array;
}

export async function keysFor(algorithm: SignatureAlgorithm): Promise<Keys> {
  const params = IMPORT[algorithm];
  if (algorithm === 'hmac-sha256') {
    const bytes = new Uint8Array(randomBytes(32));
    const key = await subtle.importKey('raw', bytes, params, false, ['sign', 'verify']);
    const secret = createSecretKey(bytes);
    return { signing: key, verifying: key, privateKey: secret, publicKey: secret, bytes };
  }
  const { privateKey, publicKey } =
    algorithm === 'ed25519'
      ? generateKeyPairSync('ed25519')
      : 'namedCurve' in params
        ? generateKeyPairSync('ec', { namedCurve: params.namedCurve })
        : generateKeyPairSync('rsa', { modulusLength: 2048 });
  const bytes = new Uint8Array(privateKey.export({ type: 'pkcs8', format: 'der' }));
  return {
    signing: await subtle.importKey('pkcs8', bytes, params, false, ['sign']),
    verifying: await subtle.importKey('spki', publicKey.export({ type: 'spki', format: 'der' }), params, true, [
      'verify',
    ]),
    privateKey,
    publicKey,
    bytes,
  };
}

/** Keys for every algorithm. */
export async function allKeys(): Promise<Record<SignatureAlgorithm, Keys>> {
  const entries = await Promise.all(ALGORITHMS.map(async (name) => [name, await keysFor(name)] as const));
  return Object.fromEntries(entries) as Record<SignatureAlgorithm, Keys>;
}

/** An independent signer, for responses. */
export function signerFor(algorithm: SignatureAlgorithm, { privateKey }: Keys): SigningKey {
  const signer = createSigner(algorithm === 'hmac-sha256' ? privateKey.export() : privateKey, algorithm, 'server');
  // Its default is the longest salt. RFC 9421 §3.3.1 requires 64 bytes.
  if (algorithm === 'rsa-pss-sha512') {
    signer.sign = async (base) => sign('sha512', base, { key: privateKey, padding: 6, saltLength: 64 });
  }
  return signer;
}
