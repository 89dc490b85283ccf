import { type MaybePromise, whenReady } from '../maybe-promise.js';
import type { SessionSnapshot } from '../session/audience.js';
import { bearerAuthorization, type BearerScheme } from './bearer-scheme.js';
import { LastSent } from './scheme.js';

type Token = string | null | undefined;

/** A bearer whose token somebody else keeps: there is no session here, only what the function says. */
export function bearerFunction(source: () => MaybePromise<Token>): BearerScheme {
  const sent = new LastSent<string>();
  const listeners = new Set<() => void>();
  let snapshot: SessionSnapshot = { status: 'unknown', refreshing: false, expiresAt: undefined, generation: 0 };
  let last: Token;
  const ask = (): MaybePromise<Token> =>
    whenReady(source(), (token) => {
      const status = token === null || token === undefined ? 'signed-out' : 'signed-in';
      if (status !== snapshot.status || token !== last) {
        last = token;
        snapshot = { ...snapshot, status, generation: snapshot.generation + 1 };
        for (const listener of listeners) queueMicrotask(listener);
      }
      return token;
    });
  const notHere = (what: string): Promise<never> =>
    Promise.reject(
      new TypeError(
        `${what} needs a session, but this bearer() reads its token from a function. Give it { tokens, refresh } instead.`,
      ),
    );
  return {
    name: 'Bearer',
    credentialHeaders: ['Authorization'],
    authorize: (request) =>
      whenReady(ask(), (token) => {
        if (token === null || token === undefined) return;
        request.headers.set('Authorization', bearerAuthorization(token));
        sent.keep(request, token);
      }),
    onChallenge: ({ request }) =>
      whenReady(ask(), (token) => token !== null && token !== undefined && token !== sent.of(request)),
    signIn: () => notHere('signIn()'),
    update: () => notHere('update()'),
    signOut: () => notHere('signOut()'),
    async refresh() {
      await ask();
    },
    async getAccessToken() {
      return (await ask()) ?? undefined;
    },
    getSnapshot: () => snapshot,
    subscribe(listener) {
      const entry = (): void => {
        listener();
      };
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
  };
}
