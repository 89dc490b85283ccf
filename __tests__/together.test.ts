import { createServer as createH2Server } from 'node:http2';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Readable } from 'node:stream';
import { inspect } from 'node:util';
import axios, { type AxiosResponse } from 'axios';
import {
  attachAuth,
  apiKey,
  basic,
  bearer,
  exchangeOf,
  hmac,
  signed,
  type AuthEvent,
  type BearerScheme,
} from '../lib/index.js';
import { setupCache } from 'axios-cache-interceptor';
import axiosRetry from 'axios-retry';
import { CookieJar } from 'tough-cookie';
import { requireEsm } from './support/esm.js';
import { isHttp } from './support/adapter.js';
import { reply, type Handler, type Recorder } from './support/serve.js';
import { api, dead, latch, open, settled, token } from './support/dead-session.js';

describe('schemes', () => {
  test('several basic credentials: tried in order, the accepted one remembered', async () => {
    const right = `Basic ${Buffer.from('Jürgen:pässwort').toString('base64')}`;
    const server = await api((seen, response) => {
      reply(response, seen.headers.authorization === right ? 200 : 401);
    });
    const client = axios.create({ baseURL: server.origin });
    attachAuth(client, {
      scheme: basic([
        { username: 'a', password: 'b' },
        { username: 'Jürgen', password: 'pässwort' },
      ]),
    });
    await client.get('/x');
    await client.get('/x');
    expect(server.seen).toHaveLength(3);
  });

  test('a key that is a function: sent again only if it has changed', async () => {
    const keys = ['old', 'new'];
    const server = await api((seen, response) => {
      reply(response, seen.headers['x-api-key'] === 'new' ? 200 : 401);
    });
    const client = axios.create({ baseURL: server.origin });
    attachAuth(client, { scheme: apiKey(() => keys.shift() ?? 'new') });
    expect((await client.get('/x')).status).toBe(200);
    const stuck = axios.create({ baseURL: server.origin });
    attachAuth(stuck, { scheme: apiKey(() => 'old') });
    const before = server.seen.length;
    await settled(stuck.get('/x'));
    expect(server.seen.length - before).toBe(1);
  });

  test('hmac follows the clock of the server', async () => {
    const offMs = 3_600_000;
    const server = await api((seen, response) => {
      const now = Date.now() + offMs;
      const isTimely = Math.abs(Number(seen.headers['x-timestamp']) * 1000 - now) < 10_000;
      reply(response, isTimely ? 200 : 401, {}, { Date: new Date(now).toUTCString() });
    });
    const client = axios.create({ baseURL: server.origin });
    attachAuth(client, { scheme: hmac({ keyId: 'k', secret: 's' }) });
    expect((await client.get('/x')).status).toBe(200);
    expect((await client.get('/x')).status).toBe(200);
    expect(server.seen).toHaveLength(3);
  });

  test('one session sends the token of its principal, and none after signOut()', async () => {
    const { client, session, server } = await dead({}, (_, response) => {
      reply(response, 200);
    });
    await session.signIn({ access_token: 'ann', expires_in: 60 });
    await client.get('/x');
    await session.signOut();
    await client.get('/x');
    expect(server.seen.map(token)).toEqual(['ann', undefined]);
    expect(await session.getAccessToken()).toBeUndefined();
  });

  test('an empty store: refresh() is called once with reason missing, and calls are sent without credentials', async () => {
    const reasons: string[] = [];
    const server = await api((_, response) => {
      reply(response, 200);
    });
    const client = axios.create({ baseURL: server.origin });
    attachAuth(client, {
      scheme: bearer({
        refresh: ({ reason }) => {
          reasons.push(reason);
          return null;
        },
      }),
    });
    await Promise.all([client.get('/a'), client.get('/b')]);
    await client.get('/c');
    expect(reasons).toEqual(['missing']);
    expect(server.seen.map(token)).toEqual([undefined, undefined, undefined]);
  });
});

