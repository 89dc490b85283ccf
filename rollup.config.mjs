import { readFileSync } from 'node:fs';
import typescript from '@rollup/plugin-typescript';
import { dts } from 'rollup-plugin-dts';

// File path = subpath: `./web` of the exports is lib/web.ts.
const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
const input = Object.fromEntries(
  Object.keys(exports)
    .filter((path) => path !== './package.json')
    .map((path) => (path === '.' ? 'index' : path.slice(2)))
    .map((name) => [name, `lib/${name}.ts`]),
);

const external = (id) => !id.startsWith('.') && !id.startsWith('/');

// One graph for all entries: shared code lands in chunks, or the error classes would exist several times.
const output = (format, extension) => ({
  dir: 'dist',
  format,
  entryFileNames: `[name].${extension}`,
  chunkFileNames: `chunks/[name]-[hash].${extension}`,
  sourcemap: false,
  exports: 'named',
  generatedCode: 'es2015',
});

/** Rollup drops the directive of lib/react.ts. Without it, React Server Components cannot import the file. */
const withDirective = (options) => ({
  ...options,
  banner: ({ name }) => (name === 'react' ? "'use client';" : ''),
});

export default [
  {
    input,
    external,
    onwarn: (warning, warn) => warning.code === 'MODULE_LEVEL_DIRECTIVE' || warn(warning),
    plugins: [
      typescript({ tsconfig: 'tsconfig.build.json', noEmitOnError: true, compilerOptions: { removeComments: true } }),
    ],
    output: [withDirective(output('es', 'mjs')), withDirective(output('cjs', 'cjs'))],
  },
  // ESM and CommonJS consumers resolve types apart: one declaration for each.
  {
    input,
    external,
    plugins: [dts({ tsconfig: 'tsconfig.build.json' })],
    output: [output('es', 'd.mts'), output('es', 'd.cts')],
  },
];
