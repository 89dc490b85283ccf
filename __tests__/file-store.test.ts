import { execFile } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import fsSync, { lstatSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import fs, { chmod, link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import axios from 'axios';
import { buildSync } from 'esbuild';
import {
  attachAuth,
  bearer,
  type AuthError,
  type AuthEvent,
  type BearerScheme,
  type TokenResponse,
} from '../lib/index.js';
import { fileStore } from '../lib/node.js';
import { tokenStore, type StoredSession, type TokenStore } from '../lib/store.js';
import { filePort } from '../lib/stores/file.js';
import { inTurn, onlyFor, servers } from './support/answers.js';
import { rounds } from './support/rounds.js';
import { VirtualClock } from './support/virtual-clock.js';

/** F93 asks for 100 000 on request. */
const FUZZ_ROUNDS = Number(process.env['FILE_FUZZ_ROUNDS'] ?? rounds(150, 10_000));

const start = servers();
const run = promisify(execFile);
const root = join(__dirname, '..');

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'file-store-'));
  file = join(folder, 'session.json');
});
afterEach(async () => {
  jest.restoreAllMocks();
  // A write that no call waits for may still be on its way.
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
});

const session = (generation: number, accessToken = `token-${String(generation)}`): StoredSession => ({
  version: 1,
  generation,
  epoch: 0,
  tokens: { accessToken, refreshToken: 'r', expiresAt: 4_000_000_000_000 },
});
const ever = { signal: new AbortController().signal };
const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
/** All file names but the directory of the locks. */
const names = (path = folder): string[] =>
  readdirSync(path)
    .filter((name) => !name.endsWith('.lock'))
    .sort();
const backstage = (): string[] => readdirSync(`${file}.lock`);

/** Windows has no file modes and may forbid symlinks. */
const onPosix = process.platform === 'win32' ? describe.skip : describe;

describe('the stored session', () => {
  test('is loaded by another store, with its expiry', async () => {
    await filePort(file).compareAndSet(undefined, session(1));
    expect(await filePort(file).load()).toEqual(session(1));
  });

  test('may be a sign-out', async () => {
    const store = filePort(file);
    const signedOut: StoredSession = { version: 1, generation: 4, epoch: 2, tokens: null };
    await store.compareAndSet(undefined, signedOut);
    expect(await store.load()).toEqual(signedOut);
  });

  test('may be a token without a refresh token and without an expiry', async () => {
    const store = filePort(file);
    const bare: StoredSession = { version: 1, generation: 1, epoch: 0, tokens: { accessToken: 'ü|:"\\\n' } };
    await store.compareAndSet(undefined, bare);
    expect(await store.load()).toEqual(bare);
  });

  test('is undefined if there is no file, and reading makes none', async () => {
    expect(await filePort(file).load()).toBeUndefined();
    expect(await filePort(join(folder, 'a', 'b.json')).load()).toBeUndefined();
    expect(names()).toEqual([]);
  });

  test('is in the file that the path named when the store was made', async () => {
    const before = process.cwd();
    try {
      process.chdir(folder);
      const store = filePort('here.json');
      process.chdir(before);
      await store.compareAndSet(undefined, session(1));
    } finally {
      process.chdir(before);
    }
    expect(names()).toEqual(['here.json']);
  });
});

test.each([[''], [undefined], [null], [7], [{}]])('a path that is %p is a TypeError', (path) => {
  expect(() => filePort(path as unknown as string)).toThrow(TypeError);
});

