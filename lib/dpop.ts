/**
 * Access tokens that are bound to a key (RFC 9449).
 *
 * @module axios-attach-auth/dpop
 */

import { check } from './check.js';
import { systemClock } from './clock.js';
import type { CryptoKeyPair } from './crypto-key.js';
import { checkAlgorithm, dpopProver, generateKeyPair, hasProcessKey } from './dpop/prover.js';
import type { DpopAlgorithm, DpopProver } from './dpop/prover.js';
import { headerOf, headersOf } from './http/response-headers.js';
import { parseChallenges, type Challenge } from './http/www-authenticate.js';
import { safeGet, withoutPrototype } from './safe-read.js';
import type { BearerScheme } from './schemes/bearer-scheme.js';
import { sessionOf, type AuthRequest } from './schemes/scheme.js';
import { isLocalStore } from './session/store.js';

export { dpopProver, type DpopAlgorithm, type DpopProver } from './dpop/prover.js';

/** `iat` is in whole seconds: a smaller correction need not change it. */
const LEAST_CORRECTION_MS = 1_000;

interface Call {
  /**
   * The nonces of the call's own refusals, by the attempt that they are for: another call may have used up the shared one. An attempt may
   * be authorized several times (a redirect, a limit that closes meanwhile).
   */
  readonly nonces: (string | undefined)[];
  /** Number of the last attempt that was refused for its nonce. */
  nonceRefusedAt?: number;
  /** The known clock offset when the last proof was made. */
  offsetMs?: number;
  isTimeCorrected?: boolean;
}

/**
 * Returns a scheme that sends a session's tokens bound to a key (RFC 9449). It writes `Authorization: DPoP <token>`, and a new
 * proof in `DPoP` for every attempt. After a `use_dpop_nonce` refusal the call is sent again with the nonce of that refusal. Two
 * of them in a row settle the call. After `invalid_dpop_proof` it is sent again once, if the clock was corrected by over 1 s.
 * Neither refusal starts a refresh. Across origins the server must expose DPoP-Nonce and WWW-Authenticate.
 *
 * @param session A bearer(). The scheme has its methods, too.
 * @param options `prover`: the prover that the session's grant uses. Default: a new one.
 * @throws TypeError for other arguments. Also if the session's store is shared beyond this process, but the prover has no
 *   `keyPair`. Another holder would send the tokens with its own key, and the server would end the session.
 */
