import type { TokenResponse } from '../lib/index.js';
import { memoryPort } from './support/memory-port.js';
import type { StoredSession, TokenStore } from '../lib/store.js';
import { succeeded, times } from './support/series.js';
import { reasonOf, Stage, TOKEN_PATH, underway, type Reply } from './support/stage.js';
import type { TokenEndpoint } from './support/token-endpoint.js';

const dead = (endpoint: TokenEndpoint): TokenResponse => endpoint.issueDead();

/** A session by cookie: nothing is stored, and `refresh` sends no token. */
function byCookie(reply: Reply | number): Stage & { readonly asked: number[] } {
  const stage = new Stage();
  const asked: number[] = [];
  stage.always('/auth/refresh', (sent) => {
    asked.push(sent.at);
    return reply;
  });
  const scheme = stage.bearer({
    refresh: async ({ client, reason }) => {
      stage.reasons.push(reason);
      return (await client.post<TokenResponse>('/auth/refresh')).data;
    },
  });
  stage.attach({ scheme });
  return Object.assign(stage, { asked, scheme });
}

// F133
describe('the store is empty, and the refresh endpoint answers', () => {
  test.each([
    ['401', 401],
    ['401 with a document of its own', { status: 401, data: { message: 'Unauthenticated.' } }],
    ['403', 403],
    ['400', 400],
    ['404', 404],
    ['422', 422],
  ])('%s: one request, then calls are sent without credentials', async (_, reply) => {
    const stage = byCookie(reply);
    expect(await stage.outcomes(times(5, () => stage.api.get('/open/news')))).toEqual(
      times(5, () => expect.objectContaining({ status: 200, attempts: 1 })),
    );
    expect(await stage.outcome(stage.api.post('/open/login', {}))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.asked).toHaveLength(1);
    expect(stage.eventsOf('session-expired')).toEqual([]);
  });

  test.each([
    ['408', 408],
    ['429', 429],
    ['503', 503],
    ['a page', { status: 401, data: '<html></html>' }],
    ['invalid_client', { status: 400, data: { error: 'invalid_client' } }],
    ['a 200 without a token', { status: 200, data: {} }],
  ])('%s: the status stays unknown, and the call rejects', async (_, reply) => {
    const stage = byCookie(reply);
    expect(await stage.outcome(stage.api.get('/open/news'))).toMatchObject({
      code: 'ERR_AUTH_REFRESH_FAILED',
      attempts: 0,
    });
  });

  test('401: refresh() is called again after a 401 of a call, at most every 30 s', async () => {
    const stage = byCookie(401);
    for (let second = 0; second < 95; second++) {
      const outcome = await stage.outcome(stage.api.get(second % 2 ? '/open/news' : '/item'));
      expect(outcome).toMatchObject({ status: second % 2 ? 200 : 401, attempts: 1 });
      await stage.clock.advance(1_000);
    }
    const gaps = stage.asked.slice(1).map((at, index) => at - stage.asked[index]!);
    expect(gaps).toHaveLength(3);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(30_000);
    expect(new Set(stage.reasons)).toEqual(new Set(['missing']));
  });

  test('401, and a login by cookie later: the call that meets a 401 is replayed', async () => {
    const stage = byCookie(401);
    await stage.outcome(stage.api.get('/open/news'));
    stage.always('/auth/refresh', () => ({ data: stage.tokens.issue() }));
    await stage.clock.advance(31_000);
    expect(await stage.outcomes(times(3, () => stage.api.get('/item')))).toEqual(succeeded(3));
    expect(stage.asked).toHaveLength(1);
    expect(stage.reasons).toEqual(['missing', 'missing']);
  });

  test('401: signIn() starts a session at once', async () => {
    const stage = byCookie(401) as ReturnType<typeof byCookie> & { scheme: ReturnType<Stage['bearer']> };
    await stage.outcome(stage.api.get('/open/news'));
    await stage.scheme.signIn(stage.tokens.issue());
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
  });

  test('null: refresh() is not called again', async () => {
    const stage = new Stage();
    const refresh = jest.fn(() => null);
    stage.attach({ scheme: stage.bearer({ refresh }) });
    for (let minute = 0; minute < 5; minute++) {
      await stage.outcome(stage.api.get('/item'));
      await stage.clock.advance(60_000);
    }
    expect(refresh).toHaveBeenCalledTimes(1);
  });
});

