// Runs as many schedules as are wanted: npm run test:simulate -- --runs 1000000 [--seed 1] [--workers 2]
// or one again, as a failure printed it: npm run test:simulate -- --replay '<line>'
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: String(availableParallelism()) },
    replay: { type: 'string' },
  },
});

// Beside the packages that it imports.
const bundle = join(here, '../../node_modules/.cache/simulation', `${process.pid}.mjs`);
mkdirSync(dirname(bundle), { recursive: true });
await build({
  entryPoints: [join(here, 'work.ts')],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  sourcemap: 'inline',
});
process.on('exit', () => rmSync(bundle));

const { jobsFor, newStates, replayed } = await import(pathToFileURL(bundle).href);

if (values.replay !== undefined) {
  const { text, isBroken } = await replayed(values.replay);
  console.log(text);
  process.exit(isBroken ? 1 : 0);
}

const from = performance.now();
const seconds = () => (performance.now() - from) / 1_000;
const states = newStates();
const total = { schedules: 0, states: 0 };
let printedAt = 0;

/** Gives each worker the next job when it has finished one. The results do not depend on the assignment. */
async function runAll(jobs) {
  const queue = [...jobs];
  const results = [];
  await Promise.all(
    Array.from({ length: Number(values.workers) }, async () => {
      const worker = new Worker(pathToFileURL(bundle), { workerData: { states } });
      for (let job = queue.shift(); job; job = queue.shift()) {
        worker.postMessage(job);
        const [result] = await once(worker, 'message');
        results.push({ job, ...result });
        total.schedules += result.schedules;
        total.states += result.states;
        if (result.violation) {
          queue.length = 0;
          console.error(`\n${result.violation}`);
          process.exitCode = 1;
        } else if (job.world) {
          const extent = result.isComplete ? 'complete' : 'cut short';
          console.log(`${job.world.name}: ${result.schedules} schedules, ${result.states} new states, ${extent}`);
        } else if (seconds() - printedAt > 30) {
          printedAt = seconds();
          console.log(`${total.schedules} schedules, ${Math.round(printedAt)} s`);
        }
      }
      await worker.terminate();
    }),
  );
  return results;
}

const runs = Number(values.runs);
const { small, random } = jobsFor(runs);
const walked = await runAll(small);
if (!process.exitCode) await runAll(random(runs - total.schedules, Number(values.seed)));

const complete = walked.filter(({ isComplete }) => isComplete).length;
console.log(
  [
    `${total.schedules} schedules, ${total.states} distinct states, seed ${values.seed}, ${seconds().toFixed(1)} s (${Math.round(total.schedules / seconds())} a second)`,
    `${complete} of ${small.length} small worlds in every order`,
    process.exitCode
      ? 'a violation, see above'
      : 'I1 to I11 held in all of them, and no session ended that the server had kept',
  ].join('\n'),
);
