import { drainThousand, SEEDS } from './worlds.js';

describe('a thousand calls', () => {
  drainThousand('a thousand calls', {}, SEEDS);
});

describe('by two instances of one scheme', () => {
  drainThousand('by two instances of one scheme', { instances: 2 }, [1]);
});
