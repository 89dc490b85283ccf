// MSAL, Auth0 and Firebase need their own clouds. The stand-ins here have only their documented interface.
import assert from 'node:assert/strict';
import test from 'node:test';
import { attached, outcome, ten } from '../support/attached.mjs';
import { serveApi } from '../support/serve.mjs';
import * as auth0 from './auth0.mjs';
import * as firebase from './firebase.mjs';
import * as msal from './msal.mjs';

const HOUR = 3_600_000;

/** A client's cache and its renewal. */
function cacheOf(api) {
  const cache = { token: 'cached', renewals: 0, isSignedIn: true, failure: undefined };
  cache.get = async (isForced) => {
    if (isForced) {
      cache.renewals++;
      if (cache.failure) throw cache.failure;
      cache.token = `renewed-${cache.renewals}`;
      api.alive.add(cache.token);
    }
    return { token: cache.token, expiresAt: new Date(Date.now() + HOUR) };
  };
  return cache;
}

const clients = {
  msal: {
    /** acquireTokenSilent(request): AuthenticationResult, or InteractionRequiredAuthError. */
    session: (cache) => {
      const client = {
        getActiveAccount: () => (cache.isSignedIn ? { homeAccountId: 'ada' } : null),
        async acquireTokenSilent({ account, scopes, forceRefresh }) {
          assert.deepEqual([account.homeAccountId, scopes], ['ada', ['api://orders/.default']]);
          const { token, expiresAt } = await cache.get(forceRefresh);
          return { accessToken: token, expiresOn: expiresAt, account, scopes };
        },
      };
      return msal.sessionOf(client, ['api://orders/.default']);
    },
    refusal: Object.assign(new Error('AADSTS50173'), {
      name: 'InteractionRequiredAuthError',
      errorCode: 'invalid_grant',
    }),
  },
  auth0: {
    /** getTokenSilently({ cacheMode: 'on' | 'off' | 'cache-only' }): string, or an error with `error`. */
    session: (cache) =>
      auth0.sessionOf({
        async getTokenSilently({ cacheMode }) {
          if (!cache.isSignedIn) throw Object.assign(new Error('Login required'), { error: 'login_required' });
          return (await cache.get(cacheMode === 'off')).token;
        },
      }),
    refusal: Object.assign(new Error('Unknown or invalid refresh token.'), { error: 'invalid_grant' }),
  },
  firebase: {
    /** auth.currentUser: User | null; user.getIdTokenResult(forceRefresh): IdTokenResult. Signs out when the token has expired. */
    session: (cache) =>
      firebase.sessionOf({
        authStateReady: async () => undefined,
        get currentUser() {
          if (!cache.isSignedIn) return null;
          return {
            async getIdTokenResult(isForced) {
              try {
                const { token, expiresAt } = await cache.get(isForced);
                return { token, expirationTime: expiresAt.toUTCString() };
              } catch (error) {
                cache.isSignedIn = false;
                throw error;
              }
            },
          };
        },
      }),
    refusal: Object.assign(new Error('auth/user-token-expired'), { code: 'auth/user-token-expired' }),
  },
};

for (const [name, { session: sessionFor, refusal }] of Object.entries(clients)) {
  const rig = async () => {
    const api = await serveApi();
    const cache = cacheOf(api);
    const session = sessionFor(cache);
    return { api, cache, session, client: attached(session, api.origin) };
  };

  test(`${name}: a cached token is used without a renewal`, async () => {
    const { api, cache, client } = await rig();
    api.alive.add('cached');
    assert.deepEqual(new Set((await ten(() => client.get('/'))).map(({ status }) => status)), new Set([200]));
    assert.equal(cache.renewals, 0);
  });

  test(`${name}: ten calls with a dead token cost one renewal, twice in a row`, async () => {
    const { api, cache, client } = await rig();
    for (let round = 1; round <= 2; round++) {
      api.alive.clear();
      assert.deepEqual(new Set((await ten(() => client.get('/'))).map(({ status }) => status)), new Set([200]));
      assert.equal(cache.renewals, round);
    }
  });

  test(`${name}: a user who has to log in again ends the session`, async () => {
    const { cache, session, client } = await rig();
    cache.failure = refusal;
    assert.equal(await outcome(client.get('/')), 'ERR_AUTH_SESSION_EXPIRED');
    assert.equal(session.getSnapshot().status, 'expired');
  });

  test(`${name}: without a user the call is sent without credentials`, async () => {
    const { api, cache, client } = await rig();
    cache.isSignedIn = false;
    assert.equal(await outcome(client.get('/')), 'ERR_BAD_REQUEST');
    assert.deepEqual([api.bare, cache.renewals], [1, 0]);
  });
}
