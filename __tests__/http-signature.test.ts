import { createHash, createPublicKey, randomBytes, sign, verify, webcrypto } from 'node:crypto';
import { Readable } from 'node:stream';
import type { AxiosInstance, CreateAxiosDefaults } from 'axios';
import { createVerifier, httpbis, type VerifyConfig } from 'http-message-signatures';
import {
  httpSignature,
  type Component,
  type HttpSignatureOptions,
  type SignatureAlgorithm,
  type VerifyOptions,
} from '../lib/http-signature.js';
import { componentOf, signatureBase } from '../lib/http-signature/message.js';
import type { AuthRequest, AuthScheme } from '../lib/index.js';
import { isAuthError } from '../lib/index.js';
import { authRequest, drive } from './support/port-driver.js';
import { RFC_CREATED, RFC_KEYS, RFC_REQUEST, RFC_RESPONSE, RFC_SIGNATURES } from './support/rfc9421.js';
import { ALGORITHMS, allKeys, IMPORT, keysFor, signerFor, type Keys } from './support/signature-keys.js';
import { serve, type Recorder, type Seen } from './support/serve.js';

const { subtle } = webcrypto;

let keys: Record<SignatureAlgorithm, Keys>;
/** The response of the server. */
let answer: (
  seen: Seen,
) => { status?: number; headers?: Record<string, string | string[]>; body?: string | Buffer } | Promise<object>;
let server: Recorder;
beforeAll(async () => {
  keys = await allKeys();
});
beforeEach(async () => {
  answer = () => ({});
  server = await serve(async (seen, response) => {
    const {
      status = 200,
      headers = {},
      body = '{}',
    } = (await answer(seen)) as { status?: number; headers?: Record<string, string>; body?: string };
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
    response.end(seen.method === 'HEAD' ? undefined : body);
  });
});
afterEach(() => server.close());

const scheme = (options: Partial<HttpSignatureOptions> = {}): AuthScheme =>
  httpSignature({ keyId: 'test', algorithm: 'ed25519', key: keys.ed25519.signing, ...options });

const client = (
  options: Partial<HttpSignatureOptions> = {},
  defaults: CreateAxiosDefaults = {},
): AxiosInstance & { sends: number } => drive(scheme(options), { defaults: { baseURL: server.origin, ...defaults } });

/** The error of a call. */
async function failureOf(call: Promise<unknown>): Promise<Error & { code?: string; cause?: unknown }> {
  return call.then(
    () => {
      throw new Error('the call succeeded');
    },
    (error: unknown) => error as Error,
  );
}

/** The result of an independent verifier of a request that arrived. */
function isValid(
  seen: Seen,
  algorithm: SignatureAlgorithm,
  config: Partial<VerifyConfig> = {},
): Promise<boolean | null> {
  const key = keys[algorithm].publicKey;
  const verifier = createVerifier(algorithm === 'hmac-sha256' ? key.export() : key, algorithm);
  const url = server.origin + seen.url;
  const headers = seen.headers as Record<string, string>;
  return httpbis.verifyMessage(
    { keyLookup: async () => ({ verify: verifier }), ...config },
    { method: seen.method, url, headers },
  );
}

