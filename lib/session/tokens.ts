import { ownValue, withoutPrototype } from '../safe-read.js';

/**
 * The tokens of a session. `expiresAt` is epoch ms by this machine's clock; without it the token is used until a 401.
 * `accessToken` is empty until the first refresh of a session that began with a refresh token alone.
 */
export interface Tokens {
  /** The access token: visible ASCII. */
  readonly accessToken: string;
  /** The refresh token, if there is one. */
  readonly refreshToken?: string;
  /** Epoch ms; absent if unknown. */
  readonly expiresAt?: number;
}

/**
 * The response of a token endpoint (RFC 6749 §5.1), in either spelling. `expiresIn` / `expires_in` are seconds from now and take
 * precedence over `expiresAt`, which is epoch ms. Without them the `exp` of a JWT is read. Of `expiresIn` and `expires_in`, the
 * one that is a number or a numeric string counts. An empty or null refresh token counts as missing.
 */
export type TokenResponse =
  | {
      accessToken: string;
      refreshToken?: string | null | undefined;
      expiresIn?: number | undefined;
      expiresAt?: number | undefined;
    }
  // An interface has no index signature, and fits here.
  | {
      access_token: string;
      refresh_token?: string | null | undefined;
      expires_in?: number | string | undefined;
    }
  | {
      access_token: string;
      refresh_token?: string | null | undefined;
      expires_in?: number | string | undefined;
      token_type?: string | undefined;
      scope?: string | undefined;
      id_token?: string | undefined;
      readonly [extra: string]: unknown;
    };

/** Whether the tokens were issued in response to this request, or may be older. */
export type Issued = 'just now' | 'earlier';

const HUNDRED_YEARS_MS = 100 * 365.25 * 86_400_000;

/** RFC 6750 §2.1 asks for b64token; real tokens hold `|` and `:` too, so: visible ASCII. */
export function isBearerToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
}

/**
 * Reads a token response. Without a refresh token the previous one is kept (RFC 6749 §6).
 * @throws TypeError that names the wrong field, never its value.
 */
export function readTokens(
  answer: unknown,
  from: string,
  now: number,
  issued: Issued,
  previous?: Tokens | null,
): Tokens {
  const accessToken = accessTokenIn(answer);
  const refreshToken = refreshTokenIn(answer) ?? previous?.refreshToken;
  const wrong = (camel: string, snake: string, takes: string, got: string): TypeError =>
    new TypeError(`${from}: \`${camel}\` (or \`${snake}\`) must be a ${takes}string, but is ${got}`);
  if (typeof accessToken !== 'string' || accessToken === '') {
    const got =
      accessToken === '' ? 'an empty string' : typeof accessToken + (accessToken === undefined ? keysOf(answer) : '');
    throw wrong('accessToken', 'access_token', 'non-empty ', got);
  }
  if (refreshToken !== undefined && typeof refreshToken !== 'string')
    throw wrong('refreshToken', 'refresh_token', '', typeof refreshToken);
  const expiresAt = readExpiry(answer, from, now) ?? jwtExpiry(accessToken, now, issued);
  // A token that was issued a moment ago has not expired, whatever the local clock shows. It is used until a 401.
  const isPast = issued === 'just now' && expiresAt !== undefined && expiresAt < now;
  return tokensOf(
    accessToken,
    refreshToken,
    isPast ? undefined : expiresAt && Math.min(expiresAt, now + HUNDRED_YEARS_MS),
  );
}

export function accessTokenIn(answer: unknown): unknown {
  return ownValue(answer, 'accessToken') ?? ownValue(answer, 'access_token');
}

/** Empty and null ones count as none. */
export function refreshTokenIn(answer: unknown): unknown {
  return [ownValue(answer, 'refreshToken'), ownValue(answer, 'refresh_token')].find(
    (value) => value !== undefined && value !== '',
  );
}

/** The names in a wrong response, which often identify it. */
function keysOf(answer: unknown): string {
  try {
    const keys = Object.keys(answer as object).filter((key) => /^[a-z_]{1,30}$/i.test(key));
    return keys.length > 0 ? ` (got the keys ${keys.slice(0, 8).join(', ')})` : '';
  } catch {
    return '';
  }
}

/** Unknown fields have no key, since tokens are stored as JSON, and no prototype can stand in for them. */
export function tokensOf(accessToken: string, refreshToken?: string, expiresAt?: number): Tokens {
  return withoutPrototype({
    accessToken,
    ...(refreshToken !== undefined && { refreshToken }),
    ...(expiresAt !== undefined && { expiresAt }),
  });
}

function readExpiry(answer: unknown, from: string, now: number): number | undefined {
  for (const expiresIn of [ownValue(answer, 'expiresIn'), ownValue(answer, 'expires_in')]) {
    const isNumeric = typeof expiresIn === 'string' && /^\s*-?\d+(?:\.\d+)?(?:e\d+)?\s*$/i.test(expiresIn);
    const lifetimeMs = (typeof expiresIn === 'number' || isNumeric ? Number(expiresIn) : NaN) * 1000;
    if (!Number.isNaN(lifetimeMs)) return now + Math.max(lifetimeMs, 0);
  }
  const expiresAt = ownValue(answer, 'expiresAt');
  if (typeof expiresAt !== 'number' || !Number.isFinite(expiresAt)) return undefined;
  if (expiresAt > 1e9 && expiresAt < 1e11 && now > 1e11) {
    throw new TypeError(`${from}: \`expiresAt\` takes epoch milliseconds, but ${String(expiresAt)} looks like seconds`);
  }
  return expiresAt;
}

/** When a JWT expires by this machine's clock (RFC 7519 §4.1.4). */
function jwtExpiry(token: string, now: number, issued: Issued): number | undefined {
  // A longer token is no JWT of a sensible size, and is cut off in the middle of its payload.
  const [, payload = '', signature, extra] = token.slice(0, 16_384).split('.', 4);
  if (signature === undefined || extra !== undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(atob(payload.replace(/-/g, '+').replace(/_/g, '/')));
    const exp = ownValue(claims, 'exp');
    const iat = ownValue(claims, 'iat');
    if (typeof exp !== 'number') return undefined;
    // Clocks differ, lifetimes do not: a token issued a moment ago is valid from now for its lifetime.
    if (issued === 'just now' && typeof iat === 'number' && exp > iat) return now + (exp - iat) * 1000;
    return exp * 1000;
  } catch {
    return undefined;
  }
}
