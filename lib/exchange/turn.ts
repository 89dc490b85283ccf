import type { Attachment } from '../attachment.js';
import type { Admission, Entry, Gate, GateKeys } from '../traffic/gate.js';
import type { Verdict } from '../traffic/lane.js';
import type { RequestView } from '../wire/request-view.js';
import type { Call } from './call.js';

/** Waits until the gate lets the call go. @throws AuthError where it may not wait that long. */
export async function passGate(call: Call, gate: Gate, view: RequestView, origin: string): Promise<void> {
  const { attachment, waiting, policy } = call;
  const longestMs = policy.retry ? policy.retry.maxRetryAfterMs : Infinity;
  const entry = gate.enter(gateKeys(attachment, view, origin), {
    mayWait: (opensInMs) => opensInMs <= Math.min(longestMs, waiting.remainingMs),
    isKnown: call.attempts > 0,
  });
  const admission = entry?.kind === 'wait' ? await inTurn(entry) : entry;
  if (admission?.kind === 'refused') {
    call.comeBackIn(admission.opensInMs);
    throw admission.error;
  }
  call.pass = admission?.pass;

  async function inTurn({ turn, leave }: Extract<Entry, { kind: 'wait' }>): Promise<Admission> {
    try {
      return await waiting.race(turn);
    } catch (error) {
      leave();
      throw error;
    }
  }
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
