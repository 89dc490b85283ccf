import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axios, {
  type AxiosAdapter,
  type AxiosError,
  type AxiosRequestConfig,
  type InternalAxiosRequestConfig,
} from 'axios';
import {
  apiKey,
  attachAuth,
  bearer,
  exchangeOf,
  signed,
  type AttachAuthOptions,
  type AuthError,
  type AuthScheme,
  type BearerScheme,
} from '../lib/index.js';
import { failureOf, inTurn, listenIn, onlyFor, servers } from './support/answers.js';
import { recording } from './support/recording.js';
import { reply, type Recorder } from './support/serve.js';

const start = servers();
const adapters = ['http', 'fetch'] as const;

const CANARY = 'canary-5bd1f0c6';

interface Places {
  readonly own: Recorder;
  readonly foreign: Recorder;
  /** The bytes that the foreign origin has received. */
  readonly receivedBytes: () => string;
}

async function places(): Promise<Places> {
  const own = await start(inTurn(200));
  const foreign = await start(inTurn(200));
  return { own, foreign, receivedBytes: listenIn(foreign) };
}

// F75
test.each([
  ['a relative URL without a base', undefined, '/x'],
  ['an invalid host', 'https://api.example.com', 'http://[bad/x'],
  ['an invalid base', 'https://exa mple', '/x'],
  ['a base with a blank at its end', 'http://127.0.0.1:1 ', ''],
])('%s is sent unchanged although a scheme has read it', async (_what, baseURL, url) => {
  const { adapter, sent } = pretend();
  // The name of an adapter of axios.
  const real = Object.assign(adapter, { adapterName: 'http' });
  const scheme = signed(({ url: seen }) => ({ Authorization: `Signed ${seen.pathname}` }));
  const { api } = client({ adapter: real, ...(baseURL !== undefined && { baseURL }) }, { scheme });
  const params = { q: 1 };
  await api.get(url, { params });
  expect(sent).toHaveLength(1);
  expect(sent[0]).toMatchObject({ url, params });
});

test('the origin of a URL object as baseURL is checked at every call', async () => {
  const { adapter, sent, credentials } = pretend();
  const { api } = client({ adapter, baseURL: 'https://api.example.com' });
  const base = new URL('https://api.example.com');
  await api.get('', { baseURL: base as unknown as string });
  base.host = 'evil.example.com';
  await api.get('/x', { baseURL: base as unknown as string });
  expect(sent.map(({ baseURL }) => baseURL)).toEqual(['https://api.example.com/', 'https://evil.example.com/']);
  expect(credentials()).toEqual([`Bearer ${CANARY}`, undefined]);
});

test('a URL object counts as its text', async () => {
  const { adapter, sent, credentials } = pretend();
  const { api } = client({ adapter, baseURL: 'https://api.example.com' });
  const url = new URL('https://api.example.com/x') as unknown as string;
  await api.get(url, { params: { q: 1 } });
  await api.get(new URL('https://user@api.example.com/x') as unknown as string);
  expect(sent.map((config) => config.url)).toEqual(['https://api.example.com/x', 'https://user@api.example.com/x']);
  expect(credentials()).toEqual([`Bearer ${CANARY}`, undefined]);
});

function client(defaults: AxiosRequestConfig, options: Partial<AttachAuthOptions> = {}) {
  const api = axios.create(defaults);
  const handle = attachAuth(api, { scheme: bearer(CANARY), retry: false, ...options });
  return { api, handle };
}

/** An adapter that answers with `status` and records each config. */
function pretend(status = 200): {
  adapter: AxiosAdapter;
  sent: InternalAxiosRequestConfig[];
  credentials: () => unknown[];
} {
  const sent: InternalAxiosRequestConfig[] = [];
  return {
    sent,
    credentials: () => sent.map(({ headers }) => headers.get('Authorization')),
    adapter: (config) => {
      sent.push(config);
      return Promise.resolve({ status, statusText: '', headers: {}, config, data: {} });
    },
  };
}

