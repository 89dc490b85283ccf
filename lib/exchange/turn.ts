import type { Attachment } from '../attachment.js';
import { isWithin } from '../recovery/decide.js';
import type { Admission, Gate, GateKeys } from '../traffic/gate.js';
import type { Verdict } from '../traffic/lane.js';
import type { RequestView } from '../wire/request-view.js';
import type { Call } from './call.js';

/**
 * What `next` comes to once the gate lets the call go; undefined: it may go now.
 * @throws AuthError where it may not wait that long.
 */
export function passGate<T>(
  call: Call,
  gate: Gate,
  view: RequestView,
  origin: string,
  next: () => Promise<T>,
): Promise<T> | undefined {
  const { waiting, policy } = call;
  const keys = gateKeys(call.attachment, view, origin);
  if (call.pass && gate.opensInMs(keys) <= 0) return undefined;
  endPass(call, 'ended');
  const longestMs = policy.retry ? policy.retry.maxRetryAfterMs : Infinity;
  const entry = gate.enter(keys, {
    mayWait: (opensInMs) => isWithin(opensInMs, longestMs) && opensInMs <= waiting.remainingMs,
    isKnown: call.attempts > 0,
  });
  if (entry?.kind !== 'wait') {
    admit(call, entry);
    return undefined;
  }
  const { turn, leave } = entry;
  return waiting.after(
    turn,
    (admission) => {
      admit(call, admission);
      return next();
    },
    leave,
  );
}

function admit(call: Call, admission: Admission | undefined): void {
  if (admission?.kind === 'refused') {
    call.comeBackIn(admission.opensInMs);
    throw admission.error;
  }
  call.pass = admission?.pass;
}

/** The narrower limit first, then the one it may be part of. */
export function gateKeys({ policy: { throttle } }: Attachment, view: RequestView, origin: string): GateKeys {
  return throttle && throttle.keyOf ? [throttle.keyOf(view)] : [origin + view.url.pathname, origin];
}

/** The gate hears what became of the attempt, once. */
export function endPass(call: Call, verdict: Verdict): void {
  const { pass } = call;
  call.pass = undefined;
  pass?.lane.heard(pass, verdict);
}
