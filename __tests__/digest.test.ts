import axios, { type AxiosInstance, type AxiosResponse } from 'axios';
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { inspect } from 'node:util';
import { digest, type DigestOptions } from '../lib/digest.js';
import { md5 } from '../lib/digest/answer.js';
import { attachAuth } from '../lib/index.js';
import { parseChallenges } from '../lib/http/www-authenticate.js';
import type { AuthRequest, AuthScheme } from '../lib/schemes/scheme.js';
import { serveDigest, type DigestServer, type DigestServerOptions } from './support/digest-server.js';
import { authRequest, drive } from './support/port-driver.js';
import { reply, serve, type Recorder } from './support/serve.js';

const PAIR = { username: 'Mufasa', password: 'Circle of Life' };

const servers: Recorder[] = [];
let server: DigestServer;
let api: AxiosInstance & { sends: number };

async function start(given: DigestServerOptions = {}, scheme: AuthScheme = digest(PAIR)): Promise<void> {
  server = await serveDigest(given);
  servers.push(server);
  api = drive(scheme, { defaults: { baseURL: server.origin } });
}
afterEach(async () => {
  for (const each of servers.splice(0)) await each.close();
});

const statusOf = (call: Promise<AxiosResponse>): Promise<number> =>
  call.then(
    ({ status }) => status,
    (error: unknown) => (error as { response?: AxiosResponse }).response?.status ?? Promise.reject(error),
  );

/** The answer of a scheme to a challenge, for a fixed client nonce. */
async function answerTo(
  challenge: string,
  { pair = PAIR, cnonce = '', url = 'http://www.example.org/dir/index.html', options = {} } = {},
): Promise<string> {
  const scheme = digest(pair, options, () => cnonce);
  const exchange = {};
  const first = authRequest({ url, exchange });
  await scheme.authorize(first);
  expect(first.headers.has('Authorization')).toBe(false);
  const response = { status: 401, headers: {}, data: '' } as AxiosResponse;
  const challenges = parseChallenges(challenge);
  expect(await scheme.onChallenge?.({ request: first, response, challenges })).toBe(true);
  const second = authRequest({ url, exchange, attempt: 2 });
  await scheme.authorize(second);
  return String(second.headers.get('Authorization'));
}

describe('the values of RFC 7616 §3.9', () => {
  const challenge = (algorithm: string): string =>
    `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=${algorithm}, ` +
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"';
  const cnonce = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ';

  test.each([
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ])('%s (§3.9.1)', async (algorithm, response) => {
    expect(await answerTo(challenge(algorithm), { cnonce })).toBe(
      'Digest username="Mufasa", realm="http-auth@example.org", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", ' +
        `uri="/dir/index.html", response="${response}", algorithm=${algorithm}, ` +
        `opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", qop=auth, nc=00000001, cnonce="${cnonce}"`,
    );
  });

  test('SHA-512-256 with userhash (§3.9.2), as printed: the first half of SHA-512', async () => {
    const given = {
      pair: { username: 'Jäsøn Doe', password: 'Secret, or not?' },
      cnonce: 'NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v',
      url: 'http://api.example.org/doe.json',
    };
    const printed =
      'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", ' +
      'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8';
    const response = 'response="ae66e67d6b427bd3f120414a82e4acff38e8ecd9101d6c861229025f607a79dd"';

    const hashed = await answerTo(`${printed}, userhash=true`, given);
    expect(hashed).toContain('username="488869477bf257147b804c45308cd62ac4e25eb717b12b298c79e62dcea254ec"');
    expect(hashed).toContain(response);
    expect(hashed).toContain('userhash=true');

    const extended = await answerTo(printed, given);
    expect(extended).toContain("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, ");
    expect(extended).toContain(response);
    expect(extended).not.toContain('userhash');
  });

  test('MD5 of RFC 2617 §3.5, and RFC 2069 without qop', async () => {
    const given = { cnonce: '0a4f113b', pair: { username: 'Mufasa', password: 'Circle Of Life' } };
    const old =
      'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"';
    const header = await answerTo(`${old}, qop="auth,auth-int"`, given);
    expect(header).toContain('response="6629fae49393a05397450978507c4ef1"');
    expect(header).not.toContain('algorithm');
    // Erratum 749 corrects the value of the example in RFC 2069 to this one.
    const legacy = await answerTo(old, { ...given, pair: { username: 'Mufasa', password: 'CircleOfLife' } });
    expect(legacy).toContain('response="1949323746fe6a43ef61f9606e7febea"');
    expect(legacy).not.toMatch(/qop|nc=/);
  });
});

