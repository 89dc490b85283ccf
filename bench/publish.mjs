// Copies figures of bench/results/results.json into README.md and docs/compared.md: npm run bench:publish
import { readFileSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { table } from './table.mjs';

const BARE = 'bare axios';
const OURS = 'axios-attach-auth';
const HAND = 'hand-written pair';
const PAIR = 'axios-auth-refresh + axios-retry';
const REUSING = 'axios-auth-refresh, deduplicateRefresh: false';

/** Returns the texts of both pages with the figures of `results` in their tables. */
export function published(results, { readme, compared }) {
  const { calm, storm, drain } = results.subjects;
  const stormOf = (wanted) => storm.seenByServer.find(({ name, isExpired }) => name === wanted && !isExpired);
  const calmOf = (wanted) => calm.find(({ name }) => name === wanted);
  const times = (wanted) => calmOf(wanted).ratio.median.toFixed(2);
  const limits = Object.values(drain);
  const sends = (wanted) => {
    const runs = limits.map((world) => world[wanted]).filter(({ failure }) => !failure);
    return runs.reduce((sum, run) => sum + run.sends, 0) / runs.length;
  };
  const drained = ({ lost, time }) => (lost > 0 ? `${lost} lost` : `${time.toFixed(2)}×`);
  const PACED = ['axios-retry', 'axios-retry ×10', 'retry-axios', OURS];
  const WORLDS = [
    'bucket of 50/s',
    'bucket of 50/s, Retry-After',
    'window of 50/s, RateLimit headers',
    'window of 100/10 s, Retry-After',
  ];
  const tables = {
    'A storm of refreshes': table(
      ['Library', 'Refreshes', 'Token reused', 'Calls lost'],
      [HAND, 'axios-auth-refresh', REUSING, 'axios-jwt', OURS].map((name) => {
        const { refreshes, reuses, lost } = stormOf(name);
        return [name, refreshes, reuses, lost.toLocaleString('en-US')];
      }),
    ),
    'A server with a rate limit': table(
      ['Limit', 'axios-retry', 'axios-retry, 10 retries', 'retry-axios', OURS],
      [
        ...WORLDS.map((world) => [world, ...PACED.map((name) => drained(drain[world][name]))]),
        ['sends per call, over ten limits', ...PACED.map((name) => sends(name).toFixed(2))],
      ],
    ),
    'A calm call': table(
      ['Library', 'Time, × bare', 'Memory, × bare'],
      [HAND, 'retry-axios', PAIR, 'axios-jwt', OURS].map((name) => [
        name,
        times(name),
        (calmOf(name).allocated / calmOf(BARE).allocated).toFixed(2),
      ]),
    ),
  };
  let page = compared;
  for (const [heading, rows] of Object.entries(tables)) {
    const from = page.indexOf(`## ${heading}\n`);
    const begin = page.indexOf('\n| ', from) + 1;
    const end = page.indexOf('\n\n', begin);
    page = page.slice(0, begin) + rows + page.slice(end);
  }
  const short = (name) => String(Number(sends(name).toPrecision(2)));
  const limited = (name) => `${drain[WORLDS[1]][name].lost} lost, ${short(name)} sends per call`;
  const rows = {
    'a revoked token, rotating refresh token': [
      `${stormOf(HAND).refreshes} refreshes`,
      `${stormOf('axios-auth-refresh').lost} calls lost`,
      `${stormOf(OURS).refreshes} refresh, ${stormOf(OURS).lost} lost`,
    ],
    '50 a second, `Retry-After`': [limited('sleep by hand'), limited('axios-retry'), limited(OURS)],
    'a calm call, × bare axios': [times(HAND), times(PAIR), times(OURS)],
  };
  const lines = readme.split('\n').map((line) => {
    const [, what] = /^\| (.*?) +\|/.exec(line) ?? [];
    if (!what || !Object.hasOwn(rows, what)) return line;
    const widths = line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.length - 2);
    return `| ${[what, ...rows[what]].map((cell, place) => cell.padEnd(widths[place])).join(' | ')} |`;
  });
  return { readme: lines.join('\n'), compared: page };
}

const fileOf = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
export const read = () => ({
  readme: readFileSync(fileOf('README.md'), 'utf8'),
  compared: readFileSync(fileOf('docs/compared.md'), 'utf8'),
});

if (argv[1] === fileURLToPath(import.meta.url)) {
  const results = JSON.parse(readFileSync(fileOf('bench/results/results.json'), 'utf8'));
  const { readme, compared } = published(results, read());
  writeFileSync(fileOf('README.md'), readme);
  writeFileSync(fileOf('docs/compared.md'), compared);
}
