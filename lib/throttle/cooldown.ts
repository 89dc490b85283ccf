import { crowdJitter, notBefore, type Backoff } from '../retry/backoff.js';

/** A longer Retry-After counts as 24 h. */
export const LONGEST_MS = 24 * 3_600_000;

/** How long a key stays closed. Instants are ms of the throttle's timeline. */
export class Cooldown {
  until = 0;
  releaseAt = 0; // a little later: clients that got the same instant must not send at once
  probeAt = Infinity; // after a 503, one call is sent before `until`, to see whether the server has recovered
  consecutiveRefusals = 0;
  private _probeEveryMs = Infinity;

  /** The server named this time. */
  close(now: number, askedMs: number, backoff: Backoff, chance: number): void {
    const forMs = Math.min(askedMs, LONGEST_MS);
    this.until = Math.max(this.until, now + forMs);
    this.releaseAt = Math.max(this.releaseAt, now + notBefore(forMs, backoff, 1, chance));
  }

  /** The server named no time. */
  estimate(now: number, waiting: number, backoff: Backoff, chance: number): void {
    this.until = Math.max(this.until, now + crowdJitter(backoff, this.consecutiveRefusals, waiting, chance));
    this.releaseAt = Math.max(this.releaseAt, this.until);
  }

  probe(now: number, everyMs = this._probeEveryMs): void {
    this._probeEveryMs = everyMs;
    this.probeAt = now + everyMs;
  }

  granted(now: number): void {
    this.until = this.releaseAt = Math.min(this.until, now);
    this.probeAt = this._probeEveryMs = Infinity;
    this.consecutiveRefusals = 0;
  }
}