describe('the examples of RFC 9421, appendix B.2', () => {
  const signed = async (options: Partial<HttpSignatureOptions>): Promise<AuthRequest> => {
    const { url, headers, method, body } = RFC_REQUEST;
    const request = authRequest({ url: url.href, method, headers, data: body, now: RFC_CREATED * 1000 + 999 });
    await scheme(options).authorize(request);
    return request;
  };

  test('B.2.5 is reproduced byte for byte', async () => {
    const { headers } = await signed({
      keyId: 'test-shared-secret',
      algorithm: 'hmac-sha256',
      key: new Uint8Array(Buffer.from(RFC_KEYS['test-shared-secret'], 'base64')),
      components: ['date', '@authority', 'content-type'],
      label: 'sig-b25',
    });
    expect(headers.get('Signature-Input')).toBe(
      'sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
    );
    expect(headers.get('Signature')).toBe('sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:');
  });

  test('B.2.6 is reproduced byte for byte', async () => {
    const { headers } = await signed({
      keyId: 'test-key-ed25519',
      key: await subtle.importKey('jwk', RFC_KEYS['test-key-ed25519'], 'Ed25519', false, ['sign']),
      components: ['date', '@method', '@path', '@authority', 'content-type', 'content-length'],
      label: 'sig-b26',
    });
    expect(headers.get('Signature-Input')).toBe(
      'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
    );
    expect(headers.get('Signature')).toBe(
      'sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:',
    );
  });

  test.each(RFC_SIGNATURES)(
    '$name verifies over the signature base of this package',
    async ({ components, params, signature }) => {
      const base = await signatureBase(components.map(componentOf), params, RFC_REQUEST);
      const key = createPublicKey({ key: RFC_KEYS['test-key-rsa-pss'], format: 'jwk' });
      const isRight = verify('sha512', base, { key, padding: 6, saltLength: 64 }, Buffer.from(signature, 'base64'));
      expect(isRight).toBe(true);
    },
  );

  test('B.2.4, a response, is verified', async () => {
    const key = await subtle.importKey('jwk', RFC_KEYS['test-key-ecc-p256'], IMPORT['ecdsa-p256-sha256'], true, [
      'verify',
    ]);
    answer = () => RFC_RESPONSE;
    const asked: unknown[] = [];
    const verifying: VerifyOptions = {
      keyLookup: (keyId, alg) => {
        asked.push(keyId, alg);
        return { key, algorithm: 'ecdsa-p256-sha256' };
      },
      requiredComponents: ['@status', 'content-digest'],
      digest: true,
    };
    const { data } = await client({ verify: verifying }).get('/');
    expect(data).toEqual({ message: 'good dog' });
    expect(asked).toEqual(['test-key-ecc-p256', undefined]);
  });
});

describe.each(ALGORITHMS)('%s', (algorithm) => {
  const own = (options: Partial<HttpSignatureOptions> = {}): Partial<HttpSignatureOptions> => ({
    algorithm,
    key: keys[algorithm].signing,
    ...options,
  });

  test('an independent verifier accepts the request', async () => {
    const api = client(own({ includeAlg: true, nonce: true, tag: 'app "1"', expiresIn: 60, label: 'own' }));
    await api.post('/orders/1?b=2&a=1%20x', { a: 'é' });
    const [seen] = server.seen;
    expect(
      await isValid(seen!, algorithm, {
        requiredFields: ['@method', '@authority', '@path', '@query', 'content-type', 'content-digest'],
      }),
    ).toBe(true);
    expect(seen!.headers['signature-input']).toMatch(
      new RegExp(
        `^own=\\(.*\\);created=\\d+;expires=\\d+;keyid="test";alg="${algorithm}";nonce="[\\w+/]{24}";tag="app \\\\"1\\\\""$`,
      ),
    );
    const [, created, expires] = /created=(\d+);expires=(\d+)/.exec(String(seen!.headers['signature-input'])) ?? [];
    expect(Number(expires) - Number(created)).toBe(60);
    expect(await isValid({ ...seen!, url: '/orders/2' }, algorithm)).toBe(false);
  });

  test('a key may be given as bytes', async () => {
    await client(own({ key: keys[algorithm].bytes })).get('/');
    expect(await isValid(server.seen[0]!, algorithm)).toBe(true);
  });

  test('a response that an independent signer has signed is verified', async () => {
    answer = async () => {
      const headers = { 'Content-Type': 'application/json', 'Content-Digest': digestOf('{"a":1}') };
      const message = await httpbis.signMessage(
        { key: signerFor(algorithm, keys[algorithm]), fields: ['@status', 'content-type', 'content-digest'] },
        { status: 200, headers },
      );
      return { headers: message.headers, body: '{"a":1}' };
    };
    const verifying: VerifyOptions = { keyLookup: () => ({ key: keys[algorithm].verifying, algorithm }), maxAge: 60 };
    expect((await client(own({ verify: verifying })).get('/')).data).toEqual({ a: 1 });
  });
});

