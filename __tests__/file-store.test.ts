import { execFile } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import fs, { chmod, link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import axios from 'axios';
import { buildSync } from 'esbuild';
import { attachAuth, bearer, type AuthEvent, type StoredSession } from '../lib/index.js';
import { fileStore } from '../lib/integrations/node.js';
import { inTurn, onlyFor, servers } from './support/answers.js';

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
  await rm(folder, { recursive: true, force: true });
});

const session = (generation: number, accessToken = `token-${String(generation)}`): StoredSession => ({
  version: 1,
  generation,
  epoch: 0,
  tokens: { accessToken, refreshToken: 'r', expiresAt: 4_000_000_000_000 },
});
const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
const names = (path = folder): string[] => readdirSync(path).sort();

/** Windows has no modes and may forbid symlinks. */
const onPosix = process.platform === 'win32' ? describe.skip : describe;

describe('what is stored', () => {
  test('is found again, with its expiry', async () => {
    await fileStore(file).compareAndSet(undefined, session(1));
    expect(await fileStore(file).load()).toEqual(session(1));
  });

  test('may be a sign-out: that is something, and not nothing', async () => {
    const store = fileStore(file);
    const signedOut: StoredSession = { version: 1, generation: 4, epoch: 2, tokens: null };
    await store.compareAndSet(undefined, signedOut);
    expect(await store.load()).toEqual(signedOut);
  });

  test('may be a token without a refresh token and without an expiry', async () => {
    const store = fileStore(file);
    const bare: StoredSession = { version: 1, generation: 1, epoch: 0, tokens: { accessToken: 'ü|:"\\\n' } };
    await store.compareAndSet(undefined, bare);
    expect(await store.load()).toEqual(bare);
  });

  test('is nothing where there is no file, and reading makes none', async () => {
    expect(await fileStore(file).load()).toBeUndefined();
    expect(await fileStore(join(folder, 'a', 'b.json')).load()).toBeUndefined();
    expect(names()).toEqual([]);
  });

  test('goes where the path led when the store was made', async () => {
    const before = process.cwd();
    try {
      process.chdir(folder);
      const store = fileStore('here.json');
      process.chdir(before);
      await store.compareAndSet(undefined, session(1));
    } finally {
      process.chdir(before);
    }
    expect(names()).toEqual(['here.json']);
  });
});

test.each([[''], [undefined], [null], [7], [{}]])('a path that is %p is a TypeError', (path) => {
  expect(() => fileStore(path as unknown as string)).toThrow(TypeError);
});

describe('compareAndSet', () => {
  test('writes where the generation is the expected one, and says so', async () => {
    const store = fileStore(file);
    expect(await store.compareAndSet(undefined, session(1))).toBe(true);
    expect(await store.compareAndSet(1, session(2))).toBe(true);
    expect(await store.load()).toEqual(session(2));
  });

  test.each([
    ['nothing was expected', undefined],
    ['an older generation was expected', 1],
    ['a newer generation was expected', 3],
  ])('writes nothing where %s, and says so', async (_what, expected) => {
    const store = fileStore(file);
    await store.compareAndSet(undefined, session(2));
    const before = readFileSync(file);
    expect(await store.compareAndSet(expected, session(9))).toBe(false);
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(names()).toEqual(['session.json']);
  });

  test('writes nothing where a generation was expected and nothing is stored', async () => {
    expect(await fileStore(file).compareAndSet(1, session(2))).toBe(false);
    expect(names()).toEqual([]);
  });

  test('has one winner among those who expect the same', async () => {
    const store = fileStore(file);
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        Promise.resolve(store.compareAndSet(undefined, session(1, `by-${String(index)}`))),
      ),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
    expect(await store.load()).toEqual(session(1, `by-${String(results.indexOf(true))}`));
    expect(names()).toEqual(['session.json']);
  });

  test('sees what another store of the same file has written', async () => {
    const [one, other] = [fileStore(file), fileStore(file)];
    await one.compareAndSet(undefined, session(1));
    expect(await other.compareAndSet(undefined, session(1))).toBe(false);
    expect(await other.compareAndSet(1, session(2))).toBe(true);
    expect(await one.load()).toEqual(session(2));
  });
});

