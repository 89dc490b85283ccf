/**
 * HTTP Digest authentication (RFC 7616).
 *
 * @module axios-attach-auth/digest
 */

import { bodyView } from './http/body.js';
import { check } from './check.js';
import { answer, clientNonce, md5, type Nonce, type Pair, type Sent } from './digest/answer.js';
import { AuthError } from './errors.js';
import { parseChallenges } from './http/www-authenticate.js';
import { safeGet, withoutPrototype } from './safe-read.js';
import type { MaybePromise } from './maybe-promise.js';
import { headerOf } from './http/response-headers.js';
import type { BasicCredentials } from './schemes/basic.js';
import type { Bytes, Digest } from './schemes/hash.js';
import { hasher } from './schemes/hasher.node.js';
import type { AuthScheme } from './schemes/scheme.js';

/** An algorithm of RFC 7616 §3.3. */
export type DigestAlgorithm = 'SHA-512-256' | 'SHA-256' | 'SHA-512' | 'MD5';

/** Options of {@link digest}. */
export interface DigestOptions {
  /** The accepted algorithms, best first, each with its `-sess` variant. Omit MD5 to refuse it. @default all, in the order of the type */
  algorithms?: readonly DigestAlgorithm[] | undefined;
  /** The quality of protection to use if the server offers both. `auth-int` covers the body. @default 'auth' */
  qop?: 'auth' | 'auth-int' | undefined;
  /** Whether to answer a challenge without qop (RFC 2069), which does not protect against replays. @default true */
  legacy?: boolean | undefined;
  /** Whether a response must prove by `rspauth` that the server knows the password (RFC 7616 §3.5). @default false */
  mutual?: boolean | undefined;
}

/**
 * Returns a scheme that answers Digest challenges (RFC 7616). The first call to a protection space is sent twice. Later calls
 * begin with the nonce that was accepted last. After a refusal a call uses the nonce of its own challenge.
 *
 * @param credentials A pair; or a function, called at every attempt and once more after a refusal: the call is sent again if
 *   the pair has changed. null or undefined: sent without credentials.
 * @throws TypeError for wrong arguments. A call rejects with ERR_AUTH_INVALID_CREDENTIAL for a control character in the pair,
 *   with ERR_AUTH_BODY_NOT_SIGNABLE for a stream under `auth-int`, and with ERR_AUTH_RESPONSE_NOT_VERIFIED under `mutual`.
 */
