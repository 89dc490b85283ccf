import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import axios, {
  AxiosError,
  type AxiosAdapter,
  type AxiosInstance,
  type AxiosRequestHeaders,
  type AxiosResponse,
} from 'axios';
import ts from 'typescript';
import * as core from '../../lib/index.js';
import * as node from '../../lib/node.js';
import * as oauth2 from '../../lib/oauth2.js';
import * as reactEntry from '../../lib/react.js';
import * as redis from '../../lib/redis.js';
import * as store from '../../lib/store.js';
import * as web from '../../lib/web.js';
import { requireEsm } from './esm.js';
import { typeErrorsOf } from './type-check.js';

export const ROOT = resolve(__dirname, '../..');

/** A block of code on a page. */
export interface CodeBlock {
  readonly name: string;
  readonly page: string;
  readonly text: string;
  /** With the code that it assumes. */
  readonly source: string;
  readonly file: string;
  readonly isRun: boolean;
}

const SESSION = `const session = bearer({
  tokens: { accessToken: 'from-your-login', refreshToken: 'from-your-login' },
  refresh: ({ client, refreshToken }) => client.post('/auth/refresh', { refreshToken }).then(({ data }) => data),
});`;

/** The code that every block may assume: the first example of README and guide. */
const GRANTED: Readonly<Record<string, string>> = {
  axios: "import axios from 'axios';",
  ...Object.fromEntries(Object.keys(core).map((name) => [name, `import { ${name} } from 'axios-attach-auth';`])),
  api: "const api = axios.create({ baseURL: 'https://api.example.com' });",
  session: SESSION,
  attach: 'attachAuth(api, { scheme: session });',
};

/**
 * Returns the code of a page. A comment before a block has more code that it assumes (`<!-- given: const a = 1; -->`), or the reason why it
 * cannot run (`<!-- not run: … -->`).
 */
export function codeOf(path: string): CodeBlock[] {
  const page = relative(ROOT, path);
  const text = readFileSync(path, 'utf8');
  const blocks = text.matchAll(/((?:^<!--[^]*?-->\s*)?)^```(ts|tsx|js|jsx)\b.*\n([^]*?)^```$/gm);
  return [...blocks].map(([whole, comment = '', language = '', code = ''], index) => {
    const line = text.slice(0, text.indexOf(whole)).split('\n').length;
    const [, given = ''] = /<!-- given:([^]*)-->/.exec(comment) ?? [];
    return {
      name: `${page}:${String(line)} ${code.trim().split('\n')[0] ?? ''}`,
      page,
      text: code,
      source: `${grantedTo(`${given}\n${code}`)}\n${given}\n${code}\nexport {};\n`,
      file: `${page.replace(/\W/g, '-')}-${String(index)}.${language}`,
      isRun: !comment.includes('<!-- not run:'),
    };
  });
}

