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
export type Order = { call: number } | { halt: Place } | { goOn: true } | { leave: true } | { degraded: true };
export type Word = { isReady: true } | { at: Place } | { outcomes: string[] } | { reasons: string[] };

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
  readonly #heard: Word[] = [];
  #listener: (() => void) | undefined;
  readonly #exited: Promise<void>;

  private constructor({ program, library, port, key, origin, lockMs, seal }: HolderPlan) {
    const args = [library, port, key, origin, lockMs ?? '', seal ?? ''].map(String);
    this.#child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', (word: Word) => {
      this.#heard.push(word);
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
    await holder.#hear((word) => 'isReady' in word);
    return holder;
  }

  /** Makes calls. Resolves with the status or error of each. */
  async call(count = 1): Promise<string[]> {
    this.tell({ call: count });
    const word = await this.#hear((each) => 'outcomes' in each);
    return 'outcomes' in word ? word.outcomes : [];
  }

  /** Makes it call until it halts at that place. */
  async haltAt(place: Place): Promise<void> {
    this.tell({ halt: place });
    this.tell({ call: 1 });
    await this.#hear((word) => 'at' in word);
  }

  /** Continues from its halt. Resolves with the result of its call. */
  async goOn(): Promise<string[]> {
    this.tell({ goOn: true });
    const word = await this.#hear((each) => 'outcomes' in each);
    return 'outcomes' in word ? word.outcomes : [];
  }

  /** The reasons of its events `store-degraded`. */
  async degraded(): Promise<string[]> {
    this.tell({ degraded: true });
    const word = await this.#hear((each) => 'reasons' in each);
    return 'reasons' in word ? word.reasons : [];
  }

  tell(order: Order): void {
    this.#child.send(order);
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name);
  }

  /** Closes its client. Resolves when the process has ended by itself. */
  async leave(): Promise<void> {
    this.tell({ leave: true });
    await this.#exited;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async #hear(isIt: (word: Word) => boolean): Promise<Word> {
    for (;;) {
      const index = this.#heard.findIndex(isIt);
      if (index >= 0) return this.#heard.splice(index, 1)[0]!;
      await new Promise<void>((resolve) => (this.#listener = resolve));
    }
  }
}
