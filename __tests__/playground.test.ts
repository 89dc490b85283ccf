// The modules behind docs/playground.md. `npm test` in docs/ opens the page itself in Chromium.
import type { AxiosRequestConfig } from 'axios';
import axios from 'axios';
import { attachFlagPair, attachQueueingPair } from '../docs/.vitepress/theme/playground/pair.js';
import { countsAt, run, type Attach, type Call } from '../docs/.vitepress/theme/playground/run.js';
import { createServer, STALE_TOKENS } from '../docs/.vitepress/theme/playground/server.js';
import {
  DEFAULTS,
  fromHash,
  HINTS,
  PRESETS,
  RANGES,
  toHash,
  type Settings,
} from '../docs/.vitepress/theme/playground/settings.js';
import { barsOf, describe as inWords, spansOf, stack, ticksOf } from '../docs/.vitepress/theme/playground/timeline.js';
import { inVirtualTime } from '../docs/.vitepress/theme/playground/virtual-time.js';
import { attachAuth, bearer } from '../lib/index.js';
import { cases } from './support/rounds.js';

const attachPackage: Attach = (api, _plain, tokens) => {
  const session = bearer({
    tokens,
    refresh: async ({ client, refreshToken }) => (await client.post('/auth/refresh', { refreshToken })).data,
  });
  attachAuth(api, { scheme: session });
};

describe('runs', () => {
  test('the package refreshes once for 12 calls, three of them late, and loses none', async () => {
    const counts = countsAt(await run(DEFAULTS, attachPackage));
    expect(counts).toEqual({ calls: 24, sends: 36, refreshes: 1, refused: 12, lost: 0 });
  });

  test.each([1, 2, 3, 4, 5, 6])('the pair with a queue loses all late calls but the last: %i late', async (late) => {
    for (const seed of [1, 2, 3]) {
      const counts = countsAt(await run({ ...DEFAULTS, late, seed }, attachQueueingPair));
      expect(counts).toMatchObject({ refreshes: late + 1, lost: late - 1 });
    }
  });

  test('the pair with a queue loses nothing without late 401s and without a limit', async () => {
    const counts = countsAt(await run({ ...DEFAULTS, late: 0 }, attachQueueingPair));
    expect(counts).toMatchObject({ refreshes: 1, lost: 0 });
  });

  test('the pair without a queue ends the session', async () => {
    const { lost, calls } = countsAt(await run({ ...DEFAULTS, late: 0 }, attachFlagPair));
    expect(lost).toBe(calls);
  });

  test('the pair with a queue loses calls at a limit', async () => {
    const settings: Settings = { ...DEFAULTS, calls: 24, late: 0, limit: 5 };
    const [ours, pair] = [await run(settings, attachPackage), await run(settings, attachQueueingPair)].map((trace) =>
      countsAt(trace),
    );
    expect(pair!.lost).toBeGreaterThan(0);
    expect(ours!.lost).toBe(0);
    expect(ours!.refused).toBeLessThan(pair!.refused / 2);
  });

  test('the package loses no call at the extremes of all sliders', async () => {
    const ends = ({ min, max }: { min: number; max: number }): number[] => [min, max];
    const all: Settings[] = ends(RANGES.calls).flatMap((calls) =>
      ends(RANGES.life).flatMap((life) =>
        ends(RANGES.late).flatMap((late) =>
          [0, 5, 30].flatMap((limit) =>
            (limit > 0 ? HINTS : (['none'] as const)).map((hints) => ({
              ...DEFAULTS,
              calls,
              life,
              late,
              limit,
              hints,
            })),
          ),
        ),
      ),
    );
    for (const settings of cases(20, all)) {
      const { lost } = countsAt(await run(settings, attachPackage));
      expect({ settings, lost }).toEqual({ settings, lost: 0 });
    }
  });

  test('a run depends on its seed only', async () => {
    const settings: Settings = { ...DEFAULTS, limit: 5, hints: 'none' };
    const first = await run(settings, attachPackage);
    expect(await run(settings, attachPackage)).toEqual(first);
    expect(await run({ ...settings, seed: 2 }, attachPackage)).not.toEqual(first);
  });

  test('counts never decrease during a run', async () => {
    const trace = await run(DEFAULTS, attachPackage);
    expect(countsAt(trace, 0)).toEqual({ calls: 12, sends: 12, refreshes: 0, refused: 0, lost: 0 });
    expect(countsAt(trace, 2_000)).toMatchObject({ calls: 12, refreshes: 1, refused: 12 });
    expect(countsAt(trace, trace.durationMs)).toEqual(countsAt(trace));
  });
});

