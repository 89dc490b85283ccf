import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import tls from 'node:tls';
import { inspect } from 'node:util';
import axios, { type AxiosError, type AxiosRequestConfig } from 'axios';
import { apiKey, attachAuth, bearer, exchangeOf, signed, type AuthScheme } from '../lib/index.js';
import { failureOf, inTurn, listenIn, servers } from './support/answers.js';
import { certificateFor, type Certificate } from './support/certificate.js';
import type { Recorder } from './support/serve.js';

const start = servers();
const CANARY = 'canary-c2e8d1';

const own = certificateFor('127.0.0.1');
const ofAnotherHost = certificateFor('api.example.com');

const schemes: [name: string, make: () => AuthScheme, header: string][] = [
  ['bearer', () => bearer(CANARY), 'authorization'],
  ['apiKey', () => apiKey(CANARY), 'x-api-key'],
  ['signed', () => signed(({ url }) => ({ 'X-Proof': `${CANARY} ${url.host}` })), 'x-proof'],
];

const adapters = ['http', 'fetch'] as const;

/** Makes every client of this process trust a certificate. Node's fetch has no other way. */
function trust({ cert }: Certificate): void {
  const { connect: connectTls } = tls as { connect: (options: tls.ConnectionOptions) => tls.TLSSocket };
  jest
    .spyOn(tls, 'connect')
    .mockImplementation(((options: tls.ConnectionOptions) =>
      connectTls({ ...options, ca: cert })) as typeof tls.connect);
}
afterEach(() => jest.restoreAllMocks());

function client(server: Recorder, adapter: 'http' | 'fetch', scheme: AuthScheme, defaults: AxiosRequestConfig = {}) {
  const api = axios.create({ baseURL: server.origin, adapter, ...defaults });
  attachAuth(api, { scheme, retry: { baseDelayMs: 1, maxDelayMs: 1 } });
  return api;
}

describe.each(adapters)('over the %s adapter', (adapter) => {
  test.each(schemes)('https to a trusted server sends the credential of %s', async (_name, make, header) => {
    const server = await start(inTurn(200), own);
    const receivedBytes = listenIn(server);
    trust(own);
    await client(server, adapter, make()).get('/x');
    expect(server.seen.map(({ headers }) => headers[header])).toEqual([expect.stringContaining(CANARY)]);
    expect(receivedBytes()).not.toContain(CANARY);
  });

  test.each([
    ['no authority has signed', own, undefined],
    ['is for another host', ofAnotherHost, ofAnotherHost],
  ])('a certificate that %s is refused, and the error shows no credential', async (_what, certificate, trusted) => {
    const server = await start(inTurn(200), certificate);
    if (trusted) trust(trusted);
    const error = (await failureOf(client(server, adapter, bearer(CANARY)).get('/x'))) as AxiosError;
    expect(error.response).toBeUndefined();
    expect(exchangeOf(error)).toMatchObject({ attempts: 1 });
    expect(inspect(error, { depth: Infinity }) + JSON.stringify(error)).not.toContain(CANARY);
    expect(server.seen).toEqual([]);
  });

  test.each(schemes)(
    'a redirect from https to http is followed without the credential of %s',
    async (_name, make, header) => {
      const plain = await start(inTurn(200));
      const receivedBytes = listenIn(plain);
      const server = await start(inTurn([302, { Location: `${plain.origin}/there` }]), own);
      trust(own);
      const { data } = await client(server, adapter, make()).get<unknown>('/here');
      expect(data).toEqual({ answer: 1 });
      expect(server.seen.map(({ headers }) => headers[header])).toEqual([expect.stringContaining(CANARY)]);
      expect(plain.seen.map(({ url }) => url)).toEqual(['/there']);
      expect(receivedBytes()).not.toContain(CANARY);
    },
  );
});

test.each([
  ['a forbidden redirect', '/there', { fetchOptions: { redirect: 'error' } }],
  ['an invalid URL', 'http://[bad/x', {}],
])('fetch: %s is not retried', async (_what, url, config: AxiosRequestConfig) => {
  const server = await start(inTurn([302, { Location: '/elsewhere' }]));
  const error = await failureOf(client(server, 'fetch', bearer(CANARY)).get(url, config));
  expect(exchangeOf(error)).toMatchObject({ attempts: 1 });
  expect(server.seen.length).toBeLessThan(2);
});

