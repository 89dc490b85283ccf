import { inspect } from 'node:util';
import axios, { type AxiosInstance, type AxiosResponse } from 'axios';
import type { Browser, Page } from 'playwright-core';
import { digest } from '../lib/digest.js';
import {
  attachAuth,
  exchangeOf,
  isAuthError,
  type AttachAuthOptions,
  type AuthRequest,
  type AuthEvent,
  type AuthScheme,
} from '../lib/index.js';
import { sigV4, type SigV4Options } from '../lib/sigv4.js';
import { KEYS, serveAws, verify } from './support/aws-server.js';
import { bundle, isChromiumInstalled, startChromium } from './support/chromium.js';
import { serveDigest } from './support/digest-server.js';
import { reply, serve, type Recorder, type Seen } from './support/serve.js';
import type * as tabModule from './support/standards-tab.js';

const PAIR = { username: 'Mufasa', password: 'Circle of Life' };
const CREDENTIALS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: KEYS.AKIDEXAMPLE.secret };
const aws = (options: Partial<SigV4Options> = {}): AuthScheme =>
  sigV4({ service: 'service', region: 'us-east-1', credentials: CREDENTIALS, ...options });

const servers: Recorder[] = [];
afterEach(async () => {
  for (const each of servers.splice(0)) await each.close();
});
const started = <T extends Recorder>(server: T): T => {
  servers.push(server);
  return server;
};

function client(
  server: Recorder,
  scheme: AuthScheme,
  options: Omit<AttachAuthOptions, 'scheme'> = {},
): { api: AxiosInstance; events: AuthEvent[] } {
  const events: AuthEvent[] = [];
  const api = axios.create({ baseURL: server.origin, proxy: false });
  attachAuth(api, { scheme, retry: { baseDelayMs: 20 }, onEvent: (event) => events.push(event), ...options });
  return { api, events };
}

/** All that an app, a log or an inspector can read of a settled call. */
async function shownOf(call: Promise<AxiosResponse>, events: readonly AuthEvent[]): Promise<string> {
  const settled: unknown = await call.catch((error: unknown) => error);
  const { config, response } = settled as AxiosResponse & { response?: AxiosResponse };
  const json = [settled, config, response?.config, response?.data].map((each) => {
    try {
      return JSON.stringify(each);
    } catch {
      return '';
    }
  });
  return [inspect(settled, { depth: 12 }), inspect(events, { depth: 12 }), ...json, String(settled)].join('\n');
}

describe('sigV4() under attachAuth', () => {
  /** Fails once with `status`, then accepts verified requests. */
  const failingOnce = async (
    status: number,
    headers: Record<string, string> = {},
  ): Promise<Recorder & { verdicts: unknown[] }> => {
    const verdicts: unknown[] = [];
    const server = await serve((seen, response) => {
      verdicts.push(verify(seen, {}, Date.now()));
      reply(response, verdicts.length === 1 ? status : 200, {}, headers);
    });
    return started(Object.assign(server, { verdicts }));
  };

  test.each([
    ['a 503', 503, {}],
    ['a 429', 429, { 'Retry-After': '1' }],
  ])('is signed again after %s', async (_, status, headers) => {
    for (const query of [false, true]) {
      const server = await failingOnce(status, headers);
      const scheme = aws({ query });
      const authorize = jest.fn((request: AuthRequest) => scheme.authorize(request));
      const { api } = client(server, { ...scheme, authorize });
      const response = await api.get('/a b', { params: { q: 'c d' } });
      expect(exchangeOf(response)?.attempts).toBe(2);
      expect(authorize).toHaveBeenCalledTimes(2);
      expect(server.verdicts).toEqual([undefined, undefined]);
      const dateOf = ({ headers: sent, url }: Seen): unknown => sent['x-amz-date'] ?? /X-Amz-Date=(\w+)/.exec(url)?.[1];
      // A second has passed.
      if (status === 429) expect(new Set(server.seen.map(dateOf)).size).toBe(2);
    }
  });

  test.each([false, true])('does not show secret and signature (presigned: %s)', async (query) => {
    const credentials = { ...CREDENTIALS, sessionToken: 'a-session-token' };
    const good = started(
      await serveAws({ keys: { AKIDEXAMPLE: { secret: CREDENTIALS.secretAccessKey, token: 'a-session-token' } } }),
    );
    const bad = started(await serveAws({ keys: {} }));
    for (const server of [good, bad]) {
      const { api, events } = client(server, aws({ query, credentials }));
      const shown = await shownOf(api.post('/orders', { a: 1 }, { params: { q: 1 } }), events);
      const [sent] = server.seen;
      const signature = /Signature=(\w{64})/.exec(sent!.headers.authorization ?? sent!.url)?.[1];
      expect(signature).toBeDefined();
      for (const secret of [CREDENTIALS.secretAccessKey, 'a-session-token', signature!])
        expect(shown).not.toContain(secret);
    }
  });

  test('a stream that must be signed is rejected unsent', async () => {
    const server = started(await serveAws());
    const { api } = client(server, aws());
    const { Readable } = await import('node:stream');
    const error: unknown = await api.put('/', Readable.from(['a'])).catch((reason: unknown) => reason);
    expect(isAuthError(error) && error.code).toBe('ERR_AUTH_BODY_NOT_SIGNABLE');
    expect(server.seen).toEqual([]);
  });

  test('another origin gets no signature', async () => {
    const own = started(await serveAws());
    const other = started(await serve((_, response) => reply(response, 200)));
    const { api } = client(own, aws());
    await api.get(`${other.origin}/`);
    expect(Object.keys(other.seen[0]!.headers).filter((name) => /^(?:authorization|x-amz)/.test(name))).toEqual([]);
  });
});

