import type { Axios, AxiosInstance, AxiosResponse } from 'axios';
import type { Clock } from './clock.js';
import { AuthError } from './errors.js';
import { teller, type Tell } from './events.js';
import { ownValue } from './safe-read.js';
import type { Policy } from './policy.js';
import { RetryBudgets } from './retry/budget.js';
import { skewOf } from './http/http-date.js';
import { hooksOf, type SchemeHooks } from './schemes/scheme.js';
import { stateOf } from './schemes/scheme-state.js';
import type { Throttle } from './throttle/throttle.js';
import { DeadlineTimer } from './call/deadline-timer.js';
import { LimitEvents } from './call/limit-events.js';
import { CooldownSharing } from './call/shared-cooldown.js';
import { headerOf } from './http/response-headers.js';
import { bareAxios, clientOf } from './transport/refresh-client.js';
import { Destinations } from './transport/origin.js';
import { wasFetchedElsewhere } from './transport/redirects.js';

/** As axios keeps it. */
export interface ResponseHandler {
  readonly fulfilled: ((value: unknown) => unknown) | null | undefined;
  readonly rejected: ((error: unknown) => unknown) | null | undefined;
}

/** What one attachAuth() keeps for its instance, until detach(). */
export class Attachment {
  readonly policy: Policy;
  readonly clock: Clock;
  readonly tell: Tell;
  readonly hooks: SchemeHooks;
  readonly destinations: Destinations;
  readonly throttle: Throttle | undefined;
  readonly limitEvents: LimitEvents | undefined;
  readonly sharing: CooldownSharing | undefined;
  readonly deadlines: DeadlineTimer;
  readonly budgets = new RetryBudgets();
  /** Sends again: no interceptors, no defaults, so nothing happens to a config that was final already. */
  readonly resender: Axios = bareAxios();
  readonly #instance: AxiosInstance;
  readonly #leaveScheme: () => void;
  #skewMs: number | undefined;
  #isDetached = false;

  constructor(instance: AxiosInstance, policy: Policy, clock: Clock) {
    this.#instance = instance;
    this.policy = policy;
    this.clock = clock;
    // Bound: a function made here would keep the instance alive as long as a limit is closed.
    this.tell = teller(policy.onEvent, clock.now.bind(clock));
    this.hooks = hooksOf(policy.scheme);
    this.deadlines = new DeadlineTimer(clock);
    this.destinations = new Destinations(
      policy.origins,
      () => ownValue(instance.defaults, 'baseURL') as string | undefined,
    );
    const { throttle } = policy;
    this.throttle = throttle ? (throttle.throttle ?? stateOf(policy.scheme, clock).throttle) : undefined;
    this.sharing =
      throttle && throttle.shared && this.throttle
        ? new CooldownSharing(throttle.shared, this.throttle, clock, policy.limits)
        : undefined;
    this.limitEvents = policy.onEvent && this.throttle ? new LimitEvents(this.throttle, clock, this.tell) : undefined;
    this.#leaveScheme = this.hooks.join?.(this) ?? (() => undefined);
  }

  get isDetached(): boolean {
    return this.#isDetached;
  }

  /** The instance's defaults as they are now, without interceptors. */
  get client(): AxiosInstance {
    return clientOf(this.#instance);
  }

  /** What schemes will know a call by: their own, where they remember something of it. */
  newKey(): object {
    return this.hooks.newKey?.() ?? {};
  }

  /** The handlers of the instance's response chain that run before `own`. */
  responseHandlersBefore(own: unknown): ResponseHandler[] {
    const handlers: ResponseHandler[] = [];
    const { response } = this.#instance.interceptors as unknown as {
      response: { forEach(visit: (handler: ResponseHandler) => void): void };
    };
    response.forEach((handler) => handlers.push(handler));
    // Once ours is ejected nobody can tell which were before it.
    return handlers.slice(
      0,
      Math.max(
        0,
        handlers.findIndex(({ fulfilled }) => fulfilled === own),
      ),
    );
  }

  /** Epoch ms, corrected by what the server's Date headers taught. */
  serverNow(): number {
    return this.clock.now() + (this.#skewMs ?? 0);
  }

  /** Learns how far the server's clock is off: from its first answer, and whenever one is refused. */
  learnTime(response: AxiosResponse, origin: string): void {
    if ((this.#skewMs !== undefined && response.status < 400) || wasFetchedElsewhere(response, origin)) return;
    this.#skewMs ??= 0;
    const date = headerOf(response, 'date');
    if (date === undefined || headerOf(response, 'age') !== undefined) return;
    this.#skewMs = skewOf(date, this.clock.now()) ?? this.#skewMs;
  }

  /** The scheme's principal has changed. */
  principalChanged(): void {
    this.deadlines.checkAll();
  }

  detach(): void {
    if (this.#isDetached) return;
    this.#isDetached = true;
    this.deadlines.checkAll();
    this.limitEvents?.stop();
    this.sharing?.stop();
    this.#leaveScheme();
  }
}

export function detached(): AuthError {
  return new AuthError('ERR_AUTH_DETACHED', 'The call was waiting when detach() was called, and was not sent (again).');
}
