import type { Plan } from '../support/drain.js';
import { drainThousand } from './worlds.js';

describe.each<[what: string, plan: Omit<Plan, 'seed'>]>([
  ['with another path beside', { traffic: ['path'] }],
  ['with another origin beside', { traffic: ['origin'], attach: { origins: '*' } }],
  ['with both beside', { traffic: ['path', 'origin'], attach: { origins: '*' } }],
])('a thousand calls %s', (what, plan) => {
  drainThousand(what, plan, [1]);
});
