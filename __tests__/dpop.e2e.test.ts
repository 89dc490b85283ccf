import type { Browser, Page } from 'playwright-core';
import { dpop, dpopProver, type DpopProver } from '../lib/dpop.js';
import axios, { type AxiosInstance } from 'axios';
import { attachAuth, bearer, exchangeOf, type AuthEvent, type BearerOptions, type BearerScheme } from '../lib/index.js';
import { refreshTokenGrant } from '../lib/oauth2.js';
import { bundle, isChromiumInstalled, startChromium } from './support/chromium.js';
import { serveDpop, type DpopServer } from './support/dpop-server.js';
import type * as tabModule from './support/dpop-tab.js';
import type * as esm from './support/esm.js';
import { startOidc, type Minted, type Oidc } from './support/oidc.js';
import { shownOf } from './support/shown.js';
import { reply } from './support/serve.js';

// It is an ES module only, which Jest cannot require.
jest.mock('dpop', () => jest.requireActual<typeof esm>('./support/esm.js').requireEsm('dpop'));
jest.setTimeout(120_000);

describe('oidc-provider with nonces required', () => {
  let oidc: Oidc;
  beforeAll(async () => {
    oidc = await startOidc();
  });
  afterAll(() => oidc.close());
  beforeEach(async () => {
    await oidc.clear();
    await oidc.requireNonces();
  });

  const grant = (prover: DpopProver): NonNullable<BearerOptions['refresh']> =>
    refreshTokenGrant({ tokenEndpoint: `${oidc.origin}/token`, clientId: oidc.publicClient.client_id, dpop: prover });

  async function signedIn(
    about: { isDead?: boolean } = {},
  ): Promise<{ minted: Minted; scheme: BearerScheme; prover: DpopProver }> {
    const prover = dpopProver();
    const minted = await oidc.mint({ ...about, jkt: await prover.thumbprint() });
    return { minted, prover, scheme: dpop(bearer({ tokens: minted.tokens, refresh: grant(prover) }), { prover }) };
  }

  async function storm(scheme: BearerScheme, count = 20): Promise<void> {
    const api = axios.create({ baseURL: oidc.origin });
    attachAuth(api, { scheme });
    const answers = await Promise.all(Array.from({ length: count }, () => api.get('/me')));
    expect(answers.map(({ data }) => data.sub)).toEqual(Array(count).fill('ada'));
  }

  test('no nonce known and a dead token: twenty concurrent calls get 200 with one refresh', async () => {
    const { minted, scheme } = await signedIn({ isDead: true });
    await storm(scheme);
    expect(await oidc.refreshes()).toBe(1);
    expect(await oidc.isGrantAlive(minted.grantId)).toBe(true);
    expect((await oidc.log()).revoked).toEqual([]);
  });

  test('twenty concurrent calls rotate the refresh token once', async () => {
    const { minted, scheme } = await signedIn();
    for (let round = 1; round <= 3; round++) {
      await oidc.killAccessToken(await scheme.getAccessToken());
      await storm(scheme);
      expect(await oidc.refreshes()).toBe(round);
    }
    expect(await oidc.isGrantAlive(minted.grantId)).toBe(true);
  });

  test('with a nonce known, twenty calls in a row are sent once each', async () => {
    const { scheme } = await signedIn();
    await storm(scheme, 1);
    await oidc.clear();
    await oidc.requireNonces();
    for (let call = 0; call < 20; call++) await storm(scheme, 1);
    expect((await oidc.log()).entries.map(({ status }) => status)).toEqual(Array(20).fill(200));
  });

  test('another key cannot use the refresh token: holders of one session need one key', async () => {
    const { minted } = await signedIn({ isDead: true });
    const prover = dpopProver();
    const scheme = dpop(bearer({ tokens: minted.tokens, refresh: grant(prover) }), { prover });
    await expect(storm(scheme, 1)).rejects.toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    expect((await oidc.log()).refused).toContain('invalid_grant');
  });
});

