import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { AxiosInstance, AxiosRequestConfig } from 'axios';
import { httpbis, type SignConfig } from 'http-message-signatures';
import { httpSignature, type VerifyOptions } from '../lib/http-signature.js';
import { isAuthError } from '../lib/index.js';
import { drive } from './support/port-driver.js';
import { serve, type Recorder } from './support/serve.js';
import { keysFor, signerFor, type Keys } from './support/signature-keys.js';

/** The response of the server, and how it is signed. null: not signed. */
interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: string | Buffer;
  sign?: Partial<SignConfig> | null;
  /** Changes the signed response. */
  tamper?: (answer: { status: number; headers: Record<string, string>; body: string | Buffer }) => void;
}

const digestOf = (body: string | Buffer, hash = 'sha256'): string =>
  `${hash.replace('sha', 'sha-')}=:${createHash(hash).update(body).digest('base64')}:`;

let keys: Keys;
let answer: Answer;
let server: Recorder;
beforeAll(async () => {
  keys = await keysFor('ed25519');
});
beforeEach(async () => {
  answer = {};
  server = await serve(async (seen, response) => {
    const { status = 200, headers = {}, body = '{"a":1}', sign: signing = {}, tamper } = answer;
    const all: Record<string, string> = {
      'Content-Type': 'application/json',
      'Content-Digest': digestOf(body),
      ...headers,
    };
    const message = { status, headers: all, body };
    if (signing) {
      const fields = ['@status', 'content-type', 'content-digest', '@method;req', '@path;req', 'content-digest;req'];
      const request = {
        method: seen.method,
        url: server.origin + seen.url,
        headers: seen.headers as Record<string, string>,
      };
      const key = signerFor('ed25519', keys);
      Object.assign(message, await httpbis.signMessage({ key, fields, ...signing }, message, request));
    }
    tamper?.(message);
    response.writeHead(message.status, message.headers);
    response.end(seen.method === 'HEAD' ? undefined : message.body);
  });
});
afterEach(() => server.close());

const keyLookup: VerifyOptions['keyLookup'] = () => ({ key: keys.verifying, algorithm: 'ed25519' });

function client(verify: Partial<VerifyOptions> = {}): AxiosInstance & { sends: number } {
  const scheme = httpSignature({
    keyId: 'client',
    algorithm: 'ed25519',
    key: keys.signing,
    verify: { keyLookup, ...verify },
  });
  return drive(scheme, { defaults: { baseURL: server.origin } });
}

/** The reason of a rejection. undefined: the response was accepted. */
async function rejection(
  verify?: Partial<VerifyOptions>,
  config: AxiosRequestConfig = {},
): Promise<string | undefined> {
  const api = client(verify);
  try {
    await api.request({ method: 'post', url: '/orders?q=1', data: { b: 2 }, ...config });
    return undefined;
  } catch (error) {
    if (!isAuthError(error)) throw error;
    expect(error.code).toBe('ERR_AUTH_RESPONSE_NOT_VERIFIED');
    expect(api.sends).toBe(1);
    return error.message;
  }
}

test('a response that is signed together with its request is verified', async () => {
  expect(
    await rejection({
      requiredComponents: ['@status', 'content-digest', '@method;req', 'content-digest;req'],
      digest: true,
    }),
  ).toBeUndefined();
});

test.each<[string, NonNullable<Answer['tamper']>]>([
  ['the status', (sent) => (sent.status = 201)],
  ['a covered header', (sent) => (sent.headers['Content-Type'] = 'application/hal+json')],
  ['the digest', (sent) => (sent.headers['Content-Digest'] = digestOf('{"a":2}'))],
  [
    'the covered components',
    (sent) => (sent.headers['Signature-Input'] = String(sent.headers['Signature-Input']).replace('"@status" ', '')),
  ],
  [
    'the request it belongs to',
    (sent) =>
      (sent.headers['Signature-Input'] = String(sent.headers['Signature-Input']).replace(
        '"@path";req',
        '"@query";req',
      )),
  ],
  ['the signature', (sent) => (sent.headers['Signature'] = 'sig=:AAAA:')],
])('a response is rejected if %s was changed', async (_what, tamper) => {
  answer = { tamper };
  expect(await rejection()).toContain('its signature is wrong');
});

test('a response is rejected if its body does not match the covered digest', async () => {
  answer = { tamper: (sent) => (sent.body = '{"a":2}') };
  expect(await rejection()).toContain('does not match its Content-Digest');
  expect(await rejection({ digest: false })).toBeUndefined();
});

