import fs, {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import type { TokenStore } from '../lib/store.js';
import { filePort } from '../lib/stores/file.js';
import { withFileLock } from '../lib/stores/file-lock.js';

const ever = (): AbortSignal => new AbortController().signal;

let folder: string;
let file: string;
const others: (() => Promise<void>)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'file-lock-'));
  file = join(folder, 'session.json');
});
afterEach(async () => {
  jest.restoreAllMocks();
  await Promise.all(others.splice(0).map((die) => die()));
  rmSync(folder, { recursive: true, force: true });
});

/** A promise, and the function that resolves it. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let release!: () => void;
  const opened = new Promise<void>((resolve) => (release = resolve));
  return { opened, open: release };
}

/** Resolves when the queue has this many tickets. */
async function queued(count: number, directory = `${file}.lock`): Promise<void> {
  const isTicket = (name: string): boolean => name.startsWith('refresh.');
  while ((existsSync(directory) ? readdirSync(directory) : []).filter(isTicket).length !== count)
    await new Promise((resolve) => setImmediate(resolve));
}

/** The ticket of another process. After die() its socket and connections are closed, as the kernel closes them, and its name stays. */
async function otherProcess(number: number, id = 'ffffffffffff'): Promise<{ name: string; die(): Promise<void> }> {
  mkdirSync(`${file}.lock`, { recursive: true, mode: 0o700 });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on('error', () => undefined).resume()));
  const made = join(folder, id);
  await once(server.listen(made), 'listening');
  const name = `refresh.${String(number)}.${id}`;
  renameSync(made, join(`${file}.lock`, name));
  const die = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  others.push(die);
  return { name, die };
}

/** Another copy of the package in the same process, as with an ES module beside CommonJS. */
function anotherCopy(): (path: string) => TokenStore {
  let copy: typeof filePort | undefined;
  jest.isolateModules(() => {
    copy = jest.requireActual<{ filePort: typeof filePort }>('../lib/stores/file').filePort;
  });
  return copy ?? filePort;
}

const held = (store: TokenStore, work: () => Promise<void>, signal = ever()): Promise<void> =>
  store.exclusive?.(work, { signal }) ?? Promise.reject(new Error('no exclusive()'));

