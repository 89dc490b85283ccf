import axios from 'axios';
import {
  apiKey,
  attachAuth,
  bearer,
  createThrottle,
  exchangeOf,
  type AuthScheme,
  type RetryFailure,
} from '../lib/index.js';
import type { Clock } from '../lib/clock.js';
import { resolveCall, resolveOptions } from '../lib/policy.js';
import { recording } from './support/recording.js';

const scheme = bearer('token');
const attachWith = (options: object) => attachAuth(axios.create(), { scheme, ...options });

/** Time stands still, and chance is 0. A backoff with full jitter is 0 ms then. */
const hurried: Clock = {
  now: () => 0,
  monotonic: () => 0,
  random: () => 0,
  after(delayMs, run) {
    let isCancelled = delayMs > 0;
    queueMicrotask(() => {
      if (!isCancelled) run();
    });
    return () => {
      isCancelled = true;
    };
  },
};

type Row = [option: string, value: unknown, takes: RegExp, got: string];

const A_NUMBER = /a number, 0 or more/;
const MANY = /a number, 1 or more/;
const STATUSES = /statuses, 100 to 599/;
const METHODS = /methods/;
const ORIGINS = /origins such as .*https?:/;
const A_FUNCTION = /a function/;
const AN_OBJECT = /an object or false/;
const A_SCHEME = /authorize\(\)/;
const A_CHOICE = /'send-bare' or 'refuse'/;

/** Wrong retry options, of an instance or a call. */
const wrongRetry: Row[] = [
  ['retry', true, AN_OBJECT, 'true'],
  ['retry', null, AN_OBJECT, 'null'],
  ['retry', 3, AN_OBJECT, '3'],
  ['retry.maxAttempts', 0, MANY, '0'],
  ['retry.maxAttempts', NaN, MANY, 'NaN'],
  ['retry.maxAttempts', '3', MANY, '"3"'],
  ['retry.maxAttempts', null, MANY, 'null'],
  ['retry.maxThrottledAttempts', -1, MANY, '-1'],
  ['retry.statuses', 503, STATUSES, '503'],
  ['retry.statuses', [99], STATUSES, 'an array'],
  ['retry.statuses', [600], STATUSES, 'an array'],
  ['retry.statuses', ['503'], STATUSES, 'an array'],
  ['retry.statuses', [503.5], STATUSES, 'an array'],
  ['retry.methods', 'GET', METHODS, '"GET"'],
  ['retry.methods', ['GET', 7], METHODS, 'an array'],
  ['retry.baseDelayMs', -1, A_NUMBER, '-1'],
  ['retry.maxDelayMs', {}, A_NUMBER, 'an object'],
  ['retry.maxRetryAfterMs', '60s', A_NUMBER, '"60s"'],
  ['retry.shouldRetry', true, A_FUNCTION, 'true'],
];

/** A TypeError with all the parts. */
function expectComplaint(thrown: unknown, option: string, takes: RegExp, got: string): void {
  expect(thrown).toBeInstanceOf(TypeError);
  const { message } = thrown as TypeError;
  const [begin, end] = [`attachAuth: \`${option}\` takes `, `, but got ${got}`];
  expect([message.slice(0, begin.length), message.slice(-end.length)]).toEqual([begin, end]);
  expect(message.slice(begin.length, -end.length)).toMatch(takes);
}

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** `{ retry: { maxAttempts: 0 } }` for `retry.maxAttempts`. */
const nested = (path: string, value: unknown): object =>
  path.split('.').reduceRight((inner: unknown, key) => ({ [key]: inner }), value) as object;

