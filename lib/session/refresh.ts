import { alarm, patientAlarm, stopwatch } from '../clock.js';
import type { AuthError } from '../errors.js';
import { redactError } from '../redact.js';
import type { CircuitBreaker } from './circuit-breaker.js';
import { REQUEST_LIMIT_MS, type RefreshContext } from './refresh-context.js';
import type { RefreshFailure } from './refresh-failure.js';
import { requestTokens, type Failed, type RequestDeps } from './refresh-request.js';
import { RefreshWaits } from './refresh-waits.js';
import type { Revocation } from './revocation.js';
import * as errors from './session-errors.js';
import type { SessionState } from './session-state.js';
import type { ClientProvider, SessionObservers } from './snapshot.js';
import { tokensOf, type Tokens } from './tokens.js';

/** What a refresh works with. */
export interface RefreshDeps extends RequestDeps {
  readonly state: SessionState;
  readonly observers: SessionObservers;
  readonly breaker: CircuitBreaker;
  readonly revocation: Revocation | undefined;
  /** How long a call waits. */
  readonly timeoutMs: number;
}

const MOST_SENDS = 3;
const BASE_DELAY_MS = 500;
/** After the refresh began (API.md): within the grace that many servers give to a replaced refresh token. */
const LAST_SEND_MS = 30_000;
/** API.md: the same token is not sent within 30 s after a 2xx. */
const SPENT_PAUSE_MS = 30_000;

/**
 * A refresh that all callers share: lock, read again, send, store, unlock, and only then let the waiting calls continue.
 * Its states, and what each event does in them; no entry means no effect:
 *
 * - lock acquired. `queued`: → locked.
 * - lock not acquired. `queued`: → done, failed.
 * - another holder has stored tokens that can be used. `queued`: → done. `locked`: → done, when the state is read again.
 *   `storing`: what is to be stored gives way to it.
 * - state read again. `locked`: → asking.
 * - tokens arrive. `asking`: → storing. `done`: stored if nothing has changed since, revoked if the principal has.
 * - failure for now. `asking`: → locked for a pause, or → done, failed.
 * - refresh token refused. `asking`: → storing the end of the session.
 * - the last wait has timed out. `queued`: → done, failed. A refresh that was sent goes on.
 * - 60 s since the request was sent. `asking`: → done, failed; its signal aborts.
 * - update(). `queued`, `locked`: → done. `asking`: the waiting calls continue; of tokens that arrive only a new refresh
 *   token is kept. `storing`: what is to be stored gives way.
 * - the principal changed. All: → done, changed. `asking`: without `revoke` the signal aborts, else tokens that arrive are
 *   revoked. `storing`: its tokens are revoked.
 * - stored. `storing`: → done, once the lock is released.
 */
export class Refresh {
  state: 'queued' | 'locked' | 'asking' | 'storing' | 'done' = 'queued';
  /** The failure that it ended with, and how long no other refresh may start because of it. */
  failure: RefreshFailure | undefined;
  pauseMs = 0;
  /** Settles before the waiting calls do. */
  readonly done: Promise<AuthError | undefined>;
  private readonly _deps: RefreshDeps;
  private readonly _reason: RefreshContext['reason'];
  private readonly _clients: ClientProvider;
  private readonly _version: number;
  private readonly _waits: RefreshWaits;
  private readonly _lockWait = new AbortController();
  private _request: AbortController | undefined;
  /** The tokens that are to be replaced. */
  private _replaced: Tokens | null;
  private _settle!: (error: AuthError | undefined) => void;

  constructor(deps: RefreshDeps, reason: RefreshContext['reason'], clients: ClientProvider) {
    this._deps = deps;
    this._reason = reason;
    this._clients = clients;
    this._version = deps.state.principalVersion;
    this._replaced = deps.state.tokens;
    this._waits = new RefreshWaits(deps.clock, deps.timeoutMs, (isLast) => this._waitTimedOut(isLast));
    this.done = new Promise((resolve) => {
      this._settle = resolve;
    });
    void this._run();
  }

  /** Resolves when the call may continue. Rejects at the limit of a call, or with the failure, which each call makes its own. */
  wait(): Promise<void> {
    return this._waits.add();
  }

