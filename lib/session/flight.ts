import type { AxiosInstance } from 'axios';
import { alarm, type Clock } from '../clock.js';
import { AuthError } from '../errors.js';
import type { Tell } from '../events.js';
import type { GuardedStore } from './guarded-store.js';
import type { Ledger } from './ledger.js';
import { obtainTokens, type Refresh, type RefreshReason } from './refresh.js';
import type { Tokens } from './tokens.js';

export interface FlightPlan {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly store: GuardedStore;
  readonly refresh: Refresh;
  readonly reason: RefreshReason;
  readonly client: () => AxiosInstance;
  readonly timeoutMs: number;
  /** The refresh token that was refused for good: it is never sent again. */
  readonly deadRefreshToken: string | undefined;
  readonly tell: Tell;
  readonly during: <T>(work: () => T) => T;
  /** The refresh is over, and nobody has been told yet. Without a landing: it was abandoned. */
  readonly over: (landing: Landing | undefined) => void;
}

export type Landing =
  | { readonly kind: 'refreshed' | 'adopted' | 'nobody' }
  | { readonly kind: 'ended'; readonly error: AuthError; readonly refreshToken: string | undefined }
  | { readonly kind: 'failed'; readonly error: AuthError; readonly retryAfterMs: number | undefined };

/** One refresh, shared by everybody who waits for it: lock, read again, ask, write, and only then let the waiters go on. */
export class Flight {
  /** Resolves when waiting calls may go on; rejects with an AuthError that each of them makes its own. */
  readonly landing: Promise<void>;
  readonly #plan: FlightPlan;
  readonly #abort = new AbortController();
  readonly #turn: number;
  readonly #startedWith: number;
  #isOver = false;
  #settle!: (error: AuthError | undefined) => void;

