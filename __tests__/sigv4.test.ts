import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { inspect } from 'node:util';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import type { AwsCredentialIdentityProvider, HttpRequest } from '@smithy/types';
import type { AxiosInstance, AxiosResponse, CreateAxiosDefaults } from 'axios';
import { sigV4, type AwsCredentials, type SigV4Options } from '../lib/sigv4.js';
import type { AuthRequest } from '../lib/schemes/scheme.js';
import { KEYS, serveAws, verify, type AwsServer, type AwsServerOptions } from './support/aws-server.js';
import { authRequest, drive } from './support/port-driver.js';
import { serve, type Recorder } from './support/serve.js';
import vectors from './vectors/sigv4.json';

const KEY = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: KEYS.AKIDEXAMPLE.secret };
const CREDENTIALS: AwsCredentials = KEY;
const PLACE = { service: 'service', region: 'us-east-1' };
const NOW = Date.parse('2015-08-30T12:36:00Z');

const servers: Recorder[] = [];
afterEach(async () => {
  for (const each of servers.splice(0)) await each.close();
});

async function start(given: AwsServerOptions = {}): Promise<AwsServer> {
  const server = await serveAws(given);
  servers.push(server);
  return server;
}

function client(
  server: Recorder,
  options: Partial<SigV4Options> = {},
  { now, ...defaults }: CreateAxiosDefaults & { now?: () => number } = {},
): AxiosInstance & { sends: number } {
  const scheme = sigV4({ ...PLACE, credentials: CREDENTIALS, ...options });
  return drive(scheme, { defaults: { baseURL: server.origin, ...defaults }, ...(now && { now }) });
}

const authorizationOf = (request: AuthRequest): string => String(request.headers.get('Authorization'));

describe('the vectors that AWS publishes', () => {
  // These two sign Content-Length, which a scheme does not see.
  const UNMET = ['post-x-www-form-urlencoded', 'post-x-www-form-urlencoded-parameters'];
  const met = vectors.filter(({ name }) => !UNMET.includes(name));

  test('all but two', () => {
    expect([vectors.length, met.length]).toEqual([38, 36]);
  });

  type Vector = (typeof vectors)[number];
  const signer = (vector: Vector, query: SigV4Options['query']): ReturnType<typeof sigV4> =>
    sigV4({
      service: vector.service,
      region: vector.region,
      credentials: vector.credentials,
      normalizePath: vector.normalize,
      query,
      // Their paths are unencoded. A URL encodes them, and is not encoded again.
      doubleEncode: !vector.normalize,
      unsignedHeaders: vector.omitToken ? ['x-amz-security-token'] : [],
    });
  const requestOf = ({ target, normalize, method, headers, body, timestamp }: Vector): AuthRequest => {
    const url = `https://example.amazonaws.com${target}`;
    const request = authRequest({ url, method, headers, data: body, now: Date.parse(timestamp) });
    if (normalize) return request;
    // No URL keeps dot segments.
    const [pathname, search = ''] = target.split('?');
    return { ...request, url: { host: request.url.host, pathname, search } as URL };
  };

  test.each(met.map((vector) => [vector.name, vector] as const))('%s, in headers', async (_, vector) => {
    const request = requestOf(vector);
    await signer(vector, false).authorize(request);
    const names = vector.header.canonical.split('\n').at(-2)!;
    expect(authorizationOf(request)).toBe(
      `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=${names}, ` +
        `Signature=${vector.header.signature}`,
    );
    expect(request.headers.get('X-Amz-Security-Token') ?? undefined).toBe(vector.credentials.sessionToken);
  });

  test.each(met.map((vector) => [vector.name, vector] as const))('%s, in the query', async (_, vector) => {
    const request = requestOf(vector);
    await signer(vector, { expiresIn: vector.expiresIn }).authorize(request);
    const query = new URLSearchParams(request.url.search);
    expect(query.get('X-Amz-Signature')).toBe(vector.query.signature);
    expect(query.get('X-Amz-Security-Token') ?? undefined).toBe(vector.credentials.sessionToken);
    expect(request.headers.has('Authorization')).toBe(false);
  });
});

