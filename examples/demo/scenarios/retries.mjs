import { apiKey, attachAuth, exchangeOf } from 'axios-attach-auth';
import { callsIn } from '../calls.mjs';
import { settled } from '../lab.mjs';

const BASE_DELAY_MS = 200;
const STEPS_MS = [BASE_DELAY_MS, 2 * BASE_DELAY_MS, 4 * BASE_DELAY_MS];
const SLACK_MS = 300;

export const retries = {
  name: 'Three retries',
  title: 'Three retries with backoff and jitter, then the answer',
  promise: 'Each wait is random, up to a limit that doubles, so that those who failed together do not return together.',
  servedBy: ['api', 'httpbin'],
  async run(lab) {
    const api = lab.client();
    attachAuth(api, { scheme: apiKey('demo'), retry: { baseDelayMs: BASE_DELAY_MS } });

    const outcomes = await Promise.all([1, 2, 3].map(() => settled(api.get('/status/503'))));

    const calls = callsIn(lab.entries);
    const isWithin = calls.every(({ waits }) => waits.every((wait, step) => wait <= STEPS_MS[step] + SLACK_MS));
    const rhythms = new Set(calls.map(({ waits }) => waits.map(Math.round).join()));
    lab.check(
      'four sends for each call',
      calls.map(({ sends }) => sends.length),
      [4, 4, 4],
    );
    lab.check(`no wait beyond ${STEPS_MS.join(', ')} ms`, isWithin, true);
    lab.check('each call has a rhythm of its own', rhythms.size, 3);
    lab.check(
      'then the server’s own answer',
      outcomes.map(({ error }) => error?.response.status),
      [503, 503, 503],
    );
    lab.check('with the reason beside it', exchangeOf(outcomes[0].error).reason, 'attempts-exhausted');
  },
};
