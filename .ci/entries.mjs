// The entries are the keys of `exports` in package.json, and the files of that name in lib/.
// node .ci/entries.mjs            writes the conditions, the main fields and `files` of package.json for them
// node .ci/entries.mjs --check    fails if package.json is not what that would write
// node .ci/entries.mjs --stubs    writes a folder for each subpath, for resolvers without `exports`; --no-stubs removes it
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';

/** Redirects can be followed and guarded here. Some of them set `browser`, too: they come first. */
const GUARDED = ['bun', 'deno', 'node', 'workerd', 'edge-light', 'worker'];
/** fetch and XMLHttpRequest follow redirects by themselves. */
const BROWSER = ['browser', 'react-native'];

const text = readFileSync('package.json', 'utf8');
const own = JSON.parse(text);
const subpaths = Object.keys(own.exports).flatMap((path) => (/^\.\/\w[\w-]*$/.test(path) ? [path.slice(2)] : []));

function conditionsOf(name, script, types) {
  const build = `./dist/${name}.${script}`;
  const browser = `./dist/browser/${name}.${script}`;
  return {
    types: `./dist/${name}.${types}`,
    ...Object.fromEntries([
      ...GUARDED.map((condition) => [condition, build]),
      ...BROWSER.map((each) => [each, browser]),
    ]),
    default: build,
  };
}

const entry = (name) => ({ import: conditionsOf(name, 'mjs', 'd.mts'), require: conditionsOf(name, 'cjs', 'd.cts') });

/** For resolvers without `exports`. That of React Native takes CommonJS only. */
const mainFields = (name, dist) => ({
  main: `${dist}/${name}.cjs`,
  module: `${dist}/${name}.mjs`,
  browser: `${dist}/browser/${name}.mjs`,
  'react-native': `${dist}/browser/${name}.cjs`,
  types: `${dist}/${name}.d.cts`,
});

function written() {
  const exports = Object.fromEntries(
    ['.', ...subpaths.map((name) => `./${name}`)].map((path) => [path, entry(path.slice(2) || 'index')]),
  );
  return Object.fromEntries(
    Object.entries(own).flatMap(([key, value]) => {
      if (key in mainFields('', '') && key !== 'main') return [];
      if (key === 'main') return Object.entries(mainFields('index', './dist'));
      if (key === 'exports') return [[key, { ...exports, './package.json': './package.json' }]];
      return [[key, key === 'files' ? ['dist', ...subpaths, 'CHANGELOG.md'] : value]];
    }),
  );
}

if (argv.includes('--stubs')) {
  for (const name of subpaths) {
    mkdirSync(name, { recursive: true });
    const stub = { private: true, sideEffects: false, ...mainFields(name, '../dist') };
    writeFileSync(`${name}/package.json`, `${JSON.stringify(stub, null, 2)}\n`);
  }
} else if (argv.includes('--no-stubs')) {
  for (const name of subpaths) rmSync(name, { recursive: true, force: true });
} else {
  const wanted = `${JSON.stringify(written(), null, 2)}\n`;
  if (argv.includes('--check') && wanted !== text) {
    console.error('package.json: the entries are not as .ci/entries.mjs writes them. Run `npm run entries`.');
    process.exitCode = 1;
  } else if (wanted !== text) writeFileSync('package.json', wanted);
}