describe('compareAndSet', () => {
  test('writes and returns true if the generation is the expected one', async () => {
    const store = filePort(file);
    expect(await store.compareAndSet(undefined, session(1))).toBe(true);
    expect(await store.compareAndSet(1, session(2))).toBe(true);
    expect(await store.load()).toEqual(session(2));
  });

  test.each([
    ['nothing was expected', undefined],
    ['an older generation was expected', 1],
    ['a newer generation was expected', 3],
  ])('returns false and writes nothing if %s', async (_what, expected) => {
    const store = filePort(file);
    await store.compareAndSet(undefined, session(2));
    const before = readFileSync(file);
    expect(await store.compareAndSet(expected, session(9))).toBe(false);
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(names()).toEqual(['session.json']);
  });

  test('returns false and writes nothing if a generation was expected and the store is empty', async () => {
    expect(await filePort(file).compareAndSet(1, session(2))).toBe(false);
    expect(names()).toEqual([]);
  });

  test('has one winner among concurrent writes that expect the same generation', async () => {
    const store = filePort(file);
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        Promise.resolve(store.compareAndSet(undefined, session(1, `by-${String(index)}`))),
      ),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
    expect(await store.load()).toEqual(session(1, `by-${String(results.indexOf(true))}`));
    expect(names()).toEqual(['session.json']);
  });

  test('sees the writes of another store of the same file', async () => {
    const [one, other] = [filePort(file), filePort(file)];
    await one.compareAndSet(undefined, session(1));
    expect(await other.compareAndSet(undefined, session(1))).toBe(false);
    expect(await other.compareAndSet(1, session(2))).toBe(true);
    expect(await one.load()).toEqual(session(2));
  });
});

onPosix('permissions', () => {
  let umask: number;
  beforeEach(() => {
    // With nothing masked, a file is open to all unless the store sets its mode.
    umask = process.umask(0);
  });
  afterEach(() => {
    process.umask(umask);
  });

  test('the file is 0600, whatever the umask', async () => {
    const store = filePort(file);
    await store.compareAndSet(undefined, session(1));
    expect(modeOf(file)).toBe('600');
    await store.compareAndSet(1, session(2));
    expect(modeOf(file)).toBe('600');
  });

  test('the file is 0600 before its first byte is written', async () => {
    const { open } = fs;
    const born: string[] = [];
    jest.spyOn(fs, 'open').mockImplementation(async (...args: Parameters<typeof open>) => {
      const handle = await open(...args);
      const state = await handle.stat();
      if (state.isFile()) born.push(`${String(state.size)} bytes, mode ${(state.mode & 0o777).toString(8)}`);
      return handle;
    });
    await filePort(file).compareAndSet(undefined, session(1));
    expect(born).toEqual(['0 bytes, mode 600']);
  });

  test('the directory of the locks is 0700, and one with wider permissions is refused', async () => {
    const store = filePort(file);
    await store.compareAndSet(undefined, session(1));
    expect(modeOf(`${file}.lock`)).toBe('700');
    await chmod(`${file}.lock`, 0o770);
    await expect(store.compareAndSet(1, session(2))).rejects.toThrow(/chmod it to 700/);
    await expect(store.exclusive?.(() => Promise.resolve(), ever)).rejects.toThrow(/chmod it to 700/);
    await rm(`${file}.lock`, { recursive: true });
    await symlink(folder, `${file}.lock`);
    await expect(store.compareAndSet(1, session(2))).rejects.toThrow(/not a directory/);
    expect(await store.load()).toEqual(session(1));
  });

  test('new directories are 0700, existing ones keep their mode', async () => {
    await chmod(folder, 0o755);
    const deep = join(folder, 'a', 'b', 'session.json');
    await filePort(deep).compareAndSet(undefined, session(1));
    expect([folder, join(folder, 'a'), join(folder, 'a', 'b')].map(modeOf)).toEqual(['755', '700', '700']);
  });

  // F95
  test.each([0o640, 0o604, 0o644, 0o620, 0o602, 0o660, 0o666, 0o610])(
    'a file with mode %o is refused, and is not changed',
    async (mode) => {
      const store = filePort(file);
      await store.compareAndSet(undefined, session(1));
      await chmod(file, mode);
      const before = readFileSync(file);
      await expect(store.load()).rejects.toThrow(/chmod/);
      await expect(store.compareAndSet(1, session(2))).rejects.toThrow(/chmod/);
      expect(readFileSync(file).equals(before)).toBe(true);
      expect(names()).toEqual(['session.json']);
      await chmod(file, 0o600);
      expect(await store.load()).toEqual(session(1));
    },
  );

  test.each([0o400, 0o600, 0o700])('a file with mode %o is trusted', async (mode) => {
    const store = filePort(file);
    await store.compareAndSet(undefined, session(1));
    await chmod(file, mode);
    expect(await store.load()).toEqual(session(1));
  });
});

