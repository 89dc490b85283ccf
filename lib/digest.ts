/**
 * HTTP Digest authentication (RFC 7616).
 *
 * @module axios-attach-auth/digest
 */

import { check } from './check.js';
import { answer, clientNonce, md5, type Nonce, type Sent } from './digest/answer.js';
import { AuthError } from './errors.js';
import { bodyView } from './http/body.js';
import { headersOf } from './http/response-headers.js';
import { parseChallenges, type Challenge } from './http/www-authenticate.js';
import type { MaybePromise } from './maybe-promise.js';
import { safeGet, withoutPrototype } from './safe-read.js';
import type { BasicCredentials } from './schemes/basic.js';
import type { Bytes, Digest } from './schemes/hash.js';
import { hasher } from './schemes/hasher.node.js';
import type { AuthRequest, AuthScheme } from './schemes/scheme.js';

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

/** Bounds the memory of a scheme whose URLs all begin differently. */
const MOST_SPACES = 100;

interface Call {
  /** The nonce of this call's own challenge. */
  own?: Nonce | undefined;
  sent?: Sent | undefined;
}

/**
 * Returns a scheme that answers Digest challenges (RFC 7616). The first call to a protection space is sent twice. Later calls
 * begin with the nonce that was accepted last. After a refusal a call uses the nonce of its own challenge.
 *
 * @param credentials A pair, or a function. The function is called at every attempt and once more after a refusal. The call is
 *   sent again if the pair has changed. null or undefined: sent without credentials.
 * @throws TypeError for wrong arguments. A call rejects with ERR_AUTH_INVALID_CREDENTIAL for a control character in the pair. It
 *   rejects with ERR_AUTH_BODY_NOT_SIGNABLE for a stream under `auth-int`, and with ERR_AUTH_RESPONSE_NOT_VERIFIED under
 *   `mutual`.
 */
