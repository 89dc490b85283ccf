import type { Interrupts } from './explore.js';
import type { ActPlan, CallPlan, WorldPlan } from './plan.js';

const CALL: CallPlan = { method: 'GET', path: '/one', kind: 'own', begins: 'freely', sends: [] };

/** A small world, to be explored completely. */
export interface SmallWorld {
  readonly name: string;
  readonly plan: WorldPlan;
  readonly interrupts: Interrupts;
}

/** The token of the session is dead, and one refresh replaces it. */
export function worldOf(calls: number, about: Partial<WorldPlan> = {}): WorldPlan {
  return {
    seed: 1,
    isDead: true,
    isLate: false,
    graceMs: 0,
    store: 'lockless',
    holders: 'one',
    calls: Array.from({ length: calls }, () => CALL),
    acts: [],
    refreshes: [],
    patience: 0,
    // Equal calls begin in one order. From three on, calls with the same history continue in one order.
    isSymmetric: calls > 2,
    ...about,
  };
}

/** A world for each act on that many calls, and one without acts. */
export function smallWorlds(calls: number, interrupts: Interrupts): SmallWorld[] {
  return [undefined, ...actsFor(calls)].map((act) => {
    const done = act ? [act.what, act.call].filter((part) => part !== undefined).join(' ') : 'nothing';
    return {
      name: `${String(calls)} calls, ${done}${interrupts === 'nothing' ? '' : ', at any await'}`,
      plan: worldOf(calls, { acts: act ? [act] : [] }),
      interrupts,
    };
  });
}

function actsFor(calls: number): ActPlan[] {
  const whats = ['sign-out', 'sign-in', 'update', 'refresh', 'revoke', 'end session', 'detach'] as const;
  const aborted = calls === 1 ? [0] : [0, calls - 1];
  return [...aborted.map((call): ActPlan => ({ what: 'abort', call })), ...whats.map((what) => ({ what }))];
}
