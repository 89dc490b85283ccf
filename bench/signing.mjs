// The cost of a signature: hmac() against hand-written node:crypto and WebCrypto, and the standards against node:crypto.
import { createHash, createHmac, createSecretKey, webcrypto } from 'node:crypto';
import axios, { AxiosHeaders } from 'axios';
import { attachAuth, hmac } from 'axios-attach-auth';
import { idle, OURS } from './contenders.mjs';
import { apart, interleave, quartiles, ratios } from './measure.mjs';
import { STANDARDS } from './standards.mjs';

const KEY_ID = 'service-7';
const SECRET = 'a shared secret of thirty-two by';
const BODIES = [
  ['none', 0],
  ['1 kB', 1_000],
  ['100 kB', 100_000],
  ['1 MB', 1_000_000],
];

const key = createSecretKey(Buffer.from(SECRET));

/** The usual code: the key is made once. */
function byHand({ method, path, body, headers }) {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const bodyHash = createHash('sha256').update(body).digest('hex');
  const text = `${method}\n${path}\n${timestamp}\n${bodyHash}`;
  headers.set('X-API-Key', KEY_ID);
  headers.set('X-Timestamp', timestamp);
  headers.set('X-Signature', createHmac('sha256', key).update(text).digest('hex'));
}

const { subtle } = webcrypto;
const webKey = await subtle.importKey('raw', Buffer.from(SECRET), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
const hex = (buffer) => Buffer.from(buffer).toString('hex');

async function byWebCrypto({ method, path, body, headers }) {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const bodyHash = hex(await subtle.digest('SHA-256', body));
  const text = Buffer.from(`${method}\n${path}\n${timestamp}\n${bodyHash}`);
  headers.set('X-API-Key', KEY_ID);
  headers.set('X-Timestamp', timestamp);
  headers.set('X-Signature', hex(await subtle.sign('HMAC', webKey, text)));
}

/** Only the signatures. This package runs through the port of a scheme. */
function signers(size) {
  const body = Buffer.alloc(size, '{"a":1}');
  const bytes = new Uint8Array(body);
  const url = new URL('https://api.example.com/orders?state=open');
  const path = url.pathname + url.search;
  const { authorize } = hmac({ keyId: KEY_ID, secret: SECRET });
  const sign = (work) => async () => {
    const headers = new AxiosHeaders();
    await work(headers);
    return headers;
  };
  return [
    ['node:crypto', sign((headers) => byHand({ method: 'POST', path, body, headers }))],
    ['WebCrypto', sign((headers) => byWebCrypto({ method: 'POST', path, body, headers }))],
    [
      OURS,
      sign((headers) =>
        authorize({
          method: 'POST',
          url,
          headers,
          body: { kind: 'bytes', bytes: () => Promise.resolve(bytes) },
          now: Date.now(),
          exchange: {},
        }),
      ),
    ],
  ];
}

/** Whole calls over an adapter that does nothing. */
function callers(size) {
  const body = Buffer.alloc(size, '{"a":1}');
  const create = () => axios.create({ baseURL: 'https://api.example.com', adapter: idle });
  const call = (api) => () => (size > 0 ? api.post('/orders?state=open', body) : api.get('/orders?state=open'));
  const signing = (sign) => {
    const api = create();
    api.interceptors.request.use(async (config) => {
      const { pathname, search } = new URL(api.getUri(config));
      const { method, headers, data = '' } = config;
      await sign({ method: method.toUpperCase(), path: pathname + search, body: data || Buffer.alloc(0), headers });
      return config;
    });
    return api;
  };
  const ours = create();
  attachAuth(ours, { scheme: hmac({ keyId: KEY_ID, secret: SECRET }) });
  return [
    ['bare', call(create())],
    ['node:crypto', call(signing(byHand))],
    ['WebCrypto', call(signing(byWebCrypto))],
    [OURS, call(ours)],
  ];
}

async function assertSame(works) {
  for (let attempt = 0; attempt < 3; attempt++) {
    const signed = await Promise.all(works.map(async ([, work]) => (await work()).get('X-Signature')));
    if (new Set(signed).size === 1) return;
  }
  throw new Error('The contenders sign differently');
}

export async function times({ size, rounds }) {
  // About the same number of bytes per block, for all body sizes.
  const block = Math.max(5, Math.min(150, Math.round(3_000_000 / Math.max(size, 1))));
  const alone = signers(size);
  await assertSame(alone);
  const repeats = { rounds, block, warmUps: Math.min(rounds, 20) };
  return { alone: await interleave(alone, repeats), calls: await interleave(callers(size), repeats) };
}

export async function standardTimes({ index, rounds }) {
  const [, contenders] = STANDARDS[index];
  return interleave(await contenders(), { rounds, block: 100, warmUps: Math.min(rounds, 20) });
}

const above = (micros, floor) => micros.map((value, round) => value - floor[round]);

export async function signing({ isQuick }) {
  const rows = [];
  for (const [name, size] of BODIES) {
    const micros = await apart(import.meta.url, 'times', { size, rounds: isQuick ? 10 : 150 }, { limitMs: 300_000 });
    if (micros.failure) throw new Error(`signing: ${micros.failure}`);
    const { alone, calls } = micros;
    const hand = above(calls['node:crypto'], calls.bare);
    rows.push({
      name,
      alone: quartiles(alone['node:crypto']),
      aloneWeb: ratios(alone.WebCrypto, alone['node:crypto']),
      aloneOurs: ratios(alone[OURS], alone['node:crypto']),
      bare: quartiles(calls.bare),
      hand: quartiles(hand),
      web: quartiles(above(calls.WebCrypto, calls.bare)),
      ours: quartiles(above(calls[OURS], calls.bare)),
      callRatio: ratios(calls[OURS], calls['node:crypto']),
    });
  }
  const standards = [];
  for (const [index, [name]] of STANDARDS.entries()) {
    const micros = await apart(import.meta.url, 'standardTimes', { index, rounds: isQuick ? 10 : 150 });
    if (micros.failure) throw new Error(`${name}: ${micros.failure}`);
    const { 'by hand': hand, [OURS]: ours, ...libraries } = micros;
    const others = Object.entries(libraries).map(([other, times]) => ({ other, ratio: ratios(times, hand) }));
    standards.push({ name, hand: quartiles(hand), ours: ratios(ours, hand), others });
  }
  const spread = ({ low, median, high }) => `${median.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;
  return {
    title: 'Signing',
    note:
      'HMAC-SHA-256 over method, path, time and the hash of the body; each contender makes the key once. Alone: µs of node:crypto by hand, ' +
      'then quotients within a round, median (quartiles). Whole calls over an adapter that does nothing: µs above a bare call; last: ' +
      'hmac(), with all that comes with attachAuth(), against a call with node:crypto in an interceptor. Second table: one attempt of a ' +
      'standard, its nonce or key known, alone.',
    columns: ['body', 'alone, µs', 'WebCrypto', 'hmac()', 'call: by hand', 'WebCrypto', 'hmac()', 'hmac() ÷ by hand'],
    rows: rows.map(({ name, alone, aloneWeb, aloneOurs, hand, web, ours, callRatio }) => [
      name,
      alone.median.toFixed(1),
      `×${aloneWeb.median.toFixed(1)}`,
      `×${spread(aloneOurs)}`,
      ...[hand, web, ours].map(({ median }) => `+${median.toFixed(0)}`),
      `×${spread(callRatio)}`,
    ]),
    more: {
      columns: ['standard', 'node:crypto by hand, µs', 'this package', 'a library'],
      rows: standards.map(({ name, hand, ours, others }) => [
        name,
        hand.median.toFixed(1),
        `×${spread(ours)}`,
        others.map(({ other, ratio }) => `${other} ×${spread(ratio)}`).join(', ') || '–',
      ]),
    },
    charts: [
      {
        file: 'signing',
        title: 'hmac(): time of a signature, × node:crypto by hand',
        bars: rows.map(({ name, aloneOurs }) => ({ label: `body: ${name}`, value: aloneOurs.median, isOurs: true })),
        digits: 2,
      },
    ],
    data: { rows, standards },
  };
}
