import type { Attachment } from '../attachment.js';
import type { Admission, Gate, GateKeys } from '../traffic/gate.js';
import type { Verdict } from '../traffic/lane.js';
import type { RequestView } from '../transport/request-view.js';
import type { Call } from './call.js';

/**
 * What `next` makes of it once the gate has decided on the call, which `admit` has to be told; undefined: it may go now.
 * @throws AuthError where it may not wait that long.
 */
export function passGate<R>(
  call: Call,
  gate: Gate,
  keys: GateKeys,
  next: (call: Call, admission: Admission) => R | Promise<R>,
): Promise<R> | undefined {
  if (call.pass && gate.opensInMs(keys) <= 0) return undefined;
  endPass(call, 'ended');
  const entry = gate.enter(keys, call);
  if (entry?.kind === 'wait') return call.waiting.after(entry.turn, next, entry);
  admit(call, entry);
  return undefined;
}

/** @throws AuthError where it has been refused. */
export function admit(call: Call, admission: Admission | undefined): void {
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
