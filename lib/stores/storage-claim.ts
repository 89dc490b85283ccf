import type { Cancel, Clock } from '../clock.js';
import { ownValue } from '../safe-read.js';
import { pause } from './web-locks.js';

/** A claim that was not renewed for so long is void: its tab has crashed. */
const CLAIM_MS = 5_000;
const RENEWAL_MS = 1_500;
const POLL_MS = 50;

/**
 * Runs `work` while a claim under `key` is held, for browsers without Web Locks. It is weaker than a lock. Of concurrent claims the last
 * one wins, and all tabs must see it within `settleMs`. A storage that fails or keeps nothing excludes no tab.
 */
export async function withStorageClaim<T>(
  storage: () => Storage,
  key: string,
  work: () => Promise<T>,
  settleMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<T> {
  const id = clock.random();
  let stopRenewing: Cancel = () => undefined;
  const holder = (): unknown => holderOf(storage().getItem(key), clock.now());
  const claim = (): void => {
    storage().setItem(key, JSON.stringify({ claimant: id, until: clock.now() + CLAIM_MS }));
  };
  const renew = (): void => {
    stopRenewing = clock.after(
      RENEWAL_MS,
      () => {
        ifPossible(() => {
          if (holder() === id) claim();
        });
        renew();
      },
      'idle',
    );
  };
  const acquire = async (): Promise<void> => {
    for (let found = holder(); found !== id; found = holder()) {
      if (found === undefined) claim();
      // The storage keeps nothing.
      if (holder() === undefined) return;
      await pause(found === undefined ? settleMs : POLL_MS, clock, signal);
    }
    renew();
  };
  try {
    await acquire().catch(() => {
      signal.throwIfAborted();
    });
    return await work();
  } finally {
    stopRenewing();
    ifPossible(() => {
      if (holder() === id) storage().removeItem(key);
    });
  }
}

/** Returns undefined if no claim is valid. One that lasts too long was made before the clock was set back. */
function holderOf(text: string | null, now: number): unknown {
  let claim: unknown;
  ifPossible(() => {
    claim = JSON.parse(text ?? 'null');
  });
  const leftMs = Number(ownValue(claim, 'until')) - now;
  return leftMs > 0 && leftMs <= CLAIM_MS ? ownValue(claim, 'claimant') : undefined;
}

function ifPossible(work: () => void): void {
  try {
    work();
  } catch {
    // A claim that cannot be read or written excludes no tab.
  }
}