describe('MD5', () => {
  const hex = (data: Uint8Array): string => Buffer.from(md5(data)).toString('hex');

  test.each([
    ['', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['a', '0cc175b9c0f1b6a831c399e269772661'],
    ['abc', '900150983cd24fb0d6963f7d28e17f72'],
    ['message digest', 'f96b697d7cb7938d525a2f31aaf161d0'],
    ['abcdefghijklmnopqrstuvwxyz', 'c3fcd3d76192e4007dfb496cca67e13b'],
    ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', 'd174ab98d277d9f5a5611c2c9f419d9f'],
    ['1234567890'.repeat(8), '57edf4a22be3c955ac49da2e2107b67a'],
  ])('of %j is that of RFC 1321 §A.5', (text, expected) => {
    expect(hex(Buffer.from(text))).toBe(expected);
  });

  test('of 0 to 300 random bytes is that of node:crypto', () => {
    for (let length = 0; length <= 300; length++) {
      const data = randomBytes(length);
      expect([data, hex(data)]).toEqual([data, createHash('md5').update(data).digest('hex')]);
    }
  });
});

describe('against a strict server', () => {
  const ALGORITHMS = [undefined, 'MD5', 'SHA-256', 'SHA-512', 'SHA-512-256'];

  test.each(ALGORITHMS.flatMap((name) => ['auth', 'auth-int'].map((qop) => [name, qop])))(
    '%s, %s: two sends, then one each',
    async (algorithm, qop) => {
      await start({ algorithms: [algorithm], qop: qop! });
      for (const data of [undefined, { a: 'ü' }, 'text', Buffer.from([1, 2, 255])]) {
        expect((await api.post('/dir/a b?x=1&y=%20ü', data, { params: { z: 'p q' } })).status).toBe(200);
      }
      expect(api.sends).toBe(5);
    },
  );

  test('an empty query is neither sent nor hashed', async () => {
    await start();
    for (const path of ['/a?', '/a?#part']) expect((await api.get(path)).status).toBe(200);
    expect(server.seen.map(({ url }) => url)).toEqual(['/a', '/a', '/a']);
  });

  test.each(['MD5-sess', 'SHA-256-sess', 'SHA-512-256-sess'])(
    '%s: the session key is used for later requests',
    async (algorithm) => {
      await start({ algorithms: [algorithm] });
      for (let call = 0; call < 4; call++) expect((await api.get('/a')).status).toBe(200);
      expect(api.sends).toBe(5);
    },
  );

  test('-sess without qop sends the client nonce that is in A1', async () => {
    const h = (text: string): string => createHash('md5').update(text).digest('hex');
    const a1 = h(`${h('Mufasa:r:Circle of Life')}:n:c`);
    const header = await answerTo('Digest realm="r", nonce="n", algorithm=MD5-sess', { cnonce: 'c' });
    expect(header).toContain(`response="${h(`${a1}:n:${h('GET:/dir/index.html')}`)}", algorithm=MD5-sess, cnonce="c"`);
  });

  test('-sess with nextnonce keeps the nonce of the challenge in A1 (§3.4.2)', async () => {
    const algorithm = 'SHA-256-sess';
    const challenge = `Digest realm="r", qop="auth", algorithm=${algorithm}, nonce="n1"`;
    let count = 0;
    const scheme = digest(PAIR, {}, () => `c${String(++count)}`);
    const call = async (exchange: object): Promise<string> => {
      const request = authRequest({ url: 'http://a.test/', exchange });
      await scheme.authorize(request);
      return String(request.headers.get('Authorization'));
    };
    const first = {};
    const request = authRequest({ url: 'http://a.test/', exchange: first });
    const refusal = { status: 401, headers: {} } as AxiosResponse;
    await scheme.onChallenge?.({ request, response: refusal, challenges: parseChallenges(challenge) });
    await call(first);
    const response = { status: 200, headers: { 'authentication-info': 'nextnonce="n2"' } } as never;
    await scheme.onAnswer?.({ request, response, isRefusal: false, received: '' });
    const h = (text: string): string => createHash('sha256').update(text).digest('hex');
    const a1 = h(`${h('Mufasa:r:Circle of Life')}:n1:c1`);
    expect(await call({})).toContain(`response="${h(`${a1}:n2:00000001:c1:auth:${h('GET:/')}`)}"`);
  });

  test.each(['auth', null])('RFC 2069 counts as an offer only with `legacy` (qop %s)', async (qop) => {
    await start({ qop });
    expect(await statusOf(api.get('/'))).toBe(200);
    await start({ qop }, digest(PAIR, { legacy: false }));
    expect(await statusOf(api.get('/'))).toBe(qop === null ? 401 : 200);
    expect(api.sends).toBe(qop === null ? 1 : 2);
  });

  test('if both qops are offered the option decides', async () => {
    await start({ qop: 'auth, auth-int' });
    await api.get('/');
    expect(server.credentials.map(({ qop }) => qop)).toEqual(['auth']);
    await start({ qop: 'auth, auth-int' }, digest(PAIR, { qop: 'auth-int' }));
    await api.post('/', { a: 1 });
    expect(server.credentials.map(({ qop }) => qop)).toEqual(['auth-int']);
  });

  test('the algorithm is chosen by the order of the options, not of the server', async () => {
    await start({ algorithms: ['MD5', 'SHA-256', 'SHA-512'] });
    await api.get('/');
    expect(server.credentials[0]?.['algorithm']).toBe('SHA-256');
    await start({ algorithms: ['MD5', 'SHA-256', 'SHA-512'] }, digest(PAIR, { algorithms: ['SHA-512', 'MD5'] }));
    await api.get('/');
    expect(server.credentials[0]?.['algorithm']).toBe('SHA-512');
    await start({ algorithms: ['MD5'] }, digest(PAIR, { algorithms: ['SHA-256'] }));
    expect(await statusOf(api.get('/'))).toBe(401);
    expect(api.sends).toBe(1);
  });

  test('a server with the SHA-512/256 of FIPS 180-4 refuses one hash once, and then gets the other one', async () => {
    await start({ algorithms: ['SHA-512-256'], sha512256: 'fips' });
    for (let call = 0; call < 3; call++) {
      expect((await api.get('/')).status).toBe(200);
      server.expireNonces();
    }
    expect(server.verdicts).toEqual(['no credentials', 'response', undefined, 'stale', undefined, 'stale', undefined]);
  });

  test('calls that answered by one SHA-512/256 before another call found the other one try that, too', async () => {
    const scheme = digest(PAIR);
    const challenges = parseChallenges('Digest realm="r", qop="auth", algorithm=SHA-512-256, nonce="n"');
    const refusal = { status: 401, headers: {}, data: '' } as AxiosResponse;
    const url = 'http://www.example.org/';
    const requests = [{}, {}].map((exchange) => authRequest({ url, exchange }));
    const refused = (request: AuthRequest): unknown => scheme.onChallenge?.({ request, response: refusal, challenges });
    const sendAll = async (): Promise<void> => {
      for (const request of requests) await scheme.authorize(request);
    };
    await sendAll();
    for (const request of requests) expect(await refused(request)).toBe(true);
    await sendAll();
    const [first, second] = requests as [AuthRequest, AuthRequest];
    expect(await refused(first)).toBe(true);
    await scheme.authorize(first);
    await scheme.onAnswer?.({ request: first, response: { ...refusal, status: 200 }, isRefusal: false, received: '' });
    expect(await refused(second)).toBe(true);
    await scheme.authorize(second);
    expect(await refused(second)).toBe(false);
  });

  test('random users, realms and URLs are accepted in two sends, by http and by fetch', async () => {
    let seed = 3;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return Math.floor((seed / 2 ** 31) * below);
    };
    const parts = [...Array.from('aZ09-._~!$&\'()*+,;=:@ "<>[]{}|^`\\'), 'ü', '€', '🔑', '%20', '%2F', '..', '//'];
    const text = (): string => Array.from({ length: random(8) }, () => parts[random(parts.length)]).join('');
    for (let round = 0; round < 40; round++) {
      const [username, password, realm] = [text(), text(), text()];
      const algorithms = [['MD5', 'SHA-256-sess', 'SHA-512'][random(3)]];
      const qop = ['auth', 'auth-int', 'auth, auth-int', null][random(4)]!;
      await start({ users: { [username]: password }, realmOf: () => realm, algorithms, qop, userhash: random(2) > 0 });
      const instance = axios.create({ baseURL: server.origin, adapter: random(2) > 0 ? 'http' : 'fetch' });
      attachAuth(instance, { scheme: digest({ username, password }), retry: false });
      const answer = await instance.post(`/a${text()}`, text(), { params: { p: text() }, validateStatus: null });
      expect([username, password, realm, server.verdicts]).toEqual([
        username,
        password,
        realm,
        ['no credentials', undefined],
      ]);
      expect(answer.status).toBe(200);
    }
  });

  test('usernames and realms with quotes, in UTF-8, and hashed', async () => {
    const users = { 'Jäsøn "Doe" \\ 密碼 (a*b)': 'пароль: "€"' };
    const [username] = Object.keys(users) as [keyof typeof users];
    const scheme = (): AuthScheme => digest({ username, password: users[username] });
    for (const userhash of [false, true]) {
      await start({ users, userhash, realmOf: () => 'Bü"ro\\ 5', algorithms: ['SHA-256'] }, scheme());
      expect((await api.get('/')).status).toBe(200);
    }
  });
});

