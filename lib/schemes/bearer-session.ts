import { type MaybePromise, whenReady } from '../maybe-promise.js';
import type { Clock } from '../clock.js';
import type { RefreshContext } from '../session/refresh.js';
import { Session, type Caller, type Carried } from '../session/session.js';
import { memoryStore, type TokenStore } from '../session/store.js';
import { readTokens, type TokenResponse, type Tokens } from '../session/tokens.js';
import { plainClient } from '../transport/refresh-client.js';
import { bearerAuthorization, type BearerScheme } from './bearer-scheme.js';
import { withSession } from './scheme.js';

/** Options of a {@link bearer} with a session. */
export interface BearerOptions {
  /** Tokens to begin with; used only when the store holds nothing (a sign-out is something). */
  tokens?: TokenResponse | undefined;
  /** Where the session lives. @default memoryStore() */
  store?: TokenStore | undefined;
  /**
   * Obtains tokens. Called with a refresh token or without one (cookies, client credentials), once for everybody. `null`:
   * nobody is signed in. Throw a RefreshRejectedError when the refresh token is dead; other errors are judged by status and
   * RFC 6749 §5.2 code, and tried again with backoff, at most three times within `refreshTimeoutMs`.
   */
  refresh?: ((context: RefreshContext) => MaybePromise<TokenResponse | null>) | undefined;
  /**
   * In ms before the token expires: from then on the next call starts a refresh in the background, and is sent with the
   * token there is. At most half the lifetime. @default a tenth of the lifetime, at most 60 000
   */
  refreshAheadMs?: number | undefined;
  /** In ms, for all tries of one refresh together; then whoever waits gets ERR_AUTH_REFRESH_FAILED. @default 10 000 */
  refreshTimeoutMs?: number | undefined;
}

/** One call as its session knows it: the key of its exchange. Private, since inspectors print the rest. */
class SessionCall implements Caller {
  readonly #session: Session;
  readonly #turn: number;
  #carried: Carried | undefined;
  /** It was refused before. */
  isReplay = false;

  constructor(session: Session) {
    this.#session = session;
    this.#turn = session.ledger.turn;
  }

  isOf(session: Session): boolean {
    return this.#session === session;
  }
  get turn(): number {
    return this.#turn;
  }
  get carried(): Carried | undefined {
    return this.#carried;
  }
  set carried(carried: Carried | undefined) {
    this.#carried = carried;
  }
}

export function bearerSession(options: BearerOptions, initial: Tokens | undefined, clock: Clock): BearerScheme {
  const session = new Session(
    {
      initial,
      store: options.store ?? memoryStore(),
      refresh: options.refresh,
      refreshAheadMs: options.refreshAheadMs,
      refreshTimeoutMs: options.refreshTimeoutMs ?? 10_000,
      plainClient,
    },
    clock,
  );
  /** Calls that did not begin here: somebody's own scheme hands its requests on. */
  const strangers = new WeakMap<object, SessionCall>();
  const callOf = (exchange: object): SessionCall => {
    if (exchange instanceof SessionCall && exchange.isOf(session)) return exchange;
    let call = strangers.get(exchange);
    if (!call) strangers.set(exchange, (call = new SessionCall(session)));
    return call;
  };
  const read = (tokens: TokenResponse, from: string, previous?: Tokens | null): Tokens =>
    readTokens(tokens, from, clock.now(), 'earlier', previous);

  async function signIn(tokens: TokenResponse): Promise<void> {
    await session.change('principal', read(tokens, 'signIn()'));
  }
  async function update(tokens: TokenResponse): Promise<void> {
    // Only the store knows the refresh token that stays.
    const { turn } = session.ledger;
    await session.ledger.ready();
    if (turn !== session.ledger.turn) return;
    await session.change('updated', read(tokens, 'update()', session.ledger.tokens));
  }

  const scheme: BearerScheme = {
    name: 'Bearer',
    credentialHeaders: ['Authorization'],
    authorize(request) {
      const call = callOf(request.exchange);
      return whenReady(session.credential(call.turn, request), (carried) => {
        call.carried = carried;
        if (carried)
          request.headers.set('Authorization', (carried.authorization ??= bearerAuthorization(carried.accessToken)));
      });
    },
    onChallenge({ request }) {
      const call = callOf(request.exchange);
      call.isReplay = true;
      return session.challenged(call, request);
    },
    onAnswer({ request, isRefusal }) {
      const { carried, isReplay } = callOf(request.exchange);
      if (carried)
        session.answered({ generation: carried.generation, isUnauthorized: isRefusal, isReplay, place: request });
    },
    signIn: (tokens) => session.held(signIn(tokens)),
    update: (tokens) => session.held(update(tokens)),
    signOut: () => session.held(session.change('principal', null)),
    refresh: () => session.held(session.refresh()),
    getAccessToken: () => session.held(session.token()),
    getSnapshot: () => session.snapshot(),
    subscribe: (listener) => session.audience.subscribe(listener),
  };
  return withSession(scheme, {
    isCallingRefresh: () => session.isCallingRefresh,
    newExchange: () => new SessionCall(session),
    waitFor: (exchange, lender) => session.busy(callOf(exchange).turn, lender),
    endOf: (exchange) => session.endOf(callOf(exchange).turn),
    isRefreshPaused: (request) => session.isRefreshUseless(request),
    join: (member) =>
      session.audience.join({
        tell: (event) => {
          member.emit(event);
        },
        principalChanged: () => {
          member.principalChanged();
        },
        get client() {
          return member.client;
        },
      }),
  });
}