const digestOf = (body: string | Buffer, hash = 'sha256'): string =>
  `${hash.replace('sha', 'sha-')}=:${createHash(hash).update(body).digest('base64')}:`;

describe('the covered components', () => {
  const inputOf = (seen: Seen | undefined): string => String(seen?.headers['signature-input']);

  test('are by default method, authority, path and query, and with a body its type and digest', async () => {
    const api = client();
    await api.get('/a?b');
    await api.post('/a', { b: 1 });
    await api.post('/a', 'text', { headers: { 'Content-Type': false } });
    expect(server.seen.map((seen) => inputOf(seen).replace(/;.*/, ''))).toEqual([
      'sig1=("@method" "@authority" "@path" "@query")',
      'sig1=("@method" "@authority" "@path" "@query" "content-type" "content-digest")',
      'sig1=("@method" "@authority" "@path" "@query" "content-digest")',
    ]);
    for (const seen of server.seen) expect(await isValid(seen, 'ed25519')).toBe(true);
  });

  test.each<[string, string | Component, string]>([
    ['"x-missing"', 'X-Missing', '/?a=1'],
    ['"host"', 'host', '/?a=1'],
    ['"x-dict";key="b"', { name: 'x-dict', params: { key: 'b' } }, '/?a=1'],
    ['"@query-param";name="c"', { name: '@query-param', params: { name: 'c' } }, '/?a=1'],
    ['"@status"', '@status', '/?a=1'],
    ['"@method";req', { name: '@method', params: { req: true } }, '/?a=1'],
    ['"@nonsense"', '@nonsense', '/?a=1'],
    ['"x-off"', 'x-off', '/?a=1'],
    ['twice', { name: '@query-param', params: { name: 'a' } }, '/?a=1&a=2'],
    ['"x-text" is not ASCII', 'x-text', '/?a=1'],
  ])('%s: a call without the component is rejected unsent, with the reason', async (why, component, url) => {
    const failure = await failureOf(
      client({ components: ['@method', component] }).get(url, {
        headers: { 'X-Dict': 'a=1', 'X-Text': 'caf\u00e9', 'X-Off': false },
      }),
    );
    expect(failure).toBeInstanceOf(TypeError);
    expect(failure.message).toContain(why);
    expect(server.seen).toEqual([]);
  });

  test('contain no empty query, which is not sent either', async () => {
    for (const adapter of ['http', 'fetch'] as const)
      await client({ components: ['@target-uri', '@request-target', '@query'] }, { adapter }).get('/a?#part');
    for (const seen of server.seen) expect([seen.url, await isValid(seen, 'ed25519')]).toEqual(['/a', true]);
    expect(server.seen).toHaveLength(2);
  });

  test.each(['http', 'fetch'] as const)(
    'the charset of a Content-Type is sent as it is signed: %s',
    async (adapter) => {
      const api = client({}, { adapter });
      await api.post('/', 'é', { headers: { 'Content-Type': 'text/plain; charset=utf-8' } });
      await api.post('/', new Blob(['é'], { type: 'text/plain;charset=utf-8' }));
      for (const seen of server.seen)
        expect(await isValid(seen, 'ed25519', { requiredFields: ['content-type'] })).toBe(true);
      expect(server.seen.map(({ headers }) => headers['content-type'])).toEqual([
        'text/plain; charset=utf-8',
        'text/plain;charset=utf-8',
      ]);
    },
  );

  test('over fetch, each hop of a redirect within the origin is signed for its own URL', async () => {
    answer = ({ url }) => (url === '/old' ? { status: 307, headers: { Location: '/new' } } : {});
    expect((await client({}, { adapter: 'fetch' }).get('/old')).status).toBe(200);
    expect(server.seen.map(({ url }) => url)).toEqual(['/old', '/new']);
    for (const seen of server.seen) expect(await isValid(seen, 'ed25519', { requiredFields: ['@path'] })).toBe(true);
  });

  test('may not contain a component twice', async () => {
    const failure = await failureOf(client({ components: ['@path', '@PATH'] }).get('/'));
    expect(failure.message).toContain('"@path" is covered twice');
  });

  test('may have parameters, which a verifier understands', async () => {
    const components: Component[] = [
      { name: '@query-param', params: { name: 'Pet' } },
      { name: 'x-dict', params: { key: 'b' } },
      { name: 'x-dict', params: { sf: true } },
      { name: 'x-dict', params: { bs: true } },
    ];
    await client({ components }).get('/?Pet=dog', { headers: { 'X-Dict': 'a=1,   b=2;x' } });
    expect(await isValid(server.seen[0]!, 'ed25519')).toBe(true);
  });
});