describe('nonces', () => {
  test('30 concurrent calls answer their own challenges', async () => {
    await start();
    const calls = Array.from({ length: 30 }, (_, index) => statusOf(api.get(`/c/${String(index)}`)));
    expect(new Set(await Promise.all(calls))).toEqual(new Set([200]));
    expect(api.sends).toBe(60);
  });

  test.each([true, false])('30 concurrent calls with one-time nonces succeed (stale sent: %s)', async (sendsStale) => {
    await start({ oneTime: true, sendsStale });
    for (let round = 0; round < 3; round++) {
      const calls = Array.from({ length: 30 }, () => statusOf(api.get('/')));
      expect(new Set(await Promise.all(calls))).toEqual(new Set([200]));
    }
    expect(api.sends).toBeLessThanOrEqual(180);
  });

  test('nextnonce of each response is used by the next call', async () => {
    await start({ oneTime: true, nextnonce: true });
    for (let call = 0; call < 10; call++) expect((await api.get('/')).status).toBe(200);
    expect(api.sends).toBe(11);
  });

  test('an unchanged nextnonce continues the nonce count', async () => {
    await start({
      accept: (_, response) =>
        reply(response, 200, {}, { 'Authentication-Info': `nextnonce="${server.credentials.at(-1)!['nonce']!}"` }),
    });
    for (let call = 0; call < 3; call++) expect((await api.get('/')).status).toBe(200);
    expect(server.credentials.map(({ nc }) => nc)).toEqual(['00000001', '00000002', '00000003']);
    expect(api.sends).toBe(4);
  });

  // F29
  test.each([true, false])('an expired nonce costs one more send (stale sent: %s)', async (sendsStale) => {
    await start({ sendsStale });
    await api.get('/');
    server.expireNonces();
    expect((await api.get('/')).status).toBe(200);
    expect(api.sends).toBe(4);
  });

  test('a nonce that is always stale is answered a limited number of times', async () => {
    let refusals = 0;
    const endless = await serve((_, response) => {
      refusals++;
      response.writeHead(401, {
        'WWW-Authenticate': `Digest realm="r", qop="auth", nonce="${String(refusals)}", stale=true`,
      });
      response.end();
    });
    servers.push(endless);
    api = drive(digest(PAIR), { defaults: { baseURL: endless.origin } });
    expect(await statusOf(api.get('/'))).toBe(401);
    expect(refusals).toBe(4);
  });

  test('two realms of one origin have a nonce each', async () => {
    await start({ realmOf: (url) => (url.startsWith('/b/') ? 'B' : 'A') });
    for (const path of ['/a/1', '/b/1', '/a/2', '/b/2', '/a/3', '/b/3']) expect((await api.get(path)).status).toBe(200);
    // One more send for each realm. The first call to B begins with the nonce of A.
    expect(api.sends).toBe(8);
  });

  test('a retry of a call continues with its own nonce', async () => {
    await start();
    const scheme = digest(PAIR);
    const exchange = {};
    const url = `${server.origin}/`;
    const challenges = parseChallenges('Digest realm="r", qop="auth", nonce="own"');
    const send = async (): Promise<string> => {
      const request = authRequest({ url, exchange });
      await scheme.authorize(request);
      return String(request.headers.get('Authorization'));
    };
    const refusal = { status: 401, headers: {} } as AxiosResponse;
    await scheme.onChallenge?.({ request: authRequest({ url, exchange }), response: refusal, challenges });
    expect(await send()).toMatch(/nonce="own".*nc=00000001/);
    expect(await send()).toMatch(/nonce="own".*nc=00000002/);
  });

  test.each([503, 429])('a %s does not change the nonce', async (status) => {
    let isDown = true;
    await start({ accept: (_, response, headers) => reply(response, isDown ? status : 200, {}, headers) });
    expect(await statusOf(api.get('/'))).toBe(status);
    isDown = false;
    expect((await api.get('/')).status).toBe(200);
    expect(api.sends).toBe(4);
  });
});