function grantedTo(code: string): string {
  const isTaken = (name: string): boolean => uses(name, code) && !declares(name, code);
  const taken = new Set(Object.keys(GRANTED).filter(isTaken));
  // An instance is attached, unless the block does so itself.
  const isAttached = !/\battachAuth\(/.test(code);
  if (taken.has('api') && isAttached) for (const name of ['session', 'attach']) taken.add(name);
  if (taken.has('session')) {
    if (isAttached) for (const name of ['attach', 'attachAuth', 'api']) taken.add(name);
    taken.add('bearer');
  }
  if (taken.has('api')) taken.add('axios');
  for (const name of taken) if (declares(name, code)) taken.delete(name);
  return Object.keys(GRANTED)
    .filter((name) => taken.has(name))
    .map((name) => GRANTED[name])
    .join('\n');
}

function uses(name: string, code: string): boolean {
  return new RegExp(`(?<![.\\w'/-])${name}\\b(?!['-]|: )`).test(code);
}

function declares(name: string, code: string): boolean {
  return new RegExp(
    `^import [^;]*\\b${name}\\b[^;]* from |\\b(?:const|let|function) ${name}\\b|\\{ [^}]*\\b${name}\\b[^}]* \\} = `,
    'm',
  ).test(code);
}

/** Packages that the pages name and this repository does not install, and globals of other platforms. */
const AMBIENT = `
interface ImportMeta { readonly hot?: { dispose(run: () => void): void }; readonly url: string }
declare module 'expo-secure-store' {
  export function getItemAsync(key: string): Promise<string | null>;
  export function setItemAsync(key: string, value: string): Promise<void>;
}
declare module 'rate-limiter-flexible' {
  export class RateLimiterRedis {
    constructor(options: object);
    get(key: string): Promise<{ msBeforeNext: number } | null>;
    block(key: string, seconds: number): Promise<unknown>;
  }
}
declare const Deno: { env: { get(name: string): string | undefined } };
declare const Bun: { env: Record<string, string | undefined> };
`;

/** Returns the errors of the compiler about these blocks, as text. */
export function typeErrors(blocks: readonly CodeBlock[]): string {
  return typeErrorsOf(
    new Map([...blocks.map(({ file, source }) => [file, source] as const), ['ambient.d.ts', AMBIENT]]),
  );
}

/** The effects of a block. */
export interface Ran {
  readonly instance: AxiosInstance | undefined;
  readonly exports: Record<string, unknown>;
  /** Functions that a bundler calls before it replaces the module, and functions that detach instances. */
  readonly disposals: readonly (() => void)[];
  /** Tests that the block defines. */
  readonly tests: readonly (() => unknown)[];
  /** `status path` of every request. */
  readonly seen: readonly string[];
}

/** Runs a block as the body of an async function, with imports from this repository, against an API in this process. */
export async function runBlock({ file, source }: CodeBlock): Promise<Ran> {
  const { outputText } = ts.transpileModule(adapted(source), {
    fileName: file,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.CommonJS,
      jsx: ts.JsxEmit.ReactJSX,
      esModuleInterop: true,
    },
  });
  const server = fakeApi();
  const disposals: (() => void)[] = [];
  const tests: (() => unknown)[] = [];
  const attachAuth = (api: AxiosInstance, options: core.AttachAuthOptions): core.AuthHandle => {
    const handle = core.attachAuth(api, options);
    disposals.push(() => {
      handle.detach();
    });
    return handle;
  };
  const scope = {
    exports: {} as Record<string, unknown>,
    require: (name: string) => (name === 'axios-attach-auth' ? { ...core, attachAuth } : requireFor(name)),
    pageAdapter: server.adapter,
    importMeta: {
      url: 'https://app.example.com/page.js',
      hot: { dispose: (dispose: () => void) => disposals.push(dispose) },
    },
    fetch: async (url: string) => {
      const { data } = await axios.post<unknown>(url);
      return { ok: true, json: async () => data };
    },
    location: { assign: () => undefined },
    WebSocket: FakeSocket,
    Worker: Quiet,
    self: new Quiet(),
    Deno: { env: { get: (name: string) => process.env[name] } },
    Bun: { env: process.env },
    process: Object.assign(Object.create(process) as object, { once: () => undefined }),
    localStorage: { getItem: () => 'token' },
    test: (_: string, run: () => unknown) => tests.push(run),
    jest,
  };
  const AsyncFunction = (async () => undefined).constructor as FunctionConstructor;
  const instances = ['jarred', 'api', 'exports.api'].map((name) => `typeof ${name} !== 'undefined' ? ${name} : `);
  const run = AsyncFunction(...Object.keys(scope), `${outputText}\nreturn ${instances.join('')}undefined;`);
  axios.defaults.adapter = server.adapter;
  const instance = (await run(...Object.values(scope))) as AxiosInstance | undefined;
  return { instance, exports: scope.exports, disposals, tests, seen: server.seen };
}

/** No call of a page leaves this process. */
function adapted(source: string): string {
  return source.replaceAll('import.meta', 'importMeta').replaceAll(/adapter: '\w+'/g, 'adapter: pageAdapter');
}

