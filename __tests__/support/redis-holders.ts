import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { systemClock } from '../../lib/clock.js';
import type { Library } from './redis-clients.js';
import { reply, serve, type Recorder } from './serve.js';
import { TokenEndpoint } from './token-endpoint.js';
import type { VirtualClock } from './virtual-clock.js';

/** Where a holder can halt: after the read under the lock, before its request, after its response, after its write. */
export type Place = 'read' | 'asking' | 'answered' | 'written';
export type Order = { call: number } | { halt: Place } | { resume: true } | { stop: true } | { degraded: true };
export type Message = { isReady: true } | { at: Place } | { outcomes: string[] } | { reasons: string[] };

/** An API and its authorization server over HTTP. The log of `endpoint` decides. */
export async function authorizationServer(): Promise<{ endpoint: TokenEndpoint; server: Recorder }> {
  const endpoint = new TokenEndpoint(systemClock as unknown as VirtualClock);
  const server = await serve(({ url, headers, body }, response) => {
    if (url === '/token') {
      const { refresh_token: token } = JSON.parse(body.toString()) as { refresh_token: string | null };
      const { status, data } = endpoint.answer(token ?? undefined);
      reply(response, status, data);
    } else reply(response, endpoint.accepts(headers.authorization?.slice('Bearer '.length)) ? 200 : 401);
  });
  return { endpoint, server };
}

/** The program of a holder, in one file. */
export function buildHolder(folder: string): string {
  const outfile = join(folder, 'holder.cjs');
  buildSync({
    entryPoints: [join(__dirname, 'redis-process.ts')],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    minify: true,
    outfile,
  });
  return outfile;
}

export interface HolderPlan {
  readonly program: string;
  readonly library: Library;
  readonly port: number;
  readonly key: string;
  readonly origin: string;
  readonly lockMs?: number;
  /** A key of 32 bytes in hex. */
  readonly seal?: string;
}

/** A process that shares a session with others. */
export class Holder {
  readonly #child: ChildProcess;
  readonly #messages: Message[] = [];
  #listener: (() => void) | undefined;
  readonly #exited: Promise<void>;

  private constructor({ program, library, port, key, origin, lockMs, seal }: HolderPlan) {
    const args = [library, port, key, origin, lockMs ?? '', seal ?? ''].map(String);
    this.#child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', (message: Message) => {
      this.#messages.push(message);
      this.#listener?.();
    });
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', () => {
        resolve();
      });
    });
  }

  static async start(plan: HolderPlan): Promise<Holder> {
    const holder = new Holder(plan);
    await holder.#next((message) => 'isReady' in message);
    return holder;
  }

  /** Makes calls. Resolves with the status or error of each. */
  async call(count = 1): Promise<string[]> {
    this.send({ call: count });
    const message = await this.#next((each) => 'outcomes' in each);
    return 'outcomes' in message ? message.outcomes : [];
  }

  /** Makes it call until it halts at that place. */
  async haltAt(place: Place): Promise<void> {
    this.send({ halt: place });
    this.send({ call: 1 });
    await this.#next((message) => 'at' in message);
  }

  /** Continues from its halt. Resolves with the result of its call. */
  async resume(): Promise<string[]> {
    this.send({ resume: true });
    const message = await this.#next((each) => 'outcomes' in each);
    return 'outcomes' in message ? message.outcomes : [];
  }

  /** The reasons of its events `store-degraded`. */
  async degraded(): Promise<string[]> {
    this.send({ degraded: true });
    const message = await this.#next((each) => 'reasons' in each);
    return 'reasons' in message ? message.reasons : [];
  }

  send(order: Order): void {
    this.#child.send(order);
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name);
  }

  /** Closes its client. Resolves when the process has ended by itself. */
  async stop(): Promise<void> {
    this.send({ stop: true });
    await this.#exited;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async #next(isIt: (message: Message) => boolean): Promise<Message> {
    for (;;) {
      const index = this.#messages.findIndex(isIt);
      if (index >= 0) return this.#messages.splice(index, 1)[0]!;
      await new Promise<void>((resolve) => (this.#listener = resolve));
    }
  }
}
