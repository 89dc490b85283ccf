import { randomBytes, webcrypto } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bearer } from '../lib/index.js';
import { fileStore } from '../lib/node.js';
import { redisStore } from '../lib/redis.js';
import {
  aesGcm,
  memoryStore,
  tokenStore,
  type Seal,
  type SealKey,
  type SessionStore,
  type StoredSession,
  type TokenStore,
} from '../lib/store.js';
import { tokensOf } from '../lib/session/tokens.js';
import { memoryPort } from './support/memory-port.js';
import { sealedPort } from '../lib/stores/sealed-port.js';
import { webStorageStore } from '../lib/web.js';
import { FakeClient, FakeRedis } from './support/redis-fake.js';
import { Stage } from './support/stage.js';
import { VirtualClock } from './support/virtual-clock.js';
import { FakeLocks, FakeStorage, withGlobals } from './support/web-fakes.js';

const ACCESS = 'canary-access-7f';
const REFRESH = 'canary-refresh-7f';
const KEY = randomBytes(32);
const session = (generation: number, accessToken = ACCESS): StoredSession => ({
  version: 1,
  generation,
  epoch: 0,
  tokens: { accessToken, refreshToken: REFRESH, expiresAt: 4_000_000_000_000 },
});
const cryptoKey = (length = 256, name = 'AES-GCM'): Promise<CryptoKey> =>
  webcrypto.subtle.generateKey({ name, length }, false, ['encrypt', 'decrypt']);

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealed-store-'));
  file = join(folder, 'session.json');
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
});

