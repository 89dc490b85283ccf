import { pauseAfterMs, resendDelayMs } from './resend.js';
import type { AuthError } from '../errors.js';
import { stopwatch, within } from '../clock.js';
import type { RefreshContext } from './refresh-context.js';
import type { RefreshFailure } from './refresh-failure.js';
import type { RefreshDeps, RefreshEnd } from './refresh-deps.js';
import { redactError } from '../redact.js';
import { requestTokens, type Failed } from './refresh-request.js';
import { RefreshWaits } from './refresh-waits.js';
import { Replacement } from './replacement.js';
import * as errors from './session-errors.js';
import type { ClientProvider } from './snapshot.js';
import type { Tokens } from './tokens.js';

/**
 * A refresh that all callers share: lock, read again, send, store, unlock, and only then let the waiting calls continue. Its
 * states, and what each event does in them; no entry means no effect:
 *
 * - lock acquired. `queued`: → locked.
 * - lock not acquired. `queued`: → done, failed.
 * - another holder has stored tokens that can be used. `queued`: → done. `locked`: → done, when the state is read again.
 *   `storing`: its own result is dropped.
 * - state read again. `locked`: → asking.
 * - tokens arrive. `asking`: → storing. `done`: stored if nothing has changed since, revoked if the principal has.
 * - failure for now, or 60 s without a response (the signal aborts). `asking`: → locked for a pause, or → done, failed.
 * - refresh token refused. `asking`: → storing the end of the session.
 * - the last wait has timed out. `queued`: → done, failed. A refresh that was sent continues.
 * - update(). `queued`, `locked`: → done. `asking`: the waiting calls continue; of tokens that arrive only a new refresh token is
 *   kept. `storing`: its own result is dropped.
 * - the principal changed. All: → done, changed. `asking`: without `revoke` the signal aborts, else tokens that arrive are
 *   revoked. `storing`: its tokens are revoked.
 * - stored. `storing`: → done, once the lock is released.
 */
export class Refresh {
  state: 'queued' | 'locked' | 'asking' | 'storing' | 'done' = 'queued';
  readonly done: Promise<RefreshEnd>; // settles before the waiting calls do
  private readonly _replaced: Replacement;
  private readonly _waits: RefreshWaits;
  /** Of the wait for the lock, then of each request. */
  private _controller = new AbortController();
  private _settle!: (end: RefreshEnd) => void;

  constructor(
    private readonly _deps: RefreshDeps,
    private readonly _reason: RefreshContext['reason'],
    private readonly _clients: ClientProvider,
  ) {
    const { state, clock, options } = _deps;
    this._replaced = new Replacement(state);
    this._waits = new RefreshWaits(clock, options.refreshTimeoutMs, (isLast) => this._waitTimedOut(isLast));
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
    if (this.state === 'queued' && this._replaced.isOvertaken) this._end();
  }

  /** The app has new tokens of the same principal. */
  updated(): void {
    if (this.state === 'queued' || this.state === 'locked') this._end();
    else this._waits.end();
  }

  principalChanged(): void {
    if (!this._deps.revoke) this._controller.abort();
    this._end(errors.sessionChanged());
  }

  private async _run(): Promise<void> {
    let work: Promise<void> | undefined;
    try {
      await this._deps.state.exclusive(async () => {
        work = this._work();
        // A sign-out must be stored before another holder may send the refresh token.
        await Promise.race([work, this.done.then(() => this._deps.state.writing)]);
      }, this._controller.signal);
    } catch (cause) {
      const error = redactError(cause, this._replaced.tokens);
      if (this.state === 'queued')
        this._end(errors.refreshFailed("the store's lock could not be acquired.", error), undefined, 0);
    }
    // A lock that is lost, or that its store released early, does not undo the request.
    if (!this._isDone()) await work;
    this._end();
  }

  private async _work(): Promise<void> {
    const { clock, state, observers } = this._deps;
    const passedMs = stopwatch(clock);
    for (let sends = 1; this._moveTo('locked'); sends++) {
      // Another holder may have replaced the refresh token, or found it dead.
      if ((await state.reload(true)) === false) this._end(errors.storeNotRead(), undefined, 0);
      if (this._replaced.tokens && state.status === 'expired') this._end(errors.sessionExpired());
      if (this._isDone() || this._replaced.isOvertaken) return;
      this._replaced.tokens = state.tokens;
      if (sends === 1) observers.emit({ type: 'refreshing', generation: state.generation });
      const failed = await this._send();
      if (!failed || this._isDone() || !(await this._maySendAgain(failed, sends, passedMs()))) return;
    }
  }

