import { EventEmitter } from 'node:events';
import { createHash } from 'node:crypto';
import type { IoRedisClient } from '../../lib/redis.js';
import type { VirtualClock } from './virtual-clock.js';

/** The part of Redis that the scripts of the store use, in virtual time. */
export class FakeRedis {
  readonly values = new Map<string, { text: string; diesAt: number }>();
  readonly connections = new Set<FakeConnection>();
  /** Every script that was run, by the client that sent it. */
  readonly log: { client: FakeClient; what: 'read' | 'replace' | 'claim' | 'release' }[] = [];
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  get(key: string): string | undefined {
    const value = this.values.get(key);
    return value && value.diesAt > this.#clock.monotonic() ? value.text : undefined;
  }

  set(key: string, text: string, lifeMs = Infinity): void {
    this.values.set(key, { text, diesAt: this.#clock.monotonic() + lifeMs });
  }

  publish(channel: string, message: string): void {
    for (const connection of this.connections)
      if (connection.channels.has(channel)) connection.emit('message', channel, message);
  }

  run(client: FakeClient, script: string, [key = '', bad = '']: string[], args: string[]): unknown {
    const what = script.includes('numsub')
      ? 'claim'
      : script.includes("'del'")
        ? 'release'
        : script.includes("'rename'")
          ? 'replace'
          : 'read';
    this.log.push({ client, what });
    const text = this.get(key);
    const [one = '', two = '', three = '', four = '', five = ''] = args;
    if (what === 'read') return text === undefined ? null : [text, sha1(text)];
    if (what === 'release') {
      if (text?.slice(0, -1) === one) {
        this.values.delete(key);
        this.publish(two, 'free');
      }
      return null;
    }
    if (what === 'replace') {
      if ((text === undefined ? '' : sha1(text)) !== one) return 0;
      if (two === 'aside') this.set(bad, text!);
      this.set(key, three);
      this.publish(four, five);
      return 1;
    }
    const listens = (id: string): boolean =>
      [...this.connections].some(({ isSeen, channels }) => isSeen && channels.has(four + id));
    if (text === undefined || text.slice(0, -1) === one) {
      this.set(key, one + (listens(one) ? '+' : '-'), Number(two));
      return 0;
    }
    const leftMs = this.values.get(key)!.diesAt - this.#clock.monotonic();
    const isGone = text.endsWith('+') && !listens(text.slice(0, -1));
    if (isGone && leftMs > Number(three)) this.set(key, text, Number(three));
    return (isGone ? Math.min(leftMs, Number(three)) : leftMs) + 1;
  }
}

/** A client like those of ioredis. Its faults are those of the process that has it. */
export class FakeClient implements IoRedisClient {
  readonly evalsha = (): void => {};
  readonly call = (): void => {};
  readonly made: FakeConnection[] = [];
  /** undefined: no fault. `silent`: no command arrives. `held`: commands wait until the test sends them. */
  fault: 'silent' | 'held' | Error | undefined;
  readonly waiting: (() => void)[] = [];
  readonly #redis: FakeRedis;

  constructor(redis: FakeRedis) {
    this.#redis = redis;
  }

  async eval(script: string, keyCount: number, ...rest: string[]): Promise<unknown> {
    if (this.fault instanceof Error) throw Object.assign(this.fault, { command: { name: 'eval', args: rest } });
    if (this.fault === 'silent') return new Promise(() => undefined);
    if (this.fault === 'held') await new Promise<void>((resolve) => this.waiting.push(resolve));
    return this.#redis.run(this, script, rest.slice(0, keyCount), rest.slice(keyCount));
  }

  duplicate(): FakeConnection {
    const connection = new FakeConnection(this.#redis);
    this.made.push(connection);
    queueMicrotask(() => connection.emit('ready'));
    return connection;
  }

  /** Closes the connections, as the kernel does when a process dies. */
  die(): void {
    this.fault = 'silent';
    for (const connection of this.made) connection.disconnect();
  }
}

class FakeConnection extends EventEmitter {
  readonly status = 'connecting';
  readonly channels = new Set<string>();
  isSeen = true;
  readonly #redis: FakeRedis;

  constructor(redis: FakeRedis) {
    super();
    this.#redis = redis;
    redis.connections.add(this);
  }

  async connect(): Promise<void> {}

  async subscribe(...channels: string[]): Promise<void> {
    for (const channel of channels) this.channels.add(channel);
  }

  disconnect(): void {
    this.#redis.connections.delete(this);
  }
}

const sha1 = (text: string): string => createHash('sha1').update(text).digest('hex');
