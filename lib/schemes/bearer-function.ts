import { type MaybePromise, whenReady } from '../maybe-promise.js';
import { headerValue, type BearerScheme } from './bearer-scheme.js';
import { appCredential } from './app-credential.js';
import { Snapshots } from '../session/snapshot.js';

/** A bearer whose token the app keeps. It has no session, only the last result of the function. */
export function bearerFunction(source: () => MaybePromise<string | null | undefined>): BearerScheme {
  const snapshots = new Snapshots();
  let last: string | undefined;
  const ask = (): MaybePromise<string | undefined> =>
    whenReady(source(), (found) => {
      const { current } = snapshots;
      const token = found ?? undefined;
      const status = token === undefined ? 'signed-out' : 'signed-in';
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
    ...appCredential('Authorization', () =>
      whenReady(ask(), (token) => (token === undefined ? token : headerValue('Bearer', token))),
    ),
    signIn: () => needsSession('signIn()'),
    update: () => needsSession('update()'),
    signOut: () => needsSession('signOut()'),
    async refresh() {
      await ask();
    },
    async getAccessToken() {
      return ask();
    },
    getSnapshot: () => snapshots.current,
    subscribe: (listener) => snapshots.subscribe(listener),
  };
}