describe('exclusive', () => {
  test('settles with the result of its work', async () => {
    const store = filePort(file);
    expect(await store.exclusive?.(() => Promise.resolve('done'), { signal: ever() })).toBe('done');
    await expect(held(store, () => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
    await expect(
      held(store, () => {
        throw new Error('at once');
      }),
    ).rejects.toThrow('at once');
    expect(await store.exclusive?.(() => Promise.resolve('again'), { signal: ever() })).toBe('again');
  });

  test('runs one work at a time, first in first out, for all stores and copies of the package', async () => {
    const stores = [filePort(file), filePort(file), anotherCopy()(file), filePort(join(folder, '.', 'session.json'))];
    expect(anotherCopy()).not.toBe(filePort);
    const order: number[] = [];
    let inside = 0;
    const turns = Array.from({ length: 24 }, (_, turn) =>
      held(stores[turn % stores.length] ?? filePort(file), async () => {
        expect(++inside).toBe(1);
        order.push(turn);
        await new Promise((resolve) => setImmediate(resolve));
        if (turn % 5 === 0) throw (inside--, new Error('mine'));
        inside--;
      }).catch(() => undefined),
    );
    await Promise.all(turns);
    expect(order).toEqual(turns.map((_, turn) => turn));
    expect(readdirSync(`${file}.lock`)).toEqual([]);
  });

  test('does not block the store of another file', async () => {
    const busy = gate();
    const first = held(filePort(file), () => busy.opened);
    await queued(1);
    await held(filePort(join(folder, 'other.json')), () => Promise.resolve());
    busy.open();
    await first;
  });

  test('does not block a write', async () => {
    const store = filePort(file);
    const tokens = { accessToken: 'a' };
    await held(store, async () => {
      expect(await filePort(file).compareAndSet(undefined, { version: 1, generation: 1, epoch: 0, tokens })).toBe(true);
    });
  });
});

describe('a signal', () => {
  test('that has aborted before rejects, and makes no file', async () => {
    const work = jest.fn(() => Promise.resolve());
    const reason = new Error('too late');
    await expect(held(filePort(file), work, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(work).not.toHaveBeenCalled();
  });

  test('that aborts a wait rejects with its reason, and the work is never called', async () => {
    const store = filePort(file);
    const [busy, controller] = [gate(), new AbortController()];
    const first = held(store, () => busy.opened);
    const work = jest.fn(() => Promise.resolve());
    const waiting = held(store, work, controller.signal);
    const third = held(store, () => Promise.resolve());
    await queued(3);
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await queued(2);
    busy.open();
    await Promise.all([first, third]);
    expect(work).not.toHaveBeenCalled();
    expect(readdirSync(`${file}.lock`)).toEqual([]);
  });

  test('that aborts while a ticket is made rejects, and the work is never called', async () => {
    const controller = new AbortController();
    const work = jest.fn(() => Promise.resolve());
    const arriving = held(filePort(file), work, controller.signal);
    controller.abort();
    await expect(arriving).rejects.toThrow(/abort/i);
    expect(work).not.toHaveBeenCalled();
  });

  test('that aborts after the work began does not release the lock early', async () => {
    const store = filePort(file);
    const [busy, controller] = [gate(), new AbortController()];
    const first = held(store, () => busy.opened, controller.signal);
    const second = jest.fn(() => Promise.resolve());
    const waiting = held(store, second);
    await queued(2);
    controller.abort();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(second).not.toHaveBeenCalled();
    busy.open();
    await Promise.all([first, waiting]);
  });

  test('has no listener left, and 200 locks leave neither socket nor file', async () => {
    const { signal } = new AbortController();
    const add = jest.spyOn(signal, 'addEventListener');
    const remove = jest.spyOn(signal, 'removeEventListener');
    const stores = [filePort(file), filePort(file)];
    const kept = (kind: RegExp): number => process.getActiveResourcesInfo().filter((one) => kind.test(one)).length;
    const [pipes, timers] = [kept(/Pipe/), kept(/Timeout/)];
    for (let round = 0; round < 100; round++)
      await Promise.all(stores.map((store) => held(store, () => Promise.resolve(), signal)));
    expect(add.mock.calls.length).toBeGreaterThan(50);
    expect(remove.mock.calls.length).toBe(add.mock.calls.length);
    await new Promise((resolve) => setImmediate(resolve));
    expect(kept(/Pipe/)).toBe(pipes);
    // The test runner has a few timers of its own. A leak would leave 200.
    expect(kept(/Timeout/)).toBeLessThan(timers + 20);
    expect(readdirSync(`${file}.lock`)).toEqual([]);
  });
});

describe('the ticket of another process', () => {
  test('is waited for until its process ends', async () => {
    const other = await otherProcess(7);
    const work = jest.fn(() => Promise.resolve());
    const waiting = held(filePort(file), work);
    await queued(2);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(work).not.toHaveBeenCalled();
    await other.die();
    await waiting;
    expect(readdirSync(`${file}.lock`)).toEqual([]);
  });

  // F32 F33
  test('is skipped and removed if its process was killed', async () => {
    for (const id of ['aaaaaaaaaaaa', 'bbbbbbbbbbbb']) await (await otherProcess(3, id)).die();
    await held(filePort(file), () => {
      expect(readdirSync(`${file}.lock`)).toEqual([expect.stringMatching(/^refresh\.4\./)]);
      return Promise.resolve();
    });
    expect(readdirSync(`${file}.lock`)).toEqual([]);
  });

  test('that dies does not let a lock pass a living one in front of it', async () => {
    const [first, second] = [await otherProcess(1), await otherProcess(2)];
    const work = jest.fn(() => Promise.resolve());
    const waiting = held(filePort(file), work);
    await queued(3);
    await second.die();
    await queued(2);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(work).not.toHaveBeenCalled();
    await first.die();
    await waiting;
  });

  test('that was made at the same moment goes first, since it may not have seen ours', async () => {
    const other = await otherProcess(1);
    let seen: Promise<unknown> | undefined;
    let given = '';
    jest.spyOn(fs, 'renameSync').mockImplementationOnce((from, to) => {
      renameSync(from, to);
      given = String(to);
      // The other process has drawn a higher number, has seen our ticket, and waits for it.
      renameSync(join(`${file}.lock`, other.name), join(`${file}.lock`, 'refresh.9.ffffffffffff'));
      const waiter = connect(given).on('error', () => undefined);
      seen = new Promise((resolve) => waiter.resume().once('close', resolve));
    });
    const work = jest.fn(() => Promise.resolve());
    const waiting = held(filePort(file), work);
    while (!seen) await new Promise((resolve) => setImmediate(resolve));
    // Otherwise both processes would wait for each other.
    await seen;
    expect(existsSync(given)).toBe(false);
    await queued(2);
    expect(readdirSync(`${file}.lock`).sort()[0]).toMatch(/^refresh\.10\./);
    expect(work).not.toHaveBeenCalled();
    await other.die();
    await waiting;
  });

  test('that cannot be connected to rejects, and the work is never called', async () => {
    const other = await otherProcess(1);
    const work = jest.fn(() => Promise.resolve());
    chmodSync(join(`${file}.lock`, other.name), 0);
    const isRoot = process.getuid?.() === 0;
    const waiting = held(filePort(file), work);
    if (isRoot) await other.die();
    else await expect(waiting).rejects.toThrow('EACCES');
    await Promise.allSettled([waiting]);
    expect(work).toHaveBeenCalledTimes(isRoot ? 1 : 0);
  });
});

test('a path too long for a socket is reached through a temporary symlink', async () => {
  const links = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('attach-auth-'));
  const deep = join(folder, 'x'.repeat(100), 'y'.repeat(100), 'session.json');
  const stores = [filePort(deep), filePort(deep)];
  const order: number[] = [];
  let shown: string[] = [];
  const before = links();
  await Promise.all(
    stores.map((store, turn) =>
      held(store, async () => {
        shown = links().filter(
          (name) => !before.includes(name) && readlinkSync(join(tmpdir(), name)) === `${deep}.lock`,
        );
        order.push(turn);
        await new Promise((resolve) => setImmediate(resolve));
      }),
    ),
  );
  expect(order).toEqual([0, 1]);
  expect(shown).toHaveLength(1);
  expect(readdirSync(`${deep}.lock`)).toEqual([]);
  expect(links().filter((name) => shown.includes(name))).toEqual([]);
});

test('a write that waits for a stopped process rejects with EBUSY within two seconds, and is never made', async () => {
  const store = filePort(file);
  const stopped = gate();
  mkdirSync(`${file}.lock`, { mode: 0o700 });
  const busy = withFileLock(`${file}.lock`, 'write', () => stopped.opened, ever());
  const next = { version: 1, generation: 1, epoch: 0, tokens: null } as const;
  await expect(store.compareAndSet(undefined, next)).rejects.toMatchObject({ code: 'EBUSY' });
  stopped.open();
  await busy;
  expect(await store.load()).toBeUndefined();
  expect(await store.compareAndSet(undefined, next)).toBe(true);
});