/** URLs that parsers may read differently. Some of them lead to `there`. */
function spellings(there: string, own: string): string[] {
  const host = there.replace('http://', '');
  const home = own.replace('http://', '');
  return [
    `http://${host}/x`,
    `HTTP://${host}/x`,
    `hTtP://${host}/x`,
    `//${host}/x`,
    `///${host}/x`,
    `////${host}/x`,
    `\\\\${host}\\x`,
    `/\\${host}/x`,
    `\\/${host}/x`,
    `http:${host}/x`,
    `http:/${host}/x`,
    `http:///${host}/x`,
    `http:\\\\${host}\\x`,
    `http:/\\${host}/x`,
    `http:\\/${host}/x`,
    ` http://${host}/x`,
    `\thttp://${host}/x`,
    `\nhttp://${host}/x`,
    `\u0000http://${host}/x`,
    `\u00a0http://${host}/x`,
    `ht\ttp://${host}/x`,
    `http\n://${host}/x`,
    `http:/\t/${host}/x`,
    `\t//${host}/x`,
    `/\t/${host}/x`,
    ` //${host}/x`,
    `http://${home}@${host}/x`,
    `http://${home}\\@${host}/x`,
    `http://${home}%40@${host}/x`,
    `http://${host}#@${home}/x`,
    `http://${host}?@${home}/x`,
    `http://${host}\\@${home}/x`,
    `http://user:pass@${host}/x`,
    `http://@${host}/x`,
    `http://:@${host}/x`,
    `@${host}/x`,
    `:80@${host}/x`,
    `.${host}/x`,
    `..//${host}/x`,
    `.//${host}/x`,
    `/..//${host}/x`,
    `?//${host}/x`,
    `#//${host}/x`,
    `%2f%2f${host}/x`,
    `http://127.1:${host.split(':')[1] ?? ''}/x`,
    `http://2130706433:${host.split(':')[1] ?? ''}/x`,
    `http://0x7f.1:${host.split(':')[1] ?? ''}/x`,
    `http://127.0.0.1.:${host.split(':')[1] ?? ''}/x`,
    `http://１２７.0.0.1:${host.split(':')[1] ?? ''}/x`,
    `http://localhost:${host.split(':')[1] ?? ''}/x`,
    `https://${host}/x`,
    `ftp://${host}/x`,
    `file://${host}/x`,
    `blob:http://${host}/x`,
    `javascript://${host}/x`,
    `data:text/plain,http://${host}/x`,
  ];
}

const ways: [way: string, config: (url: string, own: string) => AxiosRequestConfig][] = [
  ['as its URL', (url, own) => ({ baseURL: own, url })],
  ['as its URL behind a base with a slash', (url, own) => ({ baseURL: `${own}/`, url })],
  ['as its URL, absolute URLs forbidden', (url, own) => ({ baseURL: own, url, allowAbsoluteUrls: false })],
  ['as its baseURL', (baseURL) => ({ baseURL, url: '/y' })],
  ['as its baseURL, without a URL', (baseURL) => ({ baseURL })],
  ['as its baseURL and its URL', (baseURL) => ({ baseURL, url: baseURL })],
];

