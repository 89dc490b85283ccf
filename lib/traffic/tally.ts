import type { Sighting } from './schedule.js';
import type { Silence } from './silence.js';

/** Fewer grants than that say nothing. */
const LEAST_GRANTS = 3;

/** What a server has granted, and since when. */
export class Tally {
  /** When it opened last, until when and for how long it had been closed. */
  openedAt = 0;
  dueAt = 0;
  closedMs = 0;
  /** Since it opened, or since a window began in which a quota leaves. */
  beganAt = 0;
  grants = 0;
  /** From refusal to refusal, while calls were waiting all the time. */
  cycleBeganAt: number | undefined;
  cycleGrants = 0;

  granted(sentAt: number): void {
    this.cycleGrants++;
    if (sentAt >= this.beganAt) this.grants++;
  }

  /** Not all the calls that it would have granted were there. */
  interrupt(): void {
    this.cycleBeganAt = undefined;
  }

  /** Too little was granted since the last silence: this one counts to it. */
  get isBrief(): boolean {
    return this.cycleBeganAt !== undefined && this.cycleGrants < LEAST_GRANTS;
  }

  beginCycle(at: number): void {
    this.cycleBeganAt = at;
    this.cycleGrants = 0;
  }

  begin(at: number): void {
    this.beganAt = at;
    this.grants = 0;
  }

  open(now: number, { until, beganAt }: Silence): void {
    this.closedMs = until - beganAt;
    this.openedAt = now;
    this.dueAt = until;
    this.begin(now);
  }

  /** What has been seen of a quota since calls began to leave. `isTold`: the server has named an instant. */
  seen(beganAt: number, { until, refusedAt }: Silence, isTold: boolean, roundTripMs: number): Sighting {
    const openMs = Math.max(refusedAt - beganAt, 1);
    const periodMs = isTold ? until - this.dueAt : this.closedMs + openMs;
    return { count: this.grants, openMs, periodMs, lateMs: beganAt + roundTripMs - this.dueAt };
  }
}
