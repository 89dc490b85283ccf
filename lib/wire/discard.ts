/** Ends a refused answer that nobody will read: it holds its socket, and with few sockets starves the refresh. */
export function discard(data: unknown): void {
  if (typeof data !== 'object' || data === null) return;
  const stream = data as Partial<{
    on: (event: string, listener: () => void) => void;
    destroy: () => void;
    cancel: () => Promise<void>;
  }>;
  if (typeof stream.destroy === 'function') {
    // Destroyed before its end it complains, to nobody.
    stream.on?.('error', () => undefined);
    stream.destroy();
  } else if (typeof stream.cancel === 'function') {
    void stream.cancel().catch(() => undefined);
  }
}