describe('the Content-Digest', () => {
  test.each<[string, () => unknown]>([
    ['JSON', () => ({ text: 'é€' })],
    ['a string', () => 'é€'],
    ['a Buffer', () => Buffer.from([0, 255, 1])],
    ['a Blob', () => new Blob([new Uint8Array([1, 2])])],
    ['parameters', () => new URLSearchParams({ a: 'é ' })],
  ])('is over the bytes that are sent: %s', async (_name, make) => {
    await client({}, { adapter: 'http' }).post('/', make());
    const [seen] = server.seen;
    expect(seen!.body.length).toBeGreaterThan(0);
    expect(seen!.headers['content-digest']).toBe(digestOf(seen!.body));
  });

  test('may be by SHA-512', async () => {
    await client({ digest: 'sha-512' }).post('/', 'text');
    expect(server.seen[0]!.headers['content-digest']).toBe(digestOf('text', 'sha512'));
  });

  test('is of no bytes if it is covered, but there is no body', async () => {
    await client({ components: ['content-digest'] }).get('/');
    expect(server.seen[0]!.headers['content-digest']).toBe(digestOf(''));
  });

  test('is neither written nor covered with digest: false', async () => {
    await client({ digest: false }).post('/', 'text');
    expect(server.seen[0]!.headers['content-digest']).toBeUndefined();
    expect(await isValid(server.seen[0]!, 'ed25519')).toBe(true);
  });

  test('of the call itself is kept', async () => {
    const own = digestOf('text', 'sha512');
    await client().post('/', 'text', { headers: { 'Content-Digest': own } });
    expect(server.seen[0]!.headers['content-digest']).toBe(own);
    expect(await isValid(server.seen[0]!, 'ed25519')).toBe(true);
  });

  test('cannot be made of a stream: the call is rejected unsent', async () => {
    const failure = await failureOf(client().post('/', Readable.from(['text'])));
    expect(isAuthError(failure) && failure.code).toBe('ERR_AUTH_BODY_NOT_SIGNABLE');
    expect(server.seen).toEqual([]);
  });

  test('of a stream may be set by the call', async () => {
    const headers = { 'Content-Digest': digestOf('text'), 'Content-Type': 'text/plain' };
    await client().post('/', Readable.from(['text']), { headers });
    expect(await isValid(server.seen[0]!, 'ed25519', { requiredFields: ['content-digest'] })).toBe(true);
  });
});

