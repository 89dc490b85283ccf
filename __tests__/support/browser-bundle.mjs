// Bundles lib/ as the build for browsers does: `x.browser.ts` in the place of its sibling `x.node.ts`. esbuild's options as
// JSON in, the bundle out. A process of its own, since esbuild runs plugins in no synchronous build.
import { build } from 'esbuild';

const { outputFiles } = await build({
  ...JSON.parse(process.argv[2]),
  ...{ bundle: true, platform: 'browser', target: 'es2022', write: false },
  plugins: [
    {
      name: 'browser-files',
      setup({ onResolve, resolve }) {
        onResolve({ filter: /^\..*\.node\.js$/ }, ({ path, ...from }) =>
          resolve(path.replace(/\.node\.js$/, '.browser.js'), from),
        );
      },
    },
  ],
});
process.stdout.write(outputFiles[0].text);