  /** Sends the request and stores the tokens that arrive, however late. */
  private async _send(): Promise<Failed | undefined> {
    this._moveTo('asking');
    const { _deps: deps, _replaced: replaced, _reason: reason } = this;
    const request = (this._controller = new AbortController());
    const late = this._store.bind(this);
    const result = await requestTokens(deps, reason, this._clients, replaced.tokens, request, late);
    if (!('failure' in result)) return this._store(result);
    await replaced.keepRefreshToken(result.rotated);
    return result;
  }

  private async _store(tokens: Tokens): Promise<undefined> {
    const { observers, breaker, revoke, state } = this._deps;
    this._moveTo('storing');
    if (await this._replaced.store(tokens)) {
      if (this._reason === 'rejected' || this._reason === 'expiring') breaker.refreshed(state.generation);
      observers.emit({ type: 'refreshed', generation: state.generation });
    } else if (this._replaced.isOfOther) void revoke?.(tokens);
  }

  /** Resolves with true when the next send may follow. Else the refresh is done. */
  private async _maySendAgain({ failure, cause }: Failed, sends: number, passedMs: number): Promise<boolean> {
    const { clock, memory, observers, state } = this._deps;
    const { kind, code, status, retryAfterMs } = failure;
    const { generation } = state;
    const delayMs = resendDelayMs(failure, sends, passedMs, clock.random());
    const willRetry = delayMs !== undefined;
    observers.emit({ type: 'refresh-failed', generation, code, ...(status !== undefined && { status }), willRetry });
    if (kind === 'refused' || kind === 'refused-here' || kind === 'not-signed-in') return this._refused(failure, cause);
    if (willRetry) {
      this._moveTo('locked');
      await within<unknown>(clock, delayMs, this.done, () => undefined);
      return true;
    }
    const refreshToken = this._replaced.tokens?.refreshToken;
    const pauseMs = pauseAfterMs(failure, refreshToken, memory.spent);
    if (failure.mayBeSpent) memory.spent = refreshToken;
    const error = errors.refreshFailed(errors.reasonOf(failure, cause), cause);
    if (retryAfterMs) error.retryAt = Math.round(clock.now() + retryAfterMs);
    this._end(error, failure, pauseMs);
    return false;
  }

  /** The refresh token is dead. If another holder of the store has a newer one, that is sent. */
  private async _refused(failure: RefreshFailure, cause: unknown): Promise<boolean> {
    const { state, memory } = this._deps;
    const { kind, status } = failure;
    const refreshToken = this._replaced.tokens?.refreshToken;
    const isHere = kind === 'refused-here';
    if (refreshToken !== undefined) memory.dead = { refreshToken, status: isHere ? status : undefined };
    // An early refresh does not end a session before its access token expires.
    const isTokenGood =
      this._reason === 'expiring' && state.remainingMs > 0 && memory.refusedGeneration !== state.generation;
    this._moveTo('storing');
    // Known before the session ends, since its listeners may sign out at once.
    memory.end = errors.sessionExpired(cause);
    const found = await this._replaced.end(isHere ? kind : 'refused', isTokenGood);
    if (found === 'ended') this._end(this._reason === 'missing' ? undefined : memory.end, failure);
    return found === 'newer';
  }

  private _waitTimedOut(isLast: boolean): AuthError {
    const { refreshTimeoutMs: timeoutMs } = this._deps.options;
    if (this.state !== 'queued') return errors.noAnswerWithin(timeoutMs);
    const error = errors.lockNotAcquiredWithin(timeoutMs);
    if (isLast) this._end(error);
    return error;
  }

  private _isDone(): boolean {
    return this.state === 'done';
  }

  /** Returns false if the refresh is done: it never leaves that state. */
  private _moveTo(state: Refresh['state']): boolean {
    if (this._isDone()) return false;
    this.state = state;
    return true;
  }

  private _end(error?: AuthError, failure?: RefreshFailure, pauseMs?: number): void {
    if (this.state === 'queued') this._controller.abort();
    if (!this._moveTo('done')) return;
    this._settle({ error, failure, pauseMs });
    this._waits.end(error);
  }
}
