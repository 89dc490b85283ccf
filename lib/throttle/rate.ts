/*
 * Between two refusals every kind of limit grants exactly its own rate. Calls are released evenly, a little below this rate.
 * "Matrix": found with `npm run test:drain`, where the values in brackets do equally well.
 */
const FIRST_IN_FLIGHT = 4; // while nothing is known: as many as the segments that begin a TCP connection (RFC 3390)
const MS_PER_CALL = 16; // of round trip for one more in flight, so that a distant server is asked as fast. Matrix (10 to 25)
const SMOOTHING = 1 / 8; // the weight of a new round trip (RFC 6298 §2.3)
const MARGIN = 0.97; // travel times vary: calls that are sent evenly arrive less evenly. Matrix (0.95 to 0.98)
const HIGH = 0.6; // the weight of `high`: a refusal costs one call, a low rate costs all of them time. Matrix (0.5 to 0.65)
const QUIET_MS = [1_000, 10_000] as const; // a rate that holds for one cycle within these is raised. Matrix (0.7, 10 to 30 s)
const LIFT = 1.07; // the first rise; it is squared with each rise, to 2 at most. Matrix (1.05 to 1.1)
const LEAST_PER_SECOND = 0.2; // one call in 5 s, as when no call is answered

/** The rate of one limit. Instants are ms of the throttle's timeline. */
export class Rate {
  /** When the next call may be sent. */
  nextAt = 0;
  /** Refusals without a grant between them. */
  refusals = 0;
  private _perSecond = Infinity;
  private _lift = LIFT;
  private _quietMs: number = QUIET_MS[0];
  private _raisedAt = 0;
  private _roundTripMs = 0;
  private _openedAt = 0;
  /** undefined: the key is open. */
  private _refusedAt: number | undefined = undefined;
  /** The refusal before, or a call that did not wait since then: the limit was not used up. */
  private _cycleAt = 0;
  private _grants = 0;
  private _grantsSinceOpened = 0;
  /** The calls granted in one go while the rate was unknown, until calls have been granted again. */
  private _burst = 0;

  /** Between two calls; 0: they are not paced. */
  get intervalMs(): number {
    return 1_000 / this._perSecond;
  }
  get mostInFlight(): number {
    if (this.refusals > 1) return 1;
    return FIRST_IN_FLIGHT + Math.floor(this._roundTripMs / (this.intervalMs / 2 || MS_PER_CALL));
  }

  /** `isFree`: no call was waiting. */
  sent(now: number, isFree: boolean): void {
    if (isFree) {
      this._cycleAt = now;
      this._grants = 0;
    }
    if (now - this._raisedAt >= Math.max(this._quietMs, 2 * this._roundTripMs)) {
      this._raisedAt = now;
      this._perSecond *= this._lift;
      this._lift = Math.min(this._lift ** 2, 2);
    }
    const { intervalMs } = this;
    this.nextAt = Math.max(this.nextAt, now - (isFree ? FIRST_IN_FLIGHT * intervalMs : this._quietMs)) + intervalMs;
  }

  granted(sentAt: number, now: number): void {
    this._roundTripMs += SMOOTHING * (now - sentAt - this._roundTripMs);
    this._grants++;
    if (sentAt < this._openedAt) return;
    this._grantsSinceOpened++;
    this.refusals = 0;
  }

  /** Returns false if it says nothing new: calls that were sent before the key closed are refused, too. */
  refused(now: number, sentAt = 0): boolean {
    if (this._refusedAt !== undefined || sentAt < this._openedAt) return false;
    this.refusals++;
    this._refusedAt = now;
    this.nextAt = 0;
    return true;
  }

  /** The server named its rate. It takes precedence over a higher one, until it has been raised. */
  published(perSecond: number): void {
    if (perSecond < this._perSecond) this._pace(perSecond, QUIET_MS[1]);
  }

  /** Called when the closed time has ended, since all grants before it are known by then. */
  opened(now: number, waiting: number): void {
    if (this._refusedAt === undefined) return;
    if (this._grantsSinceOpened > 0) this._burst = this._perSecond === Infinity ? this._grantsSinceOpened : 0;
    if (this._grants > 0) {
      // Too low if the limit could not save up during all of the closed time; too high if it could.
      const cycleMs = this._refusedAt - this._cycleAt;
      const low = this._grants / cycleMs;
      const high = Math.max(low, this._grantsSinceOpened / Math.max(this._refusedAt - this._openedAt, 1));
      this._pace(Math.min(1_000 * low ** (1 - HIGH) * high ** HIGH, this._perSecond), cycleMs);
    }
    this._cycleAt = this._refusedAt;
    this._grants = this._grantsSinceOpened = 0;
    this._refusedAt = undefined;
    this._openedAt = this._raisedAt = now;
    // It is granted in one go again: few waiting calls need no rate.
    this.nextAt = now - (waiting <= this._burst ? waiting * this.intervalMs : 0);
  }

  private _pace(perSecond: number, cycleMs: number): void {
    this._perSecond = Math.max(perSecond * MARGIN, LEAST_PER_SECOND);
    this._lift = LIFT;
    this._quietMs = Math.min(Math.max(cycleMs, QUIET_MS[0]), QUIET_MS[1]);
  }
}
