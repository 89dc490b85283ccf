import type { MaybePromise } from '../maybe-promise.js';
import type { AxiosAdapter, AxiosInstance, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import type { Attachment } from '../attachment.js';
import { isAuthError } from '../errors.js';
import type { CallPolicy } from '../policy.js';
import { isWithin, type SettleReason } from '../retry/decide.js';
import { safeGet } from '../safe-read.js';
import type { Permit, ThrottleKeys } from '../throttle/throttle.js';
import { resolveUrl } from '../transport/origin.js';
import { attempt } from './attempt.js';
import type { Attempt, Call } from './call.js';
import { nextStep, resend, withheld } from './recovery.js';
import { mark, type ExchangeReport, type Reporting } from './report.js';
import { endPermit } from './turn.js';
import { Waiting } from './waiting.js';

type Config = InternalAxiosRequestConfig;

/** One call: all its attempts, its deadline, what it has waited for and why it settled. Nobody outside ever holds one. */
export class Exchange implements Reporting, Call {
  /** What stands in the call's config in place of its adapter. */
  readonly wire: AxiosAdapter;
  readonly waiting: Waiting<Call>;
  config: Config | undefined;
  permit: Permit | undefined;
  keys: ThrottleKeys | undefined;
  askedAttempt = -1;
  last: Attempt | undefined;
  isAuthorized = false;
  attempts = 0;
  errors = 0;
  throttles = 0;
  challenges = 0;
  isRefreshed = false;
  isDone = false;
  recovering: Promise<unknown> | undefined;
  reason: SettleReason | undefined;
  #retryAt: number | undefined;

  constructor(
    readonly attachment: Attachment,
    readonly policy: CallPolicy,
    readonly adapters: Config['adapter'],
    /** What schemes know the call by. */
    readonly key: object,
  ) {
    this.waiting = new Waiting<Call>(this);
    // Somebody sends a config of ours again after its call has settled (a retry layer, a button): that is a new call.
    this.wire = (config) => this.#send(config);
    mark(this.wire, this);
  }

  /** True if the answer can be handed on without a second look. */
  get isFine(): boolean {
    const outcome = this.last?.outcome;
    return outcome?.kind === 'answer' && outcome.status < 400 && !outcome.isUnauthorized;
  }

  get wasSent(): boolean {
    return this.attempts > 0;
  }

  mayWait(forMs: number): boolean {
    const { attachment, policy, keys } = this;
    if (keys && forMs > 0) attachment.limitEvents?.check(keys);
    // The whole second of a rounded instant has begun.
    return isWithin(forMs - 1, policy.limits.maxRetryAfterMs) && forMs <= this.waiting.remainingMs;
  }

  /** It does not use the permit that it has. */
  leave(): void {
    endPermit(this, 'ended');
  }

  next(): MaybePromise<boolean> {
    return nextStep(this);
  }

  /** What it could not be sent again for. Where that is its deadline, the answer there is stands. @throws the rest. */
  stopped(error: unknown): void {
    const reason = withheld(error);
    if (!reason || !this.last?.response) throw this.inContext(error);
    this.reason = reason;
  }

  resend(): Promise<PromiseSettledResult<AxiosResponse> | undefined> {
    return resend(this);
  }

  /** The call has settled: nothing of it is left but its report. */
  finish(): void {
    this.isDone = true;
    this.last = this.recovering = undefined;
  }

  /** Notes what the server asked for, if it did. */
  comeBackIn(delayMs: number | undefined): void {
    this.#retryAt = delayMs === undefined ? undefined : Math.round(this.attachment.clock.now() + delayMs);
  }

  report(): ExchangeReport {
    return {
      attempts: this.attempts,
      refreshed: this.isRefreshed,
      waitedMs: Math.round(this.waiting.waitedMs),
      ...(this.#retryAt !== undefined && { retryAt: this.#retryAt }),
      ...(this.reason && { reason: this.reason }),
    };
  }

  urlOf(config: Config): URL {
    const url = resolveUrl(this.attachment.resender.getUri(config));
    url.hash = '';
    return url;
  }
  get signal(): AbortSignal {
    return this.waiting.signal;
  }
  get now(): number {
    return this.attachment.serverNow();
  }
  get client(): AxiosInstance {
    return this.attachment.client;
  }

  inContext(error: unknown): unknown {
    if (!isAuthError(error)) return error;
    const { throttle } = this.attachment;
    if (error.code === 'ERR_AUTH_THROTTLED' && throttle && this.keys) this.comeBackIn(throttle.closedForMs(this.keys));
    return safeGet(error, 'config') ? error : error.about(this.config, this.last?.response);
  }

  #send(config: Config): Promise<AxiosResponse> {
    // Somebody sends a config of ours again after its call has settled (a retry layer, a button): that is a new call.
    if (this.isDone) {
      const { attachment, policy, adapters } = this;
      return new Exchange(attachment, policy, adapters, attachment.newKey()).wire(config);
    }
    // Whatever its types say, axios takes a URL object, which somebody may change; what is judged must be what is sent.
    const { url, baseURL } = config;
    if (url && typeof url !== 'string') config.url = String(url);
    if (baseURL && typeof baseURL !== 'string') config.baseURL = String(baseURL);
    return attempt(this, (this.config ??= config));
  }
}
