import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

export type Point = 'ready' | 'waiting' | 'holding' | 'asked';

interface Message {
  readonly at?: Point;
  readonly status?: number | string;
}

/** A process that shares a session with others through a file. */
export interface Holder {
  readonly pid: number;
  /** The status of a call made there, or the code of its error. `killed` if the process ends first. */
  call(): Promise<number | string>;
  /** Resolves when it reaches that point, or has reached it since the last call began. */
  at(point: Point): Promise<void>;
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void;
  readonly ended: Promise<void>;
}

/** Starts holders from one bundle, and ends them. */
export class Processes {
  readonly #bundle: string;
  readonly #children = new Set<ChildProcess>();

  constructor(folder: string) {
    this.#bundle = join(folder, 'holder.cjs');
    buildSync({
      entryPoints: [join(__dirname, 'process-holder.ts')],
      bundle: true,
      platform: 'node',
      format: 'cjs',
      outfile: this.#bundle,
      alias: { axios: process.env['AXIOS_VERSION'] ?? 'axios' },
    });
  }

  /** `seal`: a key of 32 bytes in hex. */
  async start(origin: string, file: string, fatal = '', refreshTimeoutMs = 10_000, seal = ''): Promise<Holder> {
    const child = fork(this.#bundle, [origin, file, fatal, String(refreshTimeoutMs), seal], { execArgv: [] });
    this.#children.add(child);
    let hasEnded = false;
    const ended = new Promise<void>((resolve) =>
      child.once('exit', () => {
        hasEnded = true;
        this.#children.delete(child);
        resolve();
      }),
    );
    let been = new Set<Point>();
    const listeners = new Set<(message: Message) => void>();
    child.on('message', (message: Message) => {
      if (message.at) been.add(message.at);
      for (const listener of listeners) listener(message);
    });
    const next = <T>(pick: (message: Message) => T | undefined): Promise<T> =>
      new Promise((resolve) => {
        const listener = (message: Message): void => {
          const picked = pick(message);
          if (picked === undefined) return;
          listeners.delete(listener);
          resolve(picked);
        };
        listeners.add(listener);
      });
    const at = async (point: Point): Promise<void> => {
      if (!been.has(point))
        await Promise.race([next(({ at: reached }) => (reached === point ? true : undefined)), ended]);
    };
    await at('ready');
    return {
      pid: child.pid ?? 0,
      ended,
      at,
      call() {
        if (hasEnded) return Promise.resolve('killed');
        been = new Set();
        const answer = next(({ status }) => status);
        child.send('call');
        return Promise.race([answer, ended.then(() => 'killed')]);
      },
      signal: (signal) => void child.kill(signal),
    };
  }

  async stop(): Promise<void> {
    const all = [...this.#children];
    const ended = all.map((child) => new Promise((resolve) => child.once('exit', resolve)));
    for (const child of all) child.kill('SIGKILL');
    await Promise.all(ended);
  }
}
