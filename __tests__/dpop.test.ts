// Before Object.prototype is polluted (jest.pollution.config.ts).
import 'dpop';
import { webcrypto } from 'node:crypto';
import type { AxiosInstance } from 'axios';
import { dpop, dpopProver, indexedDbKeyPair, type DpopAlgorithm, type DpopProver } from '../lib/dpop.js';
import {
  bearer,
  isAuthError,
  parseChallenges,
  type BearerOptions,
  type BearerScheme,
  type TokenResponse,
} from '../lib/index.js';
import { fileStore } from '../lib/node.js';
import { memoryStore, tokenStore, type SessionStore } from '../lib/store.js';
import { webStorageStore } from '../lib/web.js';
import { readProof, serveDpop, type DpopServer } from './support/dpop-server.js';
import type * as esm from './support/esm.js';
import { authRequest, drive } from './support/port-driver.js';
import { FakeStorage } from './support/web-fakes.js';

// It is an ES module only, which Jest cannot require.
jest.mock('dpop', () => jest.requireActual<typeof esm>('./support/esm.js').requireEsm('dpop'));

let server: DpopServer;
beforeEach(async () => {
  server = await serveDpop();
});
afterEach(() => server.close());

/** A refresh_token grant with a proof (RFC 9449 §5), which answers one demand for a nonce. */
function grant(prover: DpopProver): NonNullable<BearerOptions['refresh']> {
  const url = `${server.origin}/token`;
  return async ({ client }) => {
    const ask = async (): Promise<{ status: number; data: TokenResponse & { error?: string } }> => {
      const headers = { DPoP: await prover.proof({ url, method: 'POST' }) };
      const response = await client.post<TokenResponse & { error?: string }>(
        url,
        {},
        { headers, validateStatus: null },
      );
      prover.heard(url, response.headers);
      return response;
    };
    let answer = await ask();
    if (answer.status === 400) answer = await ask();
    if (answer.status !== 200) throw Object.assign(new Error('refused'), { response: answer });
    return answer.data;
  };
}

function session(options: Partial<BearerOptions> = {}, prover = dpopProver()): BearerScheme & { prover: DpopProver } {
  return dpop(bearer({ tokens: { accessToken: 'at-0', refreshToken: 'rt' }, refresh: grant(prover), ...options }), {
    prover,
  });
}

function client(scheme: BearerScheme, now?: () => number): AxiosInstance & { sends: number } {
  return drive(scheme, { defaults: { baseURL: server.origin, validateStatus: null }, ...(now && { now }) });
}

const statuses = async (calls: Promise<{ status: number }>[]): Promise<number[]> =>
  (await Promise.all(calls)).map(({ status }) => status);
const many = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

test('a call carries the token as DPoP and a proof over its method, URL and token', async () => {
  server.tokens.set('at-0', undefined);
  const answer = await client(session()).post('/orders?q=1#part', { a: 1 });

  expect(answer.status).toBe(200);
  expect(server.seen[0]?.headers).toMatchObject({ authorization: 'DPoP at-0' });
  expect(server.proofs.resource).toEqual([expect.objectContaining({ htm: 'POST', htu: `${server.origin}/orders` })]);
});

test('every attempt has its own jti', async () => {
  server.tokens.set('at-0', undefined);
  server.nonces = 'one-time';
  const api = client(session());
  await statuses(many(5, () => api.get('/')));
  const jtis = server.seen.map(({ headers }) => readProof(String(headers['dpop'])).jti);
  expect(new Set(jtis).size).toBe(jtis.length);
  expect(jtis.length).toBe(10);
});

test('the proof has the time of the request, not of the machine', async () => {
  const request = authRequest({ url: `${server.origin}/`, now: 1_700_000_000_999 });
  await session().authorize(request);
  expect(readProof(String(request.headers.get('DPoP'))).iat).toBe(1_700_000_000);
});

test('a signed-out call is sent without proof', async () => {
  const scheme = session();
  await scheme.signOut();
  const request = authRequest({ url: `${server.origin}/` });
  await scheme.authorize(request);
  expect(request.headers.toJSON()).toEqual({});
});