describe('a wrong option throws a TypeError that names it, the values it takes and the value it got', () => {
  test.each<Row>([
    ...wrongRetry,
    ['scheme', undefined, A_SCHEME, 'undefined'],
    ['scheme', null, A_SCHEME, 'null'],
    ['scheme', {}, A_SCHEME, 'an object'],
    ['scheme', { authorize: true }, A_SCHEME, 'an object'],
    ['throttle', true, AN_OBJECT, 'true'],
    ['throttle', null, AN_OBJECT, 'null'],
    ['throttle.keyOf', 'path', A_FUNCTION, '"path"'],
    ['throttle.maxQueued', -1, A_NUMBER, '-1'],
    ['throttle.maxQueued', NaN, A_NUMBER, 'NaN'],
    ['throttle.shared', 'redis', /an object with close/, 'a string'],
    ['throttle.shared', { close: () => undefined }, /an object with close/, 'an object'],
    ['origins', 'https://api.example.com', ORIGINS, '"https://api.example.com"'],
    ['origins', null, ORIGINS, 'null'],
    ['origins', ['api.example.com'], ORIGINS, '"api.example.com"'],
    ['origins', ['https://api.example.com/v1'], ORIGINS, '"https://api.example.com/v1"'],
    ['origins', ['https://api.example.com/?a'], ORIGINS, '"https://api.example.com/?a"'],
    ['origins', ['https://user:secret@api.example.com'], ORIGINS, '"https://…@api.example.com"'],
    ['origins', ['blob:https://api.example.com/'], ORIGINS, '"blob:https://api.example.com/"'],
    ['origins', ['*'], ORIGINS, '"*"'],
    ['origins', ['https://*.example.com'], ORIGINS, '"https://*.example.com"'],
    ['allowInsecure', ['http://*'], ORIGINS, '"http://*"'],
    ['origins', ['null'], ORIGINS, '"null"'],
    ['origins', ['file:///'], ORIGINS, '"file:///"'],
    ['origins', [{}], ORIGINS, 'an object'],
    ['origins', [7], ORIGINS, '7'],
    ['foreignOrigin', 'send', A_CHOICE, '"send"'],
    ['foreignOrigin', false, A_CHOICE, 'false'],
    ['allowInsecure', 'http://10.0.0.5', ORIGINS, '"http://10.0.0.5"'],
    ['allowInsecure', 1, ORIGINS, '1'],
    ['allowInsecure', ['10.0.0.5'], ORIGINS, '"10.0.0.5"'],
    ['isUnauthorized', 401, A_FUNCTION, '401'],
    ['isUnauthorized', null, A_FUNCTION, 'null'],
    ['deadlineMs', -1, A_NUMBER, '-1'],
    ['deadlineMs', '1s', A_NUMBER, '"1s"'],
    ['deadlineMs', NaN, A_NUMBER, 'NaN'],
    ['onEvent', 'log', A_FUNCTION, '"log"'],
    ['onEvent', {}, A_FUNCTION, 'an object'],
  ])('%s: %j', (option, value, takes, got) => {
    expectComplaint(
      thrownBy(() => attachWith(nested(option, value))),
      option,
      takes,
      got,
    );
  });

  test.each([undefined, null, 'bearer'])('options: %j', (options) => {
    expect(() => attachAuth(axios.create(), options as never)).toThrow(
      /^attachAuth: `options` takes an object with a scheme, but got /,
    );
  });

  test.each<[what: string, work: () => unknown]>([
    ['options', () => attachAuth(axios.create(), 'SECRET' as never)],
    ['scheme', () => attachAuth(axios.create(), { scheme: 'SECRET' as never })],
    ["a call's attachAuth", () => recording(scheme).api.get('/', { attachAuth: 'SECRET' as never })],
    ['the name of a header', () => apiKey('X-API-Key', { header: 'SECRET==/' })],
  ])('the error for %s does not show a secret given as value', async (_what, work) => {
    const thrown: unknown = await Promise.resolve()
      .then(work)
      .catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(TypeError);
    expect(String((thrown as Error).stack)).not.toContain('SECRET');
  });

  test.each([undefined, null, {}, 'axios'])('an instance: %j', (instance) => {
    expect(() => attachAuth(instance as never, { scheme })).toThrow(TypeError);
    expect(() => attachAuth(instance as never, { scheme })).toThrow(/^attachAuth: .*an axios instance/);
  });

  test('and the instance is not changed', async () => {
    const { api, sent } = recording(scheme);
    const bare = axios.create(api.defaults as object);
    expect(() => attachAuth(bare, { scheme, deadlineMs: -1 })).toThrow(TypeError);
    await bare.get('/');
    expect(sent[0]?.headers).not.toHaveProperty('authorization');
    expect(() => attachAuth(bare, { scheme })).not.toThrow();
  });
});

test('every valid option is accepted', () => {
  const edge = {
    maxAttempts: 1,
    maxThrottledAttempts: Infinity,
    statuses: [],
    methods: [],
    baseDelayMs: 0,
    maxDelayMs: 0,
  };
  const own: AuthScheme = { name: 'Own', authorize: () => undefined };
  for (const options of [
    {
      scheme: own,
      retry: false,
      throttle: false,
      origins: '*',
      foreignOrigin: 'refuse',
      allowInsecure: true,
      deadlineMs: 0,
    },
    {
      retry: { ...edge, maxRetryAfterMs: Infinity, shouldRetry: () => undefined },
      throttle: { maxQueued: 0, keyOf: () => 'k' },
    },
    { retry: { statuses: [100, 599] } },
    { origins: [], foreignOrigin: 'send-bare', allowInsecure: [], deadlineMs: Infinity },
    {
      origins: ['https://a.example', 'HTTP://B.example:80/'],
      allowInsecure: ['http://b.example'],
      isUnauthorized: () => false,
    },
  ]) {
    expect(() => attachWith(options)).not.toThrow();
  }
});

