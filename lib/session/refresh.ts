import type { AxiosInstance } from 'axios';
import { alarm, type Clock } from '../clock.js';
import { AuthError, withoutRequestSecrets } from '../errors.js';
import type { Tell } from '../events.js';
import { parseRetryAfter } from '../recovery/retry-after.js';
import type { MaybePromise } from './store.js';
import { isBearerToken, readTokens, type TokenResponse, type Tokens } from './tokens.js';
import { judge, type Verdict } from './verdict.js';

/** Why tokens are asked for. `missing`: nothing is stored; `rejected`: a 401; `manual`: the app called `refresh()`. */
export type RefreshReason = 'missing' | 'expiring' | 'rejected' | 'manual';

/** What a `refresh` function is given. */
export interface RefreshContext {
  /** The refresh token (RFC 6749 §1.5), if there is one: cookie sessions and client credentials have none. */
  readonly refreshToken: string | undefined;
  /** The tokens that are to be replaced. */
  readonly tokens: Tokens | undefined;
  readonly reason: RefreshReason;
  /**
   * The instance's defaults without interceptors: a refresh through it cannot wait for itself. Its errors keep no body.
   * For `manual` that of the first instance attached, else a plain one.
   */
  readonly client: AxiosInstance;
  /** Ends when nobody wants the answer any more: time limit, sign-out, newer tokens. */
  readonly signal: AbortSignal;
}

/** Obtains tokens. `null`: nobody is signed in. Throw a RefreshRejectedError when the refresh token is dead. */
export type Refresh = (context: RefreshContext) => MaybePromise<TokenResponse | null>;

/** How a refresh ended. */
export type RefreshOutcome =
  | { kind: 'tokens'; tokens: Tokens }
  | { kind: 'ended'; cause: unknown; code: string }
  | { kind: 'failed'; error: AuthError; retryAfterMs: number | undefined };

const TRIES = 3;
const BASE_DELAY_MS = 500;

interface Attempt {
  readonly clock: Clock;
  readonly refresh: Refresh;
  readonly context: RefreshContext;
  /** Ms that are left of the time limit, all tries and waits together. */
  readonly limitMs: number;
  readonly timeoutMs: number;
  readonly generation: number;
  readonly tell: Tell;
  /** Marks the synchronous part of `refresh()`: calls begun there belong to the refresh and must not wait for it. */
  readonly during: <T>(work: () => T) => T;
  /** A refresh that answered after its time: what it brought may still count. */
  readonly late: (tokens: Tokens) => void;
}

/** Asks `refresh` for tokens, up to three times inside the time limit, and says how it ended. It never rejects. */
export async function obtainTokens(attempt: Attempt): Promise<RefreshOutcome> {
  const { clock, tell, generation } = attempt;
  const endsAt = clock.monotonic() + attempt.limitMs;
  for (let tries = 1; ; tries++) {
    const leftMs = endsAt - clock.monotonic();
    const result = await ask(attempt, leftMs);
    if (result.kind !== 'rejected') return result;
    const verdict = judge(result.error);
    const retryAfterMs = parseRetryAfter(verdict.retryAfter, { now: clock.now(), ...(verdict.date !== undefined && { date: verdict.date }) });
    const delayMs = Math.max(retryAfterMs ?? 0, clock.random() * BASE_DELAY_MS * 2 ** (tries - 1));
    const willRetry =
      verdict.kind === 'transient' && tries < TRIES && delayMs < endsAt - clock.monotonic() && !attempt.context.signal.aborted;
    tell({ type: 'refresh-failed', generation, code: verdict.code, ...(verdict.status !== undefined && { status: verdict.status }), willRetry });
    if (verdict.kind === 'terminal') return { kind: 'ended', cause: result.error, code: verdict.code };
    if (!willRetry) return failed(attempt, verdict, result.error, retryAfterMs);
    await pause(clock, delayMs, attempt.context.signal);
  }
}

type Answer = RefreshOutcome | { kind: 'rejected'; error: unknown };

function ask(attempt: Attempt, leftMs: number): Promise<Answer> {
  const { clock, context } = attempt;
  return new Promise((resolve) => {
    let isLate = false;
    const cancel = alarm(clock, leftMs, () => {
      isLate = true;
      attempt.tell({ type: 'refresh-failed', generation: attempt.generation, code: 'timeout', willRetry: false });
      resolve({ kind: 'failed', error: tookTooLong(attempt.timeoutMs), retryAfterMs: undefined });
    }, 'idle');
    const settle = (answer: Answer): void => {
      cancel();
      if (!isLate) resolve(answer);
      else if (answer.kind === 'tokens') attempt.late(answer.tokens);
    };
    let pending: Promise<unknown>;
    try {
      pending = Promise.resolve(attempt.during(() => attempt.refresh(context)));
    } catch (error) {
      pending = Promise.reject(error as Error);
    }
    pending.then(
      (answer) => {
        settle(answer === null ? { kind: 'ended', cause: undefined, code: 'null' } : read(attempt, answer));
      },
      (error: unknown) => {
        settle({ kind: 'rejected', error: withoutRequestSecrets(error) });
      },
    );
  });
}

function read(attempt: Attempt, answer: unknown): Answer {
  const { clock, context, generation, tell } = attempt;
  try {
    const tokens = readTokens(answer, 'refresh()', clock.now(), 'just now', context.tokens);
    if (!isBearerToken(tokens.accessToken)) throw new TypeError('refresh(): the access token has characters that no header may carry (RFC 6750 §2.1)');
    return { kind: 'tokens', tokens };
  } catch (error) {
    tell({ type: 'refresh-failed', generation, code: 'nonsense', willRetry: false });
    const message = `The refresh brought no usable token. ${(error as Error).message}`;
    return { kind: 'failed', error: new AuthError('ERR_AUTH_REFRESH_FAILED', message, { cause: error }), retryAfterMs: undefined };
  }
}

function failed(attempt: Attempt, verdict: Verdict, cause: unknown, retryAfterMs: number | undefined): RefreshOutcome {
  const what = verdict.status === undefined ? verdict.code : `status ${String(verdict.status)}, ${verdict.code}`;
  const message =
    verdict.kind === 'configuration'
      ? `The token endpoint refused this client (${what}). The session is kept; check the client's registration.`
      : `The refresh failed (${what}). The session is kept, and a later call will try again.`;
  return { kind: 'failed', error: new AuthError('ERR_AUTH_REFRESH_FAILED', message, { cause }), retryAfterMs };
}

function tookTooLong(timeoutMs: number): AuthError {
  return new AuthError(
    'ERR_AUTH_REFRESH_FAILED',
    `refresh() did not settle within ${String(timeoutMs)} ms (refreshTimeoutMs). If it calls through the attached instance ` +
      'it waits for itself: use the `client` that it is given, or mark the call with `attachAuth: false`.',
  );
}

function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = alarm(clock, delayMs, done, 'idle');
    signal.addEventListener('abort', done);
  });
}
