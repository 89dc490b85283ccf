import type { TokenResponse } from '../../lib/index.js';
import type { VirtualClock } from './virtual-clock.js';

/** One token request in the log of the endpoint. */
export interface Ask {
  /** Monotonic ms. */
  readonly at: number;
  readonly refreshToken: string | undefined;
  /** `again`: a replaced one within its grace, answered with its successor. */
  readonly outcome: 'issued' | 'again' | 'reused' | 'unknown' | 'scripted';
}

/** A token response (RFC 6749 §5.1). */
export type Issued = TokenResponse & { readonly access_token: string; readonly refresh_token: string };

/** An access token and its state. */
interface Access {
  readonly principal: string;
  isRevoked: boolean;
  readonly expiresAt: number;
}

/** A refresh token that was replaced. */
interface Retired {
  readonly principal: string;
  readonly at: number;
  readonly successor: Issued;
}

/** The status and body of a token response. */
export interface TokenAnswer {
  readonly status: number;
  readonly data: unknown;
}

/**
 * An authorization server with rotation and reuse detection (RFC 9700 §4.14.2). Tokens are named after their principal, `alice-a1` and
 * `alice-r1`, so that logs are readable. Tests count in its log.
 */
export class TokenEndpoint {
  readonly asks: Ask[] = [];
  /** Lifetime of a new access token in seconds. undefined: no expiry in the response, and valid until it is revoked. */
  expiresIn: number | undefined;
  /** Ms for which a replaced refresh token returns its successor again, against lost responses. */
  graceMs = 0;
  /** Whether reuse of a replaced refresh token ends the session, or is just refused. */
  onReuse: 'end' | 'refuse' = 'end';
  readonly #clock: VirtualClock;
  readonly #accesses = new Map<string, Access>();
  readonly #current = new Map<string, string>();
  readonly #retired = new Map<string, Retired>();
  readonly #counts = new Map<string, number>();

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  /** The number of token requests. */
  get refreshes(): number {
    return this.asks.length;
  }

  /** The number of reuses of a replaced refresh token. Reuse ends the session. */
  get reuses(): number {
    return this.asks.filter(({ outcome }) => outcome === 'reused').length;
  }

  /** The principals with a refresh token that is accepted. */
  get principals(): string[] {
    return [...new Set(this.#current.values())];
  }

  /** New tokens of a principal, as after a login. */
  issue(principal = 'alice'): Issued {
    const count = (this.#counts.get(principal) ?? 0) + 1;
    this.#counts.set(principal, count);
    const access = `${principal}-a${String(count)}`;
    const refresh = `${principal}-r${String(count)}`;
    const expiresAt = this.expiresIn === undefined ? Infinity : this.#clock.monotonic() + this.expiresIn * 1000;
    this.#accesses.set(access, { principal, isRevoked: false, expiresAt });
    this.#current.set(refresh, principal);
    return {
      access_token: access,
      refresh_token: refresh,
      ...(this.expiresIn !== undefined && { expires_in: this.expiresIn }),
    };
  }

  /** New tokens whose access token is revoked. */
  issueDead(principal = 'alice'): Issued {
    const issued = this.issue(principal);
    this.revoke(issued.access_token);
    return issued;
  }

  revoke(accessToken: string): void {
    const access = this.#accesses.get(accessToken);
    if (access) access.isRevoked = true;
  }

  /** Revokes every access token, as a key roll does. */
  revokeAll(): void {
    for (const access of this.#accesses.values()) access.isRevoked = true;
  }

  /** Revokes the refresh token. */
  endSession(principal = 'alice'): void {
    for (const [token, owner] of this.#current) {
      if (owner !== principal) continue;
      this.#current.delete(token);
    }
  }

  /** The principal of a valid token, or undefined. */
  accepts(accessToken: string | undefined): string | undefined {
    const access = this.#accesses.get(accessToken ?? '');
    return access && !access.isRevoked && this.#clock.monotonic() < access.expiresAt ? access.principal : undefined;
  }

  /** Answers a refresh token once. A second use ends the whole family. */
  answer(refreshToken: string | undefined): TokenAnswer {
    const at = this.#clock.monotonic();
    const principal = this.#current.get(refreshToken ?? '');
    if (refreshToken === undefined || principal === undefined) {
      const retired = this.#retired.get(refreshToken ?? '');
      if (retired && at - retired.at < this.graceMs && this.#current.has(retired.successor.refresh_token)) {
        this.asks.push({ at, refreshToken, outcome: 'again' });
        return { status: 200, data: retired.successor };
      }
      this.asks.push({ at, refreshToken, outcome: retired ? 'reused' : 'unknown' });
      if (retired && this.onReuse === 'end') this.endSession(retired.principal);
      return { status: 400, data: { error: 'invalid_grant' } };
    }
    this.#current.delete(refreshToken);
    const successor = this.issue(principal);
    this.#retired.set(refreshToken, { principal, at, successor });
    this.asks.push({ at, refreshToken, outcome: 'issued' });
    return { status: 200, data: successor };
  }

  /** Counts a request that a script answers. No token is spent, and none is issued. */
  scripted(refreshToken: string | undefined): void {
    this.asks.push({ at: this.#clock.monotonic(), refreshToken, outcome: 'scripted' });
  }
}

/** The principal in the name of a token. */
export function ownerOf(token: string | undefined): string | undefined {
  return token?.split('-')[0];
}
