import { parseChallenges, parseRetryAfter } from '../../lib/index.js';
import { readTokens } from '../../lib/session/tokens.js';

/** The factor in time that twice the input may take. */
const MOST = 2.6;
const ROUNDS = 12;

const units = [
  'a',
  ' ',
  ',',
  '"',
  '\\',
  '=',
  '1',
  '.',
  'e',
  '-',
  'a ',
  'a=',
  '"\\',
  'a="',
  'a b=',
  '=,',
  ' ,',
  '1,',
  'Mon,',
  '\t ',
];
const frames = [
  ['', ''],
  ['a ', '"'],
  ['a b="', '\0'],
  ['a b=c, ', 'é'],
  ['1', 'x'],
] as const;

const parsers: readonly [name: string, longest: number, read: (text: string) => unknown][] = [
  ['parseChallenges()', 16_000, (text) => parseChallenges(text)],
  ['parseRetryAfter()', 2 ** 20, (text) => parseRetryAfter(text, { now: 0, date: text })],
  ['a JWT in readTokens()', 16_000, (text) => readTokens({ accessToken: `a.${text}.c` }, 'refresh()', 0, 'earlier')],
  [
    'expires_in in readTokens()',
    2 ** 16,
    (text) => readTokens({ accessToken: 'a', expires_in: text }, '', 0, 'earlier'),
  ],
];

/** Names the first parser that takes more than linear time. The best of several rounds counts, since the machine may be busy. */
export function findSuperlinear(): string | undefined {
  for (const [name, longest, read] of parsers) {
    for (const unit of units) {
      for (const [before, after] of frames) {
        const text = (length: number): string => before + unit.repeat(length / unit.length) + after;
        const growth = bestGrowth(text(longest / 2), text(longest), read);
        if (growth > MOST)
          return `${name}: ${growth.toFixed(1)} times as long for twice ${JSON.stringify([before, unit, after])}`;
      }
    }
  }
  return undefined;
}

function bestGrowth(half: string, whole: string, read: (text: string) => unknown): number {
  let best = Infinity;
  for (let round = 0; round < ROUNDS && best > MOST; round++) {
    best = Math.min(best, timeOf(whole, read) / timeOf(half, read));
  }
  return best;
}

/** The least of a few times, since interruptions only add. A time near 0 counts as no growth. */
function timeOf(text: string, read: (text: string) => unknown): number {
  let least = Infinity;
  for (let round = 0; round < 5; round++) {
    const from = performance.now();
    for (let times = 0; times < 4; times++) read(text);
    least = Math.min(least, performance.now() - from);
  }
  return Math.max(least, 0.02);
}
