import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { buildSync } from 'esbuild';

let folder: string;
let bundle: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'attach-auth-exits-'));
  bundle = join(folder, 'package.cjs');
  buildSync({
    stdin: {
      contents:
        "export * from './lib/index.ts'; export { tokenStore } from './lib/store.ts'; export { default as axios } from 'axios';",
      resolveDir: resolve(__dirname, '..'),
    },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    outfile: bundle,
    alias: { axios: process.env['AXIOS_VERSION'] ?? 'axios' },
  });
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** An API without sockets, so that nothing but the package could keep the process. */
const PRELUDE = `
  const { attachAuth, axios, bearer, exchangeOf, tokenStore } = require(process.argv[1]);
  const { AxiosError, AxiosHeaders } = axios;
  const tokenOf = (config) => config.headers.get('Authorization')?.slice('Bearer '.length);
  /** answer: what a request comes to, as [status, headers]. */
  const create = (options, answer = (config) => [tokenOf(config) === 'good' ? 200 : 401], attach = {}) => {
    const api = axios.create({
      baseURL: 'https://api.example.com',
      adapter: async (config) => {
        const [status, headers = {}] = answer(config);
        const response = { status, statusText: '', data: '', headers: new AxiosHeaders(headers), config, request: {} };
        if (status < 300) return response;
        throw new AxiosError('refused', 'ERR_BAD_REQUEST', config, {}, response);
      },
    });
    const scheme = bearer(options);
    return { api, scheme, handle: attachAuth(api, { scheme, onEvent: () => Promise.reject(new Error('listener')), ...attach }) };
  };
  const say = (settled) => console.log(settled.code ?? settled.status ?? settled);
  const never = () => new Promise(() => undefined);
  const refused = () => Promise.reject(Object.assign(new Error(), { response: { status: 400, data: { error: 'invalid_client' } } }));
`;

