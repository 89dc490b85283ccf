// The cost of a plain call: an adapter that does nothing, and a valid token.
import { availableParallelism } from 'node:os';
import { BARE, contender, idle, OURS, OURS_ES2020, token } from './contenders.mjs';
import { apart, interleave, median, quartiles, ratios, together } from './measure.mjs';

const FLAGS = ['--expose-gc', '--min-semi-space-size=128', '--max-semi-space-size=128'];

const CONTENDERS = [
  BARE,
  'hand-written pair',
  'axios-auth-refresh',
  'axios-retry',
  'axios-auth-refresh + axios-retry',
  'axios-jwt',
  'retry-axios',
  OURS,
  OURS_ES2020,
];

const world = () => ({
  adapter: idle,
  tokens: { accessToken: token('access'), refreshToken: 'refresh' },
  refresh: () => Promise.reject(new Error('this benchmark does not refresh')),
});

export async function times({ rounds, block }) {
  const works = [];
  for (const name of CONTENDERS) {
    const api = await contender(name, world());
    works.push([name, () => api.get('/item')]);
  }
  return interleave(works, { rounds, block });
}

/** Bytes that a call of one contender allocates, without a garbage collection between the two readings. */
export async function bytes({ name, samples, calls }) {
  const api = await contender(name, world());
  for (let call = 0; call < 5_000; call++) await api.get('/item');
  const taken = [];
  for (let sample = 0; sample < samples; sample++) {
    globalThis.gc();
    const before = process.memoryUsage().heapUsed;
    for (let call = 0; call < calls; call++) await api.get('/item');
    taken.push((process.memoryUsage().heapUsed - before) / calls);
  }
  return median(taken);
}

export async function calm({ isQuick }) {
  const micros = await apart(
    import.meta.url,
    'times',
    { rounds: isQuick ? 40 : 400, block: 150 },
    { limitMs: 300_000 },
  );
  if (micros.failure) throw new Error(`calm: ${micros.failure}`);
  const allocated = {};
  const jobs = CONTENDERS.map((name) => async () => {
    allocated[name] = await apart(import.meta.url, 'bytes', { name, samples: 9, calls: 2_000 }, { flags: FLAGS });
  });
  await together(jobs, availableParallelism());
  const rows = CONTENDERS.map((name) => ({
    name,
    micros: quartiles(micros[name]),
    ratio: ratios(micros[name], micros[BARE]),
    allocated: allocated[name],
  }));
  const floor = rows.find(({ name }) => name === BARE);
  return {
    title: 'A calm call',
    note:
      'Adapter that does nothing; blocks of 150 calls, contenders in turn in a new order each round. × bare: median (quartiles) ' +
      'of the quotients within a round. Bytes: what a call allocates, in a process of its own. axios-jwt keeps its tokens in a Map.',
    columns: ['', 'µs', '× bare', 'bytes', '× bare'],
    rows: rows.map(({ name, micros: { median: middle }, ratio, allocated }) => [
      name,
      middle.toFixed(1),
      `${ratio.median.toFixed(2)} (${ratio.low.toFixed(2)}–${ratio.high.toFixed(2)})`,
      allocated.failure ?? String(Math.round(allocated)),
      allocated.failure ? '' : (allocated / floor.allocated).toFixed(2),
    ]),
    charts: [
      {
        file: 'calm',
        title: 'Time of a call, × bare axios',
        bars: rows.map(({ name, ratio }) => ({ label: name, value: ratio.median, isOurs: name === OURS })),
        digits: 2,
      },
    ],
    data: rows,
  };
}
