import { safeGet } from '../safe-read.js';

/** What a client brings back; of it we read numbers, texts and null. */
type Reply = PromiseLike<unknown>;

/** A connection that only listens. */
interface Subscriber {
  on(event: 'error' | 'ready' | 'connect', listener: () => void): unknown;
}

/** What is needed of a client of `redis` (node-redis) 5 or later: a single one, or one of a cluster or of sentinels. */
export interface NodeRedisClient {
  eval(script: string, options: { keys: string[]; arguments: string[] }): Reply;
  evalSha: unknown;
  duplicate(): Subscriber & {
    connect(): Reply;
    subscribe(channels: string[], listener: (message: string) => void): Reply;
    destroy(): unknown;
    unref?(): void;
  };
}

/** What is needed of a client of `ioredis` 5 or later, single or cluster. */
export interface IoRedisClient {
  eval(script: string, keyCount: number, ...keysAndArguments: string[]): Reply;
  evalsha: unknown;
  call: unknown;
  duplicate(): Subscriber & {
    readonly status: string;
    connect(): Reply;
    subscribe(...channels: string[]): Reply;
    on(event: 'message', listener: (channel: string, message: string) => void): unknown;
    disconnect(): unknown;
    readonly stream?: unknown;
  };
}

/** A connected client of `redis` or `ioredis` that the app owns: it is neither closed nor configured here. */
export type RedisClient = NodeRedisClient | IoRedisClient;

/** What the store needs of Redis, whichever client talks to it. */
export interface Redis {
  /** Runs a script; what it rejects with holds nothing that was sent. */
  run(script: string, keys: readonly string[], ...args: readonly string[]): Promise<unknown>;
  /** Listens over a connection of its own; `onReady` at each time that it does (again). Returns the way to close it. */
  listen(channels: readonly string[], onMessage: (message: string) => void, onReady: () => void): () => void;
}

/** undefined: neither of the two clients. */
export function redisOf(client: RedisClient): Redis | undefined {
  const has = (...names: string[]): boolean => names.every((name) => typeof safeGet(client, name) === 'function');
  if (!has('eval', 'duplicate')) return undefined;
  if (has('evalSha')) return nodeRedis(client as NodeRedisClient);
  return has('evalsha', 'call') ? ioRedis(client as IoRedisClient) : undefined;
}

function nodeRedis(client: NodeRedisClient): Redis {
  return {
    run: (script, keys, ...args) =>
      answered(async () => client.eval(script, { keys: [...keys], arguments: [...args] })),
    listen(channels, onMessage, onReady) {
      const connection = client.duplicate();
      // Without a listener an 'error' would end the process; whatever it is, the client connects again.
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
    run: (script, keys, ...args) => answered(async () => client.eval(script, keys.length, ...keys, ...args)),
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
      // Made with `lazyConnect`: it waits to be told.
      if (connection.status === 'wait') Promise.resolve(connection.connect()).catch(nothing);
      return () => connection.disconnect();
    },
  };
}

/** Errors of Redis clients hold the command with all its arguments, tokens among them: name and code are left of them. */
async function answered(question: () => Promise<unknown>): Promise<unknown> {
  try {
    return await question();
  } catch (error) {
    const [name, code, message] = ['name', 'code', 'message'].map((key) => String(safeGet(error, key)));
    // What Redis itself says begins with its code: NOPERM, READONLY, WRONGTYPE.
    const reason = [code, /^[A-Z]{2,12}(?= )/.exec(message ?? '')?.[0]].find((each) =>
      /^[A-Z_]{2,30}$/.test(each ?? ''),
    );
    const who = /^\w{1,40}$/.test(name ?? '') ? name : 'Error';
    throw redisError(`it answered with ${[who, reason].filter(Boolean).join(' ')}`, reason);
  }
}

export function redisError(why: string, code: string | undefined): Error {
  return Object.assign(
    new Error(`redisStore(): Redis did not do what it was asked: ${why}.`),
    code !== undefined && { code },
  );
}

function nothing(): void {
  // Listening is a hint: without it holders look for themselves.
}