describe('keys', () => {
  test('may be external: { sign } gets the signature base', async () => {
    const kms = {
      privateKey: keys.ed25519.privateKey,
      async sign(base: Uint8Array) {
        return new Uint8Array(sign(null, base, this.privateKey));
      },
    };
    await client({ key: kms }).get('/');
    expect(await isValid(server.seen[0]!, 'ed25519')).toBe(true);
  });

  test('of bytes are imported once, until they change', async () => {
    const next = await keysFor('ed25519');
    const bytes = keys.ed25519.bytes.slice();
    const own = scheme({ key: () => bytes });
    const importKey = jest.spyOn(crypto.subtle, 'importKey');
    const signature = async (): Promise<unknown> => {
      const request = authRequest({ url: 'https://a.example/', now: RFC_CREATED * 1000 });
      await own.authorize(request);
      return request.headers.get('Signature');
    };
    const first = await signature();
    expect(await signature()).toBe(first);
    expect(importKey).toHaveBeenCalledTimes(1);
    bytes.set(next.bytes);
    expect(await signature()).not.toBe(first);
    expect(importKey).toHaveBeenCalledTimes(2);
    importKey.mockRestore();
  });

  test.each<[string, () => unknown]>([
    ['another algorithm', () => keys['hmac-sha256'].signing],
    ['another curve', () => keys['ecdsa-p384-sha384'].signing],
    ['a public key', () => keys['ecdsa-p256-sha256'].verifying],
    ['bytes that are no key', () => new Uint8Array(12)],
    ['null', () => () => null],
    ['no key', () => ({})],
  ])('of the wrong kind reject with ERR_AUTH_INVALID_CREDENTIAL: %s', async (_name, key) => {
    const failure = await failureOf(client({ algorithm: 'ecdsa-p256-sha256', key: key() as never }).get('/'));
    expect(isAuthError(failure) && failure.code).toBe('ERR_AUTH_INVALID_CREDENTIAL');
    expect(server.seen).toEqual([]);
  });

  test('of another hash reject, since WebCrypto would sign with that hash', async () => {
    const key = await subtle.importKey('raw', randomBytes(32), { name: 'HMAC', hash: 'SHA-512' }, false, ['sign']);
    const failure = await failureOf(client({ algorithm: 'hmac-sha256', key }).get('/'));
    expect(isAuthError(failure) && failure.code).toBe('ERR_AUTH_INVALID_CREDENTIAL');
  });

  test('are in no error', async () => {
    const key = new Uint8Array(Buffer.from('0123456789abcdef'));
    const failure = await failureOf(client({ key }).get('/'));
    const shown = JSON.stringify(failure) + String(failure.cause) + failure.message;
    expect(shown).not.toContain('0123456789abcdef');
    expect(shown).not.toContain(Buffer.from(key).toString('base64'));
  });
});

describe('a 401', () => {
  beforeEach(() => {
    answer = () => ({ status: 401 });
  });

  test('settles the call if neither key nor clock has changed', async () => {
    const key = jest.fn(() => keys.ed25519.signing);
    const api = client({ key });
    await failureOf(api.get('/'));
    expect(api.sends).toBe(1);
    expect(key).toHaveBeenCalledTimes(2);
  });

  test('is replayed once with a new key', async () => {
    const all = [keys.ed25519.bytes.slice(), (await keysFor('ed25519')).bytes, (await keysFor('ed25519')).bytes];
    let calls = 0;
    const api = client({ key: () => all[Math.min(calls++, 2)]! });
    await failureOf(api.get('/'));
    expect(api.sends).toBe(2);
  });

  test('is replayed with the new key if its bytes were written over those of the old one, once', async () => {
    const bytes = keys.ed25519.bytes.slice();
    const next = await keysFor('ed25519');
    answer = () => {
      bytes.set(next.bytes);
      return { status: 401 };
    };
    const api = client({ key: () => bytes });
    await failureOf(api.get('/'));
    expect(api.sends).toBe(2);
  });

  test('is replayed if the clock was corrected by more than 5 s', async () => {
    answer = () => ({ status: 401, headers: { Date: new Date(Date.now() + 60_000).toUTCString() } });
    const api = client();
    await failureOf(api.get('/'));
    expect(api.sends).toBe(2);
    const created = server.seen.map(({ headers }) =>
      Number(/created=(\d+)/.exec(String(headers['signature-input']))?.[1]),
    );
    expect(created[1]! - created[0]!).toBeGreaterThan(50);
  });

  test('settles the call if the clock was corrected by less', async () => {
    answer = () => ({ status: 401, headers: { Date: new Date(Date.now() + 4_000).toUTCString() } });
    const api = client();
    await failureOf(api.get('/'));
    expect(api.sends).toBe(1);
  });
});