describe('digest() under attachAuth', () => {
  test('30 concurrent calls, twice: all succeed', async () => {
    const server = started(await serveDigest());
    const { api } = client(server, digest(PAIR));
    for (let round = 0; round < 2; round++) {
      const calls = await Promise.all(Array.from({ length: 30 }, () => api.get('/')));
      expect(calls.every((each) => each.status === 200 && exchangeOf(each)!.attempts <= 2)).toBe(true);
    }
  });

  test('a retry increments the nonce count', async () => {
    let count = 0;
    const server = started(await serveDigest({ accept: (_, response) => reply(response, ++count === 1 ? 503 : 200) }));
    const { api } = client(server, digest(PAIR));
    expect((await api.get('/')).status).toBe(200);
    expect(server.verdicts).toEqual(['no credentials', undefined, undefined]);
    expect(server.credentials.map(({ nc }) => nc)).toEqual(['00000001', '00000002']);
  });

  test('does not show password and digest response', async () => {
    const server = started(await serveDigest());
    for (const password of [PAIR.password, 'a-wrong-password']) {
      const { api, events } = client(server, digest({ ...PAIR, password }));
      const shown = await shownOf(api.post('/', { a: 1 }), events);
      for (const secret of [password, server.credentials.at(-1)!['response']!]) expect(shown).not.toContain(secret);
    }
  });

  test('a call with its own Authorization keeps it', async () => {
    const server = started(await serveDigest());
    const { api } = client(server, digest(PAIR));
    await expect(api.get('/', { headers: { Authorization: 'Own' } })).rejects.toMatchObject({
      response: { status: 401 },
    });
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(['Own']);
  });
});

const isHere = isChromiumInstalled();
if (!isHere && process.env['REQUIRE_REAL'] === '1') throw new Error('REQUIRE_REAL=1, but there is no chromium');

declare const tab: typeof tabModule;

(isHere ? describe : describe.skip)('in Chromium, from a page of another origin', () => {
  let browser: Browser;
  let page: Page;
  let site: Recorder;
  beforeAll(async () => {
    const script = bundle('support/standards-tab.ts', 'tab');
    browser = await startChromium();
    site = await serve((seen, response) => {
      response.setHeader('Content-Type', seen.url === '/page' ? 'text/html' : 'text/javascript');
      response.end(seen.url === '/page' ? '<!doctype html><script src="/page.js"></script>' : script);
    });
    page = await browser.newPage();
    await page.goto(`${site.origin}/page`);
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
  });

  /** CORS: pages of other origins may call, and read the headers that the schemes need. */
  function withCors<T extends Recorder>({ server, ...rest }: T): T {
    const [listener] = server.listeners('request') as [(...given: unknown[]) => void];
    server.removeAllListeners('request');
    server.on('request', (request, response) => {
      response.setHeader('Access-Control-Allow-Origin', '*');
      response.setHeader('Access-Control-Allow-Methods', 'GET, POST, PUT');
      response.setHeader('Access-Control-Allow-Headers', request.headers['access-control-request-headers'] ?? '*');
      response.setHeader('Access-Control-Expose-Headers', 'WWW-Authenticate, Authentication-Info, Date');
      if (request.method === 'OPTIONS') response.end();
      else listener(request, response);
    });
    return { server, ...rest } as T;
  }

  test.each([
    ['MD5', 'auth'],
    ['MD5', 'auth-int'],
    ['SHA-256', 'auth'],
    ['SHA-512-256-sess', 'auth-int'],
  ])('Digest, %s, %s, over XHR and fetch', async (algorithm, qop) => {
    const server = started(withCors(await serveDigest({ algorithms: [algorithm], qop })));
    for (const adapter of ['xhr', 'fetch'] as const) {
      const given = { origin: server.origin, adapter, digest: PAIR };
      expect(await page.evaluate((call) => tab.calls(call), given)).toEqual(Array(6).fill(200));
    }
    expect(new Set(server.verdicts)).toEqual(new Set(['no credentials', undefined]));
  });

  test.each([
    ['service', false],
    ['service', true],
    ['s3', false],
    ['s3', true],
  ])('AWS Signature Version 4, %s, presigned: %s, over XHR and fetch', async (service, query) => {
    const server = started(withCors(await serveAws({ service, now: () => Date.now() + 1_200_000 })));
    for (const adapter of ['xhr', 'fetch'] as const) {
      const given = {
        origin: server.origin,
        adapter,
        aws: { service, region: 'us-east-1', query, credentials: CREDENTIALS },
      };
      expect(await page.evaluate((call) => tab.calls(call), given)).toEqual(Array(6).fill(200));
    }
    expect(new Set(server.verdicts)).toEqual(new Set(['RequestTimeTooSkewed', undefined]));
  });
});
