import { createHash, createHmac } from 'node:crypto';
import { Readable } from 'node:stream';
import { AxiosHeaders } from 'axios';
import FormDataPackage from 'form-data';
import {
  apiKey,
  basic,
  bearer,
  exchangeOf,
  hmac,
  isAuthError,
  signed,
  type AuthRequest,
  type AuthScheme,
  type BearerScheme,
  type HmacOptions,
} from '../lib/index.js';
import { authRequest } from './support/port-driver.js';
import { frozenClock, recording, type Recording, type Sent } from './support/recording.js';

const NOW = Date.UTC(2026, 10, 23, 12, 0, 0, 700);

const each = (sent: readonly Sent[], header: string): (string | undefined)[] =>
  sent.map(({ headers }) => headers[header]);
const encoded = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;

/** Answers 401 unless the header has an accepted value. */
const onlyFor =
  (header: string, ...accepted: string[]) =>
  ({ headers }: Sent): number =>
    accepted.includes(headers[header] ?? '') ? 200 : 401;

/** Returns the values in turn, and the last one from then on. */
function inTurn<T>(...values: T[]): jest.Mock<Promise<T>> {
  let next = 0;
  return jest.fn(() => Promise.resolve(values[Math.min(next++, values.length - 1)] as T));
}

/** The schemes whose credential may be a function: maker, header, written value, and the value that the function returns. */
const fromFunctions: [
  string,
  (source: () => Promise<never>) => AuthScheme,
  string,
  (value: string) => string,
  (value: string) => unknown,
][] = [
  ['bearer()', bearer, 'authorization', (value) => `Bearer ${value}`, (value) => value],
  ['apiKey()', apiKey, 'x-api-key', (value) => value, (value) => value],
  [
    'basic()',
    basic,
    'authorization',
    (value) => encoded(`u:${value}`),
    (value) => ({ username: 'u', password: value }),
  ],
];

describe.each(fromFunctions)('%s of a function', (_scheme, make, header, written, given) => {
  const source = (...values: (string | null | undefined)[]) =>
    inTurn(...values.map((value) => (typeof value === 'string' ? given(value) : value)));

  test('calls it at every attempt', async () => {
    const ask = source('one', 'two');
    const { api, sent } = recording(make(ask as never));
    await api.get('/');
    await api.get('/');
    expect(each(sent, header)).toEqual([written('one'), written('two')]);
    expect(ask).toHaveBeenCalledTimes(2);
  });

  test('calls it again after a 401, and replays if the value changed', async () => {
    const ask = source('old', 'new', 'new');
    const { api, sent } = recording(make(ask as never), onlyFor(header, written('new')));
    expect((await api.get('/')).status).toBe(200);
    expect(each(sent, header)).toEqual([written('old'), written('new')]);
  });

  test('settles with the 401 if the value is the same', async () => {
    const ask = source('same');
    const { api, sent } = recording(make(ask as never), [401]);
    expect((await api.get('/')).status).toBe(401);
    expect(sent).toHaveLength(1);
    expect(ask).toHaveBeenCalledTimes(2);
  });

  test('replays once per call, however often the value changes', async () => {
    const { api, sent } = recording(make(source('1', '2', '3', '4', '5', '6') as never), [401]);
    expect((await api.get('/')).status).toBe(401);
    expect(sent).toHaveLength(2);
  });

  test.each([null, undefined])('sends the call without credentials if it returns %p', async (nothing) => {
    const { api, sent } = recording(make(source(nothing) as never), [401]);
    expect((await api.get('/')).status).toBe(401);
    expect(each(sent, header)).toEqual([undefined]);
  });

  test('rejects the call unsent with the error that it throws', async () => {
    const error = new Error('no value today');
    const { api, sent } = recording(make(() => Promise.reject(error)));
    await expect(api.get('/')).rejects.toBe(error);
    expect(sent).toHaveLength(0);
  });

  test('accepts a value or a promise', async () => {
    const { api, sent } = recording(make((() => given('now')) as never));
    await api.get('/');
    expect(each(sent, header)).toEqual([written('now')]);
  });
});

test.each([42, true, {}, ['token']])('bearer() of a function that returns %j sends nothing', async (token) => {
  const { api, sent } = recording(bearer(() => token as never));
  await expect(api.get('/')).rejects.toMatchObject({ code: 'ERR_AUTH_INVALID_CREDENTIAL' });
  expect(sent).toEqual([]);
});

