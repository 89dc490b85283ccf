import type { Cancel, Clock } from '../clock.js';
import { ownValue } from '../safe-read.js';
import { pause } from './web-locks.js';

/** A claim that nobody renews for so long is void: whoever made it has crashed. */
const CLAIM_MS = 5_000;
const RENEW_MS = 1_500;
const POLL_MS = 50;

/**
 * Runs `work` while a claim under `key` says that somebody does: for want of a lock, and not as good as one. Of those who
 * claim at the same moment the last one has it, and `settleMs` later all of them see who that was, unless a tab is slower
 * than that to hear of the others. A storage that fails excludes nobody.
 */
export async function underClaim<T>(
  storage: () => Storage,
  key: string,
  work: () => Promise<T>,
  settleMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<T> {
  const me = clock.random();
  let stopRenewing: Cancel = () => undefined;
  const claimant = (): unknown => claimantIn(storage().getItem(key), clock.now());
  const claim = (): void => {
    storage().setItem(key, JSON.stringify({ claimant: me, until: clock.now() + CLAIM_MS }));
  };
  const keep = (): void => {
    stopRenewing = clock.after(
      RENEW_MS,
      () => {
        ifPossible(() => {
          if (claimant() === me) claim();
        });
        keep();
      },
      'idle',
    );
  };
  const acquire = async (): Promise<void> => {
    for (let holder = claimant(); holder !== me; holder = claimant()) {
      if (holder === undefined) claim();
      await pause(holder === undefined ? settleMs : POLL_MS, clock, signal);
    }
    keep();
  };
  try {
    await acquire().catch(() => {
      signal.throwIfAborted();
    });
    return await work();
  } finally {
    stopRenewing();
    ifPossible(() => {
      if (claimant() === me) storage().removeItem(key);
    });
  }
}

/** Whose claim is in force; undefined: nobody's. One from after now was made before the clock was set back. */
function claimantIn(text: string | null, now: number): unknown {
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
    // What nobody can read or write excludes nobody.
  }
}
