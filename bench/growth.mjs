// Time and memory with many instances, detached instances and waiting calls.
import axios from 'axios';
import { attachAuth, bearer } from 'axios-attach-auth';
import { BARE, idle, OURS, token } from './contenders.mjs';
import { apart, heapInUse, interleave, median, ratios, realMs, settle } from './measure.mjs';
import { answer, Server } from './server.mjs';
import { VirtualTime } from './virtual-time.mjs';

const FLAGS = ['--expose-gc', '--max-old-space-size=6144'];
const INSTANCES = [1, 10, 100, 1_000];
const LONG_MS = 3_600_000;
const baseURL = 'https://api.example.com';
const bare = () => axios.create({ baseURL, adapter: idle });
const sessionOf = (accessToken) =>
  bearer({ tokens: { accessToken, refreshToken: 'refresh' }, refresh: () => Promise.reject(new Error('not now')) });

async function bytesEach(count, make) {
  const kept = new Array(count);
  const before = await heapInUse();
  for (let place = 0; place < count; place++) kept[place] = make(place);
  return { kept, bytes: ((await heapInUse()) - before) / count };
}

/** Plain and attached instances, each with its own session. Calls use the first one. */
export async function crowd({ count, rounds }) {
  const accessToken = token('access');
  const make = () => {
    const api = bare();
    attachAuth(api, { scheme: sessionOf(accessToken) });
    return api;
  };
  // Excludes code and caches of the first use.
  for (const api of [bare(), make()]) await api.get('/item');
  const without = await bytesEach(count, bare);
  const attached = await bytesEach(count, make);
  const works = [
    [BARE, () => without.kept[0].get('/item')],
    [OURS, () => attached.kept[0].get('/item')],
  ];
  const micros = await interleave(works, { rounds, block: 150 });
  return {
    micros: median(micros[OURS]),
    ratio: ratios(micros[OURS], micros[BARE]),
    bytes: attached.bytes,
    bareBytes: without.bytes,
  };
}

/** Time and memory of that many rounds, as the median of several runs, since a heap varies. */
async function attachAndDetach(turns, api, work) {
  const micros = [];
  const bytes = [];
  let before;
  for (let round = 0; round < 8; round++) {
    const from = realMs();
    for (let turn = 0; turn < turns; turn++) work();
    micros.push(((realMs() - from) * 1000) / turns);
    await api.get('/item');
    const after = await heapInUse();
    if (before !== undefined) bytes.push(after - before);
    before = after;
  }
  return { micros: median(micros), bytes: median(bytes) };
}

/** One instance, one session, attached and detached; against interceptors that are added and ejected by hand. */
export async function attachments({ turns }) {
  const scheme = sessionOf(token('access'));
  const api = bare();
  const ours = await attachAndDetach(turns, api, () => attachAuth(api, { scheme }).detach());
  const plain = bare();
  const { request, response } = plain.interceptors;
  const pass = (value) => value;
  const byHand = await attachAndDetach(turns, plain, () => {
    const ids = [request.use(pass), response.use(pass)];
    request.eject(ids[0]);
    response.eject(ids[1]);
  });
  const fresh = bare();
  attachAuth(fresh, { scheme });
  attachAuth(api, { scheme });
  const works = [
    ['fresh', () => fresh.get('/item')],
    ['worn', () => api.get('/item')],
  ];
  const micros = await interleave(works, { rounds: 40, block: 150 });
  return { ours, byHand, callRatio: ratios(micros.worn, micros.fresh).median };
}

/** All wait for one refresh, unsent. Then it ends. */
async function forRefresh(calls) {
  const server = new Server({ isHeld: true });
  const api = axios.create({ baseURL, adapter: server.adapter });
  const { tokens } = server;
  const refresh = ({ refreshToken }) => server.refresh(refreshToken);
  // Creating that many calls takes time.
  const scheme = bearer({ tokens, refresh, refreshTimeoutMs: LONG_MS });
  attachAuth(api, { scheme, deadlineMs: LONG_MS });
  const first = api.get('/item');
  await settle();
  const { kept, bytes } = await bytesEach(calls, () => api.get('/item'));
  const from = realMs();
  server.release();
  const answers = await Promise.all(kept);
  await first;
  return {
    bytes,
    micros: ((realMs() - from) * 1000) / calls,
    lost: answers.filter(({ status }) => status !== 200).length,
  };
}

