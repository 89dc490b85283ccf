import { equalJitter, type Backoff } from '../retry/backoff.js';

/** A longer Retry-After counts as 24 h: no client should believe an instant of next week. */
const LONGEST_MS = 24 * 3_600_000;

/** How long a key stays closed. Instants are ms of the throttle's timeline. */
export class Cooldown {
  until = 0;
  /** After a 503 one call is sent before `until`, to see whether the server has recovered. */
  probeAt = Infinity;
  consecutiveRefusals = 0;
  private _probeEveryMs = Infinity;
  private _firstRefusalAt = 0;
  /** How long the server refused last time. */
  private _lastMs = 0;

  /** Closes until the instant that the server named. Another refusal never shortens it. */
  close(now: number, forMs: number): void {
    this.until = Math.max(this.until, now + Math.min(forMs, LONGEST_MS));
  }

  /** Lets one call probe now and then. */
  probeEvery(now: number, everyMs: number): void {
    this._probeEveryMs = everyMs;
    this.probeAt = now + everyMs;
  }

  /** One probe is sent now. */
  probed(now: number): void {
    this.probeAt = now + this._probeEveryMs;
  }

  refused(now: number): void {
    if (this.consecutiveRefusals++ === 0) this._firstRefusalAt = now;
  }

  granted(now: number): void {
    if (this.consecutiveRefusals > 0) this._lastMs = now - this._firstRefusalAt;
    this.consecutiveRefusals = 0;
    this.probeAt = Infinity;
  }

  /** Ms that a server which names no instant is likely to refuse: doubled with each refusal in a row. */
  estimateMs(backoff: Backoff, chance: number): number {
    return equalJitter(backoff, this.consecutiveRefusals + 1, chance);
  }
}
