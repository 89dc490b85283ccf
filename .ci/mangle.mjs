// The names of private and internal members, and the short names that the build gives them: one table for all builds.
// node .ci/mangle.mjs            adds the names that are missing in .ci/mangle.json, drops those that lib/ no longer has
// node .ci/mangle.mjs --fresh    assigns all short names anew, the shortest to the most frequent name
// node .ci/mangle.mjs --check    fails if the table and lib/ disagree
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { transform } from 'esbuild';
import ts from 'typescript';
import { readInternalNames } from './internal-names.mjs';

const FILE = '.ci/mangle.json';
const LETTERS = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'];
const SHORT = ['', ...LETTERS].flatMap((first) => LETTERS.map((last) => first + last));
/** One underscore. Two of them are a convention of module formats (`__esModule`). */
const PRIVATE = /^_[^_]/;

const readTable = () => (existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')) : {});
const byName = ([one], [other]) => (one < other ? -1 : 1);

/**
 * counts: how often lib/ uses each private name. groups: the private names that one object may have together, those of a
 * class with its bases, of an interface, of a literal. others: all other property names. wrong: what cannot be renamed.
 */
function readNames() {
  const counts = new Map();
  const others = new Set();
  const quoted = new Set();
  const { internal, wrong } = readInternalNames();
  const groups = [];
  const note = (name, group) => {
    if (internal.has(name)) return void counts.set(name, (counts.get(name) ?? 0) + 1);
    if (!PRIVATE.test(name)) return void others.add(name);
    counts.set(name, (counts.get(name) ?? 0) + 1);
    group?.add(name);
  };
  const visit = (node, outer) => {
    const group = opensGroup(node) ? new Set() : outer;
    if (group !== outer) groups.push({ names: group, name: node.name?.getText(), bases: basesOf(node) });
    if (ts.isStringLiteralLike(node) && !ts.isLiteralTypeNode(node.parent)) quoted.add(node.text);
    const name = propertyNameOf(node);
    if (name) note(name.getText(), ts.isPropertyAccessExpression(node) ? undefined : group);
    ts.forEachChild(node, (child) => visit(child, group));
    if (ts.isObjectLiteralExpression(node) && group.size > 0 && node.properties.some(ts.isSpreadAssignment))
      wrong.push(`${[...group].join()}: a spread beside private names may bring others with the same short name`);
  };
  const paths = readdirSync('lib', { recursive: true, encoding: 'utf8' }).filter((path) => /\.tsx?$/.test(path));
  for (const path of paths.sort())
    visit(ts.createSourceFile(path, readFileSync(join('lib', path), 'utf8'), ts.ScriptTarget.Latest, true));

  const inherited = (name) =>
    groups
      .filter((group) => name !== undefined && group.name === name)
      .flatMap(({ names, bases }) => [...names, ...bases.flatMap(inherited)]);
  const all = groups.map(({ names, bases }) => new Set([...names, ...bases.flatMap(inherited)]));
  const declared = new Set(all.flatMap((names) => [...names]));
  for (const name of counts.keys()) {
    if (internal.has(name)) continue;
    if (!declared.has(name)) wrong.push(`${name} is read, but lib/ declares it nowhere`);
    if (quoted.has(name)) wrong.push(`'${name}' in quotes would keep its long name`);
  }
  return { counts, others, wrong, groups: all };
}

function opensGroup(node) {
  return (
    ts.isClassLike(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeLiteralNode(node) ||
    ts.isObjectLiteralExpression(node) ||
    ts.isObjectBindingPattern(node)
  );
}

const basesOf = (node) =>
  (node.heritageClauses ?? []).flatMap(({ types }) => types.map((type) => type.expression.getText()));

/** The property name that a node declares, reads or takes apart. */
function propertyNameOf(node) {
  if (ts.isBindingElement(node))
    return ts.isObjectBindingPattern(node.parent) && !node.dotDotDotToken
      ? (node.propertyName ?? node.name)
      : undefined;
  const isProperty =
    ts.isPropertyAccessExpression(node) ||
    ts.isClassElement(node) ||
    ts.isTypeElement(node) ||
    ts.isObjectLiteralElement(node) ||
    (ts.isParameter(node) && ts.isParameterPropertyDeclaration(node, node.parent));
  return isProperty ? node.name : undefined;
}

/** Private names that never meet on one object may share a short name. Internal names may meet any others. */
const mayShare = (one, other, groups) =>
  PRIVATE.test(one) && PRIVATE.test(other) && !groups.some((group) => group.has(one) && group.has(other));

/** The reasons why this table does not fit these names, or an empty array. */
function problemsOf(table, { counts, others, wrong, groups }) {
  const names = Object.keys(table);
  const meeting = names.flatMap((one) =>
    names
      .filter((other) => one < other && table[one] === table[other] && !mayShare(one, other, groups))
      .map((other) => `${one} and ${other} meet on one object and have one short name`),
  );
  return [
    ...[...counts.keys()].filter((name) => !(name in table)).map((name) => `${name} is not in the table`),
    ...names.filter((name) => !counts.has(name)).map((name) => `${name} is in the table, but not in lib/`),
    ...names.filter((name) => others.has(table[name])).map((name) => `${name}: lib/ has a property ${table[name]}`),
    ...meeting,
    ...wrong,
  ];
}

/**
 * The table for these names. Shared short names compress better. Entries of `before` are kept where they still fit.
 */
function tableFor({ counts, others, groups }, before) {
  const table = {};
  const isFree = (name, short) =>
    !others.has(short) && Object.keys(table).every((other) => table[other] !== short || mayShare(name, other, groups));
  const kept = Object.entries(before).sort(byName);
  for (const [name, short] of kept) if (counts.has(name) && isFree(name, short)) table[name] = short;
  const missing = [...counts]
    .filter(([name]) => !(name in table))
    .sort(byName)
    .sort(([, one], [, other]) => other - one);
  for (const [name] of missing) table[name] = SHORT.find((short) => isFree(name, short));
  return Object.fromEntries(Object.entries(table).sort(byName));
}

/** Rollup plugin: gives private and internal members their short names, and fails if the table does not fit lib/. */
export function mangle() {
  const table = readTable();
  const problems = problemsOf(table, readNames());
  if (problems.length > 0) throw new Error(`${problems.join('\n')}\nRun \`npm run mangle\`.`);
  const names = new RegExp(`${PRIVATE.source}|^(?:${Object.keys(table).join('|')})$`);
  return {
    name: 'mangle',
    async renderChunk(code) {
      const options = { target: 'es2022', mangleProps: names, mangleCache: table, charset: 'utf8' };
      const result = await transform(code, options);
      const unknown = Object.keys(result.mangleCache).filter((name) => !(name in table));
      if (unknown.length > 0) this.error(`The build has private names that lib/ has not: ${unknown.join()}`);
      return { code: result.code, map: null };
    },
  };
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  const before = readTable();
  const names = readNames();
  if (!argv.includes('--check')) {
    const table = tableFor(names, argv.includes('--fresh') ? {} : before);
    writeFileSync(FILE, `${JSON.stringify(table, null, 2)}\n`);
    const changed = Object.keys(table).filter((name) => before[name] !== table[name]);
    console.log(`${Object.keys(table).length} private names, ${changed.length} of them new or changed`);
  }
  const problems = problemsOf(readTable(), names);
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