onPosix('permissions', () => {
  let umask: number;
  beforeEach(() => {
    // With nothing masked, what the store does not ask for is open to all.
    umask = process.umask(0);
  });
  afterEach(() => {
    process.umask(umask);
  });

  test('the file is 0600, whatever the umask', async () => {
    const store = fileStore(file);
    await store.compareAndSet(undefined, session(1));
    expect(modeOf(file)).toBe('600');
    await store.compareAndSet(1, session(2));
    expect(modeOf(file)).toBe('600');
  });

  test('it is so from its first byte', async () => {
    const { open } = fs;
    const born: string[] = [];
    jest.spyOn(fs, 'open').mockImplementation(async (...args: Parameters<typeof open>) => {
      const handle = await open(...args);
      const state = await handle.stat();
      if (state.isFile()) born.push(`${String(state.size)} bytes, mode ${(state.mode & 0o777).toString(8)}`);
      return handle;
    });
    await fileStore(file).compareAndSet(undefined, session(1));
    expect(born).toEqual(['0 bytes, mode 600']);
  });

  test('directories that have to be made are 0700, those that were there stay as they are', async () => {
    await chmod(folder, 0o755);
    const deep = join(folder, 'a', 'b', 'session.json');
    await fileStore(deep).compareAndSet(undefined, session(1));
    expect([folder, join(folder, 'a'), join(folder, 'a', 'b')].map(modeOf)).toEqual(['755', '700', '700']);
  });

  test.each([0o640, 0o604, 0o644, 0o620, 0o602, 0o660, 0o666, 0o610])(
    'a file with mode %o is refused, and stays as it is',
    async (mode) => {
      const store = fileStore(file);
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
    const store = fileStore(file);
    await store.compareAndSet(undefined, session(1));
    await chmod(file, mode);
    expect(await store.load()).toEqual(session(1));
  });
});

onPosix('a path that cannot be trusted', () => {
  test('a symlink is refused, and what it points to is neither read nor written', async () => {
    const target = join(folder, 'elsewhere.json');
    await fileStore(target).compareAndSet(undefined, session(1));
    await symlink(target, file);
    const before = readFileSync(target);
    const store = fileStore(file);
    await expect(store.load()).rejects.toThrow(/symlink/);
    await expect(store.compareAndSet(undefined, session(2))).rejects.toThrow(/symlink/);
    await expect(store.compareAndSet(1, session(2))).rejects.toThrow(/symlink/);
    expect(readFileSync(target).equals(before)).toBe(true);
    expect(lstatSync(file).isSymbolicLink()).toBe(true);
    expect(names()).toEqual(['elsewhere.json', 'session.json']);
  });

  test('so is one that leads nowhere', async () => {
    await symlink(join(folder, 'nothing.json'), file);
    const store = fileStore(file);
    await expect(store.load()).rejects.toThrow(/symlink/);
    await expect(store.compareAndSet(undefined, session(1))).rejects.toThrow(/symlink/);
    expect(names()).toEqual(['session.json']);
  });

  test('a symlink that somebody puts there between reading and writing is not followed', async () => {
    const target = join(folder, 'elsewhere.json');
    await writeFile(target, 'precious', { mode: 0o600 });
    const store = fileStore(file);
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
    await expect(fileStore(file).load()).rejects.toThrow();
    expect(names()).toEqual(['session.json']);
  });

  test('what is refused does not end a session: it goes on in memory, and an event says so', async () => {
    await symlink(join(folder, 'nothing.json'), file);
    const server = await start(inTurn(200));
    const api = axios.create({ baseURL: server.origin });
    const events: AuthEvent[] = [];
    attachAuth(api, {
      scheme: bearer({ tokens: { accessToken: 'good' }, store: fileStore(file) }),
      onEvent: (event) => events.push(event),
    });
    expect((await api.get('/')).status).toBe(200);
    expect(server.seen[0]?.headers.authorization).toBe('Bearer good');
    expect(events.map(({ type }) => type)).toContain('store-degraded');
    expect(JSON.stringify(events)).not.toContain(folder);
  });
});

