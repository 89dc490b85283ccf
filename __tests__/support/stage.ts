import axios, {
  AxiosError,
  AxiosHeaders,
  CanceledError,
  type AxiosAdapter,
  type AxiosInstance,
  type AxiosResponse,
  type CreateAxiosDefaults,
  type InternalAxiosRequestConfig,
} from 'axios';
import {
  attachAuth,
  bearer,
  exchangeOf,
  type AttachAuthOptions,
  type AuthEvent,
  type AuthHandle,
  type BearerOptions,
  type BearerScheme,
  type ExchangeReport,
  type RefreshContext,
  type TokenResponse,
} from '../../lib/index.js';
import { tokenStore, type SessionStore, type TokenStore } from '../../lib/store.js';
import { TokenEndpoint } from './token-endpoint.js';
import { VirtualClock } from './virtual-clock.js';

export const ORIGIN = 'https://api.example.com';
export const TOKEN_PATH = '/oauth/token';

/** One request in the log of the server. */
export interface Sent {
  /** Monotonic ms. */
  readonly at: number;
  readonly method: string;
  readonly origin: string;
  readonly path: string;
  readonly query: string;
  /** The bearer token of the request. */
  readonly token: string | undefined;
  /** Its X-Call header: which call of the test it belongs to. */
  readonly call: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly config: InternalAxiosRequestConfig;
  /** The status of the response. `lost`: no response. */
  status: number | 'lost' | undefined;
}

/** The reaction of the server to one request. A number is short for a status. */
export interface Reply {
  readonly status?: number;
  readonly data?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** `response.request`, as axios's adapters set it. */
  readonly request?: object;
  /** Ms until the response arrives. */
  readonly afterMs?: number;
  /** reset: the connection breaks after the server has acted. refused: no connection. silence: no response. */
  readonly fault?: 'reset' | 'refused' | 'silence';
  /** The code of the error. Default ECONNRESET or ECONNREFUSED. */
  readonly code?: string;
}

/** A function that returns undefined lets the token decide. */
export type Script = number | Reply | ((sent: Sent) => number | Reply | undefined);

/** Delivers a response later. Returns a function that cancels it. */
export type Courier = (request: Sent, reply: Reply, arrive: (reply: Reply) => void) => Released;

type Released = () => void;

/** Options of bearer(), but a store may be given as a plain port. */
export type StageBearerOptions = Omit<BearerOptions, 'store'> & { store?: SessionStore | TokenStore | undefined };

/**
 * An API and a token endpoint behind one adapter, in virtual time. Without a script the token decides: 200 with its principal, else a 401
 * with invalid_token. `/status/418` answers 418, and `/open/…` needs no token.
 */