describe('credentials', () => {
  test('a wrong password: the 401 after two sends, for each call', async () => {
    await start({}, digest({ ...PAIR, password: 'wrong' }));
    expect(await statusOf(api.get('/'))).toBe(401);
    expect(await statusOf(api.get('/'))).toBe(401);
    expect(api.sends).toBe(4);
  });

  test('a function is called at every attempt, and once more after a refusal', async () => {
    const asked = jest.fn().mockResolvedValueOnce({ ...PAIR, password: 'old' });
    asked.mockResolvedValueOnce({ ...PAIR, password: 'old' }).mockResolvedValue(PAIR);
    await start({}, digest(asked));
    expect((await api.get('/')).status).toBe(200);
    expect(server.verdicts).toEqual(['no credentials', 'response', undefined]);
  });

  test('null and undefined: sent without credentials', async () => {
    for (const nothing of [null, undefined]) {
      await start(
        {},
        digest(() => nothing),
      );
      expect(await statusOf(api.get('/'))).toBe(401);
      expect(api.sends).toBe(1);
    }
  });

  test('a 401 without a Digest challenge settles the call', async () => {
    await start();
    const other = await serve((_, response) => {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r", Bearer, Digest realm="no nonce"' });
      response.end();
    });
    servers.push(other);
    api = drive(digest(PAIR), { defaults: { baseURL: other.origin } });
    expect(await statusOf(api.get('/'))).toBe(401);
    expect(api.sends).toBe(1);
  });

  test.each([
    ['a line break', { username: 'a', password: 'opensesame\n' }],
    ['a control character', { username: 'a\x00', password: 'opensesame' }],
    ['half a character', { username: '\ud800', password: 'opensesame' }],
  ])('%s rejects the call, and is not on the error', async (_, pair) => {
    await start({}, digest(pair));
    const error = await api.get('/').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ERR_AUTH_INVALID_CREDENTIAL' });
    expect(inspect(error, { showHidden: true, depth: 9 })).not.toContain('opensesame');
  });

  test.each([[{}], [{ username: 'a' }], [7]])('a function that returns %p rejects the call', async (pair) => {
    await start(
      {},
      digest(() => pair as never),
    );
    await expect(api.get('/')).rejects.toMatchObject({ code: 'ERR_AUTH_INVALID_CREDENTIAL' });
  });

  test('the scheme shows neither the password nor a hash of it', async () => {
    const scheme = digest(PAIR);
    await start({}, scheme);
    await api.get('/');
    const shown = inspect(scheme, { showHidden: true, depth: 9 }) + JSON.stringify(scheme);
    expect(shown).not.toContain(PAIR.password);
    expect(shown).not.toContain(server.credentials[0]!['response']!);
  });
});

