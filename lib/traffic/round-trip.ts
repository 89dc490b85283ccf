/** How a new measurement weighs against what is known. */
const WEIGHT = 0.2;

/** How long answers take, and how much that varies, as TCP keeps account of it (RFC 6298). */
export class RoundTrip {
  meanMs = 0;
  deviationMs = 0;

  measured(ms: number): void {
    if (this.meanMs === 0) this.meanMs = ms;
    this.deviationMs += WEIGHT * (Math.abs(ms - this.meanMs) - this.deviationMs);
    this.meanMs += WEIGHT * (ms - this.meanMs);
  }
}
