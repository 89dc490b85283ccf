import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import axios, {
  AxiosError,
  type AxiosAdapter,
  type AxiosInstance,
  type AxiosRequestHeaders,
  type AxiosResponse,
} from 'axios';
import * as React from 'react';
import { renderToString } from 'react-dom/server';
import ts from 'typescript';
import * as core from '../lib/index.js';
import * as node from '../lib/node.js';
import * as reactEntry from '../lib/react.js';
import * as redis from '../lib/redis.js';
import * as store from '../lib/store.js';
import * as web from '../lib/web.js';
import { resolveOptions } from '../lib/policy.js';
import { requireEsm } from './support/esm.js';

const ROOT = resolve(__dirname, '..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

interface Block {
  readonly name: string;
  readonly file: string;
  readonly source: string;
}

/** What a block may take for granted: the first lines of the README, and no more. */
const PRELUDE: Record<string, string> = {
  axios: "import axios from 'axios';",
  ...Object.fromEntries(Object.keys(core).map((name) => [name, `import { ${name} } from 'axios-attach-auth';`])),
  api: "const api = axios.create({ baseURL: 'https://api.example.com' });",
};

const BLOCKS: readonly Block[] = [...README.matchAll(/^```(ts|tsx|js|jsx)\n(.*?)^```$/gms)].map((match, index) => {
  const text = match[2] ?? '';
  const line = README.slice(0, match.index).split('\n').length;
  const takes = (name: string): boolean => uses(name, text) && !declares(name, text);
  const names = Object.keys(PRELUDE).filter((name) => takes(name) || (name === 'axios' && takes('api')));
  const prelude = names.map((name) => PRELUDE[name]).join('\n');
  return {
    name: `line ${String(line)}: ${text.trim().split('\n')[0] ?? ''}`,
    file: join(ROOT, '__tests__', `readme-block-${String(index)}.${match[1] ?? 'ts'}`),
    source: `${prelude}\n${text}\nexport {};\n`,
  };
});

function uses(name: string, text: string): boolean {
  return new RegExp(`(?<![.\\w'/-])${name}\\b(?!['-]|: )`).test(text);
}

function declares(name: string, text: string): boolean {
  return new RegExp(`^import .*\\b${name}\\b.* from |\\b(?:const|let|function) ${name}\\b`, 'm').test(text);
}

describe('the code of the README', () => {
  test('type-checks under strict', () => {
    const ambient = join(ROOT, '__tests__', 'readme-ambient.d.ts');
    const sources = new Map(BLOCKS.map(({ file, source }) => [file, source]));
    sources.set(
      ambient,
      'interface ImportMeta { readonly hot?: { dispose(run: () => void): void }; readonly url: string }',
    );
    const options: ts.CompilerOptions = {
      target: ts.ScriptTarget.ES2022,
      lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      jsx: ts.JsxEmit.ReactJSX,
      strict: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      verbatimModuleSyntax: true,
      noEmit: true,
      skipLibCheck: true,
      types: ['node'],
      // Without a prototype: TypeScript enumerates the keys, polluted ones included.
      paths: Object.assign(Object.create(null), {
        'axios-attach-auth': [join(ROOT, 'lib/index.ts')],
        'axios-attach-auth/*': [join(ROOT, 'lib/*.ts'), join(ROOT, 'lib/*.tsx')],
      }) as ts.MapLike<string[]>,
    };
    const host = ts.createCompilerHost(options);
    const { fileExists, readFile, getSourceFile } = host;
    host.fileExists = (file) => sources.has(file) || fileExists(file);
    host.readFile = (file) => sources.get(file) ?? readFile(file);
    host.getSourceFile = (file, ...rest) => {
      const source = sources.get(file);
      return source === undefined
        ? getSourceFile(file, ...rest)
        : ts.createSourceFile(file, source, ts.ScriptTarget.ES2022, true);
    };
    const diagnostics = ts.getPreEmitDiagnostics(ts.createProgram([...sources.keys()], options, host));
    const ours = diagnostics.filter(({ file }) => file && sources.has(file.fileName));
    expect(ts.formatDiagnostics(ours, { ...host, getCanonicalFileName: (name) => name })).toBe('');
  });

  describe('runs', () => {
    let state: string;
    beforeAll(() => {
      state = mkdtempSync(join(tmpdir(), 'readme-'));
    });
    afterAll(() => {
      rmSync(state, { recursive: true });
    });
    beforeEach(() => {
      process.env['STATE_DIRECTORY'] = state;
      process.env['API_KEY'] = 'k';
      process.env['SESSION_KEY'] = '5a'.repeat(32);
      jest.spyOn(console, 'info').mockImplementation();
    });
    afterEach(() => {
      delete process.env['STATE_DIRECTORY'];
      delete process.env['API_KEY'];
      delete process.env['SESSION_KEY'];
      jest.restoreAllMocks();
    });

    test.each(BLOCKS.map((block) => [block.name, block] as const))('%s', async (_, block) => {
      const server = fakeApi();
      const { adapter } = axios.defaults;
      axios.defaults.adapter = server.adapter;
      try {
        const { instance, exports, disposals } = await run(block);
        const seen = [...server.seen];
        // Whatever the block has set up: a call of its instance goes through.
        const attached = instance ?? exports.apiFor?.('token-0');
        if (attached) expect((await attached.get('/after')).status).toBe(200);
        if (exports.Account) expect(renderToString(React.createElement(exports.Account))).toMatch(/Sign (in|out)/);
        for (const dispose of disposals) dispose();
        for (const [part, expected] of Object.entries(WIRE))
          if (block.source.includes(part)) expect(seen).toEqual(expected);
      } finally {
        if (adapter) axios.defaults.adapter = adapter;
      }
      // What a page asks goes to its worker.
      if (!block.source.includes('new Worker(')) expect(server.seen.at(-1)).toMatch(/^200 /);
    });
  });
});

/** What certain blocks, told apart by a part of theirs, do on the wire. */
const WIRE: Record<string, string[]> = {
  "await api.get('/me')": ['401 /me', '200 /auth/refresh', '200 /me'],
  'await session.signOut()': ['200 /login'],
  'new RefreshRejectedError': ['200 /auth/refresh'],
  'new WebSocket': ['200 /auth/refresh'],
  "await api.get('/orders')": ['200 /orders'],
};

interface Ran {
  readonly instance: AxiosInstance | undefined;
  readonly exports: { apiFor?: (token: string) => AxiosInstance; Account?: React.FC };
  readonly disposals: (() => void)[];
}

/** Runs a block as the body of an async function, with its imports taken from here. */
async function run({ file, source }: Block): Promise<Ran> {
  const { outputText } = ts.transpileModule(source.replaceAll('import.meta', 'importMeta'), {
    fileName: file,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.CommonJS,
      jsx: ts.JsxEmit.ReactJSX,
      esModuleInterop: true,
    },
  });
  const disposals: (() => void)[] = [];
  const scope = {
    exports: {},
    require: requireFor,
    importMeta: {
      url: 'https://app.example.com/page.js',
      hot: { dispose: (dispose: () => void) => disposals.push(dispose) },
    },
    WebSocket: FakeSocket,
    Worker: Quiet,
    self: new Quiet(),
  };
  const AsyncFunction = (async () => undefined).constructor as FunctionConstructor;
  const body = `${outputText}\nreturn typeof jarred !== 'undefined' ? jarred : typeof api !== 'undefined' ? api : exports.api;`;
  const instance = (await AsyncFunction(...Object.keys(scope), body)(...Object.values(scope))) as
    AxiosInstance | undefined;
  return { instance, exports: scope.exports, disposals };
}

