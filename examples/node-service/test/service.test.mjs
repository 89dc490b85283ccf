import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { startApi } from '../server/limited-api.mjs';

const MAIN = fileURLToPath(new URL('../src/main.mjs', import.meta.url));

async function rig(context, options) {
  const api = await startApi(options);
  const state = await mkdtemp(join(tmpdir(), 'node-service-'));
  context.after(async () => {
    api.close();
    await rm(state, { recursive: true });
  });
  /** Runs the service to its end. `onLine` sees every line of its log. */
  const run = (onLine = () => {}, env = {}) =>
    new Promise((resolve) => {
      const service = spawn(process.execPath, [MAIN], { env: { ...process.env, ...api.env, STATE: state, ...env } });
      const lines = [];
      let text = '';
      let warnings = '';
      service.stderr.on('data', (chunk) => (warnings += chunk));
      service.stdout.on('data', (chunk) => {
        const parts = (text + chunk).split('\n');
        text = parts.pop();
        for (const line of parts.map((part) => JSON.parse(part))) {
          lines.push(line);
          onLine(line, service);
        }
      });
      service.on('close', (code) => resolve({ code, lines, warnings, last: lines.at(-1) }));
    });
  return { api, state, run };
}

test('500 calls against 100 a second: none is lost, tokens expire in the middle, and progress is shown', async (context) => {
  const { api, state, run } = await rig(context, { lifetimeS: 2 });
  const { code, lines, warnings, last } = await run();

  assert.deepEqual([code, warnings], [0, '']);
  assert.deepEqual([last.msg, last.fetched], ['finished', 500]);
  assert.equal(api.counts.served, 500);
  assert.ok(api.counts.refused < 100, `${api.counts.refused} calls were refused`);
  assert.ok(api.counts.tokens >= 2, 'a token expired during the run');
  assert.deepEqual(
    lines.filter(({ msg }) => msg === 'progress').map(({ done }) => done),
    [50, 100, 150, 200, 250, 300, 350, 400, 450, 500],
  );
  assert.equal((await stat(join(state, 'session.json'))).mode & 0o777, 0o600);
});

test('SIGTERM stops it at once, and the next run continues with the same token', async (context) => {
  const { api, state, run } = await rig(context, { lifetimeS: 600 });
  const stopped = await run(({ msg }, service) => msg === 'progress' && service.kill('SIGTERM'));
  assert.deepEqual([stopped.code, stopped.last.msg], [0, 'stopped']);
  const { fetched } = stopped.last;
  assert.ok(fetched >= 50 && fetched < 500, `${fetched} were fetched`);
  assert.equal(JSON.parse(await readFile(join(state, 'progress.json'), 'utf8')).length, fetched);

  const next = await run();
  assert.deepEqual([next.code, next.last.msg, next.last.fetched], [0, 'finished', 500 - fetched]);
  assert.equal(api.counts.tokens, 1);
});

test('Ctrl+C that arrives twice stops it as well, and the progress is kept', async (context) => {
  const { state, run } = await rig(context);
  const stopped = await run(({ msg }, service) => {
    if (msg !== 'progress') return;
    service.kill('SIGINT');
    service.kill('SIGINT');
  });
  assert.deepEqual([stopped.code, stopped.last.msg], [0, 'stopped']);
  assert.equal(JSON.parse(await readFile(join(state, 'progress.json'), 'utf8')).length, stopped.last.fetched);
});

test('a wrong secret is logged, without the secret', async (context) => {
  const { run } = await rig(context);
  const { code, lines, last } = await run(undefined, { CLIENT_SECRET: 'canary' });
  assert.equal(code, 1);
  assert.deepEqual([last.msg, last.code], ['the sync failed', 'ERR_AUTH_REFRESH_FAILED']);
  const text = JSON.stringify(lines);
  for (const secret of ['canary', Buffer.from('nightly-sync:canary').toString('base64')])
    assert.ok(!text.includes(secret));
});
