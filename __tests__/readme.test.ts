import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './support/page-code.js';

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const { peerDependencies, engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  peerDependencies: { axios: string };
  engines: { node: string };
};

test('README has at most 200 lines and 1,200 words', () => {
  expect(README.trimEnd().split('\n').length).toBeLessThanOrEqual(200);
  expect(README.split(/\s+/).filter(Boolean).length).toBeLessThanOrEqual(1_200);
});

test('README states the size in its first screen, and only once', () => {
  const weights = [...README.matchAll(/weighs ([\d.]+) kB/g)].map(({ index }) => README.slice(0, index));
  expect(weights[0]?.split('\n').length).toBeLessThan(20);
  expect([...README.matchAll(/`\{ attachAuth, bearer \}`/g)]).toHaveLength(1);
});

test('README states the size that `npm run size` allows, within 150 bytes', () => {
  const sizes = readFileSync(join(ROOT, '.ci/check-size.mjs'), 'utf8');
  const [, limit = ''] = /'\{ attachAuth, bearer \}': \[([\d_]+),/.exec(sizes) ?? [];
  const [, stated = ''] = /weighs ([\d.]+) kB/.exec(README) ?? [];
  expect(Math.abs(Number(limit.replaceAll('_', '')) - Number(stated) * 1_000)).toBeLessThanOrEqual(150);
});

test('README has no comment for maintainers', () => {
  expect(README).not.toContain('<!--');
});

test('README has every error code and every option of attachAuth', () => {
  const pageOf = (name: string): string => readFileSync(join(ROOT, 'docs', name), 'utf8');
  const codes = [...pageOf('errors.md').matchAll(/^## (ERR_\w+)$/gm)].map(([, code]) => code);
  const [, table = ''] = pageOf('options.md').split(/^## .*$/m);
  const options = [...table.matchAll(/^\| `(\w+)`/gm)].map(([, option]) => option);
  expect([codes.length, options.length]).toEqual([12, 9]);
  for (const name of [...codes, ...options]) expect(README).toMatch(new RegExp(`^\\| \`${String(name)}\` `, 'm'));
});

test('README names the axios range and the Node of package.json', () => {
  expect(README).toContain(`\`${peerDependencies.axios}\``);
  expect(README).toContain(`Node ${engines.node.replace('>=', '')} or later`);
});

test('README has the two commands for development', () => {
  const develop = README.slice(README.indexOf('## Develop'));
  expect([...develop.matchAll(/^```sh\n(.*?)\n```/gms)].map(([, command]) => command)).toEqual([
    'npm ci && npm run demo',
    'npm ci && npm test',
  ]);
});

test('llms.txt has at most 4 kB', () => {
  expect(Buffer.byteLength(readFileSync(join(ROOT, 'llms.txt')))).toBeLessThanOrEqual(4_096);
});

test('CHANGELOG has at most 15 lines for a version, and names the features', () => {
  const changelog = readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8');
  const versions = changelog.split(/^## /m).slice(1);
  for (const version of versions)
    expect(version.split('\n').filter((line) => line.startsWith('- ')).length).toBeLessThan(16);
  for (const name of ['seal', 'publishEvents', 'redisCooldown', 'createThrottle']) expect(changelog).toContain(name);
});
