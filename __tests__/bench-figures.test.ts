import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

// README and docs/compared.md state figures of bench/results: `npm run bench:publish` copies them.
test('README and docs/compared.md state the published figures of the bench', () => {
  const program = `
    import { readFileSync } from 'node:fs';
    import { published, read } from './bench/publish.mjs';
    const pages = read();
    const next = published(JSON.parse(readFileSync('bench/results/results.json', 'utf8')), pages);
    const stale = Object.keys(pages).filter((page) => pages[page] !== next[page]);
    if (stale.length > 0) throw new Error('run npm run bench:publish: ' + stale.join(', '));
  `;
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: resolve(__dirname, '..'),
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
});
