import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test from 'node:test';
import { JWT, OAuth2Client } from 'google-auth-library';
import { attached, outcome, ten } from '../support/attached.mjs';
import { serve, serveApi } from '../support/serve.mjs';
import { sessionOf } from './google-auth-library.mjs';

const api = await serveApi();
const google = { requests: [], isOver: false };
const tokenServer = await serve(({ form }) => {
  google.requests.push(form.get('grant_type'));
  if (google.isOver) return { status: 400, body: { error: 'invalid_grant' } };
  const token = `access-${google.requests.length}`;
  api.alive.clear();
  api.alive.add(token);
  return { body: { access_token: token, expires_in: 3600, token_type: 'Bearer' } };
});

/** A user's refresh token. */
function user() {
  const client = new OAuth2Client({ clientId: 'app', clientSecret: 's', endpoints: { oauth2TokenUrl: tokenServer } });
  client.setCredentials({ refresh_token: 'r1', access_token: 'revoked', expiry_date: Date.now() + 3_600_000 });
  return client;
}

/** A service account. */
function serviceAccount() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const client = new JWT({
    email: 'app@project.iam.gserviceaccount.com',
    key,
    scopes: ['https://www.googleapis.com/auth/drive'],
  });
  client.transporter.defaults.adapter = async (options, fetch) => {
    options.url = new URL(tokenServer);
    return fetch(options);
  };
  return client;
}

for (const [name, create, grantType] of [
  ['a user', user, 'refresh_token'],
  ['a service account', serviceAccount, 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
]) {
  test(`${name}: ten calls with a dead token cost one renewal, several times in a row`, async () => {
    google.requests.length = 0;
    const client = attached(sessionOf(create()), api.origin);
    if (name === 'a service account') assert.equal(await outcome(client.get('/')), 200);
    const before = google.requests.length;
    for (let round = 1; round <= 2; round++) {
      api.alive.clear();
      const answers = await ten(() => client.get('/'));
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
      assert.equal(google.requests.length, before + round);
    }
    assert.deepEqual(new Set(google.requests), new Set([grantType]));
  });
}

test('a refused refresh token ends the session', async () => {
  const session = sessionOf(user());
  api.alive.clear();
  google.isOver = true;
  assert.equal(await outcome(attached(session, api.origin).get('/')), 'ERR_AUTH_SESSION_EXPIRED');
  assert.equal(session.getSnapshot().status, 'expired');
});
