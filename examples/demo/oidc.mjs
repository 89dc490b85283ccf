import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const SERVER = fileURLToPath(new URL('oidc-server.mjs', import.meta.url));

/** oidc-provider in its own process, which ends with this one. */
export async function startOidc() {
  const child = fork(SERVER, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const { origin, client, publicClient } = await new Promise((resolve, reject) => {
    child.once('message', ({ ready }) => resolve(ready));
    child.once('exit', (code) => reject(new Error(`oidc-provider ended at once (${code})\n${output}`)));
  });

  const waiting = new Map();
  let asked = 0;
  child.on('message', ({ id, answer, error }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) resolve(answer);
    else reject(new Error(error));
  });
  child.on('exit', (code) => {
    for (const { reject } of waiting.values()) reject(new Error(`oidc-provider ended (${code})\n${output}`));
  });
  const ask = (what, about) =>
    new Promise((resolve, reject) => {
      const id = ++asked;
      waiting.set(id, { resolve, reject });
      child.send({ id, ask: what, about });
    });

  return {
    origin,
    client,
    publicClient,
    mint: (about) => ask('mint', about),
    killAccessToken: (token) => ask('killAccessToken', { token }),
    isGrantAlive: (grantId) => ask('isGrantAlive', { grantId }),
    requireNonces: (areRequired) => ask('requireNonces', { areRequired }),
    log: () => ask('log'),
    clear: () => ask('clear'),
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.disconnect();
      await once(child, 'exit');
    },
  };
}
