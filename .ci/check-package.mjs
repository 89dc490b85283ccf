// Packs the package, installs the tarball in a folder elsewhere, and uses it there as strangers would.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packed } from './pack.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const elsewhere = mkdtempSync(join(tmpdir(), 'packed-'));
const consumer = join(elsewhere, 'consumer');
const failures = [];

function run(file, args, cwd = consumer) {
  return execFileSync(file, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  });
}

function install(...packages) {
  run('npm', ['install', ...packages, '--no-audit', '--no-fund', '--prefer-offline']);
}

function bin(name, ...args) {
  const { bin: entry } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'));
  const script = typeof entry === 'string' ? entry : Object.values(entry)[0];
  return run(process.execPath, [join(root, 'node_modules', name, script), ...args]);
}

function check(what, work) {
  try {
    work();
    console.log(`ok      ${what}`);
  } catch (error) {
    failures.push(what);
    const said = [error.message, error.stdout, error.stderr].filter(Boolean).join('\n').trim();
    console.log(`FAILED  ${what}\n        ${said.replaceAll('\n', '\n        ')}`);
  }
}

function assert(isRight, otherwise) {
  if (!isRight) throw new Error(otherwise);
}

try {
  const tarball = packed(elsewhere);
  mkdirSync(consumer);
  write('package.json', JSON.stringify({ private: true, dependencies: {} }));
  install(tarball, `axios@${own.devDependencies.axios}`);
  const installed = JSON.parse(readFileSync(join(consumer, 'node_modules', own.name, 'package.json'), 'utf8'));
  const entries = Object.keys(installed.exports).filter((entry) => entry !== './package.json');
  const specifiers = entries.map((entry) => own.name + entry.slice(1));

  check('nothing runs at install time, and nothing comes along', () => {
    for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) {
      assert(installed.scripts?.[script] === undefined, `package.json has the script ${script}`);
    }
    const along = ['dependencies', 'optionalDependencies', 'bundleDependencies', 'bundledDependencies'];
    for (const kind of along) assert(Object.keys(installed[kind] ?? {}).length === 0, `package.json has ${kind}`);
    assert(installed.sideEffects === false, 'sideEffects is not false');
  });

  check('the tarball holds dist, the texts and a stub for each subpath, nothing else', () => {
    const paths = run('tar', ['-tzf', tarball])
      .trim()
      .split('\n')
      .map((path) => path.replace(/^package\//, ''));
    const stubs = entries.slice(1).map((entry) => `${entry.slice(2)}/package.json`);
    const isWanted = /^(?:dist\/[\w/.-]+\.(?:mjs|cjs|d\.mts|d\.cts)|(?:README|CHANGELOG)\.md|LICENSE|package\.json)$/;
    const odd = paths.filter((path) => !isWanted.test(path) && !stubs.includes(path));
    assert(odd.length === 0, `unexpected: ${odd.join(', ')}`);
    for (const needed of ['README.md', 'CHANGELOG.md', 'LICENSE', ...stubs])
      assert(paths.includes(needed), `${needed} is missing`);
  });

  check('package.json can be read by tools', () => {
    run(process.execPath, ['-e', `require('${own.name}/package.json')`]);
  });

  const use = `
    const api = axios.create({ adapter: async (config) => ({ status: 200, data: config.headers.get('Authorization'), headers: {}, config }) });
    attachAuth(api, { scheme: bearer('token') });
    api.get('/me').then((answer) => {
      if (answer.data !== 'Bearer token' || exchangeOf(answer).attempts !== 1) throw new Error('it does not work');
    });`;
  write('use.mjs', `import axios from 'axios';\nimport { attachAuth, bearer, exchangeOf } from '${own.name}';\n${use}`);
  write(
    'use.cjs',
    `const axios = require('axios');\nconst { attachAuth, bearer, exchangeOf } = require('${own.name}');\n${use}`,
  );
  check('it works as ESM', () => run(process.execPath, ['use.mjs']));
  check('it works as CommonJS', () => run(process.execPath, ['use.cjs']));
  write(
    'both.mjs',
    `import { createRequire } from 'node:module';
    import { isAuthError, AuthError } from '${own.name}';
    const other = createRequire(import.meta.url)('${own.name}');
    if (other.AuthError === AuthError) throw new Error('these are not two copies');
    if (!isAuthError(new other.AuthError('ERR_AUTH_DETACHED', ''))) throw new Error('an error of the other copy is not known');`,
  );
  check('errors of one copy are known to the other', () => run(process.execPath, ['both.mjs']));

  // The checks above need only axios. Installs the packages of single entries, and their types.
  const optional = Object.keys(own.peerDependencies).filter((name) => name !== 'axios');
  const extra = optional.flatMap((name) => [name, `@types/${name}`]).filter((name) => own.devDependencies[name]);
  if (extra.length > 0) install(...extra.map((name) => `${name}@${own.devDependencies[name]}`));

  for (const specifier of specifiers) {
    check(`${specifier}: import and require give the same names`, () => {
      const imported = run(process.execPath, [
        '--input-type=module',
        '-e',
        `console.log(Object.keys(await import('${specifier}')).sort().join())`,
      ]);
      const required = run(process.execPath, ['-e', `console.log(Object.keys(require('${specifier}')).sort().join())`]);
      assert(imported.trim() !== '', 'import gives nothing');
      assert(imported === required, `import: ${imported.trim()}\nrequire: ${required.trim()}`);
    });
  }

  for (const [entry, { import: imported, require: required }] of Object.entries(installed.exports).slice(0, -1)) {
    const conditions = Object.keys(imported).filter((condition) => condition !== 'types');
    check(`${own.name}${entry.slice(1)}: the builds of ${conditions.join(', ')} have the same names`, () => {
      const paths = new Set(conditions.flatMap((condition) => [imported[condition], required[condition]]));
      const names = [...paths].map((path) => {
        const file = join(consumer, 'node_modules', own.name, path);
        const code = `import(${JSON.stringify(file)}).then((all) => console.log(Object.keys(all).filter((name) => !/^(?:default|module.exports)$/.test(name)).sort().join()))`;
        return run(process.execPath, ['-e', code]);
      });
      assert(paths.size === 4, `there are ${paths.size} files, not two builds in two formats`);
      assert(names[0].trim() !== '' && new Set(names).size === 1, `${[...paths].join(', ')}:\n${names.join('')}`);
    });
  }

  const typed = `
    import axios, { type InternalAxiosRequestConfig } from 'axios';
    import * as core from '${own.name}';
    ${specifiers.map((specifier, index) => `import * as entry${String(index)} from '${specifier}';`).join('\n    ')}
    import { attachAuth, bearer, isAuthError, type AuthScheme, type BearerScheme } from '${own.name}';
    import { memoryStore, type SessionStore } from '${own.name}/store';
    const api = axios.create({ baseURL: 'https://api.example.com' });
    const scheme: BearerScheme = bearer({ tokens: undefined, refresh: async ({ client, signal }) => (await client.post<{ accessToken: string }>('/', {}, { signal })).data });
    attachAuth(api, { scheme, retry: { maxAttempts: 2 }, origins: undefined }).detach();
    void api.get('/', { attachAuth: { credentials: 'omit' } });
    // @ts-expect-error -- it is 'attach' or 'omit'
    void api.get('/', { attachAuth: { credentials: 'none' } });
    // @ts-expect-error -- a scheme is needed
    attachAuth(api, {});
    const own: AuthScheme = { name: 'X', authorize: ({ headers, url }) => void headers.set('X', url.pathname) };
    const store: SessionStore = memoryStore();
    export const isOurs = (error: unknown): InternalAxiosRequestConfig | undefined => (isAuthError(error) && error.code === 'ERR_AUTH_INSECURE' ? error.config : undefined);
    export const all = [own, store, ${specifiers.map((_, index) => `entry${String(index)}`).join(', ')}];`;
  for (const file of ['types.mts', 'types.cts', 'bundled.ts']) write(file, typed);
  const strict = {
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
    esModuleInterop: true,
    types: [],
  };
  const target = { target: 'ES2022', lib: ['ES2022', 'DOM', 'DOM.Iterable'] };
  const resolutions = {
    nodenext: { compilerOptions: { ...strict, ...target, module: 'NodeNext' }, files: ['types.mts', 'types.cts'] },
    bundler: {
      compilerOptions: { ...strict, ...target, module: 'ESNext', moduleResolution: 'Bundler' },
      files: ['bundled.ts'],
    },
    'bundler, browser': {
      compilerOptions: {
        ...strict,
        ...target,
        module: 'ESNext',
        moduleResolution: 'Bundler',
        customConditions: ['browser'],
      },
      files: ['bundled.ts'],
    },
  };
  for (const typescript of [
    'typescript',
    ...Object.keys(own.devDependencies).filter((name) => name.startsWith('typescript-5')),
  ]) {
    const { version } = JSON.parse(readFileSync(join(root, 'node_modules', typescript, 'package.json'), 'utf8'));
    for (const [resolution, config] of Object.entries(resolutions)) {
      write(`tsconfig.${resolution}.json`, JSON.stringify(config));
      check(`types: ${resolution}, TypeScript ${version}`, () => bin(typescript, '-p', `tsconfig.${resolution}.json`));
    }
  }

  // Last, since it replaces the axios of the checks before.
  const oldest = /\d+\.\d+\.\d+/.exec(own.peerDependencies.axios)[0];
  check(`it works with axios ${oldest}, as ESM and as CommonJS`, () => {
    install(`axios@${oldest}`);
    run(process.execPath, ['use.mjs']);
    run(process.execPath, ['use.cjs']);
  });

  check('publint --strict', () => bin('publint', 'run', tarball, '--strict'));
  // All resolutions, that of TypeScript's node10 too: it finds subpaths by the stub folders.
  check('are the types wrong (node10, node16 and bundler)', () =>
    bin('@arethetypeswrong/cli', tarball, '--profile', 'strict', '--no-definitely-typed', '--no-emoji', '--no-color'),
  );
} finally {
  rmSync(elsewhere, { recursive: true, force: true });
}

function write(name, text) {
  writeFileSync(join(consumer, name), text);
}

if (failures.length > 0) {
  console.log(`\n${String(failures.length)} failed`);
  process.exitCode = 1;
}