test.each<[string, AuthScheme]>([
  ['Basic', basic({ username: 'u', password: 'p' })],
  ['Basic', basic(() => null)],
  ['Bearer', bearer('t')],
  ['Bearer', bearer(() => 't')],
  ['Bearer', bearer({})],
  ['HMAC', hmac({ keyId: 'k', secret: 's' })],
])('the name of the scheme is %s (case %#)', (name, scheme) => {
  expect(scheme.name).toBe(name);
});

test.each<[AuthScheme, string[]]>([
  [bearer('t'), ['Authorization']],
  [bearer(() => 't'), ['Authorization']],
  [apiKey('k'), ['X-API-Key']],
  [apiKey('k', { header: 'Api-Token' }), ['Api-Token']],
  [hmac({ keyId: 'k', secret: 's' }), ['X-API-Key', 'X-Timestamp', 'X-Signature']],
  [hmac({ keyId: 'k', secret: 's', headers: { signature: 'Sig' } }), ['X-API-Key', 'X-Timestamp', 'Sig']],
])('credentialHeaders names the headers that the scheme writes (case %#)', (scheme, headers) => {
  expect(scheme.credentialHeaders).toEqual(headers);
});

describe('basic()', () => {
  test.each([
    ['RFC 7617 §2', { username: 'Aladdin', password: 'open sesame' }, 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='],
    ['UTF-8, RFC 7617 §2.1', { username: 'test', password: '123\u00a3' }, 'Basic dGVzdDoxMjPCow=='],
    ['beyond the BMP', { username: '\u03b1', password: '\ud83d\udd11' }, encoded('\u03b1:\ud83d\udd11')],
    ['a colon in the password', { username: 'a', password: 'b:c' }, encoded('a:b:c')],
    ['nothing in either', { username: '', password: '' }, 'Basic Og=='],
  ])('%s', async (_what, credentials, header) => {
    const { api, sent } = recording(basic(credentials));
    await api.get('/');
    expect(each(sent, 'authorization')).toEqual([header]);
  });

  test('one pair is sent once, and its 401 settles the call', async () => {
    const { api, sent } = recording(basic({ username: 'a', password: '1' }), [401]);
    expect((await api.get('/')).status).toBe(401);
    expect(sent).toHaveLength(1);
  });

  test.each([{ username: 'u' }, { username: 7, password: 'p' }, 'u:p'])(
    'a function that returns %j rejects the call',
    async (given) => {
      const { api, sent } = recording(basic(() => given as never));
      await expect(api.get('/')).rejects.toThrow(/^basic\(\) takes /);
      expect(sent).toHaveLength(0);
    },
  );

  test.each([
    ['username', { username: 'a:b', password: 'p' }],
    ['password', { username: 'a', password: 'p\n' }],
  ])('the error names the invalid part: %s', async (which, credentials) => {
    await expect(recording(basic(credentials)).api.get('/')).rejects.toThrow(which);
  });

  describe('of several pairs', () => {
    const pairs = ['a:1', 'b:2', 'c:3'];
    const several = () => basic(pairs.map((pair) => ({ username: pair.charAt(0), password: pair.charAt(2) })));

    test('tries them in order after a 401, and then uses the accepted one', async () => {
      const { api, sent } = recording(several(), onlyFor('authorization', encoded('b:2')));
      expect((await api.get('/')).status).toBe(200);
      expect((await api.get('/')).status).toBe(200);
      expect(each(sent, 'authorization')).toEqual(['a:1', 'b:2', 'b:2'].map(encoded));
    });

    test('tries the next one if the accepted one is refused later, after the last the first', async () => {
      const accepted = [encoded('c:3')];
      const { api, sent } = recording(several(), ({ headers }) =>
        accepted.includes(headers['authorization'] ?? '') ? 200 : 401,
      );
      await api.get('/');
      accepted[0] = encoded('a:1');
      sent.length = 0;
      expect((await api.get('/')).status).toBe(200);
      expect(each(sent, 'authorization')).toEqual(['c:3', 'a:1'].map(encoded));
    });

    test.each([429, 500, 503])('a %d of a call with another pair does not count as accepted', async (status) => {
      const scheme = several();
      const authorized = async (exchange: object): Promise<unknown> => {
        const request = authRequest({ url: 'https://api.example.com/', exchange });
        await scheme.authorize(request);
        return request.headers.get('Authorization');
      };
      const answer = (exchange: object, given: number): unknown => {
        const request = authRequest({ url: 'https://api.example.com/', exchange });
        return scheme.onAnswer?.({ request, response: { status: given } as never, isRefusal: false, received: '' });
      };
      const [slow, quick] = [{}, {}];
      await authorized(slow);
      await authorized(quick);
      const request = authRequest({ url: 'https://api.example.com/', exchange: quick });
      await scheme.onChallenge?.({ request, response: { status: 401 } as never, challenges: [] });
      expect(await authorized(quick)).toBe(encoded('b:2'));
      await answer(quick, 200);
      await answer(slow, status);
      expect(await authorized({})).toBe(encoded('b:2'));
    });

    test('tries each once, and settles with the last 401', async () => {
      const { api, sent } = recording(several(), [401]);
      expect((await api.get('/')).status).toBe(401);
      expect((await api.get('/')).status).toBe(401);
      expect(each(sent, 'authorization')).toEqual([...pairs, ...pairs].map(encoded));
    });
  });

  test.each([
    [null],
    [undefined],
    ['a:b'],
    [[]],
    [{ username: 'a' }],
    [{ username: 'a', password: 7 }],
    [[{ username: 'a', password: 'b' }, null]],
  ])('throws a TypeError for %j', (credentials) => {
    expect(() => basic(credentials as never)).toThrow(TypeError);
    expect(() => basic(credentials as never)).toThrow(/^basic\(\) takes /);
  });
});

describe('bearer() of a string', () => {
  test('writes it, and settles with a 401', async () => {
    const { api, sent } = recording(bearer('t|o:k'), [401]);
    expect((await api.get('/')).status).toBe(401);
    expect(each(sent, 'authorization')).toEqual(['Bearer t|o:k']);
  });

  test.each<[unknown, string]>([
    [null, ''],
    [undefined, ''],
    [7, ''],
    [Promise.resolve('token'), ': `source`'],
    [{ tokens: {} }, ': `tokens`'],
    [{ refresh: 'x' }, ': `refresh`'],
    [{ store: {} }, ': `store`'],
    [{ store: null }, ': `store`'],
    [{ store: { load: () => undefined } }, ': `store`'],
    [{ refreshAheadMs: -1 }, ': `refreshAheadMs`'],
    [{ refreshAheadMs: NaN }, ': `refreshAheadMs`'],
    [{ refreshAheadMs: '1' }, ': `refreshAheadMs`'],
    [{ refreshTimeoutMs: 0 }, ': `refreshTimeoutMs`'],
    [{ refreshTimeoutMs: '1' }, ': `refreshTimeoutMs`'],
  ])('bearer() throws a TypeError for %j', (source, named) => {
    const begin = `bearer()${named}`;
    const thrown = ((): unknown => {
      try {
        return bearer(source as never);
      } catch (error) {
        return error;
      }
    })();
    expect(thrown).toBeInstanceOf(TypeError);
    expect((thrown as TypeError).message.slice(0, begin.length)).toBe(begin);
  });

  test.each([
    {},
    { refreshAheadMs: 0, refreshTimeoutMs: 1 },
    { refreshAheadMs: Infinity, refreshTimeoutMs: Infinity },
    { tokens: undefined, store: undefined, refresh: undefined, refreshAheadMs: undefined, refreshTimeoutMs: undefined },
  ])('bearer() accepts %j', (source) => {
    expect(() => bearer(source)).not.toThrow();
  });
});

describe('bearer() of a function keeps no session', () => {
  test('getAccessToken() and refresh() call it', async () => {
    const ask = inTurn<string | null>('one', null, 'two');
    const scheme = bearer(ask);
    expect(await scheme.getAccessToken()).toBe('one');
    expect(await scheme.getAccessToken()).toBeUndefined();
    await scheme.refresh();
    expect(ask).toHaveBeenCalledTimes(3);
  });

  test('the snapshot reflects its last value, and stays the same object until the value changes', async () => {
    const scheme = bearer(inTurn<string | null>('one', 'one', 'two', null));
    const listener = jest.fn();
    const stop = scheme.subscribe(listener);
    const snapshots = [scheme.getSnapshot()];
    for (let asked = 0; asked < 4; asked++) {
      await scheme.getAccessToken();
      snapshots.push(scheme.getSnapshot());
    }
    expect(snapshots.map(({ status }) => status)).toEqual([
      'unknown',
      'signed-in',
      'signed-in',
      'signed-in',
      'signed-out',
    ]);
    expect(snapshots.map(({ generation }) => generation)).toEqual([0, 1, 1, 2, 3]);
    expect(snapshots[2]).toBe(snapshots[1]);
    expect(snapshots[0]).toMatchObject({ refreshing: false, expiresAt: undefined });
    expect(listener).toHaveBeenCalledTimes(3);
    stop();
  });

  test('a listener is not called after it has unsubscribed', async () => {
    const scheme = bearer(inTurn('one', 'two'));
    const [gone, here] = [jest.fn(), jest.fn()];
    const stop = scheme.subscribe(gone);
    scheme.subscribe(here);
    stop();
    await scheme.getAccessToken();
    await Promise.resolve();
    expect([gone.mock.calls.length, here.mock.calls.length]).toEqual([0, 1]);
  });

  test.each([
    ['signIn()', (scheme: BearerScheme) => scheme.signIn({ accessToken: 'x' })],
    ['update()', (scheme: BearerScheme) => scheme.update({ accessToken: 'x' })],
    ['signOut()', (scheme: BearerScheme) => scheme.signOut()],
  ])('%s rejects with a TypeError that names it', async (name, change) => {
    const changing = change(bearer(() => 'token'));
    await expect(changing).rejects.toThrow(TypeError);
    await expect(changing).rejects.toThrow(name);
  });
});

describe('apiKey()', () => {
  test('writes X-API-Key, or the header of the options', async () => {
    const { api, sent } = recording(apiKey('k'));
    await api.get('/');
    expect(each(sent, 'x-api-key')).toEqual(['k']);
    const other = recording(apiKey('k', { header: 'Api-Token' }));
    await other.api.get('/');
    expect([other.sent[0]?.headers['api-token'], other.sent[0]?.headers['x-api-key']]).toEqual(['k', undefined]);
  });

  test('does not replace a key of the call, and does not handle its 401', async () => {
    const key = inTurn('ours', 'newer');
    const { api, sent } = recording(apiKey(key), [401]);
    expect((await api.get('/', { headers: { 'x-api-key': 'theirs' } })).status).toBe(401);
    expect(each(sent, 'x-api-key')).toEqual(['theirs']);
    expect(key).not.toHaveBeenCalled();
  });

  test.each([
    [[null]],
    [[7]],
    [['k', { header: '' }]],
    [['k', { header: 'X Key' }]],
    [['k', { header: 'X:\r\nKey' }]],
    [['k', { header: 7 }]],
    [['k', 'X-Key']],
    [['k', null]],
  ])('throws a TypeError for %j', (args) => {
    expect(() => apiKey(...(args as Parameters<typeof apiKey>))).toThrow(TypeError);
    expect(() => apiKey(...(args as Parameters<typeof apiKey>))).toThrow(/^apiKey\(\)/);
  });
});

describe('signed()', () => {
  test('signs every attempt again, and gets the final request', async () => {
    const seen: unknown[] = [];
    const { api, sent } = recording(
      signed(async ({ method, url, attempt, body, now }: AuthRequest) => {
        seen.push([method, url.href, attempt, body.kind, Buffer.from((await body.bytes()) ?? []).toString(), now]);
        return { 'X-Nonce': `n${String(seen.length)}` };
      }),
      [200],
      { clock: frozenClock(NOW) },
    );
    await api.post('/a b', { x: '\u00e9' }, { params: { q: 1 } });
    await api.delete('/');
    expect(seen).toEqual([
      ['POST', 'https://api.example.com/a%20b?q=1', 1, 'bytes', '{"x":"\u00e9"}', NOW],
      ['DELETE', 'https://api.example.com/', 1, 'none', '', NOW],
    ]);
    expect(each(sent, 'x-nonce')).toEqual(['n1', 'n2']);
  });

  test('settles with a 401, since nothing that it signs has changed', async () => {
    const { api, sent } = recording(
      signed(() => ({ 'X-Signature': 's' })),
      [401],
    );
    expect((await api.get('/')).status).toBe(401);
    expect(sent).toHaveLength(1);
  });

  test('has the name and the credentialHeaders of its options', () => {
    const sign = () => ({});
    expect(signed(sign, { name: 'Acme', credentialHeaders: ['X-Acme'] })).toMatchObject({
      name: 'Acme',
      credentialHeaders: ['X-Acme'],
    });
    expect(signed(sign).name).toBe('Signed');
  });

  test.each([[undefined], ['sign'], [{}]])('throws a TypeError for %j', (sign) => {
    expect(() => signed(sign as never)).toThrow(/^signed\(\): `sign` takes a function/);
  });

  test.each<[unknown, string]>([
    ['Acme', 'options'],
    [null, 'options'],
    [{ name: 7 }, 'name'],
    [{ credentialHeaders: 'X-Acme' }, 'credentialHeaders'],
  ])('throws a TypeError for the options %j', (options, named) => {
    expect(() => signed(() => ({}), options as never)).toThrow(TypeError);
    expect(() => signed(() => ({}), options as never)).toThrow(`signed(): \`${named}\` takes `);
  });

  test.each([
    ['Headers', new Headers({ 'X-Signature': 's' })],
    ['a Map', new Map([['X-Signature', 's']])],
    ['AxiosHeaders', new AxiosHeaders({ 'X-Signature': 's' })],
    ['pairs', [['X-Signature', 's']]],
  ])('writes the headers of %s', async (_, headers) => {
    const { api, sent } = recording(signed(() => headers as never));
    await api.get('/');
    expect(each(sent, 'x-signature')).toEqual(['s']);
  });

  test.each([undefined, null, 'SECRET', 7])(
    'rejects the call with advice if the function returns %j',
    async (given) => {
      const { api, sent } = recording(signed(() => given as never));
      const error = await api.get('/').catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(TypeError);
      expect((error as Error).message).toMatch(
        /^signed\(\): the result of `sign` takes an object of headers, but got /,
      );
      expect((error as Error).message).not.toContain('SECRET');
      expect(sent).toHaveLength(0);
    },
  );
});

describe('hmac()', () => {
  const KEY = 'key-1';
  const SECRET = 's\u00e9cret';
  const TIMESTAMP = String(Math.floor(NOW / 1000));

  const sign = (options: Partial<HmacOptions>, answers?: Parameters<typeof recording>[1]): Recording =>
    recording(hmac({ keyId: KEY, secret: SECRET, ...options }), answers, { clock: frozenClock(NOW) });

  /** The signature as a server computes it. */
  function expected(
    method: string,
    path: string,
    body: string | Uint8Array,
    hash = 'sha256',
    secret: string | Uint8Array = SECRET,
  ): Buffer {
    const bodyHash = createHash(hash).update(body).digest('hex');
    return createHmac(hash, secret).update(`${method}\n${path}\n${TIMESTAMP}\n${bodyHash}`).digest();
  }

  test('sends key, whole seconds and signature of method, path, query, time and body', async () => {
    const { api, sent } = sign({});
    await api.post('/orders', { a: 1 }, { params: { q: 'x y' } });
    const { pathname, search } = new URL(sent[0]?.url ?? '');
    expect(search).toMatch(/^\?q=x.+y$/);
    expect(sent[0]?.headers).toMatchObject({
      'x-api-key': KEY,
      'x-timestamp': TIMESTAMP,
      'x-signature': expected('POST', pathname + search, '{"a":1}').toString('hex'),
    });
  });

  test.each<[string, unknown, string | Uint8Array]>([
    ['no body', undefined, ''],
    ['a string', 'a\u20ac', 'a\u20ac'],
    ['a Buffer', Buffer.from([0, 255, 10]), Buffer.from([0, 255, 10])],
    ['an ArrayBuffer', new Uint8Array([1, 2, 3]).buffer, Buffer.from([1, 2, 3])],
    ['a whole typed array', new Uint8Array([1, 2, 3]), Buffer.from([1, 2, 3])],
    ['URLSearchParams', new URLSearchParams({ a: 'b c' }), 'a=b+c'],
    ['a Blob', new Blob(['blob\u20ac']), 'blob\u20ac'],
  ])('signs the bytes of %s', async (_what, data, bytes) => {
    const { api, sent } = sign({});
    await api.put('/', data);
    expect(each(sent, 'x-signature')).toEqual([expected('PUT', '/', bytes).toString('hex')]);
  });

  test.each([
    ['SHA-256', 'sha256', 'hex'],
    ['SHA-256', 'sha256', 'base64'],
    ['SHA-384', 'sha384', 'hex'],
    ['SHA-512', 'sha512', 'base64'],
  ] as const)('%s uses %s, encoded as %s', async (hash, node, encoding) => {
    const { api, sent } = sign({ hash, encoding });
    await api.get('/');
    expect(each(sent, 'x-signature')).toEqual([expected('GET', '/', '', node).toString(encoding)]);
  });

  test.each<[string, string | Uint8Array]>([
    ['bytes', new Uint8Array([0, 1, 255])],
    ['a view of a larger buffer', new Uint8Array(new Uint8Array([9, 0, 1, 255, 9]).buffer, 1, 3)],
  ])('the secret may be %s', async (_what, secret) => {
    const { api, sent } = sign({ secret });
    await api.get('/');
    expect(each(sent, 'x-signature')).toEqual([
      expected('GET', '/', '', 'sha256', Buffer.from([0, 1, 255])).toString('hex'),
    ]);
  });

  test('headers and stringToSign can be set', async () => {
    const stringToSign = jest.fn<string, Parameters<NonNullable<HmacOptions['stringToSign']>>>(
      ({ path, bodyHash }) => `${path}|${bodyHash}`,
    );
    const { api, sent } = sign({ headers: { keyId: 'K', timestamp: 'T', signature: 'S' }, stringToSign });
    await api.get('/p', { headers: { 'X-Extra': 'seen' } });
    const bodyHash = createHash('sha256').digest('hex');
    expect(sent[0]?.headers).toMatchObject({
      k: KEY,
      t: TIMESTAMP,
      s: createHmac('sha256', SECRET).update(`/p|${bodyHash}`).digest('hex'),
    });
    const [{ request, ...parts }] = stringToSign.mock.calls[0] ?? [{ request: undefined }];
    expect(parts).toEqual({ method: 'GET', path: '/p', timestamp: TIMESTAMP, bodyHash });
    expect(request?.headers.get('X-Extra')).toBe('seen');
  });

  test('secret() is called at every attempt, and once more after a 401', async () => {
    const accepted = expected('GET', '/', '', 'sha256', 'new').toString('hex');
    const { api, sent } = sign({ secret: inTurn('old', 'new', 'new') }, onlyFor('x-signature', accepted));
    expect((await api.get('/')).status).toBe(200);
    expect(each(sent, 'x-signature')).toEqual([expected('GET', '/', '', 'sha256', 'old').toString('hex'), accepted]);
  });

  test.each<[string, HmacOptions['secret']]>([
    ['constant', SECRET],
    ['returned again', inTurn('same')],
    ['returned again as equal bytes', inTurn(new Uint8Array([1, 2]), new Uint8Array([1, 2]))],
  ])('a 401 settles the call if the secret is %s', async (_what, secret) => {
    const { api, sent } = sign({ secret }, [401]);
    expect((await api.get('/')).status).toBe(401);
    expect(sent).toHaveLength(1);
  });

  test('a secret that changes from a string to bytes counts as changed', async () => {
    const { api, sent } = sign({ secret: inTurn<string | Uint8Array>('12', new Uint8Array([1, 2])) }, [401]);
    await api.get('/');
    expect(sent).toHaveLength(2);
  });

  test('secret bytes that were overwritten count as changed', async () => {
    const bytes = new Uint8Array([1, 2]);
    const { api, sent } = sign({ secret: () => bytes }, () => {
      bytes.fill(9);
      return 401;
    });
    await api.get('/');
    expect(each(sent, 'x-signature')).toEqual([
      expected('GET', '/', '', 'sha256', Buffer.from([1, 2])).toString('hex'),
      expected('GET', '/', '', 'sha256', Buffer.from([9, 9])).toString('hex'),
    ]);
  });

  // F50
  test("a 401 whose Date shows another time is answered by signing with the server's time", async () => {
    const served = Date.UTC(2026, 10, 23, 13, 0, 0);
    const refused = { status: 401, headers: { Date: new Date(served).toUTCString() } };
    const { api, sent } = sign({}, [refused, 200]);
    expect((await api.get('/')).status).toBe(200);
    expect(each(sent, 'x-timestamp')).toEqual([TIMESTAMP, String(served / 1000)]);
  });

  test.each<[string, () => unknown]>([
    ['a stream', () => Readable.from(['a'])],
    ['a ReadableStream', () => new ReadableStream()],
    ['native form data', () => new FormData()],
    ['a form of the form-data package', () => new FormDataPackage()],
    ['an async iterable', () => ({ [Symbol.asyncIterator]: () => undefined })],
  ])('rejects %s unsent with ERR_AUTH_BODY_NOT_SIGNABLE', async (_what, body) => {
    const { api, sent } = sign({});
    const call = api.post('/', body(), { transformRequest: [(data: unknown) => data] });
    await expect(call).rejects.toMatchObject({ name: 'AuthError', code: 'ERR_AUTH_BODY_NOT_SIGNABLE' });
    expect(sent).toHaveLength(0);
  });

  test('uses node:crypto if available, since it is much faster', async () => {
    const subtle = [jest.spyOn(globalThis.crypto.subtle, 'sign'), jest.spyOn(globalThis.crypto.subtle, 'digest')];
    await sign({}).api.get('/');
    for (const method of subtle) expect(method).not.toHaveBeenCalled();
    jest.restoreAllMocks();
  });

  test.each([[7], [{}], [''], [new Uint8Array(0)]])(
    'rejects with ERR_AUTH_INVALID_CREDENTIAL if secret() returns %j',
    async (value) => {
      const { api, sent } = sign({ secret: () => value as never });
      await expect(api.get('/')).rejects.toMatchObject({ code: 'ERR_AUTH_INVALID_CREDENTIAL' });
      expect(sent).toHaveLength(0);
    },
  );

  test.each(['', new Uint8Array(0)])('rejects the call unsent if the secret is empty', async (secret) => {
    const { api, sent } = sign({ secret });
    await expect(api.get('/')).rejects.toMatchObject({ code: 'ERR_AUTH_INVALID_CREDENTIAL' });
    expect(sent).toHaveLength(0);
  });

  test.each([null, undefined])('sends the call without a signature if secret() returns %p', async (nothing) => {
    const { api, sent } = sign({ secret: inTurn(nothing) }, [401]);
    const response = await api.get('/');
    expect(exchangeOf(response)?.bare).toBe('none-given');
    expect(each(sent, 'x-signature')).toEqual([undefined]);
  });

  // F114
  test('replays a call that had no secret once there is one, and settles with the 401 if there is none any more', async () => {
    const { api, sent } = sign({ secret: inTurn(null, 'new', 'new', 'new', null) }, ({ headers }) =>
      sent.length > 2 || headers['x-signature'] === undefined ? 401 : 200,
    );
    expect((await api.get('/')).status).toBe(200);
    expect((await api.get('/')).status).toBe(401);
    const signature = expected('GET', '/', '', 'sha256', 'new').toString('hex');
    expect(each(sent, 'x-signature')).toEqual([undefined, signature, signature]);
  });

  test.each([undefined, Promise.resolve('text'), 7])(
    'rejects the call unsent with advice if stringToSign() returns %p',
    async (text) => {
      const { api, sent } = sign({ stringToSign: () => text as never });
      await expect(api.get('/')).rejects.toThrow('hmac(): `stringToSign` takes a function that returns a string');
      expect(sent).toHaveLength(0);
    },
  );

  describe('without node:crypto', () => {
    const getBuiltinModule = process.getBuiltinModule;
    beforeEach(() => {
      Reflect.set(process, 'getBuiltinModule', undefined);
    });
    afterEach(() => {
      jest.restoreAllMocks();
      Reflect.set(process, 'getBuiltinModule', getBuiltinModule);
    });

    test.each(['SHA-256', 'SHA-384', 'SHA-512'] as const)(
      'WebCrypto gives the same signature with %s',
      async (hash) => {
        const subtle = jest.spyOn(globalThis.crypto.subtle, 'sign');
        const { api, sent } = sign({ hash });
        await api.post('/p', 'body\u20ac');
        await api.post('/p', 'body\u20ac');
        const signature = expected('POST', '/p', 'body\u20ac', hash.replace('-', '').toLowerCase()).toString('hex');
        expect(each(sent, 'x-signature')).toEqual([signature, signature]);
        expect(subtle).toHaveBeenCalledTimes(2);
      },
    );
  });

  test.each([
    [{ keyId: '' }, 'keyId'],
    [{ keyId: 7 }, 'keyId'],
    [{ secret: 7 }, 'secret'],
    [{ secret: undefined }, 'secret'],
    [{ hash: 'MD5' }, 'hash'],
    [{ encoding: 'base32' }, 'encoding'],
    [{ hash: Symbol('SHA-256') }, 'hash'],
    [{ stringToSign: 'text' }, 'stringToSign'],
    [{ headers: 'X-Key' }, 'headers'],
    [{ headers: { signature: 'X Key' } }, 'headers.signature'],
  ])('throws a TypeError for %p', (options, named) => {
    const make = (): AuthScheme => hmac({ keyId: KEY, secret: SECRET, ...options } as never);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(new RegExp(`^hmac\\(\\): \`${named}\` takes `));
  });
});

// F89
describe('a credential that is not a valid header value rejects the call unsent, and the error does not show it', () => {
  const bad = ['\r\nX-Evil: 1', '\n', '\r', '\0', '\u0100', '\u20ac', '\ud83d\udd11', '\x7f'];
  const worse = [...bad, ' ', '\t', '\u00e9'];
  const custom =
    (write: (request: AuthRequest, value: string) => void) =>
    (value: string): AuthScheme => ({
      name: 'Custom',
      authorize: (request) => {
        write(request, value);
      },
    });
  const kinds: [string, (value: string) => AuthScheme, string[]][] = [
    ['a bearer token', (value) => bearer(value), worse],
    ['a bearer token from a function', (value) => bearer(() => value), worse],
    ['a bearer token of a session', (value) => bearer({ tokens: { accessToken: value } }), worse],
    ['an API key', (value) => apiKey(value), bad],
    ['an API key from a function', (value) => apiKey(() => Promise.resolve(value)), bad],
    ['a header of signed()', (value) => signed(() => ({ 'X-Signature': value })), bad],
    ['a key id of hmac()', (value) => hmac({ keyId: value, secret: 's' }), bad],
    ['a header that a scheme sets', custom(({ headers }, value) => headers.set('X-Key', value)), bad],
    [
      'a header that a scheme sets among others',
      custom(({ headers }, value) => headers.set({ 'X-Ok': 'ok', 'X-Key': value })),
      bad,
    ],
    [
      'a header that a scheme sets from a Map',
      custom(({ headers }, value) => headers.set(new Map([['X-Key', value]]))),
      bad,
    ],
    [
      'a header that a scheme concatenates',
      custom(({ headers }, value) => headers.set(headers.concat({ 'X-Key': value }))),
      bad,
    ],
    [
      'a header that a scheme sets as one of several lines',
      custom(({ headers }, value) => headers.set('X-Key', ['ok', value])),
      bad,
    ],
    [
      'a header that a scheme sets as Authorization',
      custom(({ headers }, value) => headers.setAuthorization(value)),
      bad,
    ],
    ['a header that a scheme assigns', custom(({ headers }, value) => Object.assign(headers, { 'X-Key': value })), bad],
    ['a user-id', (username) => basic({ username, password: 'p' }), ['\r\n', '\n', '\0', '\x7f', '\t', ':', '\ud83d']],
    ['a password', (password) => basic([{ username: 'u', password }]), ['\r\n', '\n', '\0', '\x7f', '\t', '\ud83d']],
    ['a password from a function', (password) => basic(() => ({ username: 'u', password })), ['\n', '\0']],
  ];

  test.each(
    kinds.flatMap(([what, make, characters]) => characters.map((character) => [what, character, make] as const)),
  )('%s with %j', async (_what, character, make) => {
    for (const value of [`SEC${character}RET`, `SECRET${character}`, `${character}SECRET`]) {
      const { api, sent } = recording(make(value));
      const error: unknown = await api.get('/').catch((reason: unknown) => reason);
      if (!isAuthError(error)) throw new Error(`rejected with ${String(error)}`);
      expect(error.code).toBe('ERR_AUTH_INVALID_CREDENTIAL');
      expect([error.message, String(error.stack), JSON.stringify(error)].join()).not.toMatch(/SEC|RET/);
      expect(sent).toHaveLength(0);
    }
  });

  test.each(['', 'X Y', 'X:Y', 'X\r\nY: 1', 'X\0Y', '\u00e4'])('rejects the header name %j', async (name) => {
    const { api, sent } = recording(signed(() => ({ [name]: 'SECRET' })));
    await expect(api.get('/')).rejects.toMatchObject({
      code: 'ERR_AUTH_INVALID_CREDENTIAL',
      message: expect.not.stringContaining('SECRET') as string,
    });
    expect(sent).toHaveLength(0);
  });

  test.each([
    ['an empty API key', apiKey('')],
    ['an empty API key of a function', apiKey(() => Promise.resolve(''))],
  ])('rejects %s', async (_, scheme) => {
    const { api, sent } = recording(scheme);
    await expect(api.get('/')).rejects.toMatchObject({ code: 'ERR_AUTH_INVALID_CREDENTIAL' });
    expect(sent).toHaveLength(0);
  });

  test('rejects an empty bearer token', async () => {
    const { api } = recording(bearer(''));
    await expect(api.get('/')).rejects.toMatchObject({ code: 'ERR_AUTH_INVALID_CREDENTIAL' });
  });

  test.each([
    ['an API key may hold blanks, tabs and Latin-1', apiKey('a b\tc\u00e9'), 'x-api-key', 'a b\tc\u00e9'],
    [
      'a bearer token may hold every visible ASCII character',
      bearer('!"#/:<=>@[]^`{|}~'),
      'authorization',
      'Bearer !"#/:<=>@[]^`{|}~',
    ],
  ])('%s', async (_what, scheme, header, value) => {
    const { api, sent } = recording(scheme);
    await api.get('/');
    expect(each(sent, header)).toEqual([value]);
  });
});

test.each([
  ['an object', { key: 'k' }],
  ['a symbol', Symbol('k')],
  ['a function', () => 'k'],
])('%s as a header value rejects the call unsent', async (_, value) => {
  for (const scheme of [apiKey(() => value as never), signed(() => ({ 'X-Proof': value as never }))]) {
    const { api, sent } = recording(scheme);
    await expect(api.get('/')).rejects.toThrow();
    expect(sent).toEqual([]);
  }
});

test('a signed() function that returns undefined for a header rejects the call with advice', async () => {
  const { api, sent } = recording(signed(() => ({ 'X-Proof': undefined as never })));
  await expect(api.get('/')).rejects.toThrow('signed(): the header `X-Proof` takes a string, but got undefined');
  expect(sent).toEqual([]);
});