// F95
onPosix('a path that cannot be trusted', () => {
  test('a symlink is refused, and its target is neither read nor written', async () => {
    const target = join(folder, 'elsewhere.json');
    await filePort(target).compareAndSet(undefined, session(1));
    await symlink(target, file);
    const before = readFileSync(target);
    const store = filePort(file);
    await expect(store.load()).rejects.toThrow(/symlink/);
    await expect(store.compareAndSet(undefined, session(2))).rejects.toThrow(/symlink/);
    await expect(store.compareAndSet(1, session(2))).rejects.toThrow(/symlink/);
    expect(readFileSync(target).equals(before)).toBe(true);
    expect(lstatSync(file).isSymbolicLink()).toBe(true);
    expect(names()).toEqual(['elsewhere.json', 'session.json']);
  });

  test('a symlink without a target is refused', async () => {
    await symlink(join(folder, 'nothing.json'), file);
    const store = filePort(file);
    await expect(store.load()).rejects.toThrow(/symlink/);
    await expect(store.compareAndSet(undefined, session(1))).rejects.toThrow(/symlink/);
    expect(names()).toEqual(['session.json']);
  });

  test('a symlink that is made between read and write is not followed', async () => {
    const target = join(folder, 'elsewhere.json');
    await writeFile(target, 'precious', { mode: 0o600 });
    const store = filePort(file);
    const { open } = fs;
    jest.spyOn(fs, 'open').mockImplementation(async (...args: Parameters<typeof open>) => {
      if (String(args[0]).endsWith('.tmp')) await symlink(target, file);
      return open(...args);
    });
    await Promise.allSettled([store.compareAndSet(undefined, session(1))]);
    expect(readFileSync(target, 'utf8')).toBe('precious');
  });

  test('a directory is refused', async () => {
    await mkdir(file, { mode: 0o700 });
    await expect(filePort(file).load()).rejects.toThrow();
    expect(names()).toEqual(['session.json']);
  });

  // F145
  test('a FIFO is refused at once, although nothing writes to it', async () => {
    await run('mkfifo', ['-m', '600', file]);
    const store = filePort(file);
    await expect(store.load()).rejects.toThrow(/not a regular file/);
    await expect(store.compareAndSet(undefined, session(1))).rejects.toThrow(/not a regular file/);
    expect(names()).toEqual(['session.json']);
  });

  test('a refused file does not end a session: it continues in memory, and emits store-degraded', async () => {
    await symlink(join(folder, 'nothing.json'), file);
    const server = await start(inTurn(200));
    const api = axios.create({ baseURL: server.origin });
    const events: AuthEvent[] = [];
    attachAuth(api, {
      scheme: bearer({ tokens: { accessToken: 'good' }, store: tokenStore(filePort(file)) }),
      onEvent: (event) => events.push(event),
    });
    expect((await api.get('/')).status).toBe(200);
    expect(server.seen[0]?.headers.authorization).toBe('Bearer good');
    expect(JSON.stringify(events)).not.toContain(folder);
  });
});

