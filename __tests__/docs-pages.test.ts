import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import axios, { type AxiosInstance } from 'axios';
import * as React from 'react';
import { renderToString } from 'react-dom/server';
import ts from 'typescript';
import * as core from '../lib/index.js';
import { resolveOptions } from '../lib/policy.js';
import { codeOf, ROOT, runBlock, typeErrors } from './support/page-code.js';
import { isFull } from './support/rounds.js';

const DOCS = join(ROOT, 'docs');
/** The guides and the playground are checked by suites of their own. */
const pages = ['.', 'schemes']
  .flatMap((folder) => readdirSync(join(DOCS, folder)).map((name) => join(folder, name)))
  .filter((path) => path.endsWith('.md') && path !== 'playground.md')
  .map((path) => join(DOCS, path))
  .sort();
const README = join(ROOT, 'README.md');
const blocks = [README, ...pages].flatMap(codeOf);

describe('the code of the pages', () => {
  (isFull ? test : test.skip)('type-checks under strict', () => {
    expect(typeErrors(blocks)).toBe('');
  });

  describe('runs', () => {
    let state: string;
    const { adapter } = axios.defaults;
    beforeAll(() => {
      state = mkdtempSync(join(tmpdir(), 'pages-'));
    });
    afterAll(() => {
      rmSync(state, { recursive: true });
    });
    beforeEach(() => {
      Object.assign(process.env, { STATE_DIRECTORY: state, API_KEY: 'k', SESSION_KEY: '5a'.repeat(32) });
      jest.spyOn(console, 'info').mockImplementation();
    });
    afterEach(() => {
      for (const name of ['STATE_DIRECTORY', 'API_KEY', 'SESSION_KEY']) Reflect.deleteProperty(process.env, name);
      if (adapter) axios.defaults.adapter = adapter;
      jest.restoreAllMocks();
    });

    // docs-schemes.test.ts runs those of docs/schemes, against servers that verify requests.
    const runnable = blocks.filter(
      ({ isRun, page }) => isRun && !/schemes\/(?:digest|dpop|http-signature|sigv4)/.test(page),
    );
    test.each(runnable.map((block) => [block.name, block] as const))('%s', async (_, block) => {
      const { instance, exports, disposals, tests, seen } = await runBlock(block);
      const wire = [...seen];
      for (const run of tests) await run();
      // A call of the instance of the block succeeds.
      const apiFor = exports['apiFor'] as ((token: string) => AxiosInstance) | undefined;
      const attached = instance ?? apiFor?.('token-0');
      if (attached && tests.length === 0) {
        await attached.get('/after');
        expect(seen.at(-1)).toBe('200 /after');
      }
      const { apiWith } = exports as { apiWith?: (cookies: object, setCookies: (tokens: object) => void) => AppOfPage };
      if (apiWith) {
        const setCookies = jest.fn();
        await apiWith({ accessToken: 'old', refreshToken: 'r1' }, setCookies).api.get('/after');
        expect(seen).toEqual(['401 /after', '200 /auth/refresh', '200 /after']);
        expect(setCookies).toHaveBeenCalledTimes(1);
      }
      const { Account } = exports as { Account?: React.FC };
      if (Account) expect(renderToString(React.createElement(Account))).toMatch(/Sign (in|out)/);
      for (const dispose of disposals) dispose();
      for (const [part, expected] of Object.entries(WIRE))
        if (block.text.includes(part)) expect(wire).toEqual(expected);
    });
  });
});

interface AppOfPage {
  readonly api: AxiosInstance;
}

/** The requests of some blocks, by a part of their text. */
const WIRE: Record<string, string[]> = {
  "const { data: me } = await api.get('/me');": ['401 /me', '200 /auth/refresh', '200 /me'],
  'const five = await': [
    ...['/a', '/b', '/c', '/d', '/e'].map((path) => `401 ${path}`),
    '200 /auth/refresh',
    ...['/a', '/b', '/c', '/d', '/e'].map((path) => `200 ${path}`),
  ],
  "console.info('Show the login again.')": ['200 /login', '200 /me'],
  "'X-CSRF-Token', token": ['419 /orders', '200 /csrf', '200 /orders'],
  "await api.get('/account')": ['401 /account', '200 /login', '200 /account'],
  'await current.run(sessionOf': ['200 /auth/refresh', '200 /me'],
};

/** The anchor of a heading on GitHub and on the site. */
function slugOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_\- ]/gu, '')
    .replaceAll(' ', '-');
}

function withoutCode(text: string): string {
  return text.replace(/^```[^]*?^```$/gm, '');
}

const guides = readdirSync(join(DOCS, 'migrate')).map((name) => join(DOCS, 'migrate', name));
const texts = [
  ...['CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'llms.txt', 'docs/playground.md'].map((name) =>
    join(ROOT, name),
  ),
  ...guides,
  README,
  ...pages,
];

