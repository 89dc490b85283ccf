import { ownValue } from '../safe-read.js';

/** When a page may have missed something. */
const WAKE_UPS = ['visibilitychange', 'pageshow', 'resume', 'online'] as const;

/** What other tabs tell, and what this one does. Listeners and a channel are there while anybody follows. */
export interface WebNews {
  follow(listener: () => void): () => void;
  /** A generation was written here. */
  tell(generation: number): void;
}

/**
 * News that are hints alone: they may come late, twice, forged or not at all, and say no more than a generation's number.
 * `isAbout` picks the storage events that matter.
 */
export function webNews(name: string, isAbout: (event: StorageEvent) => boolean): WebNews {
  const listeners = new Set<() => void>();
  let channel: BroadcastChannel | undefined;
  const hint = (): void => {
    for (const listener of [...listeners]) listener();
  };
  const onStorage = (event: StorageEvent): void => {
    if (isAbout(event)) hint();
  };

  function begin(): void {
    // Capturing at the window comes first: when the app hears of the same event, the session is up to date.
    addEventListener('storage', onStorage, true);
    for (const type of WAKE_UPS) addEventListener(type, hint, true);
    try {
      channel = new BroadcastChannel(name);
      channel.onmessage = ({ data }: MessageEvent) => {
        if (ownValue(data, 'v') === 1 && Number.isSafeInteger(ownValue(data, 'generation'))) hint();
      };
    } catch {
      // The events are left.
    }
  }
  function end(): void {
    removeEventListener('storage', onStorage, true);
    for (const type of WAKE_UPS) removeEventListener(type, hint, true);
    channel?.close();
    channel = undefined;
  }

  return {
    follow(listener) {
      // On a server there is nobody to hear from.
      if (typeof addEventListener !== 'function') return () => undefined;
      const entry = (): void => {
        listener();
      };
      if (listeners.size === 0) begin();
      listeners.add(entry);
      return () => {
        if (listeners.delete(entry) && listeners.size === 0) end();
      };
    },
    tell(generation) {
      hint();
      try {
        channel?.postMessage({ v: 1, generation });
      } catch {
        // As above.
      }
    },
  };
}
