import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import axios, { type AxiosInstance } from 'axios';
import { createVerifier, httpbis } from 'http-message-signatures';
import type { Browser, Page } from 'playwright-core';
import { httpSignature, type HttpSignatureOptions } from '../lib/http-signature.js';
import { attachAuth, exchangeOf, isAuthError, type AuthEvent, type AuthScheme } from '../lib/index.js';
import { bundle, isChromiumInstalled, startChromium } from './support/chromium.js';
import { reply, serve, type Recorder } from './support/serve.js';
import { shownOf } from './support/shown.js';
import { ALGORITHMS, IMPORT, keysFor, signerFor, type Keys } from './support/signature-keys.js';
import type * as tabModule from './support/signature-tab.js';

describe('under attachAuth', () => {
  let keys: Keys;
  let secret: Uint8Array;
  let server: Recorder;
  let api: AxiosInstance;
  let scheme: AuthScheme;
  let events: AuthEvent[];
  let intercept: (response: ServerResponse) => boolean;
  let verdicts: (boolean | null)[];

  const attached = (options: Partial<HttpSignatureOptions> = {}): void => {
    scheme = httpSignature({ keyId: 'service', algorithm: 'ed25519', key: secret, nonce: true, ...options });
    api = axios.create({ baseURL: server.origin });
    attachAuth(api, { scheme, retry: { baseDelayMs: 10 }, onEvent: (event) => events.push(event) });
  };
  beforeAll(async () => {
    keys = await keysFor('ed25519');
    secret = keys.bytes;
  });
  beforeEach(async () => {
    events = [];
    verdicts = [];
    intercept = () => false;
    server = await serve(async (seen, response) => {
      const verifier = createVerifier(keys.publicKey, 'ed25519');
      const request = {
        method: seen.method,
        url: server.origin + seen.url,
        headers: seen.headers as Record<string, string>,
      };
      verdicts.push(
        await httpbis.verifyMessage({ keyLookup: async () => ({ verify: verifier }) }, request).catch(() => false),
      );
      if (!intercept(response)) reply(response, 200, { type: seen.headers['content-type'] ?? null });
    });
    attached();
  });
  afterEach(() => server.close());

  test.each([
    ['a 503', 503, {}],
    ['a 429', 429, { 'Retry-After': '1' }],
  ])('a call is signed again after %s', async (_what, status, headers) => {
    let failures = 1;
    intercept = (response) => failures-- > 0 && (reply(response, status, {}, headers), true);
    const answer = await api.put('/orders/1?b=2', { a: 1 }, { params: { q: 'x y' } });
    expect(exchangeOf(answer)?.attempts).toBe(2);
    expect(verdicts).toEqual([true, true]);
    expect(new Set(server.seen.map(({ headers: sent }) => sent['signature'])).size).toBe(2);
  });

  test.each<[string, () => unknown]>([
    ['JSON', () => ({ text: 'é€' })],
    ['a Blob with a type', () => new Blob(['a'], { type: 'image/png' })],
    ['parameters', () => new URLSearchParams({ a: 'é ' })],
    ['a Buffer', () => Buffer.from([0, 255])],
    ['nothing', () => undefined],
  ])('the signed bytes are the sent bytes: %s, by POST', async (_what, make) => {
    for (const adapter of ['http', 'fetch'] as const) await api.post('/', make(), { adapter });
    expect(verdicts).toEqual([true, true]);
  });

  test('a form that axios makes of plain values rejects the call, since it has no bytes yet', async () => {
    const error: unknown = await api.postForm('/', { a: 1 }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ERR_AUTH_BODY_NOT_SIGNABLE' });
    expect(server.seen).toEqual([]);
  });

  test('a covered header that the call does not have: a TypeError that names it, before anything is sent', async () => {
    attached({ components: ['@method', 'X-Tenant'] });
    const error: unknown = await api.get('/').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain('"x-tenant"');
    expect(server.seen).toEqual([]);
  });

  test('a clock that is off is corrected by the first refusal', async () => {
    const skewed = (response: ServerResponse): boolean => {
      const created = Number(/created=(\d+)/.exec(String(server.seen.at(-1)!.headers['signature-input']))?.[1]);
      const now = Date.now() - 1_200_000;
      if (Math.abs(created * 1000 - now) < 30_000) return false;
      reply(response, 401, {}, { Date: new Date(now).toUTCString() });
      return true;
    };
    intercept = skewed;
    expect((await api.get('/')).status).toBe(200);
    expect(server.seen).toHaveLength(2);
  });

  test('a response with a wrong signature rejects the call, which is not retried', async () => {
    attached({ verify: { keyLookup: () => ({ key: keys.verifying, algorithm: 'ed25519' }) } });
    const error: unknown = await api.get('/').catch((reason: unknown) => reason);
    expect(isAuthError(error) && error.code).toBe('ERR_AUTH_RESPONSE_NOT_VERIFIED');
    expect(server.seen).toHaveLength(1);
  });

  test('an unsigned 503 of a gateway is retried, although responses are verified', async () => {
    attached({ verify: { keyLookup: () => ({ key: keys.verifying, algorithm: 'ed25519' }) } });
    let failures = 1;
    intercept = (response) => failures-- > 0 && (reply(response, 503), true);
    await expect(api.get('/')).rejects.toMatchObject({ code: 'ERR_AUTH_RESPONSE_NOT_VERIFIED' });
    expect(server.seen).toHaveLength(2);
  });

  test('no error, event or response shows key or signature', async () => {
    for (const status of [200, 401]) {
      if (status === 401) intercept = (response) => (reply(response, 401), true);
      const shown = await shownOf(api.post('/orders', { a: 1 }), events, scheme);
      const signature = String(server.seen.at(-1)!.headers['signature']).slice(6, -1);
      expect(signature).toHaveLength(88);
      for (const hidden of [signature, Buffer.from(secret).toString('base64'), [...secret].join(', ')])
        expect(shown).not.toContain(hidden);
    }
  });

  test('another origin gets no signature', async () => {
    const other = await serve((_, response) => reply(response, 200));
    await api.post(`${other.origin}/`, { a: 1 });
    expect(Object.keys(other.seen[0]!.headers).filter((name) => /signature|digest/.test(name))).toEqual([]);
    await other.close();
  });
});

const isHere = isChromiumInstalled();
if (!isHere && process.env['REQUIRE_REAL'] === '1') throw new Error('REQUIRE_REAL=1, but there is no chromium');

declare const tab: typeof tabModule;

jest.setTimeout(120_000);

(isHere ? describe : describe.skip)('in Chromium, by WebCrypto', () => {
  let browser: Browser;
  let page: Page;
  let site: Recorder;
  let algorithm: (typeof ALGORITHMS)[number];
  let keys: Keys;
  /** The results of an independent verifier of the requests. */
  let verdicts: (boolean | null)[];
  let isTampered: boolean;

  const keyOf = (key: Keys['publicKey']): Buffer =>
    algorithm === 'hmac-sha256' ? key.export() : key.export({ type: 'spki', format: 'der' });

  beforeAll(async () => {
    const script = bundle('support/signature-tab.ts', 'tab');
    browser = await startChromium();
    site = await serve(async (seen, response) => {
      if (seen.method === 'GET') {
        response.setHeader('Content-Type', seen.url === '/page' ? 'text/html' : 'text/javascript');
        return void response.end(seen.url === '/page' ? '<!doctype html><script src="/page.js"></script>' : script);
      }
      const verifier = createVerifier(algorithm === 'hmac-sha256' ? keyOf(keys.publicKey) : keys.publicKey, algorithm);
      const request = {
        method: seen.method,
        url: site.origin + seen.url,
        headers: seen.headers as Record<string, string>,
      };
      const requiredFields = ['@method', '@authority', '@path', '@query', 'content-type', 'content-digest'];
      const digest = `sha-256=:${createHash('sha256').update(seen.body).digest('base64')}:`;
      const isValid = await httpbis.verifyMessage(
        { keyLookup: async () => ({ verify: verifier }), requiredFields },
        request,
      );
      verdicts.push(isValid && digest === seen.headers['content-digest']);
      const body = Buffer.from('{"text":"ü"}');
      const headers = { 'Content-Digest': `sha-256=:${createHash('sha256').update(body).digest('base64')}:` };
      const fields = ['@status', 'content-digest', '@query;req'];
      const signed = await httpbis.signMessage(
        { key: signerFor(algorithm, keys), fields },
        { status: 200, headers },
        request,
      );
      response.writeHead(200, { 'Content-Type': 'application/json', ...signed.headers });
      response.end(isTampered ? '{"text":"u"}' : body);
    });
    page = await browser.newPage();
    await page.goto(`${site.origin}/page`);
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
  });
  beforeEach(() => {
    verdicts = [];
    isTampered = false;
  });

  test.each(ALGORITHMS)('%s: requests are signed and responses verified, over XHR and fetch', async (name) => {
    algorithm = name;
    keys = await keysFor(algorithm);
    const call = (adapter: 'xhr' | 'fetch'): Promise<unknown> =>
      page.evaluate((given) => tab.call(given), {
        algorithm,
        adapter,
        signing: Buffer.from(keys.bytes).toString('base64'),
        verifying: keyOf(keys.publicKey).toString('base64'),
        importParams: IMPORT[algorithm] as HmacImportParams,
      });
    expect(await call('xhr')).toEqual({ text: 'ü' });
    expect(await call('fetch')).toEqual({ text: 'ü' });
    isTampered = true;
    expect(await call('xhr')).toBe('ERR_AUTH_RESPONSE_NOT_VERIFIED');
    expect(await call('fetch')).toBe('ERR_AUTH_RESPONSE_NOT_VERIFIED');
    expect(verdicts).toEqual(Array(12).fill(true));
  });
});
