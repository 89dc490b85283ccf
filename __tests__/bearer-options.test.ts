import { inspect } from 'node:util';
import { bearer, type BearerOptions, type BearerScheme, type TokenResponse } from '../lib/index.js';
import { memoryStore, tokenStore } from '../lib/store.js';
import { memoryPort } from './support/memory-port.js';
import { recording } from './support/recording.js';
import { times } from './support/series.js';
import { Stage, TOKEN_PATH, underway, type StageBearerOptions } from './support/stage.js';
import type { TokenEndpoint } from './support/token-endpoint.js';

const dead = (endpoint: TokenEndpoint): TokenResponse => endpoint.issueDead();

// F147
describe('header and prefix', () => {
  test.each<[Partial<BearerOptions>, string, string, string]>([
    [{}, 'authorization', 'Bearer a', 'Bearer'],
    [{ prefix: 'JWT' }, 'authorization', 'JWT a', 'JWT'],
    [{ prefix: '' }, 'authorization', 'a', 'Authorization'],
    [{ header: 'X-Access-Token', prefix: '' }, 'x-access-token', 'a', 'X-Access-Token'],
    [{ header: 'X-Access-Token' }, 'x-access-token', 'Bearer a', 'Bearer'],
  ])('%j', async (options, header, value, name) => {
    const scheme = bearer({ tokens: { accessToken: 'a' }, ...options });
    const { api, sent } = recording(scheme);
    await api.get('/x');
    expect(sent[0]?.headers[header]).toBe(value);
    expect(scheme.name).toBe(name);
    expect(scheme.credentialHeaders?.map((each) => each.toLowerCase())).toEqual([header]);
  });

  test('a CSRF token in its own header is fetched once for concurrent refused calls', async () => {
    const stage = new Stage();
    stage.always('/item', ({ headers }) => (headers['X-CSRF-Token'] === 'c2' ? 200 : 401));
    const refresh = jest.fn(async () => {
      await stage.clock.pass(20);
      return { accessToken: 'c2' };
    });
    const scheme = stage.bearer({ tokens: { accessToken: 'c1' }, header: 'X-CSRF-Token', prefix: '', refresh });
    stage.attach({ scheme });
    const outcomes = await stage.outcomes(times(20, () => stage.api.post('/item')));
    expect(outcomes).toEqual(times(20, () => expect.objectContaining({ status: 200, attempts: 2 })));
    expect(refresh).toHaveBeenCalledTimes(1);
    expect(stage.sent.every(({ headers }) => headers['Authorization'] === undefined)).toBe(true);
  });
});

describe('wrong options are a TypeError that names them', () => {
  test.each<[string, unknown, RegExp]>([
    ['header', '', /`header` takes the name of a header/],
    ['header', 'X Token', /`header` takes/],
    ['header', 7, /`header` takes .*got 7/],
    ['prefix', 'a b\n', /`prefix` takes/],
    ['prefix', 7, /`prefix` takes .*got 7/],
    ['revoke', 'yes', /`revoke` takes a function, but got a string/],
    ['store', memoryPort(), /`store` takes .*tokenStore\(\)/],
    ['store', {}, /`store` takes .*tokenStore/],
    ['store', 'file', /`store` takes .*got a string/],
  ])('%s: %p', (name, value, message) => {
    const make = (): BearerScheme => bearer({ [name]: value } as BearerOptions);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(message);
  });

  test.each([undefined, null, {}, { load: () => undefined }, 'file'])('tokenStore(%p)', (port) => {
    expect(() => tokenStore(port as never)).toThrow(new RegExp(`TokenStore.* got ${typeof port}`));
  });
});

test('schemes that are given one memoryStore() share the session', async () => {
  const store = memoryStore();
  const stage = new Stage();
  const [one, other] = times(2, () => stage.bearer({ store }));
  await one!.signIn(stage.tokens.issue());
  expect(await other!.getAccessToken()).toBe('alice-a1');
  expect(inspect(store, { depth: 9, showHidden: true })).not.toContain('alice-a1');
});

