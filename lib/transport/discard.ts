import { safeGet } from '../safe-read.js';
import { destroy } from './platform.node.js';

/** Destroys a response stream that will not be read. */
export function discard(data: unknown): void {
  destroy(data);
  if (typeof safeGet(data, 'cancel') === 'function')
    void (data as { cancel: () => Promise<void> }).cancel().catch(() => undefined);
}
