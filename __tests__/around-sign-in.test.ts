// The statements of guide.md and errors.md on calls around a sign-in, a sign-out and the end of a session.
import axios, { AxiosError, type AxiosInstance, type AxiosResponse } from 'axios';
import { attachAuth, bearer, isAuthError, type BearerOptions, type BearerScheme } from '../lib/index.js';
import { memoryStore, tokenStore, type StoredSession } from '../lib/store.js';

/** An API that accepts the token `new`, and logs `path token` of every request. It answers `/slow/…` after `release()`. */
function app(options: BearerOptions) {
  const seen: string[] = [];
  let release!: () => void;
  const released = new Promise<void>((resolve) => (release = resolve));
  const session = bearer(options);
  const api: AxiosInstance = axios.create({
    baseURL: 'https://api.example.com',
    adapter: async (config) => {
      const token = String(config.headers.get('Authorization') ?? 'none').replace('Bearer ', '');
      seen.push(`${config.url ?? ''} ${token}`);
      if (config.url?.startsWith('/slow')) await released;
      const status = token === 'new' || config.url === '/slow/open' ? 200 : 401;
      const response: AxiosResponse = { status, statusText: '', data: {}, headers: {}, config, request: {} };
      if (status === 200) return response;
      throw new AxiosError('status 401', AxiosError.ERR_BAD_REQUEST, config, {}, response);
    },
  });
  attachAuth(api, { scheme: session, retry: false });
  return { api, session, seen, release };
}
const reasonOf = (call: Promise<unknown>): Promise<unknown> => call.then(String, (error: unknown) => error);

describe('signIn() that is not awaited', () => {
  const rows = new Map<string, StoredSession>();
  const slow = tokenStore({
    load: () =>
      new Promise((resolve) =>
        setTimeout(() => {
          resolve(rows.get('ada'));
        }, 20),
      ),
    compareAndSet: async (expected, next) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (rows.get('ada')?.generation !== expected) return false;
      rows.set('ada', next);
      return true;
    },
  });

  test.each<[string, BearerOptions]>([
    ['in memory', { refresh: () => null }],
    ['with a synchronous store', { store: memoryStore(), refresh: () => null }],
    ['with a slow store', { store: slow, refresh: () => null }],
  ])('sends the next call with its token, %s', async (_, options) => {
    const { api, session, seen } = app(options);
    const done = session.signIn({ accessToken: 'new' });
    expect(session.getSnapshot().status).toBe('signed-in');
    await api.get('/me');
    expect(seen).toEqual(['/me new']);
    await done;
  });

  test('resolves once the store has the tokens', async () => {
    const { session } = app({ store: slow });
    await session.signIn({ accessToken: 'newer' });
    expect(rows.get('ada')?.tokens?.accessToken).toBe('newer');
  });
});

describe('signOut() with calls in flight', () => {
  const signedIn = (): ReturnType<typeof app> =>
    app({ tokens: { accessToken: 'old', refreshToken: 'r' }, refresh: () => ({ accessToken: 'new' }) });

  test('rejects a call that gets a 401 with ERR_AUTH_SESSION_CHANGED and that response', async () => {
    const { api, session, seen, release } = signedIn();
    const call = reasonOf(api.get('/slow/me'));
    await new Promise(setImmediate);
    await session.signOut();
    release();
    expect(await call).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED', response: { status: 401 } });
    expect(seen).toEqual(['/slow/me old']);
  });

  test('lets other responses settle their calls, and sends later calls without credentials', async () => {
    const { api, session, seen, release } = signedIn();
    const call = api.get('/slow/open');
    await new Promise(setImmediate);
    await session.signOut();
    release();
    expect((await call).status).toBe(200);
    const later = await reasonOf(api.get('/me'));
    expect(isAuthError(later)).toBe(false);
    expect(later).toMatchObject({ response: { status: 401 } });
    expect(seen).toEqual(['/slow/open old', '/me none']);
  });
});

describe('a refused refresh token', () => {
  const refused = (): BearerScheme =>
    app({ tokens: { accessToken: 'old', refreshToken: 'r', expiresAt: 1_000_000_000_001 }, refresh: () => null })
      .session;

  test('rejects the getAccessToken() that started the refresh, and later ones resolve with undefined', async () => {
    const session = refused();
    await expect(session.getAccessToken()).rejects.toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    expect(await session.getAccessToken()).toBeUndefined();
    expect(session.getSnapshot().status).toBe('expired');
  });

  test('ends the session until signIn()', async () => {
    const session = refused();
    await session.getAccessToken().catch(() => undefined);
    void session.signIn({ accessToken: 'new' });
    expect(await session.getAccessToken()).toBe('new');
  });
});
