import type { StoredSession, TokenStore } from '../../lib/store.js';
import type { Line } from './line.js';
import type { HoldersPlan } from './plan.js';

interface Claim {
  readonly line: Line;
  readonly granted: () => void;
}

/** The shared part of several holders: a record, a lock, and change messages, which may be lost. */
export class Medium {
  record: StoredSession | undefined;
  readonly writes: StoredSession[] = [];
  lostNotifications: number;
  readonly #plan: HoldersPlan;
  readonly #claims: Claim[] = [];
  readonly #listeners = new Map<() => void, Line>();

  constructor(plan: HoldersPlan) {
    this.#plan = plan;
    this.lostNotifications = plan.lostNotifications;
  }

  /** The owner of the lock. */
  get owner(): Line | undefined {
    return this.#claims[0]?.line;
  }

  /** Ends the lock by time, or since the owner's connection broke. */
  free(): void {
    this.#claims.shift();
    this.#grant();
  }

  /** The connection of a dead holder has broken. */
  cut(line: Line): void {
    const wasFirst = this.owner === line;
    for (let at = this.#claims.length - 1; at >= 0; at--)
      if (this.#claims[at]!.line === line) this.#claims.splice(at, 1);
    if (wasFirst) this.#grant();
  }

  notifyAll(): void {
    for (const [onChange, line] of this.#listeners) line.toHolder(onChange);
  }

  storeFor(line: Line): TokenStore {
    const compareAndSet = (expected: number | undefined, next: StoredSession): boolean => {
      if (this.record?.generation !== expected) return false;
      this.record = next;
      this.writes.push(next);
      for (const [onChange, other] of this.#listeners) {
        if (other === line) continue;
        if (this.lostNotifications > 0) this.lostNotifications--;
        else other.toHolder(onChange);
      }
      return true;
    };
    const { isSlow, lock } = this.#plan;
    return {
      load: () => (isSlow ? line.ask('store', () => this.record) : this.record),
      compareAndSet: (expected, next) =>
        isSlow ? line.ask('store', () => compareAndSet(expected, next)) : compareAndSet(expected, next),
      subscribe: (onChange) => {
        this.#listeners.set(onChange, line);
        return () => this.#listeners.delete(onChange);
      },
      ...(lock !== 'none' && { exclusive: this.#exclusive(line) }),
    };
  }

  #exclusive(line: Line): NonNullable<TokenStore['exclusive']> {
    return (work, { signal }) =>
      new Promise((resolve, reject) => {
        const release = (): void => {
          line.toWorld('store', () => {
            this.#release(claim);
          });
        };
        const abort = (): void => {
          release();
          reject(new Error('the wait was aborted'));
        };
        const claim: Claim = {
          line,
          granted: () => {
            line.toHolder(() => {
              if (signal.aborted) return;
              signal.removeEventListener('abort', abort);
              work().then(resolve, reject).finally(release);
            });
          },
        };
        signal.addEventListener('abort', abort, { once: true });
        line.toWorld('store', () => {
          // A broken connection drops its lock requests. A lock that expires may still be given to a dead holder.
          if (line.isCrashed && this.#plan.lock === 'connection') return;
          this.#claims.push(claim);
          if (this.#claims.length === 1) this.#grant();
        });
      });
  }

  #release(claim: Claim): void {
    const at = this.#claims.indexOf(claim);
    if (at < 0) return;
    this.#claims.splice(at, 1);
    if (at === 0) this.#grant();
  }

  #grant(): void {
    this.#claims[0]?.granted();
  }
}
