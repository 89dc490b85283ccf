import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** A module of the recipes as one script for a page. */
export async function bundle(path) {
  const entryPoints = [fileURLToPath(new URL(`../${path}`, import.meta.url))];
  const define = { 'process.env.NODE_ENV': '"production"' };
  const { outputFiles } = await build({
    entryPoints,
    define,
    bundle: true,
    format: 'esm',
    write: false,
    logLevel: 'error',
  });
  return outputFiles[0].text;
}
