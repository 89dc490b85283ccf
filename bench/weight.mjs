// What an import weighs in an app: bundled, minified and compressed, without axios and other packages.
import { execFileSync } from 'node:child_process';
import { execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Other packages that are installed here, with an import that their README shows. */
const OTHERS = {
  'axios-auth-refresh': `export { createAuthRefresh } from 'axios-auth-refresh'`,
  'axios-retry': `export { default } from 'axios-retry'`,
  'axios-auth-refresh + axios-retry': `export { createAuthRefresh } from 'axios-auth-refresh'; export { default } from 'axios-retry'`,
  'axios-jwt': `export { applyAuthTokenInterceptor, setAuthTokens } from 'axios-jwt'`,
  'retry-axios': `export * from 'retry-axios'`,
};

async function gzipOf(contents, target) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: root },
    ...{ bundle: true, minify: true, target, format: 'esm', platform: 'browser', external: ['axios'] },
    ...{ write: false, logLevel: 'error' },
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).length;
}

export async function weight() {
  const own = JSON.parse(execFileSync(execPath, ['.ci/check-size.mjs', '--json'], { cwd: root, encoding: 'utf8' }));
  const rows = Object.entries(own).map(([what, { gzip, gzip2020 }]) => [what, gzip, gzip2020]);
  for (const [what, code] of Object.entries(OTHERS))
    rows.push([what, await gzipOf(code, 'es2022'), await gzipOf(code, 'es2020')]);
  return {
    title: 'Weight',
    note: 'Bytes after gzip, for the targets es2022 and es2020. Each import by itself, without axios and other packages.',
    columns: ['', 'es2022', 'es2020'],
    rows: rows.map(([what, ...bytes]) => [what.replace(/^[{].*[}]/, '`$&`'), ...bytes.map(String)]),
    charts: [],
    data: rows,
  };
}
