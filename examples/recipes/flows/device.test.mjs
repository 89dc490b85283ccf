import assert from 'node:assert/strict';
import test from 'node:test';
import { bearer } from 'axios-attach-auth';
import { refreshTokenGrant } from 'axios-attach-auth/oauth2';
import * as openid from 'openid-client';
import { attached, ten } from '../support/attached.mjs';
import { startProvider } from '../support/provider.mjs';
import { signIn } from './device.mjs';

test('the device flow ends in a session that refreshes itself', async () => {
  const provider = await startProvider();
  const options = { execute: [openid.allowInsecureRequests] };
  const config = await openid.discovery(new URL(provider.issuer), 'app', undefined, openid.None(), options);
  const session = bearer({ refresh: refreshTokenGrant({ issuer: provider.issuer, clientId: 'app' }) });
  const api = attached(session, provider.issuer);

  await signIn(session, config, ({ user_code: code, verification_uri: url }) => {
    assert.equal(url, `${provider.issuer}/device`);
    void provider.approveDevice(code);
  });

  const { status, expiresAt } = session.getSnapshot();
  assert.equal(status, 'signed-in');
  assert.ok(Math.abs(expiresAt - Date.now() - 600_000) < 10_000, 'the lifetime that the server gave');
  assert.equal((await api.get('/me')).data.sub, 'ada');
  await provider.killAccessToken(await session.getAccessToken());
  const answers = await ten(() => api.get('/me'));
  assert.deepEqual(new Set(answers.map(({ data }) => data.sub)), new Set(['ada']));
  assert.deepEqual(provider.counts, { refreshes: 1, revoked: 0 });
});
