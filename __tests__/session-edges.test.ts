import axios, { AxiosError } from 'axios';
import { attachAuth, bearer, type AuthEvent, type TokenResponse } from '../lib/index.js';
import { revocation, none } from '../lib/oauth2.js';
import { memoryStore, tokenStore, type TokenStore } from '../lib/store.js';
import { classify } from '../lib/session/refresh-failure.js';
import { memoryPort } from './support/memory-port.js';
import { failureOf, servers } from './support/answers.js';
import { reply } from './support/serve.js';
import { reasonOf, Stage, underway } from './support/stage.js';

const start = servers();

describe('an error of refresh() that cannot be read', () => {
  const circular: { self?: unknown } = {};
  circular.self = circular;
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();

  test.each<[what: string, response: Record<string, unknown>]>([
    ['a BigInt', { error: 'invalid_grant', id: 1n }],
    ['circular data', { error: 'invalid_grant', circular }],
    ['a toJSON that throws', { error: 'invalid_grant', toJSON: failing }],
  ])('is classified although its document has %s', async (_, data) => {
    const refusal = Object.assign(new Error('refused'), { response: { status: 400, headers: {}, data } });
    const { stage, scheme } = Stage.with({
      tokens: (endpoint) => endpoint.issueDead(),
      bearer: { refresh: () => Promise.reject(refusal) },
    });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    expect(scheme.getSnapshot()).toMatchObject({ status: 'expired', refreshing: false });
  });

  test.each<[what: string, error: unknown]>([
    ['a revoked proxy', revoked.proxy],
    [
      'headers whose get() throws',
      { response: { status: 400, headers: { get: () => failing() }, bodyUsed: false, text: () => 'not a promise' } },
    ],
    [
      'a header getter that throws',
      { response: { status: 500, headers: Object.create({}, { x: { get: failing, enumerable: true } }) as object } },
    ],
  ])('fails the refresh at once: %s', async (_, error) => {
    const refresh = (): Promise<TokenResponse> => Promise.reject(error);
    const { stage } = Stage.with({ tokens: (endpoint) => endpoint.issueDead(), bearer: { refresh } });
    const from = stage.clock.monotonic();
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED' });
    expect(stage.clock.monotonic() - from).toBeLessThan(5_000);
  });

  test('is an event if revoke() rejects with it', async () => {
    const { stage, scheme } = Stage.with({
      bearer: { revoke: () => Promise.reject(revoked.proxy) },
    });
    await scheme.signOut();
    await stage.clock.advance(1);
    expect(stage.events.map(({ type }) => type)).toContain('revoke-failed');
  });

  function failing(): never {
    throw new Error('unreadable');
  }
});

describe('a lock of a store', () => {
  const tokens = { accessToken: 'canary-a0', refreshToken: 'r0' };

  test('that is released early does not let a refresh token be sent twice', async () => {
    const stage = new Stage();
    const sent: unknown[] = [];
    const limit = () => new Promise<never>((resolve) => stage.clock.later(20, resolve as () => void));
    const exclusive: TokenStore['exclusive'] = (work) => Promise.race([work(), limit()]);
    const scheme = stage.bearer({
      store: { ...memoryPort(), exclusive },
      tokens: stage.tokens.issueDead(),
      refresh: (context) => {
        sent.push(context.refreshToken);
        return stage.refresh(context);
      },
    });
    stage.attach({ scheme });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(sent).toEqual(['alice-r1']);
  });

  test('is held until a sign-out is stored, so that no other holder sends the refresh token', async () => {
    const stage = new Stage();
    const port = memoryPort();
    const writeMs = 30;
    const slow: TokenStore = {
      ...port,
      subscribe: undefined as never,
      compareAndSet: (expected, next) =>
        new Promise((resolve) => {
          stage.clock.later(writeMs, () => {
            resolve(port.compareAndSet(expected, next));
          });
        }),
    };
    const sent: unknown[] = [];
    const refresh = (context: Parameters<Stage['refresh']>[0]): Promise<TokenResponse> => {
      sent.push(context.refreshToken);
      return new Promise(() => undefined);
    };
    const [one, other] = [1, 2].map(() => stage.bearer({ store: slow, tokens, refresh }));
    const apis = [one!, other!].map((scheme) => {
      const api = stage.instance();
      stage.attach({ scheme }, api);
      return api;
    });
    expect(await stage.clock.until(one!.getAccessToken())).toMatchObject({ value: 'canary-a0' });
    await stage.clock.advance(100);
    const calls = apis.map((api) => underway(api.get('/item')));
    await stage.clock.advance(100);
    expect(sent).toEqual(['r0']);
    void one!.signOut();
    await stage.clock.advance(5_000);
    await stage.outcomes(calls);
    expect(sent).toEqual(['r0']);
  });
});