function requireFor(name: string): unknown {
  const modules: Record<string, unknown> = {
    'axios-attach-auth/node': node,
    'axios-attach-auth/oauth2': oauth2,
    'axios-attach-auth/react': reactEntry,
    'axios-attach-auth/redis': redis,
    'axios-attach-auth/store': store,
    'axios-attach-auth/web': web,
    axios: Object.assign({ default: axios, ...axios }, { __esModule: true }),
    redis: { createClient: () => new EmptyRedis() },
    'rate-limiter-flexible': { RateLimiterRedis: NoLimiter },
    'expo-secure-store': { getItemAsync: () => Promise.resolve(null), setItemAsync: () => Promise.resolve() },
  };
  if (Object.hasOwn(modules, name)) return modules[name];
  return name === 'axios-cookiejar-support' ? requireEsm(name, ['tough-cookie']) : jest.requireActual(name);
}

/** Grants every lock, accepts every write, and is empty. */
class EmptyRedis {
  connect = (): Promise<this> => Promise.resolve(this);
  duplicate = (): EmptyRedis => new EmptyRedis();
  eval = (script: string): Promise<number> => Promise.resolve(script.includes('rename') ? 1 : 0);
  evalSha = this.eval;
  subscribe = (): Promise<void> => Promise.resolve();
  on(): this {
    return this;
  }
  destroy(): void {
    // The key was never set.
  }
}

class NoLimiter {
  get = (): Promise<null> => Promise.resolve(null);
  block = (): Promise<void> => Promise.resolve();
}

/** The other side of a page or worker. */
class Quiet {
  addEventListener(): void {
    // No event is emitted.
  }
  postMessage(): void {
    // No event is emitted.
  }
}

class FakeSocket {
  addEventListener(_: string, listener: () => void): void {
    listener();
  }
  send(text: string): void {
    expect(JSON.parse(text)).toEqual({ token: expect.any(String) });
  }
}

/**
 * An API that issues tokens. It refuses the first token of the pages, and every CSRF token and cookie that it did not issue.
 */
function fakeApi() {
  const seen: string[] = [];
  let issued = 0;
  const answerTo = (url: URL, headers: AxiosRequestHeaders): [status: number, data: unknown] => {
    const { pathname: path, origin } = url;
    if (path.endsWith('/.well-known/openid-configuration')) {
      return [
        200,
        { issuer: origin, token_endpoint: `${origin}/oauth/token`, revocation_endpoint: `${origin}/oauth/revoke` },
      ];
    }
    if (/\/(?:login|refresh|token)$/.test(path)) {
      issued++;
      return [
        200,
        {
          access_token: `token-${String(issued)}`,
          refresh_token: `refresh-${String(issued)}`,
          expires_in: 3600,
          token_type: 'Bearer',
        },
      ];
    }
    if (path === '/account') return [seen.includes('200 /login') ? 200 : 401, {}];
    if (path === '/csrf') return [200, 'fresh'];
    if (headers.has('X-CSRF-Token')) return [headers.get('X-CSRF-Token') === 'fresh' ? 200 : 419, {}];
    if (path === '/graphql') return [200, { data: {} }];
    const isDead = /(?:from-your-login|old)$/.test(
      String(headers.get('Authorization') ?? headers.get('X-Access-Token')),
    );
    return [isDead ? 401 : 200, path === '/me' ? { name: 'Ada' } : {}];
  };
  const adapter: AxiosAdapter = (config) => {
    const url = new URL(axios.getUri(config));
    const isKnown = /^https:\/\/(?:(?:api|auth|login)\.example\.com|elsewhere\.example)$/.test(url.origin);
    const [status, data] = isKnown ? answerTo(url, config.headers) : [404, {}];
    seen.push(`${String(status)} ${url.pathname}`);
    const response: AxiosResponse = { status, statusText: '', data, headers: {}, config, request: {} };
    if (config.validateStatus?.(status) ?? true) return Promise.resolve(response);
    return Promise.reject(new AxiosError(`status ${String(status)}`, AxiosError.ERR_BAD_REQUEST, config, {}, response));
  };
  return { seen, adapter };
}
