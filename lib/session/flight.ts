import { alarm, stopwatch, type Cancel, type Clock } from '../clock.js';
import { RefreshRejectedError, withoutSecrets, type AuthError } from '../errors.js';
import type { Emit } from '../events.js';
import { parseRetryAfter } from '../http/retry-after.js';
import { safeGet } from '../safe-read.js';
import type { Lender } from './audience.js';
import type { Ledger } from './ledger.js';
import {
  lockedOut,
  reasonOf,
  refreshFailed,
  sessionExpired,
  tookTooLong,
  type Refresh,
  type RefreshContext,
} from './refresh.js';
import type { TokenStore } from './store.js';
import { isBearerToken, readTokens, tokensOf, type TokenResponse, type Tokens } from './tokens.js';
import { judge } from './verdict.js';

export interface FlightPlan {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly store: TokenStore;
  readonly refresh: Refresh;
  readonly reason: RefreshContext['reason'];
  readonly lender: Lender;
  readonly timeoutMs: number;
  /** The access token can be used all the same: then the session does not end before it does. */
  readonly isStillGood: () => boolean;
  /** A refresh token that was refused for good: it is never sent again. */
  readonly deadRefreshToken: string | undefined;
  readonly died: (refreshToken: string | undefined) => void;
  readonly tell: Emit;
  /** Runs the synchronous part of `refresh()`: calls begun there belong to it. */
  readonly during: <T>(work: () => T) => T;
  /** The refresh is over, and nobody has been told yet. */
  readonly over: (error: AuthError | undefined, retryAfterMs: number | undefined) => void;
}

/** One refresh, shared by everybody who waits for it. */
export interface Flight {
  /** Resolves when waiting calls may go on; rejects with an AuthError that each of them makes its own. */
  readonly landing: Promise<void>;
  /** The waiters go on with what there is now, or fail; what the refresh still brings is dropped. */
  abandon(error?: AuthError): void;
  /** Another holder has written: who still waits for the lock has nothing to do any more, if what it wrote can be used. */
  heard(): void;
}

const TRIES = 3;
const BASE_DELAY_MS = 500;
/** How long what was read under the lock may be trusted. */
const FRESH_MS = 500;
/** Who stood still for longer (a frozen tab, a laptop asleep) hears of the time limit before what has arrived meanwhile. */
const LATE_MS = 500;
const GRACE_MS = 1_000;