  /** Another holder has stored something. */
  stored(): void {
    if (this.state === 'queued' && this._isOvertaken) this._end();
  }

  /** The app has new tokens of the same principal. */
  updated(): void {
    if (this.state === 'queued' || this.state === 'locked') this._end();
    else this._waits.end();
  }

  principalChanged(): void {
    if (!this._deps.revocation) this._request?.abort();
    this._end(errors.sessionChanged());
  }

  private get _isDone(): boolean {
    return this.state === 'done';
  }

  private get _isOfOther(): boolean {
    return this._deps.state.principalVersion !== this._version;
  }

  private get _hasMoved(): boolean {
    const { status, tokens } = this._deps.state;
    return this._isOfOther || (tokens !== this._replaced && status !== 'expired');
  }

  private get _isOvertaken(): boolean {
    const { tokens, remainingMs } = this._deps.state;
    return this._hasMoved && (!tokens || remainingMs > 0);
  }

  private async _run(): Promise<void> {
    let work: Promise<void> | undefined;
    try {
      await this._deps.state.exclusive(async () => {
        work = this._work();
        await Promise.race([work, this.done]);
      }, this._lockWait.signal);
    } catch (cause) {
      if (this.state === 'queued')
        this._end(errors.refreshFailed("the store's lock could not be acquired.", redactError(cause)));
      // A lock that is lost later does not undo what was sent.
      await work;
    }
    this._end();
  }

  private async _work(): Promise<void> {
    const { clock, state, observers } = this._deps;
    const passedMs = stopwatch(clock);
    for (let sends = 1; ; sends++) {
      this.state = 'locked';
      await state.reload();
      if (this._isDone || this._isOvertaken) return;
      if (this._replaced && state.status === 'expired') {
        this._end(errors.sessionExpired());
        return;
      }
      this._replaced = state.tokens;
      if (sends === 1) observers.emit({ type: 'refreshing', generation: state.generation });
      const failed = await this._send(this._replaced ?? undefined);
      if (!failed || this._isDone || !(await this._maySendAgain(failed, sends, passedMs())) || this._isDone) return;
    }
  }

  /** Sends the request and stores the tokens that arrive, however late. */
  private async _send(before: Tokens | undefined): Promise<Failed | undefined> {
    const { clock } = this._deps;
    const request = (this._request = new AbortController());
    const stopLimit = patientAlarm(clock, REQUEST_LIMIT_MS, () => {
      this._requestTimedOut();
    });
    this.state = 'asking';
    const result = await requestTokens(this._deps, this._reason, this._clients, before, request.signal);
    stopLimit();
    if ('failure' in result) {
      await this._keepRefreshToken(result.rotated, before);
      return result;
    }
    await this._store(result, before);
    return undefined;
  }

  private async _store(tokens: Tokens, before: Tokens | undefined): Promise<void> {
    const { state, observers, breaker, revocation } = this._deps;
    if (this._hasMoved) await this._keepRefreshToken(tokens.refreshToken, before);
    else {
      if (!this._isDone) this.state = 'storing';
      await state.change('refreshed', tokens);
      if (state.tokens === tokens) {
        if (this._reason === 'rejected' || this._reason === 'expiring') breaker.refreshed(state.generation);
        observers.emit({ type: 'refreshed', generation: state.generation });
      }
    }
    if (this._isOfOther) void revocation?.run(tokens);
  }

  /** The refresh token that was sent may be spent: its successor is kept, whatever came of the access token. */
  private async _keepRefreshToken(rotated: string | undefined, before: Tokens | undefined): Promise<void> {
    const { state } = this._deps;
    const { tokens } = state;
    if (this._isOfOther || !rotated || !tokens || tokens.refreshToken !== before?.refreshToken) return;
    if (rotated === tokens.refreshToken) return;
    await state.change('refreshed', tokensOf(tokens.accessToken, rotated, tokens.expiresAt));
  }