describe('beside @smithy/signature-v4', () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  const pick = <T>(list: readonly T[]): T => list[random(list.length)]!;
  const ALPHABET = [
    ...Array.from('abcXYZ019-._~!$&\'()*+,;=:@%/ "<>[]{}|^`\\'),
    'ü',
    '€',
    '🔑',
    '%20',
    '%2F',
    '%C3%BC',
    '%7E',
    '%zz',
  ];
  const text = (longest: number): string => Array.from({ length: random(longest + 1) }, () => pick(ALPHABET)).join('');
  const part = (longest: number): string => text(longest).replace(/[?#\\]/g, '');

  const randomRequest = (isS3: boolean): AuthRequest => {
    const path = Array.from({ length: 1 + random(4) }, () => part(6)).join('/');
    const query = Array.from(
      { length: random(5) },
      () => `${part(4).replace(/&/g, '')}${pick(['', '=', `=${part(6)}`])}`,
    );
    // Their signer expects a path to S3 in canonical encoding, in which a slash is not encoded.
    const sent = isS3 ? path.replaceAll('%2F', '') : path;
    const url = `https://bucket.example.com:8443/${sent}${query.length > 0 ? `?${query.join('&')}` : ''}`;
    const method = pick(['GET', 'POST', 'PUT', 'DELETE']);
    const headers = {
      Accept: 'application/json, text/plain, */*',
      ...(random(2) && { 'Content-Type': 'application/json' }),
      ...(random(2) && { 'X-Amz-Meta-Note': pick(['a  b', ' c ', 'd,e', '"f   g"']) }),
      ...(random(2) && { 'My-List': ['one', '  two   three '] }),
      ...(random(3) === 0 && { 'User-Agent': 'never signed', 'Cache-Control': 'no-cache' }),
    };
    const data = method === 'GET' ? undefined : pick([undefined, '', '{"a":"ü"}', Buffer.from([0, 255])]);
    return authRequest({ url, method, headers, data, now: NOW + random(1e9) });
  };

  /** The request in the form of their signer. */
  const wireOf = async ({ url, method, headers, body }: AuthRequest): Promise<HttpRequest> => {
    const query: Record<string, string | string[]> = {};
    for (const pair of url.search.slice(1).split('&').filter(Boolean)) {
      const [name, ...rest] = pair.split('=');
      const [key, value] = [name!, rest.join('=')].map((each) =>
        decodeURIComponent(each.replace(/%(?![\dA-F]{2})/gi, '%25')),
      ) as [string, string];
      query[key] = key in query ? [query[key]!, value].flat() : value;
    }
    const all = Object.fromEntries(
      Object.entries(headers)
        .filter(([name]) => !/^(?:authorization|x-amz-(?:date|security-token|content-sha256))$/i.test(name))
        .map(([name, value]) => [
          name.toLowerCase(),
          [value]
            .flat()
            .map((each) => String(each).trim())
            .join(','),
        ]),
    );
    return {
      method,
      protocol: url.protocol,
      hostname: url.hostname,
      path: url.pathname,
      query,
      headers: { host: url.host, ...all },
      body: await body.bytes(),
    };
  };

  test.each([
    ['service', {}],
    ['s3', {}],
    ['service', { sessionToken: 'token/+=' }],
    ['s3', { sessionToken: 'token/+=' }],
  ])('150 random URLs, %s, in headers (%j)', async (service, more) => {
    const credentials = { ...KEY, ...more };
    const isS3 = service === 's3';
    const ours = sigV4({ service, region: 'eu-west-1', credentials });
    const theirs = new SignatureV4({
      service,
      region: 'eu-west-1',
      credentials,
      sha256: Sha256,
      uriEscapePath: !isS3,
      applyChecksum: isS3,
    });
    for (let count = 0; count < 150; count++) {
      const request = randomRequest(isS3);
      await ours.authorize(request);
      const expected = await theirs.sign(await wireOf(request), { signingDate: new Date(request.now) });
      expect([request.url.href, authorizationOf(request)]).toEqual([
        request.url.href,
        expected.headers['authorization'],
      ]);
    }
  });

  test.each(['service', 's3'])('150 random URLs, %s, in the query', async (service) => {
    const credentials = { ...KEY, sessionToken: 'token/+=' };
    const isS3 = service === 's3';
    const ours = sigV4({ service, region: 'eu-west-1', credentials, query: true });
    const theirs = new SignatureV4({
      service,
      region: 'eu-west-1',
      credentials,
      sha256: Sha256,
      uriEscapePath: !isS3,
      applyChecksum: isS3,
    });
    for (let count = 0; count < 150; count++) {
      const request = randomRequest(isS3);
      request.headers.delete('X-Amz-Meta-Note');
      await ours.authorize(request);
      const query = new URLSearchParams(request.url.search);
      const wire = await wireOf(request);
      wire.query = Object.fromEntries(Object.entries(wire.query ?? {}).filter(([name]) => !name.startsWith('X-Amz-')));
      if (isS3) wire.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
      const expected = await theirs.presign(wire, {
        signingDate: new Date(request.now),
        unhoistableHeaders: new Set(['x-amz-content-sha256']),
        unsignableHeaders: new Set(['x-amz-content-sha256']),
      });
      expect([request.url.href, query.get('X-Amz-Signature')]).toEqual([
        request.url.href,
        expected.query!['X-Amz-Signature'],
      ]);
    }
  });
});

describe('against a verifier that reads the wire', () => {
  const CALLS: [string, Parameters<AxiosInstance['request']>[0]][] = [
    ['a path and a query', { url: '/a/b', params: { q: 'x', list: ['1', '2'], empty: '' } }],
    ['spaces, pluses and signs', { url: "/a b/c+d/e'(f)*!", params: { 'a b': 'c d+e', z: "*'()!~" } }],
    ['other scripts', { url: '/é/日本', params: { ключ: '€ 5 🔑' } }],
    ['a query that begins with a question mark', { url: '/a??b=c' }],
    ['what is encoded already', { url: '/a%20b/c%2Bd/%E2%82%AC?x=%2F&y=a%20b' }],
    ['keys without a value, in the wrong order', { url: '/?b&a=&a-b=1&a=0&B=2' }],
    ['repeated slashes', { url: '/a//b///c/' }],
    ['JSON', { method: 'POST', url: '/', data: { name: 'ü', list: [1] } }],
    ['a form', { method: 'POST', url: '/', data: new URLSearchParams({ Action: 'List Queues' }) }],
    ['bytes', { method: 'PUT', url: '/', data: Buffer.from([0, 1, 255]) }],
    ['headers', { url: '/', headers: { 'X-Amz-Meta-A': '  two   words ', 'X-List': ['a', 'b'], 'If-Match': '*' } }],
    ['HEAD', { method: 'HEAD', url: '/' }],
  ];

  describe.each(['service', 's3'])('%s', (service) => {
    describe.each([false, true])('presigned: %s', (query) => {
      test.each(CALLS)('%s', async (_, config) => {
        const server = await start({ service });
        for (const adapter of ['http', 'fetch'] as const) {
          const api = client(server, { service, query }, { adapter });
          await api.request(config).catch(() => undefined);
        }
        expect(server.verdicts).toEqual([undefined, undefined]);
        for (const { headers, url } of server.seen) {
          expect('authorization' in headers).toBe(!query);
          expect(url.includes('X-Amz-Signature=')).toBe(query);
          expect(url.split('?')[1] ?? '').not.toContain('+');
        }
      });
    });
  });

  test('a path to S3 is sent as it is signed, and an encoded dot segment stays encoded', async () => {
    const scheme = sigV4({ ...PLACE, service: 's3', credentials: CREDENTIALS });
    const sent = async (path: string): Promise<string> => {
      const request = authRequest({ url: `https://s3.example.com${path}` });
      await scheme.authorize(request);
      return request.url.pathname;
    };
    expect(await sent("/b/a+b!(c)'*@:=,;&$")).toBe('/b/a%2Bb%21%28c%29%27%2A%40%3A%3D%2C%3B%26%24');
    expect(await sent('/b/a%2fb/100%')).toBe('/b/a/b/100%25');
    expect(await sent('/b/private/..%2f..%2fother/key')).toBe('/b/private/..%2f..%2fother/key');
    expect(await sent('/b//x/')).toBe('/b//x/');
  });

  test('a canonical URL is not changed', async () => {
    for (const service of ['service', 's3']) {
      for (const path of ['/', '/a', '/a/b?c', '/a/b??c', '/a%20b?c=%20d&e', '/?']) {
        const request = authRequest({ url: `https://a.example.com${path}` });
        const { href } = request.url;
        await sigV4({ ...PLACE, service, credentials: CREDENTIALS }).authorize(request);
        expect(request.url.href).toBe(href);
      }
    }
  });

  test('the verifier detects changes of the request', () => {
    const request = {
      method: 'GET',
      url: '/',
      headers: {
        host: 'example.amazonaws.com',
        'x-amz-date': '20150830T123600Z',
        authorization:
          'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, ' +
          `Signature=${'0'.repeat(64)}`,
      },
      rawHeaders: ['Host', 'example.amazonaws.com', 'X-Amz-Date', '20150830T123600Z'],
      body: Buffer.alloc(0),
    };
    expect(verify(request, {}, NOW)).toBe('SignatureDoesNotMatch');
    const { header } = vectors.find(({ name }) => name === 'get-vanilla')!;
    const authorization = request.headers.authorization.replace(/Signature=.*/, `Signature=${header.signature}`);
    const right = { ...request, headers: { ...request.headers, authorization } };
    expect(verify(right, {}, NOW)).toBeUndefined();
    for (const changed of [{ method: 'PUT' }, { url: '/x' }, { url: '/?x' }, { body: Buffer.from('x') }])
      expect(verify({ ...right, ...changed }, {}, NOW)).toBe('SignatureDoesNotMatch');
    expect(verify(right, {}, NOW + 400_000)).toBe('RequestTimeTooSkewed');
  });
});

describe('bodies', () => {
  const hash = (data: string): string => createHash('sha256').update(data).digest('hex');
  const headersOf = async (
    options: Partial<SigV4Options>,
    data: unknown,
    url = 'https://host.example.com/',
    headers = {},
  ): Promise<AuthRequest['headers']> => {
    const request = authRequest({ url, method: 'PUT', data, headers });
    await sigV4({ ...PLACE, credentials: CREDENTIALS, ...options }).authorize(request);
    return request.headers;
  };
  const stream = (): Readable => Readable.from(['a']);
  const S3 = { service: 's3' };

  test('S3, OpenSearch Serverless and unsigned bodies have a header for the hash', async () => {
    expect((await headersOf({}, 'x')).get('X-Amz-Content-Sha256')).toBeUndefined();
    expect((await headersOf(S3, 'x')).get('X-Amz-Content-Sha256')).toBe(hash('x'));
    expect((await headersOf(S3, undefined)).get('X-Amz-Content-Sha256')).toBe(hash(''));
    expect((await headersOf({ service: 'aoss' }, 'x')).get('X-Amz-Content-Sha256')).toBe(hash('x'));
    expect((await headersOf({ payload: 'unsigned' }, 'x')).get('X-Amz-Content-Sha256')).toBe('UNSIGNED-PAYLOAD');
  });

  test('a stream to S3 is unsigned over https and on loopback, and refused elsewhere', async () => {
    for (const url of ['https://s3.example.com/', 'http://127.0.0.1:9000/', 'http://localhost:9000/'])
      expect((await headersOf(S3, stream(), url)).get('X-Amz-Content-Sha256')).toBe('UNSIGNED-PAYLOAD');
    const refused = { code: 'ERR_AUTH_BODY_NOT_SIGNABLE' };
    await expect(headersOf(S3, stream(), 'http://minio.example.com/')).rejects.toMatchObject(refused);
    await expect(headersOf({}, stream())).rejects.toMatchObject(refused);
    await expect(headersOf({}, new FormData())).rejects.toMatchObject(refused);
    expect((await headersOf({ payload: 'unsigned' }, stream())).has('Authorization')).toBe(true);
  });

  test('a payload hash of the call is used, also for a stream', async () => {
    const headers = await headersOf({}, stream(), undefined, { 'X-Amz-Content-Sha256': hash('a') });
    expect(authorizationOf({ headers } as AuthRequest)).toContain('x-amz-content-sha256');
    const server = await start();
    const api = client(server, {}, { headers: { 'x-amz-content-sha256': hash('a') } });
    expect((await api.put('/', stream())).status).toBe(200);
  });

  test('Content-Type of a form without a boundary yet is not signed', async () => {
    const form = { 'Content-Type': 'multipart/form-data' };
    const names = async (headers: object): Promise<string> =>
      authorizationOf({
        headers: await headersOf({ payload: 'unsigned' }, new FormData(), undefined, headers),
      } as AuthRequest);
    expect(await names(form)).not.toContain('content-type');
    expect(await names({ 'Content-Type': 'Multipart/Form-Data' })).not.toContain('content-type');
    // The default of axios, which its adapter replaces.
    expect(await names({ 'Content-Type': 'application/x-www-form-urlencoded' })).not.toContain('content-type');
    expect(await names({ 'Content-Type': 'multipart/form-data; boundary=x' })).toContain('content-type');
    const server = await start();
    const data = new FormData();
    data.append('a', 'b');
    await client(server, { payload: 'unsigned' }).postForm('/', data);
    expect(server.verdicts).toEqual([undefined]);
  });
});

describe('service and region', () => {
  test.each([
    ['sqs.eu-west-1.amazonaws.com', 'eu-west-1/sqs'],
    ['bucket.s3.amazonaws.com', 'us-east-1/s3'],
    ['my-bucket-1.s3.amazonaws.com', 'us-east-1/s3'],
    ['b.s3-eu-central-1.amazonaws.com', 'eu-central-1/s3'],
    ['b.s3.dualstack.eu-west-1.amazonaws.com', 'eu-west-1/s3'],
    ['vpce-1.s3.us-east-1.vpce.amazonaws.com', 'us-east-1/s3'],
    ['s3.cn-north-1.amazonaws.com.cn', 'cn-north-1/s3'],
    ['iam.amazonaws.com', 'us-east-1/iam'],
    ['x.execute-api.us-gov-west-1.amazonaws.com', 'us-gov-west-1/execute-api'],
    ['search-1.eu-west-1.es.amazonaws.com', 'eu-west-1/es'],
    ['vpc-1.us-gov-west-1.es.amazonaws.com', 'us-gov-west-1/es'],
    ['x.us-east-1.aoss.amazonaws.com', 'us-east-1/aoss'],
    ['bedrock-runtime.us-east-1.amazonaws.com', 'us-east-1/bedrock'],
    ['email.us-east-1.amazonaws.com', 'us-east-1/ses'],
    ['dynamodb-fips.us-east-2.amazonaws.com', 'us-east-2/dynamodb'],
    ['dynamodb.us-east-1.api.aws', 'us-east-1/dynamodb'],
    ['x.lambda-url.us-east-1.on.aws', 'us-east-1/lambda'],
  ])('%s: %s', async (host, scope) => {
    const request = authRequest({ url: `https://${host}/`, now: NOW });
    await sigV4({ credentials: CREDENTIALS }).authorize(request);
    expect(authorizationOf(request)).toContain(`Credential=AKIDEXAMPLE/20150830/${scope}/aws4_request`);
  });

  test.each([
    'minio.example.com',
    'b.s3-accelerate.amazonaws.com',
    'b.s3-accelerate.dualstack.amazonaws.com',
    'amazonaws.com',
    'evil-amazonaws.com',
  ])('%s needs the options', async (host) => {
    const request = authRequest({ url: `https://${host}/` });
    await expect(sigV4({ credentials: CREDENTIALS }).authorize(request)).rejects.toThrow(
      new TypeError(`sigV4(): \`service\` and \`region\` are required: the host ${host} does not contain them`),
    );
    await sigV4({ ...PLACE, credentials: CREDENTIALS }).authorize(request);
    expect(authorizationOf(request)).toContain('us-east-1/service');
  });
});

describe('credentials', () => {
  const roll = (id: string, more: object = {}): AwsCredentials => ({
    accessKeyId: id,
    secretAccessKey: `secret-of-${id}`,
    ...more,
  });
  const keysOf = (...ids: string[]): NonNullable<AwsServerOptions['keys']> =>
    Object.fromEntries(ids.map((id) => [id, { secret: `secret-of-${id}` }]));

  test('a provider is called once for many calls, and again before the expiration', async () => {
    let now = NOW;
    const provider = jest.fn(async () => roll('A', { expiration: new Date(now + 3_600_000) }));
    const scheme = sigV4({ ...PLACE, credentials: provider });
    const sign = (): Promise<void> => Promise.resolve(scheme.authorize(authRequest({ url: 'https://a.test/', now })));
    await Promise.all(Array.from({ length: 30 }, sign));
    now += 3_600_000 - 301_000;
    await sign();
    expect(provider).toHaveBeenCalledTimes(1);
    now += 2_000;
    await Promise.all([sign(), sign()]);
    expect(provider).toHaveBeenCalledTimes(2);
    expect(provider.mock.calls).toEqual([[], []]);
  });

  test('credentials that live a minute are renewed six seconds ahead', async () => {
    let now = NOW;
    const provider = jest.fn(() => roll('A', { expiration: new Date(now + 60_000) }));
    const scheme = sigV4({ ...PLACE, credentials: provider });
    for (const wait of [0, 53_000, 2_000]) {
      now += wait;
      await scheme.authorize(authRequest({ url: 'https://a.test/', now }));
    }
    expect(provider).toHaveBeenCalledTimes(2);
  });

  test('a failed early renewal keeps valid credentials, and rejects the call once they have expired', async () => {
    let now = NOW;
    const failure = new Error('no metadata service');
    const provider = jest.fn(() => Promise.reject<AwsCredentials>(failure));
    provider.mockResolvedValueOnce(roll('A', { expiration: new Date(NOW + 3_600_000) }));
    const scheme = sigV4({ ...PLACE, credentials: provider });
    const sign = async (): Promise<unknown> => scheme.authorize(authRequest({ url: 'https://a.test/', now }));
    await sign();
    now += 3_500_000;
    await sign();
    now += 100_001;
    await expect(sign()).rejects.toBe(failure);
    // A failure is not cached.
    provider.mockResolvedValueOnce(roll('B'));
    await sign();
  });

  test('without an expiration a function is called at every attempt', async () => {
    const server = await start({ keys: keysOf('A', 'B') });
    const provider = jest.fn(() => roll('B'));
    provider.mockReturnValueOnce(roll('A'));
    const api = client(server, { credentials: provider });
    await api.get('/');
    await api.get('/');
    expect(server.seen.map(({ headers }) => /Credential=(.)/.exec(headers.authorization!)?.[1])).toEqual(['A', 'B']);
  });

  test.each(['xml', 'json'] as const)(
    'after a refusal (%s) a provider gets forceRefresh, once for 30 calls',
    async (format) => {
      const server = await start({ keys: keysOf('NEW'), format });
      let current = 'OLD';
      const provider = jest.fn(async (given?: { forceRefresh?: boolean }) => {
        await new Promise((resolve) => setImmediate(resolve));
        if (given?.forceRefresh) current = 'NEW';
        return roll(current, { expiration: new Date(Date.now() + 3_600_000) });
      });
      const api = client(server, { credentials: provider });
      const calls = Array.from({ length: 30 }, () => api.post('/', { a: 1 }));
      expect(new Set((await Promise.all(calls)).map(({ status }) => status))).toEqual(new Set([200]));
      expect(provider.mock.calls).toEqual([[], [{ forceRefresh: true }]]);
      expect(api.sends).toBe(60);
    },
  );

  test('a call that begins during a forced refresh waits for it', async () => {
    const server = await start({ keys: keysOf('NEW') });
    let finish = (): void => undefined;
    const forced = new Promise<void>((resolve) => (finish = resolve));
    const expiration = new Date(Date.now() + 3_600_000);
    const provider = jest.fn(async (given?: { forceRefresh?: boolean }) => {
      if (given?.forceRefresh) await forced;
      return roll(given?.forceRefresh ? 'NEW' : 'OLD', { expiration });
    });
    const api = client(server, { credentials: provider });
    const first = api.get('/');
    while (provider.mock.calls.length < 2) await new Promise((resolve) => setImmediate(resolve));
    const second = api.get('/');
    await new Promise((resolve) => setImmediate(resolve));
    finish();
    expect([(await first).status, (await second).status]).toEqual([200, 200]);
    expect(provider.mock.calls).toEqual([[], [{ forceRefresh: true }]]);
    expect(api.sends).toBe(3);
  });

  test('an expired session token is replaced; the key id may stay the same', async () => {
    const server = await start({ keys: { A: { secret: 'secret-of-A', token: 'new' } } });
    const provider = jest.fn((given?: { forceRefresh?: boolean }) =>
      roll('A', { sessionToken: given?.forceRefresh ? 'new' : 'old', expiration: new Date(Date.now() + 3_600_000) }),
    );
    const api = client(server, { credentials: provider });
    expect((await api.get('/')).status).toBe(200);
    expect((await api.get('/')).status).toBe(200);
    expect(server.verdicts).toEqual(['ExpiredToken', undefined, undefined]);
  });

  test('the same credentials again: the refusal settles the call, after one send', async () => {
    const server = await start({ keys: keysOf('B') });
    const api = client(server, { credentials: () => roll('A') });
    await expect(api.get('/')).rejects.toMatchObject({ response: { status: 403 } });
    const constant = client(server, { credentials: roll('A') });
    await expect(constant.get('/')).rejects.toMatchObject({ response: { status: 403 } });
    expect(server.verdicts).toEqual(['InvalidAccessKeyId', 'InvalidAccessKeyId']);
  });

  test('SignatureDoesNotMatch is replayed only if the secret has changed', async () => {
    const server = await start({ keys: keysOf('A') });
    let secretAccessKey = 'wrong';
    const api = client(server, { credentials: () => ({ accessKeyId: 'A', secretAccessKey }) });
    await expect(api.get('/')).rejects.toMatchObject({ response: { status: 403 } });
    const rotating = client(server, {
      credentials: (given) => {
        if (given?.forceRefresh) secretAccessKey = 'secret-of-A';
        return { accessKeyId: 'A', secretAccessKey };
      },
    });
    expect((await rotating.get('/')).status).toBe(200);
    expect(server.verdicts).toEqual(['SignatureDoesNotMatch', 'SignatureDoesNotMatch', undefined]);
  });

  test.each([
    [403, 'AccessDenied', 'xml'],
    [403, 'AccessDeniedException', 'json'],
    [401, 'AccessDenied', 'xml'],
    [400, 'ValidationException', 'json'],
    [404, 'ExpiredToken', 'xml'],
    [500, 'ExpiredToken', 'xml'],
  ])('%s %s is not a refusal', async (status, code, format) => {
    const provider = jest.fn(() => roll('A', { expiration: new Date(Date.now() + 3_600_000) }));
    const server = await serve((_, response) => {
      response.writeHead(status, { 'Content-Type': 'text/plain' });
      response.end(format === 'xml' ? `<Error><Code>${code}</Code></Error>` : `{"__type":"${code}"}`);
    });
    servers.push(server);
    const api = client(server, { credentials: provider });
    await expect(api.get('/')).rejects.toMatchObject({ response: { status } });
    expect(provider).toHaveBeenCalledTimes(1);
  });

  const refusal = (given: object): AxiosResponse => ({ status: 403, headers: {}, data: '', ...given }) as never;
  test.each([
    [
      'a header',
      refusal({ status: 400, headers: { 'x-amzn-errortype': 'ExpiredTokenException:http://internal/' } }),
      true,
    ],
    ['a header', refusal({ headers: { 'X-Amzn-ErrorType': 'AccessDeniedException' } }), false],
    [
      'JSON that is parsed',
      refusal({ data: { __type: 'com.amazon.coral.service#UnrecognizedClientException' } }),
      true,
    ],
    ['JSON that is parsed', refusal({ data: { code: 'InvalidClientTokenId' } }), true],
    // IAM, STS and SNS answer so if the call accepts JSON, as calls of axios do.
    ['JSON of a query service', refusal({ data: { Error: { Code: 'ExpiredToken', Type: 'Sender' } } }), true],
    ['JSON of a query service', refusal({ data: { Error: { Code: 'AccessDenied', Type: 'Sender' } } }), false],
    ['JSON that is text', refusal({ data: '{"message":"…","__type" : "ExpiredTokenException"}' }), true],
    [
      'XML',
      refusal({ data: '<Response><Errors><Error><Code>RequestExpired</Code></Error></Errors></Response>' }),
      true,
    ],
    ['bytes', refusal({ data: Buffer.from('<Error><Code>InvalidAccessKeyId</Code></Error>') }), true],
    ['an ArrayBuffer', refusal({ data: new TextEncoder().encode('<Code>InvalidToken</Code>').buffer }), true],
    ['JSON that looks like bytes', refusal({ data: { byteLength: 5, code: 'ExpiredToken' } }), true],
    ['JSON that looks like bytes', refusal({ data: { byteLength: 5 } }), false],
    ['nothing', refusal({}), false],
    ['a stream', refusal({ data: Readable.from(['<Code>ExpiredToken</Code>']) }), false],
    ['a 401 without a code', refusal({ status: 401, data: 'x' }), true],
    ['a 200 with a code', refusal({ status: 200, data: { code: 'ExpiredToken' } }), false],
  ])('the code of a refusal is read from %s', (_, response, isRefusal) => {
    expect(sigV4({ ...PLACE, credentials: CREDENTIALS }).isRefusal?.(response)).toBe(isRefusal);
  });

  test.each([
    [{ accessKeyId: 'A' }],
    [{ accessKeyId: '', secretAccessKey: 'opensesame' }],
    [{ accessKeyId: 'A', secretAccessKey: 'opensesame\n' }],
    [{ accessKeyId: 'A', secretAccessKey: 'opensesame', sessionToken: 7 }],
    [null],
  ])('a provider that returns %j rejects the call', async (given) => {
    const scheme = sigV4({ ...PLACE, credentials: () => given as never });
    const error: unknown = await Promise.resolve(scheme.authorize(authRequest({ url: 'https://a.test/' }))).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'ERR_AUTH_INVALID_CREDENTIAL' });
    expect(inspect(error, { showHidden: true, depth: 9 })).not.toContain('opensesame');
  });

  test('a session token that is null counts as absent', async () => {
    const request = authRequest({ url: 'https://a.test/' });
    await sigV4({ ...PLACE, credentials: () => roll('A', { sessionToken: null }) }).authorize(request);
    await sigV4({ ...PLACE, credentials: roll('A', { sessionToken: '' }) }).authorize(request);
    expect(request.headers.has('X-Amz-Security-Token')).toBe(false);
  });

  test('the scheme shows no secret', async () => {
    const scheme = sigV4({ ...PLACE, credentials: { ...CREDENTIALS, sessionToken: 'a-token' } });
    await scheme.authorize(authRequest({ url: 'https://a.test/' }));
    const shown = inspect(scheme, { showHidden: true, depth: 9 }) + JSON.stringify(scheme);
    for (const secret of [CREDENTIALS.secretAccessKey, 'a-token']) expect(shown).not.toContain(secret);
  });
});