  constructor(plan: FlightPlan) {
    this.#plan = plan;
    this.#turn = plan.ledger.turn;
    this.#startedWith = plan.ledger.generation;
    this.landing = new Promise((resolve, reject) => {
      this.#settle = (error) => {
        if (error) reject(error);
        else resolve();
      };
    });
    // Nobody may be waiting; that is no unhandled rejection.
    this.landing.catch(() => undefined);
  }

  /** Runs to its end; it never rejects. */
  async run(): Promise<void> {
    const { clock, store, timeoutMs } = this.#plan;
    const endsAt = clock.monotonic() + timeoutMs;
    const stopWaiting = alarm(clock, timeoutMs, () => {
      this.#land(noLock(undefined));
      this.#abort.abort();
    }, 'idle');
    let landing: Landing | undefined;
    try {
      await store.exclusive(async () => {
        stopWaiting();
        if (!this.#isOver) landing = await this.#refresh(endsAt);
      }, this.#abort.signal);
    } catch (cause) {
      landing ??= noLock(cause);
    }
    stopWaiting();
    this.#land(landing ?? noLock(undefined));
  }

  /** The waiters go on with what there is now (no error), or fail; whatever the refresh still brings is dropped. */
  abandon(error?: AuthError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#plan.over(undefined);
    this.#settle(error);
    this.#abort.abort();
  }

  #land(landing: Landing): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#plan.over(landing);
    this.#settle('error' in landing ? landing.error : undefined);
    if (landing.kind === 'failed') this.#abort.abort();
  }

  async #refresh(endsAt: number): Promise<Landing> {
    const { clock, ledger, reason, tell } = this.#plan;
    await ledger.reload();
    if (this.#wasOvertaken()) return { kind: 'adopted' };
    const tokens = ledger.tokens ?? undefined;
    const refreshToken = tokens?.refreshToken;
    if (refreshToken !== undefined && refreshToken === this.#plan.deadRefreshToken) return this.#end(undefined, refreshToken);
    tell({ type: 'refreshing', generation: ledger.generation });
    const outcome = await obtainTokens({
      clock,
      refresh: this.#plan.refresh,
      context: { refreshToken, tokens, reason, client: this.#plan.client(), signal: this.#abort.signal },
      limitMs: endsAt - clock.monotonic(),
      timeoutMs: this.#plan.timeoutMs,
      generation: ledger.generation,
      tell,
      during: this.#plan.during,
      late: (late) => {
        if (!this.#hasMoved() && this.#problemWith(late, tokens) === undefined) void ledger.commit(late, this.#turn);
      },
    });
    if (this.#isOver) return { kind: 'adopted' };
    if (outcome.kind === 'failed') return outcome;
    if (outcome.kind === 'ended') return this.#end(outcome.cause, refreshToken);
    const problem = this.#problemWith(outcome.tokens, tokens);
    if (problem !== undefined) return this.#useless(problem, outcome.tokens, tokens);
    await ledger.commit(outcome.tokens, this.#turn);
    if (!this.#isOver) tell({ type: 'refreshed', generation: ledger.generation });
    return { kind: 'refreshed' };
  }

  async #end(cause: unknown, refreshToken: string | undefined): Promise<Landing> {
    const { ledger, reason, tell } = this.#plan;
    await ledger.reload();
    if (this.#isOver || this.#wasOvertaken()) return { kind: 'adopted' };
    if (!ledger.tokens) {
      ledger.leaveVacant();
      return reason === 'missing' ? { kind: 'nobody' } : { kind: 'ended', error: sessionExpired(cause), refreshToken };
    }
    await ledger.expire(this.#turn);
    if (this.#isOver || this.#wasOvertaken()) return { kind: 'adopted' };
    tell({ type: 'session-expired', generation: ledger.generation });
    return { kind: 'ended', error: sessionExpired(cause), refreshToken };
  }

  /** A refresh that changed nothing would be asked for again by every call. Its refresh token may have been rotated all the same. */
  async #useless(problem: string, brought: Tokens, before: Tokens | undefined): Promise<Landing> {
    const { ledger, tell } = this.#plan;
    if (before && brought.refreshToken !== undefined && brought.refreshToken !== before.refreshToken) {
      await ledger.commit({ ...before, refreshToken: brought.refreshToken }, this.#turn);
    }
    tell({ type: 'refresh-failed', generation: ledger.generation, code: 'nonsense', willRetry: false });
    return { kind: 'failed', error: new AuthError('ERR_AUTH_REFRESH_FAILED', problem), retryAfterMs: undefined };
  }

  #problemWith(brought: Tokens, before: Tokens | undefined): string | undefined {
    if (this.#plan.reason === 'rejected' && brought.accessToken === before?.accessToken) {
      return 'refresh() brought the very access token that the server had just refused.';
    }
    if (brought.expiresAt !== undefined && brought.expiresAt <= this.#plan.clock.now()) {
      return 'refresh() brought an access token that has already expired. Check expiresIn (seconds from now) and expiresAt (epoch ms).';
    }
    return undefined;
  }

  /** Somebody else was first, and what they brought can be used. */
  #wasOvertaken(): boolean {
    const { ledger } = this.#plan;
    return this.#hasMoved() && (!ledger.tokens || ledger.remainingMs > 0);
  }

  #hasMoved(): boolean {
    const { ledger } = this.#plan;
    return ledger.turn !== this.#turn || (ledger.generation !== this.#startedWith && ledger.status !== 'expired');
  }
}

function noLock(cause: unknown): Landing {
  const message = "The store's lock was not had in time (refreshTimeoutMs), so the refresh was not tried. The session is kept.";
  return { kind: 'failed', error: new AuthError('ERR_AUTH_REFRESH_FAILED', message, { cause }), retryAfterMs: undefined };
}

export function sessionExpired(cause: unknown): AuthError {
  return new AuthError(
    'ERR_AUTH_SESSION_EXPIRED',
    'The session has ended: its refresh token was refused. Sign in again, and hand the new tokens to signIn().',
    { cause },
  );
}