/** The output of a program, and its exit code. A program that hangs is ended with a signal. */
function run(program: string): Promise<{ code: number | null; output: string }> {
  return new Promise((done) => {
    const child = spawn(process.execPath, ['-e', PRELUDE + program, bundle], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 15_000,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('close', (code) => {
      done({ code, output: output.trim() });
    });
  });
}

// F10 F48
describe('a program whose calls have settled ends', () => {
  test.concurrent.each([
    [
      'while an early refresh hangs',
      `const { api } = create({ tokens: { accessToken: 'good', expiresIn: 3600 }, refreshAheadMs: 3.6e6, refreshTimeoutMs: 3.6e6, refresh: never });
       const { now } = Date;
       api.get('/').then(() => {
         Date.now = () => now() + 3e6;
         return api.get('/');
       }).then(say, say);`,
      '200',
    ],
    [
      'while a refresh hangs whose callers have aborted',
      `const { api } = create({ tokens: { accessToken: 'dead' }, refreshTimeoutMs: 3.6e6, refresh: never });
       const controller = new AbortController();
       api.get('/', { signal: controller.signal }).then(say, say);
       setTimeout(() => controller.abort(), 10);`,
      'ERR_CANCELED',
    ],
    [
      'while a key of the throttle is closed for an hour',
      `const { api } = create({ tokens: { accessToken: 'good' } }, () => [429, { 'Retry-After': '3600' }]);
       api.get('/').then(say, say);`,
      'ERR_BAD_REQUEST',
    ],
    [
      'during the cool-down of a failed refresh',
      `const { api } = create({ tokens: { accessToken: 'dead' }, refresh: refused });
       api.get('/').then(say, say);`,
      'ERR_AUTH_REFRESH_FAILED',
    ],
    [
      'while the breaker is open',
      `const { api } = create({ tokens: { accessToken: 'dead' }, refresh: () => ({ accessToken: 'worse' }) });
       api.get('/').then(say, say);`,
      'ERR_BAD_REQUEST',
    ],
    [
      'when detach() has ended a wait',
      `const { api, handle } = create({ tokens: { accessToken: 'good' } }, () => [429, { 'Retry-After': '50' }]);
       api.get('/').then(say, say);
       setTimeout(handle.detach, 10);`,
      'ERR_AUTH_DETACHED',
    ],
  ])('%s', async (_, program, output) => {
    expect(await run(program)).toEqual({ code: 0, output });
  });
});

describe('a program with a waiting call keeps running', () => {
  test.concurrent.each([
    [
      'for a refresh that alone does not keep the process alive',
      `const { api } = create({ tokens: { accessToken: 'dead' }, refresh: () => new Promise((resolve) => setTimeout(resolve, 200, { accessToken: 'good' }).unref()) });
       api.get('/').then(say, say);`,
      '200',
    ],
    [
      'until refreshTimeoutMs of a refresh that hangs',
      `const { api } = create({ tokens: { accessToken: 'dead' }, refresh: never, refreshTimeoutMs: 200 });
       api.get('/').then(say, say);`,
      'ERR_AUTH_REFRESH_FAILED',
    ],
    [
      'for a Retry-After',
      `let left = 1;
       const { api } = create({ tokens: { accessToken: 'good' } }, () => left-- > 0 ? [429, { 'Retry-After': '0.2' }] : [200]);
       api.get('/').then(say, say);`,
      '200',
    ],
    [
      'for the next attempt after a 503',
      `let left = 1;
       const { api } = create({ tokens: { accessToken: 'good' } }, () => [left-- > 0 ? 503 : 200]);
       api.get('/').then(say, say);`,
      '200',
    ],
    [
      'for getAccessToken()',
      `const { scheme } = create({ tokens: { accessToken: 'dead', expiresIn: 0 }, refresh: () => new Promise((resolve) => setTimeout(resolve, 200, { accessToken: 'good' }).unref()) });
       scheme.getAccessToken().then(say);`,
      'good',
    ],
  ])('%s', async (_, program, output) => {
    expect(await run(program)).toEqual({ code: 0, output });
  });
});

// F10: node ends with 1 at the first unhandled rejection.
test('no rejection is left unhandled by failures in the background', async () => {
  const program = `
    const { Readable } = require('node:stream');
    const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const quietly = (call) => call.catch(() => undefined);
    (async () => {
      for (const refresh of [refused, () => { throw new Error('at once'); }, () => null, () => ({}), () => 'nonsense']) {
        const options = { tokens: { accessToken: 'dead', refreshToken: 'r' }, refreshTimeoutMs: 20, refresh };
        const early = create({ ...options, tokens: { accessToken: 'good', expiresIn: 0.2 }, refreshAheadMs: 1e6 });
        await quietly(early.api.get('/'));
        await rest(120);
        for (let made = 0; made < 3; made++) {
          await quietly(early.api.get('/'));
          await rest(5);
        }
        await quietly(create(options).api.post('/', Readable.from(['a'])));
        const left = create(options);
        const controller = new AbortController();
        const call = quietly(left.api.get('/', { signal: controller.signal }));
        await null;
        controller.abort();
        await call;
        const over = create(options);
        const both = [quietly(over.api.get('/')), quietly(over.scheme.refresh())];
        await null;
        await over.scheme.signOut();
        over.handle.detach();
        await Promise.all(both);
        const broken = { load: () => Promise.reject(new Error('load')), compareAndSet: () => { throw new Error('write'); }, exclusive: () => Promise.reject(new Error('lock')) };
        const lost = create({ ...options, store: tokenStore(broken) });
        await quietly(lost.api.get('/'));
        await lost.scheme.signOut();
        await rest(30);
      }
      console.log('nothing');
    })();
  `;
  expect(await run(program)).toEqual({ code: 0, output: 'nothing' });
});

// F111
test('a predicate or scheme function that returns a promise which rejects does not end the process', async () => {
  const program = `
    const fails = async () => { throw new Error('asynchronous'); };
    const third = create({}, () => [200], { scheme: fails });
    third.api.get('/').catch(() => undefined);
    const { api } = create({ tokens: { accessToken: 'dead' } }, () => [401], { isUnauthorized: fails });
    const other = create({ tokens: { accessToken: 'good' } }, () => [404], { retry: { shouldRetry: fails } });
    Promise.allSettled([api.get('/'), other.api.get('/')]).then(([one, two]) => say(one.reason.status + ' ' + two.reason.status));
  `;
  expect(await run(program)).toEqual({ code: 0, output: '401 404' });
});
