/*
 * Between two refusals every kind of limit grants exactly its own rate. Calls are released evenly, at a rate within a bracket.
 * `low` was granted, `high` was refused, and each new rate is a geometric mean of both. "Matrix": found with `npm run
 * test:drain`, where the values in brackets do equally well.
 */
const FIRST_IN_FLIGHT = 4; // while nothing is known: as many as the segments that begin a TCP connection (RFC 3390)
const MS_PER_CALL = 16; // of round trip for one more in flight, so that a distant server is asked as fast. Matrix (10 to 25)
const SMOOTHING = 1 / 8; // the weight of a new round trip (RFC 6298 §2.3)
const MARGIN = 0.97; // travel times vary: calls that are sent evenly arrive less evenly. Matrix (0.95 to 0.98)
const HIGH = 0.6; // the weight of `high`: a refusal costs one call, a low rate costs all of them time. Matrix (0.5 to 0.65)
const QUIET_MS = [1_000, 10_000] as const; // a rate that holds for one cycle within these is raised. Matrix (0.7, 10 to 30 s)
const LIFT = 1.1; // the first rise of the bracket; it is squared with each rise, to 2 at most. Matrix (1.05 to 1.2)
const LEAST_GRANTS = 3; // fewer say nothing of a rate. Matrix (1 to 5)
const LEAST_PER_SECOND = 0.2; // one call in 5 s, as when no call is answered

/** The rate of one limit. Instants are ms of the throttle's timeline. */
export class Rate {
  nextAt = 0;
  openedAt = 0;
  private _perSecond: number | undefined = undefined;
  private _published = 0;
  private _low = 0;
  private _high = Infinity;
  private _lift = LIFT;
  private _quietMs: number = QUIET_MS[0];
  private _raisedAt = 0;
  private _inFlight = FIRST_IN_FLIGHT;
  private _roundTripMs = 0;
  private _refusedAt: number | undefined = undefined;
  /** The refusal before, if calls were waiting ever since. */
  private _cycleAt: number | undefined = undefined;
  private _grants = 0;
  private _grantsSinceOpened = 0;
  /** The calls granted in one go while the rate was unknown, until calls have been granted again. */
  private _burst = 0;
  private _unpaced = 0;

  /** Between two calls; 0: they are not paced. */
  get intervalMs(): number {
    return this._perSecond === undefined || this._unpaced > 0 ? 0 : 1_000 / this._perSecond;
  }
  get mostInFlight(): number {
    return this.intervalMs ? Math.max(FIRST_IN_FLIGHT, (2 * this._roundTripMs) / this.intervalMs) : this._inFlight;
  }

  /** `isFree`: no call was waiting. Then the limit was not used up, and had saved grants. */
  sent(now: number, isFree: boolean): void {
    if (isFree) this._cycleAt = undefined;
    if (this._perSecond === undefined || this._unpaced-- > 0) return;
    if (now - this._raisedAt >= Math.max(this._quietMs, 2 * this._roundTripMs)) this._raise(now, this._perSecond);
    this.nextAt = Math.max(this.nextAt, now - (isFree ? FIRST_IN_FLIGHT : 1) * this.intervalMs) + this.intervalMs;
  }

  granted(sentAt: number, now: number): void {
    this._roundTripMs += (this._roundTripMs ? SMOOTHING : 1) * (now - sentAt - this._roundTripMs);
    this._inFlight = Math.min(this._inFlight + 1, FIRST_IN_FLIGHT + Math.floor(this._roundTripMs / MS_PER_CALL));
    this._grants++;
    if (sentAt >= this.openedAt) this._grantsSinceOpened++;
  }

  refused(now: number): void {
    this._refusedAt = now;
    this._inFlight = FIRST_IN_FLIGHT;
    this._unpaced = this.nextAt = 0;
  }

  /** The server named its rate. It takes precedence until calls are refused at it. */
  published(perSecond: number): void {
    if (perSecond === this._published) return;
    this._published = perSecond;
    this._perSecond = this._low = this._high = perSecond * MARGIN;
    this._quietMs = QUIET_MS[1];
  }

  /** Called when the closed time has ended, since all grants before it are known by then. */
  opened(now: number, waiting: number): void {
    if (this._refusedAt === undefined) return;
    if (this._perSecond === undefined) this._burst = this._grantsSinceOpened;
    else if (this._grantsSinceOpened > 0) this._burst = 0;
    if (this._cycleAt === undefined || this._grants >= LEAST_GRANTS) {
      if (this._cycleAt !== undefined) this._learn(this._refusedAt, this._refusedAt - this._cycleAt);
      this._cycleAt = this._refusedAt;
      this._grants = 0;
    }
    // It is granted in one go again: few waiting calls need no rate.
    this._unpaced = waiting <= this._burst ? waiting : 0;
    this._refusedAt = undefined;
    this._grantsSinceOpened = 0;
    this.nextAt = this.openedAt = this._raisedAt = now;
  }

  private _learn(refusedAt: number, cycleMs: number): void {
    const refused = this._perSecond ?? Infinity;
    // Too low if the limit could not save up during all of the closed time; too high if it could.
    const perCycle = (this._grants / cycleMs) * 1_000;
    const sinceOpened = (this._grantsSinceOpened / Math.max(refusedAt - this.openedAt, 1)) * 1_000;
    this._low = Math.max(refused > this._low ? this._low : 0, perCycle);
    this._high = Math.max(this._low, Math.min(sinceOpened, refused));
    const mean = this._low ** (1 - HIGH) * this._high ** HIGH;
    this._perSecond = Math.max(Math.min(mean, refused) * MARGIN, LEAST_PER_SECOND);
    this._lift = LIFT;
    this._quietMs = Math.min(Math.max(cycleMs, QUIET_MS[0]), QUIET_MS[1]);
  }

  private _raise(now: number, held: number): void {
    this._raisedAt = now;
    this._low = Math.max(this._low, held);
    this._high = Math.max(this._high, held) * this._lift;
    this._lift = Math.min(this._lift ** 2, 2);
    this._perSecond = Math.sqrt(held * this._high);
  }
}
