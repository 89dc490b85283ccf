import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { shortPath } from './short-path.js';

/** A socket in the directory: who has it there waits, or is at work. The lower number goes first. */
interface Ticket {
  readonly name: string;
  readonly number: number;
}

/** A ticket of our own. */
interface Place {
  readonly name: string;
  leave(): void;
}

const WINDOWS = process.platform === 'win32';

/**
 * Runs `work` while nobody else of this queue runs theirs, in this process or another one of this machine, in the order of arrival.
 *
 * Everybody listens on a socket in `directory`, renames it to the next number, and waits until no lower number answers. The
 * kernel closes a socket with its process, however that ends, and tells who is connected to it. So no lock is ever judged by
 * its age, and none is taken from a process that lives, not even from one that is stopped.
 *
 * Why no two are at work at once: everybody listens before they have a number, and looks around once more after. Whoever
 * sees a higher number then begins again; so the higher of any two came after the lower had looked, has seen it, and waits.
 *
 * @throws the signal's reason when it ends the waiting. `work` that has begun is not cut short.
 */
export async function takeTurn<T>(
  directory: string,
  queue: string,
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const short = shortPath(directory);
  try {
    let place: Place | undefined;
    while (!place) place = await arrive(short.path, queue);
    try {
      for (let next; (next = whoIsBefore(place, short.path, queue));) await absence(short.path, next, signal);
      signal.throwIfAborted();
      return await work();
    } finally {
      place.leave();
    }
  } finally {
    short.forget();
  }
}

/** undefined: somebody else arrived at the same moment. */
async function arrive(directory: string, queue: string): Promise<Place | undefined> {
  const id = randomBytes(6).toString('hex');
  let name = `${id}.tmp`;
  const waiters = new Set<Socket>();
  const server = createServer((waiter) => {
    waiters.add(waiter);
    waiter.on('error', () => undefined).on('close', () => waiters.delete(waiter));
    waiter.unref().resume();
  });
  const leave = (): void => {
    remove(join(directory, name));
    server.close();
    for (const waiter of waiters) waiter.destroy();
  };
  let hasArrived = false;
  try {
    // A worker of node:cluster would have its primary open it, and depend on that being alive and idle.
    server.unref().listen({ path: addressOf(directory, name), exclusive: true });
    await once(server, 'listening');
    server.on('error', () => undefined);
    if (WINDOWS) writeFileSync(join(directory, name), '');
    // From here in one go: who was first to come in this process is the first to be served.
    const number = (ticketsIn(directory, queue)[0]?.number ?? 0) + 1;
    const ticket = `${queue}.${String(number)}.${id}`;
    renameSync(join(directory, name), join(directory, ticket));
    name = ticket;
    hasArrived = ticketsIn(directory, queue)[0]?.name === ticket;
    return hasArrived ? { name, leave } : undefined;
  } finally {
    // Who has seen this ticket must not go on waiting for it: a new number needs a new socket.
    if (!hasArrived) leave();
  }
}

function whoIsBefore({ name }: Place, directory: string, queue: string): string | undefined {
  const names = ticketsIn(directory, queue).map((ticket) => ticket.name);
  return names[names.indexOf(name) + 1];
}

/** From the highest to the lowest; who drew the same number goes by name. */
function ticketsIn(directory: string, queue: string): Ticket[] {
  return readdirSync(directory)
    .map((name) => ({ name, number: name.startsWith(`${queue}.`) ? Number(name.split('.')[1]) : NaN }))
    .filter(({ number }) => Number.isSafeInteger(number))
    .sort((one, other) => other.number - one.number || (one.name < other.name ? 1 : -1));
}

/** Resolves when nobody answers there any more. What is left of a process that was killed goes away. */
async function absence(directory: string, name: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const problem = await endOf(addressOf(directory, name), signal);
    if (problem?.code === 'ENOENT' || problem?.code === 'ECONNREFUSED') break;
    // Let in, and sent away: it has gone, or has no room for another connection.
    if (problem && problem.code !== 'ECONNRESET') throw problem;
  }
  // No name is ever given twice, so this can be nobody else's.
  remove(join(directory, name));
}

/** What cannot be removed is no more than a dead socket. */
function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // As above.
  }
}

/** How a connection ended that nothing is sent over. */
function endOf(path: string, signal: AbortSignal): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    let problem: NodeJS.ErrnoException | undefined;
    const socket = connect(path);
    const leave = (): void => {
      socket.destroy();
    };
    // The `signal` that connect() takes would keep its listener.
    signal.addEventListener('abort', leave);
    socket
      .on('error', (error) => (problem = error))
      .on('close', () => {
        signal.removeEventListener('abort', leave);
        resolve(problem);
      });
    socket.unref().resume();
  });
}

/** Windows has no sockets in directories: there a ticket is an empty file, and a pipe of its own shows who lives. */
function addressOf(directory: string, name: string): string {
  return WINDOWS ? `\\\\.\\pipe\\axios-attach-auth-${/[\da-f]{12}/.exec(name)?.[0] ?? ''}` : join(directory, name);
}
