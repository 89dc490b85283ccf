import { createHash, randomBytes } from 'node:crypto';
import { Agent } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import axios, { type AxiosError, type AxiosRequestConfig, type AxiosResponse } from 'axios';
import FormDataPackage from 'form-data';
import { attachAuth, bearer, exchangeOf, type AttachAuthOptions, type BearerScheme } from '../lib/index.js';
import { failureOf, hangUp, inTurn, onlyFor, servers, type Answer } from './support/answers.js';
import { reply, type Handler, type Recorder, type Seen } from './support/serve.js';

const start = servers();
const adapters = ['http', 'fetch'] as const;
type Adapter = (typeof adapters)[number];

/** A session with a dead token, whose refresh returns `fresh`. */
function dead(): BearerScheme {
  return bearer({
    tokens: { accessToken: 'dead', refreshToken: 'r1' },
    refresh: () => ({ accessToken: 'fresh', refreshToken: 'r2', expiresIn: 3600 }),
  });
}

function client(
  server: Recorder,
  adapter: Adapter,
  options: Partial<AttachAuthOptions> = {},
  defaults: AxiosRequestConfig = {},
) {
  const api = axios.create({ baseURL: server.origin, adapter, ...defaults });
  attachAuth(api, { scheme: dead(), retry: { baseDelayMs: 1 }, ...options });
  return api;
}

interface Sample {
  readonly body: string;
  readonly make: () => unknown;
  readonly config?: AxiosRequestConfig;
  /** The body that the server must get. Parts for a form. */
  readonly bytes?: Buffer | string;
  readonly parts?: readonly Part[];
  readonly type?: string | RegExp;
}

interface Part {
  readonly name: string;
  readonly filename?: string;
  readonly bytes: string;
}

const noise = Uint8Array.from({ length: 300 }, (_, index) => (index * 7) % 256);
const form = (): FormData => {
  const data = new FormData();
  data.append('title', 'Grüße');
  data.append('file', new Blob([noise], { type: 'application/x-noise' }), 'noise.bin');
  return data;
};

const samples: readonly Sample[] = [
  {
    body: 'a JSON object',
    make: () => ({ a: 'Grüße', b: [1, null] }),
    bytes: '{"a":"Grüße","b":[1,null]}',
    type: 'application/json',
  },
  {
    body: 'a string',
    make: () => 'Grüße, 世界',
    bytes: 'Grüße, 世界',
    config: { headers: { 'Content-Type': 'text/plain' } },
    type: 'text/plain',
  },
  { body: 'a Buffer', make: () => Buffer.from(noise), bytes: Buffer.from(noise) },
  { body: 'an ArrayBuffer', make: () => noise.slice().buffer, bytes: Buffer.from(noise) },
  // axios sends the whole buffer behind a view, in both sends.
  { body: 'a Uint8Array that is a view', make: () => noise.slice().subarray(100, 200), bytes: Buffer.from(noise) },
  {
    body: 'URLSearchParams',
    make: () => new URLSearchParams({ q: 'a b&c', ü: '1' }),
    bytes: 'q=a+b%26c&%C3%BC=1',
    type: /^application\/x-www-form-urlencoded/,
  },
  // Over fetch in Node, axios labels a Blob or a form as URL-encoded unless the headers differ.
  {
    body: 'a Blob',
    make: () => new Blob([noise], { type: 'application/x-noise' }),
    config: { headers: { 'Content-Type': 'application/x-noise' } },
    bytes: Buffer.from(noise),
    type: 'application/x-noise',
  },
  { body: 'a Blob without a type', make: () => new Blob([noise]), bytes: Buffer.from(noise) },
  {
    body: 'a native FormData with a file',
    make: form,
    config: { headers: { 'Content-Type': 'multipart/form-data' } },
    parts: [
      { name: 'title', bytes: 'Grüße' },
      { name: 'file', filename: 'noise.bin', bytes: Buffer.from(noise).toString('latin1') },
    ],
    type: /^multipart\/form-data/,
  },
  {
    body: 'an object with a transformRequest of its own',
    make: () => ({ order: 7 }),
    config: {
      transformRequest: [
        (data: { order: number }, headers) => {
          headers.setContentType('application/xml');
          return `<order>${String(data.order)}</order>`;
        },
      ],
    },
    bytes: '<order>7</order>',
    type: 'application/xml',
  },
  {
    body: 'an object that goes out URL-encoded',
    make: () => ({ a: '1 2', b: { c: 3 } }),
    config: { headers: { 'Content-Type': 'application/x-www-form-urlencoded' } },
    bytes: 'a=1+2&b%5Bc%5D=3',
    type: /^application\/x-www-form-urlencoded/,
  },
  { body: 'nothing', make: () => undefined, bytes: '' },
  { body: 'an empty string', make: () => '', bytes: '' },
];

