import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { startProvider } from '../server/provider.mjs';
import { sealingKey } from '../src/key.mjs';

const MAIN = fileURLToPath(new URL('../src/main.mjs', import.meta.url));

async function rig(context) {
  const provider = await startProvider();
  const config = await mkdtemp(join(tmpdir(), 'cli-'));
  context.after(async () => {
    provider.close();
    await rm(config, { recursive: true });
  });
  const env = { ...process.env, ...provider.env, CONFIG: config, KEYCHAIN: 'off' };
  /** Runs a command of the tool. `onOutput` gets its output so far. */
  const run = (command, onOutput = () => {}) =>
    new Promise((resolve) => {
      const tool = spawn(process.execPath, [MAIN, command], { env });
      let output = '';
      for (const stream of [tool.stdout, tool.stderr]) {
        stream.on('data', (chunk) => {
          output += chunk;
          onOutput(output);
        });
      }
      tool.on('close', (code) => resolve({ code, output: output.trim() }));
    });
  const login = () =>
    run('login', (output) => {
      const [, userCode] = /enter (\S+)\n/.exec(output) ?? [];
      if (userCode && !output.includes('Signed in')) void provider.approveDevice(userCode);
    });
  return { provider, config, run, login };
}

test('log in, five processes at once with a dead token, log out', async (context) => {
  const { provider, config, run, login } = await rig(context);
  assert.deepEqual(await run('whoami'), { code: 1, output: 'You are not signed in: run `orders login`.' });

  const { code, output } = await login();
  assert.match(output, /Signed in\.$/);
  assert.equal(code, 0);

  await provider.revokeAccessTokens();
  const answers = await Promise.all(Array.from({ length: 5 }, () => run('whoami')));
  assert.deepEqual(answers, Array(5).fill({ code: 0, output: 'ada' }));
  assert.deepEqual(provider.counts, { refreshes: 1, revokedGrants: 0 });

  assert.deepEqual(await run('logout'), { code: 0, output: 'Signed out.' });
  assert.equal(provider.counts.revokedGrants, 1);
  assert.equal((await run('whoami')).code, 1);
  assert.equal(provider.counts.refreshes, 1);
  assert.deepEqual(await modes(config), { 'session.json': '600', key: '600' });
});

test('the session file shows no token', async (context) => {
  const { config, login } = await rig(context);
  await login();
  const { tokens } = JSON.parse(await readFile(join(config, 'session.json'), 'utf8'));
  // A token of oidc-provider has 43 characters of base64url. Sealed text is longer, and has another form.
  for (const text of Object.values(tokens)) assert.doesNotMatch(String(text), /^[\w-]{43}$/);
});

test('twenty processes that create the key file at once have one key', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'key-'));
  context.after(() => rm(folder, { recursive: true }));
  const script = `import('${new URL('../src/key.mjs', import.meta.url)}').then(async ({ sealingKey }) => {
    const key = await sealingKey({ service: 'test', keyFile: '${join(folder, 'key')}', hasKeychain: false });
    console.log(key.toString('hex'));
  })`;
  const keys = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const chunks = [];
      for await (const chunk of spawn(process.execPath, ['-e', script]).stdout) chunks.push(chunk);
      return Buffer.concat(chunks).toString().trim();
    }),
  );
  assert.equal(new Set(keys).size, 1);
  assert.match(keys[0], /^[\da-f]{64}$/);
});

test('the key file is used if the keychain refuses', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'key-'));
  context.after(() => rm(folder, { recursive: true }));
  const options = { service: 'axios-attach-auth-example', keyFile: join(folder, 'key') };
  const [one, other] = [await sealingKey(options), await sealingKey(options)];
  assert.equal(one.length, 32);
  assert.deepEqual(one, other);
});

test('a locked keychain that has the key is an error, and no key file is made', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'key-'));
  context.after(() => rm(folder, { recursive: true }));
  let password;
  const open = { getPassword: async () => password, setPassword: async (given) => void (password = given) };
  const locked = { getPassword: () => Promise.reject(new Error('locked')) };
  const options = { service: 'test', keyFile: join(folder, 'config', 'key') };

  const key = await sealingKey({ ...options, keychain: open });
  assert.deepEqual(key, Buffer.from(password, 'base64'));
  await assert.rejects(sealingKey({ ...options, keychain: locked }), /locked/);
  assert.deepEqual(await sealingKey({ ...options, keychain: open }), key);
  await assert.rejects(stat(options.keyFile), { code: 'ENOENT' });
});

async function modes(folder) {
  const entries = ['session.json', 'key'].map(async (name) => [
    name,
    ((await stat(join(folder, name))).mode & 0o777).toString(8),
  ]);
  return Object.fromEntries(await Promise.all(entries));
}