/** All wait behind a 429, unsent, in virtual time. Then the server accepts every call. */
async function forGate(calls) {
  const time = new VirtualTime().install(1);
  let isOpen = false;
  const adapter = async (config) => {
    await new Promise((resolve) => time.after(5, resolve));
    return isOpen ? answer(config, 200) : answer(config, 429, { 'retry-after': '10' });
  };
  const api = axios.create({ baseURL, adapter });
  attachAuth(api, { scheme: bearer('token'), deadlineMs: LONG_MS });
  const first = api.get('/item');
  await time.until(new Promise((resolve) => time.after(20, resolve)));
  isOpen = true;
  const { kept, bytes } = await bytesEach(calls, () => api.get('/item'));
  const from = realMs();
  const answers = await time.until(Promise.all(kept));
  await first;
  return {
    bytes,
    micros: ((realMs() - from) * 1000) / calls,
    lost: answers.filter(({ status }) => status !== 200).length,
    virtualMs: time.now,
  };
}

export async function released({ kind, calls }) {
  const run = kind === 'refresh' ? forRefresh : forGate;
  // Warmed up, with all lazy state created.
  await run(2_000);
  return run(calls);
}

const perCall = ({ failure, micros, bytes, lost }) =>
  failure ? [failure, ''] : [micros.toFixed(0), Math.round(bytes), ...(lost ? [`${lost} lost`] : [])];

export async function growth({ isQuick }) {
  const crowds = [];
  for (const count of isQuick ? [1, 100] : INSTANCES) {
    const result = await apart(import.meta.url, 'crowd', { count, rounds: isQuick ? 20 : 100 }, { flags: FLAGS });
    crowds.push({ count, ...result });
  }
  const turns = 10_000;
  const worn = await apart(import.meta.url, 'attachments', { turns }, { flags: FLAGS });
  const waits = [];
  for (const kind of ['refresh', 'gate']) {
    for (const calls of isQuick ? [1_000, 10_000] : [10_000, 100_000]) {
      waits.push({ kind, calls, ...(await apart(import.meta.url, 'released', { kind, calls }, { flags: FLAGS })) });
    }
  }
  const figure = (value) => value.toLocaleString('en');
  return {
    title: 'Growth',
    note:
      'Each instance has a session of its own; calls go through one of them, over an adapter that does nothing. Below: an instance attached and ' +
      'detached again and again, the bytes that are left after all of it, and what calls cost then; calls that wait unsent and are released all at once: ' +
      'time from then until the last has its answer, and bytes that each holds, the whole call of axios among them.',
    columns: ['instances', 'µs per call', '× bare', 'bytes of each', 'of a bare one'],
    rows: crowds.map(({ count, failure, micros, ratio, bytes, bareBytes }) =>
      failure
        ? [figure(count), failure, '', '', '']
        : [
            figure(count),
            micros.toFixed(1),
            ratio.median.toFixed(2),
            // With few of them, the heap mostly shows other objects.
            ...[bytes, bareBytes].map((each) => (count < 100 ? '–' : Math.round(each))),
          ],
    ),
    more: {
      columns: ['', 'µs each', 'bytes'],
      rows: [
        ...(worn.failure
          ? [['attached and detached', worn.failure, '']]
          : [
              [
                `${figure(turns)} × attached and detached (calls then: ×${worn.callRatio.toFixed(2)})`,
                worn.ours.micros.toFixed(1),
                `${worn.ours.bytes} left of all`,
              ],
              [
                `${figure(turns)} × use() and eject() by hand`,
                worn.byHand.micros.toFixed(1),
                `${worn.byHand.bytes} left of all`,
              ],
            ]),
        ...waits.map((wait) =>
          [`${figure(wait.calls)} calls that wait for a ${wait.kind}`, ...perCall(wait)].slice(0, 3),
        ),
      ],
    },
    charts: [
      {
        file: 'growth',
        title: 'Calls that wait and are released: µs per call',
        bars: waits.map(({ kind, calls, failure, micros }) => ({
          label: `${figure(calls)} for a ${kind}`,
          value: micros,
          text: failure,
          isOurs: true,
        })),
      },
    ],
    data: { crowds, worn, waits },
  };
}