export class Stage {
  readonly clock: VirtualClock;
  readonly tokens: TokenEndpoint;
  readonly api: AxiosInstance;
  readonly sent: Sent[] = [];
  readonly events: AuthEvent[] = [];
  /** The reason of each refresh(). */
  readonly reasons: RefreshContext['reason'][] = [];
  latencyMs: number | ((sent: Sent) => number) = 10;
  refreshMs: number | ((sent: Sent) => number) = 50;
  /** Delivers each response after its delay, and none for `silence`. A test may replace it. */
  courier: Courier = (request, reply, arrive) =>
    reply.fault === 'silence'
      ? () => undefined
      : this.clock.later(reply.afterMs ?? this.#delayOf(request), () => {
          arrive(reply);
        });
  readonly #scripts = new Map<string, Script[]>();
  readonly #lasting = new Map<string, Script>();

  constructor(seed = 1, defaults: CreateAxiosDefaults = {}) {
    this.clock = new VirtualClock(seed);
    this.tokens = new TokenEndpoint(this.clock);
    this.api = this.instance(defaults);
  }

  /** Another instance that talks to the same server. */
  instance(defaults: CreateAxiosDefaults = {}): AxiosInstance {
    return axios.create({ baseURL: ORIGIN, adapter: this.adapter, ...defaults });
  }

  /** A bearer scheme over alice's session, which refreshes through `client`. */
  bearer(given: StageBearerOptions = {}): BearerScheme {
    // Without a prototype: a polluted one must not provide a store.
    const { store, ...options } = Object.assign<object, StageBearerOptions>(Object.create(null) as object, given);
    const kept = store && 'load' in store ? tokenStore(store) : store;
    return bearer({ refresh: this.refresh, store: kept, ...options }, this.clock);
  }

  attach(options: AttachAuthOptions, instance = this.api): AuthHandle {
    return attachAuth(instance, { onEvent: (event) => this.events.push(event), ...options }, this.clock);
  }

  /** A stage whose instance is attached to a session with these tokens. */
  static with(options: {
    seed?: number;
    tokens?: (endpoint: TokenEndpoint) => TokenResponse;
    bearer?: StageBearerOptions;
    attach?: Omit<AttachAuthOptions, 'scheme'>;
    defaults?: CreateAxiosDefaults;
    expiresIn?: number;
  }): { stage: Stage; scheme: BearerScheme; handle: AuthHandle } {
    const stage = new Stage(options.seed, options.defaults);
    stage.tokens.expiresIn = options.expiresIn;
    const tokens = options.tokens ?? ((endpoint: TokenEndpoint) => endpoint.issue());
    const scheme = stage.bearer({ tokens: tokens(stage.tokens), ...options.bearer });
    const handle = stage.attach({ scheme, ...options.attach });
    return { stage, scheme, handle };
  }

  readonly refresh = async ({ client, refreshToken, reason, signal }: RefreshContext): Promise<TokenResponse> => {
    this.reasons.push(reason);
    const { data } = await client.post<TokenResponse>(TOKEN_PATH, { refresh_token: refreshToken }, { signal });
    return data;
  };

  /** Sets the responses to the next requests to a path, in order. */
  script(path: string, ...replies: Script[]): void {
    this.#scripts.set(path, [...(this.#scripts.get(path) ?? []), ...replies]);
  }

  /** Sets the response to every request to a path after its scripts. undefined: the token decides again. */
  always(path: string, reply: Script | undefined): void {
    if (reply === undefined) this.#lasting.delete(path);
    else this.#lasting.set(path, reply);
  }

  /** The requests to the API, without the token endpoint. */
  get calls(): Sent[] {
    return this.sent.filter(({ path }) => path !== TOKEN_PATH);
  }

  /** The requests to the API for one path, or one X-Call. */
  to(name: string): Sent[] {
    return this.calls.filter(({ path, call }) => path === name || call === name);
  }

  eventsOf(type: AuthEvent['type']): AuthEvent[] {
    return this.events.filter((event) => event.type === type);
  }

  /** Handles signal, cancelToken, timeout and validateStatus like the adapters of axios. */
  readonly adapter: AxiosAdapter = (config) =>
    new Promise<AxiosResponse>((resolve, reject) => {
      const releases: Released[] = [];
      const end = (settle: () => void): void => {
        for (const release of releases.splice(0)) release();
        settle();
      };
      const cancel = (reason: unknown): void => {
        end(() => {
          reject(reason);
        });
      };
      if (!watch(config, cancel, releases)) return;
      const request = this.#receive(config);
      const reply = this.#reply(request);
      const timeoutMs = config.timeout ?? 0;
      if (timeoutMs > 0) {
        releases.push(
          this.clock.later(timeoutMs, () => {
            end(() => {
              const code = config.transitional?.clarifyTimeoutError ? AxiosError.ETIMEDOUT : AxiosError.ECONNABORTED;
              reject(new AxiosError(`timeout of ${String(timeoutMs)}ms exceeded`, code, config, {}));
            });
          }),
        );
      }
      releases.push(
        this.courier(request, reply, (arrived) => {
          end(() => {
            const { fault, code } = arrived;
            if (fault === undefined) settle(config, arrived, resolve, reject);
            else
              reject(new AxiosError('broken', code ?? (fault === 'reset' ? 'ECONNRESET' : 'ECONNREFUSED'), config, {}));
          });
        }),
      );
    });

  /** Advances until all of these have settled. */
  async settled<T>(calls: readonly Promise<T>[]): Promise<PromiseSettledResult<T>[]> {
    const all = await this.clock.until(Promise.allSettled(calls));
    return all.status === 'fulfilled' ? all.value : [];
  }

  /** The outcomes of calls, once all of them have settled. */
  async outcomes(calls: readonly Promise<unknown>[]): Promise<CallSummary[]> {
    return (await this.settled(calls)).map(summaryOf);
  }

  async outcome(call: Promise<unknown>): Promise<CallSummary> {
    return summaryOf(await this.clock.until(call));
  }

  #delayOf(request: Sent): number {
    const delay = request.path === TOKEN_PATH ? this.refreshMs : this.latencyMs;
    return typeof delay === 'number' ? delay : delay(request);
  }

  #receive(config: InternalAxiosRequestConfig): Sent {
    const url = new URL(axios.getUri(config), ORIGIN);
    const headers = Object.fromEntries(
      Object.entries(AxiosHeaders.from(config.headers).toJSON()).map(([name, value]) => [name, String(value)]),
    );
    const [, token] = /^Bearer (.*)$/.exec(headers['Authorization'] ?? '') ?? [];
    const request: Sent = {
      at: this.clock.monotonic(),
      method: (config.method ?? 'get').toUpperCase(),
      origin: url.origin,
      path: url.pathname,
      query: url.search,
      token,
      call: headers['X-Call'],
      headers,
      body: config.data as unknown,
      config,
      status: undefined,
    };
    this.sent.push(request);
    return request;
  }

  #reply(request: Sent): Reply {
    const { path } = request;
    const script = this.#scripts.get(path)?.shift() ?? this.#lasting.get(path);
    const scripted = typeof script === 'function' ? script(request) : script;
    const reply = typeof scripted === 'number' ? { status: scripted } : (scripted ?? this.judge(request));
    if (scripted !== undefined && path === TOKEN_PATH) {
      if (reply.fault === 'reset') this.tokens.answer(refreshTokenOf(request));
      else this.tokens.scripted(refreshTokenOf(request));
    }
    request.status = reply.fault === undefined ? (reply.status ?? 200) : 'lost';
    return reply;
  }

  /** The response to a request without a script. */
  judge(request: Sent): Reply {
    const { path } = request;
    if (path === TOKEN_PATH) return this.tokens.answer(refreshTokenOf(request));
    const status = /^\/status\/(\d{3})$/.exec(path)?.[1];
    if (status !== undefined) return { status: Number(status) };
    const principal = this.tokens.accepts(request.token);
    if (principal === undefined && !path.startsWith('/open')) return unauthorized();
    return { status: 200, data: { path, principal: principal ?? null, body: request.body ?? null } };
  }
}