describe('aesGcm', () => {
  test.each<[string, () => SealKey | Promise<SealKey>]>([
    ['32 bytes', () => KEY],
    ['a Uint8Array', () => new Uint8Array(KEY)],
    ['a CryptoKey', () => cryptoKey()],
  ])('opens its own sealed text, with %s', async (_what, make) => {
    const key = await make();
    for (const seal of [aesGcm(key), aesGcm(() => key), aesGcm(async () => key), aesGcm([key])]) {
      for (const text of [ACCESS, '', 'ä€😀', 'x'.repeat(100_000)]) {
        const sealed = await seal.seal(text, 'ctx');
        expect(sealed).toMatch(/^a256gcm\.[\w+/=]+$/);
        expect(await seal.open(sealed, 'ctx')).toBe(text);
      }
    }
  });

  test('seals by AES-256-GCM with the context as additional data', async () => {
    const text = await aesGcm(KEY).seal(ACCESS, 'ctx');
    const sealed = Buffer.from(text.slice('a256gcm.'.length), 'base64');
    const key = await webcrypto.subtle.importKey('raw', KEY, 'AES-GCM', false, ['decrypt']);
    const algorithm = { name: 'AES-GCM', iv: sealed.subarray(0, 12), additionalData: Buffer.from('ctx') };
    const opened = await webcrypto.subtle.decrypt(algorithm, key, sealed.subarray(12));
    expect(Buffer.from(opened).toString()).toBe(ACCESS);
  });

  test('takes a new nonce for each text', async () => {
    const seal = aesGcm(KEY);
    const sealed = await Promise.all(Array.from({ length: 50 }, async () => seal.seal(ACCESS, '')));
    expect(new Set(sealed.map((text) => text.slice(8, 24))).size).toBe(50);
  });

  test.each<[string, (sealed: string) => string]>([
    ['one bit of the text changed', (sealed) => flipped(sealed, 30)],
    ['one bit of the nonce changed', (sealed) => flipped(sealed, 9)],
    ['one bit of the tag changed', (sealed) => flipped(sealed, -3)],
    ['its end cut off', (sealed) => sealed.slice(0, -8)],
    ['no sealed bytes', () => 'a256gcm.'],
    ['no base64', () => 'a256gcm.***'],
    ['a token that was never sealed', () => ACCESS],
    ['no characters', () => ''],
  ])('opens no text with %s', async (_what, change) => {
    const seal = aesGcm(KEY);
    await expect(seal.open(change(await seal.seal(ACCESS, '')), '')).rejects.not.toHaveProperty(
      'code',
      'ERR_SEAL_UNAVAILABLE',
    );
  });

  test('opens no text of another key, or of another context', async () => {
    const sealed = await aesGcm(KEY).seal(ACCESS, 'session');
    await expect(aesGcm(randomBytes(32)).open(sealed, 'session')).rejects.toThrow(/another key or context/);
    await expect(aesGcm(KEY).open(sealed, 'other')).rejects.toThrow(/another key or context/);
  });

  test('seals with the first of several keys, and opens with each of them', async () => {
    const [older, newer] = [randomBytes(32), randomBytes(32)];
    const both = aesGcm([() => newer, older]);
    expect(await both.open(await aesGcm(older).seal('old', ''), '')).toBe('old');
    const sealed = await both.seal('new', '');
    expect(await aesGcm(newer).open(sealed, '')).toBe('new');
    await expect(aesGcm(older).open(sealed, '')).rejects.toThrow();
  });

  test('keeps a copy of the bytes', async () => {
    const bytes = randomBytes(32);
    const seal = aesGcm(bytes);
    const sealed = await seal.seal(ACCESS, '');
    bytes.fill(0);
    expect(await seal.open(sealed, '')).toBe(ACCESS);
  });

  test('calls a key function once for concurrent work, and again afterwards', async () => {
    const ask = jest.fn(() => Promise.resolve(KEY));
    const seal = aesGcm(ask);
    await Promise.all([seal.seal('a', ''), seal.seal('b', '')]);
    expect(ask).toHaveBeenCalledTimes(1);
    await seal.seal('c', '');
    expect(ask).toHaveBeenCalledTimes(2);
  });

  test.each<[string, () => SealKey]>([
    [
      'throws',
      () => {
        throw new RangeError('no keychain');
      },
    ],
    ['returns a key of another type', () => 'secret' as never],
    ['returns 16 bytes', () => randomBytes(16)],
  ])('reports the key as unavailable if its function %s, and calls it again', async (_what, fail) => {
    let isThere = false;
    const seal = aesGcm(() => (isThere ? KEY : fail()));
    const sealed = await aesGcm(KEY).seal(ACCESS, '');
    await expect(seal.seal(ACCESS, '')).rejects.toMatchObject({ code: 'ERR_SEAL_UNAVAILABLE' });
    await expect(seal.open(sealed, '')).rejects.toMatchObject({
      code: 'ERR_SEAL_UNAVAILABLE',
      name: expect.stringMatching(/^(?:Range|Type)Error$/) as string,
    });
    isThere = true;
    expect(await seal.open(sealed, '')).toBe(ACCESS);
  });

  test('reports the key as unavailable without WebCrypto', async () => {
    const sealed = await aesGcm(KEY).seal(ACCESS, '');
    const back = withGlobals({ crypto: {} });
    try {
      await expect(aesGcm(KEY).open(sealed, '')).rejects.toMatchObject({ code: 'ERR_SEAL_UNAVAILABLE' });
    } finally {
      back();
    }
  });

  test.each<[string, () => unknown]>([
    ['16 bytes', () => randomBytes(16)],
    ['0 bytes', () => new Uint8Array()],
    ['string', () => 'x'.repeat(32)],
    ['undefined', () => undefined],
    ['an empty array', () => []],
    ['string', () => [KEY, 'x']],
    ['a CryptoKey of another kind', () => cryptoKey(128)],
    ['a CryptoKey of another kind', () => cryptoKey(256, 'AES-CBC')],
  ])('throws a TypeError for %s, without its value', async (got, make) => {
    const key = await make();
    expect(() => aesGcm(key as never)).toThrow(
      new TypeError(
        `aesGcm() takes 32 bytes (Uint8Array), a CryptoKey for AES-GCM with a length of 256, or a function that returns either, but got ${got}.`,
      ),
    );
  });
});

function flipped(sealed: string, at: number): string {
  const place = at < 0 ? sealed.length + at : at;
  return sealed.slice(0, place) + (sealed[place] === 'A' ? 'B' : 'A') + sealed.slice(place + 1);
}

