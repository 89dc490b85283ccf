// Runs the suite on every installed axios, over every adapter, in Node and in Chromium, and prints one table.
// node __tests__/matrix.mjs [--axios 1.18|oldest|newest]… [--adapter http|fetch|chromium-xhr|chromium-fetch]…
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path) => JSON.parse(readFileSync(path, 'utf8'));

// These do not depend on axios.
const apart = [
  'drain',
  'e2e',
  'fuzz',
  'simulation',
  'holders',
  'file-lock',
  'architecture',
  'build.test',
  'load.test',
  'readme',
  'docs-pages',
  'docs-migrate',
  'parse-',
];
const inNode = ['--testPathIgnorePatterns', 'browser/browser', ...apart];
const inChromium = ['--testPathPatterns', 'browser/browser'];
const cells = { http: inNode, fetch: inNode, 'chromium-xhr': inChromium, 'chromium-fetch': inChromium };

const installed = Object.keys(read(join(root, 'package.json')).devDependencies)
  .filter((name) => /^axios(-\d+\.\d+)?$/.test(name))
  .map((name) => ({ name, version: read(join(root, 'node_modules', name, 'package.json')).version }))
  .sort((a, b) => a.version.localeCompare(b.version, 'en', { numeric: true }));

const { values: wanted } = parseArgs({
  options: { axios: { type: 'string', multiple: true }, adapter: { type: 'string', multiple: true } },
});
const prefixes = wanted.axios?.map(
  (name) => ({ oldest: installed[0].version, newest: installed.at(-1).version })[name] ?? name,
);
const versions = installed.filter(
  ({ version }) => prefixes?.some((prefix) => `${version}.`.startsWith(`${prefix}.`)) ?? true,
);
const adapters = Object.keys(cells).filter((name) => !wanted.adapter || wanted.adapter.includes(name));
if (versions.length < (wanted.axios?.length ?? 1) || adapters.length < (wanted.adapter?.length ?? 1)) {
  console.error(
    `There are axios ${installed.map(({ version }) => version).join(', ')}, over ${Object.keys(cells).join(', ')}`,
  );
  process.exit(2);
}

/** Jest's report of one cell. A run without one, or a suite that did not start, counts as a failed test. */
async function run(axios, adapter) {
  const folder = mkdtempSync(join(tmpdir(), 'matrix-'));
  const report = join(folder, 'report.json');
  const env = { ...process.env, AXIOS_VERSION: axios, AXIOS_ADAPTER: adapter.replace('chromium-', '') };
  const jest = [
    'node_modules/jest/bin/jest.js',
    '-c',
    'jest.matrix.config.ts',
    '--silent',
    '--json',
    '--outputFile',
    report,
  ];
  const from = performance.now();
  const child = spawn(process.execPath, [...jest, ...cells[adapter]], { cwd: root, env, stdio: 'ignore' });
  await new Promise((resolve) => child.once('close', resolve));
  const seconds = Math.round((performance.now() - from) / 1000);
  try {
    const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites, numPendingTests, testResults } = read(report);
    const failures = testResults.flatMap(({ name, message, assertionResults }) => {
      const failed = assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
      return failed.length > 0 || !/\S/.test(message) ? failed : [`${name}: ${message.slice(0, 500)}`];
    });
    const failed = numFailedTests + numRuntimeErrorTestSuites;
    return { passed: numPassedTests, failed, skipped: numPendingTests, seconds, failures };
  } catch (error) {
    return { passed: 0, failed: 1, skipped: 0, seconds, failures: [`Jest left no report: ${error.message}`] };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const row = (axios, adapter, ...figures) =>
  console.log(axios.padEnd(8) + adapter.padEnd(15) + figures.map((figure) => String(figure).padStart(9)).join(''));
let failedCells = 0;
row('axios', 'adapter', 'passed', 'failed', 'skipped', 'seconds');
for (const { name, version } of versions) {
  for (const adapter of adapters) {
    const { passed, failed, skipped, seconds, failures } = await run(name, adapter);
    row(version, adapter, passed, failed, skipped, seconds);
    for (const failure of failures) console.log(`  ${failure}`);
    if (failed > 0 || passed === 0) failedCells++;
  }
}
process.exitCode = failedCells > 0 ? 1 : 0;