describe('the clock', () => {
  const MINUTES = 60_000;

  test.each([20, -20, 3 * 60])('%s min off: 200 in two attempts, then in one', async (minutes) => {
    const server = await start({ now: () => Date.now() + minutes * MINUTES });
    const api = client(server);
    expect((await api.get('/')).status).toBe(200);
    expect((await api.get('/')).status).toBe(200);
    expect(server.verdicts).toEqual(['RequestTimeTooSkewed', undefined, undefined]);
  });

  test.each([{ method: 'HEAD' }, { responseType: 'stream' as const }])(
    'a refusal without a code is recognized by its Date (%j)',
    async (config) => {
      const server = await start({ now: () => Date.now() + 20 * MINUTES });
      const api = client(server);
      expect((await api.request({ url: '/', ...config })).status).toBe(200);
      expect(api.sends).toBe(2);
    },
  );

  test('a 403 without a code from a server whose clock agrees settles the call', async () => {
    const server = await serve((_, response) => {
      response.writeHead(403, { Date: new Date(Date.now() + 20 * MINUTES).toUTCString() });
      response.end();
    });
    servers.push(server);
    const provider = jest.fn(() => ({ ...CREDENTIALS, expiration: new Date(Date.now() + 3_600_000) }));
    const api = client(server, { credentials: provider });
    await expect(api.head('/')).rejects.toMatchObject({ response: { status: 403 } });
    expect(api.sends).toBe(2);
    await expect(api.head('/')).rejects.toMatchObject({ response: { status: 403 } });
    expect(api.sends).toBe(3);
    expect(provider).toHaveBeenCalledTimes(1);
  });

  test('a wrong clock and expired credentials in one call', async () => {
    const now = (): number => Date.now() + 20 * MINUTES;
    const server = await start({ now, keys: { NEW: { secret: 'opensesame' } } });
    const api = client(server, {
      credentials: (given) => ({
        accessKeyId: given?.forceRefresh ? 'NEW' : 'OLD',
        secretAccessKey: 'opensesame',
        expiration: new Date(Date.now() + 1e7),
      }),
    });
    // This server looks at the key before the time.
    expect((await api.get('/')).status).toBe(200);
    expect(server.verdicts.at(-1)).toBeUndefined();
  });

  test.each([
    ['<Code>RequestTimeTooSkewed</Code>', 60_000, true],
    ['<Code>RequestExpired</Code>', 4_000, false],
    ['<Code>SignatureDoesNotMatch</Code>', 60_000, false],
    ['<Code>SignatureDoesNotMatch</Code>', 241_000, true],
    ['', 60_000, false],
    ['', 241_000, true],
  ])(
    'after %j the call is replayed if the clock was corrected by enough (%s ms: %s)',
    async (data, correctedMs, isWorthIt) => {
      const scheme = sigV4({ ...PLACE, credentials: CREDENTIALS });
      const request = authRequest({ url: 'https://a.test/', now: NOW });
      await scheme.authorize(request);
      const response = { status: 403, headers: {}, data } as AxiosResponse;
      const corrected = { ...request, now: NOW - correctedMs };
      expect(await scheme.onChallenge?.({ request: corrected, response, challenges: [] })).toBe(isWorthIt);
    },
  );

  test('a refused time settles the call if the clock was not corrected', async () => {
    const server = await serve((_, response) => {
      response.writeHead(403, { Date: new Date().toUTCString() });
      response.end('<Code>RequestTimeTooSkewed</Code>');
    });
    servers.push(server);
    const api = client(server);
    await expect(api.get('/')).rejects.toMatchObject({ response: { status: 403 } });
    expect(api.sends).toBe(1);
  });
});

