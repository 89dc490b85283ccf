import fc from 'fast-check';
import { byNumbers } from '../simulation/schedule.js';
import { rounds } from '../support/rounds.js';
import { calmSamples, raceSamples, samples } from './plan.js';
import { runHolders } from './run.js';

const RUNS = Number(process.env['HOLDERS_RUNS'] ?? rounds(75, 1_000));

test('several holders of one store refresh once for each expiry', async () => {
  await fc.assert(
    fc.asyncProperty(calmSamples, ({ plan, numbers }) => runHolders(plan, byNumbers(numbers))),
    { numRuns: RUNS, seed: 20_261_123 },
  );
}, 600_000);

test('without a lock, the winner of a race keeps the session and the losers adopt it', async () => {
  await fc.assert(
    fc.asyncProperty(raceSamples, ({ plan, numbers }) => runHolders(plan, byNumbers(numbers))),
    { numRuns: RUNS, seed: 20_261_123 },
  );
}, 600_000);

test('no session that the server keeps is lost if holders die or freeze, or responses are lost', async () => {
  await fc.assert(
    fc.asyncProperty(samples, ({ plan, numbers }) => runHolders(plan, byNumbers(numbers))),
    { numRuns: RUNS, seed: 20_261_123 },
  );
}, 600_000);
