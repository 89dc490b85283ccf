import { once } from 'node:events';
import { join } from 'node:path';
import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { shortPath } from './short-path.js';

/** A socket in the lock directory, named `<queue>.<number>.<id>`. Its process waits for the lock or holds it. The lowest number holds it. */
interface QueueEntry {
  readonly name: string;
  readonly number: number;
}

const WINDOWS = process.platform === 'win32';

/**
 * Runs `work` while no other work of this queue runs, in this process or in another one of this machine. First in, first out.
 *
 * Each process listens on a socket in `directory` and renames it to the next number. Then it waits until no lower number accepts
 * connections. The kernel closes a socket when its process ends, and with it the connections of waiting processes. So the age of
 * a lock does not matter. A living process keeps its lock, even if it is stopped.
 *
 * Two processes never hold the lock at once. Each listens before it has a number, and reads the directory again afterwards. If it
 * finds a higher number it starts anew. So of two entries the higher one was numbered after the lower one was visible, and waits.
 *
 * @throws The signal's reason if it aborts the wait. Work that has begun is not cut short.
 */
export async function withFileLock<T>(
  directory: string,
  queue: string,
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const short = shortPath(directory);
  try {
    let entry: { readonly name: string; release(): void } | undefined;
    while (!entry) entry = await enqueue(short.path, queue);
    try {
      for (let next; (next = predecessorOf(entry.name, short.path, queue));) await endOf(short.path, next, signal);
      signal.throwIfAborted();
      return await work();
    } finally {
      entry.release();
    }
  } finally {
    short.forget();
  }
}

/** Returns undefined if another process took a number at the same moment. */
async function enqueue(directory: string, queue: string): Promise<{ name: string; release(): void } | undefined> {
  const id = randomBytes(6).toString('hex');
  let name = `${id}.tmp`;
  const waiters = new Set<Socket>();
  const server = createServer((waiter) => {
    waiters.add(waiter);
    waiter.on('error', () => undefined).on('close', () => waiters.delete(waiter));
    waiter.unref().resume();
  });
  const release = (): void => {
    remove(join(directory, name));
    server.close();
    for (const waiter of waiters) waiter.destroy();
  };
  let isFirst = false;
  try {
    // `exclusive`: a worker of node:cluster would let its primary listen, and depend on that process.
    server.unref().listen({ path: addressOf(directory, name), exclusive: true });
    await once(server, 'listening');
    server.on('error', () => undefined);
    if (WINDOWS) writeFileSync(join(directory, name), '');
    // Synchronous from here on, so that the callers of one process keep their order.
    const number = (entriesOf(directory, queue)[0]?.number ?? 0) + 1;
    const numbered = `${queue}.${String(number)}.${id}`;
    renameSync(join(directory, name), join(directory, numbered));
    name = numbered;
    isFirst = entriesOf(directory, queue)[0]?.name === numbered;
    return isFirst ? { name, release } : undefined;
  } finally {
    // Others may wait for this entry already: a new number needs a new socket.
    if (!isFirst) release();
  }
}

function predecessorOf(name: string, directory: string, queue: string): string | undefined {
  const names = entriesOf(directory, queue).map((entry) => entry.name);
  return names[names.indexOf(name) + 1];
}

/** From the highest to the lowest. Equal numbers are ordered by name. */
function entriesOf(directory: string, queue: string): QueueEntry[] {
  return readdirSync(directory)
    .map((name) => ({ name, number: name.startsWith(`${queue}.`) ? Number(name.split('.')[1]) : NaN }))
    .filter(({ number }) => Number.isSafeInteger(number))
    .sort((one, other) => other.number - one.number || (one.name < other.name ? 1 : -1));
}

/** Resolves when no process listens there any more, and removes the socket of a killed process. */
async function endOf(directory: string, name: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const problem = await connectionEnd(addressOf(directory, name), signal);
    if (problem?.code === 'ENOENT' || problem?.code === 'ECONNREFUSED') break;
    // A reset: it accepted the connection and ended, or its backlog is full.
    if (problem && problem.code !== 'ECONNRESET') throw problem;
  }
  // Names are never reused, so no other process has this one.
  remove(join(directory, name));
}

/** A file that cannot be removed is a dead socket, which blocks no lock. */
function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // See above.
  }
}

/** Connects, sends nothing, and resolves when the connection has ended, with the error if there was one. */
function connectionEnd(path: string, signal: AbortSignal): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    let problem: NodeJS.ErrnoException | undefined;
    const socket = connect(path);
    const abort = (): void => {
      socket.destroy();
    };
    // The option `signal` of connect() would keep its listener.
    signal.addEventListener('abort', abort);
    socket
      .on('error', (error) => (problem = error))
      .on('close', () => {
        signal.removeEventListener('abort', abort);
        resolve(problem);
      });
    socket.unref().resume();
  });
}

/** On Windows a directory cannot contain sockets. An entry is an empty file there, and a named pipe shows whether its process lives. */
function addressOf(directory: string, name: string): string {
  return WINDOWS ? `\\\\.\\pipe\\axios-attach-auth-${/[\da-f]{12}/.exec(name)?.[0] ?? ''}` : join(directory, name);
}