describe('presigned', () => {
  test('expiresIn, in whole seconds, is in the URL', async () => {
    const request = authRequest({ url: 'https://a.test/x?y=1', now: NOW });
    await sigV4({ ...PLACE, credentials: CREDENTIALS, query: { expiresIn: 90 } }).authorize(request);
    expect(request.url.search).toMatch(
      /^\?y=1&X-Amz-Algorithm=.*&X-Amz-Expires=90&X-Amz-SignedHeaders=host&X-Amz-Signature=\w{64}$/,
    );
    expect(Object.keys(request.headers)).toEqual([]);
  });

  test.each(['service', 's3'])('an unsigned body is declared as such, unless %s takes it so', async (service) => {
    const server = await start({ service });
    await client(server, { service, query: true, payload: 'unsigned' }).post('/', { a: 1 });
    expect(server.verdicts).toEqual([undefined]);
    const declared = server.seen[0]?.headers['x-amz-content-sha256'];
    expect(declared).toBe(service === 's3' ? undefined : 'UNSIGNED-PAYLOAD');
  });

  test('a call whose URL is presigned already is not signed', async () => {
    for (const query of [true, false]) {
      const url = 'https://a.test/x?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=abc';
      const request = authRequest({ url });
      await sigV4({ ...PLACE, credentials: CREDENTIALS, query }).authorize(request);
      expect([request.url.href, Object.keys(request.headers)]).toEqual([url, []]);
    }
  });
});