describe('bodies', () => {
  test.each(['auth', 'auth-int'])('a stream under %s', async (qop) => {
    await start({ qop });
    await api.get('/');
    const call = api.post('/', Readable.from(['a', 'b']));
    if (qop === 'auth') expect((await call).status).toBe(200);
    else await expect(call).rejects.toMatchObject({ code: 'ERR_AUTH_BODY_NOT_SIGNABLE' });
    // What is not sent does not count.
    await api.get('/');
    expect(server.credentials.at(-1)?.['nc']).toBe(qop === 'auth' ? '00000003' : '00000002');
  });
});

describe('mutual', () => {
  const scheme = (): AuthScheme => digest(PAIR, { mutual: true });

  test.each(['auth', 'auth-int', null])(
    'the rspauth of a server that knows the password is accepted (qop %s)',
    async (qop) => {
      await start({ qop, rspauth: 'right', algorithms: ['SHA-256'] }, scheme());
      for (const responseType of ['json', 'text', 'arraybuffer'] as const)
        expect((await api.get('/', { responseType })).status).toBe(200);
    },
  );

  test.each(['wrong', 'none'] as const)('a response with %s rspauth rejects the call', async (rspauth) => {
    await start({ rspauth }, scheme());
    await expect(api.get('/')).rejects.toMatchObject({ code: 'ERR_AUTH_RESPONSE_NOT_VERIFIED' });
    expect(api.sends).toBe(2);
  });

  test('a changed response body rejects the call, under auth-int', async () => {
    const accept: DigestServerOptions['accept'] = (_, response, headers) =>
      reply(response, 200, { changed: true }, headers);
    await start({ qop: 'auth-int', rspauth: 'right', accept }, scheme());
    await expect(api.get('/')).rejects.toMatchObject({ code: 'ERR_AUTH_RESPONSE_NOT_VERIFIED' });
    // A stream cannot be verified.
    await expect(api.get('/', { responseType: 'stream' })).rejects.toMatchObject({
      code: 'ERR_AUTH_RESPONSE_NOT_VERIFIED',
    });
  });

  test('an error response needs no rspauth, but a wrong one rejects the call', async () => {
    await start({ accept: (_, response) => reply(response, 404) }, scheme());
    expect(await statusOf(api.get('/'))).toBe(404);
    await start({ rspauth: 'wrong', accept: (_, response, headers) => reply(response, 404, {}, headers) }, scheme());
    await expect(api.get('/')).rejects.toMatchObject({ code: 'ERR_AUTH_RESPONSE_NOT_VERIFIED' });
  });

  test('without `mutual` rspauth is not verified', async () => {
    await start({ rspauth: 'wrong' });
    expect((await api.get('/')).status).toBe(200);
  });
});

