import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { digest } from '../lib/digest.js';
import { isApacheInstalled, startApache, type Apache } from './support/apache.js';
import { serveDigest } from './support/digest-server.js';
import { isHttpbinInstalled, startHttpbin, type Httpbin } from './support/httpbin.js';
import { drive } from './support/port-driver.js';

const ADA = { username: 'ada', password: 'engine' };
const isRequired = process.env['REQUIRE_REAL'] === '1';
const run = promisify(execFile);

/** Runs if the program is installed, or if REQUIRE_REAL wants it. */
function describeWith(name: string, isThere: boolean, tests: () => void): void {
  if (!isThere && isRequired) throw new Error(`REQUIRE_REAL=1, but there is no ${name}`);
  (isThere ? describe : describe.skip)(isThere ? name : `${name} (not installed)`, tests);
}

describeWith('httpbin', isHttpbinInstalled(), () => {
  let httpbin: Httpbin;
  beforeAll(async () => {
    httpbin = await startHttpbin();
  });
  afterAll(() => httpbin.close());

  test.each(['MD5', 'SHA-256', 'SHA-512'].flatMap((name) => ['auth', 'auth-int'].map((qop) => [name, qop])))(
    '%s, %s',
    async (algorithm, qop) => {
      const api = drive(digest(ADA), { defaults: { baseURL: httpbin.origin } });
      const path = `/digest-auth/${qop}/ada/engine/${algorithm}`;
      for (let call = 0; call < 3; call++) {
        const { data } = await api.get<unknown>(path);
        expect(data).toEqual({ authenticated: true, user: 'ada' });
      }
      const wrong = drive(digest({ ...ADA, password: 'difference' }), { defaults: { baseURL: httpbin.origin } });
      await expect(wrong.get(path)).rejects.toMatchObject({ response: { status: 401 } });
    },
  );
});

describeWith('apache2', isApacheInstalled(), () => {
  const REALM = 'the engine room';
  const ha1 = createHash('md5').update(`ada:${REALM}:engine`).digest('hex');
  const name = `AuthName "${REALM}"`;
  let apache: Apache;
  beforeAll(async () => {
    apache = await startApache([{ username: 'ada', realm: REALM, ha1 }], {
      '/plain/': name,
      '/one-time/': `${name}\nAuthDigestNonceLifetime 0`,
      '/short/': `${name}\nAuthDigestNonceLifetime 1`,
      '/domain/': `${name}\nAuthDigestDomain /domain/`,
    });
  });
  afterAll(() => apache.close());
  const client = (options = {}): ReturnType<typeof drive> =>
    drive(digest(ADA, options), { defaults: { baseURL: apache.origin } });

  test.each(['/plain/', '/domain/'])(
    '%s: two sends, then one each; it proves that it knows the password',
    async (path) => {
      const api = client({ mutual: true });
      for (let call = 0; call < 5; call++) {
        const { data } = await api.get<string>(`${path}page.txt`, { params: { call, q: 'a b&c' } });
        expect(data).toBe('a page');
      }
      expect(api.sends).toBe(6);
    },
  );

  test('30 concurrent calls, twice: all succeed', async () => {
    const api = client();
    for (let round = 0; round < 2; round++) {
      const calls = await Promise.all(Array.from({ length: 30 }, () => api.get('/plain/page.txt')));
      expect(new Set(calls.map(({ status }) => status))).toEqual(new Set([200]));
    }
  });

  test('one-time nonces (AuthDigestNonceLifetime 0): its nextnonce is used', async () => {
    const api = client();
    for (let call = 0; call < 5; call++) expect((await api.get('/one-time/page.txt')).status).toBe(200);
    expect(api.sends).toBeLessThanOrEqual(10);
    const calls = await Promise.all(Array.from({ length: 30 }, () => api.get('/one-time/page.txt')));
    expect(new Set(calls.map(({ status }) => status))).toEqual(new Set([200]));
  });

  test('an expired nonce is answered with stale=true, and the call is replayed', async () => {
    const api = client();
    await api.get('/short/page.txt');
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    expect((await api.get('/short/page.txt')).status).toBe(200);
    expect(api.sends).toBe(4);
  });

  test('a wrong password: the 401 after two sends', async () => {
    const api = drive(digest({ ...ADA, password: 'wrong' }), { defaults: { baseURL: apache.origin } });
    await expect(api.get('/plain/page.txt')).rejects.toMatchObject({ response: { status: 401 } });
    expect(api.sends).toBe(2);
  });
});

describeWith('curl', spawnSync('curl', ['--version']).status === 0, () => {
  // curl checks the server that the other tests rely on.
  test.each([
    ['MD5', 'auth'],
    ['MD5-sess', 'auth'],
    ['SHA-256', 'auth'],
    ['SHA-256-sess', 'auth'],
    ['MD5', null],
  ])(
    '--digest is accepted by the server of these tests (%s, %s), and a wrong password is refused',
    async (algorithm, qop) => {
      const server = await serveDigest({ algorithms: [algorithm], qop, users: { ada: 'engine' } });
      const status = async (user: string): Promise<string> => {
        const { stdout } = await run('curl', [
          '-s',
          '-o',
          '/dev/null',
          '-w',
          '%{http_code}',
          '--digest',
          '-u',
          user,
          `${server.origin}/a%20b?c=d`,
        ]);
        return stdout;
      };
      expect(await status('ada:engine')).toBe('200');
      expect(await status('ada:wrong')).toBe('401');
      await server.close();
    },
  );
});
