// x.browser.ts must export what its sibling x.node.ts exports, with types that fit: all imports name the latter.
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import ts from 'typescript';

const pairs = readdirSync('lib', { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.node.ts'))
  .map((path) => path.slice(0, -'.node.ts'.length));
const code = pairs.map(
  (path, index) =>
    `import * as node${index} from './${path}.node.js';\nimport * as browser${index} from './${path}.browser.js';\n` +
    `export const same${index}: [typeof node${index}, typeof browser${index}] = [browser${index}, node${index}];\n`,
);

const { config } = ts.readConfigFile('tsconfig.json', ts.sys.readFile);
const { options } = ts.parseJsonConfigFileContent(config, ts.sys, '.');
const host = ts.createCompilerHost(options);
const file = resolve('lib/same-on-all-platforms.ts');
const { fileExists, getSourceFile } = host;
host.fileExists = (path) => resolve(path) === file || fileExists(path);
host.getSourceFile = (path, ...rest) =>
  resolve(path) === file ? ts.createSourceFile(path, code.join(''), ...rest) : getSourceFile(path, ...rest);

const found = pairs.length > 0 ? ts.getPreEmitDiagnostics(ts.createProgram([file], options, host)) : [];
if (found.length > 0) console.error(ts.formatDiagnostics(found, { ...host, getCanonicalFileName: (path) => path }));
process.exitCode = found.length > 0 ? 1 : 0;