describe('a sealed port', () => {
  test('passes sealed tokens to the port, and other fields unchanged', async () => {
    const port = memoryPort();
    const sealed = sealedPort(port, aesGcm(KEY), 'ctx');
    expect(await sealed.compareAndSet(undefined, session(1))).toBe(true);
    const stored = (await port.load()) as StoredSession;
    expect(stored).toMatchObject({ version: 1, generation: 1, epoch: 0, tokens: { expiresAt: 4_000_000_000_000 } });
    expect(JSON.stringify(stored)).not.toContain('canary');
    expect(await aesGcm(KEY).open(stored.tokens?.accessToken ?? '', 'ctx')).toBe(ACCESS);
    expect(await aesGcm(KEY).open(stored.tokens?.refreshToken ?? '', 'ctx')).toBe(REFRESH);
    expect(await sealed.load()).toEqual(session(1));
  });

  test('passes on undefined, a sign-out, a session without refresh token, and a malformed session', async () => {
    const port = memoryPort();
    const sealed = sealedPort(port, aesGcm(KEY), '');
    expect(await sealed.load()).toBeUndefined();
    const out: StoredSession = { version: 1, generation: 1, epoch: 1, tokens: null };
    expect(await sealed.compareAndSet(undefined, out)).toBe(true);
    expect(await sealed.load()).toEqual(out);
    const plain: StoredSession = { version: 1, generation: 2, epoch: 1, tokens: tokensOf(ACCESS) };
    expect(await sealed.compareAndSet(1, plain)).toBe(true);
    expect(await sealed.load()).toEqual(plain);
    expect(await sealedPort({ ...port, load: () => 7 as never }, aesGcm(KEY), '').load()).toBe(7);
  });

  test('has a lock and changes if the port has them, and calls them on the port', async () => {
    class Port {
      readonly inner = memoryPort();
      load(): unknown {
        return this.inner.load();
      }
      compareAndSet(expected: number | undefined, next: StoredSession): unknown {
        return this.inner.compareAndSet(expected, next);
      }
      exclusive<T>(work: () => Promise<T>, options: { signal: AbortSignal }): Promise<T> {
        return this.inner.exclusive!(work, options);
      }
      subscribe(onChange: () => void): () => void {
        return this.inner.subscribe!(onChange);
      }
    }
    const sealed = sealedPort(new Port() as TokenStore, aesGcm(KEY), '');
    expect(await sealed.exclusive?.(() => Promise.resolve(7), { signal: new AbortController().signal })).toBe(7);
    const changed = jest.fn();
    const stop = sealed.subscribe?.(changed);
    await sealed.compareAndSet(undefined, session(1));
    expect(changed).toHaveBeenCalledTimes(1);
    stop?.();
    const { load, compareAndSet } = memoryPort();
    expect(Object.keys(sealedPort({ load, compareAndSet }, aesGcm(KEY), '')).sort()).toEqual(['compareAndSet', 'load']);
  });

  test('writes over a session that no key opens, and over no other one', async () => {
    const port = memoryPort();
    await sealedPort(port, aesGcm(randomBytes(32)), '').compareAndSet(undefined, session(5));
    const sealed = sealedPort(port, aesGcm(KEY), '');
    expect(await sealed.compareAndSet(undefined, session(1))).toBe(false);
    await sealed.load();
    expect(await sealed.compareAndSet(4, session(6))).toBe(false);
    expect(await sealed.compareAndSet(undefined, session(1))).toBe(true);
    expect(await sealed.load()).toEqual(session(1));
    expect(await sealed.compareAndSet(undefined, session(2))).toBe(false);
  });
});

test.each<[string, (seal: Seal) => SessionStore]>([
  ['webStorageStore', (seal) => webStorageStore('k', { seal })],
  ['fileStore', (seal) => fileStore('/tmp/none', { seal })],
  ['redisStore', (seal) => redisStore(new FakeClient(new FakeRedis(new VirtualClock())), 'k', { seal })],
  ['tokenStore', (seal) => tokenStore(memoryPort(), { seal })],
])('%s() throws a TypeError for a malformed seal', (name, make) => {
  for (const [seal, got] of [
    [{ seal: () => '' }, 'object'],
    [KEY, 'object'],
    ['secret', 'string'],
  ] as const)
    expect(() => make(seal as never)).toThrow(
      new TypeError(`${name}(): \`seal\` takes an object with seal() and open(), such as aesGcm(key), but got ${got}`),
    );
  expect(() => make(undefined as never)).not.toThrow();
});

