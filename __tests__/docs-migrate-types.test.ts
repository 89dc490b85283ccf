import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { blockOf, sectionOf } from './support/page-blocks.js';
import { isFull } from './support/rounds.js';
import { typeErrorsOf } from './support/type-check.js';

const pages = readdirSync(join(__dirname, '../docs/migrate')).filter((file) => file !== 'index.md');

// The compiler takes seconds: once, with all rounds.
(isFull ? test : test.skip)('the programs of the migration guides type-check under strict', () => {
  const modules = pages.flatMap((page) =>
    ['Before', 'After'].map((half) => {
      return [`${page}-${half}.ts`, blockOf(sectionOf(`docs/migrate/${page}`, half))] as const;
    }),
  );
  expect(typeErrorsOf(new Map(modules))).toBe('');
});
