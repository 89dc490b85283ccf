import { unwatchFile, watch, watchFile, type FSWatcher } from 'node:fs';
import { basename, dirname } from 'node:path';

const POLL_MS = 1_000;

/**
 * Calls `onChange` when the file may have been replaced or removed, sometimes more than once. It does not keep the process alive. If the
 * directory cannot be watched or does not exist, the file is checked once a second.
 */
export function watchPath(file: string, onChange: () => void): () => void {
  // One file may be watched several times, and each watch ends by itself.
  const changed = (): void => {
    onChange();
  };
  const poll = (): void => {
    watchFile(file, { persistent: false, interval: POLL_MS }, changed);
  };
  let isStopped = false;
  let watcher: FSWatcher | undefined;
  try {
    // The directory, since each write replaces the file by another one.
    watcher = watch(dirname(file), { persistent: false }, (_event, name) => {
      if (name === null || name === basename(file)) changed();
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
    unwatchFile(file, changed);
  };
}
