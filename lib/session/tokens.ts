import { ownValue, withoutPrototype } from '../safe-read.js';

/** What a bearer session keeps. `expiresAt` is epoch ms by this machine's clock; without it the token lives until a 401. */
export interface Tokens {
  readonly accessToken: string;
  readonly refreshToken?: string;
  readonly expiresAt?: number;
}

/**
 * What a token endpoint answers (RFC 6749 §5.1), in either spelling. `expiresIn` / `expires_in` are seconds from now and
 * go before `expiresAt`, which is epoch ms; without either, the `exp` of a JWT is read.
 */
export type TokenResponse =
  | {
      accessToken: string;
      refreshToken?: string | undefined;
      expiresIn?: number | undefined;
      expiresAt?: number | undefined;
    }
  // An interface has no index signature, and fits here.
  | {
      access_token: string;
      refresh_token?: string | undefined;
      expires_in?: number | string | undefined;
    }
  | {
      access_token: string;
      refresh_token?: string | undefined;
      expires_in?: number | string | undefined;
      token_type?: string | undefined;
      scope?: string | undefined;
      id_token?: string | undefined;
      readonly [extra: string]: unknown;
    };

/** Whether an answer's tokens were issued for this very request, or may be older. */
export type Issued = 'just now' | 'earlier';

const HUNDRED_YEARS_MS = 100 * 365.25 * 86_400_000;

/** RFC 6750 §2.1 asks for b64token; real tokens hold `|` and `:` too, so: visible ASCII. */
export function isBearerToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
}

/**
 * Reads a token response. Without a refresh token the previous one stays (RFC 6749 §6).
 * @throws TypeError saying which field is wrong, never its value.
 */
export function readTokens(
  answer: unknown,
  from: string,
  now: number,
  issued: Issued,
  previous?: Tokens | null,
): Tokens {
  const accessToken = ownValue(answer, 'accessToken') ?? ownValue(answer, 'access_token');
  const refreshToken =
    ownValue(answer, 'refreshToken') ?? ownValue(answer, 'refresh_token') ?? ownValue(previous, 'refreshToken');
  const needString = (value: unknown, camel: string, snake: string): void => {
    if (typeof value === 'string' && value !== '') return;
    const got = value === '' ? 'an empty string' : typeof value;
    throw new TypeError(`${from}: ${camel} (or ${snake}) must be a non-empty string, but is ${got}`);
  };
  needString(accessToken, 'accessToken', 'access_token');
  if (refreshToken !== undefined) needString(refreshToken, 'refreshToken', 'refresh_token');
  const expiresAt = readExpiry(answer, from, now) ?? jwtExpiry(accessToken as string, now, issued);
  return tokensOf(
    accessToken as string,
    refreshToken as string | undefined,
    expiresAt && Math.min(expiresAt, now + HUNDRED_YEARS_MS),
  );
}

/** What is not known has no key, since all this is stored; and no prototype may speak for it. */
export function tokensOf(accessToken: string, refreshToken?: string, expiresAt?: number): Tokens {
  return withoutPrototype({
    accessToken,
    ...(refreshToken !== undefined && { refreshToken }),
    ...(expiresAt !== undefined && { expiresAt }),
  });
}

function readExpiry(answer: unknown, from: string, now: number): number | undefined {
  const expiresIn = ownValue(answer, 'expiresIn') ?? ownValue(answer, 'expires_in');
  const isNumeric = typeof expiresIn === 'string' && /^\s*-?\d+(?:\.\d+)?(?:e\d+)?\s*$/i.test(expiresIn);
  const lifetimeMs = (typeof expiresIn === 'number' || isNumeric ? Number(expiresIn) : NaN) * 1000;
  if (!Number.isNaN(lifetimeMs)) return now + Math.max(lifetimeMs, 0);
  const expiresAt = ownValue(answer, 'expiresAt');
  if (typeof expiresAt !== 'number' || !Number.isFinite(expiresAt)) return undefined;
  if (expiresAt > 1e9 && expiresAt < 1e11 && now > 1e11) {
    throw new TypeError(`${from}: expiresAt takes epoch milliseconds, but ${String(expiresAt)} looks like seconds`);
  }
  return expiresAt;
}

/** When a JWT ends by this machine's clock (RFC 7519 §4.1.4). */
function jwtExpiry(token: string, now: number, issued: Issued): number | undefined {
  // What is longer is no JWT of a sensible size, and ends in the middle of its payload.
  const [, payload = '', signature, extra] = token.slice(0, 16_384).split('.', 4);
  if (signature === undefined || extra !== undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(atob(payload.replace(/-/g, '+').replace(/_/g, '/')));
    const exp = ownValue(claims, 'exp');
    const iat = ownValue(claims, 'iat');
    if (typeof exp !== 'number') return undefined;
    // Clocks differ, lifetimes do not: a token issued a moment ago lives from now on.
    return issued === 'just now' && typeof iat === 'number' && exp > iat ? now + (exp - iat) * 1000 : exp * 1000;
  } catch {
    return undefined;
  }
}
