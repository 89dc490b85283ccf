// Runs conformance.mjs on every runtime and bundler, against the packed tarball: npm run test:runtimes [-- NAME…]
// TARBALL: the tarball, if it is packed already. REQUIRE_REAL=1: a missing runtime is a failure.
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packed } from '../../.ci/pack.mjs';
import { bundlers } from './bundlers.mjs';
import { edge } from './edge.mjs';
import { jsdom } from './jsdom.mjs';
import { processes } from './processes.mjs';
import { reactNative } from './react-native.mjs';
import { startServers } from './servers.mjs';
import { NotInstalled, lines } from './tools.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const isRequired = process.env.REQUIRE_REAL === '1';
const wanted = process.argv.slice(2);

if (!existsSync(join(here, 'node_modules'))) {
  console.error('The runtimes are not installed: npm ci --prefix __tests__/runtimes');
  process.exit(isRequired ? 1 : 0);
}

unpack();
const servers = await startServers();
// Beside node_modules, so that bundles find their packages.
const work = join(here, 'work');
rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true });

// An unhandled rejection would end an app, too.
const unhandled = [];
process.on('unhandledRejection', (error) => unhandled.push(error));

const count = { kept: 0, broken: 0, skipped: 0 };
const all = [...processes, ...edge, ...jsdom, ...reactNative, ...bundlers];
for (const { name, run, close } of all.filter(
  ({ name }) => wanted.length === 0 || wanted.some((each) => name.includes(each)),
)) {
  const from = performance.now();
  const messages = [];
  try {
    for (const [variant, results] of await run({ ...servers, work, here })) {
      for (const { promise, result } of results) {
        count[result === 'kept' ? 'kept' : result.startsWith('skipped') ? 'skipped' : 'broken']++;
        if (result !== 'kept') messages.push(`${variant ? `${variant}: ` : ''}${promise}: ${result}`);
      }
      if (results.length === 0) throw new Error('no results');
    }
  } catch (error) {
    const isSkipped = error instanceof NotInstalled && !isRequired;
    count[isSkipped ? 'skipped' : 'broken']++;
    messages.push(isSkipped ? `skipped: ${error.message}` : `BROKEN: ${lines(error)}`);
  }
  await close?.();
  for (const error of unhandled.splice(0)) {
    count.broken++;
    messages.push(`BROKEN: a rejection was not handled: ${lines(error)}`);
  }
  const isBroken = messages.some((line) => line.includes('BROKEN'));
  console.log(
    `${isBroken ? 'FAILED ' : 'ok     '} ${name.padEnd(32)} ${((performance.now() - from) / 1_000).toFixed(1).padStart(6)} s`,
  );
  for (const line of messages) console.log(`        ${line.replaceAll('\n', '\n          ')}`);
}
await servers.close();
console.log(`\n${count.kept} promises kept, ${count.broken} broken, ${count.skipped} skipped`);
process.exit(count.broken > 0 || count.kept === 0 ? 1 : 0);

/** Installs the packed package as npm would. */
function unpack() {
  const folder = mkdtempSync(join(tmpdir(), 'packed-'));
  const target = join(here, 'node_modules/axios-attach-auth');
  try {
    const tarball = packed(folder);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target, { recursive: true });
    execFileSync('tar', ['-xzf', tarball, '-C', target, '--strip-components=1']);
    // conformance.mjs asks which build it runs on.
    for (const [folder, build] of Object.entries({ dist: 'default', 'dist/browser': 'browser' }))
      for (const file of ['errors.mjs', 'errors.cjs'])
        appendFileSync(join(target, folder, file), `globalThis.attachAuthBuild = '${build}';\n`);
    const { version } = JSON.parse(readFileSync(join(target, 'package.json'), 'utf8'));
    console.log(`axios-attach-auth ${version}, packed\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
