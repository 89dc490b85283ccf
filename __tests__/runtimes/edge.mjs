// Runtimes that answer requests: workerd, and Next's two kinds of route.
import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { execute, needs } from './tools.mjs';

const require = createRequire(import.meta.url);
const query = (options) => `?${new URLSearchParams(options)}`;

/** Without `nodejs_compat`. `date` is the compatibility date, which decides on the available APIs. */
const workerd = (name, dateOf) => ({
  name,
  async run({ api, foreign, here, work }) {
    needs(join(here, 'node_modules/miniflare'), 'miniflare');
    const { Miniflare } = await import('miniflare');
    const { build } = await import('esbuild');
    const { outputFiles } = await build({
      stdin: { contents: WORKER, resolveDir: here },
      bundle: true,
      write: false,
      format: 'esm',
      // The same options as wrangler.
      conditions: ['workerd', 'worker', 'browser'],
      platform: 'browser',
      target: 'es2022',
      outdir: work,
    });
    const worker = new Miniflare({ modules: true, script: outputFiles[0].text, compatibilityDate: await dateOf() });
    try {
      const response = await worker.dispatchFetch(`http://worker/${query({ api, foreign, build: 'default' })}`);
      if (!response.ok) throw new Error(await response.text());
      return [['', await response.json()]];
    } finally {
      await worker.dispose();
    }
  },
});

const WORKER = `
  import { conformance } from './conformance.mjs';
  import { standards } from './standards.mjs';
  export default {
    async fetch(request) {
      try {
        const options = Object.fromEntries(new URL(request.url).searchParams);
        return Response.json([...(await conformance(options)), ...(await standards(options))]);
      } catch (error) {
        return new Response(String(error?.stack ?? error), { status: 500 });
      }
    },
  };`;

/** One app with an Edge route and a Node route. Built once, since that takes most of the time. */
const next = {
  name: 'Next, Edge and Node routes',
  async run({ api, foreign, here, work }) {
    const bin = needs(join(here, 'node_modules/next/dist/bin/next'), 'next');
    const app = join(work, 'next-app');
    cpSync(join(here, 'next-app'), app, { recursive: true });
    cpSync(join(here, 'conformance.mjs'), join(app, 'conformance.mjs'));
    const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' };
    await execute(process.execPath, [bin, 'build'], { cwd: app, env });
    const child = execFile(process.execPath, [bin, 'start', '-p', '0', '-H', '127.0.0.1'], { cwd: app, env });
    try {
      const origin = await new Promise((resolve, reject) => {
        let output = '';
        child.stdout.on('data', (text) => {
          output += text;
          const [found] = /http:\/\/127\.0\.0\.1:\d+/.exec(output) ?? [];
          if (found) resolve(found);
        });
        child.once('close', () => reject(new Error(output)));
      });
      const found = [];
      for (const [route, build] of Object.entries({ edge: 'default', node: 'default' })) {
        const response = await fetch(`${origin}/${route}${query({ api, foreign, build })}`);
        if (!response.ok) throw new Error(`${route}: ${response.status} ${await response.text()}`);
        found.push([route, await response.json()]);
      }
      return found;
    } finally {
      child.kill();
    }
  },
};

export const edge = [
  workerd('workerd 2024-01-01', () => '2024-01-01'),
  workerd('workerd, newest date', async () => require('workerd').compatibilityDate),
  next,
];