describe.each(adapters)('over the %s adapter', (adapter) => {
  test.each(ways)('no spelling of a foreign origin that a call has %s gets a credential', async (_way, config) => {
    const { own, foreign, receivedBytes } = await places();
    const { api } = client({ baseURL: own.origin, adapter });
    for (const spelling of spellings(foreign.origin, own.origin)) {
      await api.request(config(spelling, own.origin)).catch(() => undefined);
      expect([spelling, receivedBytes().includes(CANARY)]).toEqual([spelling, false]);
    }
  });

  test('some of those spellings lead to the foreign origin', async () => {
    const { own, foreign } = await places();
    const { api } = client({ baseURL: own.origin, adapter });
    for (const spelling of spellings(foreign.origin, own.origin)) await api.get(spelling).catch(() => undefined);
    expect(foreign.seen.length).toBeGreaterThan(8);
    expect(own.seen.length).toBeGreaterThan(8);
    expect(own.seen.every((seen) => seen.headers.authorization === `Bearer ${CANARY}`)).toBe(true);
  });

  test('an absolute URL of another origin is sent without credentials', async () => {
    const { own, foreign, receivedBytes } = await places();
    const { api } = client({ baseURL: own.origin, adapter });
    await api.get(`${foreign.origin}/x`);
    expect(foreign.seen.map((seen) => seen.headers.authorization)).toEqual([undefined]);
    expect(receivedBytes()).not.toContain(CANARY);
  });

  test('another port and another host name of the same server are other origins', async () => {
    const { own, foreign } = await places();
    const { api } = client({ baseURL: own.origin, adapter });
    const port = new URL(own.origin).port;
    await api.get(foreign.origin);
    await api.get(`http://localhost:${port}/`).catch(() => undefined);
    await api.get(`http://127.0.0.2:${port}/`).catch(() => undefined);
    expect([...own.seen, ...foreign.seen].map((seen) => seen.headers.authorization).filter(Boolean)).toEqual([]);
  });

  test.each([
    ['in full', (own: string) => `${own}/x`],
    ['in upper case', (own: string) => `${own.toUpperCase()}/x`],
    ['with an IPv4 address in short', (own: string) => `${own.replace('127.0.0.1', '127.1')}/x`],
    ['with an IPv4 address as a number', (own: string) => `${own.replace('127.0.0.1', '0x7f000001')}/x`],
    ['with tabs in it', (own: string) => `${own.replace('127', '1\t27')}/x`],
    ['by a path alone', () => '/x'],
    ['by a path without a slash', () => 'x'],
  ])('the own origin written %s gets credentials', async (_how, url) => {
    const { own } = await places();
    const { api } = client({ baseURL: own.origin, adapter });
    await api.get(url(own.origin));
    expect(own.seen.map((seen) => [seen.url, seen.headers.authorization])).toEqual([['/x', `Bearer ${CANARY}`]]);
  });

  test('with allowAbsoluteUrls false an absolute URL is a path of the own origin', async () => {
    const { own, foreign, receivedBytes } = await places();
    const { api } = client({ baseURL: own.origin, adapter, allowAbsoluteUrls: false });
    await api.get(`${foreign.origin}/x`);
    expect(own.seen.map((seen) => [seen.url, seen.headers.authorization])).toEqual([
      [`/${foreign.origin}/x`, `Bearer ${CANARY}`],
    ]);
    expect(receivedBytes()).toBe('');
  });

  // Before 1.15 axios forbids absolute URLs for any falsy value.
  test.each([false, 0, '', '0'])('with allowAbsoluteUrls %j no credential leaves the own origin', async (allowed) => {
    const { own, foreign, receivedBytes } = await places();
    const { api } = client({ baseURL: own.origin, adapter });
    const wrapped: AxiosAdapter = (config) =>
      (axios.getAdapter as (name: string, config: object) => AxiosAdapter)(adapter, config)(config);
    const allowAbsoluteUrls = allowed as boolean;
    for (const way of [{}, { adapter: wrapped }]) {
      await api.get(`${own.origin}/x`, { ...way, baseURL: foreign.origin, allowAbsoluteUrls }).catch(() => undefined);
      await api.get(`${foreign.origin}/x`, { ...way, allowAbsoluteUrls }).catch(() => undefined);
    }
    expect(receivedBytes()).not.toContain(CANARY);
  });

  test('the baseURL of a call does not make its origin the own one', async () => {
    const { own, foreign, receivedBytes } = await places();
    const { api } = client({ baseURL: own.origin, adapter });
    await api.get('/x', { baseURL: foreign.origin });
    await api.get('/x');
    expect(foreign.seen).toHaveLength(1);
    expect(receivedBytes()).not.toContain(CANARY);
    expect(own.seen[0]?.headers.authorization).toBe(`Bearer ${CANARY}`);
  });

  test('a baseURL that is changed later is read at each call', async () => {
    const { own, foreign, receivedBytes } = await places();
    const { api } = client({ baseURL: own.origin, adapter });
    await api.get('/1');
    api.defaults.baseURL = foreign.origin;
    await api.get('/2');
    await api.get(`${own.origin}/3`);
    api.defaults.baseURL = own.origin;
    await api.get('/4');
    await api.get(`${foreign.origin}/5`);
    expect(own.seen.map((seen) => [seen.url, seen.headers.authorization])).toEqual([
      ['/1', `Bearer ${CANARY}`],
      ['/3', undefined],
      ['/4', `Bearer ${CANARY}`],
    ]);
    expect(foreign.seen.map((seen) => [seen.url, seen.headers.authorization])).toEqual([
      ['/2', `Bearer ${CANARY}`],
      ['/5', undefined],
    ]);
    expect(receivedBytes().split(CANARY)).toHaveLength(2);
  });

  test('without a baseURL an absolute URL is refused, and the error names the option', async () => {
    const { own } = await places();
    const receivedBytes = listenIn(own);
    const { api } = client({ adapter });
    const error = (await failureOf(api.get(`${own.origin}/x?secret=1`))) as AuthError;
    expect(error).toMatchObject({
      code: 'ERR_AUTH_FOREIGN_ORIGIN',
      isAxiosError: true,
      config: { url: `${own.origin}/x?secret=1` },
    });
    expect(error.message).toContain(`origins: ['${own.origin}']`);
    expect(exchangeOf(error)).toMatchObject({ attempts: 0 });
    expect(receivedBytes()).toBe('');
  });

  test('without a baseURL a call without credentials of the scheme is sent', async () => {
    const { own } = await places();
    const { api } = client({ adapter });
    await api.get(`${own.origin}/1`, { attachAuth: { credentials: 'omit' } });
    await api.get(`${own.origin}/2`, { attachAuth: false });
    await api.get(`${own.origin}/3`, { headers: { Authorization: 'Own 1' } });
    await api.get(`${own.origin}/4`, { auth: { username: 'u', password: 'p' } });
    expect(own.seen.map((seen) => seen.headers.authorization)).toEqual([undefined, undefined, 'Own 1', 'Basic dTpw']);
  });

  test('`origins` replaces the origin of the baseURL', async () => {
    const { own, foreign } = await places();
    const listed = await start(inTurn(200));
    const { api } = client({ baseURL: own.origin, adapter }, { origins: [foreign.origin, `${listed.origin}/`] });
    await api.get('/x');
    await api.get(`${foreign.origin}/x`);
    await api.get(`${listed.origin.toUpperCase()}/x`);
    const got = [own, foreign, listed].map(({ seen }) => seen[0]?.headers.authorization);
    expect(got).toEqual([undefined, `Bearer ${CANARY}`, `Bearer ${CANARY}`]);
  });

  test("origins '*' trusts any origin", async () => {
    const { own, foreign } = await places();
    const { api } = client({ adapter }, { origins: '*' });
    await api.get(`${own.origin}/x`);
    await api.get(`${foreign.origin}/x`);
    expect([own, foreign].map(({ seen }) => seen[0]?.headers.authorization)).toEqual([
      `Bearer ${CANARY}`,
      `Bearer ${CANARY}`,
    ]);
  });

  test("foreignOrigin 'refuse' rejects a call to another origin unsent, and sends calls to the own one", async () => {
    const { own, foreign, receivedBytes } = await places();
    const { api } = client({ baseURL: own.origin, adapter }, { foreignOrigin: 'refuse' });
    const error = (await failureOf(api.get(`${foreign.origin}/x`))) as AuthError;
    expect(error.code).toBe('ERR_AUTH_FOREIGN_ORIGIN');
    expect(error.message).toMatch(
      /is not one of the origins that may receive credentials \(`foreignOrigin: 'refuse'`\)/,
    );
    expect(error.message).toContain(foreign.origin);
    expect(exchangeOf(error)).toMatchObject({ attempts: 0 });
    expect(receivedBytes()).toBe('');
    await api.get('/x');
    expect(own.seen).toHaveLength(1);
  });

  test('a 401 of another origin refreshes nothing', async () => {
    const { own } = await places();
    const foreign = await start(inTurn(401));
    const refresh = jest.fn(() => ({ accessToken: `${CANARY}-2` }));
    const events: string[] = [];
    const { api } = client(
      { baseURL: own.origin, adapter },
      {
        scheme: bearer({ tokens: { accessToken: CANARY, refreshToken: 'r' }, refresh }),
        retry: {},
        onEvent: ({ type }) => events.push(type),
      },
    );
    const error = (await failureOf(api.get(foreign.origin))) as AxiosError;
    expect(error.response?.status).toBe(401);
    expect(error.code).toBe('ERR_BAD_REQUEST');
    expect(exchangeOf(error)).toMatchObject({ attempts: 1, refreshed: false });
    expect(refresh).not.toHaveBeenCalled();
    expect(events).toEqual(['refusal-ignored']);
    await api.get('/x');
    expect(own.seen[0]?.headers.authorization).toBe(`Bearer ${CANARY}`);
  });

  test.each(['called', 'reached by a redirect'])(
    'the Date of another origin that is %s does not change the clock',
    async (how) => {
      const date = { Date: 'Thu, 01 Jan 2015 00:00:00 GMT' };
      const foreign = await start((seen, response) => {
        reply(response, seen.url === '/401' ? 401 : 200, {}, date);
      });
      const own = await start((seen, response) => {
        if (seen.url === '/x') reply(response, 200);
        else reply(response, 302, {}, { Location: foreign.origin + seen.url });
      });
      const times: number[] = [];
      const scheme = signed(({ now }) => {
        times.push(now);
        return { 'X-Signature': CANARY };
      });
      const { api } = client({ baseURL: own.origin, adapter }, { scheme });
      const base = how === 'called' ? foreign.origin : own.origin;
      await api.get(`${base}/200`);
      await failureOf(api.get(`${base}/401`));
      await api.get('/x');
      expect(Math.abs((times.at(-1) ?? 0) - Date.now())).toBeLessThan(60_000);
    },
  );

  test('a 429 of another origin delays no call to the own one', async () => {
    const { own } = await places();
    const foreign = await start(inTurn([429, { 'Retry-After': '3000' }]));
    const { api } = client({ baseURL: own.origin, adapter }, { retry: {} });
    await Promise.all([failureOf(api.get(`${foreign.origin}/1`)), failureOf(api.get(`${foreign.origin}/2`))]);
    const answer = await api.get('/1');
    expect(exchangeOf(answer)).toEqual({ call: 3, attempts: 1, refreshed: false, waitedMs: 0 });
  });

  describe('a call with its own', () => {
    const theirs: [what: string, config: (own: string) => AxiosRequestConfig, credential: string][] = [
      ['Authorization', () => ({ url: '/x', headers: { Authorization: 'Own 1' } }), 'Own 1'],
      ['authorization in lower case', () => ({ url: '/x', headers: { authorization: 'Own 2' } }), 'Own 2'],
      ['auth', () => ({ url: '/x', auth: { username: 'u', password: 'p' } }), 'Basic dTpw'],
    ];
    const fromUrl: typeof theirs = [
      ['user-info in its URL', (own) => ({ url: `${own.replace('://', '://u:p@')}/x` }), 'Basic dTpw'],
      ['user-info in its baseURL', (own) => ({ baseURL: own.replace('://', '://u:p@'), url: '/x' }), 'Basic dTpw'],
    ];

    // Some axios versions refuse user-info over fetch. The result of plain axios is the expected one.
    test.each([...theirs, ...fromUrl])(
      '%s keeps it, and its 401 starts no refresh',
      async (_what, config, credential) => {
        const server = await start(inTurn(401));
        const plain = (await failureOf(
          axios.request({ baseURL: server.origin, adapter, ...config(server.origin) }),
        )) as AxiosError;
        const refresh = jest.fn(() => ({ accessToken: `${CANARY}-2` }));
        const scheme = bearer({ tokens: { accessToken: CANARY, refreshToken: 'r' }, refresh });
        const { api } = client({ baseURL: server.origin, adapter }, { scheme });
        const error = (await failureOf(api.request(config(server.origin)))) as AxiosError;
        expect(error.response?.status).toBe(plain.response?.status);
        expect(exchangeOf(error)).toMatchObject({ attempts: 1, refreshed: false });
        expect(refresh).not.toHaveBeenCalled();
        const due = plain.response ? [credential, credential] : [];
        expect(server.seen.map((seen) => seen.headers.authorization)).toEqual(due);
      },
    );

    test.each([null, undefined])('auth does not have one if auth is %p', async (auth) => {
      const server = await start(inTurn(200));
      const { api } = client({ baseURL: server.origin, adapter });
      await api.get('/x', { auth: auth as never });
      expect(server.seen.map((seen) => seen.headers.authorization)).toEqual([`Bearer ${CANARY}`]);
    });

    test.each(theirs)('%s is retried after a 503', async (_what, config, credential) => {
      const server = await start(inTurn(503, 200));
      const { api } = client({ baseURL: server.origin, adapter }, { retry: { baseDelayMs: 1 } });
      const answer = await api.request(config(server.origin));
      expect(exchangeOf(answer)).toMatchObject({ attempts: 2 });
      expect(server.seen.map((seen) => seen.headers.authorization)).toEqual([credential, credential]);
    });
  });

  test('an Authorization in the defaults of the instance is kept', async () => {
    const { own } = await places();
    const { api } = client({ baseURL: own.origin, adapter, headers: { Authorization: 'Own 3' } });
    await api.get('/x');
    expect(own.seen[0]?.headers.authorization).toBe('Own 3');
  });

  test('an API key in the headers of a call is kept', async () => {
    const { own } = await places();
    const { api } = client({ baseURL: own.origin, adapter }, { scheme: apiKey(CANARY) });
    await api.get('/x', { headers: { 'x-api-key': 'own' } });
    await api.get('/x');
    expect(own.seen.map((seen) => seen.headers['x-api-key'])).toEqual(['own', CANARY]);
  });
});

