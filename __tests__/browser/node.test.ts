import { describeBehaviour } from './behaviour.js';
import type { Host } from './host.js';
import * as scenarios from './scenarios/index.js';

const wanted = process.env['AXIOS_ADAPTER'];
const adapters = (['http', 'fetch'] as const).filter((name) => name === (wanted ?? name));

describe.each(adapters)('in Node, over the %s adapter', (adapter) => {
  const host: Host = {
    adapter,
    player: ({ api, foreign }) =>
      Promise.resolve((name, ...given) => {
        const scenario = scenarios[name] as (...details: unknown[]) => Promise<never>;
        return scenario({ api: api.origin, foreign: foreign.origin, adapter }, ...given);
      }),
  };
  describeBehaviour(host);
});
