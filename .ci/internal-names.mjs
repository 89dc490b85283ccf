// Members of lib/ that no app and no other copy of the package can reach. The build shortens their names, too.
import { existsSync, readFileSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import ts from 'typescript';

const LIB = resolve('lib') + sep;
/** Long names of members whose objects never leave lib/: an array. */
const FILE = '.ci/internal-names.json';
/**
 * Objects of these types pass between copies of the package, which may be of different versions: stores, sessions and
 * throttles that one copy makes and another one uses.
 */
const SHARED_BY_COPIES = [
  ...[
    'Session',
    'SessionInstance',
    'ClientProvider',
    'SessionState',
    'SessionStateDeps',
    'MemoryState',
    'SessionStore',
  ],
  ...['Throttle', 'GivenThrottle', 'ThrottlePolicy', 'LimitQueue', 'QueuedCall', 'Permit'],
  ...['Clock', 'Refusal', 'RetryPolicy', 'AuthError'],
];

/**
 * The internal names of lib/, and the reasons to exclude a name: an export leads to such a member, other code than lib/ declares it, or it
 * is read by its name in quotes.
 */
export function readInternalNames() {
  const internal = existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')) : [];
  if (internal.length === 0) return { internal: new Set(), wrong: [] };
  const { config } = ts.readConfigFile('tsconfig.build.json', ts.sys.readFile);
  const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, process.cwd());
  const program = ts.createProgram(fileNames, options);
  const checker = program.getTypeChecker();
  const isOurs = (node) => node.getSourceFile().fileName.startsWith(LIB);
  const own = new Set();
  const other = new Set();

  /** Records a name by the declaration of its member. An object of unknown type may be anything. */
  const note = (name, declarations) => {
    const isInternal = declarations?.length > 0 && declarations.every((each) => isOurs(each) && !isShared(each));
    (isInternal ? own : other).add(name);
  };
  const visit = (node) => {
    // A member that is read by its name in quotes keeps the name.
    if (ts.isStringLiteralLike(node)) other.add(node.text);
    const [name, owner] = memberOf(node, checker);
    if (name && ts.isIdentifier(name)) {
      const symbol = owner ? owner.getProperty(name.text) : checker.getSymbolAtLocation(name);
      note(name.text, symbol?.declarations);
    }
    ts.forEachChild(node, visit);
  };
  const sources = program.getSourceFiles().filter(isOurs);
  for (const source of sources) visit(source);
  for (const name of exportedNames(sources, checker, isOurs)) other.add(name);
  const wrong = [
    ...internal
      .filter((name) => other.has(name))
      .map((name) => `${name} is not internal: an app or another copy may meet it`),
    ...internal.filter((name) => !own.has(name)).map((name) => `${name} is internal, but lib/ declares it nowhere`),
  ];
  return { internal: new Set(internal), wrong };
}

function isShared(node) {
  const owner = ts.findAncestor(node, (each) => ts.isClassLike(each) || ts.isInterfaceDeclaration(each));
  return SHARED_BY_COPIES.includes(owner?.name?.text);
}

/** The name of the member that a node declares or reads, and the type that has it, unless the name itself leads there. */
function memberOf(node, checker) {
  if (ts.isPropertyAccessExpression(node)) return [node.name];
  if (ts.isBindingElement(node) && ts.isObjectBindingPattern(node.parent))
    return [node.propertyName ?? node.name, checker.getTypeAtLocation(node.parent)];
  if (ts.isObjectLiteralElement(node)) {
    const expected = checker.getContextualType(node.parent);
    return [node.name, node.name && expected?.getProperty(node.name.getText()) && expected];
  }
  const isDeclared =
    ts.isClassElement(node) ||
    ts.isTypeElement(node) ||
    (ts.isParameter(node) && ts.isParameterPropertyDeclaration(node, node.parent));
  return isDeclared ? [node.name] : [];
}

/** The names of all members of everything that an entry exports, and of the types that these mention. */
function exportedNames(sources, checker, isOurs) {
  const names = new Set();
  const seen = new Set();
  const walk = (symbol) => {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    if (seen.has(target)) return;
    seen.add(target);
    for (const declaration of target.declarations ?? []) if (isOurs(declaration)) read(declaration);
  };
  const read = (node) => {
    if (ts.isBlock(node) || ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private) return;
    if (node.name && ts.isIdentifier(node.name)) names.add(node.name.text);
    const symbol = ts.isIdentifier(node) ? checker.getSymbolAtLocation(node) : undefined;
    if (symbol) walk(symbol);
    ts.forEachChild(node, read);
  };
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
  const entries = Object.keys(exports).map((path) => resolve('lib', path === '.' ? 'index' : path));
  for (const source of sources.filter(({ fileName }) => entries.includes(fileName.replace(/\.tsx?$/, ''))))
    for (const symbol of checker.getExportsOfModule(checker.getSymbolAtLocation(source))) walk(symbol);
  return names;
}
