import { alarm, stopwatch, type Cancel, type Clock } from '../clock.js';
import { redisError, type Redis } from './redis-client.js';
import type { RedisMessages } from './redis-messages.js';

/** Published when the lock is released. */
const RELEASED = 'free';
/** How long a holder keeps the lock after its connection was closed. Enough to reconnect and renew it three times. */
const GRACE_MS = 600;
const RENEWAL_MS = GRACE_MS / 3;
const POLL_MS = 200;
/** A subscription that takes longer is not waited for. */
const SUBSCRIBE_LIMIT_MS = 250;
/** The time limit of every access to a store. */
const REPLY_LIMIT_MS = 2_000;

/*
 * The lock is a key that expires after `lockMs` (ARGV[2]) and is renewed while it is held. Its holder subscribes to a channel of
 * its own over a second connection. The kernel closes that connection when the process dies, and Redis notices it at once. It
 * stays open while the process is busy or stopped. So `lockMs` can be longer than a busy holder needs. A dead one still loses the
 * lock within a second. If a holder was subscribed ('+') and no longer is, the rest of its time is cut to ARGV[3].
 */
const ACQUIRE = `
local function isSubscribed(id)
  local count = redis.pcall('pubsub', 'numsub', ARGV[4] .. id)
  return not count.err and count[2] > 0
end
local held = redis.call('get', KEYS[1])
local holder, mark = string.match(held or '', '^(.*)([+-])$')
if not held or holder == ARGV[1] then
  redis.call('set', KEYS[1], ARGV[1] .. (isSubscribed(ARGV[1]) and '+' or '-'), 'px', ARGV[2])
  return 0
end
local left = redis.call('pttl', KEYS[1])
local limit = left < 0 and tonumber(ARGV[2]) or left
if mark == '+' and not isSubscribed(holder) then limit = math.min(limit, tonumber(ARGV[3])) end
if limit ~= left then redis.call('pexpire', KEYS[1], limit) end
return limit + 1
`;

const RELEASE = `
if string.match(redis.call('get', KEYS[1]) or '', '^(.*)[+-]$') == ARGV[1] then
  redis.call('del', KEYS[1])
  redis.pcall('publish', ARGV[2], '${RELEASED}')
end
`;

export interface RedisLockOptions {
  readonly redis: Redis;
  readonly clock: Clock;
  /** undefined: there is no subscription. */
  readonly messages: RedisMessages | undefined;
  readonly key: string;
  readonly channel: string;
  /** The channel of each holder is this and its id. */
  readonly holderChannel: string;
  readonly id: string;
  readonly lockMs: number;
}

export interface RedisLock {
  exclusive<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Resolves at once unless this process holds the lock and was stopped for longer than it lasts. Then it queues for the lock again. */
  reacquired(): Promise<void>;
}

export function redisLock({
  redis,
  clock,
  messages,
  key,
  channel,
  holderChannel,
  id,
  lockMs,
}: RedisLockOptions): RedisLock {
  /** The callers of this process queue here, and one of them waits at Redis. */
  let last: Promise<unknown> = Promise.resolve();
  /** Since the lock was last known to be held. */
  let heldMs = stopwatch(clock);
  let acquisitions = 0;
  let acquireAgain: (() => Promise<void>) | undefined;

  /** Acquires or renews the lock. Returns 0, or the ms that its holder has left. */
  async function ask(): Promise<number> {
    const passedMs = stopwatch(clock);
    const args = [id, lockMs, GRACE_MS, holderChannel].map(String);
    const leftMs = Number(await redis.run(ACQUIRE, [key], ...args));
    if (leftMs === 0) heldMs = passedMs;
    return leftMs;
  }

  function release(): void {
    redis.run(RELEASE, [key], id, channel).catch(() => undefined);
  }

  /** Settles as `promise` does, or after `limitMs` as `elapsed` does. Rejects if the signal aborts first. */
  function limited<T>(promise: Promise<T>, limitMs: number, elapsed: () => T, signal: AbortSignal): Promise<T> {
    let cancel: Cancel | undefined;
    const limit = new Promise<void>((resolve) => (cancel = alarm(clock, limitMs, resolve, 'idle'))).then(elapsed);
    return unlessAborted(Promise.race([promise, limit]), signal).finally(() => cancel?.());
  }

  async function acquire(signal: AbortSignal): Promise<void> {
    const mine = ++acquisitions;
    let wake: (() => void) | undefined;
    const pause = (delayMs: number): Promise<void> =>
      limited(new Promise<void>((resolve) => (wake = resolve)), delayMs, () => undefined, signal);
    const stop = messages?.listen((message) => {
      if (message === RELEASED || message === undefined) wake?.();
    });
    try {
      if (messages && !messages.isSubscribed) await pause(SUBSCRIBE_LIMIT_MS);
      for (;;) {
        const asking = ask();
        const leftMs = await limited(asking, REPLY_LIMIT_MS, noReply, signal).catch((error: unknown) => {
          // Redis may still execute it later.
          const undo = (): void => {
            if (mine === acquisitions) release();
          };
          asking.then(undo, undo);
          throw error;
        });
        if (leftMs === 0) return;
        await pause(Math.min(leftMs, POLL_MS * (0.5 + clock.random() / 2)));
      }
    } finally {
      stop?.();
    }
  }

  async function whileRenewing<T>(work: () => Promise<T>): Promise<T> {
    let isDone = false;
    let cancel: Cancel | undefined;
    const renew = (): void => {
      const again = (): void => {
        if (!isDone) renew();
      };
      cancel = alarm(clock, RENEWAL_MS, () => void ask().then(again, again), 'idle');
    };
    renew();
    try {
      return await work();
    } finally {
      isDone = true;
      cancel?.();
      release();
    }
  }

  return {
    async exclusive(work, signal) {
      const before = last;
      let finish!: () => void;
      const finished = new Promise<void>((resolve) => (finish = resolve));
      last = before.then(() => finished);
      let stop: (() => void) | undefined;
      try {
        stop = messages?.listen(() => undefined);
        await unlessAborted(before, signal);
        await acquire(signal);
        acquireAgain = () => acquire(signal);
        return await whileRenewing(work);
      } finally {
        acquireAgain = undefined;
        stop?.();
        finish();
      }
    },
    async reacquired() {
      if (acquireAgain && heldMs() >= lockMs) await acquireAgain();
    },
  };
}

function noReply(): never {
  throw redisError('there was no reply within 2 s', 'ETIMEDOUT');
}

/** Settles as `promise` does, unless the signal aborts first. */
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