/** A 401 of a resource server (RFC 6750 §3). */
export function unauthorized(challenge = 'Bearer error="invalid_token"'): Reply {
  return { status: 401, data: { error: 'unauthorized' }, headers: { 'WWW-Authenticate': challenge } };
}

export function tooMany(retryAfter?: string | number): Reply {
  return { status: 429, ...(retryAfter !== undefined && { headers: { 'Retry-After': String(retryAfter) } }) };
}

/** The result and the report of a call, in one flat object. */
export interface CallSummary extends Partial<ExchangeReport> {
  readonly status?: number;
  readonly code?: string;
}

export function summaryOf(settled: PromiseSettledResult<unknown>): CallSummary {
  const outcome = (settled.status === 'fulfilled' ? settled.value : settled.reason) as {
    status?: number;
    code?: string;
    response?: { status: number };
  };
  const status = settled.status === 'fulfilled' ? outcome.status : outcome.response?.status;
  return {
    ...(status !== undefined && { status }),
    ...(settled.status === 'rejected' && outcome.code !== undefined && { code: outcome.code }),
    ...exchangeOf(outcome),
  };
}

/** A call in the background, whose result a test reads later. */
export function underway<T>(call: Promise<T>): Promise<T> {
  void call.catch(() => undefined);
  return call;
}

/** The response of a call. @throws if it was rejected. */
export function answerOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason as Error;
  return settled.value;
}

/** The error of a call. @throws if it was not rejected. */
export function reasonOf(settled: PromiseSettledResult<unknown>): AxiosError {
  if (settled.status === 'fulfilled') throw new Error('the call succeeded');
  return settled.reason as AxiosError;
}

function refreshTokenOf(request: Sent): string | undefined {
  const { refresh_token: token } = JSON.parse(String(request.body)) as { refresh_token?: string };
  return token;
}

interface Subscribable {
  readonly reason?: unknown;
  subscribe(listener: (reason: unknown) => void): void;
  unsubscribe(listener: (reason: unknown) => void): void;
}

/** False if the caller had cancelled already. */
function watch(config: InternalAxiosRequestConfig, cancel: (reason: unknown) => void, releases: Released[]): boolean {
  const { signal } = config;
  const token = config.cancelToken as unknown as Subscribable | undefined;
  const canceled = (): unknown =>
    new (CanceledError as unknown as new (message: undefined, config: InternalAxiosRequestConfig) => Error)(
      undefined,
      config,
    );
  if (signal?.aborted || token?.reason) {
    cancel(token?.reason ?? canceled());
    return false;
  }
  const onAbort = (): void => {
    cancel(canceled());
  };
  signal?.addEventListener?.('abort', onAbort);
  token?.subscribe(cancel);
  releases.push(() => {
    signal?.removeEventListener?.('abort', onAbort);
    token?.unsubscribe(cancel);
  });
  return true;
}

function settle(
  config: InternalAxiosRequestConfig,
  reply: Reply,
  resolve: (response: AxiosResponse) => void,
  reject: (error: AxiosError) => void,
): void {
  const status = reply.status ?? 200;
  const response: AxiosResponse = {
    // A string is sent unchanged, anything else but a stream as JSON.
    data:
      typeof reply.data === 'object' && reply.data !== null && !('destroy' in reply.data)
        ? JSON.stringify(reply.data)
        : reply.data,
    status,
    statusText: '',
    headers: new AxiosHeaders({ ...reply.headers }),
    config,
    request: reply.request ?? {},
  };
  if (!config.validateStatus || config.validateStatus(status)) resolve(response);
  else {
    const code = status < 500 ? AxiosError.ERR_BAD_REQUEST : AxiosError.ERR_BAD_RESPONSE;
    reject(new AxiosError(`Request failed with status code ${String(status)}`, code, config, {}, response));
  }
}
