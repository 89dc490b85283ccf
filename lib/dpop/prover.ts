import { check } from '../check.js';
import { systemClock } from '../clock.js';
import type { CryptoKeyPair } from '../crypto-key.js';
import { AuthError } from '../errors.js';
import { skewOf } from '../http/http-date.js';
import { dateOf, headerOf } from '../http/response-headers.js';
import type { MaybePromise } from '../maybe-promise.js';
import { safeGet, withoutPrototype } from '../safe-read.js';
import type * as Dpop from 'dpop';

/** An algorithm of proofs (RFC 9449 §4.2). */
export type DpopAlgorithm = 'ES256' | 'Ed25519' | 'RS256' | 'PS256';

/** Headers of a response, of axios, fetch or Node. */
export type ResponseHeaders = { get(name: string): string | null } | Record<string, unknown>;

/** Makes DPoP proofs (RFC 9449 §4.2) with one key pair, and keeps the nonces of the servers. */
export interface DpopProver {
  /**
   * Returns the value of a `DPoP` header for one request, for example of a grant, fetch or WebSocket.
   *
   * @param request `url`: query and fragment are left out. `accessToken`: the token that the request carries. Without it
   *   the request counts as one to a token endpoint, whose nonce is kept apart (RFC 9449 §8). `nonce`: replaces the last
   *   one of the server. `now`: epoch ms, replaces the machine's clock as corrected by the server's Date.
   * @throws AuthError ERR_AUTH_INVALID_CREDENTIAL if the key pair cannot sign proofs. TypeError for a wrong `url` or `method`.
   */
  proof(request: {
    url: string | URL;
    method: string;
    accessToken?: string | undefined;
    nonce?: string | undefined;
    now?: number | undefined;
  }): Promise<string>;
  /** Stores the nonce of a response (RFC 9449 §8.2), and how far its Date is from the machine's clock. */
  heard(url: string | URL, headers: ResponseHeaders): void;
  /** Returns the thumbprint of the public key, the `dpop_jkt` of an authorization request (RFC 9449 §10). */
  thumbprint(): Promise<string>;
}

interface Server {
  nonce?: string | undefined;
  skewMs?: number | undefined;
}

/** Marks a prover whose key ends with this process. */
const PROCESS_KEY = Symbol.for('axios-attach-auth.processKey');

/**
 * Returns a prover. A token is bound to the key that requested it: give one prover to `dpop()` and to its grant.
 *
 * @param options `keyPair`: two CryptoKeys, or a function that returns them, called at the first use and after a failure.
 *   Default: a pair that is created at the first use, not extractable, for this process only. `algorithm`: of that pair,
 *   default ES256.
 * @throws TypeError for wrong options.
 */
export function dpopProver(
  options: {
    keyPair?: CryptoKeyPair | (() => MaybePromise<CryptoKeyPair>) | undefined;
    algorithm?: DpopAlgorithm | undefined;
  } = {},
): DpopProver {
  const { keyPair, algorithm = 'ES256' } = withoutPrototype(options);
  const isPair = keyPair === undefined || typeof keyPair === 'function' || Boolean(safeGet(keyPair, 'privateKey'));
  check(isPair, 'dpopProver(): keyPair', 'a CryptoKeyPair object or a function', keyPair);
  checkAlgorithm('dpopProver()', algorithm);
  const servers = new Map<string, Server>();
  /** Where requests without a token were sent. */
  const endpoints = new Set<string>();
  let pair: Promise<CryptoKeyPair> | undefined;

  const serverAt = (key: string): Server => {
    const server = servers.get(key) ?? {};
    servers.set(key, server);
    return server;
  };
  const keys = async (): Promise<CryptoKeyPair> => {
    pair ??= (async () => {
      const found = await (typeof keyPair === 'function' ? keyPair() : (keyPair ?? generateKeyPair(algorithm)));
      if (!safeGet(found, 'privateKey')) throw keyError();
      return found;
    })();
    try {
      return await pair;
    } catch (error) {
      pair = undefined;
      throw error;
    }
  };

  const prover: DpopProver = {
    async proof(request) {
      const { url, method, accessToken, nonce, now } = withoutPrototype(request);
      check(typeof method === 'string', 'proof(): method', 'a string', method);
      const { origin, htu } = targetOf(url);
      if (accessToken === undefined) endpoints.add(htu);
      const signer = await keys();
      const { generateProof } = await peer();
      const server = serverAt(accessToken === undefined ? htu : origin);
      const iat = Math.floor((now ?? systemClock.now() + (server.skewMs ?? 0)) / 1000);
      return withKey(() =>
        generateProof(signer, htu, method.toUpperCase(), nonce ?? server.nonce, accessToken, issuedAt(iat)),
      );
    },
    heard(url, headers) {
      const { origin, htu } = targetOf(url);
      const server = serverAt(endpoints.has(htu) ? htu : origin);
      const nonce = headerOf({ headers }, 'dpop-nonce');
      if (nonce) server.nonce = nonce;
      const date = dateOf({ headers });
      if (date !== undefined) server.skewMs = skewOf(date, systemClock.now());
    },
    async thumbprint() {
      const { publicKey } = await keys();
      const { calculateThumbprint } = await peer();
      return withKey(() => calculateThumbprint(publicKey));
    },
  };
  return keyPair === undefined ? Object.assign(prover, { [PROCESS_KEY]: true }) : prover;
}

/** True if the key of the prover ends with this process. */
export function hasProcessKey(prover: DpopProver): boolean {
  return PROCESS_KEY in prover;
}

export function checkAlgorithm(name: string, algorithm: string): void {
  const algorithms = ['ES256', 'Ed25519', 'RS256', 'PS256'];
  check(algorithms.includes(algorithm), `${name}: algorithm`, algorithms.join(', '), algorithm);
}

export async function generateKeyPair(algorithm: DpopAlgorithm): Promise<CryptoKeyPair> {
  return (await peer()).generateKeyPair(algorithm);
}

/** Loads `dpop` at first use: it reads globals while it loads, and CommonJS can load it only by import(). */
function peer(): Promise<typeof Dpop> {
  return import('dpop');
}

async function withKey<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw keyError(cause);
  }
}

function keyError(cause?: unknown): AuthError {
  return new AuthError(
    'ERR_AUTH_INVALID_CREDENTIAL',
    'dpopProver(): the key pair cannot sign. `keyPair` takes { privateKey, publicKey }, CryptoKeys of ES256, Ed25519, RS256 or PS256.',
    cause,
  );
}

/** `dpop` writes its own clock into `iat`, over any claim that it is given. JSON.stringify() calls toJSON() after that. */
function issuedAt(iat: number): Record<string, never> {
  const toJSON = function (this: object): object {
    return { ...this, iat, toJSON: undefined };
  };
  return { toJSON: toJSON as never };
}

/** The handshake of a WebSocket is an http request. */
function targetOf(url: string | URL): { origin: string; htu: string } {
  const { origin, pathname } = new URL(String(url).replace(/^ws/i, 'http'));
  return { origin, htu: origin + pathname };
}
