import type { Clock } from '../clock.js';

/** A delay that doubles each time it begins, up to a limit, until it is reset. */
export class GrowingDelay {
  private _nextMs: number;
  /** Monotonic. */
  private _until = -Infinity;

  constructor(
    private readonly _clock: Clock,
    private readonly _firstMs: number,
    private readonly _longestMs: number,
  ) {
    this._nextMs = _firstMs;
  }

  get remainingMs(): number {
    return Math.max(this._until - this._clock.monotonic(), 0);
  }

  begin(leastMs = 0): void {
    this._until = this._clock.monotonic() + Math.max(this._nextMs, leastMs);
    this._nextMs = Math.min(this._nextMs * 2, this._longestMs);
  }

  reset(): void {
    this._until = -Infinity;
    this._nextMs = this._firstMs;
  }
}