// The first example of the README, against a backend that answers 401 without a session and for a dead token.
test('a backend that answers every refresh with 401 gets one POST for a dead refresh token, and none for later calls', async () => {
  const { stage, scheme } = Stage.with({ tokens: dead });
  stage.always(TOKEN_PATH, 401);
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
  expect(await stage.outcome(stage.api.get('/open/news'))).toMatchObject({ status: 200 });
  expect(stage.tokens.refreshes).toBe(1);
  expect(scheme.getSnapshot().status).toBe('expired');
});

// F134
describe('the status', () => {
  test.each([
    ['tokens', () => ({ accessToken: 'a', expiresIn: 60 }), ['unknown', 'signed-in']],
    ['null', () => null, ['unknown', 'signed-out']],
    ['a failure', () => Promise.reject(new Error('offline')), ['unknown']],
  ])('is unknown until the first refresh() has settled with %s', async (_, refresh, expected) => {
    const scheme = new Stage().bearer({ refresh });
    const statuses: string[] = [scheme.getSnapshot().status];
    scheme.subscribe(() => {
      const { status } = scheme.getSnapshot();
      if (statuses.at(-1) !== status) statuses.push(status);
    });
    await scheme.getAccessToken().catch(() => undefined);
    await Promise.resolve();
    expect(statuses).toEqual(expected);
  });

  test('is signed-out at once without `refresh`', () => {
    expect(new Stage().bearer({ refresh: undefined }).getSnapshot().status).toBe('signed-out');
  });
});

