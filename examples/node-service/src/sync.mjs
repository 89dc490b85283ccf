import { setMaxListeners } from 'node:events';
import { readFile, rename, writeFile } from 'node:fs/promises';

/** Concurrent calls. It need not match the rate limit of the API: attachAuth queues calls that the API would refuse. */
const WORKERS = 20;

/**
 * Fetches orders 1 to `total`, and continues where an earlier run was stopped. Returns how many this run has fetched.
 *
 * @param {AbortSignal} signal ends the run: calls that wait are given up, the progress is kept
 */
export async function syncOrders(api, { total, progressFile, signal, log }) {
  const done = new Set(await readProgress(progressFile));
  const todo = Array.from({ length: total }, (_, index) => index + 1).filter((id) => !done.has(id));
  const startedAt = Date.now();
  // Node warns from eleven listeners on: each call under way has some.
  setMaxListeners(WORKERS * 3, signal);
  let fetched = 0;

  async function work() {
    while (todo.length > 0 && !signal.aborted) {
      const id = todo.shift();
      await api.get(`/orders/${id}`, { signal });
      done.add(id);
      fetched++;
      if (fetched % 50 === 0)
        log.info({ done: done.size, total, seconds: (Date.now() - startedAt) / 1000 }, 'progress');
    }
  }
  const results = await Promise.allSettled(Array.from({ length: WORKERS }, work));
  await writeProgress(progressFile, done.size < total ? [...done] : []);

  const failed = results.find(({ status }) => status === 'rejected');
  if (failed && !signal.aborted) throw failed.reason;
  return fetched;
}

async function readProgress(path) {
  const text = await readFile(path, 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return '[]';
    throw error;
  });
  return JSON.parse(text);
}

/** A crash leaves the old file or the new one. */
async function writeProgress(path, ids) {
  await writeFile(`${path}.new`, JSON.stringify(ids));
  await rename(`${path}.new`, path);
}
