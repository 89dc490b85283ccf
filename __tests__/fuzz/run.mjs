// Tries many more cases than the suite does: npm run test:fuzz -- [--runs N] [--seed S] [--only NAME] [--path P]
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { build } from 'esbuild';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    only: { type: 'string' },
    path: { type: 'string' },
  },
});
const runs = Number(values.runs);
const seed = Number(values.seed);
const names = [
  'urls-as-sent',
  'urls-as-received',
  'challenges',
  'retry-after',
  'tokens',
  'stored-sessions',
  'values',
  'linear-time',
];
if (!(runs >= 1) || !Number.isInteger(seed) || (values.only !== undefined && !names.includes(values.only))) {
  console.error(`--runs takes a number, --seed a whole number, --only one of ${names.join(', ')}`);
  process.exit(2);
}

const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL('worker.ts', import.meta.url))],
  bundle: true,
  platform: 'node',
  format: 'cjs',
  write: false,
  logLevel: 'error',
});
const [{ text: code }] = outputFiles;

/** Each share has a seed of its own, and is replayed by it alone. */
function share(name, index, shares) {
  const worker = new Worker(code, {
    eval: true,
    workerData: { name, seed: seed + index, index, shares, runs: Math.ceil(runs / shares), path: values.path },
  });
  return new Promise((resolve, reject) => {
    let finding;
    worker.on('message', (message) => (finding = message));
    worker.on('error', reject);
    worker.on('exit', () => resolve(finding));
  });
}

let failures = 0;
for (const name of values.only === undefined ? names : [values.only]) {
  const shares = values.path === undefined && name !== 'linear-time' ? availableParallelism() : 1;
  const from = performance.now();
  const findings = await Promise.all(Array.from({ length: shares }, (_, index) => share(name, index, shares)));
  const seconds = ((performance.now() - from) / 1000).toFixed(1);
  const finding = findings.find((one) => one);
  console.log(`${finding ? 'FAILED' : 'ok    '}  ${name}: ${runs} runs, seed ${seed}, ${seconds} s`);
  if (!finding) continue;
  failures++;
  console.log(`        ${finding.what}`);
  console.log(`        npm run test:fuzz -- --only ${name} --seed ${finding.seed} --path ${finding.path}`);
}
process.exit(failures > 0 ? 1 : 0);
