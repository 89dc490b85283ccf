import type { AxiosInstance } from 'axios';
import { check } from './check.js';
import { AttachedInstance } from './attached-instance.js';
import { systemClock, type Clock } from './clock.js';
import { responseInterceptor } from './interceptors/response.js';
import { hide } from './errors.js';
import { requestInterceptor } from './interceptors/request.js';
import type { AttachAuthOptions } from './options.js';
import { resolveOptions } from './policy.js';
import { isObject, ownValue, safeGet } from './safe-read.js';

/** Returned by {@link attachAuth}. */
export interface AuthHandle {
  /**
   * Ejects both interceptors. Waiting calls reject with ERR_AUTH_DETACHED. A request on the wire settles with its own response.
   * Idempotent.
   */
  detach(): void;
}

/** The function that detaches, on both interceptors of an attachment. All copies of the package use the same symbol. */
const ATTACHED = Symbol.for('axios-attach-auth.attached');

interface Interceptors {
  use(fulfilled: unknown, rejected: unknown, options?: object): number;
  eject(id: number): void;
  forEach(visit: (handler: { fulfilled: unknown }) => void): void;
}

interface InterceptorManagers {
  readonly request: Interceptors;
  readonly response: Interceptors;
}

/**
 * Makes an axios instance manage its own authentication. Its two interceptors write credentials, and refresh a session once for
 * all calls. They replay waiting calls, and obey the delays of the server.
 *
 * Call it right after `axios.create()`. Response handlers that were added before see every attempt. Those added later see the
 * outcome.
 *
 * @param instance The instance. Instances made by its `create()` are not attached.
 * @throws TypeError for wrong options, naming the option, the value it got and the values it takes. Also for an instance that is
 *   attached already.
 */
export function attachAuth(instance: AxiosInstance, options: AttachAuthOptions): AuthHandle;
/** @internal */
export function attachAuth(instance: AxiosInstance, options: AttachAuthOptions, clock: Clock): AuthHandle;
export function attachAuth(
  instance: AxiosInstance,
  options: AttachAuthOptions,
  clock: Clock = systemClock,
): AuthHandle {
  const interceptors = safeGet(instance, 'interceptors') as unknown as InterceptorManagers;
  const isInstance = typeof safeGet(safeGet(interceptors, 'request'), 'use') === 'function';
  check(isInstance, 'instance', 'an axios instance, as axios.create() makes one', instance);
  const policy = resolveOptions(options);
  detachRest(interceptors);
  const attached = new AttachedInstance(instance, policy, clock);
  const { fulfilled, rejected } = responseInterceptor(attached);
  const request = requestInterceptor(attached);
  // axios 1.18 calls this handler of a synchronous chain whether it is there or not.
  const requestId = interceptors.request.use(request, rethrow, { synchronous: true });
  const responseId = interceptors.response.use(fulfilled, rejected);
  const detach = (): void => {
    if (attached.isDetached) return;
    // After clear() axios may have given the number to another handler.
    if (detachOf(interceptors.request) === detach) interceptors.request.eject(requestId);
    if (detachOf(interceptors.response) === detach) interceptors.response.eject(responseId);
    attached.detach();
  };
  for (const interceptor of [request, fulfilled]) hide(interceptor, ATTACHED, detach);
  return { detach };
}

/**
 * After `interceptors.request.clear()` or `response.clear()` half of an attachment may be left: it is detached.
 * @throws TypeError if both halves are there.
 */
function detachRest({ request, response }: InterceptorManagers): void {
  const halves = [detachOf(request), detachOf(response)];
  if (halves.every(Boolean))
    throw new TypeError('attachAuth: this instance is attached already; call detach() of its handle first');
  for (const detach of halves) if (typeof detach === 'function') (detach as () => void)();
}

/** Returns the `detach` of the attachment that one of these handlers belongs to. */
function detachOf(manager: Interceptors): unknown {
  let detach: unknown;
  manager.forEach(({ fulfilled }) => {
    if (isObject(fulfilled)) detach ??= ownValue(fulfilled, ATTACHED);
  });
  return detach;
}

function rethrow(error: unknown): never {
  throw error;
}
