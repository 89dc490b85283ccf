// A server in the same process that answers in turns of the event loop. Without sockets and timers, every run is equal.
import { AxiosError } from 'axios';
import { token } from './contenders.mjs';
import { chance } from './measure.mjs';

/** A refresh takes this many turns, a response up to LONGEST. So many 401s arrive after the refresh. */
const REFRESH_TURNS = 4;
const LONGEST = 12;

/** Rejects as the adapters of axios do. */
export function answer(config, status, headers = {}) {
  const response = { status, statusText: '', headers, data: '', config, request: undefined };
  if (status < 400) return response;
  throw new AxiosError(`Request failed with status code ${status}`, AxiosError.ERR_BAD_REQUEST, config, null, response);
}

/**
 * Its first token is no longer valid, on the server or by its own `exp`. Refresh tokens rotate, and reuse ends the session, as in RFC 9700.
 * Access tokens stay valid after a refresh.
 */
export class Server {
  #random = chance(1);
  #turns = [];
  #isTurning = false;
  #good = new Set();
  #used = new Set();
  #given = 0;
  #held;
  #release;
  /** Counted by the server. */
  sends = 0;
  refreshes = 0;
  reuses = 0;

  /** @param world `isExpired`: by the token's `exp`. `isGood`: the first token is valid. `isHeld`: refreshes end at `release()` */
  constructor({ isExpired = false, isGood = false, isHeld = false } = {}) {
    this.tokens = { accessToken: token('first', isExpired ? -60 : 3600), refreshToken: 'refresh-0' };
    if (isGood) this.#good.add(this.tokens.accessToken);
    if (isHeld) this.#held = new Promise((resolve) => (this.#release = resolve));
  }

  adapter = async (config) => {
    this.sends++;
    const isLetIn = this.#good.has(String(config.headers.get('Authorization')).slice('Bearer '.length));
    await this.#pass(1 + Math.floor(this.#random() * LONGEST));
    return answer(config, isLetIn ? 200 : 401);
  };

  refresh = async (refreshToken) => {
    this.refreshes++;
    await (this.#held ?? this.#pass(REFRESH_TURNS));
    if (this.#used.has(refreshToken)) {
      this.reuses++;
      this.#good.clear();
      throw new AxiosError('invalid_grant', AxiosError.ERR_BAD_REQUEST);
    }
    this.#used.add(refreshToken);
    const accessToken = token(`access-${++this.#given}`);
    this.#good.add(accessToken);
    return { accessToken, refreshToken: `refresh-${this.#given}` };
  };

  release() {
    this.#release();
  }

  #pass(turns) {
    if (!this.#isTurning) {
      this.#isTurning = true;
      setImmediate(() => this.#turn());
    }
    return new Promise((resolve) => (this.#turns[turns - 1] ??= []).push(resolve));
  }

  #turn() {
    for (const resolve of this.#turns.shift() ?? []) resolve();
    this.#isTurning = this.#turns.length > 0;
    if (this.#isTurning) setImmediate(() => this.#turn());
  }
}
