import type { TokenResponse } from '../../lib/index.js';
import type { VirtualClock } from './virtual-clock.js';

/** One request for tokens as the endpoint saw it. */
export interface Ask {
  /** Monotonic ms. */
  readonly at: number;
  readonly refreshToken: string | undefined;
  /** `again`: a replaced one within its grace, answered with what replaced it. */
  readonly outcome: 'issued' | 'again' | 'reused' | 'unknown' | 'scripted';
}

/** A token answer as RFC 6749 §5.1 spells it. */
export type Issued = TokenResponse & { readonly access_token: string; readonly refresh_token: string };

/** An access token and what the endpoint knows of it. */
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

/** What came of a request for tokens: an answer's status and body. */
export interface TokenAnswer {
  readonly status: number;
  readonly data: unknown;
}

/**
 * An authorization server with rotation and reuse detection (RFC 9700 §4.14.2). Tokens are named after their principal,
 * `alice-a1` and `alice-r1`, so that a log can be read; its own log is what tests count in.
 */
export class TokenEndpoint {
  readonly asks: Ask[] = [];
  /** Seconds that a new access token lives; undefined: it says nothing and lives until it is revoked. */
  expiresIn: number | undefined;
  /** For so long a replaced refresh token brings its successor once more, as servers do that know of lost answers. */
  graceMs = 0;
  /** Whether a replaced refresh token that comes back ends the session, or is just refused. */
  onReuse: 'end' | 'refuse' = 'end';
  readonly #clock: VirtualClock;
  readonly #accesses = new Map<string, Access>();
  readonly #current = new Map<string, string>();
  readonly #retired = new Map<string, Retired>();
  readonly #counts = new Map<string, number>();

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  /** How often tokens were asked for. */
  get refreshes(): number {
    return this.asks.length;
  }

  /** How often a refresh token came back that had been replaced: with this server the end of the session. */
  get reuses(): number {
    return this.asks.filter(({ outcome }) => outcome === 'reused').length;
  }

  /** Who has a refresh token that would be accepted. */
  get principals(): string[] {
    return [...new Set(this.#current.values())];
  }

  /** New tokens for somebody, as a login would give them. */
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

  /** Tokens whose access token the API refuses already. */
  issueDead(principal = 'alice'): Issued {
    const issued = this.issue(principal);
    this.revoke(issued.access_token);
    return issued;
  }

  revoke(accessToken: string): void {
    const access = this.#accesses.get(accessToken);
    if (access) access.isRevoked = true;
  }

  /** Every access token there is, as a key roll does. */
  revokeAll(): void {
    for (const access of this.#accesses.values()) access.isRevoked = true;
  }

  /** The refresh token is refused from now on. */
  endSession(principal = 'alice'): void {
    for (const [token, owner] of this.#current) {
      if (owner !== principal) continue;
      this.#current.delete(token);
    }
  }

  /** Who a token lets in; undefined: nobody. */
  accepts(accessToken: string | undefined): string | undefined {
    const access = this.#accesses.get(accessToken ?? '');
    return access && !access.isRevoked && this.#clock.monotonic() < access.expiresAt ? access.principal : undefined;
  }

  /** Answers a refresh token once; a second time it ends the whole family. */
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

  /** The request was counted, and a script answers it: no token is spent and none is issued. */
  scripted(refreshToken: string | undefined): void {
    this.asks.push({ at: this.#clock.monotonic(), refreshToken, outcome: 'scripted' });
  }
}

/** Whose token it is, by its name. */
export function ownerOf(token: string | undefined): string | undefined {
  return token?.split('-')[0];
}
