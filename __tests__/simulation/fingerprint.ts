import type { Entry, History } from './history.js';

/** FNV-1a. */
export function hashOf(text: string, hash = 0x811c9dc5): number {
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}

function mix(hash: number, value: number): number {
  hash = Math.imul(hash ^ value, 0x9e3779b1);
  return hash ^ (hash >>> 15);
}

/** A hash of a state: the server log, the messages in flight, the settled calls, and the acts. */
export class Fingerprint {
  readonly #history: History;
  readonly #marks: number[] = [];
  readonly #seed: number;

  constructor(history: History) {
    this.#history = history;
    this.#seed = hashOf(JSON.stringify(history.plan));
  }

  /** Each entry is read once. */
  met({ call, path, token, refreshToken }: Entry): void {
    this.#marks.push(hashOf(`${String(call)} ${path} ${token ?? ''} ${refreshToken ?? ''}`));
  }

  of(acted: number): number {
    let hash = mix(this.#seed, acted);
    for (const [index, { status, ended, isAnswered }] of this.#history.entries.entries()) {
      const code = status === 'lost' ? 1 : (status ?? 0);
      hash = mix(mix(hash, this.#marks[index]!), ended ? (isAnswered ? code : 2) : 3);
    }
    for (const { index, outcome } of this.#history.calls) {
      hash = mix(hash, index);
      if (outcome) hash = mix(mix(hash, outcome.status ?? 4), hashOf(outcome.code ?? ''));
    }
    for (const { length } of [this.#history.endingActs, this.#history.generations]) hash = mix(hash, length);
    return hash >>> 0;
  }
}

const BITS = 2 ** 29;

/**
 * Counts different states, for several threads at once. A state shares a bit with one of n others with chance n / 2^29, so the count is
 * slightly low.
 */
export class States {
  count = 0;
  readonly #bits: Uint32Array;

  constructor(readonly shared = new SharedArrayBuffer(BITS / 8)) {
    this.#bits = new Uint32Array(shared);
  }

  readonly add = (fingerprint: number): void => {
    const at = fingerprint % BITS;
    const bit = 1 << (at & 31);
    if ((Atomics.or(this.#bits, at >>> 5, bit) & bit) === 0) this.count++;
  };
}
