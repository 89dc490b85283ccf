import type { Axios, AxiosInstance } from 'axios';
import { DeadlineTimer } from './call/deadline-timer.js';
import { WeakList } from './weak-list.js';
import { LimitEvents } from './call/limit-events.js';
import { RetryBudgets } from './retry/budget.js';
import type { ThrottlePolicy } from './create-throttle.js';
import type { Clock } from './clock.js';
import { CooldownSharing } from './call/shared-cooldown.js';
import { check } from './check.js';
import { emitter, type Emit } from './events.js';
import type { CallPolicy, Policy } from './policy.js';
import { quiet } from './maybe-promise.js';
import type { SessionInstance, SessionObservers } from './session/snapshot.js';
import { isObject, ownValue } from './safe-read.js';
import type { Throttle } from './throttle/throttle.js';
import { A_SCHEME, principalOf, SchemeState, type Principal } from './schemes/scheme-state.js';
import { bareAxios, clientOf } from './transport/refresh-client.js';
import { OriginRules } from './transport/origin.js';

/** A handler as axios stores it. */
export interface ResponseHandler {
  readonly fulfilled: ((value: unknown) => unknown) | null | undefined;
  readonly rejected: ((error: unknown) => unknown) | null | undefined;
}

interface OpenCall {
  readonly isDone: boolean;
}

/** A throttle as one instance uses it. */
export interface InstanceThrottle {
  readonly throttle: Throttle;
  readonly options: ThrottlePolicy;
  readonly events: LimitEvents | undefined;
  readonly sharing: CooldownSharing | undefined;
}

/** The state of one attachAuth(), until detach(). */
export class AttachedInstance implements SessionInstance {
  readonly emit: Emit;
  readonly origins: OriginRules;
  readonly deadlines: DeadlineTimer;
  /** Sends again: it has no interceptors and no defaults, so that a final config stays as it is. */
  readonly resender: Axios = bareAxios();
  /** The number of calls so far. */
  calls = 0;
  /** null: open calls shared the error object. */
  private readonly _callsOfErrors = new WeakMap<object, OpenCall | null>();
  private readonly _budgets = new RetryBudgets();
  private readonly _throttles = new WeakMap<Throttle, InstanceThrottle>();
  /** What detach() has to end. A session that the app drops takes its throttle along. */
  private readonly _used = new WeakList<InstanceThrottle>();
  private readonly _observed = new WeakList<SessionObservers>();
  private readonly _anonymous: SchemeState;
  private readonly _principal: Principal | undefined = undefined;
  private readonly _sessions = new WeakSet();
  private readonly _life = { isDetached: false };

  constructor(
    private readonly _instance: AxiosInstance,
    readonly policy: Policy,
    readonly clock: Clock,
  ) {
    // Bound: a function made here would keep the instance alive as long as a limit is closed.
    this.emit = emitter(policy.onEvent, clock.now.bind(clock), this._life);
    this.deadlines = new DeadlineTimer(clock);
    this.origins = new OriginRules(policy.origins, () => ownValue(_instance.defaults, 'baseURL') as string | undefined);
    this._anonymous = new SchemeState(undefined, clock);
    const { scheme } = policy;
    if (typeof scheme === 'function') return;
    check((scheme as unknown) !== null, 'scheme', A_SCHEME, scheme);
    this._principal = principalOf(scheme, this._anonymous, clock);
    this._observe(this._principal);
  }

  get isDetached(): boolean {
    return this._life.isDetached;
  }

  /** The instance's defaults as they are now, without interceptors. */
  get client(): AxiosInstance {
    return clientOf(this._instance);
  }

  /** Counts the first attempt of a call for the retry budget of its origin. */
  countCall(origin: string): void {
    const now = this.clock.monotonic();
    this._budgets.of(origin, now).countCall(now);
  }
  /** Takes a retry from the budget; false if there is none left. */
  takeRetry(origin: string): boolean {
    const now = this.clock.monotonic();
    return this._budgets.of(origin, now).take(now);
  }

  /**
   * Records the call of an error that has no config. If open calls share the error object, it leads to none of them.
   * @returns The error. A thrown value that is no object cannot be recorded, so that an Error replaces it.
   */
  recordError(thrown: unknown, call: OpenCall): unknown {
    const error = isObject(thrown) ? thrown : new Error(String(thrown));
    const other = this._callsOfErrors.get(error);
    const isShared = other === null || (other && other !== call && !other.isDone);
    this._callsOfErrors.set(error, isShared ? null : call);
    return error;
  }
  callOf(error: unknown): OpenCall | undefined {
    return isObject(error) ? (this._callsOfErrors.get(error) ?? undefined) : undefined;
  }

  /**
   * Returns the schemes of a call.
   * @throws the error of the app's function; TypeError for a value that is not a scheme.
   */
  principal({ schemes, credentials }: CallPolicy): Principal {
    if (this._principal && !schemes) return this._principal;
    const provider = schemes ?? (this.policy.scheme as () => unknown);
    // A function may throw while there is no user, and a log-in must not fail for that.
    const given = credentials === 'omit' ? null : quiet(provider());
    const principal = principalOf(given, this._anonymous, this.clock);
    this._observe(principal);
    return principal;
  }

  /** Returns the throttle of a principal as this instance uses it; undefined: each call handles throttling on its own. */
  throttleOf(principal: Principal): InstanceThrottle | undefined {
    const { policy, clock, emit } = this;
    if (!policy.throttle) return undefined;
    const { shared, throttle = principal.main.throttle } = policy.throttle;
    let used = this._throttles.get(throttle);
    if (!used) {
      used = {
        throttle,
        options: policy.throttle,
        events: policy.onEvent && new LimitEvents(throttle, clock, emit),
        sharing: shared && new CooldownSharing(shared, throttle, clock, policy.retry),
      };
      this._throttles.set(throttle, used);
      this._used.add(used);
    }
    return used;
  }

  /** The handlers of the instance's response chain that run before `own`. */
  responseHandlersBefore(own: unknown): ResponseHandler[] {
    const handlers: ResponseHandler[] = [];
    const { response } = this._instance.interceptors as unknown as {
      response: { forEach(visit: (handler: ResponseHandler) => void): void };
    };
    response.forEach((handler) => handlers.push(handler));
    const index = handlers.findIndex(({ fulfilled }) => fulfilled === own);
    // -1 after detach(): the order is unknown then.
    return handlers.slice(0, Math.max(0, index));
  }

  principalChanged(): void {
    this.deadlines.checkAll();
  }

  detach(): void {
    if (this.isDetached) return;
    this._life.isDetached = true;
    this.deadlines.checkAll();
    for (const { events, sharing } of this._used.live()) {
      events?.stop();
      sharing?.stop();
    }
    for (const observers of this._observed.live()) observers.attached();
  }

  private _observe({ main: { session } }: Principal): void {
    if (!session || this._sessions.has(session)) return;
    this._sessions.add(session);
    this._observed.add(session.addInstance(this));
  }
}