describe('server', () => {
  /** Sends the requests in turn, each after its delay. Resolves with status, headers and data of each. */
  const ask = (settings: Partial<Settings>, requests: readonly (AxiosRequestConfig & { afterMs?: number })[]) =>
    inVirtualTime(1, async () => {
      const { adapter } = createServer({ ...DEFAULTS, late: 0, ...settings });
      const api = axios.create({ baseURL: 'https://api.example.com', adapter, validateStatus: () => true });
      const answers = [];
      for (const { afterMs, ...request } of requests) {
        if (afterMs !== undefined) await new Promise((resolve) => setTimeout(resolve, afterMs));
        answers.push(await api.request(request));
      }
      return answers;
    });
  const refresh = (refreshToken: string) => ({ method: 'post', url: '/auth/refresh', data: { refreshToken } });
  const get = (token: string, afterMs?: number) => ({
    url: '/widgets/1',
    headers: { Authorization: `Bearer ${token}`, 'X-Call': '0' },
    ...(afterMs !== undefined && { afterMs }),
  });
  const statuses = (answers: readonly { status: number }[]): number[] => answers.map(({ status }) => status);

  test('a refresh issues tokens with their life and revokes the access token before', async () => {
    const answers = await ask({ life: 7 }, [
      get(STALE_TOKENS.accessToken),
      refresh(STALE_TOKENS.refreshToken),
      get('access-1'),
      refresh('refresh-1'),
      get('access-1'),
      get('access-2'),
    ]);
    expect(statuses(answers)).toEqual([401, 200, 200, 200, 401, 200]);
    expect(answers[1]!.data).toEqual({ accessToken: 'access-1', refreshToken: 'refresh-1', expiresIn: 7 });
  });

  test('an access token expires', async () => {
    const answers = await ask({ life: 3 }, [
      refresh(STALE_TOKENS.refreshToken),
      get('access-1'),
      get('access-1', 3_000),
    ]);
    expect(statuses(answers)).toEqual([200, 200, 401]);
  });

  test('a second use of a refresh token ends the session', async () => {
    const used = STALE_TOKENS.refreshToken;
    const answers = await ask({}, [refresh(used), refresh(used), get('access-1'), refresh('refresh-1')]);
    expect(statuses(answers)).toEqual([200, 400, 401, 400]);
    expect(answers[1]!.data).toEqual({ error: 'invalid_grant' });
  });

  test.each([
    ['retry-after', { 'retry-after': '1' }],
    ['ratelimit', { ratelimit: '"default";r=0;t=1', 'ratelimit-policy': '"default";q=5;w=1' }],
    ['none', {}],
  ] as const)('a 429 has the hints of the settings: %s', async (hints, expected) => {
    const calls = Array.from({ length: 6 }, () => get('access-1'));
    const answers = await ask({ limit: 5, hints }, [...calls, get('access-1', 1_000)]);
    expect(statuses(answers)).toEqual([401, 401, 401, 401, 401, 429, 401]);
    const {
      date,
      'content-type': contentType,
      ...rest
    } = Object.fromEntries(Object.entries(answers[5]!.headers).map(([name, value]) => [name.toLowerCase(), value]));
    expect(Date.parse(date)).toBeGreaterThan(0);
    expect(contentType).toBe('application/json');
    expect(rest).toEqual(expected);
  });

  test('both clients meet the same latencies', async () => {
    const firstSends = async (attach: Attach) =>
      (await run(DEFAULTS, attach)).widgets.map(([first]) => first!.sends[0]);
    expect(await firstSends(attachQueueingPair)).toEqual(await firstSends(attachPackage));
  });
});

