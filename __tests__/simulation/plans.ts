import fc from 'fast-check';
import type { ActPlan, CallPlan, Fate, RefreshFate, WorldPlan } from './plan.js';
import { NUMBERS } from './schedule.js';

/** A random world, and the numbers that choose its schedule. */
export interface Sample {
  readonly plan: WorldPlan;
  readonly numbers: readonly number[];
}

const MOST_CALLS = 5;

/** The limits that a response may exceed: `timeout`, a deadline, `refreshTimeoutMs`, and the minute of a token request. */
const LIMITS_MS = [40, 1_200, 10_000, 60_000];
const lateMs = fc
  .tuple(fc.constantFrom(...LIMITS_MS), fc.constantFrom(0.5, 0.95, 1.05, 2, 5, 10))
  .map(([limitMs, times]) => limitMs * times);

const calls = fc.record<CallPlan>({
  method: fc.constantFrom('GET', 'GET', 'POST', 'PUT'),
  path: fc.constantFrom('/one', '/two'),
  kind: fc.constantFrom('own', 'own', 'own', 'own', 'own', 'omit', 'foreign', 'stream'),
  begins: fc.constantFrom('freely', 'freely', 'freely', 'on event', 'on snapshot', 'in handler'),
  sends: fc.array(
    fc.constantFrom<Fate>('judge', 'judge', 'judge', 'judge', 503, 'later', 'unhinted', 'reset', 'silence', 'portal'),
    { maxLength: 3 },
  ),
  deadlineMs: fc.option(fc.constantFrom(0, 10, 50, 1_200, 5_000), { nil: undefined, freq: 4 }),
});

const acts = fc.record<ActPlan>({
  what: fc.constantFrom(
    'abort',
    'abort',
    'sign-out',
    'sign-in',
    'update',
    'refresh',
    'revoke',
    'end session',
    'detach',
    'sleep',
    'set back',
  ),
  call: fc.nat(MOST_CALLS - 1),
});

const plans = fc.record<WorldPlan>({
  seed: fc.nat(1_000),
  isDead: fc.boolean(),
  isLate: fc.boolean(),
  expiresIn: fc.option(fc.constantFrom(0.02, 0.05, 1, 3_600), { nil: undefined, freq: 2 }),
  graceMs: fc.constantFrom(0, 0, 500, 60_000),
  store: fc.constantFrom('memory', 'lockless', 'asynchronous'),
  holders: fc.constantFrom('one', 'one', 'two instances', 'two schemes'),
  calls: fc.array(calls, { minLength: 1, maxLength: MOST_CALLS }),
  acts: fc.array(acts, { maxLength: 3 }),
  refreshes: fc.array(
    fc.constantFrom<RefreshFate>(
      'good',
      'good',
      'good',
      'good',
      'refused',
      'lost',
      500,
      'busy',
      'dead',
      'configuration',
      'empty',
      'cut',
      'portal',
      'sorry page',
      'silence',
    ),
    { maxLength: 4 },
  ),
  lateMs: fc.option(fc.array(lateMs, { minLength: 1, maxLength: 3 }), { nil: undefined, freq: 1 }),
  patience: fc.nat(6),
  isSymmetric: fc.constant(false),
});

export const samples: fc.Arbitrary<Sample> = fc.record({
  plan: plans,
  numbers: fc.array(fc.nat(NUMBERS - 1), { maxLength: 24 }),
});