describe('attaching twice', () => {
  /** The number of handlers. `forEach` is not in the types of axios. */
  function handlers(interceptors: object): number {
    let count = 0;
    (interceptors as { forEach(visit: () => void): void }).forEach(() => count++);
    return count;
  }

  test('to one instance is a TypeError, and the first attachment is kept', async () => {
    const { api, sent } = recording(scheme);
    expect(() => attachAuth(api, { scheme: bearer('other') })).toThrow(
      /^attachAuth: this instance is attached already; call detach\(\)/,
    );
    await api.get('/');
    expect(sent[0]?.headers).toHaveProperty('authorization', 'Bearer token');
  });

  test('works after detach(), which removes its handlers and may be called twice', async () => {
    const { api, sent, handle } = recording(scheme, [503], { clock: hurried });
    handle.detach();
    expect([handlers(api.interceptors.request), handlers(api.interceptors.response)]).toEqual([0, 0]);
    const answer = await api.get('/');
    expect(sent.map(({ headers }) => headers['authorization'])).toEqual([undefined]);
    expect(exchangeOf(answer)).toBeUndefined();
    const second = attachAuth(api, { scheme });
    handle.detach();
    expect(() => attachAuth(api, { scheme })).toThrow(TypeError);
    second.detach();
  });

  test('works for one scheme on two instances, and for a child of an attached instance', () => {
    const api = axios.create();
    attachAuth(api, { scheme });
    expect(() => attachAuth(axios.create(api.defaults as object), { scheme })).not.toThrow();
  });
});

describe('attachAuth of one call', () => {
  test.each<Row>([
    ...wrongRetry,
    ['credentials', 'none', /'attach' or 'omit'/, '"none"'],
    ['credentials', false, /'attach' or 'omit'/, 'false'],
    ['deadlineMs', -1, A_NUMBER, '-1'],
    ['idempotent', 'yes', /a boolean/, '"yes"'],
    ['idempotent', 1, /a boolean/, '1'],
  ])('%s: %j rejects it with a TypeError, unsent', async (option, value, takes, got) => {
    const { api, sent } = recording(scheme);
    const call = api.get('/', { attachAuth: nested(option, value) });
    expectComplaint(await call.catch((error: unknown) => error), `attachAuth.${option}`, takes, got);
    expect(sent).toHaveLength(0);
  });

  test.each([true, null, 'omit'])('%j rejects it with a TypeError, unsent', async (attach) => {
    const { api, sent } = recording(scheme);
    await expect(api.get('/', { attachAuth: attach as never })).rejects.toThrow(
      /^attachAuth: `attachAuth` takes an object or false, but got /,
    );
    expect(sent).toHaveLength(0);
  });

  test('overrides the options of the instance field by field', async () => {
    const { api, sent } = recording(scheme, [503], {
      clock: hurried,
      retry: { maxAttempts: 3, methods: ['get', 'post'] },
    });
    await api.post('/', null, { attachAuth: { retry: { maxAttempts: 2 } } });
    expect(sent).toHaveLength(2);
    await api.post('/', null, { attachAuth: { retry: { statuses: [500] } } });
    expect(sent).toHaveLength(3);
    await api.post('/');
    expect(sent).toHaveLength(6);
  });

  test('may omit credentials, or turn retries off', async () => {
    const { api, sent } = recording(scheme, [503], { clock: hurried });
    const answer = await api.get('/', { attachAuth: { credentials: 'omit' } });
    expect(sent.map(({ headers }) => headers['authorization'])).toEqual([undefined, undefined, undefined, undefined]);
    expect(exchangeOf(answer)).toMatchObject({ attempts: 4 });
    await api.get('/', { attachAuth: { retry: false } });
    expect(sent).toHaveLength(5);
  });

  test('may mark the call as idempotent', async () => {
    const { api, sent } = recording(scheme, [503], { clock: hurried });
    await api.post('/', null, { attachAuth: { idempotent: true } });
    expect(sent).toHaveLength(4);
  });

  test('that is false bypasses the package', async () => {
    const { api, sent } = recording(scheme, [503], { clock: hurried });
    const answer = await api.get('/', { attachAuth: false });
    expect(sent.map(({ headers }) => headers['authorization'])).toEqual([undefined]);
    expect(exchangeOf(answer)).toBeUndefined();
  });
});

