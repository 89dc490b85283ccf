import { snapshot } from '../transport/copy.js';
import { RequestView } from '../transport/request-view.js';
import type { Permit, Throttle, ThrottleKeys } from '../throttle/throttle.js';
import type { Call } from './call.js';

/**
 * What `next` makes of the call's permit once it has one; undefined: the call may be sent now.
 * @throws AuthError if it may not wait that long.
 */
export function passThrottle<R>(
  call: Call,
  throttle: Throttle,
  keys: ThrottleKeys,
  next: (call: Call, permit: Permit) => R | Promise<R>,
): Promise<R> | undefined {
  const { throttle: policy } = call.attachment.policy;
  if ((call.permit && throttle.closedForMs(keys) <= 0) || !policy) return undefined;
  endPermit(call, 'ended');
  const entry = throttle.enter(keys, call, policy.maxQueued);
  if (entry && 'ready' in entry) return call.waiting.after(entry.ready, next, entry);
  call.permit = entry;
  return undefined;
}

/** The same at every attempt, from the request without credentials. */
export function keysOf(call: Call, origin: string): ThrottleKeys {
  const { attachment, config } = call;
  const { throttle } = attachment.policy;
  if (call.keys || !config) return call.keys ?? [origin];
  const view = new RequestView(snapshot(config), Math.max(call.attempts, 1), call);
  return (call.keys = throttle && throttle.keyOf ? [throttle.keyOf(view)] : [origin + view.url.pathname, origin]);
}

/** Reports the result of the attempt to the throttle, once. */
export function endPermit(call: Call, result: 'granted' | 'ended'): void {
  const { permit } = call;
  call.permit = undefined;
  permit?.release(result);
}
