import { alarm, stopwatch, type Cancel, type Clock } from '../clock.js';
import { redisError, type Redis } from './redis-client.js';
import type { RedisNews } from './redis-news.js';

/** What is published when the lock is free. */
const FREE = 'free';
/** A holder that Redis has seen and sees no more gets so long to show itself. */
const GONE_MS = 600;
const RENEWAL_MS = GONE_MS / 3;
const POLL_MS = 200;
/** A connection that takes longer to listen is not waited for. */
const LISTEN_LIMIT_MS = 250;
/** As everywhere in a session: who does not answer within 2 s is away. */
const ANSWER_LIMIT_MS = 2_000;

/*
 * The lock is a key that expires. Who holds it listens on a channel of its own over a second connection. The kernel
 * closes that when the process dies, and Redis sees it at once; it stays open while the process is only busy or stopped. So the lock
 * lasts long enough for a busy holder, and a dead one is still found out within a second: the remaining time of a holder
 * that was seen listening and does not listen any more is cut short, and it can be had when that, too, has passed.
 */
const CLAIM = `
local function listens(id)
  local count = redis.pcall('pubsub', 'numsub', ARGV[4] .. id)
  return not count.err and count[2] > 0
end
local held = redis.call('get', KEYS[1])
local holder, mark = string.match(held or '', '^(.*)([+-])$')
if not held or holder == ARGV[1] then
  redis.call('set', KEYS[1], ARGV[1] .. (listens(ARGV[1]) and '+' or '-'), 'px', ARGV[2])
  return 0
end
local left = redis.call('pttl', KEYS[1])
local limit = left < 0 and tonumber(ARGV[2]) or left
if mark == '+' and not listens(holder) then limit = math.min(limit, tonumber(ARGV[3])) end
if limit ~= left then redis.call('pexpire', KEYS[1], limit) end
return limit + 1
`;

const RELEASE = `
if string.match(redis.call('get', KEYS[1]) or '', '^(.*)[+-]$') == ARGV[1] then
  redis.call('del', KEYS[1])
  redis.pcall('publish', ARGV[2], '${FREE}')
end
`;

export interface RedisLockPlan {
  readonly redis: Redis;
  readonly clock: Clock;
  /** undefined: nothing is listened to. */
  readonly news: RedisNews | undefined;
  readonly key: string;
  readonly channel: string;
  /** A channel of each holder's own is this and its id. */
  readonly holderChannel: string;
  readonly id: string;
  readonly lockMs: number;
}

export interface RedisLock {
  exclusive<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Who holds the lock and was stopped for longer than it lasts has to get in line again; settles when there is nothing (more) to wait for. */
  regained(): Promise<void>;
}

export function redisLock({ redis, clock, news, key, channel, holderChannel, id, lockMs }: RedisLockPlan): RedisLock {
  /** Those of this process wait here for each other, and one of them for Redis. */
  let last: Promise<unknown> = Promise.resolve();
  /** Since the lock was last known to be ours. */
  let heldMs = stopwatch(clock);
  let takes = 0;
  let takeAgain: (() => Promise<void>) | undefined;

  async function claim(): Promise<number> {
    const passedMs = stopwatch(clock);
    const args = [id, lockMs, GONE_MS, holderChannel].map(String);
    const leftMs = Number(await redis.run(CLAIM, [key], ...args));
    if (leftMs === 0) heldMs = passedMs;
    return leftMs;
  }

  function release(): void {
    redis.run(RELEASE, [key], id, channel).catch(() => undefined);
  }

  /** What `promise` comes to, or after so long `elapsed`; the signal ends it sooner. No timer is left. */
  function limited<T>(promise: Promise<T>, limitMs: number, elapsed: () => T, signal: AbortSignal): Promise<T> {
    let cancel: Cancel | undefined;
    const limit = new Promise<void>((resolve) => (cancel = alarm(clock, limitMs, resolve, 'idle'))).then(elapsed);
    return unlessAborted(Promise.race([promise, limit]), signal).finally(() => cancel?.());
  }

  async function take(signal: AbortSignal): Promise<void> {
    const mine = ++takes;
    let wake: (() => void) | undefined;
    const pause = (delayMs: number): Promise<void> =>
      limited(new Promise<void>((resolve) => (wake = resolve)), delayMs, () => undefined, signal);
    const stop = news?.listen((message) => {
      if (message === FREE || message === undefined) wake?.();
    });
    try {
      if (news && !news.isHeard) await pause(LISTEN_LIMIT_MS);
      for (;;) {
        const claiming = claim();
        const leftMs = await limited(claiming, ANSWER_LIMIT_MS, unanswered, signal).catch((error: unknown) => {
          // What was asked may still be done when Redis is back.
          const undo = (): void => {
            if (mine === takes) release();
          };
          claiming.then(undo, undo);
          throw error;
        });
        if (leftMs === 0) return;
        await pause(Math.min(leftMs, POLL_MS * (0.5 + clock.random() / 2)));
      }
    } finally {
      stop?.();
    }
  }

  async function keep<T>(work: () => Promise<T>): Promise<T> {
    let isOver = false;
    let cancel: Cancel | undefined;
    const renew = (): void => {
      const again = (): void => {
        if (!isOver) renew();
      };
      cancel = alarm(clock, RENEWAL_MS, () => void claim().then(again, again), 'idle');
    };
    renew();
    try {
      return await work();
    } finally {
      isOver = true;
      cancel?.();
      release();
    }
  }

  return {
    async exclusive(work, signal) {
      const before = last;
      let leave!: () => void;
      const gone = new Promise<void>((resolve) => (leave = resolve));
      last = before.then(() => gone);
      let stop: (() => void) | undefined;
      try {
        stop = news?.listen(() => undefined);
        await unlessAborted(before, signal);
        await take(signal);
        takeAgain = () => take(signal);
        return await keep(work);
      } finally {
        takeAgain = undefined;
        stop?.();
        leave();
      }
    },
    async regained() {
      if (takeAgain && heldMs() >= lockMs) await takeAgain();
    },
  };
}

function unanswered(): never {
  throw redisError('there is no answer within 2 s', 'ETIMEDOUT');
}

/** What `promise` comes to, unless the signal is first. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', abort);
    });
  });
}