describe('options', () => {
  test.each([
    [[undefined], /username, password/],
    [['Mufasa'], /username, password/],
    [[{ username: 'a' }], /username, password/],
    [[PAIR, { algorithms: [] }], /`algorithms` takes an array of SHA-512-256, SHA-256, SHA-512, MD5, but got an array/],
    [[PAIR, { algorithms: 'MD5' }], /`algorithms`.*but got "MD5"/],
    [[PAIR, { algorithms: ['SHA-1'] }], /`algorithms`.*but got an array/],
    [[PAIR, { qop: 'both' }], /`qop` takes auth or auth-int, but got "both"/],
    [[PAIR, { legacy: 1 }], /`legacy` takes a boolean, but got 1/],
    [[PAIR, { mutual: 'yes' }], /`mutual` takes a boolean, but got "yes"/],
  ])('%j is a TypeError', (args, message) => {
    const make = digest as unknown as (...given: unknown[]) => AuthScheme;
    expect(() => make(...args)).toThrow(TypeError);
    expect(() => make(...args)).toThrow(message);
  });

  test('undefined and inherited options count as absent', () => {
    const undefinedOptions = { algorithms: undefined, qop: undefined, legacy: undefined, mutual: undefined };
    expect(() => digest(PAIR, undefinedOptions)).not.toThrow();
    expect(() => digest(PAIR, Object.create({ qop: 'both' }) as DigestOptions)).not.toThrow();
  });

  test('without any crypto only MD5 is available, as in React Native', async () => {
    const { getBuiltinModule } = process;
    (process as { getBuiltinModule?: unknown }).getBuiltinModule = undefined;
    const crypto = Object.getOwnPropertyDescriptor(globalThis, 'crypto')!;
    Object.defineProperty(globalThis, 'crypto', { value: undefined, configurable: true });
    try {
      await start({ algorithms: ['SHA-256', 'MD5'] });
      expect((await api.get('/')).status).toBe(200);
      expect((await api.get('/')).status).toBe(200);
      const [one, other] = server.credentials;
      expect(one?.['algorithm']).toBe('MD5');
      expect(one?.['cnonce']).toMatch(/^[0-9a-f]{32}$/);
      expect(one?.['cnonce']).not.toBe(other?.['cnonce']);
    } finally {
      Object.defineProperty(globalThis, 'crypto', crypto);
      process.getBuiltinModule = getBuiltinModule;
    }
  });

  test('without node:crypto WebCrypto hashes, and unsupported algorithms are skipped', async () => {
    const { getBuiltinModule } = process;
    (process as { getBuiltinModule?: unknown }).getBuiltinModule = undefined;
    try {
      for (const algorithms of [['MD5'], ['SHA-256'], ['SHA-512'], ['SHA-512-256'], ['SHA-256-sess']]) {
        await start({ algorithms, qop: 'auth-int' }, digest(PAIR));
        expect((await api.post('/', 'body')).status).toBe(200);
      }
      await start({ algorithms: ['SHA-512-256', 'SHA-256'], sha512256: 'fips' }, digest(PAIR));
      expect((await api.get('/')).status).toBe(200);
      expect(server.credentials.map(({ algorithm }) => algorithm)).toEqual(['SHA-512-256', 'SHA-256']);
    } finally {
      process.getBuiltinModule = getBuiltinModule;
    }
  });
});

test('over fetch, each hop of a redirect within the origin is answered for its own URL', async () => {
  await start({
    accept: ({ url }, response, headers) => {
      if (url === '/old') reply(response, 307, '', { ...headers, Location: '/new' });
      else reply(response, 200, '', headers);
    },
  });
  api = drive(digest(PAIR), { defaults: { baseURL: server.origin, adapter: 'fetch' } });
  expect((await api.get('/old')).status).toBe(200);
  expect(server.credentials.map(({ uri }) => uri)).toEqual(['/old', '/new']);
  expect(server.verdicts.slice(1)).toEqual([undefined, undefined]);
});
