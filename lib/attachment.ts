import type { Axios, AxiosInstance, AxiosResponse } from 'axios';
import type { Clock } from './clock.js';
import { AuthError } from './errors.js';
import { teller, type EventBody, type Tell } from './events.js';
import { ownValue, safeGet } from './safe-read.js';
import { RETRY_DEFAULTS, type Policy } from './policy.js';
import { RetryBudget } from './retry/budget.js';
import { skewOf } from './http/http-date.js';
import { hooksOf, type AuthScheme, type SchemeHooks } from './schemes/scheme.js';
import { Gate } from './traffic/gate.js';
import { WaitingRoom } from './traffic/waiting-room.js';
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
  readonly maxChallenges: number;
  readonly onAnswer: AuthScheme['onAnswer'] | undefined;
  readonly destinations: Destinations;
  readonly gate: Gate | undefined;
  readonly waitingRoom: WaitingRoom;
  /** Sends again: no interceptors, no defaults, so nothing happens to a config that was final already. */
  readonly resender: Axios = bareAxios();
  readonly #instance: AxiosInstance;
  readonly #budgets = new Map<string, RetryBudget>();
  readonly #leaveScheme: () => void;
  #skewMs: number | undefined;
  #isDetached = false;

  constructor(instance: AxiosInstance, policy: Policy, clock: Clock) {
    this.#instance = instance;
    this.policy = policy;
    this.clock = clock;
    this.tell = teller(policy.onEvent, () => clock.now());
    this.hooks = hooksOf(policy.scheme);
    this.maxChallenges = safeGet(policy.scheme, 'maxChallenges') ?? 1;
    this.onAnswer = safeGet(policy.scheme, 'onAnswer');
    this.waitingRoom = new WaitingRoom(clock);
    this.destinations = new Destinations(
      policy.origins,
      () => ownValue(instance.defaults, 'baseURL') as string | undefined,
    );
    this.gate = policy.throttle
      ? new Gate(clock, this.tell, policy.throttle.maxQueued, policy.retry || RETRY_DEFAULTS)
      : undefined;
    this.#leaveScheme = this.hooks.join?.(this) ?? (() => undefined);
  }

  emit(event: EventBody): void {
    this.tell(event);
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
    return this.hooks.newExchange?.() ?? {};
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

  budget(origin: string): RetryBudget {
    let budget = this.#budgets.get(origin);
    if (!budget) {
      budget = new RetryBudget();
      this.#budgets.set(origin, budget);
    }
    return budget;
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
    this.waitingRoom.lookAround();
  }

  detach(): void {
    if (this.#isDetached) return;
    this.#isDetached = true;
    this.waitingRoom.lookAround();
    this.gate?.dispose();
    this.#leaveScheme();
  }
}

export function detached(): AuthError {
  return new AuthError('ERR_AUTH_DETACHED', 'The call was waiting when detach() was called, and was not sent (again).');
}