describe('virtual time', () => {
  test('passes at once, and does not change the real clock', async () => {
    const before = [setTimeout, clearTimeout, Date.now, performance.now, Math.random];
    const realMs = Date.now();
    const passedMs = await inVirtualTime(1, async () => {
      const startedAt = Date.now();
      await new Promise((resolve) => setTimeout(resolve, 3_600_000));
      return Date.now() - startedAt;
    });
    expect(passedMs).toBe(3_600_000);
    expect(Date.now() - realMs).toBeLessThan(60_000);
    expect([setTimeout, clearTimeout, Date.now, performance.now, Math.random]).toEqual(before);
  });

  test('runs timers in the order of their instants, and no cleared one', async () => {
    const order: number[] = [];
    await inVirtualTime(1, async () => {
      setTimeout(() => order.push(3), 30);
      setTimeout(() => order.push(1), 10);
      const cleared = setTimeout(() => order.push(2), 20);
      clearTimeout(cleared);
      await new Promise((resolve) => setTimeout(resolve, 40));
    });
    expect(order).toEqual([1, 3]);
  });

  test('rejects if the work rejects, or if no timer can resolve it', async () => {
    await expect(inVirtualTime(1, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    await expect(inVirtualTime(1, () => new Promise(() => {}))).rejects.toThrow('No timer is left');
  });
});

describe('settings', () => {
  test('a link keeps all of them', () => {
    for (const { settings } of PRESETS) expect(fromHash(`#${toHash(settings)}`)).toEqual(settings);
  });

  test('a link without values, or with wrong ones, means the default', () => {
    expect(fromHash('')).toEqual(DEFAULTS);
    expect(fromHash('#calls=many&life=-1&late=1e9&hints=loud&pair=&seed=%00&other=1')).toEqual(DEFAULTS);
  });

  test('a number out of range becomes the nearest one in range', () => {
    expect(fromHash('#calls=500&life=0&late=7&limit=13&seed=0')).toEqual({
      ...DEFAULTS,
      calls: 24,
      life: 3,
      late: 6,
      limit: 15,
      seed: 1,
    });
  });
});

describe('timeline', () => {
  const call: Call = {
    from: 0,
    to: 2_400,
    isLost: false,
    sends: [
      { call: 0, from: 0, to: 100, status: 401 },
      { call: 0, from: 1_300, to: 1_400, status: 429 },
      { call: 0, from: 2_300, to: 2_400, status: 200 },
    ],
  };
  const refreshes = [{ from: 100, to: 300, isAccepted: true }];

  test('shows each send with its cause, and each wait with its reason', () => {
    expect(barsOf(call, refreshes)).toEqual([
      { kind: 'send', from: 0, to: 100, status: 401, cause: 'first' },
      { kind: 'wait', from: 100, to: 300, reason: 'refresh' },
      { kind: 'wait', from: 300, to: 1_300, reason: 'limit' },
      { kind: 'send', from: 1_300, to: 1_400, status: 429, cause: 'replay' },
      { kind: 'wait', from: 1_400, to: 2_300, reason: 'limit' },
      { kind: 'send', from: 2_300, to: 2_400, status: 200, cause: 'retry' },
    ]);
  });

  test('describes them in words', () => {
    const [first] = call.sends;
    expect(inWords(call, refreshes)).toBe(
      'sent at 0.00 s, 401 at 0.10 s; waits 0.20 s for the refresh; waits 1.00 s for the limit; ' +
        'replayed at 1.30 s, 429 at 1.40 s; waits 0.90 s for the limit; sent again at 2.30 s, 200 at 2.40 s.',
    );
    expect(inWords({ from: 0, to: 300, isLost: true, sends: [first!] }, refreshes)).toBe(
      'sent at 0.00 s, 401 at 0.10 s; waits 0.20 s for the refresh; lost.',
    );
  });

  test('puts overlapping refreshes into different rows', () => {
    const span = (from: number, to: number) => ({ from, to, isAccepted: true });
    const overlapping = [span(0, 100), span(50, 150), span(120, 200), span(300, 400)];
    expect(stack(overlapping)).toEqual([0, 1, 0, 0]);
    expect(spansOf(overlapping)).toEqual([
      { from: 0, to: 200 },
      { from: 300, to: 400 },
    ]);
  });

  test('has at most eleven ticks', () => {
    expect(ticksOf(4_200)).toEqual([0, 1_000, 2_000, 3_000, 4_000]);
    for (const durationMs of [500, 15_000, 60_000, 200_000]) expect(ticksOf(durationMs).length).toBeLessThanOrEqual(11);
  });
});