test('a relative URL without a base counts as own, and a scheme reads it with the host localhost', async () => {
  const { adapter, credentials } = pretend();
  const urls: string[] = [];
  const scheme: AuthScheme = signed(({ url }) => {
    urls.push(url.href);
    return { Authorization: 'Signed 1' };
  });
  const { api } = client({ adapter }, { scheme });
  await api.get('/users', { params: { q: 'a b' } });
  await api.get('users');
  await api.get('/users', { baseURL: '/api' });
  expect(urls).toEqual(['http://localhost/users?q=a+b', 'http://localhost/users', 'http://localhost/api/users']);
  expect(credentials()).toEqual(['Signed 1', 'Signed 1', 'Signed 1']);
});

test.each([
  '//evil.example/x',
  '\\\\evil.example/x',
  '/\\evil.example/x',
  'https://evil.example/x',
  '\t//evil.example/x',
  ' \n/\\evil.example/x',
])('over a mock %j is another origin', async (url) => {
  const { adapter, credentials } = pretend();
  const { api } = client({ adapter }, { origins: ['https://api.example.com'] });
  await api.get(url);
  expect(credentials()).toEqual([undefined]);
});

test.each([
  ['https://api.example.com:443', 'https://API.example.com/x'],
  ['https://api.example.com', 'https://api.example.com:443/x'],
  ['https://api.example.com/', 'HTTPS://api.EXAMPLE.com:0443/x'],
  // A backslash ends the host in the URL standard.
  ['https://api.example.com', 'https://api.example.com\\@evil.example/x'],
  ['https://bücher.example', 'https://xn--bcher-kva.example/x'],
  ['https://xn--bcher-kva.example', 'https://BÜCHER.example/x'],
  ['http://localhost:80', 'http://LOCALHOST/x'],
  ['http://[::1]:8080', 'http://[0:0:0:0:0:0:0:1]:8080/x'],
])('the origin %s includes %s', async (origin, url) => {
  const listed = pretend();
  await client({ adapter: listed.adapter }, { origins: [origin] }).api.get(url);
  const based = pretend();
  await client({ adapter: based.adapter, baseURL: origin }).api.get(url);
  expect([...listed.credentials(), ...based.credentials()]).toEqual([`Bearer ${CANARY}`, `Bearer ${CANARY}`]);
});

