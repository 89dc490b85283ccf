import {
  AxiosError,
  AxiosHeaders,
  type AxiosAdapter,
  type AxiosResponse,
  type InternalAxiosRequestConfig,
} from 'axios';
import type { Settings } from './settings.js';
import { seededRandom } from './virtual-time.js';

/** A request on the wire, in ms since the run began. */
export interface Send {
  readonly call: number;
  readonly from: number;
  readonly to: number;
  readonly status: number;
}

export interface Refresh {
  readonly from: number;
  readonly to: number;
  readonly isAccepted: boolean;
}

export interface Tokens {
  accessToken: string;
  refreshToken: string;
}

export interface Server {
  readonly adapter: AxiosAdapter;
  readonly sends: Send[];
  readonly refreshes: Refresh[];
}

/** The tokens of the app at its start. The access token has expired, and the app does not know it. */
export const STALE_TOKENS: Readonly<Tokens> = { accessToken: 'access-0', refreshToken: 'refresh-0' };

const WINDOW_MS = 1_000;
/** The first late 401 arrives after a refresh, and each further one after the refresh that the one before may cause. */
const FIRST_LATE_MS = 600;
const LATE_STEP_MS = 300;
/** A slow endpoint checks the token when it comes to the request, not when the request arrives. */
const SLOW_MS = 300;

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Returns a server in place of the network. It issues opaque tokens as OAuth servers do that store them: an access token is
 * valid for `life` seconds or until the next refresh, a refresh token once. A second use of a refresh token ends the session.
 * A latency depends on the call and its attempt alone, so each client meets the same server.
 */
export function createServer(settings: Settings): Server {
  const sends: Send[] = [];
  const refreshes: Refresh[] = [];
  const startedAt = Date.now();
  const now = (): number => Date.now() - startedAt;
  const attempts = new Map<number, number>();

  let issued = 0;
  let issuedAt = -Infinity;
  let isSessionOver = false;
  let windowIndex = -1;
  let accepted = 0;

  /** Counts the request against the limit. Returns ms until the next window if there is none left. */
  function closedForMs(): number | undefined {
    if (settings.limit === 0) return undefined;
    const index = Math.floor(now() / WINDOW_MS);
    if (index !== windowIndex) accepted = 0;
    windowIndex = index;
    if (accepted >= settings.limit) return (index + 1) * WINDOW_MS - now();
    accepted++;
    return undefined;
  }

  function hintsFor(ms: number): Record<string, string> {
    const seconds = String(Math.ceil(ms / 1_000));
    switch (settings.hints) {
      case 'retry-after':
        return { 'Retry-After': seconds };
      case 'ratelimit':
        return {
          'RateLimit-Policy': `"default";q=${String(settings.limit)};w=${String(WINDOW_MS / 1_000)}`,
          RateLimit: `"default";r=0;t=${seconds}`,
        };
      case 'none':
        return {};
    }
  }

  async function answerRefresh(config: InternalAxiosRequestConfig): Promise<AxiosResponse> {
    const from = now();
    const random = seededRandom(settings.seed * 31 + refreshes.length);
    await wait(90 + random() * 20);
    const { refreshToken } = JSON.parse(String(config.data)) as Partial<Tokens>;
    const isAccepted = !isSessionOver && refreshToken === `refresh-${String(issued)}`;
    let tokens: object | undefined;
    if (isAccepted) {
      issued++;
      issuedAt = now();
      const number = String(issued);
      tokens = { accessToken: `access-${number}`, refreshToken: `refresh-${number}`, expiresIn: settings.life };
    } else {
      isSessionOver = true;
    }
    await wait(90 + random() * 20);
    refreshes.push({ from, to: now(), isAccepted });
    return respond(config, tokens ? 200 : 400, tokens ?? { error: 'invalid_grant' });
  }

  async function answerCall(config: InternalAxiosRequestConfig): Promise<AxiosResponse> {
    const from = now();
    const call = Number(config.headers.get('X-Call'));
    const attempt = attempts.get(call) ?? 0;
    attempts.set(call, attempt + 1);
    const random = seededRandom((settings.seed * 1_009 + call) * 101 + attempt);

    const widget = call % settings.calls;
    const lateIndex = widget - (settings.calls - Math.min(settings.late, settings.calls));
    const isFirstSend = call < settings.calls && attempt === 0;
    let uplinkMs = 40 + random() * 50;
    if (lateIndex >= 0) uplinkMs += isFirstSend ? FIRST_LATE_MS + lateIndex * LATE_STEP_MS : SLOW_MS;
    await wait(uplinkMs);

    const closedMs = closedForMs();
    const isValid =
      !isSessionOver &&
      config.headers.get('Authorization') === `Bearer access-${String(issued)}` &&
      now() < issuedAt + settings.life * 1_000;
    const status = closedMs !== undefined ? 429 : isValid ? 200 : 401;

    await wait(40 + random() * 50);
    sends.push({ call, from, to: now(), status });
    return respond(config, status, {}, closedMs !== undefined ? hintsFor(closedMs) : {});
  }

  return {
    sends,
    refreshes,
    adapter: (config) => (config.url?.endsWith('/auth/refresh') ? answerRefresh(config) : answerCall(config)),
  };
}

/** Settles as the adapters of axios do. */
function respond(
  config: InternalAxiosRequestConfig,
  status: number,
  data: object,
  headers: Record<string, string> = {},
): AxiosResponse {
  const response: AxiosResponse = {
    config,
    status,
    statusText: '',
    data: JSON.stringify(data),
    headers: new AxiosHeaders({
      'Content-Type': 'application/json',
      Date: new Date(Date.now()).toUTCString(),
      ...headers,
    }),
  };
  if (config.validateStatus?.(status) ?? true) return response;
  const code = status < 500 ? AxiosError.ERR_BAD_REQUEST : AxiosError.ERR_BAD_RESPONSE;
  throw new AxiosError(`Request failed with status code ${String(status)}`, code, config, null, response);
}
