import { safeGet } from '../safe-read.js';

/** A reply of Redis: a number, a text, an array or null. */
type Reply = PromiseLike<unknown>;

/** A connection that only listens. */
interface Subscriber {
  on(event: 'error' | 'ready' | 'connect', listener: () => void): unknown;
}

/** The used part of a client of `redis` (node-redis) 5 or later: single, of a cluster or of sentinels. */
export interface NodeRedisClient {
  /** Runs a script. */
  eval(script: string, options: { keys: string[]; arguments: string[] }): Reply;
  /** Tells a client of `redis` from one of `ioredis`. */
  evalSha: unknown;
  /** Creates the connection that listens for changes. */
  duplicate(): Subscriber & {
    connect(): Reply;
    subscribe(channels: string[], listener: (message: string) => void): Reply;
    destroy(): unknown;
    unref?(): void;
  };
}

/** The part of a client of `ioredis` 5 or later that is used, single or cluster. */
export interface IoRedisClient {
  /** Runs a script. */
  eval(script: string, keyCount: number, ...keysAndArguments: string[]): Reply;
  /** Tells a client of `ioredis` from one of `redis`. */
  evalsha: unknown;
  /** The same. */
  call: unknown;
  /** Creates the connection that listens for changes. */
  duplicate(): Subscriber & {
    readonly status: string;
    connect(): Reply;
    subscribe(...channels: string[]): Reply;
    on(event: 'message', listener: (channel: string, message: string) => void): unknown;
    disconnect(): unknown;
    readonly stream?: unknown;
  };
}

/** A connected client of `redis` or `ioredis`. The app owns it: it is neither closed nor configured here. */
export type RedisClient = NodeRedisClient | IoRedisClient;

/** The operations of the store, for either client. */
export interface Redis {
  /** Runs a script. Its errors contain nothing that was sent. */
  run(script: string, keys: readonly string[], ...args: readonly string[]): Promise<unknown>;
  /** Subscribes over a connection of its own. Calls `onReady` after each (re)connection. Returns the function that closes it. */
  listen(channels: readonly string[], onMessage: (message: string) => void, onReady: () => void): () => void;
}

/** Returns undefined if it is neither of the two clients. */
export function redisOf(client: RedisClient): Redis | undefined {
  const has = (...names: string[]): boolean => names.every((name) => typeof safeGet(client, name) === 'function');
  if (!has('eval', 'duplicate')) return undefined;
  if (has('evalSha')) return nodeRedis(client as NodeRedisClient);
  return has('evalsha', 'call') ? ioRedis(client as IoRedisClient) : undefined;
}

function nodeRedis(client: NodeRedisClient): Redis {
  return {
    run: (script, keys, ...args) =>
      executed(async () => client.eval(script, { keys: [...keys], arguments: [...args] })),
    listen(channels, onMessage, onReady) {
      const connection = client.duplicate();
      // Without a listener an 'error' would end the process. The client reconnects by itself.
      connection.on('error', nothing);
      const begin = (): void => {
        // Subscribing again with the same listener changes nothing.
        Promise.resolve(connection.subscribe([...channels], onMessage)).then(onReady, nothing);
      };
      connection.unref?.();
      Promise.resolve(connection.connect()).then(() => {
        begin();
        connection.on('ready', begin);
      }, nothing);
      return () => connection.destroy();
    },
  };
}

function ioRedis(client: IoRedisClient): Redis {
  return {
    run: (script, keys, ...args) => executed(async () => client.eval(script, keys.length, ...keys, ...args)),
    listen(channels, onMessage, onReady) {
      const connection = client.duplicate();
      connection.on('error', nothing);
      connection.on('message', (_, message) => {
        onMessage(message);
      });
      connection.on('connect', () => {
        (connection.stream as { unref?: () => void } | undefined)?.unref?.();
      });
      connection.on('ready', () => {
        Promise.resolve(connection.subscribe(...channels)).then(onReady, nothing);
      });
      // Created with `lazyConnect`.
      if (connection.status === 'wait') Promise.resolve(connection.connect()).catch(nothing);
      return () => connection.disconnect();
    },
  };
}

/** Errors of Redis clients contain the command with its arguments, tokens among them. Only name and code are kept. */
async function executed(command: () => Promise<unknown>): Promise<unknown> {
  try {
    return await command();
  } catch (error) {
    const [name, code, message] = ['name', 'code', 'message'].map((key) => String(safeGet(error, key)));
    // A message of Redis begins with its code: NOPERM, OOM, READONLY.
    const reason = [code, /^[A-Z]{2,12}(?= )/.exec(message ?? '')?.[0]].find((each) =>
      /^[A-Z_]{2,30}$/.test(each ?? ''),
    );
    const errorName = /^\w{1,40}$/.test(name ?? '') ? name : 'Error';
    throw redisError(`it failed with ${[errorName, reason].filter(Boolean).join(' ')}`, reason);
  }
}

export function redisError(why: string, code: string | undefined): Error {
  return Object.assign(
    new Error(`redisStore(): a command of Redis was not executed: ${why}.`),
    code !== undefined && { code },
  );
}

function nothing(): void {
  // Messages are hints: without them holders read when they need to.
}