// F81
describe('a proxy gets no credential of a call to https', () => {
  /** Before 1.16.1 axios sends an https request to a proxy in plain text. */
  const doesTunnel = !/^1\.(?:\d|1[0-5])\./.test(axios.VERSION);

  /** The result of a call through a proxy, and all bytes that the proxy received. */
  async function throughProxy(make: (server: Recorder, port: number) => Promise<unknown>) {
    const server = await start(inTurn(200), own);
    const asked: string[] = [];
    const chunks: Buffer[] = [];
    const sockets: Socket[] = [];
    const proxy = createServer((request, response) => {
      asked.push(request.url ?? '', ...request.rawHeaders);
      response.end('{}');
    });
    proxy.on('connection', (socket) => sockets.push(socket.on('data', (chunk: Buffer) => chunks.push(chunk))));
    proxy.on('connect', ({ url = '', rawHeaders }, socket) => {
      asked.push(url, ...rawHeaders);
      const onward = connect(Number(new URL(server.origin).port), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        onward.pipe(socket).pipe(onward);
      });
      sockets.push(onward);
      for (const end of [socket, onward]) end.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as { port: number };
    trust(own);
    const outcome = await make(server, port).catch((error: unknown) => error);
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => proxy.close(resolve));
    return { server, outcome, asked, receivedBytes: Buffer.concat(chunks).toString('latin1') + asked.join() };
  }

  const byConfig = (server: Recorder, port: number) =>
    client(server, 'http', bearer(CANARY), { proxy: { protocol: 'http', host: '127.0.0.1', port } }).get('/x');
  const byEnvironment = async (server: Recorder, port: number) => {
    const names = ['HTTPS_PROXY', 'https_proxy'];
    const before = names.map((name) => [name, process.env[name]] as const);
    for (const name of names) process.env[name] = `http://127.0.0.1:${String(port)}`;
    try {
      return await client(server, 'http', bearer(CANARY)).get('/x');
    } finally {
      for (const [name, value] of before) {
        if (value === undefined) Reflect.deleteProperty(process.env, name);
        else process.env[name] = value;
      }
    }
  };
  const ways = [
    ['config', byConfig],
    ['the environment', byEnvironment],
  ] as const;

  (doesTunnel ? test : test.skip).each(ways)('if axios makes a tunnel, with a proxy of %s', async (_what, make) => {
    const { server, asked, receivedBytes } = await throughProxy(make);
    expect(asked[0]).toBe(new URL(server.origin).host);
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${CANARY}`]);
    expect(receivedBytes).not.toContain(CANARY);
  });

  (doesTunnel ? test.skip : test).each(ways)('if axios makes no tunnel, with a proxy of %s', async (_what, make) => {
    const { outcome, receivedBytes } = await throughProxy(make);
    expect(outcome).toMatchObject({ code: 'ERR_AUTH_INSECURE', config: { url: '/x' } });
    expect(receivedBytes).toBe('');
  });

  (doesTunnel ? test.skip : test)('unless `allowInsecure` has its origin', async () => {
    const { receivedBytes } = await throughProxy((server, port) => {
      const api = axios.create({
        baseURL: server.origin,
        adapter: 'http',
        proxy: { protocol: 'http', host: '127.0.0.1', port },
      });
      attachAuth(api, { scheme: bearer(CANARY), allowInsecure: true });
      return api.get('/x');
    });
    expect(receivedBytes).toContain(CANARY);
  });
});

/** Up to 1.15.2 axios refuses a data: URL with these options. */
const takesData = !/^1\.(?:\d|1[0-5])\./.test(axios.VERSION);

// F80
test.each([
  ['data:text/plain,hello', takesData ? 200 : undefined],
  ['file:///etc/hostname', undefined],
  ['blob:https://api.example.com/1', undefined],
])('%s is sent once, without a scheme', async (url, status) => {
  const authorize = jest.fn();
  const onEvent = jest.fn();
  const api = axios.create({ adapter: 'http' });
  attachAuth(api, {
    scheme: { name: 'Any', authorize },
    origins: ['https://api.example.com'],
    retry: { baseDelayMs: 1, maxDelayMs: 1 },
    onEvent,
  });
  const outcome: unknown = await api.get(url).catch((error: unknown) => error);
  expect((outcome as { status?: number }).status).toBe(status);
  expect(onEvent).not.toHaveBeenCalled();
  expect(authorize).not.toHaveBeenCalled();
});
