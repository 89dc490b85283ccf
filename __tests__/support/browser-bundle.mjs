// Bundles lib/ as the build for browsers does: `x.browser.ts` replaces its sibling `x.node.ts`. Reads the options of esbuild as JSON, and
// writes the bundle. Its own process, since synchronous builds of esbuild take no plugins.
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
