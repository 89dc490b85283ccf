import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type DefaultTheme } from 'vitepress';
import { slugify } from './slugify.mjs';

const DOCS = fileURLToPath(new URL('..', import.meta.url));
const ROOT = resolve(DOCS, '..');

interface Manifest {
  repository?: { url: string };
}
const { repository } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
const repositoryUrl = repository?.url.replace(/^git\+/, '').replace(/\.git$/, '');

/** A group of the sidebar: text and link of each page. */
function group(text: string, pages: readonly (readonly [text: string, link: string])[]): DefaultTheme.SidebarItem {
  return { text, items: pages.map(([text, link]) => ({ text, link })) };
}

export default defineConfig({
  title: 'axios-attach-auth',
  description: 'An axios instance that keeps itself authenticated: one refresh, replayed calls, paced retries.',
  lang: 'en',
  outDir: './.vitepress/dist',
  srcExclude: ['node_modules/**'],
  cleanUrls: false,
  head: [
    ['link', { rel: 'icon', href: 'data:,' }],
    // Some eighty columns of code fit beside the outline.
    ['style', {}, ".vp-doc div[class*='language-'] pre code { font-size: 12.5px }"],
  ],
  markdown: {
    // The same anchors as on GitHub: every page is read in both places.
    anchor: { slugify },
    toc: { slugify },
    config(md) {
      // A link that leaves docs/ leads to the repository. Without its address the text stays.
      md.core.ruler.push('repository-links', ({ tokens, env }) => {
        const { path } = env as { path: string };
        for (const { children } of tokens) {
          let isDropped = false;
          for (const token of children ?? []) {
            if (token.type === 'link_close' && isDropped) {
              isDropped = false;
              token.hidden = true;
              token.type = 'text';
            }
            if (token.type !== 'link_open') continue;
            const target = token.attrGet('href') ?? '';
            if (!target.startsWith('..')) continue;
            const file = resolve(dirname(path), target);
            if (file.startsWith(DOCS)) continue;
            if (repositoryUrl) {
              token.attrSet('href', `${repositoryUrl}/blob/main/${file.slice(ROOT.length + 1)}`);
            } else {
              isDropped = true;
              token.type = 'text';
            }
          }
        }
      });
    },
  },
  vite: {
    // The built package, as an app has it: run `npm run build` in the root first.
    resolve: { dedupe: ['axios'] },
    build: { chunkSizeWarningLimit: 1000 },
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Guide', link: '/guide' },
      { text: 'Options', link: '/options' },
      { text: 'Errors', link: '/errors' },
      { text: 'Reference', link: '/reference/' },
      { text: 'Playground', link: '/playground' },
    ],
    sidebar: [
      group('Start', [
        ['Guide', '/guide'],
        ['On a 401', '/on-a-401'],
        ['On a 429', '/on-a-429'],
        ['Playground', '/playground'],
        ['FAQ', '/faq'],
      ]),
      group('Sessions', [
        ['Sessions in many places', '/stores'],
        ['Many users in one process', '/many-users'],
        ['OAuth 2.0', '/oauth2'],
      ]),
      group('Schemes', [
        ['Schemes', '/schemes/'],
        ['A scheme of your own', '/schemes/your-own'],
        ['DPoP', '/schemes/dpop'],
        ['Digest', '/schemes/digest'],
        ['AWS Signature Version 4', '/schemes/sigv4'],
        ['HTTP message signatures', '/schemes/http-signature'],
      ]),
      group('Where it runs', [
        ['React, Next and server rendering', '/react'],
        ['Node services, batch jobs, CLIs', '/node'],
        ['React Native', '/react-native'],
        ['Workers and Edge', '/workers'],
        ['Bun and Deno', '/bun-deno'],
      ]),
      group('Tasks', [
        ['Uploads', '/uploads'],
        ['In tests', '/in-tests'],
        ['Works with', '/works-with'],
        ['Recipes', '/recipes'],
      ]),
      group('Come from', [
        ['Overview', '/migrate/'],
        ['axios-auth-refresh', '/migrate/axios-auth-refresh'],
        ['axios-retry', '/migrate/axios-retry'],
        ['retry-axios', '/migrate/retry-axios'],
        ['axios-jwt', '/migrate/axios-jwt'],
        ['aws4-axios', '/migrate/aws4-axios'],
        ['Hand-written interceptors', '/migrate/hand-written'],
      ]),
      group('Look up', [
        ['Options', '/options'],
        ['Errors', '/errors'],
        ['Observability', '/observability'],
        ['Security', '/security'],
        ['Compared', '/compared'],
        ['Design', '/design'],
      ]),
      group('Reference', [
        ['axios-attach-auth', '/reference/axios-attach-auth'],
        ...['web', 'node', 'redis', 'store', 'react', 'oauth2', 'dpop', 'digest', 'sigv4', 'http-signature'].map(
          (entry) => [`/${entry}`, `/reference/axios-attach-auth/${entry}`] as const,
        ),
      ]),
    ],
  },
});