export function dpop<S extends BearerScheme>(
  session: S,
  options: { prover?: DpopProver | undefined } = {},
): S & { readonly prover: DpopProver } {
  const { prover = dpopProver() } = withoutPrototype(options);
  const isSession = Boolean(safeGet(session, 'authorize') && session.credentialHeaders?.includes('Authorization'));
  check(isSession, 'dpop(): session', 'a bearer() without `header`', session);
  const isProver = ['proof', 'heard'].every((name) => typeof safeGet(prover, name) === 'function');
  check(isProver, 'dpop(): prover', 'a dpopProver()', prover);
  const store = sessionOf(session)?.store;
  if (store && !isLocalStore(store) && hasProcessKey(prover)) {
    throw new TypeError(
      'dpop(): the store of the session is shared beyond this process, but the key of the prover is not, and tokens ' +
        'are bound to it. Share it as widely: dpopProver({ keyPair }), for tabs with indexedDbKeyPair(name).',
    );
  }
  const calls = new WeakMap<object, Call>();
  const callOf = (key: object): Call => {
    let call = calls.get(key);
    if (!call) calls.set(key, (call = { nonces: [] }));
    return call;
  };

  return {
    ...session,
    name: 'DPoP',
    credentialHeaders: session.credentialHeaders?.concat('DPoP'),
    // A nonce, a token, and a nonce that expired meanwhile.
    maxChallenges: 3,
    prover,
    async authorize(request) {
      await session.authorize(request);
      const { headers, method, url, now } = request;
      const written = headers.get('Authorization');
      if (typeof written !== 'string') return;
      const accessToken = written.slice(written.lastIndexOf(' ') + 1);
      const call = callOf(request.exchange);
      const nonce = call.nonces[request.attempt];
      call.offsetMs = offsetNow(request);
      headers.set('DPoP', await prover.proof({ url, method, accessToken, nonce, now }));
      headers.set('Authorization', `DPoP ${accessToken}`);
    },
    async onChallenge(challenge) {
      const { request, response, challenges } = challenge;
      const call = callOf(request.exchange);
      const nonce = (call.nonces[request.attempt + 1] = headerOf(response, 'dpop-nonce'));
      const error = proofError(challenges);
      if (error === 'use_dpop_nonce') {
        const isSecond = call.nonceRefusedAt === request.attempt - 1;
        call.nonceRefusedAt = request.attempt;
        return Boolean(nonce) && !isSecond;
      }
      if (error === undefined) return session.onChallenge?.(challenge) ?? false;
      const isCorrected =
        !call.isTimeCorrected && Math.abs(offsetNow(request) - (call.offsetMs ?? 0)) > LEAST_CORRECTION_MS;
      return (call.isTimeCorrected = isCorrected);
    },
    onAnswer(answer) {
      const { request, response, isRefusal } = answer;
      if (isRefusal && proofError(parseChallenges(headersOf(response, 'www-authenticate')))) return undefined;
      // Only now may other calls use the nonce of an earlier refusal.
      prover.heard(request.url, { 'dpop-nonce': callOf(request.exchange).nonces[request.attempt] });
      prover.heard(request.url, response.headers);
      return session.onAnswer?.(answer);
    },
  };
}

/** Returns the error code of a refusal of the proof (RFC 9449 §7.1, §9); undefined if the token was refused. */
function proofError(challenges: readonly Challenge[]): string | undefined {
  return challenges
    .map(({ params }) => params['error'])
    .find((error) => /^(?:use_dpop_nonce|invalid_dpop_proof)$/.test(error ?? ''));
}

function offsetNow({ now }: AuthRequest): number {
  return now - systemClock.now();
}

/**
 * Returns a function that loads or creates a key pair in IndexedDB. All tabs of the origin share it. It is not extractable.
 *
 * @param name Name of the database.
 * @param algorithm Each one has a key pair of its own. Default ES256.
 * @throws TypeError for a wrong name. The function rejects if there is no IndexedDB.
 */
export function indexedDbKeyPair(name: string, algorithm = 'ES256'): () => Promise<CryptoKeyPair> {
  check(typeof name === 'string' && name !== '', 'indexedDbKeyPair(): name', 'the name of a database', name);
  checkAlgorithm('indexedDbKeyPair()', algorithm);
  return async () => {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore('keys');
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      opening.onsuccess = () => {
        resolve(opening.result);
      };
      opening.onerror = () => {
        reject(new Error(`indexedDbKeyPair(): the database ${name} cannot be opened`, { cause: opening.error }));
      };
    });
    try {
      const stored = await storedPair(database, algorithm);
      if (stored) return stored;
      const created = await generateKeyPair(algorithm as DpopAlgorithm);
      return (await storedPair(database, algorithm, created)) ?? created;
    } finally {
      database.close();
    }
  };
}

/** Returns the stored pair. If there is none, stores `created` in the same transaction, so that only one tab can store its own. */
function storedPair(database: IDBDatabase, key: string, created?: CryptoKeyPair): Promise<CryptoKeyPair | undefined> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction('keys', 'readwrite');
    const store = transaction.objectStore('keys');
    const found = store.get(key) as IDBRequest<CryptoKeyPair | undefined>;
    found.onsuccess = () => {
      if (!found.result && created) store.put(created, key);
    };
    transaction.oncomplete = () => {
      resolve(found.result ?? created);
    };
    transaction.onabort = () => {
      reject(new Error('indexedDbKeyPair(): the key pair cannot be stored', { cause: transaction.error }));
    };
  });
}
