import fc from 'fast-check';
import { explore, runWorld } from './explore.js';
import type { History } from './history.js';
import { isFull, rounds } from '../support/rounds.js';
import { assertInvariants, INVARIANTS } from './invariants.js';
import { samples } from './plans.js';
import { byNumbers, replay } from './schedule.js';
import { smallWorlds, worldOf } from './worlds.js';
import { World } from './world.js';

/*
 * Small worlds in every order, larger ones at random. `npm run test:simulate` runs more of both, and prints figures. A failure prints how
 * to replay it.
 */

const MOST = 4_000;
/** `npm run test:simulate` explores the others. */
const SELECTED = isFull ? /^1 |nothing|sign-out|abort [12]|detach|2 calls, (?:sign-in|update)/ : /^1 |nothing/;

describe.each([
  { calls: 1, interrupts: 'everything' },
  { calls: 2, interrupts: 'acts' },
  { calls: 3, interrupts: 'nothing' },
] as const)('a dead token, one refresh, $calls calls', ({ calls, interrupts }) => {
  test.each(smallWorlds(calls, interrupts).filter(({ name }) => SELECTED.test(name)))(
    '$name: every schedule keeps the invariants',
    async ({ plan }) => {
      expect(await explore(plan, { interrupts, most: MOST })).toMatchObject({ isComplete: true });
    },
    120_000,
  );
});

test('random worlds keep the invariants in random schedules', async () => {
  await fc.assert(
    fc.asyncProperty(samples, async ({ plan, numbers }) => runWorld(plan, byNumbers(numbers))),
    { numRuns: rounds(100, 2_000), seed: 20_261_123 },
  );
}, 120_000);

test('a replayed schedule has the same history', async () => {
  const plan = worldOf(3, { acts: [{ what: 'sign-in' }] });
  const schedule = 'b0 b1 d0 d1+a0@4 b2'.split(' ');
  const [one, other] = [await new World(plan).run(replay(schedule)), await new World(plan).run(replay(schedule))];
  expect(one.entries).toEqual(other.entries);
  expect(one.calls).toEqual(other.calls);
});

describe('the invariants detect', () => {
  /** The history of two calls with a dead token. It keeps all invariants until a defect is planted. */
  const seen = async (): Promise<History> => {
    const history = await new World(worldOf(2, { acts: [{ what: 'sign-in' }] })).run(
      replay('b0 d0 b1 d1 d2 d3 a0'.split(' ')),
    );
    assertInvariants(history);
    return history;
  };
  const planted: readonly (readonly [what: string, broken: string, plant: (history: History) => unknown])[] = [
    [
      'a second refresh with the same token',
      'I1',
      ({ entries }) => entries.push({ ...entries.find(({ refreshToken }) => refreshToken)!, id: 9 }),
    ],
    [
      'a refresh without need',
      'I1',
      ({ entries }) =>
        Object.assign(
          entries.find(({ refreshToken }) => refreshToken)!,
          { refreshToken: 'p0-r2' },
        ),
    ],
    ['a call that settles twice', 'I2', ({ calls }) => calls[0]!.settlements++],
    ['a call that never settles', 'I2', ({ calls }) => (calls[0]!.settlements = 0)],
    ['a response handler that runs twice for a call', 'I2', ({ calls }) => calls[0]!.deliveries++],
    [
      'a POST that is sent again after it may have been applied',
      'I3',
      ({ calls, entries }) => {
        Object.assign(calls[0]!, { plan: { ...calls[0]!.plan, method: 'POST' } });
        entries[0]!.status = 'lost';
      },
    ],
    [
      'the token of another principal',
      'I4',
      ({ entries }) =>
        Object.assign(
          entries.find(({ call }) => call === 1)!,
          { token: 'p7-a1' },
        ),
    ],
    [
      'a token at another origin',
      'I5',
      ({ entries }) => Object.assign(entries[0]!, { origin: 'https://elsewhere.example' }),
    ],
    ['a token in an event', 'I5', ({ texts }) => texts.push('p0-r1')],
    [
      'a second replay',
      'I6',
      ({ entries }) => {
        const [first] = entries;
        const last = entries.filter(({ call }) => call === 0).at(-1)!;
        entries.splice(1, 0, { ...first!, ended: { ...first!.ended!, order: first!.sent.order } });
        last.status = 200;
      },
    ],
    ['a wait beyond the deadline', 'I7', ({ calls }) => Object.assign(calls[0]!, { settled: { at: 120_001 } })],
    [
      'an abort that does not end its call',
      'I7',
      ({ calls }) => Object.assign(calls[0]!, { aborted: { ...calls[0]!.begun, step: 0 } }),
    ],
    ['a leaked timer', 'I8', (history) => history.timers++],
    ['a leaked listener', 'I8', ({ calls }) => calls[1]!.listeners++],
    ['a lock that is not released', 'I8', (history) => (history.isLockFree = false)],
    ['a generation that falls', 'I9', ({ generations }) => generations.push(1)],
    [
      'a send before Retry-After',
      'I10',
      ({ entries }) => Object.assign(entries[0]!, { status: 429, retryAfterMs: 1_000 }),
    ],
    [
      'a refresh token that is sent again after a 2xx',
      'I11',
      ({ entries }) => {
        const request = entries.find(({ refreshToken }) => refreshToken)!;
        entries.push({ ...request, sent: { ...request.ended!, at: request.ended!.at + 29_999 } });
      },
    ],
    [
      'a refresh that is given up before its minute is over',
      'I11',
      ({ entries }) =>
        Object.assign(
          entries.find(({ refreshToken }) => refreshToken)!,
          { isAnswered: false },
        ),
    ],
    [
      'the end of a session that the server has kept',
      'no',
      (history) => Object.assign(history, { plan: { ...history.plan, acts: [] }, expiries: 1, kept: ['p0'] }),
    ],
  ];

  test.each(planted)('%s', async (_what, broken, plant) => {
    const history = await seen();
    plant(history);
    const name = Object.keys(INVARIANTS).find((one) => one.startsWith(`${broken} `))!;
    expect(() => {
      INVARIANTS[name]!(history);
    }).toThrow();
    expect(() => {
      assertInvariants(history);
    }).toThrow('broken: ');
  });
});
