import type { Redis } from './redis-client.js';

/** The messages of some channels, over one connection that exists while there are listeners. */
export interface RedisMessages {
  /** True once Redis has confirmed the subscription. */
  readonly isSubscribed: boolean;
  /** Calls `onMessage` with undefined after each (re)connection, since messages may have been missed. Returns the function that stops it. */
  listen(onMessage: (message: string | undefined) => void): () => void;
}

export function redisMessages(redis: Redis, channels: readonly string[]): RedisMessages {
  const listeners = new Set<{ readonly onMessage: (message: string | undefined) => void }>();
  let close: (() => void) | undefined;
  let isSubscribed = false;
  const emit = (message: string | undefined): void => {
    for (const { onMessage } of listeners) onMessage(message);
  };
  return {
    get isSubscribed() {
      return isSubscribed;
    },
    listen(onMessage) {
      const entry = { onMessage };
      listeners.add(entry);
      close ??= redis.listen(channels, emit, () => {
        isSubscribed = close !== undefined;
        emit(undefined);
      });
      return () => {
        listeners.delete(entry);
        if (listeners.size > 0) return;
        close?.();
        close = undefined;
        isSubscribed = false;
      };
    },
  };
}