// F143
describe('a path that cannot be written', () => {
  const opened = async (
    path: string,
    refresh: () => TokenResponse,
  ): Promise<{ scheme: BearerScheme; reasons: () => string[]; call: () => Promise<unknown> }> => {
    const server = await start(onlyFor('new'));
    const api = axios.create({ baseURL: server.origin });
    const events: AuthEvent[] = [];
    const scheme = bearer({ store: fileStore(path), tokens: { accessToken: 'old', refreshToken: 'r' }, refresh });
    attachAuth(api, { scheme, onEvent: (event) => events.push(event) });
    return {
      scheme,
      reasons: () => events.flatMap((event) => (event.type === 'store-degraded' ? event.reason : [])),
      call: () =>
        api.get('/').then(
          ({ status }) => status,
          (error: unknown) => (error as AuthError).code,
        ),
    };
  };
  const refuseToMake = (code: string): void => {
    jest.spyOn(fsSync, 'mkdirSync').mockImplementation(() => {
      throw Object.assign(new Error(code), { code });
    });
  };

  test.each([
    ['the directory may not be written', () => (refuseToMake('EACCES'), file)],
    ['the file system is read-only', () => (refuseToMake('EROFS'), file)],
    ['the disk is full', () => (refuseToMake('ENOSPC'), file)],
    [
      'its directory is a file',
      () => (writeFileSync(join(folder, 'plain'), ''), join(folder, 'plain', 'session.json')),
    ],
  ])('a session that is not stored is refreshed in memory, and emits store-degraded: %s', async (_what, prepare) => {
    const refresh = jest.fn(() => ({ accessToken: 'new', refreshToken: 'r2' }));
    const { call, reasons } = await opened(prepare(), refresh);
    expect(await Promise.all([call(), call()])).toEqual([200, 200]);
    expect(refresh).toHaveBeenCalledTimes(1);
    expect(reasons()[0]).toMatch(/^write: Error E[A-Z]+; the session is kept in memory$/);
  });

  test('a stored session is not refreshed without its lock: calls with a valid token succeed, a refresh rejects with the cause', async () => {
    await filePort(file).compareAndSet(undefined, session(1, 'new'));
    rmSync(`${file}.lock`, { recursive: true });
    refuseToMake('EACCES');
    const refresh = jest.fn(() => ({ accessToken: 'new', refreshToken: 'r2' }));
    const { scheme, call, reasons } = await opened(file, refresh);
    expect(await call()).toBe(200);
    await expect(scheme.refresh()).rejects.toMatchObject({
      code: 'ERR_AUTH_REFRESH_FAILED',
      message: expect.stringMatching(/lock could not be acquired/) as string,
    });
    expect(await call()).toBe(200);
    expect(refresh).not.toHaveBeenCalled();
    expect(reasons()).toEqual(['lock: Error EACCES; no refresh without the lock']);
  });

  test('an error of the work is not taken for an error of the lock', async () => {
    const work = jest.fn(() => Promise.reject(Object.assign(new Error('mine'), { code: 'EACCES' })));
    await expect(filePort(file).exclusive?.(work, ever)).rejects.toThrow('mine');
    expect(work).toHaveBeenCalledTimes(1);
  });
});

// F165
test('a deleted file counts as never stored, for running holders, too', async () => {
  const server = await start(inTurn(200, 200));
  const api = axios.create({ baseURL: server.origin });
  const scheme = bearer({ store: fileStore(file) });
  attachAuth(api, { scheme });
  await scheme.signIn({ accessToken: 'of the one before' });
  const changed = new Promise<void>((resolve) => {
    const stop = scheme.subscribe(() => {
      if (scheme.getSnapshot().status === 'signed-in') return;
      stop();
      resolve();
    });
  });
  rmSync(file);
  await changed;
  await api.get('/');
  expect(server.seen[0]?.headers).not.toHaveProperty('authorization');
});