describe('under attachAuth', () => {
  let server: DpopServer;
  let api: AxiosInstance;
  let scheme: BearerScheme;
  let events: AuthEvent[];
  beforeEach(async () => {
    server = await serveDpop();
    server.tokens.set('at-0', undefined);
    events = [];
    const prover = dpopProver();
    const refresh = refreshTokenGrant({ tokenEndpoint: `${server.origin}/token`, clientId: 'app', dpop: prover });
    scheme = dpop(bearer({ tokens: { accessToken: 'at-0', refreshToken: 'rt' }, refresh }), { prover });
    api = axios.create({ baseURL: server.origin });
    attachAuth(api, { scheme, retry: { baseDelayMs: 10 }, onEvent: (event) => events.push(event) });
  });
  afterEach(() => server.close());

  test('twenty concurrent calls with neither nonce nor token get 200 with one refresh', async () => {
    server.tokens.clear();
    server.nonces = 'required';
    const answers = await Promise.all(Array.from({ length: 20 }, () => api.get('/orders')));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(server.refreshes).toBe(1);
  });

  test('twenty calls in a row to a one-time-nonce server take 21 sends', async () => {
    server.nonces = 'one-time';
    for (let call = 0; call < 20; call++) await api.get('/orders');
    expect(server.sends()).toBe(21);
  });

  test('nonce, token, nonce: a call is sent four times and succeeds', async () => {
    server.tokens.clear();
    server.nonces = 'required';
    server.onRefresh = () => server.rotate();
    const answer = await api.post('/orders', { a: 1 });
    expect(exchangeOf(answer)).toMatchObject({ attempts: 4, refreshed: true });
    expect(events.map(({ type }) => type).filter((type) => type === 'replay')).toHaveLength(3);
  });

  test('two nonce refusals in a row settle the call with its 401', async () => {
    server.nonces = 'required';
    server.server.on('request', () => server.rotate());
    const error: unknown = await api.get('/orders').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ response: { status: 401 } });
    expect(server.sends()).toBe(2);
    expect(server.refreshes).toBe(0);
  });

  // F50
  test('a clock that is twenty minutes off costs one send, and no refresh', async () => {
    server.aheadMs = -20 * 60_000;
    expect((await api.get('/orders')).status).toBe(200);
    await api.get('/orders');
    expect(server.sends()).toBe(3);
    expect(server.refreshes).toBe(0);
  });

  test('a clock that is off, and a dead token: the grant is repeated, too', async () => {
    server.tokens.clear();
    server.aheadMs = 20 * 60_000;
    expect((await api.get('/orders')).status).toBe(200);
    expect(server.refreshes).toBe(1);
    expect(server.seen.filter(({ url }) => url === '/token')).toHaveLength(2);
  });

  // F23
  test('a server that refuses every token gets one refresh, and the circuit breaker opens', async () => {
    server.onRefresh = () => server.tokens.clear();
    server.tokens.clear();
    for (let call = 0; call < 20; call++) await api.get('/orders', { validateStatus: null });
    expect(server.refreshes).toBe(1);
    expect(server.sends()).toBe(21);
  });

  test.each([
    ['a 503', 503, {}],
    ['a 429', 429, { 'Retry-After': '1' }],
  ])('a new proof is made after %s', async (_what, status, headers) => {
    let failures = 1;
    server.intercept = (response) => failures-- > 0 && (reply(response, status, {}, headers), true);
    const answer = await api.get('/orders');
    expect(exchangeOf(answer)?.attempts).toBe(2);
    expect(new Set(server.seen.map((seen) => seen.headers['dpop'])).size).toBe(2);
    expect(server.proofs.resource).toHaveLength(1);
  });

  test('no error, event or response shows token or proof', async () => {
    for (const status of [200, 401]) {
      if (status === 401) server.intercept = (response) => (reply(response, 401), true);
      const shown = await shownOf(api.post('/orders', { a: 1 }), events, scheme);
      const { authorization, dpop: proof } = server.seen.at(-1)!.headers;
      for (const secret of [authorization!.slice(5), 'at-0', String(proof), String(proof).split('.')[2]!])
        expect(shown).not.toContain(secret);
    }
  });

  test('another origin gets neither token nor proof', async () => {
    const other = await serveDpop();
    await api.get(`${other.origin}/`, { validateStatus: null });
    expect(Object.keys(other.seen[0]!.headers)).not.toEqual(expect.arrayContaining(['authorization']));
    expect(other.seen[0]!.headers['dpop']).toBeUndefined();
    await other.close();
  });
});

const isHere = isChromiumInstalled();
if (!isHere && process.env['REQUIRE_REAL'] === '1') throw new Error('REQUIRE_REAL=1, but there is no chromium');

declare const tab: typeof tabModule;

(isHere ? describe : describe.skip)('three tabs of Chromium with one key in IndexedDB', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startChromium();
  });
  afterAll(() => browser.close());

  test('they make one non-extractable key pair, and share the session: one refresh for each expiry', async () => {
    const site = await serveDpop({
      '/page': '<!doctype html><script src="/page.js"></script>',
      '/page.js': bundle('support/dpop-tab.ts', 'tab'),
      '/favicon.ico': '',
    });
    const context = await browser.newContext();
    const everywhere = <T>(work: (page: Page) => Promise<T>): Promise<T[]> => Promise.all(pages.map(work));
    const pages = await Promise.all(Array.from({ length: 3 }, () => context.newPage()));
    await everywhere((page) => page.goto(`${site.origin}/page`));

    const thumbprints = new Set(await everywhere((page) => page.evaluate(() => tab.prover.thumbprint())));
    expect(thumbprints.size).toBe(1);
    expect(await everywhere((page) => page.evaluate(() => tab.stolen()))).toEqual(Array(3).fill('InvalidAccessError'));

    const [jkt] = [...thumbprints];
    site.tokens.set('first', jkt);
    await pages[0]!.evaluate(() => tab.signIn({ access_token: 'first', refresh_token: 'rt' }));
    await pages[1]!.waitForFunction(() => localStorage.getItem('session')?.includes('first'));
    expect(await everywhere((page) => page.evaluate(() => tab.call()))).toEqual([200, 200, 200]);
    for (let expiry = 1; expiry <= 3; expiry++) {
      site.tokens.clear();
      expect(await everywhere((page) => page.evaluate(() => tab.call()))).toEqual([200, 200, 200]);
      expect(site.refreshes).toBe(expiry);
    }
    expect(new Set(site.proofs.resource.map((proof) => proof.jkt))).toEqual(thumbprints);

    const reloaded = await context.newPage();
    await reloaded.goto(`${site.origin}/page`);
    expect(await reloaded.evaluate(() => tab.prover.thumbprint())).toBe(jkt);
    await context.close();
    await site.close();
  });
});