test.each([
  'https://api.example.com.evil.example/x',
  'https://api.example.com@evil.example/x',
  'https://evil.example/https://api.example.com/x',
  'https://evil.example#https://api.example.com',
  'https://sub.api.example.com/x',
  'https://example.com/x',
  'https://api.example.com:8443/x',
  'https://api.example.com./x',
  'https://apiXexample.com/x',
  'http://api.example.com/x',
  'wss://api.example.com/x',
  'https://api.еxample.com/x',
])('the origin https://api.example.com does not include %s', async (url) => {
  const { adapter, credentials } = pretend();
  const { api } = client({ adapter, baseURL: 'https://api.example.com' });
  await api.get(url);
  expect(credentials()).toEqual([undefined]);
});

describe('credentials over plain http', () => {
  test.each([
    'http://api.example.com',
    'http://10.0.0.5',
    'http://192.168.1.1:3000',
    'http://0.0.0.0:3000',
    'http://[::2]',
    'http://128.0.0.1',
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example',
    'http://evil-localhost',
    'http://localhost@evil.example',
  ])('to %s are refused, unsent', async (baseURL) => {
    const { adapter, sent } = pretend();
    const { api } = client({ adapter, baseURL }, { origins: '*' });
    const error = (await failureOf(
      api.get('/x', baseURL.includes('@') ? { baseURL: 'http://evil.example' } : {}),
    )) as AuthError;
    expect(error.code).toBe('ERR_AUTH_INSECURE');
    expect(error.message).toMatch(/credentials would go to http:.* unencrypted\. Use https, or `allowInsecure`\.$/);
    expect(error.message).toContain('allowInsecure');
    expect(JSON.stringify(error)).not.toContain(CANARY);
    expect(exchangeOf(error)).toMatchObject({ attempts: 0 });
    expect(sent).toEqual([]);
  });

  test.each([
    'http://localhost',
    'http://LOCALHOST:3000',
    'http://localhost.',
    'http://api.localhost',
    'http://127.0.0.1:8080',
    'http://127.1.2.3',
    'http://0x7f.1',
    'http://[::1]:8080',
  ])('to %s are allowed: that is loopback', async (baseURL) => {
    const { adapter, credentials } = pretend();
    await client({ adapter, baseURL }).api.get('/x');
    expect(credentials()).toEqual([`Bearer ${CANARY}`]);
  });

  test('are allowed anywhere with allowInsecure true', async () => {
    const { adapter, credentials } = pretend();
    await client({ adapter, baseURL: 'http://10.0.0.5' }, { allowInsecure: true }).api.get('/x');
    expect(credentials()).toEqual([`Bearer ${CANARY}`]);
  });

  test('are allowed to the origins that allowInsecure names, and to no other', async () => {
    const { adapter, sent } = pretend();
    const { api } = client({ adapter }, { origins: '*', allowInsecure: ['http://10.0.0.5:8080'] });
    await api.get('http://10.0.0.5:8080/x');
    await expect(api.get('http://10.0.0.5/x')).rejects.toMatchObject({ code: 'ERR_AUTH_INSECURE' });
    await expect(api.get('http://10.0.0.6:8080/x')).rejects.toMatchObject({ code: 'ERR_AUTH_INSECURE' });
    expect(sent).toHaveLength(1);
  });

  test('are not checked for a call without credentials', async () => {
    const { adapter, credentials } = pretend();
    const { api } = client({ adapter, baseURL: 'http://10.0.0.5' });
    await api.get('/x', { attachAuth: { credentials: 'omit' } });
    await api.get('http://10.0.0.6/x');
    await api.get('/x', { headers: { Authorization: 'Own 1' } });
    expect(credentials()).toEqual([undefined, undefined, 'Own 1']);
  });

  test('over https go to any host', async () => {
    const { adapter, credentials } = pretend();
    await client({ adapter, baseURL: 'https://10.0.0.5' }).api.get('/x');
    expect(credentials()).toEqual([`Bearer ${CANARY}`]);
  });
});

