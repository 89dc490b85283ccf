import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import axios from 'axios';

let calls = 0;

/** What a scenario is given: clients that number their calls, the servers' logs, and a sheet for what was checked. */
export class Lab {
  checks = [];
  #servers;

  /** `servers`: `{ api, oidc }`, or `{ api: recorder }` where a httpbin stands behind it. */
  constructor(servers, { isHttpbin = false } = {}) {
    this.#servers = servers;
    this.isHttpbin = isHttpbin;
  }

  get origin() {
    return this.#servers.api.origin;
  }
  get tokens() {
    return this.#servers.api.tokens;
  }
  get oidc() {
    return this.#servers.oidc;
  }
  /** What the API has logged since the scenario began. */
  get entries() {
    return this.#servers.api.log.entries;
  }

  sends(path) {
    return this.entries.filter((entry) => entry.path.startsWith(path));
  }

  statuses(path) {
    return this.sends(path).map(({ status }) => status);
  }

  client(config) {
    return numbered(axios.create({ baseURL: this.origin, ...config }));
  }

  check(promise, actual, expected) {
    this.checks.push({ promise, isKept: isDeepStrictEqual(actual, expected), actual, expected });
  }

  /** Between `least` and `most`, both included. */
  checkWithin(promise, actual, least, most) {
    this.checks.push({ promise, isKept: actual >= least && actual <= most, actual, expected: `${least} to ${most}` });
  }
}

/** A call that the client gave up on is known to the server a moment later. */
export async function untilQuiet(entries) {
  for (let look = 0; look < 50 && entries.some(({ endedAt }) => endedAt === undefined); look++) await sleep(10);
}

/** Every call gets a number that all its sends carry, so that a server's log can tell calls from sends. */
export function numbered(instance, who = '') {
  instance.interceptors.request.use((config) => {
    if (!config.headers.has('X-Call')) config.headers.set('X-Call', `${who}#${++calls}`);
    return config;
  });
  return instance;
}

/** What a call came to, an error or an answer. */
export async function settled(call) {
  try {
    return { response: await call };
  } catch (error) {
    if (!axios.isAxiosError(error)) throw error;
    return { error, response: error.response };
  }
}
