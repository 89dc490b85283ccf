import { join } from 'node:path';
import ts from 'typescript';

const ROOT = join(__dirname, '../..');
const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  jsx: ts.JsxEmit.ReactJSX,
  strict: true,
  allowJs: true,
  checkJs: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  verbatimModuleSyntax: true,
  noEmit: true,
  skipLibCheck: true,
  types: ['node', 'jest'],
  // Without a prototype: TypeScript enumerates the keys, polluted ones included.
  paths: Object.assign(Object.create(null), {
    'axios-attach-auth': [join(ROOT, 'lib/index.ts')],
    'axios-attach-auth/*': [join(ROOT, 'lib/*.ts'), join(ROOT, 'lib/*.tsx')],
  }) as ts.MapLike<string[]>,
};

/** The type errors of modules in memory, by their names, as the compiler prints them. Empty: there are none. */
export function typeErrorsOf(modules: ReadonlyMap<string, string>): string {
  const sources = new Map([...modules].map(([name, source]) => [join(ROOT, '__tests__', name), source]));
  const host = ts.createCompilerHost(OPTIONS);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (file) => sources.has(file) || fileExists(file);
  host.readFile = (file) => sources.get(file) ?? readFile(file);
  host.getSourceFile = (file, ...rest) => {
    const source = sources.get(file);
    if (source === undefined) return getSourceFile(file, ...rest);
    return ts.createSourceFile(file, source, ts.ScriptTarget.ES2022, true);
  };
  const program = ts.createProgram([...sources.keys()], OPTIONS, host);
  const errors = [...sources.keys()].flatMap((file) => {
    const source = program.getSourceFile(file);
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  });
  return ts.formatDiagnostics(errors, { ...host, getCanonicalFileName: (name) => name });
}
