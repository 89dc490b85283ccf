const FIRST = 8;
const LEAST = 4;
const WIDE = 16;
/** The longer answers take, the more may be under way. */
const MS_PER_CALL = 8;

/** How many calls may be under way together while nothing is known of the server. */
export class Ramp {
  width = FIRST;

  /** One more with each answer, and later as many as the server has shown that it takes. */
  widen(grants: number, roundTripMs: number): void {
    const taken = this.width < FIRST ? this.width + 1 : FIRST + grants / 3;
    this.width = Math.min(Math.max(this.width, taken), WIDE + roundTripMs / MS_PER_CALL);
  }

  narrow(): void {
    this.width = LEAST;
  }
}
