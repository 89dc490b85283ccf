// Puts known bugs back, one at a time, and shows the test that fails: npm run test:mutants -- [--only NAME]…
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mutants } from './mutants.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values } = parseArgs({ options: { only: { type: 'string', multiple: true } } });
const chosen = mutants.filter(({ name }) => values.only?.some((part) => name.includes(part)) ?? true);
if (chosen.length === 0) {
  console.error('--only takes a part of a name in mutants.mjs');
  process.exit(2);
}

/** A test that takes longer hangs because of the bug, and fails. */
const TEST_LIMIT_MS = 10_000;
/** A run that takes longer counts as hanging: no limit of a test ends an endless loop. A run of all suites has more. */
const TIME_LIMIT_MS = 20_000;
const SUITES_TIME_LIMIT_MS = 300_000;
const FAIL_FAST = ['--env', './__tests__/mutants/environment.cjs'];

function copyOfTree() {
  const folder = mkdtempSync(join(tmpdir(), 'mutant-'));
  const names = ['lib', '__tests__', 'jest.config.ts', 'jest.mutation.config.ts', 'package.json', 'tsconfig.json'];
  // Large packages that none of these suites needs.
  const filter = (path) => path !== join(root, '__tests__/runtimes');
  for (const name of names) cpSync(join(root, name), join(folder, name), { recursive: true, filter });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** undefined: no failure. Else the failed test, the suite that did not start, or the time limit. */
async function firstFailure(folder, suites, timeLimitMs) {
  const report = join(folder, 'report.json');
  rmSync(report, { force: true });
  const jest = [
    'node_modules/jest/bin/jest.js',
    ...['-c', 'jest.mutation.config.ts'],
    '--silent',
    '--runInBand',
    '--json',
    '--outputFile',
    report,
    ...FAIL_FAST,
    ...['--testTimeout', String(timeLimitMs === TIME_LIMIT_MS ? TEST_LIMIT_MS : timeLimitMs)],
  ];
  const paths = suites.map((suite) => `__tests__/${suite}.test.ts`);
  const child = spawn(process.execPath, [...jest, '--runTestsByPath', ...paths], { cwd: folder, stdio: 'ignore' });
  let isLate = false;
  const limit = setTimeout(() => (isLate = child.kill('SIGKILL')), timeLimitMs);
  await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(limit);
  if (isLate) return 'the time limit';
  // A bug may end the process of the tests, for example by taking all its memory.
  if (!existsSync(report)) return 'the end of the process';
  const { success, testResults } = JSON.parse(readFileSync(report, 'utf8'));
  if (success) return undefined;
  const failed = testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => status === 'failed'),
  );
  return failed[0]?.fullName ?? `a suite that does not start: ${testResults.map(({ message }) => message).join()}`;
}

async function judge({ file, from, to, suites }, folder) {
  const path = join(folder, file);
  const text = readFileSync(path, 'utf8');
  if (text.split(from).length !== 2) return { verdict: 'DOES NOT APPLY', by: `${file} must hold its text once` };
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  try {
    const by = await firstFailure(folder, suites, TIME_LIMIT_MS);
    return by === undefined ? { verdict: 'SURVIVED', by: suites.join(', ') } : { verdict: 'killed', by };
  } finally {
    writeFileSync(path, text);
  }
}

const folders = Array.from({ length: availableParallelism() }, copyOfTree);
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

// A suite that fails without a bug would kill every mutant.
const suites = [...new Set(chosen.flatMap(({ suites }) => suites))];
const broken = await firstFailure(folders[0], suites, SUITES_TIME_LIMIT_MS);
if (broken !== undefined) {
  console.error(`A suite fails without any bug: ${broken}`);
  process.exit(2);
}

const from = performance.now();
const queue = [...chosen];
let remaining = 0;
await Promise.all(
  folders.map(async (folder) => {
    for (let mutant = queue.shift(); mutant; mutant = queue.shift()) {
      const begunAt = performance.now();
      const { verdict, by } = await judge(mutant, folder);
      if (verdict !== 'killed') remaining++;
      const seconds = ((performance.now() - begunAt) / 1000).toFixed(1);
      console.log(
        `${verdict.padEnd(9)} F${String(mutant.row).padEnd(4)} ${mutant.name}\n${seconds.padStart(8)} s  by ${by}`,
      );
    }
  }),
);
const seconds = Math.round((performance.now() - from) / 1000);
console.log(`${chosen.length - remaining} of ${chosen.length} killed, ${seconds} s`);
process.exitCode = remaining > 0 ? 1 : 0;