export function digest(
  credentials: BasicCredentials | (() => MaybePromise<BasicCredentials | null | undefined>),
  options?: DigestOptions,
): AuthScheme;
/** @internal */
export function digest(credentials: unknown, options: DigestOptions | undefined, makeNonce: () => string): AuthScheme;
export function digest(credentials: unknown, options: DigestOptions = {}, makeNonce = clientNonce): AuthScheme {
  // RFC 7616 names SHA-512/256 (FIPS 180-4 §6.7), but the values of its example (§3.9.2) are the first half of SHA-512, and
  // servers use either (erratum 4897). The second is tried if the first is refused.
  const sha512256 = [async (data: Bytes) => (await hasher('SHA-512')(data)).slice(0, 32), hasher('SHA-512-256')];
  const hashes: Record<DigestAlgorithm, Digest[]> & Record<string, Digest[] | undefined> = withoutPrototype({
    'SHA-512-256': sha512256,
    'SHA-256': [hasher('SHA-256')],
    'SHA-512': [hasher('SHA-512')],
    MD5: [md5],
  });
  const names = Object.keys(hashes) as DigestAlgorithm[];
  const { algorithms = names, qop = 'auth', legacy = true, mutual = false } = withoutPrototype(options);
  check(
    typeof credentials === 'function' || Boolean(pairOf(credentials)),
    'digest(): credentials',
    '{ username, password } or a function',
    credentials,
  );
  const isList =
    Array.isArray(algorithms) &&
    algorithms.length > 0 &&
    algorithms.every((name: unknown) => names.includes(name as DigestAlgorithm));
  check(isList, 'digest(): algorithms', `an array of ${names.join(', ')}`, algorithms);
  check(['auth', 'auth-int'].includes(qop), 'digest(): qop', 'auth or auth-int', qop);
  check(typeof legacy === 'boolean', 'digest(): legacy', 'a boolean', legacy);
  check(typeof mutual === 'boolean', 'digest(): mutual', 'a boolean', mutual);

  /** The nonce of a call's own challenge. */
  const own = new WeakMap<object, Nonce>();
  const lastSent = new WeakMap<object, Sent | undefined>();
  /** The nonce that was accepted last, by origin and by first part of the path: an origin may have several realms. */
  const accepted = new Map<string, Nonce>();

  const current = async (): Promise<Pair | undefined> => {
    const given: unknown = typeof credentials === 'function' ? await (credentials as () => unknown)() : credentials;
    if (given === null || given === undefined) return undefined;
    const pair = pairOf(given);
    if (pair && /^[^\p{Cc}\p{Cs}]*\n[^\p{Cc}\p{Cs}]*$/u.test(pair)) return pair;
    throw new AuthError('ERR_AUTH_INVALID_CREDENTIAL', 'digest() takes { username, password }, no control characters.');
  };

  return {
    name: 'Digest',
    credentialHeaders: ['Authorization'],
    // One without a nonce, one with a stale nonce, one with the other SHA-512-256.
    maxChallenges: 3,
    async authorize(request) {
      const [place, origin] = protectionSpacesOf(request.url);
      const nonce = own.get(request.exchange) ?? accepted.get(place) ?? accepted.get(origin);
      const pair = nonce && (await current());
      lastSent.set(request.exchange, pair ? await answer(request, nonce, pair, makeNonce()) : undefined);
    },
    async onChallenge({ request, challenges }) {
      const sent = lastSent.get(request.exchange);
      const pair = await current();
      if (!pair) return false;
      const isStale = challenges.some(({ params }) => params['stale']?.toLowerCase() === 'true');
      // A nonce that was accepted before has expired, even without stale=true.
      const isRefused = sent?.pair === pair && !isStale && !sent.nonce.isAccepted;
      // The best algorithm that the server offers and this runtime has.
      const candidates = isRefused ? sent.nonce.rest : algorithms.flatMap((name: DigestAlgorithm) => hashes[name]);
      for (const [index, hash] of candidates.entries()) {
        for (const { scheme, params } of challenges) {
          const { algorithm = 'MD5', nonce: value, qop: list } = params;
          const [base, isSession] = algorithm.toUpperCase().split('-SESS') as [string, string?];
          const offers = list?.toLowerCase().split(/[\s,]+/);
          const chosen = [qop, 'auth', 'auth-int'].find((each) => offers?.includes(each));
          if (scheme === 'digest' && value && hashes[base]?.includes(hash) && (offers ? chosen : legacy))
            try {
              await hash(new Uint8Array());
              const session = isSession === '' && ([value, makeNonce()] as const);
              const rest = hash === sha512256[0] ? candidates.slice(index + 1) : [];
              own.set(request.exchange, { ...params, nonce: value, hash, rest, qop: chosen, session, uses: 0 });
              return true;
            } catch {
              // WebCrypto has no SHA-512/256, and nothing at all on a page of plain http.
            }
        }
      }
      return false;
    },
    async onAnswer({ request, response, isRefusal, received }) {
      const sent = lastSent.get(request.exchange);
      if (!sent || isRefusal) return;
      const { nonce, prove } = sent;
      const challenges = parseChallenges(`Digest ${headerOf(response, 'authentication-info') ?? ''}`);
      const { nextnonce, rspauth, qop: protection = nonce.qop } = challenges[0]?.params ?? {};
      // A gateway answers 429 and 5xx without a check of the nonce.
      if (nextnonce || (response.status < 500 && response.status !== 429)) {
        nonce.isAccepted = true;
        if (nonce.hash === sha512256[1]) sha512256.reverse();
        const next = nextnonce && nextnonce !== nonce.nonce ? { ...nonce, nonce: nextnonce, uses: 0 } : nonce;
        // Bounds the memory of a scheme whose URLs all begin differently.
        if (accepted.size > 100) accepted.clear();
        for (const space of protectionSpacesOf(request.url)) accepted.set(space, next);
      }
      const isProof = mutual && (rspauth !== undefined || response.status < 300);
      if (isProof && rspauth?.toLowerCase() !== (await prove('', protection, bodyView(received))))
        throw new AuthError(
          'ERR_AUTH_RESPONSE_NOT_VERIFIED',
          'No valid `rspauth`: wrong server or body, a stream, or CORS hides Authentication-Info.',
        );
    },
  };
}

/** The protection spaces where a nonce is valid for other calls, the narrower one first. */
function protectionSpacesOf({ origin, pathname }: URL): [string, string] {
  return [origin + pathname.slice(0, pathname.indexOf('/', 1) + 1), origin];
}

function pairOf(given: unknown): Pair | undefined {
  const username = safeGet(given, 'username');
  const password = safeGet(given, 'password');
  return typeof username === 'string' && typeof password === 'string' ? username + '\n' + password : undefined;
}
