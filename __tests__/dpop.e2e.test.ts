import type { Browser, Page } from 'playwright-core';
import { dpop, dpopProver, type DpopProver } from '../lib/dpop.js';
import { bearer, type BearerOptions, type BearerScheme, type TokenResponse } from '../lib/index.js';
import { bundle, isChromiumInstalled, startChromium } from './support/chromium.js';
import { serveDpop } from './support/dpop-server.js';
import type * as tabModule from './support/dpop-tab.js';
import type * as esm from './support/esm.js';
import { startOidc, type Minted, type Oidc } from './support/oidc.js';
import { drive } from './support/port-driver.js';

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

  /** What an app writes: one refresh_token grant with a proof (RFC 9449 §5), which answers one demand for a nonce. */
  function grant(prover: DpopProver): NonNullable<BearerOptions['refresh']> {
    const url = `${oidc.origin}/token`;
    return async ({ refreshToken = '', client }) => {
      const form = new URLSearchParams({
        ...oidc.publicClient,
        grant_type: 'refresh_token',
        refresh_token: refreshToken,
      });
      const ask = async (): Promise<{ status: number; data: TokenResponse & { error?: string } }> => {
        const headers = { DPoP: await prover.proof({ url, method: 'POST' }) };
        const response = await client.post<TokenResponse & { error?: string }>(url, form, {
          headers,
          validateStatus: null,
        });
        prover.heard(url, response.headers);
        return response;
      };
      let answer = await ask();
      if (answer.data.error === 'use_dpop_nonce') answer = await ask();
      if (answer.status !== 200) throw Object.assign(new Error('refused'), { response: answer });
      return answer.data;
    };
  }

  async function signedIn(
    about: { isDead?: boolean } = {},
  ): Promise<{ minted: Minted; scheme: BearerScheme; prover: DpopProver }> {
    const prover = dpopProver();
    const minted = await oidc.mint({ ...about, jkt: await prover.thumbprint() });
    return { minted, prover, scheme: dpop(bearer({ tokens: minted.tokens, refresh: grant(prover) }), { prover }) };
  }

  async function storm(scheme: BearerScheme, count = 20): Promise<void> {
    const api = drive(scheme, { defaults: { baseURL: oidc.origin } });
    const answers = await Promise.all(Array.from({ length: count }, () => api.get('/me')));
    expect(answers.map(({ data }) => data.sub)).toEqual(Array(count).fill('ada'));
  }

  test('no nonce known and a dead token: twenty calls at once all get 200 with one refresh', async () => {
    const { minted, scheme } = await signedIn({ isDead: true });
    await storm(scheme);
    expect(await oidc.refreshes()).toBe(1);
    expect(await oidc.isGrantAlive(minted.grantId)).toBe(true);
    expect((await oidc.log()).revoked).toEqual([]);
  });

  test('every storm rotates the refresh token once', async () => {
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

const isHere = isChromiumInstalled();
if (!isHere && process.env['REQUIRE_REAL'] === '1') throw new Error('REQUIRE_REAL=1, but there is no chromium');

declare const tab: typeof tabModule;

(isHere ? describe : describe.skip)('three tabs of Chromium with one key in IndexedDB', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startChromium();
  });
  afterAll(() => browser.close());

  test('they make one key pair, which cannot be exported, and share the session: one refresh each time', async () => {
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
