import { buildSync } from 'esbuild';

/** Loads an ESM-only package, which Jest cannot require. `shared`: packages of which it must not have a copy. */
export function requireEsm(name: string, shared: string[] = []): unknown {
  const built = buildSync({
    entryPoints: [require.resolve(name)],
    bundle: true,
    format: 'cjs',
    platform: 'node',
    external: shared,
    write: false,
  });
  const module = { exports: {} };
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- it is a package that tests depend on anyway
  new Function('module', 'require', built.outputFiles[0]?.text ?? '')(module, require);
  return module.exports;
}