describe('undefined counts as absent', () => {
  /** Every key of `like`, undefined. */
  const undefinedFor = (like: object): object => Object.fromEntries(Object.keys(like).map((key) => [key, undefined]));
  const retry = undefinedFor({
    maxAttempts: 0,
    maxThrottledAttempts: 0,
    statuses: 0,
    methods: 0,
    baseDelayMs: 0,
    maxDelayMs: 0,
    maxRetryAfterMs: 0,
    shouldRetry: 0,
  });
  const throttle = undefinedFor({ keyOf: 0, maxQueued: 0 });
  const none = undefinedFor({
    retry: 0,
    throttle: 0,
    origins: 0,
    foreignOrigin: 0,
    allowInsecure: 0,
    isUnauthorized: 0,
    deadlineMs: 0,
    onEvent: 0,
  });

  test('for every option of an instance', () => {
    const defaults = resolveOptions({ scheme });
    expect(resolveOptions({ scheme, ...none })).toEqual(defaults);
    expect(resolveOptions({ scheme, retry, throttle })).toEqual(defaults);
  });

  test('for every option of a call', () => {
    const shouldRetry = (): boolean => false;
    const policy = resolveOptions({ scheme, deadlineMs: 7, retry: { maxAttempts: 2, shouldRetry } });
    const absent = resolveCall(undefined, policy);
    expect(absent).toMatchObject({ deadlineMs: 7, shouldRetry, retry: { maxAttempts: 2 } });
    expect(absent).toMatchObject(resolveCall({}, policy));
    const undefinedOptions = undefinedFor({ credentials: 0, retry: 0, deadlineMs: 0, idempotent: 0 });
    expect(absent).toMatchObject(resolveCall(undefinedOptions, policy));
    expect(absent).toMatchObject(resolveCall({ retry }, policy));
  });

  test('and the defaults are those of the contract', () => {
    expect(resolveOptions({ scheme })).toMatchObject({
      retry: {
        maxAttempts: 4,
        maxThrottledAttempts: 6,
        statuses: new Set([408, 500, 502, 503, 504]),
        baseDelayMs: 500,
        maxDelayMs: 20_000,
        maxRetryAfterMs: 60_000,
      },
      throttle: { maxQueued: Infinity },
      foreignOrigin: 'send-bare',
      deadlineMs: 120_000,
    });
  });

  test.each(['get', 'head', 'options', 'put', 'delete', 'query', 'trace'])(
    '%s is sent four times by default',
    async (method) => {
      const { api, sent } = recording(scheme, [503], { clock: hurried });
      await api.request({ url: '/', method });
      expect(sent).toHaveLength(4);
    },
  );

  test.each(['post', 'patch'])('%s is sent once by default', async (method) => {
    const { api, sent } = recording(scheme, [503], { clock: hurried });
    await api.request({ url: '/', method });
    expect(sent).toHaveLength(1);
  });
});

test('shouldRetry gets the failure, without the query', async () => {
  const failures: RetryFailure[] = [];
  const shouldRetry = (failure: RetryFailure): boolean => failures.push(failure) < 2;
  const { api, sent } = recording(scheme, [404], { clock: hurried, retry: { shouldRetry } });
  await api.post('/orders?secret=1', null);
  expect(sent).toHaveLength(2);
  const failure = { method: 'POST', url: 'https://api.example.com/orders', status: 404, willRetry: false };
  expect(failures).toEqual([1, 2].map((attempt) => ({ ...failure, attempt })));
});

test.each<[unknown, RegExp]>([
  [null, /^createThrottle: `options` takes an object, but got null$/],
  [{ keyOf: 'path' }, /^createThrottle: `keyOf` takes a function, but got "path"$/],
  [{ maxQueued: -1 }, /^createThrottle: `maxQueued` takes a number, 0 or more, but got -1$/],
  [{ shared: {} }, /^createThrottle: `shared` takes an object with close\(\) and closedForMs\(\), but got an object$/],
])('createThrottle(%j) throws a TypeError', (options, message) => {
  const thrown = thrownBy(() => createThrottle(options as object));
  expect(thrown).toBeInstanceOf(TypeError);
  expect((thrown as TypeError).message).toMatch(message);
});