const refusals: readonly [name: string, first: Answer][] = [
  ['401', 401],
  ['503', 503],
];

describe.each(adapters)('over the %s adapter', (adapter) => {
  describe.each(refusals)('after a %s', (status, refusal) => {
    test.each(samples)('$body is replayed unchanged', async ({ make, config, bytes, parts, type }) => {
      const server = await start(inTurn(refusal, 200));
      const api = client(server, adapter);
      let transforms = 0;
      const count = (data: unknown): unknown => {
        transforms++;
        return data;
      };
      const own = config?.transformRequest ?? axios.defaults.transformRequest;

      const answer = await api.put('/things', make(), {
        ...config,
        transformRequest: [count, ...[own ?? []].flat()],
      });

      expect(answer.status).toBe(200);
      expect(exchangeOf(answer)).toMatchObject({ attempts: 2, refreshed: status === '401' });
      expect(transforms).toBe(1);
      const [first, second] = pair(server);
      expect(contentType(second)).toBe(contentType(first));
      if (type !== undefined) expect(first.headers['content-type']).toMatch(type);
      for (const seen of [first, second]) {
        expect(lengthOf(seen)).toBe(seen.body.length);
        if (bytes !== undefined) expect(seen.body.equals(Buffer.from(bytes))).toBe(true);
        if (parts)
          expect(
            readParts(seen).map(({ name, filename, bytes: content }) => ({
              name,
              ...(filename && { filename }),
              bytes: content,
            })),
          ).toEqual(parts.map(inLatin1));
      }
      if (parts) expect(readParts(second)).toEqual(readParts(first));
      else expect(second.body.equals(first.body)).toBe(true);
    });
  });

  test('the body of each send is there once', async () => {
    const server = await start(inTurn(401, 503, 200));
    const answer = await client(server, adapter).put('/things', { a: 1 });
    expect(answer.status).toBe(200);
    expect(server.seen.map((seen) => seen.body.toString())).toEqual(['{"a":1}', '{"a":1}', '{"a":1}']);
    expect(server.seen.map((seen) => seen.headers['content-length'])).toEqual(['7', '7', '7']);
  });

  test('a keep-alive connection is usable after a replay', async () => {
    const server = await start(onlyFor('fresh'));
    const httpAgent = new Agent({ keepAlive: true, maxSockets: 1 });
    const api = client(server, adapter, {}, { httpAgent });
    await api.post('/first', { text: 'ä'.repeat(1000) });
    await api.post('/second', { b: 2 });
    httpAgent.destroy();
    expect(server.seen.map((seen) => `${seen.method} ${seen.url} ${String(seen.body.length)}`)).toEqual([
      'POST /first 2011',
      'POST /first 2011',
      'POST /second 7',
    ]);
  });

  test('a change of the data object after the call began is not sent', async () => {
    const order = { a: 1 };
    const server = await start(
      inTurn((_, response) => {
        order.a = 2;
        reply(response, 401);
      }, 200),
    );
    await client(server, adapter).post('/things', order);
    expect(server.seen.map((seen) => seen.body.toString())).toEqual(['{"a":1}', '{"a":1}']);
  });

  describe.each([
    ['401', 401],
    ['503', 503],
    ['429', [429, { 'Retry-After': '1' }]],
    ['reset', hangUp],
  ] as [string, Answer][])('a %s', (what, refusal) => {
    test.each(streamsFor(adapter))('settles a call with $body, which is not sent twice', async ({ make, config }) => {
      const server = await start(inTurn(refusal, 200));
      const error = (await failureOf(client(server, adapter).put('/things', make(), config))) as AxiosError;
      expect(error.response?.status).toBe(what === 'reset' ? undefined : Number(what));
      expect(exchangeOf(error)).toMatchObject({ attempts: 1, refreshed: false, reason: 'body-not-replayable' });
      expect(server.seen).toHaveLength(1);
      expect(server.seen[0]?.body.toString()).toContain('once only');
    });
  });

  test.each(streamsFor(adapter))('$body that is accepted at the first send arrives whole', async ({ make, config }) => {
    const server = await start(inTurn(200));
    const answer = await client(server, adapter).put('/things', make(), config);
    expect(exchangeOf(answer)).toEqual({
      call: 1,
      attempts: 1,
      refreshed: false,
      waitedMs: expect.any(Number) as number,
    });
    expect(server.seen[0]?.body.toString()).toContain('once only');
  });

  test('a 401 for a stream starts a refresh for later calls', async () => {
    const server = await start(onlyFor('fresh'));
    const api = client(server, adapter);
    await failureOf(api.put('/stream', Readable.from(['once only'])));
    await api.get('/next');
    expect(server.seen.map((seen) => [seen.url, seen.headers.authorization])).toEqual([
      ['/stream', 'Bearer dead'],
      ['/next', 'Bearer fresh'],
    ]);
  });
});

