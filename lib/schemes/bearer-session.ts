import { type MaybePromise, whenReady } from '../maybe-promise.js';
import type { Clock } from '../clock.js';
import type { RefreshFunction, RevokeFunction } from '../session/refresh-context.js';
import { Session, type SentToken, type SessionCall } from '../session/session.js';
import type { SessionStore } from '../session/store.js';
import { readTokens, type TokenResponse, type Tokens } from '../session/tokens.js';
import { headerValue, type BearerScheme } from './bearer-scheme.js';
import { withSession, type SessionHooks } from './scheme.js';

/** Options of a {@link bearer} with a session. */
export interface BearerOptions {
  /**
   * Tokens to begin with. Used only if the store is empty at the first read (a store that holds a sign-out is not empty). A
   * refresh token alone is enough: the first call refreshes.
   */
  tokens?: TokenResponse | { refreshToken: string } | undefined;
  /** Where the session is kept. For a store of your own: `tokenStore(yours)` of axios-attach-auth/store. @default memory */
  store?: SessionStore | undefined;
  /**
   * Obtains tokens, once for all calls that wait. Called with a refresh token or without one (cookies, client credentials).
   * Returns null if nobody is signed in. Throw a RefreshRejectedError if the refresh token is no longer valid. Other errors
   * are classified by status and RFC 6749 §5.2 code. A request that was sent may take 60 s, whatever the calls' limits are.
   */
  refresh?: RefreshFunction | undefined;
  /**
   * In ms before the token expires: from then on the next call starts a refresh in the background, and is sent with the
   * current token. At most half the lifetime. @default a tenth of the lifetime, at most 60 000
   */
  refreshAheadMs?: number | undefined;
  /**
   * How long a call waits for a refresh, in ms. Then it rejects with ERR_AUTH_REFRESH_FAILED. The refresh goes on, and its
   * tokens are stored. @default 10 000
   */
  refreshTimeoutMs?: number | undefined;
  /** The header that carries the token. @default 'Authorization' */
  header?: string | undefined;
  /** The word before the token: 'JWT', 'Token'. '' sends the token alone. @default 'Bearer' */
  prefix?: string | undefined;
  /**
   * Tells the server that a session has ended (RFC 7009). Called after signOut(), and for tokens that arrive later. Best
   * effort: signOut() does not wait for it, and a failure emits `revoke-failed`.
   */
  revoke?: RevokeFunction | undefined;
}

/** One call as its session knows it: the `exchange` of its requests. Private fields, since inspectors print the others. */
class BearerCall implements SessionCall {
  readonly #session: Session;
  readonly #principalVersion: number;
  #sent: SentToken | undefined;
  /** It was refused before. */
  isReplay = false;

  constructor(session: Session) {
    this.#session = session;
    this.#principalVersion = session.state.principalVersion;
  }

  isOf(session: Session): boolean {
    return this.#session === session;
  }
  get principalVersion(): number {
    return this.#principalVersion;
  }
  get sent(): SentToken | undefined {
    return this.#sent;
  }
  set sent(sent: SentToken | undefined) {
    this.#sent = sent;
  }
}

/** A bearer with a session. `initial`: the checked `tokens` of the options. */
export function bearerSession(options: BearerOptions, initial: Tokens | undefined, clock: Clock): BearerScheme {
  const { store, refresh, refreshAheadMs, refreshTimeoutMs = 10_000, revoke } = options;
  const { header = 'Authorization', prefix = 'Bearer' } = options;
  const session = new Session({ initial, store, refresh, refreshAheadMs, refreshTimeoutMs, revoke }, clock);
  /** Calls that did not begin here: a scheme of the app's own passes its requests on. */
  const foreignCalls = new WeakMap<object, BearerCall>();
  const callOf = (exchange: object): BearerCall => {
    if (exchange instanceof BearerCall && exchange.isOf(session)) return exchange;
    let call = foreignCalls.get(exchange);
    if (!call) foreignCalls.set(exchange, (call = new BearerCall(session)));
    return call;
  };
  const read = (tokens: TokenResponse, from: string, previous?: Tokens | null): Tokens =>
    readTokens(tokens, from, clock.now(), 'earlier', previous);

  async function signIn(tokens: TokenResponse): Promise<void> {
    await session.change('principal', read(tokens, 'signIn()'));
  }
  async function update(tokens: TokenResponse): Promise<void> {
    // Only the store knows the refresh token that is kept.
    const { principalVersion } = session.state;
    await session.state.ready();
    if (principalVersion !== session.state.principalVersion) return;
    await session.change('updated', read(tokens, 'update()', session.state.tokens));
  }

  const scheme: BearerScheme = {
    name: prefix || header,
    credentialHeaders: [header],
    authorize(request): MaybePromise<void> {
      const call = callOf(request.exchange);
      return whenReady(session.credential(call.principalVersion, request), (sent) => {
        call.sent = sent;
        if (sent) request.headers.set(header, (sent.headerValue ??= headerValue(prefix, sent.accessToken)));
      });
    },
    onChallenge({ request }) {
      const call = callOf(request.exchange);
      call.isReplay = true;
      return session.challenged(call, request);
    },
    onAnswer({ request, response, isRefusal }) {
      const { sent, isReplay } = callOf(request.exchange);
      if (!sent) return;
      session.answered({
        generation: sent.generation,
        status: response.status,
        isRefusal,
        isReplay,
        endpoint: request,
      });
    },
    signIn: (tokens) => session.held(signIn(tokens)),
    update: (tokens) => session.held(update(tokens)),
    signOut: () => session.held(session.change('principal', null)),
    refresh: () => session.held(session.refresh()),
    getAccessToken: () => session.held(session.token()),
    getSnapshot: () => session.snapshot(),
    subscribe: (listener) => session.observers.subscribe(listener),
  };
  const hooks: SessionHooks = {
    store,
    isCallingRefresh: () => session.isCallingRefresh,
    newExchange: () => new BearerCall(session),
    waitFor: (exchange, clients) => session.waitFor(callOf(exchange).principalVersion, clients),
    endOf: (exchange) => session.endOf(callOf(exchange).principalVersion),
    isRefreshPaused: (request) => session.isRefreshPaused(request),
    join: (instance) => session.observers.join(instance),
  };
  if (store) session.observers.followUntilCollected(hooks);
  return withSession(scheme, hooks);
}
