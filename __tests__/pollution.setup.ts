/**
 * Runs a suite under a polluted Object.prototype (FAILURES F90): `npx jest -c jest.pollution.config.ts`. While a test runs, every plain
 * object inherits these. Code that reads or calls one throws. Names that the tests, Node or form-data read on plain objects are left out,
 * such as `reason`, `encoding` and `header`.
 */
const EVIL = 'https://evil.example';
const called: string[] = [];

const evil = (name: string) =>
  Object.assign(
    (): never => {
      called.push(name);
      throw new Error(`a polluted ${name} was called`);
    },
    { toString: () => EVIL },
  );

const functions = [
  ...['store', 'refresh', 'isUnauthorized', 'onEvent', 'shouldRetry', 'keyOf', 'onChallenge', 'authorize', 'sign'],
  ...['isRefusal', 'onAnswer', 'revoke'],
  ...['stringToSign', 'exclusive', 'subscribe', 'begin', 'answered', 'join', 'busy', 'endOf', 'isRefreshUseless'],
  ...['beforeRedirect', 'transport', 'attachAuth', 'throttle', 'retry', 'refusal'],
];
const values: Record<string, unknown> = {
  ...{ credentials: 'omit', idempotent: true, foreignOrigin: 'refuse', origins: '*', allowInsecure: true },
  ...{ maxAttempts: 99, maxThrottledAttempts: 99, statuses: [200], methods: ['POST'], baseDelayMs: 0, maxDelayMs: 0 },
  ...{
    maxRetryAfterMs: 1e9,
    deadlineMs: 0,
    maxQueued: 0,
    refreshAheadMs: 1e9,
    refreshTimeoutMs: 1,
    maxChallenges: 9,
    singleFlight: true,
  },
  ...{ accessToken: 'evil', access_token: 'evil', refreshToken: 'evil', refresh_token: 'evil' },
  ...{ expires_in: 1, exp: 1, iat: 1, generation: 99, epoch: 99, version: 1 },
  ...{
    username: 'evil',
    password: 'evil',
    credentialHeaders: ['x-evil'],
    keyId: 'evil',
  },
  ...{ retryAfterMs: 1e9, challenge: true, isReauthorized: true, adapterName: 'xhr', isAxiosError: true },
  ...{ baseURL: EVIL, allowAbsoluteUrls: false, socketPath: '/tmp/evil', fetchOptions: { redirect: 'error' } },
};

for (const name of functions) values[name] = evil(name);

const names = Object.keys(values).filter((name) => !(name in Object.prototype));

function pollute(): void {
  for (const name of names) {
    // An accessor could not be shadowed by assignment; a writable value can.
    Object.defineProperty(Object.prototype, name, {
      value: values[name],
      configurable: true,
      writable: true,
      enumerable: process.env['POLLUTION'] === 'enumerable',
    });
  }
}

function clean(): void {
  for (const name of names) Reflect.deleteProperty(Object.prototype, name);
}

beforeEach(pollute);
afterEach(() => {
  clean();
  expect(called.splice(0)).toEqual([]);
});