// F28
describe('nonces', () => {
  beforeEach(() => {
    server.tokens.set('at-0', undefined);
  });

  test('no nonce known and the token expired: twenty concurrent calls get 200 with one refresh', async () => {
    server.tokens.clear();
    server.nonces = 'required';
    const api = client(session());
    expect(await statuses(many(20, () => api.get('/')))).toEqual(Array(20).fill(200));
    expect(server.refreshes).toBe(1);
    expect(api.sends).toBeLessThanOrEqual(60);
  });

  test('a nonce refusal starts no refresh and is not passed to the session', async () => {
    server.nonces = 'required';
    const inner = bearer({ tokens: { accessToken: 'at-0' } });
    const onAnswer = jest.fn();
    const onChallenge = jest.fn(() => true);
    const api = client(dpop({ ...inner, onAnswer, onChallenge }));
    expect((await api.get('/')).status).toBe(200);
    expect(api.sends).toBe(2);
    expect(onChallenge).not.toHaveBeenCalled();
    expect(onAnswer.mock.calls.map(([{ response }]) => response.status)).toEqual([200]);
  });

  test('a nonce is read from every response: twenty calls in a row to a one-time-nonce server take 21 sends', async () => {
    server.nonces = 'one-time';
    const api = client(session());
    for (let call = 0; call < 20; call++) expect((await api.get('/')).status).toBe(200);
    expect(api.sends).toBe(21);
  });

  test('one-time nonces, concurrent calls: each replay uses the nonce of its own refusal', async () => {
    server.nonces = 'one-time';
    const api = client(session());
    expect(await statuses(many(20, () => api.get('/')))).toEqual(Array(20).fill(200));
    expect(api.sends).toBe(40);
  });

  test('a nonce that has rotated costs one more send', async () => {
    server.nonces = 'required';
    const api = client(session());
    await api.get('/');
    server.rotate();
    expect((await api.get('/')).status).toBe(200);
    expect(api.sends).toBe(4);
  });

  test('after two nonce refusals in a row the 401 settles the call', async () => {
    server.nonces = 'required';
    const api = client(session());
    server.server.on('request', () => {
      server.rotate();
    });
    expect((await api.get('/')).status).toBe(401);
    expect(api.sends).toBe(2);
  });

  test('nonce, token, nonce: a call may be refused three times', async () => {
    server.tokens.clear();
    server.nonces = 'required';
    const prover = dpopProver();
    const refresh: BearerOptions['refresh'] = async (context) => {
      const tokens = await grant(prover)(context);
      server.rotate();
      return tokens;
    };
    const api = client(session({ refresh }, prover));
    expect((await api.get('/')).status).toBe(200);
    expect(api.sends).toBe(4);
    expect(server.refreshes).toBe(1);
  });

  test('a refusal that hides its nonce is not answered', async () => {
    server.nonces = 'required';
    const api = client(session());
    server.server.prependListener('request', (_request, response) => {
      const { writeHead } = response;
      response.writeHead = function (this: typeof response, status: number, headers: Record<string, string>) {
        delete headers['DPoP-Nonce'];
        return writeHead.call(this, status, headers);
      } as never;
    });
    expect((await api.get('/')).status).toBe(401);
    expect(api.sends).toBe(1);
  });

  test('resource and token endpoint of one origin have separate nonces', async () => {
    server.tokens.clear();
    server.nonces = 'required';
    const api = client(session());
    await api.get('/');
    server.tokens.clear();
    await api.get('/');
    expect(server.proofs.token.map(({ nonce }) => nonce)).toEqual(['as-0', 'as-0']);
    expect(server.proofs.resource.map(({ nonce }) => nonce)).toEqual(Array(4).fill('rs-0'));
    expect(server.seen.filter(({ url }) => url === '/token').length).toBe(3);
  });

  /** A call whose first attempt was refused with the nonce `own`. `nonceOf` authorizes an attempt of it, or of another call. */
  async function refused(scheme: ReturnType<typeof session>) {
    const url = `${server.origin}/`;
    const exchange = {};
    const nonceOf = async (attempt: number, call: object = exchange): Promise<unknown> => {
      const request = authRequest({ url, exchange: call, attempt });
      await scheme.authorize(request);
      return readProof(String(request.headers.get('DPoP'))).nonce;
    };
    await nonceOf(1);
    const headers = { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': 'own' };
    const challenges = parseChallenges(headers['www-authenticate']);
    const refusal = { request: authRequest({ url, exchange }), response: { status: 401, headers } as never };
    await scheme.onAnswer?.({ ...refusal, isRefusal: true, received: '' });
    expect(await scheme.onChallenge?.({ ...refusal, challenges })).toBe(true);
    return { url, exchange, nonceOf };
  }

  // F28
  test('the nonce of a refusal is used for one attempt, however often that is authorized; later ones have the last nonce of the server', async () => {
    const scheme = session();
    const { url, nonceOf } = await refused(scheme);
    scheme.prover.heard(url, { 'DPoP-Nonce': 'of another call' });
    // A redirect and a limit that closes meanwhile authorize it again.
    expect([await nonceOf(2), await nonceOf(2)]).toEqual(['own', 'own']);
    expect(await nonceOf(3)).toBe('of another call');
  });

  test('other calls get the nonce of a refusal once the call has used it', async () => {
    const scheme = session();
    const { url, exchange, nonceOf } = await refused(scheme);
    expect(await nonceOf(1, {})).toBeUndefined();
    expect(await nonceOf(2)).toBe('own');
    const accepted = { status: 200, headers: {} } as never;
    const request = authRequest({ url, exchange, attempt: 2 });
    await scheme.onAnswer?.({ request, response: accepted, isRefusal: false, received: '' });
    expect(await nonceOf(1, {})).toBe('own');
  });

  test('a response without a nonce does not change the last one', async () => {
    const prover = dpopProver();
    prover.heard('https://a.example/', { 'dpop-nonce': 'n1' });
    prover.heard('https://a.example/', { 'dpop-nonce': '' });
    prover.heard('https://a.example/', {});
    const proof = await prover.proof({ url: 'https://a.example/', method: 'get', accessToken: 'at' });
    expect(readProof(proof)).toMatchObject({ nonce: 'n1', htm: 'GET' });
  });

  test('origins have separate nonces', async () => {
    const prover = dpopProver();
    prover.heard('https://one.example/a', { 'DPoP-Nonce': 'n1' });
    prover.heard('https://two.example/a', new Headers({ 'dpop-nonce': 'n2' }));
    const nonceAt = async (url: string): Promise<unknown> =>
      readProof(await prover.proof({ url, method: 'get', accessToken: 'at' })).nonce;
    expect(await nonceAt('https://one.example/b')).toBe('n1');
    expect(await nonceAt('wss://two.example/b')).toBe('n2');
    expect(await nonceAt('https://three.example/')).toBeUndefined();
  });
});

// F50
describe('a clock that is wrong', () => {
  beforeEach(() => {
    server.tokens.set('at-0', undefined);
    server.aheadMs = 20 * 60_000;
  });

  test('is corrected by the refusal, and the call is replayed once', async () => {
    const api = client(session());
    expect((await api.get('/')).status).toBe(200);
    expect(api.sends).toBe(2);
    expect(server.refreshes).toBe(0);
  });

  test('is corrected once per call', async () => {
    const api = client(session());
    server.server.prependListener('request', () => {
      server.aheadMs += 3_600_000;
    });
    expect((await api.get('/')).status).toBe(401);
    expect(api.sends).toBe(2);
  });

  test('is corrected for the token endpoint, too', async () => {
    server.tokens.clear();
    const api = client(session());
    expect((await api.get('/')).status).toBe(200);
    expect(server.refreshes).toBe(1);
  });
});

test('is not corrected for another refusal of a proof, which starts no refresh', async () => {
  server.tokens.set('at-0', undefined);
  const proof = 'e30.e30.e30';
  const prover: DpopProver = { ...dpopProver(), proof: () => Promise.resolve(proof) };
  const api = client(session({}, prover));
  expect((await api.get('/')).status).toBe(401);
  expect(api.sends).toBe(1);
  expect(server.refreshes).toBe(0);
});

describe('keys', () => {
  test.each<DpopAlgorithm>(['ES256', 'Ed25519', 'RS256', 'PS256'])(
    '%s: the created key pair is not extractable',
    async (algorithm) => {
      const prover = dpopProver({ algorithm });
      const { jkt } = readProof(await prover.proof({ url: 'https://a.example', method: 'GET' }));
      expect(await prover.thumbprint()).toBe(jkt);
    },
  );

  test('one key pair serves all proofs', async () => {
    const keyPair = jest.fn(generate);
    const prover = dpopProver({ keyPair });
    const proofs = await Promise.all(many(5, () => prover.proof({ url: 'https://a.example', method: 'GET' })));
    expect(new Set(proofs.map((proof) => readProof(proof).jkt)).size).toBe(1);
    expect(keyPair).toHaveBeenCalledTimes(1);
  });

  test('a function that failed is called again', async () => {
    const keyPair = jest.fn(generate).mockRejectedValueOnce(new Error('locked'));
    const prover = dpopProver({ keyPair });
    await expect(prover.thumbprint()).rejects.toThrow('locked');
    expect(await prover.thumbprint()).toMatch(/^[\w-]{43}$/);
  });

  test.each([null, undefined, {}])('a function that returned %j is called again', async (nothing) => {
    const keyPair = jest.fn(generate).mockResolvedValueOnce(nothing as never);
    const prover = dpopProver({ keyPair });
    await expect(prover.thumbprint()).rejects.toMatchObject({ code: 'ERR_AUTH_INVALID_CREDENTIAL' });
    expect(await prover.thumbprint()).toMatch(/^[\w-]{43}$/);
  });

  test('a proof without a method is a TypeError that names it, and does not blame the key', async () => {
    for (const method of [undefined, null, 7])
      await expect(dpopProver().proof({ url: 'https://a.example', method: method as never })).rejects.toThrow(
        /^proof\(\): `method` takes a string/,
      );
  });

  // RFC 9449 §6.1
  test('the thumbprint is that of the RFC', async () => {
    const publicKey = await webcrypto.subtle.importKey('jwk', RFC_KEY, P_256, true, ['verify']);
    expect(await dpopProver({ keyPair: { ...(await generate()), publicKey } }).thumbprint()).toBe(
      '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I',
    );
  });

  // RFC 9449 §7.1
  test('the hash of the access token is that of the RFC', async () => {
    const accessToken = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU';
    const proof = readProof(
      await dpopProver().proof({ url: 'https://resource.example.org/protectedresource', method: 'GET', accessToken }),
    );
    expect(proof).toMatchObject({
      htm: 'GET',
      htu: 'https://resource.example.org/protectedresource',
      ath: 'fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo',
    });
  });

  test('the verifier of these tests accepts the proofs of the RFC', () => {
    expect(readProof(RFC_PROOF)).toMatchObject({
      htm: 'POST',
      htu: 'https://server.example.com/token',
      iat: 1_562_262_616,
    });
    expect(readProof(RFC_PROOF).jkt).toBe('0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I');
    expect(() => readProof(RFC_PROOF.replace(/.$/, 'A'))).toThrow('signature');
  });

  test('unsuitable keys reject with ERR_AUTH_INVALID_CREDENTIAL', async () => {
    const { publicKey, privateKey } = await generate();
    for (const keyPair of [
      { publicKey, privateKey: publicKey },
      () => ({ publicKey: privateKey, privateKey }),
      () => null,
    ]) {
      const failure = await dpopProver({ keyPair: keyPair as never })
        .proof({ url: 'https://a.example', method: 'GET' })
        .catch((error: unknown) => error);
      expect(isAuthError(failure) && failure.code).toBe('ERR_AUTH_INVALID_CREDENTIAL');
    }
  });
});

describe('wrong arguments are a TypeError that names them', () => {
  test.each([
    ['dpop()', () => dpop(undefined as never)],
    ['prover', () => dpop(bearer('at'), { prover: {} as never })],
    ['header', () => dpop(bearer({ refresh: () => null, header: 'X-Token' }))],
    ['keyPair', () => dpopProver({ keyPair: 'pem' as never })],
    ['algorithm', () => dpopProver({ algorithm: 'ES512' as never })],
    ['indexedDbKeyPair()', () => indexedDbKeyPair('')],
    ['algorithm', () => indexedDbKeyPair('keys', 'HS256')],
  ])('%s', (name, make) => {
    expect(make).toThrow(TypeError);
    expect(make).toThrow(name);
  });

  const refresh = (): null => null;

  test.each<[string, () => SessionStore]>([
    ['fileStore', () => fileStore('/tmp/never-written')],
    ['webStorageStore', () => webStorageStore('session', { storage: new FakeStorage() as never })],
    ['tokenStore', () => tokenStore({ load: () => undefined, compareAndSet: () => true })],
  ])('a session in a store shared by processes (%s) needs a shared key', async (_name, store) => {
    const shared = (): BearerScheme => bearer({ store: store(), refresh });
    expect(() => dpop(shared())).toThrow('keyPair');
    expect(() => dpop({ ...shared(), name: 'wrapped' }, { prover: dpopProver() })).toThrow(TypeError);
    expect(() => dpop(shared(), { prover: dpopProver({ keyPair: generate }) })).not.toThrow();
    const keyPair = await generate();
    expect(() => dpop(shared(), { prover: dpopProver({ keyPair }) })).not.toThrow();
  });

  test.each<[string, () => BearerScheme]>([
    ['in memory', () => bearer({ refresh })],
    ['in a memoryStore', () => bearer({ refresh, store: memoryStore() })],
    ['of a function', () => bearer(() => 'at')],
    ['of a constant', () => bearer('at')],
  ])('a session %s needs no shared key', (_where, make) => {
    expect(() => dpop(make())).not.toThrow();
  });
});

test('the session keeps its methods', async () => {
  const scheme = session();
  await scheme.signIn({ accessToken: 'at-1' });
  expect(await scheme.getAccessToken()).toBe('at-1');
  expect(scheme.getSnapshot().status).toBe('signed-in');
  expect(scheme).toMatchObject({ name: 'DPoP', maxChallenges: 3, credentialHeaders: ['Authorization', 'DPoP'] });
});

const generate = (): Promise<CryptoKeyPair> => webcrypto.subtle.generateKey(P_256, false, ['sign', 'verify']);
const P_256 = { name: 'ECDSA', namedCurve: 'P-256' };
/** RFC 9449 §4.1 and §6.1: the key of its examples, and its proof for a token endpoint. */
const RFC_KEY = {
  kty: 'EC',
  x: 'l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs',
  y: '9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA',
  crv: 'P-256',
};
const RFC_PROOF =
  'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdC' +
  'RnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwi' +
  'aHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igi' +
  'MLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg';
