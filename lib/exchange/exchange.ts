import type { AxiosAdapter, AxiosError, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import { detached, type Attachment } from '../attachment.js';
import { AuthError, isAuthError } from '../errors.js';
import type { CallPolicy } from '../options.js';
import { equalJitter } from '../recovery/backoff.js';
import { decide, type Circumstances, type Decision, type SettleReason } from '../recovery/decide.js';
import { isReplayable } from '../recovery/replayable.js';
import { isPromise } from '../schemes/scheme.js';
import { resolveAdapter } from '../wire/adapter.js';
import { headerLines } from '../wire/answer.js';
import { parseChallenges } from '../wire/challenge.js';
import { copyHeaders, writtenHeaders } from '../wire/header-values.js';
import { resolveUrl } from '../wire/origin.js';
import { RequestView, type ViewSource } from '../wire/request-view.js';
import { discard, send } from '../wire/wire.js';
import { isThrottled, mayAuthorize, readAnswer, readError, type Attempt } from './attempt.js';
import { exchanges, type ExchangeReport, type Reporting } from './report.js';
import { deadlinePassed, Waiting } from './waiting.js';

type Adapters = InternalAxiosRequestConfig['adapter'];

/** One call: all its attempts, its deadline, what it has waited for and why it settled. */
export class Exchange implements Reporting, ViewSource {
  /** What stands in the call's config in place of its adapter. */
  readonly wire: AxiosAdapter;
  readonly #attachment: Attachment;
  readonly #policy: CallPolicy;
  readonly #adapters: Adapters;
  readonly #waiting: Waiting;
  #config: InternalAxiosRequestConfig | undefined;
  #last: Attempt | undefined;
  #attempts = 0;
  #errors = 0;
  #throttles = 0;
  #challenges = 0;
  #isRefreshed = false;
  #isDone = false;
  #retryAt: number | undefined;
  #reason: SettleReason | undefined;

  constructor(attachment: Attachment, policy: CallPolicy, adapters: Adapters) {
    this.#attachment = attachment;
    this.#policy = policy;
    this.#adapters = adapters;
    this.#waiting = new Waiting(attachment, policy.deadlineMs);
    // Somebody sends a config of ours again after its call has settled (a retry layer, a button): that is a new call.
    this.wire = (config) => (this.#isDone ? new Exchange(attachment, policy, adapters).wire(config) : this.#attempt(config));
    exchanges.set(this.wire, this);
  }

  get adapters(): Adapters {
    return this.#adapters;
  }
  get exchange(): object {
    return this;
  }
  get isDone(): boolean {
    return this.#isDone;
  }

  belongsTo(attachment: Attachment): boolean {
    return this.#attachment === attachment;
  }

  /** True if the answer can be handed on without a second look. */
  get isFine(): boolean {
    const outcome = this.#last?.outcome;
    return outcome?.kind === 'answer' && outcome.status < 400 && !outcome.isUnauthorized;
  }

  /** Decides what follows the last attempt, and waits if it has to; `again`: the call is ready to be sent once more. */
  async next(): Promise<'settle' | 'again'> {
    const last = this.#last;
    if (!last || this.#attachment.isDetached) return 'settle';
    const decision = this.#decide(last);
    if (decision.kind === 'reauthorize') return this.#reauthorize(last);
    if (decision.kind === 'settle') {
      this.#settle(decision);
      if (decision.challenge) this.#challengeInBackground(last);
      return 'settle';
    }
    const isPaidFor = decision.reason === 'throttled' || this.#attachment.budget(last.origin).take(this.#attachment.clock.monotonic());
    if (!isPaidFor) {
      this.#reason = 'retry-budget';
      return 'settle';
    }
    discard(last.response?.data);
    this.#tellAgain(last, decision);
    await this.#guarded(() => this.#waiting.sleep(decision.delayMs));
    return 'again';
  }

  /**
   * Sends the call once more, as it was. `withheld`: the deadline or a closed gate kept it here, so that the answer before
   * this one stands.
   */
  async resend(): Promise<PromiseSettledResult<AxiosResponse> | 'withheld'> {
    const config = this.#config;
    if (!config) return 'withheld';
    // What transformRequest made of the body is final; a second time it would encode it twice.
    const request = this.#attachment.resender.request<unknown, AxiosResponse>({ ...config, transformRequest: [(data: unknown) => data] });
    try {
      const response = await request;
      response.config = config;
      return { status: 'fulfilled', value: response };
    } catch (reason) {
      if (isAuthError(reason) && this.#withhold(reason)) return 'withheld';
      const failure = reason as { config?: unknown } | null;
      if (typeof failure === 'object' && failure?.config !== undefined) failure.config = config;
      return { status: 'rejected', reason };
    }
  }

  /** The call has settled: nothing of it is left behind but its report. */
  finish(): void {
    this.#isDone = true;
    this.#last = undefined;
    this.#waiting.rest();
  }

  report(): ExchangeReport {
    return {
      attempts: this.#attempts,
      refreshed: this.#isRefreshed,
      waitedMs: Math.round(this.#waiting.waitedMs),
      ...(this.#retryAt !== undefined && { retryAt: this.#retryAt }),
      ...(this.#reason !== undefined && { reason: this.#reason }),
    };
  }

  url(config: InternalAxiosRequestConfig): URL {
    const url = resolveUrl(this.#attachment.resender.getUri(config));
    url.hash = '';
    return url;
  }
  signal(): AbortSignal {
    return this.#waiting.signal;
  }
  now(): number {
    return this.#attachment.serverNow();
  }
  client(): ReturnType<Attachment['client']> {
    return this.#attachment.client();
  }

  /** The adapter's place: what comes before an attempt, the attempt, and what it taught. */
  async #attempt(config: InternalAxiosRequestConfig): Promise<AxiosResponse> {
    this.#config ??= config;
    this.#waiting.follow(config);
    return this.#guarded(async () => {
      const attachment = this.#attachment;
      if (attachment.isDetached) throw detached();
      if (this.#waiting.remainingMs <= 0) throw deadlinePassed(this.#policy.deadlineMs);
      const destination = attachment.destinations.of(config);
      const isAuthorized = this.#policy.credentials === 'attach' && mayAuthorize(config, destination, attachment);
      const { view, written } = await this.#prepare(config, destination.origin, isAuthorized);
      const adapter = resolveAdapter(config, this.#adapters);
      this.#attempts++;
      if (this.#attempts === 1) attachment.budget(destination.origin).countCall(attachment.clock.monotonic());
      const departure = {
        config: this.#config ?? config,
        headers: view.headers,
        credentialHeaders: written,
        url: view.seenUrl,
        origin: destination.origin,
        adapter,
      };
      try {
        const response = await send(departure);
        this.#conclude(view, isAuthorized, destination.origin, response, undefined);
        return response;
      } catch (error) {
        this.#conclude(view, isAuthorized, destination.origin, (error as Partial<AxiosError> | null)?.response, error);
        throw error;
      }
    });
  }

  /** Waits for the gate, lets the scheme write its headers, and looks at the gate again if that took time. */
  async #prepare(config: InternalAxiosRequestConfig, origin: string, isAuthorized: boolean): Promise<{ view: RequestView; written: string[] }> {
    const { scheme } = this.#attachment.policy;
    for (;;) {
      const view = new RequestView(config, copyHeaders(config.headers), this.#attempts + 1, this);
      await this.#passGate(view, origin);
      if (!isAuthorized) return { view, written: [] };
      const authorizing = scheme.authorize(view);
      if (!isPromise(authorizing)) return { view, written: this.#credentialHeaders(config, view) };
      await this.#waiting.race(authorizing);
      this.#waiting.rest();
      if (this.#attachment.gate?.isCalm !== false) return { view, written: this.#credentialHeaders(config, view) };
      if (!this.#attachment.gate.enter(this.#gateKeys(view, origin), Infinity)) return { view, written: this.#credentialHeaders(config, view) };
    }
  }

  #credentialHeaders(config: InternalAxiosRequestConfig, view: RequestView): string[] {
    const named = this.#attachment.policy.scheme.credentialHeaders ?? [];
    return [...writtenHeaders(config.headers, view.headers), ...named.map((name) => name.toLowerCase())];
  }

  async #passGate(view: RequestView, origin: string): Promise<void> {
    const { gate, clock } = this.#attachment;
    while (gate && !gate.isCalm) {
      const longestMs = Math.min(this.#waiting.remainingMs, this.#policy.retry ? this.#policy.retry.maxRetryAfterMs : Infinity);
      const ticket = gate.enter(this.#gateKeys(view, origin), longestMs);
      if (!ticket) return;
      if ('turn' in ticket) {
        await this.#waiting.race(ticket.turn, () => {
          ticket.leave();
        });
        continue;
      }
      this.#retryAt = Math.round(clock.now() + ticket.opensInMs);
      throw ticket.kind === 'queue-full' ? queueFull() : throttled(ticket.opensInMs);
    }
  }

  #gateKeys(view: RequestView, origin: string): string[] {
    const { throttle } = this.#attachment.policy;
    if (throttle && throttle.keyOf) return [throttle.keyOf(view)];
    return [origin + view.url.pathname, origin];
  }

  #conclude(view: RequestView, isAuthorized: boolean, origin: string, response: AxiosResponse | undefined, error: unknown): void {
    const attachment = this.#attachment;
    if (!response) {
      this.#last = { outcome: readError(error), view, isAuthorized, origin, response: undefined, error };
      return;
    }
    const outcome = readAnswer(response, origin, attachment);
    this.#last = { outcome, view, isAuthorized, origin, response, error };
    if (outcome.kind !== 'answer') return;
    attachment.learnTime(response);
    if (isAuthorized) attachment.hooks.answered?.(this, outcome.isUnauthorized);
    if (!isThrottled(outcome) || !attachment.gate) return;
    const backoff = this.#policy.retry || { baseDelayMs: 500, maxDelayMs: 20_000 };
    const [key = origin, shared] = this.#gateKeys(view, origin);
    attachment.gate.close(key, shared, outcome.retryAfterMs || equalJitter(backoff, this.#throttles + 1, attachment.clock.random()));
  }

  #decide(last: Attempt): Decision {
    const { outcome } = last;
    if (outcome.kind === 'answer' && (outcome.isUnauthorized || isThrottled(outcome))) {
      if (!outcome.isUnauthorized) this.#throttles++;
    } else {
      this.#errors++;
    }
    const progress = {
      errors: this.#errors,
      throttles: this.#throttles,
      isReauthorized: this.#challenges >= (this.#attachment.hooks.challengesPerCall ?? 1),
      remainingMs: this.#waiting.remainingMs,
    };
    return decide(outcome, progress, this.#circumstances(last), this.#policy.retry, this.#attachment.clock.random());
  }

  #circumstances(last: Attempt): Circumstances {
    const { shouldRetry, retry, isIdempotent } = this.#policy;
    const { method } = last.view;
    const hasKey = Boolean(this.#config?.headers.get('Idempotency-Key'));
    return {
      isAuthorized: last.isAuthorized,
      isReplayable: isReplayable(this.#config?.data),
      isIdempotent: isIdempotent || hasKey || (retry !== false && retry.methods.has(method)),
      shouldRetry:
        shouldRetry &&
        ((willRetry) =>
          shouldRetry({
            method,
            url: this.#publicUrl(last),
            attempt: this.#attempts,
            ...(last.response && { status: last.response.status }),
            ...(last.error !== undefined && { error: last.error as AxiosError }),
            willRetry,
          })),
    };
  }

  async #reauthorize(last: Attempt): Promise<'settle' | 'again'> {
    const { policy, hooks, tell } = this.#attachment;
    this.#challenges++;
    const again = await this.#guarded(async () => {
      const work = this.#challenge(last);
      if (!isPromise(work)) return work;
      discard(last.response?.data);
      return this.#waiting.race(work);
    });
    this.#waiting.rest();
    if (!again) {
      if (policy.scheme.onChallenge && hooks.isRefreshUseless?.()) this.#reason = 'refresh-breaker';
      return 'settle';
    }
    discard(last.response?.data);
    this.#isRefreshed = true;
    tell({ type: 'replay', method: last.view.method, url: this.#publicUrl(last), attempt: this.#attempts + 1 });
    return 'again';
  }

  #challenge(last: Attempt): boolean | Promise<boolean> {
    const { scheme } = this.#attachment.policy;
    if (!scheme.onChallenge || !last.response) return false;
    const challenges = parseChallenges(headerLines(last.response, 'www-authenticate'));
    return scheme.onChallenge({ request: last.view, response: last.response, challenges });
  }

  /** This call cannot be sent again, but the next one should not meet the same dead token. */
  #challengeInBackground(last: Attempt): void {
    void (async () => this.#challenge(last))().catch(() => undefined);
  }

  #settle(decision: Extract<Decision, { kind: 'settle' }>): void {
    this.#reason = decision.reason;
    if (decision.retryAfterMs !== undefined) this.#retryAt = Math.round(this.#attachment.clock.now() + decision.retryAfterMs);
  }

  #withhold({ code }: AuthError): boolean {
    if (code === 'ERR_AUTH_DEADLINE') this.#reason = 'deadline';
    else if (code === 'ERR_AUTH_THROTTLED') this.#reason = 'retry-after-too-long';
    else return code === 'ERR_AUTH_QUEUE_FULL';
    return true;
  }

  #tellAgain(last: Attempt, { delayMs, reason }: Extract<Decision, { kind: 'wait' }>): void {
    this.#attachment.tell({
      type: 'retry',
      method: last.view.method,
      url: this.#publicUrl(last),
      attempt: this.#attempts + 1,
      delayMs: Math.round(delayMs),
      reason,
    });
  }

  /** Without query and user-info. */
  #publicUrl(last: Attempt): string {
    const { origin, pathname } = last.view.url;
    return origin + pathname;
  }

  /** Errors of ours leave with the call's own config and the server's last answer. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw isAuthError(error) && !error.config ? error.about(this.#config, this.#last?.response) : error;
    }
  }
}

function throttled(opensInMs: number): AuthError {
  return new AuthError(
    'ERR_AUTH_THROTTLED',
    `The server asked for ${String(Math.ceil(opensInMs / 1000))} s of silence, more than this call may wait, so it was not sent. ` +
      'exchangeOf(error).retryAt says when to come back.',
  );
}

function queueFull(): AuthError {
  return new AuthError('ERR_AUTH_QUEUE_FULL', 'As many calls as throttle.maxQueued allows are waiting for the server already.');
}
