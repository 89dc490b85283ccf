import { unwatchFile, watch, watchFile, type FSWatcher } from 'node:fs';
import { basename, dirname } from 'node:path';

const POLL_MS = 1_000;

/**
 * Calls `onChange` when the file may have been replaced, also more than once; holds no process. Where its directory cannot be watched, or is not there
 * yet, the file is looked at once a second.
 */
export function watchPath(file: string, onChange: () => void): () => void {
  const hint = (): void => {
    onChange();
  };
  const poll = (): void => {
    watchFile(file, { persistent: false, interval: POLL_MS }, hint);
  };
  let isStopped = false;
  let watcher: FSWatcher | undefined;
  try {
    // The file itself is another one after each write.
    watcher = watch(dirname(file), { persistent: false }, (_event, name) => {
      if (name === null || name === basename(file)) hint();
    });
    watcher.on('error', () => {
      watcher?.close();
      if (!isStopped) poll();
    });
  } catch {
    poll();
  }
  return () => {
    isStopped = true;
    watcher?.close();
    unwatchFile(file, hint);
  };
}
