import { type MaybePromise, whenReady } from '../maybe-promise.js';
import { Snapshots } from '../session/snapshot.js';
import { headerValue, type BearerScheme } from './bearer-scheme.js';
import { LastSent } from './scheme.js';

type Token = string | null | undefined;

/** A bearer whose token the app keeps. It has no session, only the last result of the function. */
export function bearerFunction(source: () => MaybePromise<Token>): BearerScheme {
  const sent = new LastSent<string>();
  const snapshots = new Snapshots();
  let last: Token;
  const ask = (): MaybePromise<Token> =>
    whenReady(source(), (token) => {
      const { current } = snapshots;
      const status = token === null || token === undefined ? 'signed-out' : 'signed-in';
      if (status !== current.status || token !== last)
        snapshots.publish({ ...current, status, generation: current.generation + 1 });
      last = token;
      return token;
    });
  const needsSession = (what: string): Promise<never> =>
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
        request.headers.set('Authorization', headerValue('Bearer', token));
        sent.keep(request, token);
      }),
    onChallenge: ({ request }) =>
      whenReady(ask(), (token) => token !== null && token !== undefined && token !== sent.of(request)),
    signIn: () => needsSession('signIn()'),
    update: () => needsSession('update()'),
    signOut: () => needsSession('signOut()'),
    async refresh() {
      await ask();
    },
    async getAccessToken() {
      return (await ask()) ?? undefined;
    },
    getSnapshot: () => snapshots.current,
    subscribe: (listener) => snapshots.subscribe(listener),
  };
}
