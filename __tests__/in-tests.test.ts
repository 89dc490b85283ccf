// Tests as users write them, with Jest's fake timers and axios-mock-adapter.
import axios, { type AxiosInstance } from 'axios';
import MockAdapter from 'axios-mock-adapter';
import { attachAuth, bearer, isAuthError } from '../lib/index.js';

function createApp(): { api: AxiosInstance; mock: MockAdapter } {
  const api = axios.create({ baseURL: 'https://api.example.com' });
  const session = bearer({
    tokens: { accessToken: 'old', refreshToken: 'r1' },
    refresh: async ({ client, refreshToken }) => (await client.post('/auth/refresh', { refreshToken })).data,
  });
  attachAuth(api, { scheme: session });
  return { api, mock: new MockAdapter(api) };
}

afterEach(() => jest.useRealTimers());

type Faked = NonNullable<FakeTimersConfig['doNotFake']>;

// F129
describe.each<[string, Faked]>([
  ['every clock', []],
  ['every clock but performance', ['performance']],
  ['timers alone', ['performance', 'Date', 'hrtime', 'nextTick', 'queueMicrotask']],
])('with %s faked', (_, doNotFake) => {
  beforeEach(() => jest.useFakeTimers({ doNotFake }));

  test('a rate limit of a minute ends when the test advances its timers', async () => {
    const { api, mock } = createApp();
    mock.onGet('/me').replyOnce(429, '', { 'Retry-After': '60' });
    mock.onGet('/me').reply(200, { name: 'Ada' });

    const call = api.get('/me');
    await jest.advanceTimersByTimeAsync(59_000);
    expect(mock.history['get']).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(10_000);

    expect((await call).data).toEqual({ name: 'Ada' });
  });

  test('the backoff after a server error ends when the test advances its timers', async () => {
    const { api, mock } = createApp();
    mock.onGet('/me').replyOnce(503);
    mock.onGet('/me').reply(200, { name: 'Ada' });
    const call = api.get('/me');
    await jest.advanceTimersByTimeAsync(1_000);
    expect((await call).data).toEqual({ name: 'Ada' });
  });

  test('a refresh needs no timer', async () => {
    const { api, mock } = createApp();
    mock.onPost('/auth/refresh').reply(200, { accessToken: 'new', refreshToken: 'r2' });
    mock.onGet('/me').reply(({ headers }) => (headers?.['Authorization'] === 'Bearer new' ? [200, {}] : [401]));
    expect((await api.get('/me')).status).toBe(200);
  });
});

test('a mock made before attachAuth works, too', async () => {
  const api = axios.create({ baseURL: 'https://api.example.com' });
  const mock = new MockAdapter(api);
  attachAuth(api, { scheme: bearer('token') });
  mock.onGet('/me').reply(({ headers }) => [200, headers?.['Authorization']]);
  expect((await api.get('/me')).data).toBe('Bearer token');
});

test('a call without a mock reply rejects as without the package', async () => {
  const { api } = createApp();
  const error: unknown = await api.get('/other').catch((thrown: unknown) => thrown);
  expect(isAuthError(error)).toBe(false);
  expect(error).toMatchObject({ response: { status: 404 } });
});

test.each(['get', 'post'])('a redirect that a mock answers a %s with is not followed', async (method) => {
  const { api, mock } = createApp();
  mock.onAny('/old').reply(307, '', { Location: '/new' });
  mock.onAny('/new').reply(200);
  const error: unknown = await api.request({ method, url: '/old' }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ response: { status: 307 } });
  expect(mock.history).toHaveLength(1);
});
