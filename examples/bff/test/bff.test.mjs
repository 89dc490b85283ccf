import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { createClient } from 'redis';
import { freePort, isRedisInstalled, startMachine, startRedis } from '../server/processes.mjs';
import { startProvider } from '../server/provider.mjs';
import { Browser } from '../support/browser.mjs';
import { skip as noChromium, startChromium } from '../../support/chromium.mjs';

const skip = isRedisInstalled() || process.env.REQUIRE_REAL ? false : 'redis-server is not installed';
let redis, provider, machines;

before(async () => {
  if (skip) return;
  const ports = [await freePort(), await freePort()];
  const ORIGIN = `http://127.0.0.1:${ports[0]}`;
  redis = await startRedis();
  provider = await startProvider({ redirectUri: `${ORIGIN}/auth/callback`, users: ['ada', 'grace'] });
  const env = { ...provider.env, ORIGIN, REDIS_URL: redis.url };
  machines = await Promise.all(ports.map((PORT) => startMachine({ ...env, PORT })));
});
after(async () => {
  await Promise.all((machines ?? []).map((machine) => machine.stop()));
  provider?.close();
  await redis?.stop();
});

async function signIn() {
  const browser = new Browser();
  const response = await browser.fetch(`${machines[0].origin}/auth/login`);
  assert.equal(response.url, `${machines[0].origin}/`);
  return browser;
}
const whoAmI = async (browser, machine) => {
  const response = await browser.fetch(`${machine.origin}/api/me`);
  return response.ok ? (await response.json()).name : response.status;
};

test(
  'two users on two machines: each gets their own data, and an expiry costs one refresh per user',
  { skip },
  async () => {
    const [ada, grace] = [await signIn(), await signIn()];
    await provider.revokeAccessTokens();
    const before = provider.counts.refreshes;

    const calls = Array.from({ length: 20 }, (_, index) => machines[index % 2]);
    const [adas, graces] = await Promise.all(
      [ada, grace].map((user) => Promise.all(calls.map((machine) => whoAmI(user, machine)))),
    );

    assert.deepEqual(new Set(adas), new Set(['ada']));
    assert.deepEqual(new Set(graces), new Set(['grace']));
    assert.equal(provider.counts.refreshes - before, 2);
    assert.equal(provider.counts.revokedGrants, 0);
  },
);

test('in Chromium: the page signs in, and no script sees a token or the id', { skip: skip || noChromium }, async () => {
  const page = await (await startChromium()).newPage({ viewport: { width: 400, height: 800 } });
  await page.goto(machines[0].origin);
  await page.getByRole('link', { name: 'Sign in' }).click();
  await page.waitForURL(`${machines[0].origin}/`);
  assert.equal(await page.evaluate('document.cookie + localStorage.length + sessionStorage.length'), '00');
  await page.getByRole('link', { name: 'who am I?' }).click();
  assert.match(await page.textContent('body'), /"name":"(ada|grace)"/);
});

test('a sign-out on one machine ends the session on the other, and revokes the grant', { skip }, async () => {
  const browser = await signIn();
  const sid = browser.sessionId;
  for (const machine of machines) assert.notEqual(await whoAmI(browser, machine), 401);

  await browser.fetch(`${machines[1].origin}/auth/logout`, { method: 'POST' });

  assert.equal(browser.sessionId, undefined);
  for (const { origin } of machines) {
    // A copy of the cookie is no longer valid.
    const response = await fetch(`${origin}/api/me`, { headers: { cookie: `sid=${sid}` } });
    assert.equal(response.status, 401);
  }
  while (provider.counts.revokedGrants === 0) await new Promise((resolve) => setTimeout(resolve, 10));
});

test('without a cookie, and with an invented one, the status is 401', { skip }, async () => {
  const [{ origin }] = machines;
  assert.equal((await fetch(`${origin}/api/me`)).status, 401);
  assert.equal((await fetch(`${origin}/api/me`, { headers: { cookie: 'sid=made-up' } })).status, 401);
});

test('cookies of another app on the same host, in any form, have no effect', { skip }, async () => {
  const browser = await signIn();
  const cookie = `other=50%; x; base64=YQ==; sid=${browser.sessionId}`;
  assert.equal((await fetch(`${machines[1].origin}/api/me`, { headers: { cookie } })).status, 200);
});

test('the cookie holds an id that scripts cannot read, and that Redis does not have', { skip }, async () => {
  const browser = await signIn();
  assert.match(
    browser.setCookies.find((line) => line.startsWith('sid=')),
    /; HttpOnly; SameSite=Lax$/,
  );
  const client = await createClient({ url: redis.url }).connect();
  const keys = await client.keys('*');
  await client.close();
  assert.ok(keys.length > 0);
  assert.ok(!JSON.stringify(keys).includes(browser.sessionId));
});
