// Concurrent calls with an expired token: requests at the server, lost calls, and cost.
import { availableParallelism } from 'node:os';
import { BARE, contender, OURS } from './contenders.mjs';
import { apart, chance, heapInUse, median, quartiles, realMs, settle, shuffled, together } from './measure.mjs';
import { Server } from './server.mjs';

const CALLS = 1_000;
const RIVALS = [
  'hand-written pair',
  'axios-auth-refresh',
  'axios-auth-refresh, deduplicateRefresh: false',
  'axios-jwt',
  OURS,
];
/** Some contenders check the expiry before a call. */
const FORESEEN = ['axios-jwt', OURS];
const FLAGS = ['--expose-gc', '--max-old-space-size=4096'];

const times = (count, make) => Array.from({ length: count }, make);

/**
 * One burst in the log of the server. A call without the package and with a valid token is sent twice, the least number of sends in a
 * burst.
 */
export async function raise({ name, calls, isExpired }) {
  const server = new Server({ isExpired, isGood: name === BARE });
  const api = await contender(name, server);
  if (name === BARE) api.defaults.headers.Authorization = `Bearer ${server.tokens.accessToken}`;
  const call = name === BARE ? () => api.get('/item').then(() => api.get('/item')) : () => api.get('/item');
  globalThis.gc();
  const from = realMs();
  const outcomes = await Promise.allSettled(times(calls, call));
  const micros = ((realMs() - from) * 1000) / calls;
  const lost = outcomes.filter(({ status }) => status === 'rejected').length;
  return { refreshes: server.refreshes, reuses: server.reuses, sends: server.sends / calls, lost, micros };
}

/** µs per call at each size, after a warm-up. For small bursts the median of several. */
export async function clock({ name, sizes, warmUps }) {
  for (let turn = 0; turn < warmUps; turn++) await raise({ name, calls: 300 });
  const micros = {};
  for (const calls of sizes) {
    const taken = [];
    for (let turn = 0; turn < Math.max(1, Math.min(10, 10_000 / calls)); turn++)
      taken.push((await raise({ name, calls })).micros);
    micros[calls] = median(taken);
  }
  return micros;
}

/** Bytes per waiting call: in flight (bare), unsent during a refresh, or refused and waiting for its replay. */
export async function weigh({ name, isSent, calls }) {
  const server = new Server({ isHeld: true, isExpired: name === 'axios-jwt' });
  // Like a socket, it references the calls that it has to answer.
  const onWire = [];
  const hold = () => new Promise((resolve) => onWire.push(resolve));
  const adapter = name === BARE ? hold : server.adapter;
  const api = await contender(name, { adapter, tokens: server.tokens, refresh: server.refresh });
  const kept = new Array(calls + 1);
  // The first one begins the refresh, and later ones may wait for it.
  if (!isSent) kept[calls] = api.get('/item');
  await settle();
  let lost = 0;
  process.on('unhandledRejection', () => lost++);
  const sentBefore = server.sends;
  const before = await heapInUse();
  for (let call = 0; call < calls; call++) kept[call] = api.get('/item');
  await settle();
  const bytes = ((await heapInUse()) - before) / calls;
  if (lost > 0) return 'lost';
  const isAsMeant = name === BARE || server.sends - sentBefore === (isSent ? calls : 0);
  return isAsMeant && kept.length + onWire.length > calls ? bytes : '–';
}

async function seen(name, isExpired) {
  const result = await apart(import.meta.url, 'raise', { name, calls: CALLS, isExpired }, { flags: FLAGS });
  return { name, isExpired, ...result };
}

/** Quartiles for each size, over separate processes that run in turn. */
async function clocked(names, { sizes, warmUps, rounds }) {
  const random = chance(3);
  const taken = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const name of shuffled(names, random)) {
      taken[name].push(await apart(import.meta.url, 'clock', { name, sizes, warmUps }, { flags: FLAGS }));
    }
  }
  return names.map((name) => {
    const failure = taken[name].find((micros) => micros.failure)?.failure;
    return { name, micros: sizes.map((size) => failure ?? quartiles(taken[name].map((micros) => micros[size]))) };
  });
}

/** Bytes by name, unsent and refused. */
async function weighed(calls) {
  const kept = { unsent: {}, refused: {} };
  const jobs = [BARE, ...RIVALS].flatMap((name) =>
    Object.values(kept).map((bytes) => async () => {
      const isSent = bytes === kept.refused;
      bytes[name] = await apart(import.meta.url, 'weigh', { name, isSent, calls }, { flags: FLAGS });
    }),
  );
  await together(jobs, availableParallelism());
  return kept;
}

export async function storm({ isQuick }) {
  const seenByServer = await Promise.all([
    ...RIVALS.map((name) => seen(name, false)),
    ...FORESEEN.map((name) => seen(name, true)),
  ]);

  const sizes = isQuick ? [100, 1_000] : [100, 1_000, 10_000, 50_000];
  const names = [BARE, ...RIVALS.filter((name) => name !== 'axios-jwt')];
  const clocks = await clocked(names, { sizes, warmUps: isQuick ? 5 : 20, rounds: isQuick ? 1 : 3 });
  const { unsent, refused } = await weighed(isQuick ? 2_000 : 10_000);
  const extra = (bytes, name) => {
    if (name === BARE) return '';
    return typeof bytes[name] === 'number'
      ? `+${Math.round(bytes[name] - bytes[BARE])}`
      : (bytes[name].failure ?? bytes[name]);
  };
  const timed = new Map(clocks.map(({ name, micros }) => [name, micros]));
  return {
    title: 'A refresh storm',
    note:
      `${CALLS} calls at once, their token revoked; a server in the process that answers in turns of the event loop, many a 401 ` +
      'long after the refresh; refresh tokens rotate, a second use ends the session. Sends: per call, 2 is the least. ' +
      '"Foreseen": the token says that it has expired, so 1 is the least. Its second table: µs of a call in a storm of so many; bare: two good ' +
      'calls, one after the other. Waiting: bytes per call that waits for a refresh, above a bare call on the wire ' +
      `(${Math.round(unsent[BARE])} bytes), unsent or already refused.`,
    columns: ['', 'refreshes', 'reuse detected', 'sends', 'lost'],
    rows: seenByServer.map(({ name, isExpired, failure, refreshes, reuses, sends, lost }) => [
      isExpired ? `${name}, foreseen` : name,
      ...(failure ? [failure, '', '', ''] : [refreshes, reuses, sends.toFixed(2), lost]),
    ]),
    more: {
      columns: ['µs per call', ...sizes.map((size) => size.toLocaleString('en')), 'waiting: unsent', 'refused'],
      rows: [...names, 'axios-jwt'].map((name) => [
        name,
        ...sizes.map((_, place) => {
          const value = timed.get(name)?.[place] ?? '–';
          return value.median?.toFixed(0) ?? value;
        }),
        extra(unsent, name),
        extra(refused, name),
      ]),
    },
    charts: [
      {
        file: 'storm',
        title: `Refreshes in a storm of ${CALLS} calls`,
        bars: seenByServer
          .filter(({ isExpired }) => !isExpired)
          .map(({ name, failure, refreshes, lost }) => ({
            label: name,
            value: refreshes,
            text: failure ?? (lost > 0 ? `${refreshes}, ${lost} lost` : undefined),
            isOurs: name === OURS,
          })),
      },
    ],
    data: { seenByServer, sizes, clocks, waiting: { unsent, refused } },
  };
}
