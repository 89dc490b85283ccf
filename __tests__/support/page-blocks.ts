import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

const ROOT = join(__dirname, '../..');

/** The text of a page below its heading `## name`, up to the next one. */
export function sectionOf(page: string, name: string): string {
  const [, section] = readFileSync(join(ROOT, page), 'utf8').split(`\n## ${name}\n`);
  if (section === undefined) throw new Error(`${page} has no section "${name}"`);
  return section.split(/^## /m)[0]!;
}

/** The first block of TypeScript in a text. */
export function blockOf(text: string): string {
  const [, block] = /^```ts\n(.*?)^```$/ms.exec(text) ?? [];
  if (block === undefined) throw new Error('The section has no block of ts');
  return block;
}

/** The cells of the first table in a text, row by row, without the heading. */
export function rowsOf(text: string): string[][] {
  const lines = text.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** Runs a block as a module, and returns its exports. */
export function runBlock(block: string, modules: (name: string) => unknown): unknown {
  const { outputText } = ts.transpileModule(block, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
  });
  const exports = {};
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the page's own code
  new Function('require', 'exports', outputText)(modules, exports);
  return exports;
}
