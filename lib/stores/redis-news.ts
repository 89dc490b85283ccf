import type { Redis } from './redis-client.js';

/** What is heard over one connection, which is there while anybody listens. */
export interface RedisNews {
  /** True once Redis has said that it sends us what there is to hear. */
  readonly isHeard: boolean;
  /** `onMessage` is given undefined when some may have been missed: the connection is there (again). Returns the way to stop. */
  listen(onMessage: (message: string | undefined) => void): () => void;
}

export function redisNews(redis: Redis, channels: readonly string[]): RedisNews {
  const listeners = new Set<{ readonly onMessage: (message: string | undefined) => void }>();
  let close: (() => void) | undefined;
  let isHeard = false;
  const tell = (message: string | undefined): void => {
    for (const { onMessage } of listeners) onMessage(message);
  };
  return {
    get isHeard() {
      return isHeard;
    },
    listen(onMessage) {
      const entry = { onMessage };
      listeners.add(entry);
      close ??= redis.listen(channels, tell, () => {
        isHeard = close !== undefined;
        tell(undefined);
      });
      return () => {
        listeners.delete(entry);
        if (listeners.size > 0) return;
        close?.();
        close = undefined;
        isHeard = false;
      };
    },
  };
}