  /** Resolves with true when the next send may follow. Else the refresh is done. */
  private async _maySendAgain({ failure, cause }: Failed, sends: number, passedMs: number): Promise<boolean> {
    const { clock, memory } = this._deps;
    const { kind, mayBeSpent, retryAfterMs = 0 } = failure;
    const delayMs = Math.max(retryAfterMs, clock.random() * BASE_DELAY_MS * 2 ** (sends - 1));
    const isTransient = kind === 'unreachable' || kind === 'unavailable';
    const willRetry = isTransient && !mayBeSpent && sends < MOST_SENDS && passedMs + delayMs <= LAST_SEND_MS;
    this._emitFailure(failure, willRetry);
    if (kind === 'refused' || kind === 'refused-here' || kind === 'not-signed-in') return this._refused(failure, cause);
    if (willRetry) {
      this.state = 'locked';
      await this._pause(delayMs);
      return true;
    }
    const refreshToken = this._replaced?.refreshToken;
    this.pauseMs = retryAfterMs;
    if (mayBeSpent && refreshToken !== undefined) {
      // It is sent once more if a call needs it. A gateway's page is not the server's word, and does not count.
      this.pauseMs = memory.spent === refreshToken && !isTransient ? Infinity : SPENT_PAUSE_MS;
      memory.spent = refreshToken;
    }
    const error = errors.refreshFailed(errors.reasonOf(failure), cause);
    if (retryAfterMs > 0) error.retryAt = Math.round(clock.now() + retryAfterMs);
    this._end(error, failure);
    return false;
  }

  /** The refresh token is dead. If another holder of the store has a newer one, that is sent. */
  private async _refused(failure: RefreshFailure, cause: unknown): Promise<boolean> {
    const { state, memory } = this._deps;
    const { kind, status } = failure;
    const refreshToken = this._replaced?.refreshToken;
    if (refreshToken !== undefined)
      memory.dead = { refreshToken, status: kind === 'refused-here' ? status : undefined };
    await state.reload();
    if (this._isDone || this._isOvertaken) return false;
    if (state.tokens && state.tokens.refreshToken !== refreshToken) return true;
    if (state.tokens && !this._isTokenGood) {
      this.state = 'storing';
      await state.change(kind === 'refused-here' ? kind : 'refused', null);
      if (state.tokens) return true;
    } else if (state.status === 'empty') await state.change('nobody', null);
    this._end(this._reason === 'missing' ? undefined : errors.sessionExpired(cause), failure);
    return false;
  }

  /** An early refresh does not end a session before its access token expires. */
  private get _isTokenGood(): boolean {
    const { state, memory } = this._deps;
    return this._reason === 'expiring' && state.remainingMs > 0 && memory.refusedGeneration !== state.generation;
  }

  private async _pause(delayMs: number): Promise<void> {
    let stop!: () => void;
    const passed = new Promise<void>((resolve) => {
      stop = alarm(this._deps.clock, delayMs, resolve, 'idle');
    });
    await Promise.race([passed, this.done]);
    stop();
  }

  private _waitTimedOut(isLast: boolean): AuthError {
    const { timeoutMs } = this._deps;
    if (this.state !== 'queued') return errors.noAnswerWithin(timeoutMs);
    const error = errors.lockNotAcquiredWithin(timeoutMs);
    if (isLast) this._end(error);
    return error;
  }

  private _requestTimedOut(): void {
    const failure: RefreshFailure = {
      kind: 'unanswered',
      code: 'timeout',
      mayBeSpent: false,
      status: undefined,
      retryAfterMs: undefined,
    };
    this._emitFailure(failure, false);
    this._end(errors.refreshFailed(`no answer within ${String(REQUEST_LIMIT_MS)} ms.`), failure);
    this._request?.abort();
  }

  private _emitFailure({ code, status }: RefreshFailure, willRetry: boolean): void {
    const { state, observers } = this._deps;
    const { generation } = state;
    observers.emit({ type: 'refresh-failed', generation, code, ...(status !== undefined && { status }), willRetry });
  }

  private _end(error?: AuthError, failure?: RefreshFailure): void {
    if (this._isDone) return;
    this.state = 'done';
    this.failure = failure;
    this._lockWait.abort();
    this._settle(error);
    this._waits.end(error);
  }
}
