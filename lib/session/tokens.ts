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
  | {
      access_token: string;
      refresh_token?: string | undefined;
      expires_in?: number | string | undefined;
      token_type?: string | undefined;
      scope?: string | undefined;
      id_token?: string | undefined;
      readonly [extra: string]: unknown;
    };

const HUNDRED_YEARS_MS = 100 * 365.25 * 86_400_000;

/** RFC 6750 §2.1 asks for b64token; real tokens hold `|` and `:` too, so: visible ASCII. */
export function isBearerToken(value: string): boolean {
  return /^[\x21-\x7e]+$/.test(value);
}

/** Whether an answer's tokens were issued for this very request, or may be older. */
export type Issued = 'just now' | 'earlier';

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
  if (typeof answer !== 'object' || answer === null) {
    throw new TypeError(`${from} takes tokens such as { accessToken, refreshToken, expiresIn }, but got ${kindOf(answer)}`);
  }
  const accessToken = own(answer, 'accessToken') ?? own(answer, 'access_token');
  if (typeof accessToken !== 'string' || accessToken === '') {
    throw new TypeError(`${from}: accessToken (or access_token) must be a non-empty string, but is ${kindOf(accessToken)}`);
  }
  const refreshToken = own(answer, 'refreshToken') ?? own(answer, 'refresh_token') ?? previous?.refreshToken;
  if (refreshToken !== undefined && (typeof refreshToken !== 'string' || refreshToken === '')) {
    throw new TypeError(`${from}: refreshToken (or refresh_token) must be a non-empty string, but is ${kindOf(refreshToken)}`);
  }
  const expiresAt = readExpiry(answer, from, now) ?? jwtExpiry(accessToken, now, issued);
  return {
    accessToken,
    ...(refreshToken !== undefined && { refreshToken }),
    ...(expiresAt !== undefined && { expiresAt }),
  };
}

function readExpiry(answer: object, from: string, now: number): number | undefined {
  const expiresIn = own(answer, 'expiresIn') ?? own(answer, 'expires_in');
  const lifetimeMs = typeof expiresIn === 'string' && expiresIn.trim() !== '' ? Number(expiresIn) * 1000 : Number(expiresIn ?? NaN) * 1000;
  if (!Number.isNaN(lifetimeMs)) return now + Math.min(Math.max(lifetimeMs, 0), HUNDRED_YEARS_MS);
  const expiresAt = own(answer, 'expiresAt');
  if (typeof expiresAt !== 'number' || !Number.isFinite(expiresAt)) return undefined;
  if (expiresAt > 1e9 && expiresAt < 1e11 && now > 1e11) {
    throw new TypeError(`${from}: expiresAt takes epoch milliseconds, but ${String(expiresAt)} looks like seconds`);
  }
  return Math.min(expiresAt, now + HUNDRED_YEARS_MS);
}

/** When a JWT ends by this machine's clock (RFC 7519 §4.1.4). */
function jwtExpiry(token: string, now: number, issued: Issued): number | undefined {
  const parts = token.length < 16_384 ? token.split('.', 4) : [];
  if (parts.length !== 3) return undefined;
  try {
    const claims: unknown = JSON.parse(atob((parts[1] ?? '').replace(/-/g, '+').replace(/_/g, '/')));
    const exp = own(claims as object, 'exp');
    const iat = own(claims as object, 'iat');
    if (typeof exp !== 'number' || !Number.isFinite(exp)) return undefined;
    // Clocks differ, lifetimes do not: a token issued a moment ago lives from now on.
    return issued === 'just now' && typeof iat === 'number' && exp > iat ? now + (exp - iat) * 1000 : exp * 1000;
  } catch {
    return undefined;
  }
}

function own(holder: object, key: string): unknown {
  return Object.hasOwn(holder, key) ? ((holder as Record<string, unknown>)[key] ?? undefined) : undefined;
}

/** Names what was given without showing it. */
function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value === '') return 'an empty string';
  return Array.isArray(value) ? 'an array' : value === undefined ? 'undefined' : `a value of type ${typeof value}`;
}
