import { safeGet } from '../safe-read.js';

/** Ends a refused answer that nobody will read: it holds its socket, and with few sockets starves the refresh. */
export function discard(data: unknown): void {
  const stream = data as {
    on?: (event: string, listener: () => void) => void;
    destroy: () => void;
    cancel: () => Promise<void>;
  };
  if (typeof safeGet(stream, 'destroy') === 'function') {
    // Destroyed before its end it complains, to nobody.
    stream.on?.('error', () => undefined);
    stream.destroy();
  } else if (typeof safeGet(stream, 'cancel') === 'function') {
    void stream.cancel().catch(() => undefined);
  }
}