function requireFor(name: string): unknown {
  if (name === 'axios-attach-auth') return core;
  if (name === 'axios-attach-auth/web') return web;
  if (name === 'axios-attach-auth/node') return node;
  if (name === 'axios-attach-auth/redis') return redis;
  if (name === 'axios-attach-auth/react') return reactEntry;
  if (name === 'axios-attach-auth/store') return store;
  if (name === 'redis') return { createClient: () => new EmptyRedis() };
  if (name === 'axios') return { __esModule: true, default: axios };
  return name === 'axios-cookiejar-support' ? requireEsm(name, ['tough-cookie']) : jest.requireActual(name);
}

/** It lets everybody have the lock, takes what is written, and has nothing to read. */
class EmptyRedis {
  connect = (): Promise<void> => Promise.resolve();
  duplicate = (): EmptyRedis => new EmptyRedis();
  eval = (script: string): Promise<number> => Promise.resolve(script.includes('rename') ? 1 : 0);
  evalSha = this.eval;
  subscribe = this.connect;
  on(): void {
    // Nothing happens.
  }
  destroy(): void {
    // It was never there.
  }
}

/** The other side of a page or worker. */
class Quiet {
  addEventListener(): void {
    // Nobody speaks.
  }
}

class FakeSocket {
  addEventListener(_: string, listener: () => void): void {
    listener();
  }
  send(text: string): void {
    expect(JSON.parse(text)).toEqual({ token: 'token-1' });
  }
}

/** An API that issues tokens, refuses the one that the README begins with, and one answer too few for a CSRF token. */
function fakeApi() {
  const seen: string[] = [];
  let issued = 0;
  const answerTo = (path: string, headers: AxiosRequestHeaders): [status: number, data: unknown] => {
    if (/\/(?:login|refresh|token)$/.test(path)) {
      issued++;
      return [
        200,
        { access_token: `token-${String(issued)}`, refresh_token: `refresh-${String(issued)}`, expires_in: 3600 },
      ];
    }
    if (path === '/csrf') return [200, 'fresh'];
    if (headers.has('X-CSRF-Token')) return [headers.get('X-CSRF-Token') === 'fresh' ? 200 : 403, {}];
    return [headers.get('Authorization') === 'Bearer from-your-login' ? 401 : 200, {}];
  };
  const adapter: AxiosAdapter = (config) => {
    const { pathname, origin } = new URL(axios.getUri(config));
    const isKnown = /^https:\/\/(?:api|login)\.example\.com$/.test(origin);
    const [status, data] = isKnown ? answerTo(pathname, config.headers) : [404, {}];
    seen.push(`${String(status)} ${pathname}`);
    const response: AxiosResponse = { status, statusText: '', data, headers: {}, config, request: {} };
    if (config.validateStatus?.(status) ?? true) return Promise.resolve(response);
    return Promise.reject(new AxiosError(`status ${String(status)}`, AxiosError.ERR_BAD_REQUEST, config, {}, response));
  };
  return { seen, adapter };
}