describe('a unix socket', () => {
  const path = join(tmpdir(), `attach-auth-${randomUUID().slice(0, 8)}.sock`);
  const seen: (string | undefined)[] = [];
  /** Given before the 200s. */
  const answers: [status: number, headers: Record<string, string>][] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization);
    const [status, headers] = answers.shift() ?? [200, {}];
    reply(response, status, '', headers);
  });
  const rotating = (): BearerScheme =>
    bearer({ tokens: { accessToken: 'old', refreshToken: 'r' }, refresh: () => ({ accessToken: 'new' }) });
  beforeAll(() => new Promise<void>((resolve) => server.listen(path, resolve)));
  beforeEach(() => seen.splice(0));
  afterAll(
    () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  );

  test('gets no credential, whatever the host of the URL', async () => {
    const { api } = client({ baseURL: 'http://localhost', adapter: 'http' });
    await api.get('/x', { socketPath: path });
    await api.get('http://localhost/x', { socketPath: path });
    await client({ baseURL: 'http://localhost', adapter: 'http', socketPath: path }).api.get('/x');
    expect(seen).toEqual([undefined, undefined, undefined]);
  });

  test("gets credentials if `origins` is '*'", async () => {
    const { api } = client({ baseURL: 'http://localhost', adapter: 'http', socketPath: path }, { origins: '*' });
    await api.get('/x');
    expect(seen).toEqual([`Bearer ${CANARY}`]);
  });

  test.each([401, 429, 503])('recovers from a %i', async (status) => {
    const { api } = client(
      { baseURL: 'http://localhost', adapter: 'http', socketPath: path },
      { origins: '*', scheme: rotating(), retry: {} },
    );
    answers.push([status, { 'Retry-After': '0' }]);
    expect((await api.get('/x')).status).toBe(200);
    expect(seen).toEqual(['Bearer old', status === 401 ? 'Bearer new' : 'Bearer old']);
  });

  test('keeps the credential at a redirect within the socket', async () => {
    const { api } = client({ baseURL: 'http://localhost', adapter: 'http', socketPath: path }, { origins: '*' });
    answers.push([302, { Location: '/there' }]);
    await api.get('/x');
    expect(seen).toEqual([`Bearer ${CANARY}`, `Bearer ${CANARY}`]);
  });
});

