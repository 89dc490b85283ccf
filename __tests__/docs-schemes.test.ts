import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import axios from 'axios';
import ts from 'typescript';
import * as core from '../lib/index.js';
import * as digest from '../lib/digest.js';
import * as sigv4 from '../lib/sigv4.js';
import { KEYS, serveAws } from './support/aws-server.js';
import { serveDigest } from './support/digest-server.js';
import type { Recorder } from './support/serve.js';

const MODULES: Record<string, unknown> = {
  axios: Object.assign({ default: axios }, { __esModule: true }),
  'axios-attach-auth': core,
  'axios-attach-auth/digest': digest,
  'axios-attach-auth/sigv4': sigv4,
};

/** The servers that the examples call. */
const SERVERS: Record<string, () => Promise<Recorder & { verdicts: (string | undefined)[] }>> = {
  'digest.md': () => serveDigest({ algorithms: ['SHA-256'], users: { ada: 'engine' } }),
  'sigv4.md': () => serveAws({ service: 'execute-api', region: 'eu-central-1' }),
};

test.each(Object.keys(SERVERS))('the example of docs/schemes/%s runs', async (page) => {
  const text = readFileSync(join(__dirname, '../docs/schemes', page), 'utf8');
  const [, example] = /^```ts\n(.*?)^```$/ms.exec(text)!;
  const { outputText } = ts.transpileModule(example!, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
  });
  const server = await SERVERS[page]!();
  const said = jest.spyOn(console, 'info').mockImplementation();
  Object.assign(process.env, {
    API_URL: server.origin,
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: KEYS.AKIDEXAMPLE.secret,
  });
  try {
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the page's own code
    const run = new Function('require', 'exports', `return (async () => {${outputText}})()`) as (
      ...given: unknown[]
    ) => Promise<void>;
    await run((name: string) => MODULES[name], {});
    expect(server.verdicts.at(-1)).toBeUndefined();
    expect(said).toHaveBeenCalledTimes(1);
  } finally {
    for (const name of ['API_URL', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'])
      Reflect.deleteProperty(process.env, name);
    said.mockRestore();
    await server.close();
  }
});
