const LEAST_RATE = 0.2;
const QUIET_MS = [500, 10_000] as const;

export class Rate {
  private _perSecond: number | undefined;
  private _width = 8;
  private _held = 0;
  private _ceiling = Infinity;
  private _nextAt = 0;
  private _steadyAt = 0;
  private _quietMs = 0;
  private _step = 2;
  private _tripMs = 0;
  private _openedAt = 0;
  private _refusedAt = 0;
  private _grants = 0;
  private _cycleAt: number | undefined;
  private _cycleGrants = 0;
  private _hasNews = false;

  /** When the next call may be sent. */
  get nextAt(): number {
    return this._nextAt;
  }
  get openedAt(): number {
    return this._openedAt;
  }
  get perSecond(): number | undefined {
    return this._perSecond;
  }

  mostInFlight(consecutiveRefusals: number): number {
    if (consecutiveRefusals > 1) return 1;
    return this._perSecond === undefined ? this._width : Math.max(4, 2 + (2 * this._tripMs * this._perSecond) / 1000);
  }

  sent(now: number, isFree: boolean): void {
    if (isFree) this._cycleAt = undefined;
    if (this._perSecond === undefined) return;
    const quietMs = Math.min(Math.max(QUIET_MS[0], this._quietMs, 2 * this._tripMs), QUIET_MS[1]);
    if (now - this._steadyAt >= quietMs) {
      this._steadyAt = now;
      this._quietMs /= 2;
      this._held = Math.max(this._held, this._perSecond);
      if (this._ceiling / this._perSecond < 1.05) this._ceiling *= 1.15;
      this._perSecond = Math.min(Math.sqrt(this._perSecond * this._ceiling), this._perSecond * this._step);
    }
    const everyMs = 1000 / this._perSecond;
    this._nextAt = Math.max(this._nextAt, now - (isFree ? 8 : 1) * everyMs) + everyMs;
  }

  granted(sentAt: number, now: number): void {
    this._tripMs += (this._tripMs === 0 ? 1 : 0.2) * (now - sentAt - this._tripMs);
    this._cycleGrants++;
    if (sentAt >= this._openedAt) this._grants++;
    this._width = Math.min(this._width + 1, 16 + this._tripMs / 8);
  }

  refused(now: number): void {
    this._refusedAt = now;
    this._hasNews = true;
    this._width = 4;
  }

  /** The server says so. */
  published(perSecond: number): void {
    if (this._perSecond !== undefined) return;
    this._perSecond = this._held = this._ceiling = perSecond * 0.98;
    this._step = 1.2;
    this._quietMs = QUIET_MS[1];
  }

  notBefore(now: number, isNews: boolean): void {
    this._nextAt = Math.max(isNews ? 0 : this._nextAt, now);
  }

  opened(now: number): void {
    if (!this._hasNews) return;
    this._hasNews = false;
    // Too little was granted since the last silence: this one counts to it.
    if (this._cycleAt === undefined || this._cycleGrants > 2) {
      if (this._cycleAt !== undefined) this._learn(this._refusedAt, this._cycleAt);
      this._cycleAt = this._refusedAt;
      this._cycleGrants = 0;
    }
    this._grants = 0;
    this._openedAt = this._steadyAt = now;
  }

  private _learn(refusedAt: number, since: number): void {
    const overall = (this._cycleGrants / (refusedAt - since)) * 1000;
    const whileOpen = (this._grants / Math.max(1, refusedAt - this._openedAt)) * 1000;
    const isFirst = this._perSecond === undefined;
    const ceiling = (this._ceiling =
      this._perSecond ?? Math.max(whileOpen, overall, (this._width / Math.max(this._tripMs, 1)) * 1000));
    const likely = overall ** 0.7 * Math.max(Math.min(ceiling, 2 * whileOpen), overall) ** 0.3;
    if (isFirst || this._held > ceiling * 0.97) this._held = likely;
    this._held = isFirst ? likely : Math.min(Math.max(this._held, overall), ceiling);
    if (!isFirst) this._step = 1.2;
    this._quietMs = refusedAt - since;
    this._perSecond = Math.max(LEAST_RATE, Math.min(this._held * 0.97, ceiling * 0.98));
  }
}