// F69 F73
describe('revoke', () => {
  function revoking(
    options: StageBearerOptions = {},
    tokens = (endpoint: TokenEndpoint): TokenResponse => endpoint.issue(),
  ) {
    const revoked: string[] = [];
    const rig = Stage.with({
      tokens,
      bearer: {
        revoke: ({ tokens: { accessToken, refreshToken } }) => {
          revoked.push(`${accessToken} ${refreshToken ?? ''}`);
        },
        ...options,
      },
    });
    return { ...rig, revoked };
  }

  test('is called after signOut(), with the tokens of the session, and not for signIn() or update()', async () => {
    const { stage, scheme, revoked } = revoking();
    await scheme.update(stage.tokens.issue());
    await scheme.signIn(stage.tokens.issue('bob'));
    expect(revoked).toEqual([]);
    await scheme.signOut();
    expect(revoked).toEqual(['bob-a1 bob-r1']);
    await scheme.signOut();
    expect(revoked).toHaveLength(1);
  });

  test('is called with the stored tokens, also if signOut() is the first use of the session', async () => {
    const stage = new Stage();
    const store = memoryPort();
    await stage.bearer({ store }).signIn(stage.tokens.issue());
    const load = async () => {
      await stage.clock.pass(10);
      return store.load();
    };
    for (const each of [store, { ...store, load }]) {
      const revoke = jest.fn();
      await stage.bearer({ store }).signIn(stage.tokens.issue());
      await stage.clock.until(stage.bearer({ store: each, revoke }).signOut());
      const { access_token: accessToken } = { access_token: expect.stringMatching(/^alice-a/) as string };
      expect(revoke).toHaveBeenCalledWith(
        expect.objectContaining({ tokens: expect.objectContaining({ accessToken }) as object }),
      );
    }
  });

  test('is not waited for, has a client without interceptors, and a signal that aborts after 60 s', async () => {
    const signals: AbortSignal[] = [];
    const { stage, scheme } = revoking({
      revoke: ({ client, signal }) => {
        signals.push(signal);
        void client.post('/open/revoke').catch(() => undefined);
        return new Promise(() => undefined);
      },
    });
    await stage.clock.until(scheme.signOut());
    expect(stage.clock.monotonic()).toBe(0);
    await stage.clock.advance(59_000);
    expect(stage.to('/open/revoke')).toMatchObject([{ token: undefined, status: 200 }]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    await stage.clock.advance(1_000);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  test('that fails emits an event without a secret, and has no other effect', async () => {
    const { stage, scheme } = revoking({
      revoke: async ({ client }) => client.post('/status/503', { token: 'alice-r1' }),
    });
    await scheme.signOut();
    await stage.clock.advance(1_000);
    expect(stage.eventsOf('revoke-failed')).toMatchObject([{ code: 'ERR_BAD_RESPONSE', status: 503 }]);
    expect(JSON.stringify(stage.events)).not.toMatch(/alice-[ar]/);
    expect(scheme.getSnapshot().status).toBe('signed-out');
  });

  test.each(['throws', 'rejects'])('that %s synchronously emits that event, too', async (how) => {
    const error = Object.assign(new Error('x'), { code: 'ECONNREFUSED' });
    const { stage, scheme } = revoking({
      revoke: () => {
        if (how === 'throws') throw error;
        return Promise.reject(error);
      },
    });
    await scheme.signOut();
    await stage.clock.settle();
    expect(stage.eventsOf('revoke-failed')).toMatchObject([{ code: 'ECONNREFUSED' }]);
  });

  test.each(['signOut', 'signIn'] as const)(
    '%s() while a refresh is in flight lets it complete, and its tokens are revoked',
    async (what) => {
      let signal: AbortSignal | undefined;
      const { stage, scheme, revoked } = revoking(
        {
          refresh: (context) => {
            signal = context.signal;
            return stage.refresh(context);
          },
        },
        dead,
      );
      stage.refreshMs = 5_000;
      const call = underway(stage.api.get('/item'));
      await stage.clock.advance(100);
      await scheme[what](stage.tokens.issue('bob'));
      expect(await stage.outcome(call)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
      expect(signal?.aborted).toBe(false);
      await stage.clock.advance(6_000);
      expect(revoked).toEqual([...(what === 'signOut' ? ['alice-a1 alice-r1'] : []), 'alice-a2 alice-r2']);
      expect(await scheme.getAccessToken()).toBe(what === 'signOut' ? undefined : 'bob-a1');
      expect(stage.eventsOf('refreshed')).toEqual([]);
      expect(stage.clock.pending).toBe(0);
    },
  );

  test('without `revoke` a refresh in flight is aborted', async () => {
    let signal: AbortSignal | undefined;
    const { stage, scheme } = Stage.with({
      tokens: dead,
      bearer: {
        refresh: (context) => {
          signal = context.signal;
          return stage.refresh(context);
        },
      },
    });
    void underway(stage.api.get('/item'));
    await stage.clock.advance(20);
    await scheme.signOut();
    expect(signal?.aborted).toBe(true);
    expect(stage.clock.pending).toBe(0);
  });

  test('a sign-out while the tokens of a refresh are being stored revokes both', async () => {
    const port = memoryPort();
    const { stage, scheme, revoked } = revoking(
      {
        store: {
          ...port,
          compareAndSet: async (expected, next) => {
            await stage.clock.pass(100);
            return port.compareAndSet(expected, next);
          },
        },
      },
      dead,
    );
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(220);
    expect(stage.tokens.refreshes).toBe(1);
    const done = scheme.signOut();
    await stage.settled<unknown>([call, done]);
    await stage.clock.advance(1_000);
    expect(revoked.sort()).toEqual(['alice-a1 alice-r1', 'alice-a2 alice-r2']);
    expect(await port.load()).toMatchObject({ tokens: null });
    expect(stage.sent.filter(({ path }) => path === TOKEN_PATH)).toHaveLength(1);
  });
});
