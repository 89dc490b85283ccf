import type { ServerResponse } from 'node:http';
import { challenge, token } from '../support/dead-session.js';
import { reply, serve, type Handler, type Recorder, type Seen } from '../support/serve.js';

/** The CORS behaviour of the API. */
export interface Cors {
  /** Access-Control-Expose-Headers. */
  readonly expose?: string;
  /** The status of a preflight response. Default 204. */
  readonly preflight?: number;
  /** false: no page of another origin may read a response. */
  readonly isAllowed?: boolean;
}

/** An API, and a server of another origin. */
export interface Lab {
  readonly api: Recorder;
  readonly foreign: Recorder;
  /** The requests to the API, without preflights and the page itself. */
  calls(path?: string): Seen[];
  /** The requests to the other origin. */
  foreignCalls(): Seen[];
  close(): Promise<void>;
}

const PAGE = ['/page', '/page.js', '/favicon.ico'];
// The strictest policy that allows a script and connections.
const POLICY = "default-src 'none'; script-src 'self'; connect-src http:; require-trusted-types-for 'script'";

export interface Rig {
  readonly cors?: Cors;
  /** The response of the other origin. Default: 200. */
  readonly foreign?: Handler;
  /** The script of the page. */
  readonly script?: string;
}

/** Servers for one test, each of which serves the page. */
export async function openLab(answer: Handler, rig: Rig = {}): Promise<Lab> {
  const { cors = { expose: 'Retry-After, WWW-Authenticate, Date' }, foreign: other = welcome, script = '' } = rig;
  const page: Handler = (seen, response) => {
    response.setHeader('Content-Security-Policy', POLICY);
    response.setHeader('Content-Type', seen.url === '/page' ? 'text/html' : 'text/javascript');
    response.end(seen.url === '/page' ? '<!doctype html><script src="/page.js"></script>' : script);
  };
  const behindCors =
    (handler: Handler, policy: Cors): Handler =>
    (seen, response, request) => {
      // If a reused connection breaks, Chromium repeats the request.
      response.shouldKeepAlive = false;
      if (PAGE.includes(seen.url)) return page(seen, response, request);
      allow(seen, response, policy);
      return seen.method === 'OPTIONS'
        ? void response.writeHead(policy.preflight ?? 204).end()
        : handler(seen, response, request);
    };
  const api = await serve(behindCors(answer, cors));
  const foreign = await serve(behindCors(other, {}));
  return {
    api,
    foreign,
    calls: (path = '') => api.seen.filter((seen) => isCall(seen) && seen.url.startsWith(path)),
    foreignCalls: () => foreign.seen.filter(isCall),
    close: async () => {
      await Promise.all([api.close(), foreign.close()]);
    },
  };
}

function isCall({ method, url }: Seen): boolean {
  return method !== 'OPTIONS' && !PAGE.includes(url);
}

function allow({ headers }: Seen, response: ServerResponse, { isAllowed = true, expose }: Cors): void {
  if (!isAllowed) return;
  response.setHeader('Access-Control-Allow-Origin', '*');
  response.setHeader('Access-Control-Allow-Methods', '*');
  const asked = headers['access-control-request-headers'];
  if (asked !== undefined) response.setHeader('Access-Control-Allow-Headers', asked);
  if (expose !== undefined) response.setHeader('Access-Control-Expose-Headers', expose);
}

const welcome: Handler = (_, response) => reply(response, 200);

/** Accepts the token `good`, which the token endpoint issues. `own` runs first, and returns false to skip a request. */
export function tokenApi(own: (...details: Parameters<Handler>) => boolean = () => false): Handler {
  return (seen, response, request) => {
    if (own(seen, response, request)) return;
    if (seen.url === '/token') reply(response, 200, { accessToken: 'good', refreshToken: 'r2', expiresIn: 3600 });
    else if (token(seen) === 'good') reply(response, 200, { ok: true });
    else reply(response, 401, {}, challenge);
  };
}
