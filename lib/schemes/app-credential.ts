import { type MaybePromise, whenReady } from '../maybe-promise.js';
import type { AuthScheme } from './scheme.js';

/**
 * Sends a value that the app keeps. `ask` is called at every attempt and once more after a 401: the call is replayed if the value
 * has changed. undefined: sent without it.
 */
export function appCredential(
  header: string,
  ask: () => MaybePromise<string | undefined>,
): Required<Pick<AuthScheme, 'credentialHeaders' | 'authorize' | 'onChallenge'>> {
  /** By `exchange`: the value that was last sent for a call. */
  const sent = new WeakMap<object, string>();
  return {
    credentialHeaders: [header],
    authorize: (request) =>
      whenReady(ask(), (value) => {
        if (value === undefined) return;
        request.headers.set(header, value);
        sent.set(request.exchange, value);
      }),
    onChallenge: ({ request }) =>
      whenReady(ask(), (value) => value !== undefined && value !== sent.get(request.exchange)),
  };
}
