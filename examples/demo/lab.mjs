import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import axios from 'axios';

let calls = 0;

/** The tools of a scenario: clients that number their calls, the logs of the servers, and a list of checks. */
export class Lab {
  checks = [];
  #servers;

  /** `servers`: `{ api, oidc }`, or `{ api: recorder }` in front of a httpbin. */
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
  /** The log of the API since the scenario began. */
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

/** The server notices an aborted call a moment later. */
export async function untilQuiet(entries) {
  for (let look = 0; look < 50 && entries.some(({ endedAt }) => endedAt === undefined); look++) await sleep(10);
}

/** Every call has a number in all its sends, so that a server log can group sends by call. */
export function numbered(instance, who = '') {
  instance.interceptors.request.use((config) => {
    if (!config.headers.has('X-Call')) config.headers.set('X-Call', `${who}#${++calls}`);
    return config;
  });
  return instance;
}

/** The result of a call: an error or a response. */
export async function settled(call) {
  try {
    return { response: await call };
  } catch (error) {
    if (!axios.isAxiosError(error)) throw error;
    return { error, response: error.response };
  }
}