describe('options', () => {
  test.each([
    [undefined, /credentials/],
    [{}, /`credentials` takes/],
    [{ credentials: 'AKID' }, /`credentials` takes/],
    [{ credentials: { accessKeyId: 'A' } }, /`credentials` takes/],
    [{ credentials: CREDENTIALS, service: '' }, /`service` takes a name, but got/],
    [{ credentials: CREDENTIALS, region: 'eu/west' }, /`region` takes a name, but got "eu\/west"/],
    [{ credentials: CREDENTIALS, payload: 'none' }, /`payload` takes signed or unsigned, but got "none"/],
    [{ credentials: CREDENTIALS, query: 'yes' }, /`query` takes .* but got "yes"/],
    [{ credentials: CREDENTIALS, query: {} }, /`query` takes/],
    [{ credentials: CREDENTIALS, query: { expiresIn: 0 } }, /`query` takes .*1 to 604800/],
    [{ credentials: CREDENTIALS, query: { expiresIn: 604_801 } }, /`query` takes/],
    [{ credentials: CREDENTIALS, query: { expiresIn: 1.5 } }, /`query` takes/],
    [{ credentials: CREDENTIALS, doubleEncode: 1 }, /`doubleEncode` takes a boolean, but got 1/],
    [{ credentials: CREDENTIALS, normalizePath: null }, /`normalizePath` takes a boolean, but got null/],
    [{ credentials: CREDENTIALS, unsignedHeaders: 'x' }, /`unsignedHeaders` takes an array of header names/],
    [{ credentials: CREDENTIALS, unsignedHeaders: ['a b'] }, /`unsignedHeaders` takes/],
  ])('%j is a TypeError', (options, message) => {
    expect(() => sigV4(options as never)).toThrow(TypeError);
    expect(() => sigV4(options as never)).toThrow(message);
    expect(() => sigV4(options as never)).not.toThrow(new RegExp(CREDENTIALS.secretAccessKey.slice(0, 8)));
  });

  test('undefined options count as absent', () => {
    const nothing = {
      service: undefined,
      region: undefined,
      payload: undefined,
      query: undefined,
      doubleEncode: undefined,
    };
    expect(() =>
      sigV4({ ...nothing, normalizePath: undefined, unsignedHeaders: undefined, credentials: CREDENTIALS }),
    ).not.toThrow();
  });

  test('unsignedHeaders excludes headers', async () => {
    const request = authRequest({ url: 'https://a.test/', headers: { 'X-Proxy': 'changes', Accept: '*/*' } });
    await sigV4({ ...PLACE, credentials: CREDENTIALS, unsignedHeaders: ['X-Proxy'] }).authorize(request);
    expect(authorizationOf(request)).toContain('SignedHeaders=accept;host;x-amz-date,');
  });

  test.each([false, true])(
    'unsignedHeaders excludes no parameter of the query, but the session token (presigned: %s)',
    async (query) => {
      const credentials = { ...KEY, sessionToken: 'token/+=' };
      const server = await start({ keys: { AKIDEXAMPLE: { ...KEYS.AKIDEXAMPLE, token: credentials.sessionToken } } });
      const api = client(server, { credentials, query, unsignedHeaders: ['Accept', 'Version'] });
      await api.get('/', { params: { version: 1, Accept: 'x' } });
      expect(server.verdicts).toEqual([undefined]);
    },
  );

  test('without node:crypto WebCrypto signs the same', async () => {
    const scheme = sigV4({ ...PLACE, credentials: CREDENTIALS });
    const signed = async (): Promise<string> => {
      const request = authRequest({ url: 'https://a.test/', method: 'POST', data: 'body', now: NOW });
      await scheme.authorize(request);
      return authorizationOf(request);
    };
    const expected = await signed();
    const { getBuiltinModule } = process;
    (process as { getBuiltinModule?: unknown }).getBuiltinModule = undefined;
    try {
      const other = sigV4({ ...PLACE, credentials: CREDENTIALS });
      const request = authRequest({ url: 'https://a.test/', method: 'POST', data: 'body', now: NOW });
      await other.authorize(request);
      expect(authorizationOf(request)).toBe(expected);
    } finally {
      process.getBuiltinModule = getBuiltinModule;
    }
  });

  test('a provider of @aws-sdk is assignable', () => {
    const provider: AwsCredentialIdentityProvider = async () => KEY;
    expect(sigV4({ ...PLACE, credentials: provider }).name).toBe('AWS4-HMAC-SHA256');
  });
});