test('the origin is checked after all request interceptors', async () => {
  const { own, foreign, receivedBytes } = await places();
  for (const order of ['before', 'after']) {
    const api = axios.create({ baseURL: own.origin, adapter: 'http' });
    const toForeign = (config: InternalAxiosRequestConfig): InternalAxiosRequestConfig => ({
      ...config,
      baseURL: foreign.origin,
      url: `/${order}`,
    });
    if (order === 'before') api.interceptors.request.use(toForeign);
    attachAuth(api, { scheme: bearer(CANARY), retry: false });
    if (order === 'after') api.interceptors.request.use(toForeign);
    await api.get('/x');
  }
  expect(foreign.seen.map((seen) => seen.url)).toEqual(['/before', '/after']);
  expect(receivedBytes()).not.toContain(CANARY);
});

test('a refresh replays calls to the own origin only', async () => {
  const own = await start(onlyFor(`${CANARY}-2`));
  const { foreign, receivedBytes } = await places();
  const scheme = bearer({
    tokens: { accessToken: CANARY, refreshToken: 'r' },
    refresh: () => ({ accessToken: `${CANARY}-2` }),
  });
  const { api } = client({ baseURL: own.origin, adapter: 'http' }, { scheme });
  await Promise.all([api.get('/1'), api.get(`${foreign.origin}/2`), api.get('/3')]);
  expect(own.seen.map((seen) => seen.headers.authorization).sort()).toEqual(
    [CANARY, CANARY, `${CANARY}-2`, `${CANARY}-2`].map((token) => `Bearer ${token}`),
  );
  expect(receivedBytes()).not.toContain(CANARY);
});

