import type { Clock } from '../clock.js';
import { Restraint } from './restraint.js';

const FIRST_MS = 30_000;
const LONGEST_MS = 300_000;
const MOST_PLACES = 100;

/** What a server may refuse for good although it lets the token in elsewhere: a method and a path. */
export interface Place {
  readonly method: string;
  readonly url: URL;
}

/** What the server made of a token, and where. */
export interface Reception {
  readonly generation: number;
  readonly isUnauthorized: boolean;
  /** The call had been refused before, and was sent again. */
  readonly isReplay: boolean;
  /** Its URL is read only when it matters. */
  readonly place: Place;
}

/**
 * Notices when refreshing does not help, and stops it for a while: everywhere when what a refresh brought was refused
 * before anybody was let in with it, and at one place when it refuses two in a row that let in others.
 */
export class Breaker {
  readonly #clock: Clock;
  readonly #everywhere = new Restraint(FIRST_MS, LONGEST_MS);
  /** Where a fresh token was refused, and the last one that was. */
  readonly #places = new Map<string, { readonly restraint: Restraint; generation: number }>();
  /** Generations, by what is known of them. */
  #accepted = -1;
  #refreshed = -1;
  #broken = -1;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A refresh has brought this generation. */
  refreshed(generation: number): void {
    this.#refreshed = generation;
  }

  isOpen(place?: Place): boolean {
    const now = this.#clock.monotonic();
    if (this.#everywhere.isOn(now)) return true;
    return (
      place !== undefined && this.#places.size > 0 && this.#places.get(nameOf(place))?.restraint.isOn(now) === true
    );
  }

  heard({ generation, isUnauthorized, isReplay, place }: Reception): void {
    if (!isUnauthorized) {
      if (this.#places.size > 0) this.#places.delete(nameOf(place));
      if (generation === this.#accepted) return;
      this.#accepted = generation;
      this.#everywhere.end();
      return;
    }
    const now = this.#clock.monotonic();
    if (isReplay) this.#refuse(nameOf(place), generation, now);
    if (generation !== this.#refreshed || generation === this.#accepted || generation === this.#broken) return;
    this.#broken = generation;
    this.#everywhere.begin(now);
  }

  /** The app has spoken: what was refused before says nothing any more. */
  forgive(): void {
    this.#everywhere.end();
    this.#places.clear();
  }

  /** A token may die under a replay; where the next one is refused as well, it is not the token. */
  #refuse(place: string, generation: number, now: number): void {
    const known = this.#places.get(place);
    if (!known) {
      this.#places.set(place, { restraint: new Restraint(FIRST_MS, LONGEST_MS), generation });
      for (const [oldest] of this.#places) if (this.#places.size > MOST_PLACES) this.#places.delete(oldest);
    } else if (known.generation !== generation) {
      known.generation = generation;
      known.restraint.begin(now);
    }
  }
}

function nameOf({ method, url }: Place): string {
  return `${method} ${url.origin}${url.pathname}`;
}