describe('other libraries and features of axios', () => {
  test('a streamed response: the refused one is discarded, the accepted one is passed on', async () => {
    const { client } = await dead();
    const { data } = await client.get<Readable>('/x', { responseType: 'stream' });
    let text = '';
    for await (const chunk of data) text += Buffer.from(chunk as Uint8Array).toString();
    expect(text).toBe('{"ok":true}');
  });

  test('upload progress starts again on a replay', async () => {
    const { client } = await dead();
    const whole = [latch(), latch()];
    let sends = 0;
    await client.post('/x', 'x'.repeat(1000), {
      onUploadProgress: ({ loaded }) => {
        if (loaded === 1000) whole[sends++]?.open();
      },
    });
    await Promise.all(whole.map(({ opened }) => opened));
    expect(sends).toBe(2);
  });

  // axios speaks HTTP/2 since 1.13.
  const knowsHttp2 = Number(axios.VERSION.split('.')[1]) >= 13;
  (isHttp && knowsHttp2 ? test : test.skip)('HTTP/2', async () => {
    const tokens: unknown[] = [];
    const server = createH2Server();
    server.on('stream', (stream, headers) => {
      tokens.push(headers.authorization);
      stream.respond({ ':status': headers.authorization === 'Bearer good' ? 200 : 401 });
      stream.end('{}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = axios.create({
      baseURL: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
      httpVersion: 2,
    });
    attachAuth(client, {
      scheme: bearer({ tokens: { accessToken: 'dead' }, refresh: () => ({ accessToken: 'good' }) }),
    });
    expect((await client.get('/x', { http2Options: { sessionTimeout: 10 } })).status).toBe(200);
    expect(tokens).toEqual(['Bearer dead', 'Bearer good']);
    server.close();
  });

  (isHttp ? test : test.skip)('a proxy: the target decides, and a 407 settles the call', async () => {
    const { server, refreshes } = await dead();
    let status = 0;
    const proxy = createServer((request, response) => {
      if (status) {
        reply(response, status);
        return;
      }
      const target = new URL(request.url ?? '');
      request.pipe(
        httpRequest(target, { method: request.method, headers: request.headers }, (answer) => {
          response.writeHead(answer.statusCode ?? 0, answer.headers);
          answer.pipe(response);
        }),
      );
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    open.push(
      () =>
        new Promise((resolve) => {
          proxy.close(resolve);
          proxy.closeAllConnections();
        }),
    );
    const { port } = proxy.address() as AddressInfo;
    const behind = axios.create({ baseURL: server.origin, proxy: { host: '127.0.0.1', port } });
    attachAuth(behind, {
      scheme: bearer({ tokens: { accessToken: 'dead' }, refresh: () => ({ accessToken: 'good' }) }),
    });
    expect((await behind.get('/x')).status).toBe(200);
    status = 407;
    const { error } = await settled(behind.get('/x'));
    expect(error?.response?.status).toBe(407);
    expect(exchangeOf(error)?.attempts).toBe(1);
    expect(refreshes()).toBe(0);
  });

  test('maxRedirects 0: the redirect settles the call', async () => {
    const { client } = await dead({ tokens: { accessToken: 'good' } }, (_, response) => {
      reply(response, 302, {}, { Location: '/y' });
    });
    const { error } = await settled(client.get('/x', { maxRedirects: 0 }));
    expect(error?.response?.status).toBe(302);
    expect(exchangeOf(error)).toMatchObject({ attempts: 1 });
  });

  test('validateStatus: statuses decide on a refresh, whatever it accepts', async () => {
    const { client, refreshes } = await dead();
    expect((await client.get('/x', { validateStatus: () => true })).status).toBe(200);
    expect(refreshes()).toBe(1);
  });

  test('children made by instance.create() are not attached', async () => {
    const { client, server } = await dead();
    const child = (client as unknown as { create(config: object): typeof client }).create({});
    expect(exchangeOf((await settled(child.get('/x'))).error)).toBeUndefined();
    expect(token(server.seen[0]!)).toBeUndefined();
  });

  test('a changed baseURL changes the origin that gets credentials', async () => {
    const { client, server } = await dead({ tokens: { accessToken: 'good' } });
    const other = await api((_, response) => {
      reply(response, 200);
    });
    client.defaults.baseURL = other.origin;
    await client.get('/x');
    await client.get(`${server.origin}/x`).catch(() => undefined);
    expect(token(other.seen[0]!)).toBe('good');
    expect(token(server.seen[0]!)).toBeUndefined();
  });

  test('attaching twice throws, and attaching after detach() does not', async () => {
    const { client, handle, session } = await dead();
    expect(() => attachAuth(client, { scheme: session })).toThrow(/attached already/);
    handle.detach();
    handle.detach();
    for (let i = 0; i < 3; i++) attachAuth(client, { scheme: session }).detach();
    attachAuth(client, { scheme: session });
    expect((await client.get('/x')).status).toBe(200);
  });

  test('a view of a Uint8Array: axios sends its whole buffer, and the whole buffer is signed', async () => {
    const { server } = await dead({}, (_, response) => {
      reply(response, 200);
    });
    const client = axios.create({ baseURL: server.origin });
    let signedBytes = 0;
    attachAuth(client, {
      scheme: signed(async ({ body }) => {
        signedBytes = (await body.bytes())?.length ?? -1;
        return { 'X-Signature': 's' };
      }),
    });
    await client.post('/x', new Uint8Array(new ArrayBuffer(16), 4, 4));
    expect(server.seen[0]!.body).toHaveLength(16);
    expect(signedBytes).toBe(16);
  });

  test('a call whose first response an earlier handler unwrapped is not replayed', async () => {
    const { server, session } = await dead();
    const client = axios.create({ baseURL: server.origin, validateStatus: () => true });
    client.interceptors.response.use((response) => response.data as AxiosResponse);
    attachAuth(client, { scheme: session });
    await client.get('/x');
    expect(server.seen).toHaveLength(1);
  });

  // The cookie jar needs the http agent.
  (isHttp ? test : test.skip)(
    'cookies in Node: the replay has the cookie that the 401 has set, and the client of a refresh has no jar',
    async () => {
      const { wrapper } = requireEsm('axios-cookiejar-support', ['tough-cookie']) as { wrapper<T>(instance: T): T };
      const server = await api((seen, response) => {
        const status = seen.url === '/refresh' || token(seen) === 'good' ? 200 : 401;
        reply(response, status, { accessToken: 'good' }, { 'Set-Cookie': 'sid=1; Path=/' });
      });
      const client = wrapper(axios.create({ baseURL: server.origin, jar: new CookieJar() } as object));
      attachAuth(client, {
        scheme: bearer({
          tokens: { accessToken: 'dead' },
          refresh: async ({ client: bare }) => (await bare.post<{ accessToken: string }>('/refresh')).data,
        }),
      });
      await client.get('/x');
      expect(server.seen.map((seen) => [seen.url, seen.headers.cookie])).toEqual([
        ['/x', undefined],
        ['/refresh', undefined],
        ['/x', 'sid=1'],
      ]);
    },
  );

  test('axios-cache-interceptor, added after attachAuth', async () => {
    const { client, refreshes } = await dead();
    setupCache(client);
    const answers = await Promise.all([client.get('/x'), client.get('/x'), client.get('/y')]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(refreshes()).toBe(1);
  });

  test.each(['before', 'after'])('axios-retry, with attachAuth %s it', async (order) => {
    const { client, refreshes, handle, session } = await dead();
    if (order === 'after') handle.detach();
    axiosRetry(client, { retries: 3 });
    if (order === 'after') attachAuth(client, { scheme: session });
    await Promise.all([client.get('/x'), client.get('/y')]);
    expect(refreshes()).toBe(1);
  });

  test('a default Authorization header is kept', async () => {
    const { client, server } = await dead();
    client.defaults.headers.common['Authorization'] = 'Bearer mine';
    await settled(client.get('/x'));
    expect(server.seen.map(token)).toEqual(['mine']);
  });

  test('native FormData is replayed', async () => {
    const { client, server } = await dead();
    const form = new FormData();
    form.append('a', 'b');
    await client.post('/x', form);
    expect(server.seen.map((seen) => seen.body.includes('name="a"'))).toEqual([true, true]);
  });
});

describe('the destinations of credentials', () => {
  const secret = 'canary-secret';
  async function keyed(handler: Handler, options: object = {}) {
    const server = await api(handler);
    const client = axios.create({ baseURL: server.origin });
    attachAuth(client, { scheme: bearer(secret), ...options });
    return { server, client };
  }
  const other = (): Promise<Recorder> =>
    api((_, response) => {
      reply(response, 200);
    });

  test('another origin gets no credentials, or no call with `foreignOrigin`', async () => {
    const foreign = await other();
    const { client } = await keyed((_, response) => {
      reply(response, 200);
    });
    await client.get(`${foreign.origin}/x`);
    expect(foreign.seen[0]!.headers.authorization).toBeUndefined();
    const strict = await keyed(
      (_, response) => {
        reply(response, 200);
      },
      { foreignOrigin: 'refuse' },
    );
    expect((await settled(strict.client.get(`${foreign.origin}/x`))).error?.code).toBe('ERR_AUTH_FOREIGN_ORIGIN');
    expect(foreign.seen).toHaveLength(1);
  });

  test('without baseURL and origins an absolute URL is refused, with advice in the message', async () => {
    const foreign = await other();
    const client = axios.create();
    attachAuth(client, { scheme: bearer(secret) });
    const { error } = await settled(client.get(`${foreign.origin}/x`));
    expect(error?.code).toBe('ERR_AUTH_FOREIGN_ORIGIN');
    expect(error?.message).toContain(`origins: ['${foreign.origin}']`);
  });

  test('plain http is refused but for loopback', async () => {
    const client = axios.create({ baseURL: 'http://api.example.com' });
    attachAuth(client, { scheme: bearer(secret) });
    expect((await settled(client.get('/x'))).error?.code).toBe('ERR_AUTH_INSECURE');
  });

  test.each(['http', 'fetch'] as const)(
    'a redirect to another origin is followed without credentials (%s)',
    async (adapter) => {
      const foreign = await other();
      const server = await api((_, response) => {
        reply(response, 302, {}, { Location: `${foreign.origin}/y` });
      });
      for (const scheme of [bearer(secret), apiKey(secret), hmac({ keyId: 'k', secret })]) {
        const client = axios.create({ baseURL: server.origin, adapter });
        attachAuth(client, { scheme });
        await client.get('/x');
      }
      expect(foreign.seen).toHaveLength(3);
      for (const seen of foreign.seen) {
        expect(seen.headers.authorization ?? seen.headers['x-api-key'] ?? seen.headers['x-signature']).toBeUndefined();
      }
    },
  );

  test('no credential is on an error, a response or an event', async () => {
    const events: AuthEvent[] = [];
    const { client } = await keyed(
      (seen, response) => {
        reply(response, seen.url === '/ok' ? 200 : 500);
      },
      { retry: false, onEvent: (event: AuthEvent) => events.push(event) },
    );
    const { error } = await settled(client.get('/x'));
    const { value } = await settled(client.get('/ok'));
    const lost = axios.create({ baseURL: 'http://127.0.0.1:1' });
    attachAuth(lost, { scheme: bearer(secret), retry: false });
    const refused = (await settled(lost.get('/x'))).error;
    for (const thing of [error, value, refused, events, error?.toJSON(), value?.config, error?.response]) {
      expect(inspect(thing, { depth: 20, maxArrayLength: null })).not.toContain(secret);
      expect(JSON.stringify([thing])).not.toContain(secret);
    }
    expect(Object.keys(error!)).not.toContain('request');
  });

  test('error.request and the socket of a streamed response still show it', async () => {
    const { client } = await keyed(
      (seen, response) => {
        reply(response, seen.url === '/ok' ? 200 : 500);
      },
      { retry: false },
    );
    const { error } = await settled(client.get('/x'));
    expect(inspect(error!.request as unknown, { depth: 5 })).toContain(secret);
    // A stream of fetch has no socket.
    if (!isHttp) return;
    const { value } = await settled(client.get('/ok', { responseType: 'stream' }));
    expect(inspect(value!.data, { depth: 5 })).not.toContain(secret);
    expect(inspect(value!.data.req as unknown, { depth: 5 })).toContain(secret);
    (value!.data as Readable).destroy();
  });

  test('an invalid credential is refused, and is not corrected', async () => {
    const { server } = await keyed((_, response) => {
      reply(response, 200);
    });
    for (const scheme of [
      bearer('a\nb'),
      apiKey('a\n'),
      basic({ username: 'a:b', password: 'c' }),
      signed(() => ({ 'X-Signature': 'é\u2028' })),
    ]) {
      const client = axios.create({ baseURL: server.origin });
      attachAuth(client, { scheme });
      expect((await settled(client.get('/x'))).error?.code).toBe('ERR_AUTH_INVALID_CREDENTIAL');
    }
    expect(server.seen).toHaveLength(0);
  });

  test('a call with its own Authorization keeps it, and its 401 starts no refresh', async () => {
    const { client, server, refreshes } = await dead();
    const { error } = await settled(client.get('/x', { headers: { Authorization: 'Basic eDp5' } }));
    expect(server.seen.map((seen) => seen.headers.authorization)).toEqual(['Basic eDp5']);
    expect(error?.response?.status).toBe(401);
    expect(refreshes()).toBe(0);
  });
});

test('other code can read the session through the scheme', async () => {
  const { session } = await dead();
  const scheme: BearerScheme = session;
  expect(scheme.getSnapshot().status).toBe('signed-in');
  expect(scheme.getSnapshot()).toBe(scheme.getSnapshot());
  expect(await scheme.getAccessToken()).toBe('dead');
});
