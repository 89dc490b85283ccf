import type { AxiosInstance } from 'axios';
import { Attachment } from './attachment.js';
import { systemClock, type Clock } from './clock.js';
import { hide } from './errors.js';
import { requestInterceptor } from './interceptors/request.js';
import { responseInterceptor } from './interceptors/response.js';
import type { AttachAuthOptions } from './options.js';
import { resolveOptions } from './policy.js';

/** What {@link attachAuth} gives back. */
export interface AuthHandle {
  /**
   * Ejects both interceptors. Calls that wait fail with ERR_AUTH_DETACHED; what is on the wire settles with its own answer.
   * Calling it again does nothing.
   */
  detach(): void;
}

/** The instances that are attached now, those of other copies of this package included. */
const ATTACHED = Symbol.for('axios-attach-auth.attached');

/**
 * Gives an axios instance authentication that it keeps by itself: two interceptors that inject credentials, refresh a
 * session once for everybody, replay the calls that waited, and back off when the server asks.
 *
 * Call it right after `axios.create()`: response handlers that are there before see every attempt, those added later see
 * the outcome.
 *
 * @param instance The instance. Its `create()` children are not attached.
 * @throws TypeError for wrong options, naming the option, what it got and what it takes; and for an instance that is
 *   attached already (use `detach()` of its handle first).
 */
export function attachAuth(instance: AxiosInstance, options: AttachAuthOptions): AuthHandle;
/** @internal */
export function attachAuth(instance: AxiosInstance, options: AttachAuthOptions, clock: Clock): AuthHandle;
export function attachAuth(
  instance: AxiosInstance,
  options: AttachAuthOptions,
  clock: Clock = systemClock,
): AuthHandle {
  const { interceptors } = (instance as Partial<AxiosInstance> | null) ?? {};
  if (typeof (interceptors as Partial<typeof interceptors> | undefined)?.request?.use !== 'function' || !interceptors) {
    throw new TypeError('attachAuth: the first argument takes an axios instance, as axios.create() makes one');
  }
  const marks = interceptors as unknown as Record<symbol, unknown>;
  if (marks[ATTACHED] === true) {
    throw new TypeError('attachAuth: this instance is attached already; call detach() of its handle first');
  }
  const attachment = new Attachment(instance, resolveOptions(options), clock);
  const { fulfilled, rejected } = responseInterceptor(attachment);
  const requestId = interceptors.request.use(requestInterceptor(attachment), rethrow, { synchronous: true });
  const responseId = interceptors.response.use(fulfilled, rejected);
  hide(marks, ATTACHED, true);
  return {
    detach() {
      if (attachment.isDetached) return;
      interceptors.request.eject(requestId);
      interceptors.response.eject(responseId);
      Reflect.deleteProperty(marks, ATTACHED);
      attachment.detach();
    },
  };
}

/** Before 1.21 axios calls this handler of a synchronous chain whether it is there or not. */
function rethrow(error: unknown): never {
  throw error;
}