test('every attempt has a new signature with its own nonce', async () => {
  const exchange = {};
  const signed = async (attempt: number): Promise<unknown> => {
    const request = authRequest({ url: 'https://a.example/', exchange, attempt });
    await own.authorize(request);
    return request.headers.get('Signature-Input');
  };
  const own = scheme({ nonce: true });
  expect(await signed(1)).not.toBe(await signed(2));
});

test.each<[string, unknown]>([
  ['keyId', { keyId: '' }],
  ['keyId', { keyId: 'caf\u00e9' }],
  ['keyId', { keyId: 7 }],
  ['algorithm', { algorithm: 'ES256' }],
  ['algorithm', { algorithm: 'constructor' }],
  ['key', { key: 'secret-text' }],
  ['key', { key: null }],
  ['digest', { digest: 'md5' }],
  ['label', { label: 'Sig' }],
  ['label', { label: '1' }],
  ['tag', { tag: 'line\nbreak' }],
  ['expiresIn', { expiresIn: 0 }],
  ['expiresIn', { expiresIn: 1.5 }],
  ['expiresIn', { expiresIn: '60' }],
  ['nonce', { nonce: 'yes' }],
  ['includeAlg', { includeAlg: 1 }],
  ['verify', { verify: {} }],
  ['verify', { verify: { keyLookup: () => null, maxAge: '60' } }],
  ['verify', { verify: { keyLookup: () => null, requiredComponents: '@status' } }],
  ['verify', { verify: { keyLookup: () => null, digest: 'yes' } }],
  ['is no component', { components: [{ name: '@path', params: { tr: true } }] }],
  ['is no component', { components: ['@query-param;name="Pet"'] }],
  ['is no component', { components: [''] }],
  ['is no component', { components: ['@query-param'] }],
  ['is no component', { components: [{ name: '@path', params: { name: 'Pet' } }] }],
  ['is no component', { components: [{ name: '@path', params: { sf: true } }] }],
  ['is no component', { components: [{ name: '@path', params: { bs: true } }] }],
  ['is no component', { components: [{ name: '@path', params: { key: 'a' } }] }],
  ['is no component', { components: [{ name: 'x-dict', params: { bs: true, sf: true } }] }],
  ['is no component', { components: [{ name: 'x-dict', params: { bs: true, key: 'a' } }] }],
  ['`components` takes an array', { components: '@path' }],
])('a wrong %s is a TypeError that names it: %j', (option, wrong) => {
  const make = (): AuthScheme => scheme(wrong as Partial<HttpSignatureOptions>);
  expect(make).toThrow(TypeError);
  expect(make).toThrow(option);
  expect(make).not.toThrow('secret-text');
});

test('signing does not load the package structured-headers', async () => {
  await jest.isolateModulesAsync(async () => {
    jest.doMock('structured-headers', () => {
      throw new Error('not installed');
    });
    const isolated = await import('../lib/http-signature.js');
    const request = authRequest({ url: 'https://a.example/?a=1', headers: { 'X-Text': 'a' } });
    const components = [
      '@method',
      { name: '@query-param', params: { name: 'a' } },
      { name: 'x-text', params: { bs: true } } as const,
    ];
    await isolated
      .httpSignature({ keyId: 'a', algorithm: 'ed25519', key: keys.ed25519.signing, components })
      .authorize(request);
    expect(request.headers.get('Signature')).toMatch(/^sig1=:/);
    const needing = isolated.httpSignature({
      keyId: 'a',
      algorithm: 'ed25519',
      key: keys.ed25519.signing,
      components: [{ name: 'x-text', params: { sf: true } }],
    });
    await expect(needing.authorize(request)).rejects.toThrow('need structured-headers');
  });
});
