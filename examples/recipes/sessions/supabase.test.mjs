import assert from 'node:assert/strict';
import test from 'node:test';
import { AuthClient } from '@supabase/auth-js';
import { attached, outcome, ten } from '../support/attached.mjs';
import { serve, serveApi } from '../support/serve.mjs';
import { sessionOf } from './supabase.mjs';

/** A GoTrue server that rotates refresh tokens and counts those that are sent twice. */
async function rig({ expiresIn = 3600 } = {}) {
  const api = await serveApi();
  const goTrue = { refreshes: 0, reuses: 0, isDown: false, isOver: false };
  const spent = new Set();
  let issued = 0;
  const issue = (lifetime) => {
    const number = ++issued;
    api.alive.clear();
    api.alive.add(`access-${number}`);
    const expiresAt = Math.floor(Date.now() / 1000) + lifetime;
    const tokens = { access_token: `access-${number}`, refresh_token: `refresh-${number}`, token_type: 'bearer' };
    return { body: { ...tokens, expires_in: lifetime, expires_at: expiresAt, user: { id: 'ada' } } };
  };
  const url = await serve(({ query, json }) => {
    if (query.get('grant_type') === 'password') return issue(expiresIn);
    goTrue.refreshes++;
    if (goTrue.isDown) return { status: 503 };
    if (spent.has(json.refresh_token)) goTrue.reuses++;
    if (goTrue.isOver || spent.has(json.refresh_token))
      return { status: 400, body: { code: 'refresh_token_not_found', message: 'Invalid Refresh Token' } };
    spent.add(json.refresh_token);
    return issue(3600);
  });
  const auth = new AuthClient({ url, autoRefreshToken: false, persistSession: false });
  const session = sessionOf(auth);
  return { auth, api, goTrue, session, client: attached(session, api.origin) };
}
const signIn = (auth) => auth.signInWithPassword({ email: 'ada@example.com', password: 'secret' });

test('ten calls with a dead token cost one refresh, several times in a row', async () => {
  const { auth, api, goTrue, client } = await rig();
  await signIn(auth);
  for (let round = 1; round <= 2; round++) {
    api.alive.clear();
    const answers = await ten(() => client.get('/'));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.equal(goTrue.refreshes, round);
  }
  assert.equal(goTrue.reuses, 0);
});

test('a session that has expired by the clock is renewed before the first call', async () => {
  const { auth, api, goTrue, client } = await rig({ expiresIn: -10 });
  await signIn(auth);
  assert.equal(await outcome(client.get('/')), 200);
  assert.deepEqual([goTrue.refreshes, api.refused], [1, 0]);
});

test('a refused refresh token ends the session', async () => {
  const { auth, api, goTrue, session, client } = await rig();
  await signIn(auth);
  api.alive.clear();
  goTrue.isOver = true;
  assert.equal(await outcome(client.get('/')), 'ERR_AUTH_SESSION_EXPIRED');
  assert.equal(session.getSnapshot().status, 'expired');
});

test('without a user the call is sent without credentials', async () => {
  const { api, client } = await rig();
  assert.equal(await outcome(client.get('/')), 'ERR_BAD_REQUEST');
  assert.equal(api.bare, 1);
});
