import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { blockOf, sectionOf } from './support/page-blocks.js';
import { typeErrorsOf } from './support/type-check.js';

const pages = readdirSync(join(__dirname, '../docs/migrate')).filter((file) => file !== 'index.md');

test('the programs of the migration guides type-check under strict', () => {
  const modules = pages.flatMap((page) =>
    ['Before', 'After'].map((half) => {
      return [`${page}-${half}.ts`, blockOf(sectionOf(`docs/migrate/${page}`, half))] as const;
    }),
  );
  expect(typeErrorsOf(new Map(modules))).toBe('');
});