describe('the text of the README', () => {
  const TEXT = README.replace(/ +/g, ' ');
  const slugs = [...README.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
  const links = [...README.matchAll(/\]\(([^)]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^https?:/.test(target));

  test.each(links)('the link %s leads somewhere', (target) => {
    if (target.startsWith('#')) expect(slugs).toContain(target.slice(1));
    else expect(existsSync(join(ROOT, target))).toBe(true);
  });

  const declared = declarations();

  test.each(declared.fields)('tells of the option %s', (_, name) => {
    expect(TEXT).toMatch(new RegExp(`^\\| (?:\`[^|]*)?\`?\\b${name}\\b`, 'm'));
  });

  test.each(declared.words)('tells of %s %s', (_, word) => {
    expect(README).toContain(`\`${word}\``);
  });

  test.each(Object.keys(core).filter((name) => name !== 'AuthError'))('shows %s', (name) => {
    expect(README).toMatch(new RegExp(`\\b${name}\\b`));
  });

  test('has the defaults that hold', () => {
    const { retry, deadlineMs } = resolveOptions({ scheme: core.apiKey('k') });
    const { statuses, methods, maxAttempts, maxThrottledAttempts, baseDelayMs, maxDelayMs, maxRetryAfterMs } = retry;
    for (const row of [
      `| \`maxAttempts\` | \`${String(maxAttempts)}\``,
      `| \`maxThrottledAttempts\` | \`${String(maxThrottledAttempts)}\``,
      `| \`statuses\` | ${[...statuses].join(', ')}`,
      `| \`methods\` | ${[...methods].join(', ')}`,
      `| \`baseDelayMs\`, \`maxDelayMs\` | \`${String(baseDelayMs)}\`, \`${String(maxDelayMs)}\``,
      `| \`maxRetryAfterMs\` | \`${String(maxRetryAfterMs)}\``,
      `| \`deadlineMs\` | \`${String(deadlineMs)}\``,
    ]) {
      expect(TEXT).toContain(row);
    }
  });

  test('names the axios range and the Node of package.json', () => {
    const { peerDependencies, engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      peerDependencies: { axios: string };
      engines: { node: string };
    };
    expect(README).toContain(`\`${peerDependencies.axios}\``);
    expect(README).toContain(`Node ${engines.node.replace('>=', '')} or later`);
  });

  test('says how to develop in two commands', () => {
    const develop = README.slice(README.indexOf('## Develop'));
    expect([...develop.matchAll(/^```sh\n(.*?)\n```/gms)].map(([, command]) => command)).toEqual([
      'npm ci && npm run demo',
      'npm ci && npm test',
    ]);
  });
});

/** What the sources declare and the README must tell of: fields of options, and words of unions. */
function declarations(): { fields: [string, string][]; words: [string, string][] } {
  const fields: [string, string][] = [];
  const words: [string, string][] = [];
  const options = [
    'AttachAuthOptions',
    'RetryOptions',
    'ThrottleOptions',
    'RequestAuthOptions',
    'BearerOptions',
    'HmacOptions',
  ];
  const unions = ['AuthErrorCode', 'SettleReason'];
  const visit = (of: ts.Node): void => {
    if (ts.isInterfaceDeclaration(of) && options.includes(of.name.text)) {
      for (const { name } of of.members)
        if (name && ts.isIdentifier(name)) fields.push([`${of.name.text}.${name.text}`, name.text]);
    }
    if (ts.isTypeAliasDeclaration(of) && unions.includes(of.name.text)) literalsOf(of.type, of.name.text);
    if (
      ts.isPropertySignature(of) &&
      of.getSourceFile().fileName.endsWith('events.ts') &&
      of.name.getText() === 'type' &&
      of.type
    ) {
      literalsOf(of.type, 'the event');
    }
    ts.forEachChild(of, visit);
  };
  const literalsOf = (of: ts.Node, name: string): void => {
    if (ts.isStringLiteral(of)) words.push([name, of.text]);
    ts.forEachChild(of, (child) => {
      literalsOf(child, name);
    });
  };
  for (const file of [
    'options.ts',
    'errors.ts',
    'events.ts',
    'retry/decide.ts',
    'schemes/bearer-session.ts',
    'schemes/hmac.ts',
  ]) {
    const path = join(ROOT, 'lib', file);
    visit(ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022, true));
  }
  return { fields, words };
}
