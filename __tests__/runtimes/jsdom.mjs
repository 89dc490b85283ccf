// Jest with jsdom: CommonJS by the condition `browser`, without fetch, TextEncoder and WebCrypto.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execute, needs } from './tools.mjs';

export const jsdom = [
  {
    name: 'Jest with jsdom',
    async run({ api, foreign, here, work }) {
      const bin = needs(join(here, 'node_modules/jest/bin/jest.js'), 'jest');
      needs(join(here, 'node_modules/jest-environment-jsdom'), 'jest-environment-jsdom');
      const { build } = await import('esbuild');
      const bundle = join(work, 'jsdom/conformance.cjs');
      await build({
        entryPoints: [join(here, 'conformance.mjs')],
        outfile: bundle,
        bundle: true,
        format: 'cjs',
        packages: 'external',
      });
      const found = join(work, 'jsdom/results.json');
      const test = (options) => `const { writeFileSync } = require('node:fs');
        const { conformance } = require('./conformance.cjs');
        test('the promises', async () => {
          const results = await conformance(${JSON.stringify(options)});
          writeFileSync(${JSON.stringify(found)}, JSON.stringify(results));
        }, 60_000);`;
      const config = {
        rootDir: join(work, 'jsdom'),
        testEnvironment: 'jsdom',
        testEnvironmentOptions: { url: `${api}/page` },
        testMatch: ['**/*.test.cjs'],
        transform: {},
      };
      // Since 30.5 Jest sets `node` for all that is required, beside `browser`. Those before it took the browser build.
      const browser = join(here, 'node_modules/axios-attach-auth/dist/browser/index.cjs');
      const results = [];
      for (const [build, moduleNameMapper] of [
        ['default', {}],
        ['browser', { '^axios-attach-auth$': browser }],
      ]) {
        const options = { api, foreign, build, followsInside: true };
        writeFileSync(join(work, 'jsdom/conformance.test.cjs'), test(options));
        const args = [bin, '--config', JSON.stringify({ ...config, moduleNameMapper })];
        await execute(process.execPath, args, { cwd: here });
        results.push([`${build} build`, JSON.parse(readFileSync(found, 'utf8'))]);
      }
      return results;
    },
  },
];