describe('a file that holds no session', () => {
  test.each([
    ['no bytes', ''],
    ['half of one', JSON.stringify(session(1)).slice(0, 40)],
    ['extra bytes after it', `${JSON.stringify(session(1))}}`],
    ['no JSON', 'hello'],
    ['null', 'null'],
    ['an array', '[]'],
    ['another version', JSON.stringify({ ...session(1), version: 2 })],
    ['no generation', JSON.stringify({ ...session(1), generation: undefined })],
    ['a generation of another type', JSON.stringify({ ...session(1), generation: 'one' })],
    ['no epoch', JSON.stringify({ ...session(1), epoch: undefined })],
    ['no tokens', JSON.stringify({ ...session(1), tokens: undefined })],
    ['tokens without a token', JSON.stringify({ ...session(1), tokens: { refreshToken: 'r' } })],
    ['a token of another type', JSON.stringify({ ...session(1), tokens: { accessToken: 7 } })],
    ['another program’s token file', JSON.stringify({ access_token: 'a', expires_in: 3600 })],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00, 0x7b])],
  ])('but %s is moved aside, kept, and counts as empty', async (_what, content) => {
    await writeFile(file, content, { mode: 0o600 });
    const store = filePort(file);
    expect(await store.load()).toBeUndefined();
    expect(names()).toEqual(['session.json.bad']);
    expect(readFileSync(`${file}.bad`).equals(Buffer.from(content))).toBe(true);
    expect(await store.compareAndSet(undefined, session(1))).toBe(true);
    expect(await store.load()).toEqual(session(1));
  });

  test('is moved aside by compareAndSet, too', async () => {
    await writeFile(file, 'torn', { mode: 0o600 });
    expect(await filePort(file).compareAndSet(undefined, session(1))).toBe(true);
    expect(names()).toEqual(['session.json', 'session.json.bad']);
  });
});

describe('writing', () => {
  test('replaces the file, so that a reader sees the old session or the new one', async () => {
    const store = filePort(file);
    await store.compareAndSet(undefined, session(1));
    const old = join(folder, 'old.json');
    await link(file, old);
    await store.compareAndSet(1, session(2));
    expect(JSON.parse(readFileSync(old, 'utf8'))).toEqual(session(1));
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(session(2));
    expect(names()).toEqual(['old.json', 'session.json']);
  });

  test('never shows half a session to a concurrent reader', async () => {
    const long = 'x'.repeat(100_000);
    const [writer, reader] = [filePort(file), filePort(file)];
    await writer.compareAndSet(undefined, session(0, `${long}0`));
    const progress = { isOver: false };
    const writing = (async () => {
      for (let generation = 1; generation <= 30; generation++)
        await writer.compareAndSet(generation - 1, session(generation, `${long}${String(generation)}`));
      progress.isOver = true;
    })();
    while (!progress.isOver) {
      const found = await reader.load();
      expect(found?.tokens?.accessToken).toBe(`${long}${String(found?.generation)}`);
    }
    await writing;
    expect(names()).toEqual(['session.json']);
  });

  test.each([
    ['renamed', () => jest.spyOn(fs, 'rename').mockRejectedValue(Object.assign(new Error('no'), { code: 'EIO' }))],
    [
      'written',
      () => {
        const { open } = fs;
        jest.spyOn(fs, 'open').mockImplementation(async (...args: Parameters<typeof open>) => {
          const handle = await open(...args);
          jest.spyOn(handle, 'sync').mockRejectedValue(Object.assign(new Error('no'), { code: 'ENOSPC' }));
          return handle;
        });
      },
    ],
  ])('that cannot be %s keeps the old session, and leaves no draft', async (_what, fail) => {
    const store = filePort(file);
    await store.compareAndSet(undefined, session(1));
    fail();
    await expect(store.compareAndSet(1, session(2))).rejects.toThrow('no');
    jest.restoreAllMocks();
    expect(names()).toEqual(['session.json']);
    expect(await store.load()).toEqual(session(1));
    expect(await store.compareAndSet(1, session(2))).toBe(true);
  });

  test('that fails does not block the next write', async () => {
    const store = filePort(file);
    const rename = jest.spyOn(fs, 'rename').mockRejectedValueOnce(new Error('no'));
    const [first, second] = await Promise.allSettled([
      store.compareAndSet(undefined, session(1)),
      store.compareAndSet(undefined, session(1)),
    ]);
    expect([first.status, second.status]).toEqual(['rejected', 'fulfilled']);
    expect(rename).toHaveBeenCalledTimes(2);
  });

  test('does not touch a file of another program beside it', async () => {
    const otherFile = join(folder, '.session.json.tmp');
    await writeFile(otherFile, 'mine');
    utimesSync(otherFile, 1, 1);
    await filePort(file).compareAndSet(undefined, session(1));
    expect(readFileSync(otherFile, 'utf8')).toBe('mine');
  });
});