interface Stream {
  readonly body: string;
  readonly make: () => unknown;
  readonly config?: AxiosRequestConfig;
}

function streamsFor(adapter: Adapter): Stream[] {
  const untouched = { transformRequest: [(data: unknown) => data] };
  const readable = { body: 'a Readable', make: () => Readable.from([Buffer.from('once '), Buffer.from('only')]) };
  // Only the http adapter takes forms of form-data. Only fetch takes web streams and generators.
  if (adapter === 'http') {
    const formData = (): FormDataPackage => {
      const data = new FormDataPackage();
      data.append('note', 'once only');
      return data;
    };
    return [
      readable,
      { body: 'a form of the form-data package', make: formData },
      {
        body: 'an object with a stream, of which axios makes a form-data',
        make: () => ({ note: 'once only', file: Readable.from([Buffer.from('stream')]) }),
        config: { headers: { 'Content-Type': 'multipart/form-data' } },
      },
    ];
  }
  const source = async function* (): AsyncGenerator<Uint8Array> {
    for (const chunk of ['once ', 'only']) yield await Promise.resolve(Buffer.from(chunk));
  };
  return [
    readable,
    { body: 'a ReadableStream', make: () => new Blob(['once only']).stream() },
    { body: 'an async generator', make: source, config: untouched },
  ];
}

/** Begins a response and never ends it. */
const endless =
  (status: number, headers: Record<string, string> = {}): Handler =>
  (_, response) => {
    response.writeHead(status, headers);
    response.write('x'.repeat(1024));
  };
const big = randomBytes(3 * 1024 * 1024);
const whole: Handler = (_, response) => {
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', Connection: 'close' });
  response.end(big);
};

describe.each(adapters)('with responseType stream over the %s adapter', (adapter) => {
  test.each([
    ['401', endless(401)],
    ['503', endless(503)],
    ['429', endless(429, { 'Retry-After': '0' })],
  ])('the connection of a refused %s is closed, and the accepted response is whole', async (_status, refusal) => {
    const server = await start(inTurn(refusal, whole));
    const closed = closings(server);
    const api = client(server, adapter, {}, { httpAgent: new Agent({ keepAlive: false }) });
    const answer = await api.get('/big', { responseType: 'stream' });
    expect(digest(await read(answer))).toBe(digest(big));
    expect(exchangeOf(answer)).toMatchObject({ attempts: 2 });
    await closed(2);
  });

  test('the connections of several refusals are all closed', async () => {
    const server = await start(inTurn(endless(503), endless(401), endless(429, { 'Retry-After': '0' }), whole));
    const closed = closings(server);
    const api = client(server, adapter, {}, { httpAgent: new Agent({ keepAlive: false }) });
    const answer = await api.get('/big', { responseType: 'stream' });
    expect(digest(await read(answer))).toBe(digest(big));
    await closed(4);
  });

  test('a response that is accepted at once is whole', async () => {
    const server = await start(inTurn(whole));
    const answer = await client(server, adapter).get('/big', { responseType: 'stream' });
    expect(digest(await read(answer))).toBe(digest(big));
  });

  test('the refusal that the call settles with can be read', async () => {
    const refuse: Handler = (_, response) => {
      response.writeHead(401, { Connection: 'close' });
      response.end('the last word');
    };
    const server = await start(refuse);
    const error = (await failureOf(client(server, adapter).get('/', { responseType: 'stream' }))) as AxiosError;
    expect(exchangeOf(error)).toMatchObject({ attempts: 2, reason: 'unauthorized-again' });
    expect((await read(error.response as AxiosResponse)).toString()).toBe('the last word');
  });

  test('a stream that breaks off after the call has settled does not repeat the call', async () => {
    const server = await start(
      inTurn((_, response) => {
        response.writeHead(200, { 'Content-Length': '1000' });
        response.write('half', () => response.socket?.destroy());
      }),
    );
    const answer = await client(server, adapter).get('/', { responseType: 'stream' });
    await expect(read(answer)).rejects.toThrow();
    expect(server.seen).toHaveLength(1);
  });
});

