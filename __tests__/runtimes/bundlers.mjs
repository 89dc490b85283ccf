// Bundles for browsers, each run in a page of Chromium. Some resolvers do not read `exports`, and find subpaths by stub folders.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { execute, needs, NotInstalled } from './tools.mjs';

const require = createRequire(import.meta.url);
const PAGE = `
  import { conformance } from './conformance.mjs';
  import { webStorageStore } from 'axios-attach-auth/web';
  globalThis.run = (options) => conformance({ ...options, store: webStorageStore('session') });`;

let browser;
async function chromium() {
  if (browser) return browser;
  const executablePath = (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'chromium'))
    .find(existsSync);
  if (!executablePath) throw new NotInstalled('chromium is not installed');
  const playwright = require('../../node_modules/playwright-core');
  browser = await playwright.chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  return browser;
}

/** `bundle` gets the entry's path and a folder, and returns the bundle's path. */
const bundler = (name, needed, bundle, adapters = ['xhr', 'fetch']) => ({
  name,
  async run({ api, foreign, pages, here, work }) {
    needs(join(here, 'node_modules', needed), needed);
    const entry = join(work, `page-${name.replaceAll(/\W+/g, '-')}.mjs`);
    writeFileSync(entry, PAGE.replace('./conformance.mjs', '../conformance.mjs'));
    const script = readFileSync(await bundle({ entry, here, out: `${entry.slice(0, -4)}-out` }), 'utf8');

    const page = await (await chromium()).newPage();
    try {
      pages.set('/page', { type: 'text/html', body: '<!doctype html><script type="module" src="/page.js"></script>' });
      pages.set('/page.js', { type: 'text/javascript', body: script });
      const errors = [];
      page.on('pageerror', (error) => errors.push(error));
      const results = [];
      for (const adapter of adapters) {
        await page.goto(`${api}/page`);
        await page.evaluate(() => localStorage.clear());
        if (errors.length > 0) throw errors[0];
        const options = { api, foreign, adapter, build: 'browser', followsInside: adapter === 'xhr' };
        results.push([adapter, await page.evaluate((given) => globalThis.run(given), options)]);
      }
      if (errors.length > 0) throw errors[0];
      return results;
    } finally {
      await page.close();
    }
  },
  close: () => browser?.close().then(() => (browser = undefined)),
});

const vite =
  (name) =>
  async ({ entry, here, out }) => {
    const { build } = await import(name);
    await build({
      ...{ root: here, configFile: false, logLevel: 'error' },
      build: {
        ...{ target: 'es2020', outDir: out, emptyOutDir: true, modulePreload: false },
        rollupOptions: { input: entry, output: { entryFileNames: 'page.js' } },
      },
    });
    return join(out, 'page.js');
  };

/** Not fully specified, as in a webpack without support for `exports`. */
const rules = [{ test: /\.mjs$/, resolve: { fullySpecified: false } }];
const webpack =
  (resolve) =>
  async ({ entry, here, out }) => {
    const { default: compile } = await import('webpack');
    const stats = await new Promise((done, fail) => {
      const config = {
        mode: 'production',
        target: 'web',
        context: here,
        entry,
        output: { path: out, filename: 'page.js' },
        resolve,
        module: { rules },
      };
      compile(config, (error, result) => (error ? fail(error) : done(result)));
    });
    if (stats.hasErrors()) throw new Error(stats.toString({ all: false, errors: true }));
    return join(out, 'page.js');
  };

const metro =
  (unstable_enablePackageExports) =>
  async ({ entry, here, out }) => {
    const { default: Metro } = await import('metro');
    const config = await Metro.loadConfig(
      { cwd: here },
      {
        projectRoot: here,
        watchFolders: [here],
        resolver: {
          unstable_enablePackageExports,
          sourceExts: ['js', 'mjs', 'cjs', 'json'],
          resolverMainFields: ['react-native', 'browser', 'main'],
          useWatchman: false,
          // Metro ignores files below __tests__.
          blockList: [/(?!)/],
        },
        transformer: {
          babelTransformerPath: require.resolve('@react-native/metro-babel-transformer'),
          getTransformOptions: () => ({ transform: {} }),
        },
        reporter: { update: () => undefined },
        cacheStores: [],
      },
    );
    await Metro.runBuild(config, { entry, out, platform: 'web', dev: false, minify: false });
    return `${out}.js`;
  };

export const bundlers = [
  bundler('Vite 5, es2020', 'vite-5', vite('vite-5')),
  bundler('Vite', 'vite', vite('vite')),
  bundler('webpack', 'webpack', webpack({})),
  bundler('webpack, exports off', 'webpack', webpack({ exportsFields: [] })),
  bundler('rollup', 'rollup', async ({ entry, out }) => {
    const { rollup } = await import('rollup');
    const { default: resolve } = await import('@rollup/plugin-node-resolve');
    const { default: commonjs } = await import('@rollup/plugin-commonjs');
    const built = await rollup({ input: entry, plugins: [resolve({ browser: true }), commonjs()] });
    await built.write({ file: `${out}.js`, format: 'es' });
    return `${out}.js`;
  }),
  bundler('esbuild', 'esbuild', async ({ entry, out }) => {
    const { build } = await import('esbuild');
    await build({
      entryPoints: [entry],
      outfile: `${out}.js`,
      bundle: true,
      minify: true,
      format: 'esm',
      target: 'es2020',
    });
    return `${out}.js`;
  }),
  bundler('Parcel, exports off', 'parcel', async ({ entry, here, out }) => {
    const args = ['build', entry, '--dist-dir', out, '--no-cache', '--no-source-maps', '--no-autoinstall'];
    await execute(process.execPath, [join(here, 'node_modules/parcel/lib/bin.js'), ...args], { cwd: here });
    return join(
      out,
      readdirSync(out).find((file) => file.endsWith('js')),
    );
  }),
  bundler('Metro', 'metro', metro(true), ['xhr']),
  bundler('Metro, exports off', 'metro', metro(false), ['xhr']),
];
