import fs from 'node:fs';
import promises from 'node:fs/promises';
import axios from 'axios';
import { attachAuth, bearer } from '../../lib/index.js';
import { aesGcm, tokenStore, type TokenStore } from '../../lib/store.js';
import { filePort } from '../../lib/stores/file.js';

// A process that shares a session with others through a file. It makes calls on command, and ends with SIGKILL at the named point, between
// two system calls.
const [baseURL = '', file = '', fatal = '', refreshTimeoutMs = '10000', seal = ''] = process.argv.slice(2);

/** Reports its position. A test may stop or kill it there. */
function reach(point: string): void {
  if (point === fatal) process.kill(process.pid, 'SIGKILL');
}

/** Every step that a write takes, before it and after it. */
const isSession = (text: unknown): boolean => typeof text === 'string' && text.startsWith('{');
const { open, rename } = promises;
promises.open = async (...args) => {
  const isDraft = args[1] === 'wx';
  if (isDraft) reach('before the draft');
  const handle = await open(...args);
  if (!isDraft) return handle;
  reach('with an empty draft');
  const { writeFile, sync } = handle;
  handle.writeFile = async (text, ...rest) => {
    if (isSession(text) && fatal === 'with half a draft') await writeFile.call(handle, String(text).slice(0, 50));
    reach('with half a draft');
    await writeFile.call(handle, text, ...rest);
    reach('with a draft');
  };
  handle.sync = async () => {
    await sync.call(handle);
    reach('with a synced draft');
  };
  return handle;
};
promises.rename = async (from, to) => {
  await rename(from, to);
  if (to === file) reach('written');
};
const { renameSync } = fs;
fs.renameSync = (from, to) => {
  reach('before its ticket');
  renameSync(from, to);
  reach('with its ticket');
};

const plain = filePort(file);
const store: TokenStore = {
  ...plain,
  exclusive: async (work, options) => {
    process.send?.({ at: 'waiting' });
    const result = await plain.exclusive?.(async () => {
      reach('in the lock');
      process.send?.({ at: 'holding' });
      const done = await work();
      reach('before unlocking');
      return done;
    }, options);
    return result as Awaited<ReturnType<typeof work>>;
  },
};
const api = axios.create({ baseURL });
const scheme = bearer({
  store: tokenStore(store, seal === '' ? {} : { seal: aesGcm(Buffer.from(seal, 'hex')) }),
  refreshTimeoutMs: Number(refreshTimeoutMs),
  refresh: async ({ refreshToken, client }) => {
    const answer = client.post<{ access_token: string }>('/token', { refresh_token: refreshToken ?? null });
    if (fatal === 'asked') process.send?.({ at: 'asked' });
    const { data } = await answer;
    reach('answered');
    return data;
  },
});
attachAuth(api, { scheme });
process.on('message', () => {
  api.get('/me').then(
    ({ status }) => process.send?.({ status }),
    (error: unknown) => process.send?.({ status: (error as { code?: string }).code }),
  );
});
process.on('disconnect', () => process.exit());
process.send?.({ at: 'ready' });