// F132 F165
describe('a plain 401 of the token endpoint', () => {
  test('ends the session for this holder, and leaves the store as it is', async () => {
    const stage = new Stage();
    const store = memoryPort();
    const scheme = stage.bearer({ store, tokens: stage.tokens.issueDead() });
    stage.attach({ scheme });
    stage.script(TOKEN_PATH, 401);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    expect(scheme.getSnapshot().status).toBe('expired');
    expect(stage.eventsOf('session-expired')).toHaveLength(1);
    expect(await store.load()).toMatchObject({ generation: 1, tokens: { refreshToken: 'alice-r1' } });

    // The next start, or another holder, calls refresh() once more. Its tokens are used by the first holder, too.
    const other = stage.instance();
    stage.attach({ scheme: stage.bearer({ store }) }, other);
    expect(await stage.outcome(other.get('/item'))).toMatchObject({ status: 200 });
    expect(scheme.getSnapshot().status).toBe('signed-in');
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.tokens.reuses).toBe(0);
  });

  test('for an early refresh ends the session when its access token has expired, and leaves the store as it is', async () => {
    const stage = new Stage();
    stage.tokens.expiresIn = 100;
    const store = memoryPort();
    const scheme = stage.bearer({ store, tokens: stage.tokens.issue() });
    stage.attach({ scheme });
    scheme.getSnapshot();
    stage.script(TOKEN_PATH, 401);
    await stage.clock.advance(95_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    await stage.clock.advance(10_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    expect(stage.tokens.refreshes).toBe(1);
    expect(await store.load()).toMatchObject({ generation: 1, tokens: { refreshToken: 'alice-r1' } });
  });

  test('with invalid_grant ends the session in the store, for all holders', async () => {
    const stage = new Stage();
    const store = memoryPort();
    stage.attach({ scheme: stage.bearer({ store, tokens: stage.tokens.issueDead() }) });
    stage.tokens.endSession();
    await stage.outcome(stage.api.get('/item'));
    expect(await store.load()).toMatchObject({ generation: 2, epoch: 0, tokens: null });
  });
});

// F165
describe('a session that vanished from its store', () => {
  function withFile() {
    const stage = new Stage();
    const port = memoryPort();
    let file: StoredSession | undefined;
    const listeners = new Set<() => void>();
    const store: TokenStore = {
      ...port,
      load: () => file,
      compareAndSet: (expected, next) => {
        if (file?.generation !== expected) return false;
        file = next;
        return true;
      },
      subscribe: (onChange) => {
        listeners.add(onChange);
        return () => listeners.delete(onChange);
      },
    };
    const scheme = stage.bearer({
      store,
      tokens: stage.tokens.issue(),
      refresh: async (context) => {
        if (context.refreshToken !== undefined) return stage.refresh(context);
        stage.reasons.push(context.reason);
        return stage.tokens.issue('bob');
      },
    });
    stage.attach({ scheme });
    const remove = (isTold: boolean): void => {
      file = undefined;
      if (isTold) for (const listener of listeners) listener();
    };
    const put = (next: StoredSession): void => {
      file = next;
    };
    return { stage, scheme, remove, put, stored: () => file };
  }

  test('counts as never stored: the next call refreshes with reason missing, and the generation grows', async () => {
    const { stage, scheme, remove, stored } = withFile();
    await stage.outcome(stage.api.get('/item'));
    for (let made = 0; made < 3; made++) await stage.clock.until(scheme.refresh());
    expect(scheme.getSnapshot().generation).toBe(4);
    remove(true);
    expect(scheme.getSnapshot()).toMatchObject({ status: 'unknown', expiresAt: undefined, generation: 5 });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.reasons.at(-1)).toBe('missing');
    expect(stored()).toMatchObject({ generation: 6, tokens: { accessToken: 'bob-a1' } });
  });

  test('is noticed after a 401 at the latest, and that call rejects with ERR_AUTH_SESSION_CHANGED', async () => {
    const { stage, remove } = withFile();
    await stage.outcome(stage.api.get('/item'));
    remove(false);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    stage.tokens.revokeAll();
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
    expect(stage.reasons).toEqual([]);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(stage.reasons).toEqual(['missing']);
  });

  test('is not restored by a refresh in flight', async () => {
    const { stage, remove, stored } = withFile();
    await stage.outcome(stage.api.get('/item'));
    stage.tokens.revokeAll();
    stage.refreshMs = 1_000;
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(500);
    remove(false);
    expect(await stage.outcome(call)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
    expect(stored()).toBeUndefined();
  });

  test('and was replaced by a session with a lower generation is used', async () => {
    const { stage, scheme, put, stored } = withFile();
    await stage.outcome(stage.api.get('/item'));
    for (let made = 0; made < 3; made++) await stage.clock.until(scheme.refresh());
    const { access_token: accessToken, refresh_token: refreshToken } = stage.tokens.issue('carol');
    put({ version: 1, generation: 1, epoch: 0, tokens: { accessToken, refreshToken } });
    stage.tokens.revoke('alice-a4');
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
    expect(await scheme.getAccessToken()).toBe('carol-a1');
    expect(scheme.getSnapshot().generation).toBeGreaterThan(4);
    await stage.clock.until(scheme.refresh());
    expect(stored()).toMatchObject({ tokens: { accessToken: 'carol-a2' } });
    expect(stored()!.generation).toBeGreaterThan(5);
  });

  test('is not assumed if the store was restored to an earlier state: the newer tokens are written again', async () => {
    const { stage, scheme, put, stored } = withFile();
    await stage.outcome(stage.api.get('/item'));
    const before = stored()!;
    await stage.clock.until(scheme.refresh());
    put(before);
    await stage.clock.until(scheme.refresh());
    expect(stage.tokens.reuses).toBe(0);
    expect(stored()).toMatchObject({ tokens: { accessToken: 'alice-a3' } });
  });

  test('is not assumed if the store fails', async () => {
    const stage = new Stage();
    const port = memoryPort();
    let isDown = false;
    const load = (): ReturnType<TokenStore['load']> => {
      if (isDown) throw new Error('away');
      return port.load();
    };
    const scheme = stage.bearer({ store: { ...port, load }, tokens: stage.tokens.issue() });
    stage.attach({ scheme });
    await stage.outcome(stage.api.get('/item'));
    isDown = true;
    await stage.clock.until(scheme.refresh());
    expect(scheme.getSnapshot().status).toBe('signed-in');
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
  });
});

// F142
describe('a lock that settles without having run its work', () => {
  test.each(['resolves', 'rejects'] as const)(
    '%s: the lock counts as not acquired, and refresh() is not called',
    async (how) => {
      const stage = new Stage();
      const exclusive = (): Promise<never> =>
        how === 'resolves'
          ? (Promise.resolve() as never)
          : Promise.reject(Object.assign(new Error('x'), { code: 'EBUSY' }));
      stage.attach({
        scheme: stage.bearer({ store: { ...memoryPort(), exclusive }, tokens: stage.tokens.issueDead() }),
      });
      const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
      expect(error).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED', response: { status: 401 } });
      expect(error.message).toMatch(/lock could not be acquired/);
      expect(stage.tokens.refreshes).toBe(0);
      // F143
      expect(stage.eventsOf('store-degraded')).toMatchObject([
        { reason: expect.stringMatching(/^lock: Error (?:ENOLOCK|EBUSY); no refresh without the lock$/) as string },
      ]);
    },
  );

  test('does not undo a refresh if it rejects after its work began', async () => {
    const stage = new Stage();
    const exclusive: TokenStore['exclusive'] = (work) => {
      void work();
      return Promise.reject(new Error('the lock was lost'));
    };
    stage.attach({ scheme: stage.bearer({ store: { ...memoryPort(), exclusive }, tokens: stage.tokens.issueDead() }) });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(stage.eventsOf('store-degraded')).toEqual([]);
  });
});

// F163
describe('a refresh token alone', () => {
  test('is enough to start: the first calls share a refresh, and are sent once', async () => {
    const { stage, scheme } = Stage.with({
      tokens: (endpoint) => ({ refreshToken: endpoint.issue().refresh_token }) as never,
    });
    expect(scheme.getSnapshot()).toMatchObject({ status: 'signed-in', expiresAt: undefined });
    expect(await stage.outcomes(times(5, () => stage.api.get('/item')))).toEqual(
      times(5, () => expect.objectContaining({ status: 200, attempts: 1 })),
    );
    expect(stage.tokens.asks).toMatchObject([{ refreshToken: 'alice-r1', outcome: 'issued' }]);
    expect(await scheme.getAccessToken()).toBe('alice-a2');
  });

  test('is not stored before the refresh, and refresh() gets no `tokens`', async () => {
    const stage = new Stage();
    const store = memoryPort();
    const seen: unknown[] = [];
    const scheme = stage.bearer({
      store,
      tokens: { refreshToken: stage.tokens.issue().refresh_token },
      refresh: (context) => {
        seen.push(context.tokens, context.refreshToken, store.load());
        return stage.refresh(context);
      },
    });
    stage.attach({ scheme });
    expect(await stage.clock.until(scheme.getAccessToken())).toMatchObject({ value: 'alice-a2' });
    expect(seen).toEqual([undefined, 'alice-r1', undefined]);
    expect(await store.load()).toMatchObject({ generation: 2, tokens: { accessToken: 'alice-a2' } });
  });

  test('that is refused ends the session, after a temporary failure, too, and no call is sent', async () => {
    const { stage, scheme } = Stage.with({
      tokens: (endpoint) => ({ refreshToken: endpoint.issue().refresh_token }) as never,
    });
    stage.script(TOKEN_PATH, 500, 500, 500);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED', attempts: 0 });
    stage.tokens.endSession();
    await stage.clock.advance(1_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
      code: 'ERR_AUTH_SESSION_EXPIRED',
      attempts: 0,
    });
    expect(scheme.getSnapshot().status).toBe('expired');
    expect(stage.calls).toEqual([]);
  });

  test('gives way to stored tokens', async () => {
    const stage = new Stage();
    const store = memoryPort();
    await stage.bearer({ store }).signIn(stage.tokens.issue('bob'));
    const scheme = stage.bearer({ store, tokens: { refreshToken: 'alice-r9' } });
    expect(await scheme.getAccessToken()).toBe('bob-a1');
  });

  test('throws a TypeError without `refresh`', () => {
    expect(() => new Stage().bearer({ tokens: { refreshToken: 'r' }, refresh: undefined })).toThrow(/accessToken/);
  });
});
