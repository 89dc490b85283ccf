import { type MaybePromise, whenReady } from '../maybe-promise.js';
import type { Clock } from '../clock.js';
import type { RefreshFunction, RevokeFunction } from '../session/refresh-context.js';
import { Session } from '../session/session.js';
import type { SessionStore } from '../session/store.js';
import { heldUntil } from '../transport/platform.node.js';
import { readTokens, type TokenResponse, type Tokens } from '../session/tokens.js';
import { headerValue, type BearerScheme } from './bearer-scheme.js';
import { withSession } from './scheme.js';

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
   * Obtains tokens, once for all calls that wait. Called with a {@link RefreshContext}, whose refresh token may be undefined
   * (cookies, client credentials). Returns a {@link TokenResponse}, or null if there is no session. Throw a RefreshRejectedError
   * if the refresh token is no longer valid. Other errors are classified by status and by the code of RFC 6749 §5.2. A request
   * that was sent may take 60 s, whatever the calls' limits are.
   */
  refresh?: RefreshFunction | undefined;
  /**
   * In ms before the token expires. From then on the next call is sent with the current token, and starts a refresh in the background. At
   * most half the lifetime. @default a tenth of the lifetime, at most 60 000
   */
  refreshAheadMs?: number | undefined;
  /**
   * How long a call waits for a refresh, in ms. Then it rejects with ERR_AUTH_REFRESH_FAILED. The refresh continues, and its
   * tokens are stored. @default 10 000
   */
  refreshTimeoutMs?: number | undefined;
  /** The header that carries the token. @default 'Authorization' */
  header?: string | undefined;
  /** The word before the token: 'JWT', 'Token'. '' sends the token alone. @default 'Bearer' */
  prefix?: string | undefined;
  /**
   * Tells the server that a session has ended (RFC 7009). Called after signOut(), and for tokens that arrive later, with a {@link
   * RevokeContext}: `{ tokens, client, signal }`. Best effort: signOut() does not wait for it, and a failure emits
   * `revoke-failed`.
   */
  revoke?: RevokeFunction | undefined;
}

/** A bearer with a session. `initial`: the checked `tokens` of the options. */
export function bearerSession(options: BearerOptions, initial: Tokens | undefined, clock: Clock): BearerScheme {
  const { store, refresh, refreshAheadMs, refreshTimeoutMs = 10_000, revoke } = options;
  const { header = 'Authorization', prefix = 'Bearer' } = options;
  const session = new Session({ initial, store, refresh, refreshAheadMs, refreshTimeoutMs, revoke }, clock);
  // The timers of a session do not keep the process alive. A waiting caller does.
  const held = <T>(work: Promise<T>): Promise<T> => heldUntil(clock, work);
  const read = (tokens: TokenResponse, from: string, previous?: Tokens | null): Tokens =>
    readTokens(tokens, from, clock.now(), 'earlier', previous);

  async function signIn(tokens: TokenResponse): Promise<void> {
    await session.change('principal', read(tokens, 'signIn()'));
  }
  // In turn: a store may answer a later read first.
  let reading: Promise<unknown> = Promise.resolve();
  async function update(tokens: TokenResponse): Promise<void> {
    // Only the store knows the refresh token that is kept: another holder may have replaced it.
    const { principalVersion } = session.state;
    await (reading = reading.then(() => session.state.reload()));
    if (principalVersion !== session.state.principalVersion) return;
    await session.change('updated', read(tokens, 'update()', session.state.tokens));
  }

  const scheme: BearerScheme = {
    name: prefix || header,
    credentialHeaders: [header],
    authorize: (request): MaybePromise<void> =>
      whenReady(session.credential(request), (sent) => {
        if (sent) request.headers.set(header, (sent.headerValue ??= headerValue(prefix, sent.accessToken)));
      }),
    onChallenge: ({ request }) => session.challenged(request),
    onAnswer(answer) {
      session.answered(answer);
    },
    signIn: (tokens) => held(signIn(tokens)),
    update: (tokens) => held(update(tokens)),
    signOut: () => held(session.change('principal', null)),
    refresh: () => held(session.refresh()),
    getAccessToken: () => held(session.token()),
    getSnapshot: () => session.snapshot(),
    subscribe: (listener) => session.subscribe(listener),
  };
  // A function, since inspectors print everything else.
  const hook = (): Session => session;
  session.followUntilCollected(hook);
  return withSession(scheme, hook);
}