test.each<[string, NonNullable<Answer['tamper']>]>([
  ['Signature-Input', (sent) => (sent.headers['Signature-Input'] = 'sig=(')],
  ['Signature-Input', (sent) => (sent.headers['Signature-Input'] = 'sig=1')],
  ['Signature', (sent) => (sent.headers['Signature'] = '(')],
  ['Signature', (sent) => (sent.headers['Signature'] = 'sig=1')],
  ['Signature', (sent) => (sent.headers['Signature'] = 'other=:AAAA:')],
  ['Content-Digest', (sent) => (sent.headers['Content-Digest'] = '(')],
])('a response with a malformed %s is rejected', async (_name, tamper) => {
  answer = { sign: { fields: ['@status'] }, tamper };
  expect(await rejection()).toContain('not verified');
});

test('a component that a signature lists twice is rejected', async () => {
  answer = { sign: { fields: ['@status', '@status'] } };
  expect(await rejection()).toContain('twice');
});

test('the error names a covered component that the response does not have', async () => {
  answer = { tamper: (sent) => delete sent.headers['Content-Digest'] };
  expect(await rejection()).toContain('"content-digest" is covered, but not in the message');
});

test('a component with an unknown parameter is rejected', async () => {
  answer = {
    tamper: (sent) =>
      (sent.headers['Signature-Input'] = String(sent.headers['Signature-Input']).replace(
        '"content-type"',
        '"content-type";tr',
      )),
  };
  expect(await rejection()).toContain('"content-type";tr is no component');
});

test('requiredComponents must be covered', async () => {
  answer = { sign: { fields: ['@status'] } };
  expect(await rejection()).toBeUndefined();
  expect(await rejection({ requiredComponents: ['@status', 'Content-Digest'] })).toContain(
    'does not cover "content-digest"',
  );
  expect(await rejection({ requiredComponents: ['@status;req'] })).toContain('does not cover "@status";req');
});

test('the order of the parameters of a component does not distinguish it (RFC 9421 §2)', async () => {
  const fields = ['"@query-param";req;name="q"'];
  answer = { sign: { fields } };
  expect(await rejection({ requiredComponents: ['@query-param;name="q";req'] })).toBeUndefined();
  answer = { sign: { fields: [...fields, '"@query-param";name="q";req'] } };
  expect(await rejection()).toContain('twice');
});

describe('age', () => {
  const ago = (seconds: number): Date => new Date(Date.now() - seconds * 1000);

  test.each<[string, Partial<SignConfig>, string | undefined]>([
    ['younger than maxAge', { params: ['created'], paramValues: { created: ago(30) } }, undefined],
    ['older than maxAge', { params: ['created'], paramValues: { created: ago(90) } }, 'too old'],
    ['without created', { params: ['keyid'] }, 'too old'],
    ['expired', { params: ['created', 'expires'], paramValues: { created: ago(30), expires: ago(5) } }, 'has expired'],
    [
      'not yet expired',
      { params: ['created', 'expires'], paramValues: { created: ago(30), expires: ago(-5) } },
      undefined,
    ],
  ])('a signature that is %s', async (_what, sign, expected) => {
    answer = { sign };
    const reason = await rejection({ maxAge: 60 });
    if (expected === undefined) expect(reason).toBeUndefined();
    else expect(reason).toContain(expected);
  });

  test('is not checked without maxAge', async () => {
    answer = { sign: { params: ['created'], paramValues: { created: ago(86_400) } } };
    expect(await rejection()).toBeUndefined();
  });
});

describe('keys', () => {
  test('are looked up by keyid and alg', async () => {
    const lookup = jest.fn(keyLookup);
    answer = { sign: { params: ['keyid', 'alg'] } };
    expect(await rejection({ keyLookup: lookup })).toBeUndefined();
    expect(lookup.mock.calls).toEqual([['server', 'ed25519']]);
  });

  test('that are unknown verify no signature', async () => {
    expect(await rejection({ keyLookup: () => null })).toContain('no signature of a known key');
  });

  test('of other signatures are skipped', async () => {
    answer = {
      tamper: ({ headers }) => {
        headers['Signature-Input'] = `proxy=();keyid="proxy", ${String(headers['Signature-Input'])}`;
        headers['Signature'] = `proxy=:AAAA:, ${String(headers['Signature'])}`;
      },
    };
    expect(
      await rejection({ keyLookup: (keyId, alg) => (keyId === 'proxy' ? null : keyLookup(keyId, alg)) }),
    ).toBeUndefined();
  });

  test('for another algorithm verify no signature', async () => {
    answer = { sign: { params: ['keyid', 'alg'] } };
    const { verifying } = await keysFor('ecdsa-p256-sha256');
    for (const algorithm of ['ecdsa-p256-sha256', 'ed25519', 'none', 'constructor']) {
      expect(await rejection({ keyLookup: () => ({ key: verifying, algorithm }) })).toContain('not verified');
    }
  });

  test('verify no signature whose alg names another algorithm', async () => {
    answer = { sign: { params: ['keyid', 'alg'], paramValues: { alg: 'hmac-sha256' } } };
    expect(await rejection()).toContain('it is signed with hmac-sha256, but its key is for ed25519');
  });

  test('that cannot be looked up: the cause has the reason', async () => {
    const verify = { keyLookup: () => Promise.reject(new Error('no network')) };
    expect(await rejection(verify)).toContain('no network');
  });
});