test.each([
  ['during an asynchronous signature', (sign: () => Record<string, string>) => async () => Promise.resolve(sign())],
  ['during a synchronous signature', (sign: () => Record<string, string>) => sign],
])('a config that is changed %s does not change the send', async (_, slowly) => {
  const sent: InternalAxiosRequestConfig[] = [];
  const adapter: AxiosAdapter = (config) => {
    sent.push(config);
    return Promise.resolve({ status: 200, statusText: '', headers: {}, config, data: '' });
  };
  const api = axios.create({ baseURL: 'https://api.example.com', adapter });
  let held: InternalAxiosRequestConfig | undefined;
  const sign = slowly(() => {
    held!.baseURL = 'https://evil.example.com';
    held!.data = 'forged';
    return { 'X-Proof': CANARY };
  });
  attachAuth(api, { scheme: signed(sign) });
  api.interceptors.request.use((config) => (held = config));
  await api.post('/x', 'true');
  expect(sent).toMatchObject([{ baseURL: 'https://api.example.com', data: 'true', headers: { 'X-Proof': CANARY } }]);
});

test('a baseURL on a polluted Object.prototype is ignored', async () => {
  const { foreign, receivedBytes } = await places();
  const api = axios.create({ adapter: 'http' });
  attachAuth(api, { scheme: bearer(CANARY), retry: false });
  Object.defineProperty(Object.prototype, 'baseURL', { value: foreign.origin, configurable: true, writable: true });
  try {
    await api.get('/x').catch(() => undefined);
  } finally {
    Reflect.deleteProperty(Object.prototype, 'baseURL');
  }
  expect(receivedBytes()).not.toContain(CANARY);
});

// Some platforms send an empty query. What a scheme signs is what is sent, since the call is sent to the URL that the scheme has read.
test.each([
  ['https://api.example.com/x?', 'https://api.example.com/x'],
  ['https://api.example.com/x?#part', 'https://api.example.com/x'],
  ['https://api.example.com/x?y?', 'https://api.example.com/x?y?'],
  ['https://api.example.com/x#a?', 'https://api.example.com/x'],
])('a scheme reads %s as %s', async (url, read) => {
  let seen = '';
  const { api } = recording({
    name: 'Reader',
    authorize(request) {
      seen = request.url.href;
    },
  });
  await api.get(url);
  expect(seen).toBe(read);
});
