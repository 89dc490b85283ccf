// A thousand calls at once against servers that limit, in virtual time.
import { availableParallelism } from 'node:os';
import { OURS, PACED, pacedContender } from './contenders.mjs';
import { LIMITERS } from './limiters.mjs';
import { apart, chance, median, together } from './measure.mjs';
import { answer } from './server.mjs';
import { VirtualTime } from './virtual-time.mjs';

const CALLS = 1_000;
/** Times the least time, after which a contender counts as not finishing. */
const LONGEST = 20;

async function once({ name, world, seed }) {
  const time = new VirtualTime().install(seed);
  const [make, limit] = LIMITERS[world];
  const limiter = make();
  const latency = chance(seed + 100);
  let sends = 0;
  let refused = 0;
  let lastAt = 0;
  const adapter = async (config) => {
    sends++;
    const refusal = limiter.take(time.now);
    if (!refusal) lastAt = time.now;
    else if (time.now > 0) refused++;
    await new Promise((resolve) => time.after(5 + latency() * 15, resolve));
    return answer(config, refusal?.status ?? 200, lowerCase(refusal?.headers));
  };
  const api = pacedContender(name, adapter, limit);
  const calls = Array.from({ length: CALLS }, () => api.get('/item'));
  const outcomes = await time.until(Promise.allSettled(calls), LONGEST * limiter.idealMs(CALLS));
  if (!outcomes) return { failure: `> ${LONGEST}×` };
  return {
    lost: outcomes.filter(({ status }) => status === 'rejected').length,
    refused: refused / CALLS,
    sends: sends / CALLS,
    time: lastAt / limiter.idealMs(CALLS),
  };
}

/** In the form of the http adapter. */
function lowerCase(headers = {}) {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** The median over several random seeds. */
export async function drained({ name, world, seeds }) {
  const runs = [];
  for (let seed = 1; seed <= seeds; seed++) {
    const run = await once({ name, world, seed });
    if (run.failure) return run;
    runs.push(run);
  }
  return Object.fromEntries(Object.keys(runs[0]).map((key) => [key, median(runs.map((run) => run[key]))]));
}

const shown = ({ failure, lost, time }) => failure ?? (lost > 0 ? `${Math.ceil(lost)} lost` : `${time.toFixed(2)}×`);

export async function drain({ isQuick }) {
  const all = Object.keys(LIMITERS);
  const worlds = isQuick ? all.slice(0, 2) : all;
  const drains = Object.fromEntries(worlds.map((world) => [world, {}]));
  const seeds = isQuick ? 1 : 3;
  const jobs = worlds.flatMap((world) =>
    PACED.map((name) => async () => {
      drains[world][name] = await apart(import.meta.url, 'drained', { name, world, seeds });
    }),
  );
  await together(jobs, availableParallelism());
  const mean = (name, key) => {
    const runs = worlds.map((world) => drains[world][name]).filter(({ failure }) => !failure);
    return runs.length === 0 ? undefined : runs.reduce((sum, run) => sum + run[key], 0) / runs.length;
  };
  return {
    title: 'The drain of a limited server',
    note:
      `${CALLS} calls at once, answers after 5 to 20 ms, in virtual time. A cell: how many were lost, or the time against the least that the limit ` +
      'allows. Below: what each call costs the server, on average over all. Defaults unless named; 10 retries: exponential, with jitter. ' +
      'axios-rate-limit knows the limit beforehand; the others, ours too, do not. Sleep by hand never gives up: > 20× makes no headway.',
    columns: ['', ...PACED],
    rows: [
      ...worlds.map((world) => [world, ...PACED.map((name) => shown(drains[world][name]))]),
      ...[
        ['sends per call', 'sends'],
        ['refused after the first burst, per call', 'refused'],
      ].map(([label, key]) => [label, ...PACED.map((name) => mean(name, key)?.toFixed(2) ?? '–')]),
    ],
    charts: [
      {
        file: 'drain',
        title: `Lost of ${CALLS} calls against a limit, mean of ${worlds.length} limiters`,
        bars: PACED.map((name) => ({ label: name, value: mean(name, 'lost'), isOurs: name === OURS })),
      },
      {
        file: 'drain-refused',
        title: 'Refusals per call after the first burst',
        bars: PACED.map((name) => ({ label: name, value: mean(name, 'refused'), isOurs: name === OURS })),
        digits: 2,
      },
    ],
    data: drains,
  };
}
