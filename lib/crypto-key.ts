/** The CryptoKey of the platform. The types of Node do not have it as a global. */
export type CryptoKey = Parameters<typeof crypto.subtle.exportKey>[1];

/** A key pair of WebCrypto. */
export interface CryptoKeyPair {
  privateKey: CryptoKey;
  publicKey: CryptoKey;
}
