import { createHash } from 'node:crypto';
import { createVerifier, httpbis } from 'http-message-signatures';
import type { Browser, Page } from 'playwright-core';
import { bundle, isChromiumInstalled, startChromium } from './support/chromium.js';
import { serve, type Recorder } from './support/serve.js';
import { ALGORITHMS, IMPORT, keysFor, signerFor, type Keys } from './support/signature-keys.js';
import type * as tabModule from './support/signature-tab.js';

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
  /** What an independent verifier says of the requests. */
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
    expect(verdicts).toEqual([true, true, true, true]);
  });
});
