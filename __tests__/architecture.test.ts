import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, sep } from 'node:path';
import ts from 'typescript';

const LIB = join(__dirname, '../lib');

/**
 * The layers. A part is a folder of lib/ or a file beside the folders. Imports lead to the same part or further down. Parts of one floor
 * import each other only if it says so.
 */
const SUBPATHS = ['web', 'node', 'redis', 'store', 'oauth2', 'react', 'dpop', 'digest', 'sigv4', 'http-signature'];
const FLOORS: readonly { readonly parts: readonly string[]; readonly isOpen?: true }[] = [
  { parts: ['index'] },
  { parts: SUBPATHS },
  { parts: ['stores'] },
  { parts: ['attach-auth'] },
  { parts: ['interceptors'] },
  { parts: ['call', 'attached-instance'], isOpen: true },
  { parts: ['options', 'policy', 'create-throttle'], isOpen: true },
  { parts: ['schemes'] },
  { parts: ['session'] },
  { parts: ['throttle', 'transport'], isOpen: true },
  { parts: ['retry'] },
  { parts: ['http'] },
  { parts: ['crypto-key'] },
  { parts: ['clock', 'events', 'redact', 'errors'], isOpen: true },
  { parts: ['check'] },
  { parts: ['safe-read', 'maybe-promise', 'auth-error-brand', 'fifo', 'weak-list', 'crypto-key'] },
];
const AXIOS_AT_RUN_TIME = /^(?:transport\/|errors\.ts$|attach-auth\.ts$)/;

interface Import {
  readonly from: string;
  readonly to: string;
  readonly isType: boolean;
}
interface Module {
  readonly path: string;
  readonly source: ts.SourceFile;
  readonly imports: readonly Import[];
}

const modules = readdirSync(LIB, { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.tsx?$/.test(path))
  .map((path) => read(path.split(sep).join('/')))
  .sort((one, other) => one.path.localeCompare(other.path));
const paths = new Set(modules.map(({ path }) => path));
const imports = modules.flatMap((module) => module.imports);
const inner = imports.filter(({ to }) => paths.has(to));

function read(path: string): Module {
  const source = ts.createSourceFile(path, readFileSync(join(LIB, path), 'utf8'), ts.ScriptTarget.Latest, true);
  const found: Import[] = [];
  visit(source, (node) => {
    const specifier = specifierOf(node);
    if (specifier !== undefined) found.push({ from: path, to: resolve(path, specifier), isType: isTypeOnly(node) });
  });
  return { path, source, imports: found };
}

/** The module that a node imports from, in each syntax of TypeScript. */
function specifierOf(node: ts.Node): string | undefined {
  let specifier: ts.Node | undefined;
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) specifier = node.moduleSpecifier;
  else if (ts.isExternalModuleReference(node)) specifier = node.expression;
  else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) specifier = node.argument.literal;
  else if (ts.isCallExpression(node) && /^(?:import|require)$/.test(node.expression.getText()))
    specifier = node.arguments[0];
  return specifier && ts.isStringLiteralLike(specifier) ? specifier.text : undefined;
}

/** Only `import type` counts: `import { type … }` still imports at run time. */
function isTypeOnly(node: ts.Node): boolean {
  if (ts.isImportTypeNode(node)) return true;
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  return ts.isImportDeclaration(node) && node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
}

function resolve(from: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts') : specifier;
}

function visit(node: ts.Node, look: (node: ts.Node) => void): void {
  look(node);
  ts.forEachChild(node, (child) => {
    visit(child, look);
  });
}

const partOf = (path: string): string => path.replace(/(?:\/.*|\.tsx?)$/, '');
/** Modules that an app imports by a subpath. */
const isExtra = (path: string): boolean => ['stores', ...SUBPATHS].includes(partOf(path));
const floorOf = (path: string): number => FLOORS.findIndex(({ parts }) => parts.includes(partOf(path)));
const shown = (list: readonly Import[]): string[] => list.map(({ from, to }) => `${from} → ${to}`);

test('every file of lib/ is checked', () => {
  expect([...paths]).toEqual(expect.arrayContaining(['index.ts', 'attach-auth.ts', 'clock.ts', 'errors.ts']));
  expect(inner.length).toBeGreaterThan(modules.length);
});

test('every part of lib/ has its floor', () => {
  expect([...paths].filter((path) => floorOf(path) < 0)).toEqual([]);
});

test('every relative import leads to a file of lib/', () => {
  expect(shown(imports.filter(({ to }) => !paths.has(to) && /^\.|\.ts$/.test(to)))).toEqual([]);
});

