import type { Burst } from './burst.js';

/** So much of a quota may have been there for one of those who share it. */
const SHARED = 0.4;

/** What a server has published of its limit. */
export class Publication {
  #perSecond = 0;
  #quota = 0;
  #isNew = false;

  safeGet(perSecond: number, quota: number): void {
    if (perSecond === this.#perSecond) return;
    this.#perSecond = perSecond;
    this.#quota = quota;
    this.#isNew = true;
  }

  /** Each is read once. */
  read(burst: Burst): { readonly perSecond: number; readonly quota: number } | undefined {
    if (!this.#isNew) return undefined;
    this.#isNew = false;
    return { perSecond: this.#perSecond, quota: this.#share(burst) };
  }

  /** A bucket may hold less than it gives in a while, and where nothing was granted at first others have had it. */
  #share({ count }: Burst): number {
    if (count === 0) return Math.ceil(this.#quota / 2);
    return count > SHARED * this.#quota ? this.#quota : 1;
  }
}
