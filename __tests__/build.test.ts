import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isFull } from './support/rounds.js';

const ROOT = join(__dirname, '..');
// Below the root, where the tools find their packages.
const FOLDER = join(ROOT, 'node_modules/.cache/build-test', String(process.pid));

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly exports: Record<string, unknown>;
  readonly files: readonly string[];
};
const subpaths = Object.keys(manifest.exports).filter((path) => /^\.\/[\w-]+$/.test(path));

const LIB: Record<string, string> = {
  'index.ts': `
    import { where } from './platform.node.js';
    export { Counter } from './counter.js';
    export const place: string = where();`,
  'counter.ts': `
    export class Counter {
      private _count = 0;
      constructor(private readonly _step: number, readonly label: string) {}
      next(): number { return (this._count += this._step); }
    }`,
  'platform.node.ts': `export const where = (): string => 'node';`,
  'platform.browser.ts': `export const where = (): string => 'browser';`,
  'react.ts': `'use client';\nexport { place } from './index.js';\nexport const hook = (): number => 1;`,
};

function write(lib: Record<string, string>): void {
  rmSync(FOLDER, { recursive: true, force: true });
  const files = {
    ...Object.fromEntries(Object.entries(lib).map(([name, text]) => [`lib/${name}`, text])),
    'package.json': JSON.stringify({ type: 'module', exports: { '.': {}, './react': {} } }),
    'tsconfig.build.json': JSON.stringify({ extends: join(ROOT, 'tsconfig.build.json'), include: ['lib'] }),
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(FOLDER, name)), { recursive: true });
    writeFileSync(join(FOLDER, name), text);
  }
  mkdirSync(join(FOLDER, '.ci'));
}

function run(script: string, ...args: string[]): string {
  return execFileSync(process.execPath, [join(ROOT, script), ...args], {
    cwd: FOLDER,
    encoding: 'utf8',
    stdio: 'pipe',
  });
}
const build = (): string =>
  run('node_modules/rollup/dist/bin/rollup', '-c', join(ROOT, 'rollup.config.mjs'), '--silent');
const mangle = (...args: string[]): string => run('.ci/mangle.mjs', ...args);
const table = (): Record<string, string> =>
  JSON.parse(readFileSync(join(FOLDER, '.ci/mangle.json'), 'utf8')) as Record<string, string>;
const built = (path: string): string => readFileSync(join(FOLDER, 'dist', path), 'utf8');

afterAll(() => {
  rmSync(FOLDER, { recursive: true, force: true });
});

(isFull ? describe : describe.skip)('the build', () => {
  beforeAll(() => {
    write(LIB);
    mangle();
    build();
  });

  test.each(['mjs', 'cjs'])(
    'the default build has x.node.ts, the browser build its sibling x.browser.ts (.%s)',
    (type) => {
      expect(built(`platform.node.${type}`)).toContain('"node"');
      expect(existsSync(join(FOLDER, `dist/platform.browser.${type}`))).toBe(false);
      expect(built(`browser/platform.browser.${type}`)).toContain('"browser"');
      expect(existsSync(join(FOLDER, `dist/browser/platform.node.${type}`))).toBe(false);
    },
  );

  test.each(['react.mjs', 'react.cjs', 'browser/react.mjs', 'browser/react.cjs'])(
    '%s keeps its directive `use client` in its first line, and no other file has it',
    (path) => {
      expect(built(path)).toMatch(/^['"]use client['"];\n/);
      expect(built(path.replace('react', 'index'))).not.toContain('use client');
    },
  );

  test('private members have the same short names in all builds, public ones keep theirs', () => {
    for (const path of ['counter.mjs', 'counter.cjs', 'browser/counter.mjs', 'browser/counter.cjs']) {
      expect(built(path)).toContain(`this.${table()['_count'] ?? ''} += this.${table()['_step'] ?? ''}`);
      expect(built(path)).toContain('this.label');
      expect(built(path)).not.toMatch(/\._/);
    }
  });

  test('there is one declaration for import and one for require of each entry', () => {
    for (const path of ['index.d.mts', 'index.d.cts', 'react.d.mts', 'react.d.cts'])
      expect(built(path)).toContain('place');
  });

  test('a private name that is missing in the table fails the build', () => {
    write(LIB);
    writeFileSync(join(FOLDER, '.ci/mangle.json'), '{"_step":"a"}');
    expect(build).toThrow('_count is not in the table');
  });
});

(isFull ? describe : describe.skip)('the table of private names', () => {
  const problems = (lib: Record<string, string>, entries: Record<string, string>): string[] => {
    write(lib);
    writeFileSync(join(FOLDER, '.ci/mangle.json'), JSON.stringify(entries));
    const { status, stderr } = spawnSync(process.execPath, [join(ROOT, '.ci/mangle.mjs'), '--check'], { cwd: FOLDER });
    expect(status).toBe(1);
    return String(stderr).trim().split('\n');
  };
  const one =
    'export class One { private _a1 = 1; private _b1 = 2; get sum(): number { return this._a1 + this._b1; } }';

  test('is refused with every reason at once', () => {
    const other = `
      export class Base { private _c1 = 1; own = this._c1; }
      export class Derived extends Base { private _d1 = 1; more = this._d1; }
      export const has = '_a1' in { e: 1 };
      export const read = (it: any) => it._z;
      export const spread = (it: object) => ({ ...it, _y: 1 });`;
    const entries = { _a1: 'a', _b1: 'a', _c1: 'c', _d1: 'c', _gone: 'd', _z: 'e' };
    expect(problems({ 'index.ts': one, 'other.ts': other }, entries).sort()).toEqual([
      "'_a1' in quotes would keep its long name",
      '_a1 and _b1 meet on one object and have one short name',
      '_c1 and _d1 meet on one object and have one short name',
      '_gone is in the table, but not in lib/',
      '_y is not in the table',
      '_y: a spread beside private names may bring others with the same short name',
      '_z is read, but lib/ declares it nowhere',
      '_z: lib/ has a property e',
    ]);
  });

  test('is the same for the same names, keeps its entries, and lets names of two classes share a short name', () => {
    const two = one.replace('One', 'Two').replaceAll('1', '2');
    write({ 'index.ts': one, 'two.ts': two });
    mangle('--fresh');
    expect(table()).toEqual({ _a1: 'a', _b1: 'b', _a2: 'a', _b2: 'b' });
    writeFileSync(join(FOLDER, '.ci/mangle.json'), JSON.stringify({ _b1: 'x', _gone: 'y' }));
    mangle();
    expect(table()).toEqual({ _a1: 'a', _b1: 'x', _a2: 'a', _b2: 'b' });
  });
});

describe('package.json', () => {
  test('has the conditions of .ci/entries.mjs for every entry: run `npm run entries` after an entry was added', () => {
    const args = ['.ci/entries.mjs', '--check'];
    expect(execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' })).toBe('');
  });

  test.each(subpaths)('%s has its file in lib/, and git ignores its stub folder', (path) => {
    expect([`${path}.ts`, `${path}.tsx`].some((file) => existsSync(join(ROOT, 'lib', file)))).toBe(true);
    expect(readFileSync(join(ROOT, '.gitignore'), 'utf8')).toContain(`\n/${path.slice(2)}/\n`);
  });

  test('every x.node.ts of lib/ has a sibling x.browser.ts, and the other way round', () => {
    const paths = readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' });
    const named = (end: string): string[] =>
      paths.filter((path) => path.endsWith(end)).map((path) => path.slice(0, -end.length));
    expect(named('.browser.ts').sort()).toEqual(named('.node.ts').sort());
  });
});