/** Lock, read again, ask, write, unlock, and only then let the waiters go on. */
export function takeOff(plan: FlightPlan): Flight {
  const { clock, ledger, store, timeoutMs, tell } = plan;
  const { turn, generation } = ledger;
  /** What is to be replaced. */
  let outdated = ledger.tokens;
  const controller = new AbortController();
  let isOver = false;
  let isAlone = false;
  let stopPause: Cancel | undefined;
  let settle!: (error?: AuthError, retryAfterMs?: number) => void;
  const landing = new Promise<void>((resolve, reject) => {
    settle = (error, retryAfterMs) => {
      if (isOver) return;
      isOver = true;
      stopLimit();
      stopPause?.();
      plan.over(error, retryAfterMs);
      if (!error) resolve();
      else {
        reject(error);
        controller.abort();
      }
    };
  });
  // Nobody may be waiting: that is no unhandled rejection.
  const landed = landing.catch(() => undefined);
  const passedMs = stopwatch(clock);
  const limit = (): void => {
    tell({ type: 'refresh-failed', generation, code: 'timeout', willRetry: false });
    settle(isAlone ? tookTooLong(timeoutMs) : lockedOut(timeoutMs));
  };
  let stopLimit = alarm(
    clock,
    timeoutMs,
    () => {
      if (passedMs() <= timeoutMs + LATE_MS) limit();
      else stopLimit = alarm(clock, GRACE_MS, limit, 'idle');
    },
    'idle',
  );

  /** A question of its own: what was false before an await may be true after it. */
  const hasEnded = (): boolean => isOver;
  const hasMoved = (): boolean => ledger.turn !== turn || (ledger.tokens !== outdated && ledger.status !== 'expired');
  /** Somebody else was first, and what they brought can be used. */
  const isOvertaken = (): boolean => hasMoved() && (!ledger.tokens || ledger.remainingMs > 0);

  async function work(): Promise<void> {
    for (let tries = 1; !hasEnded(); tries++) {
      await readAgain();
      if (hasEnded() || isOvertaken()) return;
      if (outdated && ledger.status === 'expired') {
        settle(sessionExpired());
        return;
      }
      outdated = ledger.tokens;
      const tokens = outdated ?? undefined;
      const refreshToken = tokens?.refreshToken;
      if (tries === 1) tell({ type: 'refreshing', generation: ledger.generation });
      let answer: TokenResponse | null;
      try {
        if (refreshToken !== undefined && refreshToken === plan.deadRefreshToken)
          throw new RefreshRejectedError('It was refused before');
        const context = {
          refreshToken,
          tokens,
          reason: plan.reason,
          client: plan.lender.client,
          signal: controller.signal,
        };
        answer = await plan.during(() => plan.refresh(context));
        if (answer === null) throw new RefreshRejectedError('refresh() gave null');
      } catch (error) {
        if (!hasEnded()) await failed(tries, withoutSecrets(error));
        continue;
      }
      return arrived(answer, tokens);
    }
  }

  /** What a holder read before it was stopped for a while (a frozen tab, SIGSTOP) may have been replaced long since. */
  async function readAgain(): Promise<void> {
    const readingMs = stopwatch(clock);
    await ledger.reload();
    if (readingMs() > FRESH_MS) await ledger.reload();
  }

  /** Late is better than never: what arrives after the time limit counts if nothing else has happened since. */
  async function arrived(answer: TokenResponse, before: Tokens | undefined): Promise<void> {
    let tokens: Tokens | undefined;
    try {
      tokens = readTokens(answer, 'refresh()', clock.now(), 'just now', before);
      const problem = problemWith(tokens, before);
      if (problem) throw new TypeError(`refresh() brought an access token that ${problem}`);
      if (hasMoved()) return;
      await ledger.enter('refreshed', tokens);
      if (ledger.turn === turn) tell({ type: 'refreshed', generation: ledger.generation });
    } catch (cause) {
      // Asking again could spend a rotated refresh token twice; the one that came along must not be lost.
      const rotated = tokens?.refreshToken;
      if (before && rotated !== undefined && rotated !== before.refreshToken && !hasMoved()) {
        await ledger.enter('refreshed', tokensOf(before.accessToken, rotated, before.expiresAt));
      }
      tell({ type: 'refresh-failed', generation, code: 'nonsense', willRetry: false });
      settle(refreshFailed(`it brought no usable token. ${(cause as Error).message}`, cause));
    }
  }

  function problemWith(tokens: Tokens, before: Tokens | undefined): string | undefined {
    if (!isBearerToken(tokens.accessToken)) return 'no header may carry (RFC 6750 §2.1)';
    if (plan.reason === 'rejected' && tokens.accessToken === before?.accessToken) return 'the server had just refused';
    return (tokens.expiresAt ?? Infinity) <= clock.now()
      ? 'has already expired: expiresIn is in seconds, expiresAt in epoch ms'
      : undefined;
  }

  /** Either the refresh has ended then, or there may be another try. */
  async function failed(tries: number, cause: unknown): Promise<void> {
    const verdict = judge(cause);
    const { kind, code, status, date } = verdict;
    const retryAfterMs = parseRetryAfter(verdict.retryAfter, { now: clock.now(), date });
    const delayMs = Math.max(retryAfterMs ?? 0, clock.random() * BASE_DELAY_MS * 2 ** (tries - 1));
    const willRetry = kind === 'transient' && tries < TRIES && delayMs < timeoutMs - passedMs();
    tell({ type: 'refresh-failed', generation, code, ...(status !== undefined && { status }), willRetry });
    if (kind === 'terminal') return ended(cause);
    if (!willRetry) settle(refreshFailed(reasonOf(verdict), cause), retryAfterMs);
    else
      await Promise.race([
        landed,
        new Promise<void>((resolve) => (stopPause = alarm(clock, delayMs, resolve, 'idle'))),
      ]);
  }

  /** The refresh token is dead. Where another holder of the store has a newer one, that is tried. */
  async function ended(cause: unknown): Promise<void> {
    const refused = outdated?.refreshToken;
    plan.died(refused);
    await ledger.reload();
    if (isOver || isOvertaken()) return;
    if (ledger.tokens && ledger.tokens.refreshToken !== refused) return;
    if (ledger.tokens && !plan.isStillGood()) {
      await ledger.enter('expired', null);
      if (ledger.status !== 'expired') return;
    } else ledger.leaveVacant();
    settle(plan.reason === 'missing' ? undefined : sessionExpired(cause));
  }

  // The lock is held no longer than anybody waits; compare-and-set guards what comes after.
  const alone = (): Promise<void> => {
    isAlone = true;
    return isOver ? landed : Promise.race([work(), landed]);
  };
  const exclusive = safeGet(store, 'exclusive');
  const run = async (): Promise<void> =>
    exclusive ? (exclusive.call(store, alone, { signal: controller.signal }) as Promise<void>) : alone();
  run().then(
    () => {
      settle();
    },
    (cause: unknown) => {
      settle(refreshFailed("the store's lock could not be had.", withoutSecrets(cause)));
    },
  );
  const abandon = (error?: AuthError): void => {
    settle(error);
    controller.abort();
  };
  return {
    landing,
    abandon,
    heard() {
      if (!isAlone && isOvertaken()) abandon();
    },
  };
}
