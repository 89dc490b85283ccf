// What an app pays for an import: bundled from dist, minified, compressed, without axios. Run the build first.
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Bytes after gzip -9, at most. */
const LIMITS = [
  { what: '{ attachAuth, bearer }', code: "export { attachAuth, bearer } from './dist/index.mjs'", limit: 26_000 },
  { what: 'axios-attach-auth', code: "export * from './dist/index.mjs'", limit: 28_200 },
  { what: 'axios-attach-auth/web', code: "export * from './dist/web.mjs'", limit: 2_250 },
  { what: 'axios-attach-auth/node', code: "export * from './dist/node.mjs'", limit: 3_050 },
  { what: 'axios-attach-auth/redis', code: "export * from './dist/redis.mjs'", limit: 3_750 },
];

/** What must not ride along: names that only stand in the bundle if their code does. */
const ENTRIES = readdirSync(join(root, 'dist'))
  .filter((file) => file.endsWith('.mjs') && !file.endsWith('.d.mts'))
  .map((file) => file.replace('.mjs', ''));
const SCHEMES = ['basic', 'apiKey', 'signed', 'hmac', 'bearer'];

async function bundle(code, minify) {
  const { outputFiles, metafile } = await build({
    stdin: { contents: code, resolveDir: root },
    bundle: true,
    minify,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    external: ['axios', 'node:*'],
    write: false,
    metafile: true,
    logLevel: 'error',
  });
  return { bytes: outputFiles[0].contents, text: outputFiles[0].text, inputs: Object.keys(metafile.inputs) };
}

let failed = 0;
function say(isRight, line) {
  if (!isRight) failed++;
  console.log(`${isRight ? 'ok      ' : 'FAILED  '}${line}`);
}

const kB = (bytes) => `${(bytes / 1000).toFixed(2)} kB`.padStart(9);
for (const { what, code, limit } of LIMITS) {
  const { bytes } = await bundle(code, true);
  const size = gzipSync(bytes, { level: 9 }).length;
  say(
    size <= limit,
    `${what.padEnd(24)} ${kB(bytes.length)} min ${kB(size)} gzip, limit ${kB(limit)} (${String(size)} of ${String(limit)} bytes)`,
  );
}

for (const entry of ENTRIES) {
  const { inputs } = await bundle(`export * from './dist/${entry}.mjs'`, false);
  const others = ENTRIES.filter(
    (other) => other !== entry && inputs.some((input) => input.endsWith(`dist/${other}.mjs`)),
  );
  say(
    others.length === 0,
    `${entry} brings no other entry${others.length > 0 ? `, but brings ${others.join(', ')}` : ''}`,
  );
}
for (const scheme of SCHEMES) {
  const { text } = await bundle(`export { attachAuth, ${scheme} } from './dist/index.mjs'`, false);
  const others = SCHEMES.filter((other) => other !== scheme && new RegExp(`function ${other}\\(`).test(text));
  say(
    others.length === 0,
    `attachAuth with ${scheme} brings no other scheme${others.length > 0 ? `, but brings ${others.join(', ')}` : ''}`,
  );
}
{
  const { text } = await bundle("import './dist/index.mjs'", true);
  say(text.trim().replaceAll(/import ?"axios";?/g, '') === '', 'an import that uses nothing costs nothing');
}

if (failed > 0) process.exitCode = 1;
