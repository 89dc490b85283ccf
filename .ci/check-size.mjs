// The size of an import in an app: bundled from dist with the condition `browser`, minified, compressed, without axios and other packages.
// Run the build first. `--json` prints the figures alone.
import { existsSync, readFileSync } from 'node:fs';
import { argv } from 'node:process';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** Bytes after gzip -9, at es2022 and at es2020. They may only shrink. */
const LIMITS = {
  '{ attachAuth, bearer }': [28_480, 28_680],
  '{ attachAuth, bearer }, default build': [29_890, 30_095],
  isAuthError: [150, 150],
  parseRetryAfter: [1_000, 1_000],
  memoryStore: [1_050, 1_050],
  'axios-attach-auth': [30_600, 30_800],
  'axios-attach-auth/web': [4_950, 4_950],
  'axios-attach-auth/node': [5_995, 5_995],
  'axios-attach-auth/redis': [6_250, 6_250],
  'axios-attach-auth/store': [4_460, 4_460],
  'axios-attach-auth/oauth2': [3_050, 3_055],
  'axios-attach-auth/react': [1_150, 1_150],
  'axios-attach-auth/dpop': [3_790, 3_795],
  'axios-attach-auth/digest': [4_035, 4_035],
  'axios-attach-auth/sigv4': [4_580, 4_580],
  'axios-attach-auth/http-signature': [4_450, 4_460],
};
/**
 * The bytes that the standards add to `{ attachAuth, bearer }`, at es2022 and without their peers. They may only shrink.
 */
const BESIDE = { dpop: 1_750, digest: 2_200, sigv4: 2_900, 'http-signature': 3_020 };
/** How much larger es2020 may be than es2022. */
const OLDER_TARGET = 1.05;
const SCHEMES = ['basic', 'apiKey', 'signed', 'hmac', 'bearer'];

const own = JSON.parse(readFileSync('package.json', 'utf8'));
const entries = Object.keys(own.exports).filter((path) => path !== './package.json');
const fileOf = (entry, condition = 'browser') => own.exports[entry].import[condition];
const store = entries.includes('./store') ? './store' : '.';

const IMPORTS = {
  '{ attachAuth, bearer }': `export { attachAuth, bearer } from '${fileOf('.')}'`,
  '{ attachAuth, bearer }, default build': `export { attachAuth, bearer } from '${fileOf('.', 'default')}'`,
  isAuthError: `export { isAuthError } from '${fileOf('.')}'`,
  parseRetryAfter: `export { parseRetryAfter } from '${fileOf('.')}'`,
  memoryStore: `export { memoryStore } from '${fileOf(store)}'`,
  ...Object.fromEntries(entries.map((entry) => [own.name + entry.slice(1), `export * from '${fileOf(entry)}'`])),
};

async function bundle(contents, target = 'es2022', minify = true) {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: process.cwd() },
    ...{ bundle: true, minify, target, format: 'esm', platform: 'neutral', packages: 'external' },
    ...{ write: false, metafile: true, logLevel: 'error' },
  });
  const [{ contents: bytes, text }] = outputFiles;
  // An import for its side effects is all that is left of an unused one.
  const isEmpty = text.replaceAll(/import ?"[^"]+";?/g, '').trim() === '';
  return {
    text,
    isEmpty,
    min: bytes.length,
    gzip: gzipSync(bytes, { level: 9 }).length,
    inputs: Object.keys(metafile.inputs),
  };
}

if (!existsSync(fileOf('.'))) throw new Error('There is no dist: run `npm run build` first');
const sizes = {};
for (const [what, code] of Object.entries(IMPORTS)) {
  const [es2022, es2020] = [await bundle(code), await bundle(code, 'es2020')];
  sizes[what] = {
    min: es2022.min,
    gzip: es2022.gzip,
    min2020: es2020.min,
    gzip2020: es2020.gzip,
    limits: LIMITS[what] ?? [0, 0],
  };
}
if (argv.includes('--json')) {
  console.log(JSON.stringify(sizes, null, 2));
  process.exit();
}

let failed = 0;
function check(isRight, line) {
  if (!isRight) failed++;
  if (!isRight || line) console.log(`${isRight ? 'ok      ' : 'FAILED  '}${line}`);
}

const row = (what, ...cells) => `${what.padEnd(38)}${cells.map((cell) => String(cell).padStart(10)).join('')}`;
console.log(`        ${row('bytes', 'min', 'gzip', 'limit', 'es2020', 'gzip', 'limit', 'more')}`);
for (const [what, { min, gzip, min2020, gzip2020, limits }] of Object.entries(sizes)) {
  const more = gzip2020 / gzip;
  check(
    gzip <= limits[0] && gzip2020 <= limits[1] && more <= OLDER_TARGET,
    row(what, min, gzip, limits[0], min2020, gzip2020, limits[1], `${((more - 1) * 100).toFixed(1)} %`),
  );
}
for (const what of Object.keys(LIMITS).filter((each) => !(each in sizes)))
  check(false, `${what}: there is no such import`);

const core = IMPORTS['{ attachAuth, bearer }'];
for (const [name, limit] of Object.entries(BESIDE)) {
  const { gzip } = await bundle(`${core}; export * from '${fileOf(`./${name}`)}'`);
  const beside = gzip - sizes['{ attachAuth, bearer }'].gzip;
  check(beside <= limit, row(`${own.name}/${name}, beside it`, '', beside, limit));
}

for (const entry of entries) {
  for (const condition of ['browser', 'default']) {
    const { inputs } = await bundle(`export * from '${fileOf(entry, condition)}'`);
    const others = entries.filter((other) => other !== entry && inputs.includes(fileOf(other, condition).slice(2)));
    check(others.length === 0, others.length > 0 && `${entry} (${condition}) brings ${others.join(', ')}`);
    const { isEmpty } = await bundle(`import * as unused from '${fileOf(entry, condition)}'`);
    check(isEmpty, !isEmpty && `${entry} (${condition}) costs something where nothing of it is used`);
  }
}
for (const scheme of SCHEMES) {
  const { text } = await bundle(`export { attachAuth, ${scheme} } from '${fileOf('.')}'`, 'es2022', false);
  const others = SCHEMES.filter((other) => other !== scheme && new RegExp(`function ${other}\\(`).test(text));
  check(others.length === 0, others.length > 0 && `attachAuth with ${scheme} brings ${others.join(', ')}`);
}
if (failed === 0)
  console.log('ok      no entry brings another one, no scheme another one, and an unused import costs nothing');
else process.exitCode = 1;
