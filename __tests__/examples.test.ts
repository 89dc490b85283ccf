import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(__dirname, '../examples');
const examples = readdirSync(folder).filter((name) => existsSync(join(folder, name, 'package.json')));
const read = (...path: string[]): string => readFileSync(join(folder, ...path), 'utf8');

test('the list of examples is complete', () => {
  for (const name of examples) expect(read('README.md')).toContain(`[${name}](${name})`);
});

test.each(examples)('%s is started by one command, uses this package and pins its dependencies', (name) => {
  const { scripts, dependencies, devDependencies } = JSON.parse(read(name, 'package.json')) as Record<string, object>;
  expect(scripts).toMatchObject({ test: expect.any(String) as string });
  if (name !== 'recipes') expect(scripts).toMatchObject({ start: expect.any(String) as string });
  const { 'axios-attach-auth': own, ...others } = { ...dependencies, ...devDependencies } as Record<string, string>;
  expect(own).toBe('file:../..');
  for (const version of Object.values(others)) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  if (name !== 'recipes') expect(read(name, 'README.md')).toContain('[Copy it](../README.md#copy-one)');
});

test('`npm run example` without a name lists the names', () => {
  const { status, stderr } = spawnSync(process.execPath, [join(folder, 'start.mjs'), 'nope'], { encoding: 'utf8' });
  expect(status).toBe(1);
  for (const name of examples) expect(stderr).toContain(name);
});