test('a refresh can use an agent with one socket while the refusal streams', async () => {
  const server = await start((seen, response, request) => {
    if (seen.url === '/token')
      reply(response, 200, { access_token: 'fresh', expires_in: 3600 }, { Connection: 'close' });
    else if (seen.headers.authorization === 'Bearer fresh') void whole(seen, response, request);
    else void endless(401)(seen, response, request);
  });
  const httpAgent = new Agent({ keepAlive: true, maxSockets: 1 });
  const api = axios.create({ baseURL: server.origin, adapter: 'http', httpAgent });
  const scheme = bearer({
    tokens: { accessToken: 'dead', refreshToken: 'r1' },
    refresh: async ({ client: plain, refreshToken }) =>
      (await plain.post<{ access_token: string }>('/token', { refreshToken })).data,
  });
  attachAuth(api, { scheme });
  const answer = await api.get('/big', { responseType: 'stream' });
  expect(digest(await read(answer))).toBe(digest(big));
  expect(server.seen.map((seen) => seen.url)).toEqual(['/big', '/token', '/big']);
  httpAgent.destroy();
});

function pair({ seen }: Recorder): [Seen, Seen] {
  const [first, second, ...more] = seen;
  if (!first || !second || more.length > 0) throw new Error(`expected two requests, got ${String(seen.length)}`);
  return [first, second];
}

function boundaryOf(seen: Seen): string | undefined {
  return /^--([^\r\n]+)\r\n/.exec(seen.body.toString('latin1'))?.[1];
}

function contentType(seen: Seen): string | undefined {
  const type = seen.headers['content-type'];
  const boundary = boundaryOf(seen);
  return boundary === undefined ? type : type?.replace(boundary, '…');
}

function lengthOf({ headers }: Seen): number {
  return Number(headers['content-length'] ?? (headers['transfer-encoding'] === undefined ? 0 : NaN));
}

function readParts(seen: Seen): (Part & { readonly headers: string[] })[] {
  const text = seen.body.toString('latin1');
  const boundary = boundaryOf(seen) ?? '';
  expect(text.trimEnd().endsWith(`--${boundary}--`)).toBe(true);
  return text
    .split(`--${boundary}`)
    .slice(1, -1)
    .map((part) => {
      const [head = '', ...content] = part.replace(/^\r\n/, '').replace(/\r\n$/, '').split('\r\n\r\n');
      const [, name = ''] = / name="([^"]*)"/.exec(head) ?? [];
      const [, filename] = / filename="([^"]*)"/.exec(head) ?? [];
      return {
        name,
        ...(filename !== undefined && { filename }),
        bytes: content.join('\r\n\r\n'),
        headers: head.split('\r\n').sort(),
      };
    });
}

function inLatin1(part: Part): Part {
  return part.filename === undefined ? { ...part, bytes: Buffer.from(part.bytes).toString('latin1') } : part;
}

async function read({ data }: AxiosResponse): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of data as AsyncIterable<Uint8Array>) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Resolves once that many connections were closed. Over http each request has its own. */
function closings({ server }: Recorder): (requests: number) => Promise<void> {
  const sockets: Promise<void>[] = [];
  server.on('request', ({ socket }: { socket: Socket }) => {
    sockets.push(
      new Promise((resolve) => {
        socket.once('close', () => {
          resolve();
        });
      }),
    );
  });
  return async (requests) => {
    expect(sockets).toHaveLength(requests);
    await Promise.all(sockets);
  };
}
