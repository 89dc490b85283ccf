import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import axios from 'axios';
import { attachAuth, bearer, type TokenResponse } from '../lib/index.js';
import { memoryPort } from './support/memory-port.js';
import { rounds } from './support/rounds.js';
import { times } from './support/series.js';
import { Stage, TOKEN_PATH } from './support/stage.js';
import type { TokenEndpoint } from './support/token-endpoint.js';

const dead = (endpoint: TokenEndpoint): TokenResponse => endpoint.issueDead();

// F164
describe('a listener of subscribe() is called once per change', () => {
  const stores = [
    ['in memory', undefined],
    ['in a store', memoryPort],
  ] as const;
  const cases = stores.flatMap(([where, store]) =>
    (
      [
        ['the end of a session', ['true signed-in', 'false expired'], 'invalid_grant'],
        ['a refresh', ['true signed-in', 'false signed-in'], 'tokens'],
        ['a plain 401', ['true signed-in', 'false expired'], '401'],
        ['a temporary failure', ['true signed-in', 'false signed-in'], 'invalid_client'],
      ] as const
    ).map(([what, expected, answer]) => [what, where, expected, answer, store] as const),
  );

  test.each(cases)('%s, %s', async (_what, _where, expected, answer, store) => {
    const { stage, scheme } = Stage.with({ tokens: dead, bearer: { store: store?.() } });
    if (answer === '401') stage.script(TOKEN_PATH, 401);
    else if (answer !== 'tokens') stage.script(TOKEN_PATH, { status: 400, data: { error: answer } });
    scheme.getSnapshot();
    await stage.clock.settle();
    const seen: string[] = [];
    scheme.subscribe(() => {
      const { refreshing, status } = scheme.getSnapshot();
      seen.push(`${String(refreshing)} ${status}`);
    });
    await stage.outcome(stage.api.get('/item'));
    await stage.clock.settle();
    expect(seen).toEqual(expected);
  });

  test.each(stores)('signing in, updating and signing out, %s', async (_where, store) => {
    const { stage, scheme } = Stage.with({ bearer: { store: store?.() } });
    scheme.getSnapshot();
    await stage.clock.settle();
    let calls = 0;
    scheme.subscribe(() => calls++);
    await scheme.signIn(stage.tokens.issue('bob'));
    await scheme.update(stage.tokens.issue('bob'));
    await scheme.signOut();
    await scheme.signOut();
    await stage.clock.settle();
    expect(calls).toBe(4);
  });
});

// F145
describe('a listener of subscribe() that fails', () => {
  const failure = new Error('of the listener');

  test.each([
    [
      'throws',
      () => {
        throw failure;
      },
    ],
    ['rejects', () => Promise.reject(failure)],
  ] as const)('%s: the error is reported, and other listeners are called', async (_, listener) => {
    const reported = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    try {
      const { stage, scheme } = Stage.with({});
      const other = jest.fn();
      scheme.subscribe(listener);
      scheme.subscribe(other);
      await scheme.signOut();
      await stage.clock.settle();
      expect(other).toHaveBeenCalledTimes(1);
      expect(reported.mock.calls).toEqual([[failure]]);
    } finally {
      reported.mockRestore();
    }
  });

  test('is reported by reportError() if there is one', async () => {
    const reportError = jest.fn();
    Object.assign(globalThis, { reportError });
    try {
      const { stage, scheme } = Stage.with({});
      scheme.subscribe(() => {
        throw failure;
      });
      await scheme.signOut();
      await stage.clock.settle();
      expect(reportError.mock.calls).toEqual([[failure]]);
    } finally {
      Reflect.deleteProperty(globalThis, 'reportError');
    }
  });

  test('is reported for a bearer() with a function, too', async () => {
    const reported = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    try {
      const scheme = bearer(() => 'a');
      scheme.subscribe(() => {
        throw failure;
      });
      await scheme.getAccessToken();
      await new Promise((resolve) => setImmediate(resolve));
      expect(reported).toHaveBeenCalledTimes(1);
    } finally {
      reported.mockRestore();
    }
  });
});

// F144
describe('an instance that is dropped without detach()', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const adapter = (config: never) =>
    Promise.resolve({ status: 200, statusText: '', data: '', headers: {}, config, request: {} });

  test('is garbage-collected while its scheme lives, even after a call', async () => {
    const scheme = bearer({ tokens: { accessToken: 'a' } });
    const references = await Promise.all(
      times(20, async () => {
        const api = axios.create({ baseURL: 'https://api.example.com', adapter: adapter as never });
        attachAuth(api, { scheme });
        await api.get('/x');
        return new WeakRef(api);
      }),
    );
    for (let round = 0; round < 5; round++) {
      await turn();
      collect();
    }
    expect(references.filter((reference) => reference.deref() !== undefined)).toHaveLength(0);
    expect(await scheme.getAccessToken()).toBe('a');
  });

  test.each([rounds(3, 20)])('leaves no memory behind, after %i hundred instances', async (hundreds) => {
    const scheme = bearer({ tokens: { accessToken: 'a' } });
    const before = process.memoryUsage().heapUsed;
    for (let made = 0; made < hundreds; made++) {
      for (let each = 0; each < 100; each++) attachAuth(axios.create(), { scheme });
      await turn();
      collect();
    }
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200_000 * hundreds);
  });

  test('still emits events if there is no WeakRef, until detach()', async () => {
    const { WeakRef: original } = globalThis;
    Reflect.deleteProperty(globalThis, 'WeakRef');
    try {
      const { stage, scheme, handle } = Stage.with({});
      await scheme.signOut();
      await stage.clock.settle();
      expect(stage.eventsOf('signed-out')).toHaveLength(1);
      handle.detach();
      await scheme.signIn({ accessToken: 'b' });
      await stage.clock.settle();
      expect(stage.eventsOf('signed-in')).toHaveLength(0);
    } finally {
      Object.assign(globalThis, { WeakRef: original });
    }
  });
});

// F46 F137
describe('a token that was just issued', () => {
  const jwt = (claims: object): string =>
    ['{"alg":"none"}', JSON.stringify(claims), 'sig'].map((part) => Buffer.from(part).toString('base64url')).join('.');

  test.each<[string, (now: number) => TokenResponse]>([
    ['a JWT without iat', (now) => ({ accessToken: jwt({ exp: now / 1000 - 3_600 }) })],
    ['expiresAt', (now) => ({ accessToken: 'fresh', expiresAt: now - 3_600_000 })],
  ])('is used until a 401 by a device whose clock is an hour ahead: %s', async (_, tokens) => {
    const { stage } = Stage.with({
      tokens: dead,
      bearer: { refresh: () => (stage.reasons.push('manual'), tokens(stage.clock.now())) },
    });
    stage.always('/item', ({ token }) => (token === 'alice-a1' ? 401 : 200));
    for (let made = 0; made < 5; made++)
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(stage.reasons).toHaveLength(1);
  });

  test('is valid for its lifetime although the wall clock is set back', async () => {
    const { stage } = Stage.with({ tokens: dead });
    stage.tokens.expiresIn = 100;
    await stage.outcome(stage.api.get('/item'));
    stage.clock.setWall(stage.clock.now() - 7_200_000);
    await stage.clock.advance(80_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.tokens.refreshes).toBe(1);
    await stage.clock.advance(21_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.tokens.refreshes).toBe(2);
  });
});
