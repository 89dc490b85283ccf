import { apiKey, attachAuth, exchangeOf } from 'axios-attach-auth';
import { setTimeout as sleep } from 'node:timers/promises';
import { callsIn } from '../calls.mjs';
import { settled } from '../lab.mjs';

const RETRY = { baseDelayMs: 40 };

export const retryAfter = {
  name: '429 with Retry-After',
  title: '429 with Retry-After',
  promise:
    'Never back earlier than asked, and together: calls made meanwhile wait here instead of being refused there.',
  servedBy: ['api'],
  async run(lab) {
    const api = lab.client();
    attachAuth(api, { scheme: apiKey('demo'), retry: RETRY });
    await inSeconds(lab, api);
    await asDate(lab, api);
    await asksTooMuch(lab, api);
  },
};

export const throttled = {
  name: '429 without',
  title: '429 without Retry-After, and five times in a row',
  promise: 'Where the server does not say, the waits double, each at least half of its step; then the answer is yours.',
  servedBy: ['api', 'httpbin'],
  async run(lab) {
    const api = lab.client();
    attachAuth(api, { scheme: apiKey('demo'), retry: RETRY });
    if (!lab.isHttpbin) {
      await withoutRetryAfter(lab, api);
      await fiveInARow(lab, api);
    }
    await withoutEnd(lab, api);
  },
};

/** A limit of five a second, eight calls at once, two more while the limit holds. */
async function inSeconds(lab, api) {
  const atOnce = Array.from({ length: 8 }, () => api.get('/limited'));
  await sleep(200);
  const meanwhile = [api.get('/limited'), api.get('/limited')];
  const answers = await Promise.all([...atOnce, ...meanwhile]);
  const calls = callsIn(lab.sends('/limited'));
  const refused = calls.filter(({ sends }) => sends[0].status === 429);
  lab.check(
    'in seconds: all ten calls arrive',
    answers.map(({ status }) => status),
    Array(10).fill(200),
  );
  lab.check(
    'three are refused, once each',
    refused.map(({ sends }) => sends.length),
    [2, 2, 2],
  );
  lab.checkWithin(
    'none returns before its second is over',
    Math.min(...refused.flatMap(({ waits }) => waits)),
    1000,
    2500,
  );
  lab.check(
    'the two made meanwhile are sent once',
    calls.slice(8).map(({ sends }) => sends.length),
    [1, 1],
  );
}

async function asDate(lab, api) {
  await api.get('/throttled-until/1');
  const [{ waits }] = callsIn(lab.sends('/throttled-until'));
  lab.checkWithin('as a date: waited for', waits[0], 1000, 3500);
}

async function asksTooMuch(lab, api) {
  const { error } = await settled(api.get('/throttled-until/3600'));
  const { reason, retryAt } = exchangeOf(error);
  lab.check(
    'an hour is too long: the 429 at once, with the reason',
    [error.response.status, reason],
    [429, 'retry-after-too-long'],
  );
  lab.checkWithin('and when to come back', retryAt - Date.now(), 3_590_000, 3_601_000);
}

async function withoutRetryAfter(lab, api) {
  await api.get('/throttled/2');
  lab.check('backoff, then in', lab.statuses('/throttled/2'), [429, 429, 200]);
}

async function fiveInARow(lab, api) {
  await api.get('/throttled/5');
  lab.check('five in a row: the sixth send gets through', lab.statuses('/throttled/5'), [429, 429, 429, 429, 429, 200]);
  checkDoubling(lab, '/throttled/5');
}

async function withoutEnd(lab, api) {
  const { error } = await settled(api.get('/status/429'));
  lab.check('no end to it: six sends, then its 429', lab.statuses('/status/429'), Array(6).fill(429));
  lab.check(
    'as the server gave it, the reason beside it',
    [error.response.status, exchangeOf(error).reason],
    [429, 'attempts-exhausted'],
  );
  if (lab.isHttpbin) checkDoubling(lab, '/status/429');
}

function checkDoubling(lab, path) {
  const [{ waits }] = callsIn(lab.sends(path));
  const isLongEnough = waits.every((wait, step) => wait >= (RETRY.baseDelayMs / 2) * 2 ** step - 1);
  lab.check('each wait at least half of a step that doubles', isLongEnough, true);
}