/** A store of each kind over one medium, and all text in that medium. */
const media: Record<
  string,
  () => {
    open: (seal: Seal | undefined) => SessionStore;
    text: () => string;
    context: string;
    tamper: (change: (text: string) => string) => void;
    end?: () => void;
  }
> = {
  'a file': () => ({
    open: (seal) => fileStore(file, { seal }),
    text: () =>
      readdirSync(folder)
        .filter((name) => statSync(join(folder, name)).isFile())
        .map((name) => readFileSync(join(folder, name), 'utf8'))
        .join('\n'),
    tamper: (change) => {
      writeFileSync(file, change(readFileSync(file, 'utf8')), { mode: 0o600 });
    },
    context: '',
  }),
  localStorage: () => {
    const storage = new FakeStorage();
    const end = withGlobals({ navigator: { locks: new FakeLocks() }, localStorage: storage });
    return {
      open: (seal) => webStorageStore('the-key', { seal }),
      text: () => [...storage.items.values()].join('\n'),
      tamper: (change) => void storage.items.set('the-key', change(storage.items.get('the-key') ?? '')),
      context: 'the-key',
      end,
    };
  },
  Redis: () => {
    const redis = new FakeRedis(new VirtualClock());
    const name = '{the-key}:session';
    return {
      open: (seal) => redisStore(new FakeClient(redis), 'the-key', { seal, subscribe: false }),
      text: () => [...redis.values.values()].map(({ text }) => text).join('\n'),
      tamper: (change) => {
        redis.set(name, change(redis.get(name) ?? ''));
      },
      context: 'the-key',
    };
  },
  'a store of its own': () => {
    let held: StoredSession | undefined;
    const port: TokenStore = {
      load: () => held,
      compareAndSet: (expected, next) => held?.generation === expected && Boolean((held = next)),
    };
    return {
      open: (seal) => tokenStore(port, { seal }),
      text: () => JSON.stringify(held),
      tamper: (change) => {
        held = JSON.parse(change(JSON.stringify(held))) as StoredSession;
      },
      context: '',
    };
  },
};