test('imports lead downwards only, type imports included', () => {
  const isAllowed = ({ from, to }: Import): boolean => {
    if (partOf(from) === partOf(to)) return true;
    const [floor, other] = [floorOf(from), floorOf(to)];
    return floor === other ? FLOORS[floor]?.isOpen === true : floor < other;
  };
  expect(shown(inner.filter((each) => !isAllowed(each)))).toEqual([]);
});

test('there is no import cycle, type imports included', () => {
  const state = new Map<string, 'open' | 'done'>();
  const circles: string[] = [];
  const walk = (path: string, way: readonly string[]): void => {
    if (state.get(path) === 'done') return;
    if (state.get(path) === 'open') {
      circles.push([...way.slice(way.indexOf(path)), path].join(' → '));
      return;
    }
    state.set(path, 'open');
    for (const { to } of inner.filter(({ from }) => from === path)) walk(to, [...way, path]);
    state.set(path, 'done');
  };
  for (const path of paths) walk(path, []);
  expect(circles).toEqual([]);
});

test('the core imports no integration, and no integration imports an interceptor', () => {
  expect(shown(inner.filter(({ from, to }) => isExtra(to) && !isExtra(from)))).toEqual([]);
  expect(
    shown(
      inner.filter(
        ({ from, to }) =>
          isExtra(from) &&
          to !== 'exchange/report.ts' &&
          /^(?:index|interceptors|exchange|attachment)$/.test(partOf(to)),
      ),
    ),
  ).toEqual([]);
});

test('only transport/, errors.ts and attach-auth.ts import axios at run time', () => {
  const values = imports.filter(({ to, isType }) => /^axios(?:\/|$)/.test(to) && !isType);
  expect(values.length).toBeGreaterThan(0);
  expect(shown(values.filter(({ from }) => !AXIOS_AT_RUN_TIME.test(from)))).toEqual([]);
});

test('the core imports no package but axios, and no module of Node', () => {
  const foreign = imports.filter(({ from, to }) => !paths.has(to) && !isExtra(from));
  expect(new Set(foreign.map(({ to }) => to))).toEqual(new Set(['axios']));
});

test('only clock.ts reads time, random numbers and timers', () => {
  const global = /^(?:(?:globalThis|window|self)\.)?/;
  const sources = new RegExp(
    `${global.source}(?:Date\\.now|Math\\.random|performance\\.now|performance\\.timeOrigin|process\\.(?:hrtime|uptime)|AbortSignal\\.timeout|` +
      'setTimeout|setInterval|setImmediate|requestAnimationFrame|requestIdleCallback)$',
  );
  const found = modules.flatMap(({ path, source }) => {
    const places: string[] = [];
    visit(source, (node) => {
      const isNow = (ts.isNewExpression(node) || ts.isCallExpression(node)) && node.expression.getText() === 'Date';
      const isUnset = isNow && (ts.isCallExpression(node) || (node.arguments?.length ?? 0) === 0);
      const isSource = (ts.isPropertyAccessExpression(node) || isFreeIdentifier(node)) && sources.test(node.getText());
      if (isUnset || isSource) places.push(`${path}: ${node.getText()}`);
    });
    return places;
  });
  expect(found.some((place) => place.startsWith('clock.ts: '))).toBe(true);
  expect(found.filter((place) => !place.startsWith('clock.ts: '))).toEqual([]);
});

/** An identifier that is neither a member nor a key. */
function isFreeIdentifier(node: ts.Node): boolean {
  if (!ts.isIdentifier(node)) return false;
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  return (
    !ts.isPropertyAssignment(parent) &&
    !ts.isMethodDeclaration(parent) &&
    !ts.isPropertySignature(parent) &&
    !ts.isMethodSignature(parent)
  );
}

test('there is no `export *`', () => {
  const stars = modules.filter(({ source }) =>
    source.statements.some(
      (each) => ts.isExportDeclaration(each) && (!each.exportClause || ts.isNamespaceExport(each.exportClause)),
    ),
  );
  expect(stars.map(({ path }) => path)).toEqual([]);
});

// F90. The build assigns fields in constructors: one without a value would be read from a polluted prototype.
test('every class field has an initial value', () => {
  const unset = modules.flatMap(({ path, source }) => {
    const fields: string[] = [];
    visit(source, (node) => {
      if (!ts.isPropertyDeclaration(node) || node.initializer || ts.isPrivateIdentifier(node.name)) return;
      if (node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.DeclareKeyword)) return;
      const constructor = node.parent.members.find(ts.isConstructorDeclaration)?.getText() ?? '';
      if (!constructor.includes(`this.${node.name.getText()} = `)) fields.push(`${path}: ${node.name.getText()}`);
    });
    return fields;
  });
  expect(unset).toEqual([]);
});
