// Checks the built pages: every link to another page, anchor or file leads somewhere. Checks the sources, too: links that
// leave docs/ name a file of the repository.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const docs = fileURLToPath(new URL('.', import.meta.url));
const site = join(docs, '.vitepress/dist');
const dead = [];

/** Not recursive by itself: node_modules has a link to this repository. */
const files = (folder, suffix) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory() && entry.name !== 'node_modules')
      return files(join(folder, entry.name), suffix).map((file) => join(entry.name, file));
    return entry.name.endsWith(suffix) ? [entry.name] : [];
  });
const pages = new Map(files(site, '.html').map((file) => [join(site, file), readFileSync(join(site, file), 'utf8')]));
const anchors = new Map();
for (const [path, html] of pages) anchors.set(path, new Set([...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id)));

let count = 0;
for (const [path, html] of pages) {
  for (const [, href] of html.matchAll(/<a [^>]*?href="([^"]*)"/g)) {
    if (/^(?:[a-z]+:|\/\/)/.test(href)) continue;
    count++;
    const [target, anchor = ''] = decodeURI(href.replaceAll('&amp;', '&')).split('#');
    const file = target === '' ? path : target.startsWith('/') ? join(site, target) : resolve(dirname(path), target);
    const page = [file, `${file}.html`, join(file, 'index.html')].find((each) => pages.has(each));
    const isThere = page ? anchor === '' || anchors.get(page).has(anchor) : existsSync(file) && anchor === '';
    if (!isThere) dead.push(`${relative(site, path)}: ${href}`);
  }
}

for (const file of files(docs, '.md')) {
  if (/^(?:reference|\.vitepress)\//.test(file)) continue;
  for (const [, target] of readFileSync(join(docs, file), 'utf8').matchAll(/\]\((\.\.?\/[^)#]*)/g)) {
    count++;
    if (!existsSync(resolve(docs, dirname(file), target))) dead.push(`docs/${file}: ${target}`);
  }
}

console.log(`${String(pages.size)} pages, ${String(count)} links, ${String(dead.length)} dead`);
for (const each of dead) console.error(`dead: ${each}`);
if (dead.length > 0 || pages.size < 10) process.exitCode = 1;