describe('a file that holds no session', () => {
  test.each([
    ['nothing', ''],
    ['half of one', JSON.stringify(session(1)).slice(0, 40)],
    ['something after it', `${JSON.stringify(session(1))}}`],
    ['no JSON', 'hello'],
    ['null', 'null'],
    ['an array', '[]'],
    ['another version', JSON.stringify({ ...session(1), version: 2 })],
    ['no generation', JSON.stringify({ ...session(1), generation: undefined })],
    ['a generation that is none', JSON.stringify({ ...session(1), generation: 'one' })],
    ['no epoch', JSON.stringify({ ...session(1), epoch: undefined })],
    ['no tokens', JSON.stringify({ ...session(1), tokens: undefined })],
    ['tokens without a token', JSON.stringify({ ...session(1), tokens: { refreshToken: 'r' } })],
    ['a token that is none', JSON.stringify({ ...session(1), tokens: { accessToken: 7 } })],
    ['another program’s token file', JSON.stringify({ access_token: 'a', expires_in: 3600 })],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00, 0x7b])],
  ])('but %s is moved aside, kept, and counts as empty', async (_what, content) => {
    await writeFile(file, content, { mode: 0o600 });
    const store = fileStore(file);
    expect(await store.load()).toBeUndefined();
    expect(names()).toEqual(['session.json.bad']);
    expect(readFileSync(`${file}.bad`).equals(Buffer.from(content))).toBe(true);
    expect(await store.compareAndSet(undefined, session(1))).toBe(true);
    expect(await store.load()).toEqual(session(1));
  });

  test('is moved aside by compareAndSet too', async () => {
    await writeFile(file, 'torn', { mode: 0o600 });
    expect(await fileStore(file).compareAndSet(undefined, session(1))).toBe(true);
    expect(names()).toEqual(['session.json', 'session.json.bad']);
  });
});

describe('writing', () => {
  test('puts another file in the place of the old one, so that a reader sees the old session or the new one', async () => {
    const store = fileStore(file);
    await store.compareAndSet(undefined, session(1));
    const old = join(folder, 'old.json');
    await link(file, old);
    await store.compareAndSet(1, session(2));
    expect(JSON.parse(readFileSync(old, 'utf8'))).toEqual(session(1));
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(session(2));
    expect(names()).toEqual(['old.json', 'session.json']);
  });

  test('never shows half a session to somebody who reads meanwhile', async () => {
    const long = 'x'.repeat(100_000);
    const [writer, reader] = [fileStore(file), fileStore(file)];
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
  ])('that cannot be %s leaves the old session, and nothing beside it', async (_what, fail) => {
    const store = fileStore(file);
    await store.compareAndSet(undefined, session(1));
    fail();
    await expect(store.compareAndSet(1, session(2))).rejects.toThrow('no');
    jest.restoreAllMocks();
    expect(names()).toEqual(['session.json']);
    expect(await store.load()).toEqual(session(1));
    expect(await store.compareAndSet(1, session(2))).toBe(true);
  });

  test('that fails once does not keep the next from its turn', async () => {
    const store = fileStore(file);
    const rename = jest.spyOn(fs, 'rename').mockRejectedValueOnce(new Error('no'));
    const [first, second] = await Promise.allSettled([
      store.compareAndSet(undefined, session(1)),
      store.compareAndSet(undefined, session(1)),
    ]);
    expect([first.status, second.status]).toEqual(['rejected', 'fulfilled']);
    expect(rename).toHaveBeenCalledTimes(2);
  });

  test('what somebody else left beside it is not touched', async () => {
    const stranger = join(folder, '.session.json.tmp');
    await writeFile(stranger, 'mine');
    utimesSync(stranger, 1, 1);
    await fileStore(file).compareAndSet(undefined, session(1));
    expect(readFileSync(stranger, 'utf8')).toBe('mine');
  });
});

describe('the next process', () => {
  /** The package as one file for a plain node, so that another process can run it. */
  function build(): string {
    const out = join(folder, 'package.cjs');
    buildSync({
      stdin: {
        contents:
          "export * from './lib/index.ts'; export * from './lib/integrations/node.ts'; export { default as axios } from 'axios';",
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

  test('finds the session with its expiry, and need not refresh', async () => {
    const server = await start(onlyFor('token-1'));
    await fileStore(file).compareAndSet(undefined, session(1));
    expect(await nextProcess(server.origin)).toEqual({
      answer: 200,
      attempts: 1,
      refreshes: 0,
      status: 'signed-in',
      expiresAt: 4_000_000_000_000,
    });
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer token-1']);
  });

  test('is refused, refreshes, and leaves what it got to the one after it', async () => {
    const server = await start((seen, response, request) => {
      if (seen.url !== '/token') return onlyFor('token-2')(seen, response, request);
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify({ access_token: 'token-2', refresh_token: 'r2', expires_in: 3600 }));
    });
    await fileStore(file).compareAndSet(undefined, session(1));
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
    expect(await fileStore(file).load()).toMatchObject({
      generation: 2,
      tokens: { accessToken: 'token-2', refreshToken: 'r2' },
    });
    expect(await nextProcess(server.origin)).toMatchObject({ answer: 200, attempts: 1, refreshes: 0 });
    expect(names()).not.toContain('session.json.bad');
  });
});
