import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { buildSync } from 'esbuild';

const ROOT = join(__dirname, '..');
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { exports: Record<string, unknown> };
// fileStore needs Node anyway.
const entries = Object.keys(manifest.exports)
  .filter((path) => path !== './package.json' && path !== './node')
  .map((path) => path.slice(2) || 'index');

const GLOBALS = ['crypto', 'performance', 'document', 'location', 'navigator', 'TextEncoder', 'Buffer', 'fetch', 'URL'];

// F106. Jest with jsdom has no TextEncoder, React Native no crypto, workers no document.
test.each(entries)('lib/%s reads no global of a platform while it loads', (entry) => {
  const { outputFiles } = buildSync({
    stdin: { contents: `export * from './lib/${entry}.js'`, resolveDir: ROOT },
    bundle: true,
    format: 'cjs',
    packages: 'external',
    write: false,
  });
  const exported: Record<string, unknown> = {};
  // Has the globals of the language, these two, and traps for those of platforms.
  const context = createContext({ module: { exports: exported }, require });
  const read: string[] = [];
  for (const name of GLOBALS) Object.defineProperty(context, name, { get: () => void read.push(name) });
  runInContext(outputFiles[0]?.text ?? '', context);
  expect(read).toEqual([]);
  const { module } = context as unknown as { module: { exports: object } };
  expect(Object.keys(module.exports)).not.toEqual([]);
});