describe.each(Object.entries(media))('sealed in %s', (kind, make) => {
  let medium: ReturnType<typeof make>;
  beforeEach(() => {
    medium = make();
  });
  afterEach(() => {
    medium.end?.();
  });

  const tokens = { accessToken: ACCESS, refreshToken: REFRESH, expiresIn: 3600 };
  const signedIn = async (key: SealKey): Promise<void> => {
    await bearer({ store: medium.open(aesGcm(key)) }).signIn(tokens);
  };
  const tokenWith = (key: SealKey): Promise<string | undefined> =>
    bearer({ store: medium.open(aesGcm(key)) }).getAccessToken();

  test('a session is shared by holders with one key, and none of its tokens can be read', async () => {
    await signedIn(KEY);
    expect(medium.text()).toContain('a256gcm.');
    expect(medium.text()).not.toMatch(/canary|-access|-refresh/);
    expect(await tokenWith(KEY)).toBe(ACCESS);
    const stored = JSON.parse(medium.text()) as StoredSession;
    expect(await aesGcm(KEY).open(stored.tokens?.refreshToken ?? '', medium.context)).toBe(REFRESH);
  });

  test('refreshed tokens are sealed, too, and loaded by the next holder', async () => {
    await signedIn(KEY);
    const first = bearer({
      store: medium.open(aesGcm(KEY)),
      refresh: () => ({ accessToken: 'canary-2', refreshToken: 'canary-r2' }),
    });
    await first.refresh();
    expect(medium.text()).not.toContain('canary');
    expect(await tokenWith(KEY)).toBe('canary-2');
  });

  test('a session survives a new key that is put before the old one', async () => {
    await signedIn(KEY);
    const newer = randomBytes(32);
    const rotated = bearer({ store: medium.open(aesGcm([newer, KEY])), refresh: () => ({ accessToken: 'canary-2' }) });
    expect(await rotated.getAccessToken()).toBe(ACCESS);
    await rotated.refresh();
    expect(await tokenWith(newer)).toBe('canary-2');
  });

  test.each<[string, (reading: (seal: Seal) => Promise<unknown>) => Promise<void>]>([
    ['of another key', async () => signedIn(randomBytes(32))],
    [
      'that was changed',
      async () => {
        await signedIn(KEY);
        medium.tamper((text) =>
          text.replace(/a256gcm\.(.)/, (_all, first: string) => `a256gcm.${first === 'A' ? 'B' : 'A'}`),
        );
      },
    ],
    ['that was never sealed', async () => bearer({ store: medium.open(undefined) }).signIn(tokens)],
  ])(
    'a session %s counts as missing, emits store-degraded, and the next sign-in replaces it',
    async (_what, prepare) => {
      await prepare(() => Promise.resolve());
      const stage = new Stage();
      const scheme = bearer({ store: medium.open(aesGcm(KEY)) });
      stage.attach({ scheme });
      expect(await scheme.getAccessToken()).toBeUndefined();
      expect(scheme.getSnapshot().status).toBe('signed-out');
      await new Promise((resolve) => setImmediate(resolve));
      expect(stage.eventsOf('store-degraded')).toMatchObject([
        { reason: 'load: no key opens the stored session; it counts as no session' },
      ]);
      if (kind === 'a file') expect(readFileSync(`${file}.bad`, 'utf8')).toBe(readFileSync(file, 'utf8'));
      await scheme.signIn({ accessToken: 'canary-new' });
      expect(await tokenWith(KEY)).toBe('canary-new');
      if (kind === 'a file') expect(existsSync(`${file}.bad.2`)).toBe(false);
    },
  );

  test('an unavailable key does not change the stored session, and is requested again', async () => {
    await signedIn(KEY);
    const before = medium.text();
    let isThere = false;
    const seal = aesGcm(() => {
      if (isThere) return KEY;
      throw new Error('locked');
    });
    const stage = new Stage();
    const scheme = bearer({ store: medium.open(seal) });
    stage.attach({ scheme });
    expect(await scheme.getAccessToken()).toBeUndefined();
    await scheme.update({ accessToken: 'canary-memory' });
    expect(await scheme.getAccessToken()).toBe('canary-memory');
    expect(medium.text()).toBe(before);
    await new Promise((resolve) => setImmediate(resolve));
    expect(stage.eventsOf('store-degraded')[0]).toMatchObject({
      reason: 'load: Error ERR_SEAL_UNAVAILABLE; the session is kept in memory',
    });
    isThere = true;
    const later = bearer({ store: medium.open(seal) });
    expect(await later.getAccessToken()).toBe(ACCESS);
  });
});

test('a custom seal gets the context, and may be synchronous', async () => {
  const port = memoryPort();
  const contexts = new Set<string>();
  const seal: Seal = {
    seal: (text, context) => (contexts.add(context), `<${text}>`),
    open: (text, context) => (contexts.add(context), text.slice(1, -1)),
  };
  const storage = new FakeStorage();
  const end = withGlobals({ navigator: { locks: new FakeLocks() }, localStorage: storage });
  try {
    await bearer({ store: webStorageStore('the-key', { seal }) }).signIn({ accessToken: ACCESS });
    expect(JSON.parse(storage.items.get('the-key') ?? '')).toMatchObject({ tokens: { accessToken: `<${ACCESS}>` } });
    expect(await bearer({ store: webStorageStore('the-key', { seal }) }).getAccessToken()).toBe(ACCESS);
    await bearer({ store: tokenStore(port, { seal }) }).signIn({ accessToken: ACCESS });
  } finally {
    end();
  }
  expect([...contexts].sort()).toEqual(['', 'the-key']);
});

test('a custom seal that throws cannot open, or is unavailable if its error says so', async () => {
  const port = memoryPort();
  await port.compareAndSet(undefined, session(3));
  const throwing = (error: Error): Seal => ({
    seal: (text) => text,
    open: () => {
      throw error;
    },
  });
  await expect(
    sealedPort(port, throwing(Object.assign(new Error('down'), { code: 'ERR_SEAL_UNAVAILABLE' })), '').load(),
  ).rejects.toThrow('down');
  expect(
    await bearer({
      store: tokenStore(port, { seal: throwing(new Error('no')) }),
      tokens: { accessToken: 'own' },
    }).getAccessToken(),
  ).toBe('own');
});

test('a store in memory takes no seal: no other process can read it', () => {
  expect(memoryStore).toHaveLength(0);
});
