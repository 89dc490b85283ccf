import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { createServers } from '../server/auth.mjs';
import { listen } from '../server/listen.mjs';
import { createApp } from '../src/app.mjs';

const { auth, api, counts, accessTokens } = createServers();
const servers = [await listen(auth), await listen(api)];
const [authUrl, apiUrl] = servers.map(({ origin }) => origin);
servers.push(await listen(createApp({ authUrl, apiUrl })));
const { origin } = servers.at(-1);
after(() => servers.forEach((server) => server.close()));

const cookieOf = (response) => response.headers.get('set-cookie')?.split(';')[0];
const signIn = async (user) => cookieOf(await fetch(`${authUrl}/login?user=${user}`));
const open = (cookie) => fetch(`${origin}/account`, { redirect: 'manual', headers: cookie ? { cookie } : {} });

test('a page whose two calls run side by side costs one refresh, and the new cookie reaches the browser', async () => {
  let cookie = await signIn('ada');
  for (let visit = 1; visit <= 3; visit++) {
    const before = counts.refreshes;
    const response = await open(cookie);
    const html = await response.text();
    assert.match(html, /<h1>ada<\/h1>.*a book for ada/);
    assert.equal(counts.refreshes - before, 1);
    assert.notEqual(cookieOf(response), cookie);
    assert.match(response.headers.get('set-cookie'), /HttpOnly/);
    cookie = cookieOf(response);
  }
  assert.equal(counts.unauthorized, 0);
});

test('twenty concurrent users: no user gets the page or the cookie of another', async () => {
  const users = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => ({ name: `user-${index}`, cookie: await signIn(`user-${index}`) })),
  );
  const pages = await Promise.all(users.map(({ cookie }) => open(cookie)));
  const texts = await Promise.all(pages.map((page) => page.text()));
  users.forEach(({ name }, index) => assert.match(texts[index], new RegExp(`<h1>${name}</h1>.*for ${name}<`)));
  assert.equal(new Set(pages.map(cookieOf)).size, 20);

  const again = await Promise.all(pages.map(async (page) => (await open(cookieOf(page))).text()));
  users.forEach(({ name }, index) => assert.match(again[index], new RegExp(`<h1>${name}</h1>`)));
});

test('no token is in the page', async () => {
  const html = await (await open(await signIn('ada'))).text();
  for (const token of accessTokens.keys()) assert.ok(!html.includes(token));
});

test('a user without a session is redirected to the sign-in, without a token request', async () => {
  const before = counts.refreshes;
  for (const cookie of [undefined, 'refresh=made-up']) {
    const response = await open(cookie);
    assert.equal(response.status, 302);
    assert.equal(response.headers.get('location'), `${authUrl}/login?return=/account`);
  }
  assert.equal(counts.refreshes, before);
});