test('a timeout for the headers that fetch reports as a network error is not sent again', () => {
  const error = new AxiosError('Network Error', 'ERR_NETWORK');
  error.cause = Object.assign(new TypeError('fetch failed'), {
    cause: Object.assign(new Error('Headers Timeout Error'), { code: 'UND_ERR_HEADERS_TIMEOUT' }),
  });
  expect(classify(error, { reason: 'expiring', now: 0 })).toMatchObject({ kind: 'unanswered' });
});

test('a transformResponse of the instance that throws does not hide that the server has issued tokens', async () => {
  const stage = new Stage();
  const api = stage.instance({
    transformResponse: [
      () => {
        throw new Error('no envelope');
      },
    ],
  });
  stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issueDead() }) }, api);
  await stage.outcome(api.get('/item'));
  await stage.clock.advance(5_000);
  await stage.outcome(api.get('/item'));
  expect(stage.tokens).toMatchObject({ refreshes: 1, reuses: 0 });
});

test('maxContentLength of the instance does not keep tokens from arriving', async () => {
  const server = await start((seen, response) => {
    const isToken = seen.url === '/token';
    reply(response, isToken ? 200 : 401, isToken ? { access_token: 'canary-a1', expires_in: 3600 } : {});
  });
  const api = axios.create({ baseURL: server.origin, maxContentLength: 10 });
  const session = bearer({
    tokens: { accessToken: 'canary-a0', refreshToken: 'canary-r0' },
    refresh: async ({ client }) => (await client.post<TokenResponse>('/token')).data,
  });
  attachAuth(api, { scheme: session, retry: false });
  await failureOf(api.get('/'));
  expect(await session.getAccessToken()).toBe('canary-a1');
});

test('a port whose unsubscribe throws: detach() does not throw, and the event says so', () => {
  const stage = new Stage();
  const subscribe = () => () => {
    throw new Error('connection is closed');
  };
  const handle = stage.attach({ scheme: stage.bearer({ store: { ...memoryPort(), subscribe } }) });
  handle.detach();
  handle.detach();
});

test.each<[where: string, store: () => ReturnType<typeof memoryStore> | undefined]>([
  ['in memory', () => undefined],
  ['in a memoryStore()', memoryStore],
  ['in a port', () => tokenStore(memoryPort())],
])('signOut() before the first read revokes the initial tokens, %s', async (_, store) => {
  const stage = new Stage();
  const revoked: string[] = [];
  const scheme = stage.bearer({
    store: store(),
    tokens: { accessToken: 'canary-a0', refreshToken: 'canary-r0' },
    revoke: ({ tokens }) => revoked.push(tokens.accessToken),
  });
  await scheme.signOut();
  expect(revoked).toEqual(['canary-a0']);
});

test('revocation() sends no empty access token', async () => {
  const bodies: string[] = [];
  const server = await start((seen, response) => {
    bodies.push(String(seen.body));
    reply(response, 200, {});
  });
  const revoke = revocation({ revocationEndpoint: `${server.origin}/revoke`, clientId: 'app', clientAuth: none() });
  const tokens = { accessToken: '', refreshToken: 'canary-r0' };
  await revoke({ tokens, client: axios.create(), signal: new AbortController().signal });
  expect(bodies).toHaveLength(1);
  expect(bodies[0]).toContain('token=canary-r0');
});

test('a holder without `refresh` reads its store again at a 401', async () => {
  const stage = new Stage();
  const port = memoryPort();
  const tokens = stage.tokens.issueDead();
  const scheme = stage.bearer({ store: { ...port, subscribe: undefined as never }, tokens, refresh: undefined });
  stage.attach({ scheme });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401 });
  const stored = (await port.load())!;
  const { access_token: accessToken } = stage.tokens.issue();
  await port.compareAndSet(stored.generation, {
    ...stored,
    generation: stored.generation + 1,
    tokens: { accessToken },
  });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
});

test('refresh() that resolves with a fetch Response of an OAuth error ends the session', async () => {
  const response = new Response('{"error":"invalid_grant"}', { status: 400 });
  const { stage } = Stage.with({
    tokens: (endpoint) => endpoint.issueDead(),
    bearer: { refresh: () => response as unknown as TokenResponse },
  });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
});

test('a token that has expired while its call waited does not pause refreshes', async () => {
  const { stage } = Stage.with({ tokens: (endpoint) => endpoint.issueDead(), expiresIn: 5 });
  stage.script('/item', 401, { status: 429, headers: { 'retry-after': '10' } });
  expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
  const paused: AuthEvent[] = stage.events.filter(({ type }) => type === 'refresh-paused');
  expect(paused).toEqual([]);
});