describe('a file that is not a session', () => {
  const torn = (content = 'torn'): Promise<void> => writeFile(file, content, { mode: 0o600 });

  test('is moved aside once by concurrent readers', async () => {
    await torn();
    const found = await Promise.all(Array.from({ length: 8 }, async () => filePort(file).load()));
    expect(found).toEqual(Array(8).fill(undefined));
    expect(names()).toEqual(['session.json.bad']);
  });

  test('does not replace files that were moved aside before', async () => {
    for (const content of ['one', 'two', 'three']) {
      await torn(content);
      await filePort(file).load();
    }
    const kept = ['.bad', '.bad.2', '.bad.3'].map((end) => readFileSync(file + end, 'utf8'));
    expect(kept).toEqual(['one', 'two', 'three']);
  });

  test('is read again under the lock, so that a good file written meanwhile is not moved aside', async () => {
    await torn();
    const { open } = fs;
    const spy = jest.spyOn(fs, 'open').mockImplementation(async (...args: Parameters<typeof open>) => {
      const handle = await open(...args);
      spy.mockRestore();
      // Another process writes it just after the torn file was opened.
      await rm(file);
      await writeFile(file, JSON.stringify(session(5)), { mode: 0o600 });
      return handle;
    });
    expect(await filePort(file).load()).toEqual(session(5));
    expect(names()).toEqual(['session.json']);
  });

  test('the draft of a killed process is removed by a later write, a recent draft is not', async () => {
    const store = filePort(file);
    await store.compareAndSet(undefined, session(1));
    const [old, young] = ['00000000000a.tmp', '00000000000b.tmp'];
    for (const name of [old, young]) await writeFile(join(`${file}.lock`, name), 'draft', { mode: 0o600 });
    utimesSync(join(`${file}.lock`, old), 1, 1);
    await store.compareAndSet(1, session(2));
    expect(backstage()).toEqual([young]);
  });

  // F93
  test('load() of changed bytes returns a session or undefined, and never throws', async () => {
    const random = new VirtualClock(93).random;
    const below = (count: number): number => Math.floor(random() * count);
    const whole = Buffer.from(JSON.stringify({ ...session(7), extra: [null, true, 'ü', { deep: -0.5e300 }] }));
    const store = filePort(file);
    let sound = 0;
    for (let round = 0; round < FUZZ_ROUNDS; round++) {
      let bytes = Buffer.from(whole);
      for (let changes = 1 + below(3); changes > 0; changes--) {
        const at = below(bytes.length);
        const [before, rest] = [bytes.subarray(0, at), bytes.subarray(at)];
        const piece = bytes.subarray(below(bytes.length), below(bytes.length));
        bytes =
          [
            () => Buffer.concat([before, Buffer.from([below(256)]), rest.subarray(1)]),
            () => before,
            () => Buffer.concat([before, piece, rest]),
            () => Buffer.concat([before, rest.subarray(below(8))]),
          ][below(4)]?.() ?? bytes;
      }
      writeFileSync(file, bytes, { mode: 0o600 });
      const found = await store.load();
      if (found) {
        sound++;
        expect(JSON.parse(bytes.toString())).toMatchObject(JSON.parse(JSON.stringify(found)) as object);
      } else {
        expect(names()).toEqual(['session.json.bad']);
        expect(readFileSync(`${file}.bad`).equals(bytes)).toBe(true);
        rmSync(`${file}.bad`);
      }
    }
    expect(sound).toBeGreaterThan(FUZZ_ROUNDS / 100);
    expect(sound).toBeLessThan(FUZZ_ROUNDS);
  }, 120_000);
});