describe('a response without a signature', () => {
  beforeEach(() => {
    answer = { sign: null };
  });

  test.each([200, 204, 302, 404])('is rejected if it is a %i', async (status) => {
    answer.status = status;
    expect(await rejection({}, { maxRedirects: 0 })).toContain('no signature');
  });

  test.each([401, 429, 500, 503])('settles the call if it is a %i, since gateways do not sign', async (status) => {
    answer.status = status;
    await expect(client().get('/')).rejects.toMatchObject({ response: { status } });
  });
});

test('an error response that is signed is verified, too', async () => {
  answer = { status: 503, tamper: (sent) => (sent.headers['Signature'] = 'sig=:AAAA:') };
  expect(await rejection()).toContain('its signature is wrong');
});

describe('digests', () => {
  const fields = ['@status'];

  test('are verified by SHA-512, too, and all supported ones must match', async () => {
    const body = 'é€';
    answer = { body, headers: { 'Content-Digest': digestOf(body, 'sha512') } };
    expect(await rejection({ digest: true })).toBeUndefined();
    answer = { body, headers: { 'Content-Digest': `${digestOf(body)}, ${digestOf('other', 'sha512')}` } };
    expect(await rejection()).toContain('does not match');
  });

  test.each<AxiosRequestConfig['responseType']>(['text', 'json', 'arraybuffer'])(
    'are over the bytes: responseType %s',
    async (responseType) => {
      answer = { body: '{"text":"é€"}' };
      expect(await rejection({ digest: true }, { responseType: responseType! })).toBeUndefined();
      answer.tamper = (sent) => (sent.body = '{"text":"e"}');
      expect(await rejection({}, { responseType: responseType! })).toContain('does not match');
    },
  );

  test('of a body with a Content-Encoding are not verified, unless they must be', async () => {
    answer = { body: gzipSync('{"a":1}'), headers: { 'Content-Encoding': 'gzip' } };
    expect(await rejection()).toBeUndefined();
    expect(await rejection({ digest: true })).toContain('no covered Content-Digest');
  });

  test('of a stream are not verified, unless they must be', async () => {
    expect(await rejection({}, { responseType: 'stream' })).toBeUndefined();
    expect(await rejection({ digest: true }, { responseType: 'stream' })).toContain('no covered Content-Digest');
  });

  test('must be covered if they must be verified', async () => {
    answer = { sign: { fields } };
    expect(await rejection()).toBeUndefined();
    expect(await rejection({ digest: true })).toContain('no covered Content-Digest');
  });

  test.each(['md5=:AAAA:', ''])('without a supported hash (%j) are rejected', async (digest) => {
    answer = { headers: { 'Content-Digest': digest }, sign: { fields } };
    expect(await rejection()).toBeUndefined();
    expect(await rejection({ digest: true })).toContain('no covered Content-Digest');
  });

  test('are not needed without a body', async () => {
    answer = { body: '', sign: { fields } };
    expect(await rejection({ digest: true })).toBeUndefined();
    answer = { sign: { fields } };
    expect(await rejection({ digest: true }, { method: 'head', data: undefined })).toBeUndefined();
    answer = { status: 304, body: '', headers: { 'Content-Digest': digestOf('{"a":1}') } };
    expect(await rejection({ digest: true }, { validateStatus: null })).toBeUndefined();
  });
});

test('a signature over Content-Encoding is verified, although axios removes that header', async () => {
  answer = {
    body: gzipSync('{"a":1}'),
    headers: { 'Content-Encoding': 'gzip' },
    sign: { fields: ['@status', 'content-encoding'] },
  };
  expect(await rejection({ requiredComponents: ['content-encoding'] })).toBeUndefined();
});
