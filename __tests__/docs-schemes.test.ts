import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import axios from 'axios';
import ts from 'typescript';
import * as core from '../lib/index.js';
import { createVerifier, httpbis } from 'http-message-signatures';
import * as digest from '../lib/digest.js';
import * as dpop from '../lib/dpop.js';
import * as httpSignature from '../lib/http-signature.js';
import * as oauth2 from '../lib/oauth2.js';
import * as sigv4 from '../lib/sigv4.js';
import { KEYS, serveAws } from './support/aws-server.js';
import { serveDigest } from './support/digest-server.js';
import { serveDpop } from './support/dpop-server.js';
import type * as esm from './support/esm.js';
import { reply, serve, type Recorder } from './support/serve.js';

const MODULES: Record<string, unknown> = {
  axios: Object.assign({ default: axios }, { __esModule: true }),
  'axios-attach-auth': core,
  'axios-attach-auth/digest': digest,
  'axios-attach-auth/dpop': dpop,
  'axios-attach-auth/http-signature': httpSignature,
  'axios-attach-auth/oauth2': oauth2,
  'axios-attach-auth/sigv4': sigv4,
};

// It is an ES module only, which Jest cannot require.
jest.mock('dpop', () => jest.requireActual<typeof esm>('./support/esm.js').requireEsm('dpop'));

const { privateKey, publicKey } = generateKeyPairSync('ed25519');

/** Verifies message signatures. */
async function serveSignatures(): Promise<Recorder & { verdicts: (string | undefined)[] }> {
  const verdicts: (string | undefined)[] = [];
  const keyLookup = async () => ({ verify: createVerifier(publicKey, 'ed25519') });
  const server = await serve(async (seen, response) => {
    const request = {
      method: seen.method,
      url: server.origin + seen.url,
      headers: seen.headers as Record<string, string>,
    };
    const isValid = await httpbis.verifyMessage({ keyLookup, requiredFields: ['content-digest'] }, request);
    verdicts.push(isValid ? undefined : 'wrong');
    reply(response, 201);
  });
  return Object.assign(server, { verdicts });
}

/** Requires nonces. If it refuses a request, the example fails. */
async function serveTokens(): Promise<Recorder & { verdicts: (string | undefined)[] }> {
  const server = await serveDpop();
  server.nonces = 'required';
  process.env['TOKEN_URL'] = `${server.origin}/token`;
  return Object.assign(server, { verdicts: [] });
}

/** The servers that the examples call. */
const SERVERS: Record<string, () => Promise<Recorder & { verdicts: (string | undefined)[] }>> = {
  'digest.md': () => serveDigest({ algorithms: ['SHA-256'], users: { ada: 'engine' } }),
  'dpop.md': serveTokens,
  'http-signature.md': serveSignatures,
  'sigv4.md': () => serveAws({ service: 'execute-api', region: 'eu-central-1' }),
};

test.each(Object.keys(SERVERS))('the example of docs/schemes/%s runs', async (page) => {
  const text = readFileSync(join(__dirname, '../docs/schemes', page), 'utf8');
  const [, example] = /^```ts\n(.*?)^```$/ms.exec(text)!;
  const { outputText } = ts.transpileModule(example!, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
  });
  const server = await SERVERS[page]!();
  const info = jest.spyOn(console, 'info').mockImplementation();
  Object.assign(process.env, {
    API_URL: server.origin,
    SIGNING_KEY: privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
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
    expect(info).toHaveBeenCalledTimes(1);
  } finally {
    for (const name of ['API_URL', 'TOKEN_URL', 'SIGNING_KEY', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'])
      Reflect.deleteProperty(process.env, name);
    info.mockRestore();
    await server.close();
  }
});
