import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import { bearer } from '../lib/index.js';
import { fileStore } from '../lib/node.js';
import { aesGcm, type StoredSession } from '../lib/store.js';
import { filePort } from '../lib/stores/file.js';
import { Processes, type Holder } from './support/processes.js';
import { cases, rounds } from './support/rounds.js';
import { times } from './support/series.js';
import { reply, serve, type Recorder } from './support/serve.js';
import { TokenEndpoint } from './support/token-endpoint.js';
import { VirtualClock } from './support/virtual-clock.js';

jest.setTimeout(120_000);

/** F31 asks for 500 expiries and 32 processes on request. */
const FACTOR = Number(process.env['PROCESS_FACTOR'] ?? 1);
/** Far below refreshTimeoutMs: a wait for an expiry fails here, and a busy machine does not. */
const TAKE_OVER_MS = 5_000;

// Only POSIX has signals that stop and kill.
const onPosix = process.platform === 'win32' ? describe.skip : describe;

let folder: string;
let file: string;
let processes: Processes;
let endpoint: TokenEndpoint;
let server: Recorder;
/** Sends a response that the token endpoint has recorded. Tests may delay or drop it. */
let answering: (deliver: () => void) => void;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'processes-'));
  processes = new Processes(folder);
});
beforeEach(async () => {
  file = join(mkdtempSync(join(folder, 'one-')), 'session.json');
  endpoint = new TokenEndpoint(new VirtualClock());
  answering = (deliver) => {
    deliver();
  };
  server = await serve((seen, response) => {
    if (seen.url === '/token') {
      const { refresh_token: token } = JSON.parse(seen.body.toString()) as { refresh_token: string };
      const { status, data } = endpoint.answer(token);
      answering(() => {
        reply(response, status, data);
      });
      return;
    }
    const isIn = endpoint.accepts(seen.headers.authorization?.slice('Bearer '.length)) !== undefined;
    reply(response, isIn ? 200 : 401, {}, isIn ? {} : { 'WWW-Authenticate': 'Bearer error="invalid_token"' });
  });
  const { access_token: accessToken, refresh_token: refreshToken } = endpoint.issue();
  await filePort(file).compareAndSet(undefined, {
    version: 1,
    generation: 1,
    epoch: 0,
    tokens: { accessToken, refreshToken },
  });
});
afterEach(async () => {
  await processes.stop();
  await server.close();
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const start = (count: number): Promise<Holder[]> =>
  Promise.all(Array.from({ length: count }, () => processes.start(server.origin, file)));
const stored = async (): Promise<StoredSession | undefined> => filePort(file).load();
const outcomes = (): string[] => endpoint.asks.map(({ outcome }) => outcome);
const expectNoRubbish = (): void => {
  expect(readdirSync(join(file, '..')).sort()).toEqual(['session.json', 'session.json.lock']);
};

// F31
test.each(
  cases(2, [
    [2, rounds(6, 20)],
    [4, 20],
    [16, 30],
    [8, rounds(3, 30)],
  ]),
)('%i processes over one file refresh once at each of %i expiries', async (count, expiries) => {
  const holders = await start(count);
  for (let expiry = 1; expiry <= expiries * FACTOR; expiry++) {
    endpoint.revokeAll();
    const answers = await Promise.all(holders.map((holder) => holder.call()));
    expect(answers).toEqual(Array(count).fill(200));
    expect(endpoint.refreshes).toBe(expiry);
    expect(await stored()).toMatchObject({ generation: expiry + 1 });
  }
  expect(endpoint.reuses).toBe(0);
  expect(readdirSync(`${file}.lock`)).toEqual([]);
  expectNoRubbish();
});

test.each([rounds(3, 6)])(
  '%i processes with one key share a sealed session, and no token can be read in its file',
  async (count) => {
    const key = randomBytes(32);
    const seal = aesGcm(key);
    const { access_token: accessToken, refresh_token: refreshToken } = endpoint.issue();
    rmSync(file);
    await bearer({ store: fileStore(file, { seal }) }).signIn({ accessToken, refreshToken });
    const holders = await Promise.all(
      times(count, () => processes.start(server.origin, file, '', 10_000, key.toString('hex'))),
    );
    for (let expiry = 1; expiry <= 5; expiry++) {
      endpoint.revokeAll();
      expect(await Promise.all(holders.map((holder) => holder.call()))).toEqual(Array(count).fill(200));
      expect(endpoint.refreshes).toBe(expiry);
      const text = readFileSync(file, 'utf8');
      expect(text).toContain('a256gcm.');
      expect(text).not.toContain('alice');
      expect(await bearer({ store: fileStore(file, { seal }) }).getAccessToken()).toBe(`alice-a${String(expiry + 2)}`);
    }
    expect(endpoint.reuses).toBe(0);
    expectNoRubbish();
  },
);

// F32 F94
onPosix('a process that is killed', () => {
  const points: readonly (readonly [point: string, outcomes: readonly string[]])[] = [
    ['before its ticket', ['issued']],
    ['with its ticket', ['issued']],
    ['in the lock', ['issued']],
    ['answered', ['issued', 'again']],
    ['before the draft', ['issued', 'again']],
    ['with an empty draft', ['issued', 'again']],
    ['with half a draft', ['issued', 'again']],
    ['with a draft', ['issued', 'again']],
    ['with a synced draft', ['issued', 'again']],
    ['written', ['issued']],
    ['before unlocking', ['issued']],
  ];

  test.each(cases(3, points))(
    '%s leaves a valid file, and the next process refreshes at once',
    async (point, expected) => {
      endpoint.graceMs = 1;
      endpoint.revokeAll();
      const [victim, next] = await Promise.all([processes.start(server.origin, file, point), start(1)]);
      expect(await victim.call()).toBe('killed');
      expect(await stored()).toBeDefined();
      const killedAt = performance.now();
      expect(await next[0]?.call()).toBe(200);
      expect(performance.now() - killedAt).toBeLessThan(TAKE_OVER_MS);
      expect(outcomes()).toEqual(expected);
      expect(await stored()).toMatchObject({ generation: 2, tokens: { accessToken: 'alice-a2' } });
      expectNoRubbish();
    },
  );

  // I11: no living holder has the response.
  test.each(cases(2, ['answered', 'before the draft', 'with a synced draft']))(
    '%s, at a server without a grace: the session ends once',
    async (point) => {
      const victim = await processes.start(server.origin, file, point);
      const others = await start(2);
      // All have loaded the session. A holder that first loads its end is just signed out.
      for (const other of others) expect(await other.call()).toBe(200);
      endpoint.revokeAll();
      expect(await victim.call()).toBe('killed');
      const answers = await Promise.all(others.map((holder) => holder.call()));
      expect(answers).toEqual(Array(2).fill('ERR_AUTH_SESSION_EXPIRED'));
      expect(outcomes()).toEqual(['issued', 'reused']);
      expect(await stored()).toMatchObject({ tokens: null });
      expectNoRubbish();
    },
  );

  test('while it waits for the lock does not block processes behind it', async () => {
    const [first, victim, last] = (await start(3)) as [Holder, Holder, Holder];
    const held: (() => void)[] = [];
    answering = (deliver) => held.push(deliver);
    endpoint.revokeAll();
    const calls = [first.call()];
    await first.at('holding');
    calls.push(victim.call());
    await victim.at('waiting');
    calls.push(last.call());
    await last.at('waiting');
    while (held.length === 0) await rest(1);
    victim.signal('SIGKILL');
    await victim.ended;
    held[0]?.();
    expect(await Promise.all(calls)).toEqual([200, 'killed', 200]);
    expect(outcomes()).toEqual(['issued']);
  });

  test('after its request, before the response: processes that wait for the lock refresh at once', async () => {
    endpoint.graceMs = 1;
    const holders = (await start(3)) as [Holder, ...Holder[]];
    const [victim, ...others] = holders;
    let asked!: () => void;
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    answering = () => {
      asked();
    };
    endpoint.revokeAll();
    const call = victim.call();
    await isAsked;
    answering = (deliver) => {
      deliver();
    };
    const calls = others.map((holder) => holder.call());
    await Promise.all(others.map((holder) => holder.at('waiting')));
    const killedAt = performance.now();
    victim.signal('SIGKILL');
    expect(await Promise.all(calls)).toEqual([200, 200]);
    const tookMs = performance.now() - killedAt;
    expect(tookMs).toBeLessThan(TAKE_OVER_MS);
    if (process.env['PROCESS_SAY']) console.log(`took over in ${tookMs.toFixed(1)} ms`);
    expect(await call).toBe('killed');
    expect(outcomes()).toEqual(['issued', 'again']);
  });
});

// F130
test.each([rounds(3, 6)])(
  'a late response is stored although the callers of %i processes have rejected, after one request',
  async (count) => {
    const holders = await Promise.all(times(count, () => processes.start(server.origin, file, '', 300)));
    const held: (() => void)[] = [];
    answering = (deliver) => held.push(deliver);
    endpoint.revokeAll();
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all(holders.map((holder) => holder.call()));
      expect(answers).toEqual(Array(count).fill('ERR_AUTH_REFRESH_FAILED'));
    }
    expect(held).toHaveLength(1);
    held[0]!();
    while ((await stored())?.generation !== 2) await rest(5);
    expect(await Promise.all(holders.map((holder) => holder.call()))).toEqual(Array(count).fill(200));
    expect(outcomes()).toEqual(['issued']);
  },
);

// F35
onPosix('a process that is stopped while it refreshes', () => {
  test('keeps the lock: waiting calls reject in time, and its tokens are used when it continues', async () => {
    const stopped = await processes.start(server.origin, file);
    const waiting = await processes.start(server.origin, file, '', 500);
    const held: (() => void)[] = [];
    answering = (deliver) => held.push(deliver);
    endpoint.revokeAll();
    const call = stopped.call();
    while (held.length === 0) await rest(1);
    stopped.signal('SIGSTOP');
    held[0]?.();
    expect(await waiting.call()).toBe('ERR_AUTH_REFRESH_FAILED');
    expect(outcomes()).toEqual(['issued']);
    stopped.signal('SIGCONT');
    expect(await call).toBe(200);
    expect(await waiting.call()).toBe(200);
    expect(outcomes()).toEqual(['issued']);
    expect(await stored()).toMatchObject({ generation: 2 });
  });

  // F40
  test('and continues after a sign-in of another process does not write its tokens', async () => {
    const stopped = await processes.start(server.origin, file);
    const held: (() => void)[] = [];
    answering = (deliver) => held.push(deliver);
    endpoint.revokeAll();
    const call = stopped.call();
    while (held.length === 0) await rest(1);
    stopped.signal('SIGSTOP');
    held[0]?.();
    const { access_token: accessToken, refresh_token: refreshToken } = endpoint.issue('bob');
    const next: StoredSession = { version: 1, generation: 2, epoch: 1, tokens: { accessToken, refreshToken } };
    expect(await filePort(file).compareAndSet(1, next)).toBe(true);
    stopped.signal('SIGCONT');
    // A call of alice is not replayed as bob.
    expect(await call).toBe('ERR_AUTH_SESSION_CHANGED');
    expect(await stored()).toEqual(next);
    expect(await stopped.call()).toBe(200);
    expect(await stored()).toEqual(next);
  });
});
