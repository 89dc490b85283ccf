import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROCESS = fileURLToPath(new URL('token-file-process.mjs', import.meta.url));

export const tokenFile = {
  name: 'A token in a file',
  title: 'A token kept in a file, process after process',
  promise:
    'Obtained once, kept with its expiry, found by the next process; rejected, it is refreshed and the call replayed.',
  servedBy: ['api'],
  async run(lab) {
    const directory = await mkdtemp(join(tmpdir(), 'attach-auth-demo-'));
    const file = join(directory, 'session.json');
    try {
      const first = await runProcess('process 1', lab.origin, file);
      const kept = JSON.parse(await readFile(file, 'utf8'));
      const { mode } = await stat(file);
      const second = await runProcess('process 2', lab.origin, file);
      lab.tokens.revokeAccess();
      const third = await runProcess('process 3', lab.origin, file);
      const renewed = JSON.parse(await readFile(file, 'utf8'));

      const sends = (who) => lab.entries.filter(({ call }) => call?.startsWith(who)).map(({ status }) => status);
      const logins = lab.sends('/token').filter(({ isRefresh }) => !isRefresh).length;
      lab.check('process 1 signs in, once', [first, sends('process 1'), logins], [200, [200], 1]);
      lab.checkWithin(
        'the file tells when it expires: in ten minutes',
        kept.tokens.expiresAt - Date.now(),
        590_000,
        600_000,
      );
      if (process.platform !== 'win32') lab.check('only its owner can read it', (mode & 0o777).toString(8), '600');
      lab.check('process 2 finds the token there', [second, sends('process 2')], [200, [200]]);
      lab.check('process 3 is refused, refreshes once, replays', [third, sends('process 3')], [200, [401, 200]]);
      lab.check('and keeps the new token', renewed.tokens.accessToken === kept.tokens.accessToken, false);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};

async function runProcess(who, origin, file) {
  const child = fork(PROCESS, [who, origin, file], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const stop = () => child.kill();
  process.once('exit', stop);
  try {
    const exit = once(child, 'exit');
    const [status] = await Promise.race([once(child, 'message'), exit.then(([code]) => [`exit ${code}`])]);
    await exit;
    return status;
  } finally {
    process.off('exit', stop);
  }
}
