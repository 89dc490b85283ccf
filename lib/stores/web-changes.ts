import { ownValue } from '../safe-read.js';

/** After these a page may have missed a change. */
const WAKE_UPS = ['visibilitychange', 'pageshow', 'resume', 'online'] as const;

/** The changes of a stored session, by this tab and by others. */
export interface WebChanges {
  /** Event listeners and a channel exist while there are listeners. Each needs a function of its own. */
  readonly listen: (listener: () => void) => () => void;
  /** This tab has written a generation. */
  written(generation: number): void;
}

/**
 * Changes are hints only: they may arrive late, twice, forged or not at all, and contain a generation at most. `isRelevant` selects
 * the storage events of this session.
 */
export function webChanges(name: string, isRelevant: (event: StorageEvent) => boolean): WebChanges {
  const listeners = new Set<() => void>();
  let channel: BroadcastChannel | undefined;
  const emit = (): void => {
    for (const listener of listeners) listener();
  };
  const onStorage = (event: StorageEvent): void => {
    if (isRelevant(event)) emit();
  };

  function start(): void {
    // Captured at the window, before the app's own listeners: these find the session up to date.
    addEventListener('storage', onStorage, true);
    for (const type of WAKE_UPS) addEventListener(type, emit, true);
    try {
      channel = new BroadcastChannel(name);
      channel.onmessage = ({ data }: MessageEvent) => {
        if (ownValue(data, 'v') === 1 && Number.isSafeInteger(ownValue(data, 'generation'))) emit();
      };
    } catch {
      // There is none, or it is forbidden: the events remain.
    }
  }
  function stop(): void {
    removeEventListener('storage', onStorage, true);
    for (const type of WAKE_UPS) removeEventListener(type, emit, true);
    channel?.close();
    channel = undefined;
  }

  return {
    listen(listener) {
      // On a server there are no events.
      if (typeof addEventListener !== 'function') return () => undefined;
      if (listeners.size === 0) start();
      listeners.add(listener);
      return () => {
        if (listeners.delete(listener) && listeners.size === 0) stop();
      };
    },
    written(generation) {
      emit();
      try {
        channel?.postMessage({ v: 1, generation });
      } catch {
        // The page is closing.
      }
    },
  };
}