describe.each(texts.map((path) => [relative(ROOT, path), path] as const))('%s', (name, path) => {
  const text = readFileSync(path, 'utf8');

  test('links to pages, headings and files that exist', () => {
    const dead = [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^(?:https?:|mailto:)/.test(target))
      .filter((target) => {
        const [file = '', anchor] = target.split('#');
        const found = file === '' ? path : resolve(dirname(path), file);
        // TypeDoc writes it.
        if (found.startsWith(join(DOCS, 'reference'))) return false;
        if (!existsSync(found)) return true;
        if (anchor === undefined) return false;
        const headings = [...withoutCode(readFileSync(found, 'utf8')).matchAll(/^#+ (.*)$/gm)];
        return !headings.some(([, heading = '']) => slugOf(heading) === anchor);
      });
    expect(dead).toEqual([]);
  });

  test('has no table cell above 120 characters', () => {
    const cells = text
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .flatMap((line) => line.split(/(?<!\\)\|/))
      .map((cell) => cell.trim())
      .filter((cell) => !/^:?-+:?$/.test(cell));
    expect(cells.filter((cell) => cell.length > 120)).toEqual([]);
  });

  if (pages.includes(path)) {
    test('begins with a paragraph and a block of code', () => {
      const [intro = ''] = text.replace(/^# .*\n/, '').split(/^## /m);
      expect(text).toMatch(/^# \S/);
      expect(intro.trim()).toMatch(/^[A-Z`]/);
      expect(intro).toMatch(/^```\w/m);
    });
  }
});

describe('the facts on the pages', () => {
  const pageOf = (name: string): string => readFileSync(join(DOCS, name), 'utf8').replace(/ +/g, ' ');
  const { options, words, events } = declarations();

  test.each(options)('options.md has a row for %s', (_, name) => {
    expect(pageOf('options.md')).toMatch(new RegExp(`^\\| (?:\`[^|]*)?\`?\\b${name}\\b`, 'm'));
  });

  test.each(words)('errors.md explains %s %s', (_, word) => {
    expect(pageOf('errors.md')).toMatch(new RegExp(`^(?:## |\\| \`)${word}\\b`, 'm'));
  });

  test.each(events)('observability.md has the event %s with its fields', (type, fields) => {
    const [, row = ''] =
      new RegExp(`^\\| \`${type}\` \\|[^|]*\\| (.*) \\|$`, 'm').exec(pageOf('observability.md')) ?? [];
    expect(row).toBe(fields.map((field) => `\`${field}\``).join(', '));
  });

  const fields = [...new Set(events.flatMap(([, names]) => names.map((name) => name.replace('?', ''))))];
  test.each(fields)('observability.md explains the field %s', (field) => {
    expect(pageOf('observability.md')).toMatch(new RegExp(`^\\| \`${field}\` \\|`, 'm'));
  });

  test.each(Object.keys(core).filter((name) => name !== 'AuthError'))('a page shows %s', (name) => {
    expect(blocks.some(({ text }) => new RegExp(`\\b${name}\\b`).test(text))).toBe(true);
  });

  test('options.md has the defaults of the code', () => {
    const { retry, deadlineMs } = resolveOptions({ scheme: core.apiKey('k') });
    for (const row of [
      `| \`maxAttempts\` | \`${String(retry.maxAttempts)}\``,
      `| \`maxThrottledAttempts\` | \`${String(retry.maxThrottledAttempts)}\``,
      `| \`statuses\` | ${[...retry.statuses].join(', ')}`,
      `| \`methods\` | ${[...retry.methods].join(', ')}`,
      `| \`baseDelayMs\` | \`${String(retry.baseDelayMs)}\``,
      `| \`maxDelayMs\` | \`${String(retry.maxDelayMs)}\``,
      `| \`maxRetryAfterMs\` | \`${String(retry.maxRetryAfterMs)}\``,
      `| \`deadlineMs\` | \`${String(deadlineMs)}\``,
    ]) {
      expect(pageOf('options.md')).toContain(row);
    }
  });
});

/** Declarations in the sources: fields of options, words of unions, and events with their fields. */
function declarations() {
  const options: [name: string, field: string][] = [];
  const words: [name: string, word: string][] = [];
  const events: [type: string, fields: string[]][] = [];
  const interfaces = [
    'AttachAuthOptions',
    'RetryOptions',
    'ThrottleOptions',
    'RequestAuthOptions',
    'BearerOptions',
    'RefreshContext',
    'HmacOptions',
  ];
  const literalsOf = (of: ts.Node): string[] =>
    ts.isStringLiteral(of) ? [of.text] : of.getChildren().flatMap(literalsOf);
  const visit = (of: ts.Node): void => {
    if (ts.isInterfaceDeclaration(of) && interfaces.includes(of.name.text))
      for (const { name } of of.members)
        if (name && ts.isIdentifier(name)) options.push([`${of.name.text}.${name.text}`, name.text]);
    if (ts.isTypeAliasDeclaration(of) && ['AuthErrorCode', 'SettleReason'].includes(of.name.text))
      for (const word of literalsOf(of.type)) words.push([of.name.text, word]);
    if (ts.isTypeLiteralNode(of)) {
      const members = of.members.filter(ts.isPropertySignature);
      const type = members.find(({ name }) => name.getText() === 'type')?.type;
      const others = members.filter((member) => member.type !== type);
      const names = others.map(({ name, questionToken }) => name.getText() + (questionToken ? '?' : ''));
      if (type) for (const each of literalsOf(type)) events.push([each, names]);
    }
    ts.forEachChild(of, visit);
  };
  for (const file of [
    'options.ts',
    'errors.ts',
    'events.ts',
    'retry/decide.ts',
    'session/refresh-context.ts',
    'schemes/bearer-session.ts',
    'schemes/hmac.ts',
  ]) {
    const path = join(ROOT, 'lib', file);
    const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022, true);
    visit(source);
  }
  return { options, words, events: events.filter(([type]) => /^[a-z-]+$/.test(type)) };
}
