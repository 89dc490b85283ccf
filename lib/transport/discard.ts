import { safeGet } from '../safe-read.js';

/** Destroys a response stream that will not be read. It would keep its socket, and a refresh may need that one. */
export function discard(data: unknown): void {
  const stream = data as {
    on?: (event: string, listener: () => void) => void;
    destroy: () => void;
    cancel: () => Promise<void>;
  };
  if (typeof safeGet(stream, 'destroy') === 'function') {
    // A stream that is destroyed early may emit an error, which without a listener ends the process.
    stream.on?.('error', () => undefined);
    stream.destroy();
  } else if (typeof safeGet(stream, 'cancel') === 'function') {
    void stream.cancel().catch(() => undefined);
  }
}
