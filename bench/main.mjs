// npm run bench [-- --only weight,calm,storm,drain,signing,growth] [--quick] [--out FOLDER]
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, release, totalmem, type } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { calm } from './calm.mjs';
import { chart } from './chart.mjs';
import { drain } from './drain.mjs';
import { growth } from './growth.mjs';
import { signing } from './signing.mjs';
import { storm } from './storm.mjs';
import { table } from './table.mjs';
import { weight } from './weight.mjs';

const SUBJECTS = { weight, calm, storm, drain, signing, growth };
const PACKAGES = ['axios', 'axios-auth-refresh', 'axios-jwt', 'axios-rate-limit', 'axios-retry', 'retry-axios'];
const root = fileURLToPath(new URL('..', import.meta.url));

const { values } = parseArgs({
  options: { only: { type: 'string' }, quick: { type: 'boolean', default: false }, out: { type: 'string' } },
});
const chosen = values.only?.split(',') ?? Object.keys(SUBJECTS);
if (!chosen.every((name) => Object.hasOwn(SUBJECTS, name))) {
  console.error(`--only takes some of ${Object.keys(SUBJECTS).join(',')}`);
  process.exit(2);
}
/** A partial run must not be published. */
const out = values.out ?? (values.quick || values.only ? undefined : join(root, 'bench', 'results'));

const require = createRequire(import.meta.url);
const versionOf = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version;

/** The folder of a package that does not export its package.json. */
const folderOf = (name) =>
  require.resolve
    .paths(name)
    .map((folder) => join(folder, name))
    .find(isPackage);
function isPackage(folder) {
  try {
    return versionOf(folder) !== undefined;
  } catch {
    return false;
  }
}

const flags = [...(values.only ? ['--only', values.only] : []), ...(values.quick ? ['--quick'] : [])];
const setting = {
  date: new Date().toISOString().slice(0, 10),
  command: ['npm run bench', ...(flags.length > 0 ? ['--', ...flags] : [])].join(' '),
  machine: `${cpus()[0].model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
  system: `${type()} ${release()}, Node ${process.versions.node}`,
  versions: {
    'axios-attach-auth': versionOf(root),
    ...Object.fromEntries(PACKAGES.map((name) => [name, versionOf(folderOf(name))])),
  },
};
const versions = Object.entries(setting.versions).map((pair) => pair.join(' '));
const head = [
  '# Figures',
  '',
  `${setting.date}, \`${setting.command}\`, on ${setting.machine}, ${setting.system}.`,
  `${versions.join(', ')}.`,
].join('\n');

function shown({ title, note, columns, rows, more }) {
  const tables = [table(columns, rows), ...(more ? [table(more.columns, more.rows)] : [])];
  return [`## ${title}`, note, ...tables].join('\n\n');
}

console.log(head);
const subjects = {};
for (const name of chosen) {
  const beganAt = Date.now();
  subjects[name] = await SUBJECTS[name]({ isQuick: values.quick });
  console.log(`\n${shown(subjects[name])}\n\n(${name}: ${Math.round((Date.now() - beganAt) / 1000)} s)`);
}

if (out) {
  const folder = resolve(out);
  mkdirSync(folder, { recursive: true });
  const data = Object.fromEntries(Object.entries(subjects).map(([name, subject]) => [name, subject.data]));
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify({ ...setting, subjects: data }, null, 2)}\n`);
  writeFileSync(join(folder, 'results.md'), `${[head, ...Object.values(subjects).map(shown)].join('\n\n')}\n`);
  for (const { file, ...drawing } of Object.values(subjects).flatMap(({ charts }) => charts)) {
    writeFileSync(join(folder, `${file}.svg`), chart(drawing));
  }
  console.log(`\nwritten to ${relative(process.cwd(), folder)}`);
}
