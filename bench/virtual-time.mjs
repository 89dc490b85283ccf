// Replaces timers, clocks and random numbers of the process. Minutes of waiting take no time, and every run is equal.
import { chance } from './measure.mjs';

const MORNING = Date.UTC(2026, 10, 23, 8, 0, 0);
const RealDate = Date;

class Timer {
  isOver = false;
  constructor(dueAt, order, run) {
    Object.assign(this, { dueAt, order, run });
  }
  ref() {
    return this;
  }
  unref() {
    return this;
  }
  hasRef() {
    return true;
  }
  isBefore(other) {
    return this.dueAt < other.dueAt || (this.dueAt === other.dueAt && this.order < other.order);
  }
}

export class VirtualTime {
  now = 0;
  #timers = 0;
  /** A heap. */
  #queue = [];

  /** Replaces a global. */
  install(seed) {
    const time = this;
    globalThis.setTimeout = (run, delayMs, ...input) =>
      time.after(Math.max(1, Math.trunc(Number(delayMs)) || 1), () => run(...input));
    globalThis.clearTimeout = (timer) => {
      if (timer) timer.isOver = true;
    };
    globalThis.Date = class extends RealDate {
      constructor(...parts) {
        if (parts.length === 0) super(MORNING + time.now);
        else super(...parts);
      }
      static now() {
        return MORNING + time.now;
      }
    };
    performance.now = () => time.now;
    Math.random = chance(seed);
    return this;
  }

  after(delayMs, run) {
    const timer = new Timer(this.now + delayMs, this.#timers++, run);
    const queue = this.#queue;
    let place = queue.length;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!timer.isBefore(queue[parent])) break;
      queue[place] = queue[parent];
      place = parent;
    }
    queue[place] = timer;
    return timer;
  }

  /** Advances from timer to timer until `work` settles. Returns undefined if that takes too long. @throws if no timer is left */
  async until(work, longestMs = 3_600_000) {
    let isSettled = false;
    const settled = work.finally(() => (isSettled = true));
    settled.catch(() => undefined);
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isSettled) return settled;
      const next = this.#next();
      if (!next) throw new Error('Nothing is left to wait for');
      if (next.dueAt > longestMs) return undefined;
      this.now = Math.max(this.now, next.dueAt);
      next.isOver = true;
      next.run();
    }
  }

  #next() {
    for (;;) {
      const next = this.#pop();
      if (!next || !next.isOver) return next;
    }
  }

  #pop() {
    const queue = this.#queue;
    const [first] = queue;
    const last = queue.pop();
    if (queue.length === 0) return first;
    let place = 0;
    for (let child = 1; child < queue.length; child = 2 * place + 1) {
      if (child + 1 < queue.length && queue[child + 1].isBefore(queue[child])) child++;
      if (!queue[child].isBefore(last)) break;
      queue[place] = queue[child];
      place = child;
    }
    queue[place] = last;
    return first;
  }
}
