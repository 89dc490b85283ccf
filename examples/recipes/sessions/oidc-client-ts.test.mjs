import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import { InMemoryWebStorage, User, UserManager, WebStorageStateStore } from 'oidc-client-ts';
import { attached, outcome, ten } from '../support/attached.mjs';
import { startProvider } from '../support/provider.mjs';
import { sessionOf } from './oidc-client-ts.mjs';

const provider = await startProvider();
/** Its timers would keep the process alive. */
let removeUser;
afterEach(() => removeUser());
const NOW = Math.floor(Date.now() / 1000);

async function signedIn(tokens) {
  const store = () => new WebStorageStateStore({ store: new InMemoryWebStorage() });
  const manager = new UserManager({
    authority: provider.issuer,
    client_id: 'app',
    redirect_uri: 'http://127.0.0.1/callback',
    automaticSilentRenew: false,
    userStore: store(),
    stateStore: store(),
  });
  removeUser = () => manager.removeUser();
  if (tokens) {
    const about = { token_type: 'Bearer', scope: 'openid offline_access', profile: { sub: 'ada' } };
    await manager.storeUser(new User({ ...about, expires_at: NOW + 600, ...tokens }));
  }
  const session = sessionOf(manager);
  return { manager, session, api: attached(session, provider.issuer) };
}

test('ten calls with a dead token cost one refresh, several times in a row, and the manager has the new user', async () => {
  const { manager, session, api } = await signedIn(await provider.mint());
  for (let round = 1; round <= 2; round++) {
    const answers = await ten(() => api.get('/me'));
    assert.deepEqual(new Set(answers.map(({ data }) => data.sub)), new Set(['ada']));
    assert.equal(provider.counts.refreshes, round);
    assert.equal((await manager.getUser()).access_token, await session.getAccessToken());
    await provider.killAccessToken(await session.getAccessToken());
  }
  assert.equal(provider.counts.revoked, 0);
});

test('a user who has expired by the clock is renewed before the first call', async () => {
  const before = provider.counts.refreshes;
  const { api } = await signedIn({ ...(await provider.mint()), expires_at: NOW - 10 });
  assert.equal((await api.get('/me')).data.sub, 'ada');
  assert.equal(provider.counts.refreshes, before + 1);
});

test('a refused refresh token ends the session', async () => {
  const { session, api } = await signedIn({ access_token: 'revoked', refresh_token: 'never-issued' });
  assert.equal(await outcome(api.get('/me')), 'ERR_AUTH_SESSION_EXPIRED');
  assert.equal(session.getSnapshot().status, 'expired');
});

test('without a user the call is sent without credentials', async () => {
  const { api } = await signedIn();
  assert.equal(await outcome(api.get('/.well-known/openid-configuration')), 200);
});
