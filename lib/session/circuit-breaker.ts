import type { Clock } from '../clock.js';
import { GrowingDelay } from './growing-delay.js';

const FIRST_MS = 30_000;
const LONGEST_MS = 300_000;
/** "A few" refreshes a minute for tokens that other endpoints accept. */
const MOST_USELESS = 3;
const USELESS_MS = 60_000;
const MOST_ENDPOINTS = 100;
/** Statuses below 400, and these, show that the server has accepted the token, since it processed the request. */
const ACCEPTED = [403, 404, 409, 422];

/** A method and a path: a server may always refuse one although it accepts the token elsewhere. */
export interface Endpoint {
  readonly method: string;
  readonly url: URL;
}

/** How the server answered a token, and where. */
export interface AuthResult {
  readonly generation: number;
  readonly status: number;
  readonly isRefusal: boolean;
  /** The call had been refused before, and was sent again. */
  readonly isReplay: boolean;
  readonly endpoint: Endpoint;
}

/**
 * Pauses refreshes that do not help.
 *
 * | state     | a refresh | next state                                                                                |
 * | --------- | --------- | ----------------------------------------------------------------------------------------- |
 * | closed    | starts    | open: a token is refused that was never accepted, and a refresh had returned it           |
 * | open      | is paused | half-open after 30 s, after twice as long each further time, at most 5 min                |
 * | half-open | starts    | open as above; closed once the token is accepted                                          |
 *
 * Any state changes to closed if the server accepts the token, or if the app signs in, updates or refreshes. Only refreshes with
 * reason `rejected` or `expiring` count, so a dead token from a cache costs one more refresh.
 *
 * A token that was accepted elsewhere is not at fault. An endpoint that refuses two replays causes no refresh for a while. All
 * such endpoints together cause at most three a minute.
 */
export class CircuitBreaker {
  private readonly _delay: GrowingDelay;
  /** Endpoints that refused a replay, each with the last generation that it refused. */
  private readonly _endpoints = new Map<string, { readonly delay: GrowingDelay; generation: number }>();
  /** When the last refreshes were found useless, oldest first. */
  private _useless: number[] = [];
  private _accepted = -1;
  private _refreshed = -1;
  private _refused = -1;
  private _lastUseless = -1;

  constructor(private readonly _clock: Clock) {
    this._delay = new GrowingDelay(_clock, FIRST_MS, LONGEST_MS);
  }

  /** Whether a refresh for a refusal by this endpoint is paused. Without one: whether all refreshes are. */
  isPaused(endpoint?: Endpoint): boolean {
    if (this._delay.remainingMs > 0) return true;
    if (!endpoint) return false;
    const delayMs = this._endpoints.get(nameOf(endpoint))?.delay.remainingMs ?? 0;
    return this._uselessMs + delayMs > 0;
  }

  /** A refresh with reason `rejected` or `expiring` has returned this generation. */
  refreshed(generation: number): void {
    this._refreshed = generation;
  }

  /** Returns for how many ms refreshes are paused from now on; undefined: nothing has changed. */
  record({ generation, status, isRefusal, isReplay, endpoint }: AuthResult): number | undefined {
    if (!isRefusal) {
      if (status < 400 || ACCEPTED.includes(status)) this._accept(generation, endpoint);
      return undefined;
    }
    const pausedMs = isReplay ? this._refuse(nameOf(endpoint), generation) : undefined;
    if (generation !== this._refreshed || generation === this._accepted || generation === this._refused)
      return pausedMs;
    this._refused = generation;
    this._delay.begin();
    return this._delay.remainingMs;
  }

  /** The app has signed in, updated or refreshed. */
  reset(): void {
    this._delay.reset();
    this._endpoints.clear();
    this._useless = [];
  }

  private _accept(generation: number, endpoint: Endpoint): void {
    if (this._endpoints.size > 0) this._endpoints.delete(nameOf(endpoint));
    if (generation === this._accepted) return;
    this._accepted = generation;
    this._delay.reset();
  }

  /** A token may die while its replay is sent. If the endpoint refuses the next one, too, it is not the token. */
  private _refuse(name: string, generation: number): number | undefined {
    const known = this._endpoints.get(name);
    if (!known) {
      this._endpoints.set(name, { delay: new GrowingDelay(this._clock, FIRST_MS, LONGEST_MS), generation });
      for (const [oldest] of this._endpoints) if (this._endpoints.size > MOST_ENDPOINTS) this._endpoints.delete(oldest);
    } else if (known.generation !== generation) {
      known.generation = generation;
      known.delay.begin();
    }
    if (generation === this._lastUseless) return undefined;
    this._lastUseless = generation;
    this._useless = [...this._useless, this._clock.monotonic()].slice(-MOST_USELESS);
    return this._uselessMs || undefined;
  }

  private get _uselessMs(): number {
    const [oldest = 0] = this._useless;
    return this._useless.length < MOST_USELESS ? 0 : Math.max(oldest + USELESS_MS - this._clock.monotonic(), 0);
  }
}

function nameOf({ method, url }: Endpoint): string {
  return `${method} ${url.origin}${url.pathname}`;
}
