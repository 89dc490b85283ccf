import { existsSync, readFileSync, rmSync } from 'node:fs';
import typescript from '@rollup/plugin-typescript';
import { dts } from 'rollup-plugin-dts';
import { mangle } from './.ci/mangle.mjs';

// File path = subpath: `./web` of the exports is lib/web.ts.
const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
const input = Object.fromEntries(
  Object.keys(exports)
    .filter((path) => path !== './package.json')
    .map((path) => (path === '.' ? 'index' : path.slice(2)))
    .map((name) => [name, [`lib/${name}.ts`, `lib/${name}.tsx`].find(existsSync)]),
);
const external = (id) => !id.startsWith('.') && !id.startsWith('/');

const clean = {
  name: 'clean',
  buildStart: () => {
    rmSync('dist', { recursive: true, force: true });
  },
};

/** The build for browsers takes `x.browser.ts` wherever lib/ imports its sibling `x.node.ts`. */
const browserFiles = {
  name: 'browser-files',
  async resolveId(source, importer) {
    if (!source.endsWith('.node.js')) return null;
    const sibling = source.replace(/\.node\.js$/, '.browser.js');
    const resolved = await this.resolve(sibling, importer, { skipSelf: true });
    if (!resolved || resolved.external) this.error(`${source} has no sibling ${sibling}, imported by ${importer}`);
    return resolved;
  },
};

/** Rollup drops `'use client'`. A chunk is one module here, so its directives are written back. */
const directives = {
  name: 'directives',
  transform(code) {
    const [all, found] = /^(?:\/\*.*?\*\/)?((?:\s*(['"])use (?:client|server)\2;?)+)/s.exec(code) ?? [];
    return found ? { code: code.slice(all.length), map: null, meta: { directives: found.trim() } } : null;
  },
  renderChunk(code, { facadeModuleId }) {
    const found = facadeModuleId && this.getModuleInfo(facadeModuleId)?.meta.directives;
    return found ? { code: `${found}\n${code}`, map: null } : null;
  },
};

/** One file for each module: an import then loads only what it needs, and no class exists twice. */
const output = (dir, format, extension) => ({
  dir,
  format,
  preserveModules: true,
  preserveModulesRoot: 'lib',
  entryFileNames: `[name].${extension}`,
  exports: 'named',
  generatedCode: 'es2015',
});

const build = (dir, plugins) => ({
  input,
  external,
  // The same as `sideEffects: false` of package.json.
  treeshake: { moduleSideEffects: false },
  plugins: [
    mangle(),
    ...plugins,
    typescript({ tsconfig: 'tsconfig.build.json', noEmitOnError: true, compilerOptions: { removeComments: true } }),
    directives,
  ],
  output: [output(dir, 'es', 'mjs'), output(dir, 'cjs', 'cjs')],
});

const declarations = (extension) => ({
  dir: 'dist',
  entryFileNames: `[name].${extension}`,
  chunkFileNames: `types/[name]-[hash].${extension}`,
});

export default [
  build('dist', [clean]),
  build('dist/browser', [browserFiles]),
  // ESM and CommonJS consumers resolve types apart: one declaration for each.
  {
    input,
    external,
    plugins: [dts({ tsconfig: 'tsconfig.build.json' })],
    output: [declarations('d.mts'), declarations('d.cts')],
  },
];