describe('subscribe', () => {
  const hinted = (store: TokenStore): { changed: Promise<void>; stop: () => void } => {
    let stop = (): void => undefined;
    const changed = new Promise<void>((resolve) => (stop = store.subscribe?.(resolve) ?? stop));
    return { changed, stop };
  };

  /** Writes until the change is reported. The state that a poll finds first is no change. */
  async function written(path: string, noticed: Promise<unknown>): Promise<void> {
    const progress = { isOver: false };
    void noticed.then(() => (progress.isOver = true));
    for (let generation = 1; !progress.isOver; generation++) {
      await filePort(path).compareAndSet(generation === 1 ? undefined : generation - 1, session(generation));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  test('reports the first and later writes of another store', async () => {
    for (let generation = 1; generation <= 3; generation++) {
      const { changed, stop } = hinted(filePort(file));
      await filePort(file).compareAndSet(generation === 1 ? undefined : generation - 1, session(generation));
      await changed;
      stop();
    }
  });

  test('reports writes to a directory that does not exist yet', async () => {
    const deep = join(folder, 'a', 'session.json');
    const { changed, stop } = hinted(filePort(deep));
    await written(deep, changed);
    stop();
  });

  test('reports writes if the directory cannot be watched, at first or later', async () => {
    jest.spyOn(fsSync, 'watch').mockImplementationOnce(() => {
      throw Object.assign(new Error('no'), { code: 'ENOSPC' });
    });
    const failing = Object.assign(new EventEmitter(), { close: jest.fn() });
    jest.spyOn(fsSync, 'watch').mockImplementationOnce(() => failing as unknown as fsSync.FSWatcher);
    const both = [hinted(filePort(file)), hinted(filePort(file))];
    failing.emit('error', new Error('no'));
    expect(failing.close).toHaveBeenCalledTimes(1);
    await written(file, Promise.all(both.map(({ changed }) => changed)));
    for (const { stop } of both) stop();
  });

  test('leaves no watcher after the last listener', async () => {
    const watch = jest.spyOn(fsSync, 'watch');
    const unwatch = jest.spyOn(fsSync, 'unwatchFile');
    let hints = 0;
    const stop = filePort(file).subscribe?.(() => hints++);
    const watcher = watch.mock.results[0]?.value as fsSync.FSWatcher;
    const closed = once(watcher, 'close');
    stop?.();
    await closed;
    watcher.emit('error', new Error('late'));
    expect(unwatch).toHaveBeenCalledTimes(1);
    await filePort(file).compareAndSet(undefined, session(1));
    expect(hints).toBe(0);
  });
});

describe('the next process', () => {
  /** The package as one file that plain Node can run in another process. */
  function build(): string {
    const out = join(folder, 'package.cjs');
    buildSync({
      stdin: {
        contents:
          "export * from './lib/index.ts'; export * from './lib/stores/file.ts'; export { default as axios } from 'axios';",
        resolveDir: root,
      },
      bundle: true,
      platform: 'node',
      format: 'cjs',
      outfile: out,
      alias: { axios: process.env['AXIOS_VERSION'] ?? 'axios' },
    });
    return out;
  }

  const script = `
    const { attachAuth, axios, bearer, exchangeOf, fileStore } = require(process.argv[2]);
    const [, , , file, baseURL] = process.argv;
    const api = axios.create({ baseURL });
    let refreshes = 0;
    const scheme = bearer({
      tokens: { accessToken: 'initial' },
      store: fileStore(file),
      refresh: async ({ client, refreshToken }) => {
        refreshes++;
        return (await client.post('/token', { refreshToken })).data;
      },
    });
    attachAuth(api, { scheme });
    api.get('/me').then((answer) => {
      const { status, expiresAt } = scheme.getSnapshot();
      console.log(JSON.stringify({ answer: answer.status, attempts: exchangeOf(answer).attempts, refreshes, status, expiresAt }));
    });
  `;

  interface Found {
    readonly answer: number;
    readonly attempts: number;
    readonly refreshes: number;
    readonly status: string;
    readonly expiresAt?: number;
  }

  async function nextProcess(origin: string): Promise<Found> {
    const out = build();
    const main = join(folder, 'main.cjs');
    await writeFile(main, script);
    const { stdout } = await run(process.execPath, [main, out, file, origin]);
    return JSON.parse(stdout) as Found;
  }

  test('loads the session with its expiry, and does not refresh', async () => {
    const server = await start(onlyFor('token-1'));
    await filePort(file).compareAndSet(undefined, session(1));
    expect(await nextProcess(server.origin)).toEqual({
      answer: 200,
      attempts: 1,
      refreshes: 0,
      status: 'signed-in',
      expiresAt: 4_000_000_000_000,
    });
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer token-1']);
  });

  test('refreshes after a 401, and stores its tokens for the process after it', async () => {
    const server = await start((seen, response, request) => {
      if (seen.url !== '/token') return onlyFor('token-2')(seen, response, request);
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify({ access_token: 'token-2', refresh_token: 'r2', expires_in: 3600 }));
    });
    await filePort(file).compareAndSet(undefined, session(1));
    expect(await nextProcess(server.origin)).toMatchObject({
      answer: 200,
      attempts: 2,
      refreshes: 1,
      status: 'signed-in',
    });
    expect(server.seen.map(({ url, headers, body }) => [url, headers.authorization, body.toString()])).toEqual([
      ['/me', 'Bearer token-1', ''],
      ['/token', undefined, '{"refreshToken":"r"}'],
      ['/me', 'Bearer token-2', ''],
    ]);
    expect(await filePort(file).load()).toMatchObject({
      generation: 2,
      tokens: { accessToken: 'token-2', refreshToken: 'r2' },
    });
    expect(await nextProcess(server.origin)).toMatchObject({ answer: 200, attempts: 1, refreshes: 0 });
    expect(names()).not.toContain('session.json.bad');
  });

  /** Runs a program that has only the store. Ends it after 15 s. */
  async function program(text: string): Promise<string> {
    const main = join(folder, 'main.cjs');
    await writeFile(main, `const { filePort } = require(${JSON.stringify(build())});\n${text}`);
    const { stdout } = await run(process.execPath, [main, file], { timeout: 15_000 });
    return stdout.trim();
  }

  test('ends with its program, even if it holds a lock, waits for another, and has subscribed', async () => {
    const output = await program(`
      const stores = [filePort(process.argv[2]), filePort(process.argv[2])];
      const { signal } = new AbortController();
      for (const store of stores) store.subscribe(() => undefined);
      filePort(process.argv[2] + '/not/there').subscribe(() => undefined);
      for (const store of stores) store.exclusive(() => new Promise(() => console.log('in')), { signal });
      setTimeout(() => console.log('over'), 200);
    `);
    expect(output.split('\n')).toEqual(['in', 'over']);
  });

  test('does not end before its writes are made, including queued ones', async () => {
    const output = await program(`
      const store = filePort(process.argv[2]);
      const write = (expected, generation) => store.compareAndSet(expected, { version: 1, generation, epoch: 0, tokens: null });
      write(undefined, 1).then(console.log);
      write(1, 2).then(console.log);
      write(2, 3).then(console.log);
    `);
    expect(output.split('\n')).toEqual(['true', 'true', 'true']);
  });
});
