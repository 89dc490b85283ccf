import fc from 'fast-check';
import { NUMBERS } from '../simulation/schedule.js';

export interface Act {
  readonly what: 'call' | 'expire' | 'sign-in' | 'sign-out' | 'crash' | 'freeze' | 'thaw';
  readonly holder: number;
}

/** A world of several holders of one store, as JSON. A schedule adds the order of events. */
export interface HoldersPlan {
  readonly seed: number;
  readonly holders: number;
  /** How the lock of a dead holder ends: by its broken connection, or by time. Time ends that of a frozen holder, too. */
  readonly lock: 'connection' | 'expiring' | 'none';
  /** Whether lock, read and write are asynchronous, or synchronous as in the storage of a browser. */
  readonly isSlow: boolean;
  readonly graceMs: 0 | 3_600_000;
  /** The reaction of the server to a replaced refresh token after its grace. */
  readonly onReuse: 'end' | 'refuse';
  readonly acts: readonly Act[];
  /** How many token responses, and how many change messages, may be lost. */
  readonly lost: number;
  readonly lostNotifications: number;
  /** How long the responses to the first requests for tokens take, in ms. */
  readonly lateMs: readonly number[];
  /** How often time may pass although another event is possible. */
  readonly patience: number;
}

export interface Sample {
  readonly plan: HoldersPlan;
  readonly numbers: readonly number[];
}

const MOST_HOLDERS = 4;
/** From half of the refresh wait of a call (10 s) to ten times the limit of a token request (60 s). */
const LATE_MS = [5_000, 9_500, 10_500, 20_000, 59_000, 61_000, 120_000, 600_000];

const act = (...whats: Act['what'][]): fc.Arbitrary<Act> =>
  fc.record({ what: fc.constantFrom(...whats), holder: fc.nat(MOST_HOLDERS - 1) });

function samplesOf(
  acts: fc.Arbitrary<Act>,
  plan: { [Name in keyof HoldersPlan]?: fc.Arbitrary<HoldersPlan[Name]> },
): fc.Arbitrary<Sample> {
  return fc.record({
    plan: fc.record<HoldersPlan>({
      seed: fc.nat(1_000),
      holders: fc.integer({ min: 2, max: MOST_HOLDERS }),
      lock: fc.constantFrom('connection', 'connection', 'expiring', 'none'),
      isSlow: fc.boolean(),
      graceMs: fc.constantFrom(0, 3_600_000),
      onReuse: fc.constantFrom('end', 'refuse'),
      acts: fc.array(acts, { minLength: 2, maxLength: 10 }),
      lost: fc.nat(1),
      lostNotifications: fc.nat(2),
      lateMs: fc.array(fc.constantFrom(...LATE_MS), { maxLength: 3 }),
      patience: fc.nat(6),
      ...plan,
    }),
    numbers: fc.array(fc.nat(NUMBERS / 2 - 1), { maxLength: 60 }),
  });
}

/** No crashes, and a store with a lock. */
export const calmSamples = samplesOf(act('call', 'call', 'call', 'expire', 'sign-in', 'sign-out'), {
  lock: fc.constantFrom('connection', 'expiring'),
  lost: fc.constant(0),
  patience: fc.constant(0),
});

/** A store without a lock, and a server that refuses the second request. */
export const raceSamples = samplesOf(act('call', 'call', 'expire'), {
  lock: fc.constant('none'),
  onReuse: fc.constant('refuse'),
  graceMs: fc.constant(0),
  lost: fc.constant(0),
});

export const samples = samplesOf(
  act('call', 'call', 'call', 'call', 'expire', 'expire', 'sign-in', 'sign-out', 'crash', 'freeze', 'freeze', 'thaw'),
  {},
);