describe('a listener of subscribe()', () => {
  test('is not called after it has unsubscribed, though the change was made before', async () => {
    const stage = new Stage();
    const scheme = stage.bearer({ tokens: { accessToken: 'canary-a0' } });
    const [gone, other] = [jest.fn(), jest.fn()];
    scheme.subscribe(() => {
      stop();
    });
    const stop = scheme.subscribe(gone);
    scheme.subscribe(other);
    await scheme.signOut();
    await stage.clock.settle();
    expect([gone.mock.calls.length, other.mock.calls.length]).toEqual([0, 1]);
  });

  test.each<[where: string, store: () => ReturnType<typeof memoryStore>]>([
    ['a memoryStore()', memoryStore],
    ['a port', () => tokenStore(memoryPort())],
  ])('is called twice for a refresh that another holder of %s makes while this one waits', async (_, make) => {
    const stage = new Stage();
    const store = make();
    const tokens = stage.tokens.issueDead();
    const [first, second] = [1, 2].map(() => {
      const scheme = stage.bearer({ store, tokens });
      const api = stage.instance();
      stage.attach({ scheme }, api);
      return { scheme, api };
    });
    await stage.outcome(second!.api.get('/open/first'));
    const seen: boolean[] = [];
    second!.scheme.subscribe(() => {
      seen.push(second!.scheme.getSnapshot().refreshing);
    });
    await stage.outcomes([first!.api.get('/item'), second!.api.get('/item')]);
    await stage.clock.settle();
    expect(seen).toEqual([true, false]);
    expect(stage.tokens.refreshes).toBe(1);
  });
});

// F87
describe('a refresh token that is repeated', () => {
  const refreshToken = 'canary_token';

  test.each(['refresh', 'revoke'] as const)(
    'by the server as its error code is in no event and no message: %s',
    async (what) => {
      const echo = (): Promise<never> =>
        Promise.reject(Object.assign(new Error('no'), { response: { status: 400, data: { error: refreshToken } } }));
      const { stage, scheme } = Stage.with({
        tokens: () => ({ accessToken: 'dead', refreshToken }),
        bearer: { [what]: echo },
      });
      if (what === 'revoke') await scheme.signOut();
      const settled = await stage.clock.until(what === 'refresh' ? scheme.refresh() : stage.clock.pass(1));
      if (settled.status === 'rejected') expect(String(settled.reason)).toContain('400 status');
      expect(stage.eventsOf(`${what}-failed` as AuthEvent['type'])).toMatchObject([{ code: 'status', status: 400 }]);
      expect(String((settled as { reason?: unknown }).reason) + JSON.stringify(stage.events)).not.toContain('canary');
    },
  );

  test('by the error of a lock is not in the cause', async () => {
    const exclusive = (): Promise<never> => Promise.reject(new Error(`update sessions set token = '${refreshToken}'`));
    const stage = new Stage();
    const scheme = stage.bearer({
      store: { ...memoryPort(), exclusive },
      tokens: { accessToken: 'dead', refreshToken },
    });
    const settled = await stage.clock.until(scheme.refresh());
    const { cause } = (settled as PromiseRejectedResult).reason as Error;
    expect(String(cause)).toBe("Error: update sessions set token = '[redacted]'");
  });
});

// F164
test.each(['subscribe', 'onEvent'] as const)(
  'calls reject with ERR_AUTH_SESSION_EXPIRED and its cause if the app signs out by %s',
  async (how) => {
    const stage = new Stage();
    const scheme = stage.bearer({ tokens: stage.tokens.issueDead(), refresh: () => null });
    const signOut = (): void => {
      if (scheme.getSnapshot().status === 'expired') void scheme.signOut();
    };
    if (how === 'subscribe') scheme.subscribe(signOut);
    stage.attach({ scheme, onEvent: how === 'onEvent' ? signOut : () => undefined });
    for (const call of [1, 2].map(() => stage.api.get('/item')))
      expect(reasonOf(await stage.clock.until(call))).toMatchObject({
        code: 'ERR_AUTH_SESSION_EXPIRED',
        cause: { name: 'RefreshRejectedError' },
      });
  },
);

test('a call that waits rejects with ERR_AUTH_SESSION_CHANGED if an expired session was renewed before the sign-out', async () => {
  const stage = new Stage();
  const scheme = stage.bearer({ tokens: stage.tokens.issueDead(), refresh: () => null });
  stage.attach({ scheme });
  stage.script('/slow', { status: 429, headers: { 'Retry-After': '30' } });
  await stage.outcome(stage.api.get('/item'));
  await scheme.update(stage.tokens.issue());
  const call = underway(stage.api.get('/slow'));
  await stage.clock.advance(100);
  await scheme.signOut();
  expect(await stage.outcome(call)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
});