export function digest(
  credentials: BasicCredentials | (() => MaybePromise<BasicCredentials | null | undefined>),
  options?: DigestOptions,
): AuthScheme;
/** @internal */
export function digest(credentials: unknown, options: DigestOptions | undefined, makeNonce: () => string): AuthScheme;
export function digest(credentials: unknown, options: DigestOptions = {}, makeNonce = clientNonce): AuthScheme {
  const sha512 = hasher('SHA-512');
  // RFC 7616 names SHA-512/256 (FIPS 180-4 §6.7), but its example (§3.9.2) has the first half of SHA-512 (erratum 4897). Servers use
  // either. The second is tried if the first is refused.
  const sha512256 = [async (data: Bytes) => (await sha512(data)).slice(0, 32), hasher('SHA-512-256')];
  const hashes: Record<DigestAlgorithm, Digest[]> = {
    'SHA-512-256': sha512256,
    'SHA-256': [hasher('SHA-256')],
    'SHA-512': [sha512],
    MD5: [md5],
  };
  const names = Object.keys(hashes) as DigestAlgorithm[];
  const { algorithms = names, qop = 'auth', legacy = true, mutual = false } = withoutPrototype(options);
  if (typeof credentials !== 'function' && !pairOf(credentials))
    throw new TypeError('digest() takes { username, password }, both strings, or a function that returns them');
  const given: unknown = algorithms;
  const isKnown = (name: unknown): boolean => names.includes(name as DigestAlgorithm);
  const isList = Array.isArray(given) && given.length > 0 && given.every(isKnown);
  check(isList, 'digest(): algorithms', `an array of ${names.join(', ')}`, algorithms);
  check(['auth', 'auth-int'].includes(qop), 'digest(): qop', 'auth or auth-int', qop);
  for (const [option, got] of Object.entries({ legacy, mutual }))
    check(typeof got === 'boolean', `digest(): ${option}`, 'a boolean', got);

  const calls = new WeakMap<object, Call>();
  const callOf = ({ exchange }: AuthRequest): Call => {
    const call = calls.get(exchange) ?? {};
    calls.set(exchange, call);
    return call;
  };
  /** The nonce that was accepted last, by origin and by first part of the path. An origin may have several realms. */
  const accepted = new Map<string, Nonce>();
  const share = (url: URL, nonce: Nonce): void => {
    if (accepted.size > MOST_SPACES) accepted.clear();
    for (const space of protectionSpacesOf(url)) accepted.set(space, nonce);
  };

  const current = async (): Promise<BasicCredentials | undefined> => {
    const given: unknown = typeof credentials === 'function' ? await (credentials as () => unknown)() : credentials;
    if (given === null || given === undefined) return undefined;
    const pair = pairOf(given);
    // eslint-disable-next-line no-control-regex -- no quoted-string may hold them, nor half a surrogate pair
    if (pair && !/[\x00-\x1f\x7f]|\p{Surrogate}/u.test(pair.username + pair.password)) return pair;
    throw new AuthError(
      'ERR_AUTH_INVALID_CREDENTIAL',
      'digest() takes { username, password }, both strings without control characters, such as a line break at the end.',
    );
  };

  /** Takes the best algorithm that the server offers and this runtime has; of those behind `refused`. */
  const choose = async (challenges: readonly Challenge[], refused?: Digest): Promise<Nonce | undefined> => {
    const candidates = algorithms.flatMap((name) => hashes[name].map((hash) => ({ name, hash })));
    for (const { name, hash } of candidates.slice(candidates.findIndex((each) => each.hash === refused) + 1)) {
      for (const { scheme, params } of challenges) {
        const { algorithm = 'MD5', nonce, qop: list } = params;
        const [, base, isSession] = /^(.*?)(-sess)?$/i.exec(algorithm) ?? [];
        const offers = list?.toLowerCase().split(/[\s,]+/);
        const chosen = offers && [qop, 'auth', 'auth-int'].find((each) => offers.includes(each));
        if (scheme !== 'digest' || nonce === undefined || base?.toUpperCase() !== name) continue;
        if (!(chosen ?? (legacy && !offers)) || !(await isAvailable(hash))) continue;
        const session = isSession ? ([nonce, makeNonce()] as const) : undefined;
        return { params, hash, qop: chosen, session, uses: 0, isAccepted: false };
      }
    }
    return undefined;
  };

  return {
    name: 'Digest',
    credentialHeaders: ['Authorization'],
    // One without a nonce, one with a stale nonce, one with the other SHA-512-256.
    maxChallenges: 3,
    async authorize(request) {
      const call = callOf(request);
      const shared = protectionSpacesOf(request.url).map((space) => accepted.get(space));
      const nonce = [call.own, ...shared].find(Boolean);
      const pair = nonce && (await current());
      call.sent = pair && (await answer(request, nonce, pair, makeNonce()));
    },
    async onChallenge({ request, challenges }) {
      const call = callOf(request);
      const { sent } = call;
      const pair = await current();
      if (!pair) return false;
      const isStale = challenges.some(({ params }) => params['stale']?.toLowerCase() === 'true');
      const isSame = sent?.username === pair.username && sent.password === pair.password;
      // A nonce that was accepted before has expired, even without stale=true.
      const refused = isSame && !isStale && !sent.nonce.isAccepted ? sent.nonce.hash : undefined;
      if (refused && refused !== sha512256[0]) return false;
      call.own = await choose(challenges, refused);
      return call.own !== undefined;
    },
    async onAnswer({ request, response, isRefusal, received }) {
      const { sent } = callOf(request);
      if (!sent || isRefusal) return;
      const { nonce, prove } = sent;
      const { status } = response;
      const lines = headersOf(response, 'authentication-info').map((line) => `Digest ${line}`);
      const { nextnonce, rspauth, qop: protection = nonce.qop } = parseChallenges(lines)[0]?.params ?? {};
      // A gateway answers 429 and 5xx without a check of the nonce.
      if (status < 500 && status !== 429) {
        nonce.isAccepted = true;
        share(request.url, nonce);
        if (nonce.hash === sha512256[1]) sha512256.reverse();
      }
      if (nextnonce && nextnonce !== nonce.params['nonce'])
        share(request.url, { ...nonce, params: { ...nonce.params, nonce: nextnonce }, uses: 0, isAccepted: true });
      if (!mutual || (rspauth === undefined && (status < 200 || status > 299))) return;
      const body = protection === 'auth-int' ? await bodyView(received).bytes() : new Uint8Array();
      if (body && rspauth?.toLowerCase() === (await prove('', protection, body))) return;
      throw new AuthError(
        'ERR_AUTH_RESPONSE_NOT_VERIFIED',
        'The response has no valid `rspauth`: the server does not know the password, the body was changed or cannot be read, ' +
          'or CORS hides Authentication-Info.',
      );
    },
  };
}

/** The places where a nonce is valid for other calls, the narrower one first. */
function protectionSpacesOf({ origin, pathname }: URL): string[] {
  return [origin + pathname.slice(0, pathname.indexOf('/', 1) + 1), origin];
}

/** WebCrypto has no SHA-512/256, and nothing at all on a page of plain http. */
async function isAvailable(hash: Digest): Promise<boolean> {
  try {
    return Boolean(await hash(new Uint8Array()));
  } catch {
    return false;
  }
}

function pairOf(given: unknown): BasicCredentials | undefined {
  const [username, password] = [safeGet(given, 'username'), safeGet(given, 'password')];
  return typeof username === 'string' && typeof password === 'string' ? { username, password } : undefined;
}
