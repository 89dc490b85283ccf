import { Readable } from 'node:stream';
import { inspect } from 'node:util';
import type { AxiosAdapter, AxiosError, AxiosRequestConfig, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import OldFormData from 'form-data';
import { exchangeOf } from '../lib/index.js';
import { answerOf, reasonOf, Stage, TOKEN_PATH, tooMany, unauthorized, underway } from './support/stage.js';

/** A stage whose first send is refused with 401, and the next accepted. */
function refused(options: Parameters<typeof Stage.with>[0] = {}): ReturnType<typeof Stage.with> {
  return Stage.with({ tokens: (endpoint) => endpoint.issueDead(), ...options });
}

// F51 F54 F55 F56
describe('a replay', () => {
  const bytes = new Uint8Array([0, 1, 2, 253, 254, 255]);
  const form = new FormData();
  form.append('file', new Blob(['content']), 'a.txt');
  test.each<[string, unknown, unknown]>([
    ['an object', { amount: 1, note: 'ünï' }, '{"amount":1,"note":"ünï"}'],
    ['a string', 'plain text', 'plain text'],
    ['an empty string', '', ''],
    ['form fields', new URLSearchParams({ a: '1', b: 'ü' }), 'a=1&b=%C3%BC'],
    ['an ArrayBuffer', bytes.buffer, bytes.buffer],
    ['a view', bytes, bytes.buffer],
    ['a Buffer', Buffer.from('abc'), undefined],
    ['a Blob', new Blob(['blob']), undefined],
    ['native form data', form, form],
    ['nothing', undefined, undefined],
    ['null', null, null],
  ])('has the same body: %s', async (_, body, expected) => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const { stage } = refused();
      const outcome = await stage.outcome(stage.api.request({ url: '/item', method, data: body }));
      expect(outcome).toMatchObject({ status: 200, attempts: 2, refreshed: true });
      const [first, second] = stage.calls;
      expect(second?.body).toStrictEqual(first?.body);
      if (expected !== undefined) expect(second?.body).toStrictEqual(expected);
      expect(second?.method).toBe(method);
      expect(second?.headers['Content-Type']).toBe(first?.headers['Content-Type']);
    }
  });

  test('has the body of the first send, even if the object has changed', async () => {
    const { stage } = refused();
    const order = { amount: 1 };
    const call = underway(stage.api.post('/item', order));
    await stage.clock.advance(20);
    order.amount = 1_000;
    await stage.outcome(call);
    expect(stage.calls.map(({ body }) => body)).toEqual(['{"amount":1}', '{"amount":1}']);
  });

  test('has the same URL, parameters and headers', async () => {
    const { stage } = refused();
    const config = { params: { q: 'a b', list: [1, 2] }, headers: { 'Idempotency-Key': 'k1', 'X-Trace': 't1' } };
    await stage.outcome(stage.api.post('/item?x=1', { a: 1 }, config));
    const [first, second] = stage.calls;
    // Older axios leaves the brackets as they are.
    expect(second?.query.replace(/\[\]/g, '%5B%5D')).toBe('?x=1&q=a+b&list%5B%5D=1&list%5B%5D=2');
    const { Authorization: before, ...othersBefore } = first!.headers;
    const { Authorization: after, ...othersAfter } = second!.headers;
    expect([before, after]).toEqual(['Bearer alice-a1', 'Bearer alice-a2']);
    expect(othersAfter).toEqual(othersBefore);
    expect(othersAfter).toMatchObject({ 'Idempotency-Key': 'k1', 'X-Trace': 't1' });
  });

  test('does not run transformRequest again, and runs transformResponse for every response', async () => {
    let requests = 0;
    const answers: unknown[] = [];
    const { stage } = refused();
    stage.script('/item', unauthorized(), 503);
    stage.clock.chance = 0.5;
    const config = {
      transformRequest: [(body: unknown) => `<${JSON.stringify(body)}>${String(++requests)}`],
      transformResponse: [(body: unknown) => `parsed ${String(answers.push(body))}`],
    };
    const { data } = answerOf(await stage.clock.until(stage.api.put<string>('/item', { n: 1 }, config)));
    expect(data).toBe('parsed 3');
    expect(requests).toBe(1);
    expect(answers).toHaveLength(3);
    expect(stage.calls.map(({ body }) => body)).toEqual(['<{"n":1}>1', '<{"n":1}>1', '<{"n":1}>1']);
  });

  test('has none of the headers that the adapter added to the send before', async () => {
    const stage = new Stage();
    const seen: (string | undefined)[] = [];
    const adapter: AxiosAdapter = (config) => {
      seen.push(config.headers.get('Content-Length')?.toString());
      config.headers.set('Content-Length', String(config.data).length);
      config.headers.set('X-Connection', 'kept');
      return stage.adapter(config);
    };
    const api = stage.instance({ adapter });
    stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issueDead() }) }, api);
    const settled = await stage.clock.until(api.post('/item', { a: 1 }));
    expect(settled).toMatchObject({ status: 'fulfilled' });
    expect(seen).toEqual([undefined, undefined, undefined]);
    const value = answerOf(settled);
    expect(value.config.headers.get('X-Connection')).toBeUndefined();
  });

  test.each(['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'])(
    'follows a 401 of every method: %s',
    async (method) => {
      const { stage } = refused();
      const outcome = await stage.outcome(stage.api.request({ url: '/item', method }));
      expect(outcome).toMatchObject({ status: 200, attempts: 2, refreshed: true });
    },
  );

  test('follows a 401 with retry: false, too', async () => {
    const { stage } = refused({ attach: { retry: false } });
    expect(await stage.outcome(stage.api.post('/item'))).toMatchObject({ status: 200, attempts: 2 });
  });
});

// F24
describe('401 twice', () => {
  test('settles with the second response and reason unauthorized-again', async () => {
    const { stage } = refused();
    stage.script('/item', { ...unauthorized(), data: { nth: 1 } }, { ...unauthorized(), data: { nth: 2 } });
    const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(error).toMatchObject({
      name: 'AxiosError',
      code: 'ERR_BAD_REQUEST',
      response: { status: 401, data: { nth: 2 } },
    });
    expect(exchangeOf(error)).toMatchObject({ attempts: 2, refreshed: true, reason: 'unauthorized-again' });
    expect(stage.to('/item')).toHaveLength(2);
  });

  test('allows one replay per call, also with a 503 in between', async () => {
    const { stage } = refused();
    stage.clock.chance = 0.5;
    stage.script('/item', unauthorized(), 503, unauthorized());
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
      status: 401,
      attempts: 3,
      reason: 'unauthorized-again',
    });
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('does not count a 503 before the first 401', async () => {
    const { stage } = Stage.with({});
    stage.clock.chance = 0.5;
    stage.script('/item', 503, unauthorized());
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 3, refreshed: true });
  });
});

describe('an error that a scheme throws on a later attempt', () => {
  test('rejects the call at once, without a further attempt', async () => {
    const stage = new Stage();
    let asked = 0;
    const authorize = (): void => {
      if (++asked > 1) throw new Error('no secret');
    };
    stage.attach({ scheme: { name: 'Custom', authorize } });
    stage.always('/open/item', 503);
    const error = reasonOf(await stage.clock.until(stage.api.get('/open/item')));
    expect(error.message).toBe('no secret');
    expect(asked).toBe(2);
    expect(stage.calls).toHaveLength(1);
    expect(stage.eventsOf('retry')).toHaveLength(1);
  });

  test('from another attached call keeps the config of that call', async () => {
    const stage = new Stage();
    const keys = stage.instance();
    stage.attach({ scheme: { name: 'Custom', authorize: () => undefined }, deadlineMs: 0 }, keys);
    stage.attach({ scheme: { name: 'Custom', authorize: () => keys.get('/keys').then(() => undefined) } });
    const error = reasonOf(await stage.clock.until(stage.api.get('/open/item')));
    expect(error).toMatchObject({ code: 'ERR_AUTH_DEADLINE', config: { url: '/keys' } });
  });

  test('is an AuthError with the last response if a refresh failed', async () => {
    const { stage } = Stage.with({ expiresIn: 1 });
    stage.clock.chance = 0.9;
    stage.script('/item', { status: 503, afterMs: 990 });
    stage.always(TOKEN_PATH, 500);
    const outcome = await stage.outcome(stage.api.get('/item'));
    expect(outcome).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED', status: 503, attempts: 1 });
    expect(outcome.reason).toBeUndefined();
    expect(stage.tokens.refreshes).toBe(3);
  });
});

// F64
describe('validateStatus', () => {
  test.each<[string, NonNullable<AxiosRequestConfig['validateStatus']> | null]>([
    ['everything', () => true],
    ['401', (status) => status === 401 || status < 300],
    ['every status (null)', null],
  ])('that accepts %s changes nothing: statuses decide', async (_, validateStatus) => {
    const { stage } = refused();
    expect(await stage.outcome(stage.api.get('/item', { validateStatus }))).toMatchObject({ status: 200, attempts: 2 });
    stage.always('/closed', unauthorized());
    const settled = await stage.clock.until(stage.api.get('/closed', { validateStatus }));
    expect(settled).toMatchObject({ status: 'fulfilled', value: { status: 401 } });
    expect(exchangeOf(answerOf(settled))).toMatchObject({
      attempts: 2,
      reason: 'unauthorized-again',
    });
  });

  test('that accepts a 503 does not prevent its retry', async () => {
    const { stage } = Stage.with({});
    stage.script('/item', 503, tooMany(1));
    const settled = await stage.clock.until(stage.api.get('/item', { validateStatus: () => true }));
    expect(settled).toMatchObject({ value: { status: 200 } });
    expect(stage.calls).toHaveLength(3);
  });

  test('that refuses a 200 rejects with the error of axios', async () => {
    const { stage } = Stage.with({});
    const outcome = await stage.outcome(stage.api.get('/item', { validateStatus: (status) => status === 204 }));
    expect(outcome).toMatchObject({ status: 200, code: 'ERR_BAD_REQUEST', attempts: 1 });
  });
});

describe('interceptors of the app', () => {
  test('run once a call on the request, added before or after', async () => {
    const seen: string[] = [];
    const stage = new Stage();
    const note = (name: string) => (config: InternalAxiosRequestConfig) => {
      seen.push(name);
      config.headers.set(`X-${name}`, String(seen.length));
      return config;
    };
    stage.api.interceptors.request.use(note('Before'));
    stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issueDead() }) });
    stage.api.interceptors.request.use(note('After'));
    stage.script('/item', unauthorized(), tooMany(1));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 3 });
    expect(seen).toEqual(['After', 'Before']);
    expect(stage.to('/item').map(({ headers }) => [headers['X-After'], headers['X-Before']])).toEqual([
      ['1', '2'],
      ['1', '2'],
      ['1', '2'],
    ]);
  });

  test('on the response see every attempt if added before, and the outcome if added after', async () => {
    const seen: [string, number | string | undefined][] = [];
    const watch = (name: string, stage: Stage): void => {
      stage.api.interceptors.response.use(
        (response) => {
          seen.push([name, response.status]);
          return response;
        },
        (error: AxiosError) => {
          seen.push([name, error.response?.status ?? error.code]);
          throw error;
        },
      );
    };
    const stage = new Stage();
    stage.clock.chance = 0.5;
    watch('before', stage);
    stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issueDead() }) });
    watch('after', stage);
    stage.script('/item', unauthorized(), 503, { fault: 'reset' });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 4 });
    expect(seen).toEqual([
      ['before', 401],
      ['before', 503],
      ['before', 'ECONNRESET'],
      ['before', 200],
      ['after', 200],
    ]);
    seen.length = 0;
    await stage.outcome(stage.api.get('/status/404'));
    expect(seen).toEqual([
      ['before', 404],
      ['after', 404],
    ]);
  });

  test.each(['before', 'after'])('that unwrap data, added %s, unwrap it once', async (place) => {
    const stage = new Stage();
    stage.clock.chance = 0.5;
    const unwrap = (): void => void stage.api.interceptors.response.use((response) => response.data as AxiosResponse);
    if (place === 'before') unwrap();
    stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issueDead() }) });
    if (place === 'after') unwrap();
    for (const replies of [[], [503], [unauthorized()], [unauthorized(), 503, tooMany(1)]]) {
      stage.script('/item', ...replies, { status: 200, data: { data: { deep: true } } });
      const settled = await stage.clock.until(stage.api.get('/item'));
      expect(settled).toEqual({ status: 'fulfilled', value: { data: { deep: true } } });
    }
  });

  test('added before pass on their result for the last attempt', async () => {
    const stage = new Stage();
    stage.api.interceptors.response.use(undefined, (error: AxiosError) => {
      throw Object.assign(error, { note: `seen ${String(error.response?.status)}` });
    });
    stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issueDead() }) });
    stage.script('/item', unauthorized(), 404);
    expect(reasonOf(await stage.clock.until(stage.api.get('/item')))).toMatchObject({ note: 'seen 404' });
  });

  test('that replace the first response end the call with their value', async () => {
    const stage = new Stage();
    stage.api.interceptors.response.use(undefined, () => ({ offline: true }));
    stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issueDead() }) });
    const settled = await stage.clock.until(stage.api.get('/item'));
    expect(settled).toEqual({ status: 'fulfilled', value: { offline: true } });
    expect(stage.calls).toHaveLength(1);
  });

  test('may provide a response for a call that was not sent', async () => {
    const stage = new Stage();
    stage.api.interceptors.response.use(
      undefined,
      ({ config }: AxiosError) => ({ data: 'from a cache', config }) as never,
    );
    stage.attach({ scheme: stage.bearer(), deadlineMs: 0 });
    expect(await stage.api.get('/item')).toMatchObject({ data: 'from a cache' });
    expect(stage.sent).toEqual([]);
  });

  test('added after see one outcome of a call that is in flight at detach()', async () => {
    const { stage, handle } = Stage.with({});
    stage.clock.chance = 0.5;
    const seen: number[] = [];
    stage.api.interceptors.response.use((response) => {
      seen.push(response.status);
      return response;
    });
    stage.script('/item', 503);
    const call = underway(stage.api.get('/item'));
    await stage.clock.advance(265);
    expect(stage.to('/item')).toHaveLength(2);
    handle.detach();
    expect(await stage.outcome(call)).toMatchObject({ status: 200, attempts: 2 });
    expect(seen).toEqual([200]);
  });

  test('that set an Authorization keep it, added before or after', async () => {
    for (const place of ['before', 'after']) {
      const stage = new Stage();
      const own = (): void =>
        void stage.api.interceptors.request.use((config) => {
          config.headers.set('Authorization', 'Bearer own');
          return config;
        });
      if (place === 'before') own();
      stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issue() }) });
      if (place === 'after') own();
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401, attempts: 1 });
      expect(stage.calls.map(({ token }) => token)).toEqual(['own']);
      expect(stage.tokens.refreshes).toBe(0);
    }
  });
});

// F53
describe('a body that streams', () => {
  const streams: [string, () => unknown][] = [
    ['a Node stream', () => Readable.from(['a', 'b'])],
    ['a web stream', () => new Blob(['ab']).stream()],
    [
      'an async generator',
      () =>
        (async function* () {
          yield await Promise.resolve('a');
        })(),
    ],
    [
      'the form-data package',
      () => {
        const form = new OldFormData();
        form.append('a', 'b');
        return form;
      },
    ],
  ];
  test.each(streams)('is never sent twice: %s', async (_, make) => {
    const cases = [
      { reply: unauthorized(), status: 401 },
      { reply: tooMany(1), status: 429 },
      { reply: { status: 503 }, status: 503 },
    ];
    for (const { reply, status } of cases) {
      const { stage } = Stage.with({});
      stage.script('/upload', reply);
      const outcome = await stage.outcome(
        stage.api.put('/upload', make(), { transformRequest: [(data: unknown) => data] }),
      );
      expect(outcome).toMatchObject({ status, attempts: 1, refreshed: false, reason: 'body-not-replayable' });
      await stage.clock.advance(10_000);
      expect(stage.to('/upload')).toHaveLength(1);
    }
  });

  test('that is refused starts a refresh for later calls', async () => {
    const { stage } = refused();
    expect(await stage.outcome(stage.api.post('/upload', Readable.from(['a'])))).toMatchObject({
      status: 401,
      attempts: 1,
    });
    await stage.clock.advance(100);
    expect(await stage.outcome(stage.api.post('/upload', Readable.from(['a'])))).toMatchObject({
      status: 200,
      attempts: 1,
    });
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('whose refresh fails too leaves no unhandled rejection', async () => {
    const { stage } = refused();
    stage.always(TOKEN_PATH, 500);
    expect(await stage.outcome(stage.api.post('/upload', Readable.from(['a'])))).toMatchObject({
      status: 401,
      reason: 'body-not-replayable',
    });
    await stage.clock.advance(20_000);
    expect(stage.eventsOf('refresh-failed')).toHaveLength(3);
  });
});

// F65
describe('a refused response that streams', () => {
  /** A body that remembers when it was ended. */
  class Body {
    endedAt: number | undefined;
    readonly #stage: Stage;
    constructor(stage: Stage) {
      this.#stage = stage;
    }
    destroy(): void {
      this.endedAt ??= this.#stage.clock.monotonic();
    }
  }

  test.each<[string, () => object]>([
    ['401', () => unauthorized()],
    ['503', () => ({ status: 503 })],
    ['429', () => tooMany(1)],
  ])('with %s is destroyed before the wait, since it holds its socket', async (_, reply) => {
    const { stage } = Stage.with({});
    const data = new Body(stage);
    stage.script('/item', { ...reply(), data });
    const outcome = await stage.outcome(stage.api.get('/item', { responseType: 'stream' }));
    expect(outcome).toMatchObject({ status: 200, attempts: 2 });
    expect(data.endedAt).toBe(10);
  });

  test('is not destroyed if the call settles with it', async () => {
    const { stage } = Stage.with({});
    const data = new Body(stage);
    stage.script('/item', { status: 404, data });
    expect(await stage.outcome(stage.api.get('/item', { responseType: 'stream' }))).toMatchObject({ status: 404 });
    expect(data.endedAt).toBeUndefined();
  });

  test('is not destroyed if an async onChallenge decides at once against a replay', async () => {
    const stage = new Stage();
    stage.attach({ scheme: { name: 'X', authorize: () => undefined, onChallenge: () => Promise.resolve(false) } });
    const data = new Body(stage);
    stage.script('/item', { status: 401, data });
    expect(await stage.outcome(stage.api.get('/item', { responseType: 'stream' }))).toMatchObject({ status: 401 });
    expect(data.endedAt).toBeUndefined();
  });
});

// F15 F86
test.each([
  ['attach', true],
  ['omit', false],
] as const)('the adapter gets a redirect guard only for a send with credentials (%s)', async (...row) => {
  const [credentials, isGuarded] = row;
  const stage = new Stage();
  const seen: InternalAxiosRequestConfig[] = [];
  const adapter: AxiosAdapter = (config) => {
    seen.push(config);
    return stage.adapter(config);
  };
  const api = stage.instance({ adapter });
  stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issue() }) }, api);
  await stage.outcome(api.get('/open/item', { attachAuth: { credentials } }));
  expect(seen.map((config) => 'beforeRedirect' in config || 'fetchOptions' in config)).toEqual([isGuarded]);
});

describe('after a call', () => {
  test('no credential stays on config, response or error', async () => {
    const { stage } = refused();
    const value = answerOf(await stage.clock.until(stage.api.post('/item', { a: 1 })));
    expect(value.config.headers.get('Authorization')).toBeUndefined();
    stage.always('/closed', unauthorized());
    stage.always('/broken', { fault: 'reset' });
    const errors = (
      await stage.settled([stage.api.get('/closed'), stage.api.post('/broken'), stage.api.get('/status/404')])
    ).map(reasonOf);
    expect(errors.map(({ code }) => code)).toEqual(['ERR_BAD_REQUEST', 'ECONNRESET', 'ERR_BAD_REQUEST']);
    for (const left of [value, ...errors, ...errors.map((error) => error.toJSON())]) {
      expect(inspect(left, { depth: 12 })).not.toMatch(/alice-[ar]/);
    }
  });

  test('response and error have the config of the call, the same for every attempt', async () => {
    const { stage } = refused();
    let own: InternalAxiosRequestConfig | undefined;
    stage.api.interceptors.request.use((config) => (own = config));
    const settled = await stage.clock.until(stage.api.get('/item'));
    const value = answerOf(settled);
    expect(value.config.url).toBe('/item');
    expect(value.config.adapter).toBe(own?.adapter);
    expect(value.config.transformRequest).toBe(own?.transformRequest);
  });

  test('the error of a call that is cancelled during its replay has the config of the call', async () => {
    const { stage } = refused();
    const controller = new AbortController();
    let attempts = 0;
    // It ignores the signal of the call.
    const adapter: AxiosAdapter = (config) => {
      if (++attempts === 2) controller.abort();
      return stage.adapter({ ...config, signal: new AbortController().signal });
    };
    let own: InternalAxiosRequestConfig | undefined;
    stage.api.interceptors.request.use((config) => (own = config));
    const call = stage.api.get('/item', { adapter, signal: controller.signal });
    const error = reasonOf(await stage.clock.until(call));
    expect(error.code).toBe('ERR_CANCELED');
    expect(error.config?.transformRequest).toBe(own?.transformRequest);
  });

  test('a config that its caller sends again is a new call', async () => {
    const { stage } = refused();
    stage.script('/item', unauthorized(), unauthorized());
    const error = reasonOf(await stage.clock.until(stage.api.get('/item')));
    expect(exchangeOf(error)).toMatchObject({ attempts: 2 });
    const again = await stage.clock.until(stage.api.request(error.config!));
    expect(again).toMatchObject({ status: 'fulfilled', value: { status: 200 } });
    expect(exchangeOf(answerOf(again))).toMatchObject({
      attempts: 1,
      refreshed: false,
    });
    expect(exchangeOf(error)).toMatchObject({ attempts: 2 });
    stage.tokens.revokeAll();
    expect(await stage.outcome(stage.api.request(error.config!))).toMatchObject({ status: 200, attempts: 2 });
  });

  test('a config that another instance sends again is a new call, with credentials', async () => {
    const { stage } = Stage.with({});
    const { config } = answerOf(await stage.clock.until(stage.api.get('/item')));
    const again = answerOf(await stage.clock.until(stage.instance().request(config)));
    expect(again).toMatchObject({ status: 200, data: { principal: 'alice' } });
    expect(exchangeOf(again)).toMatchObject({ attempts: 1 });
    expect(stage.calls).toHaveLength(2);
  });

  test('attaching a second time is a TypeError, unless detach() was called before', async () => {
    const { stage, scheme, handle } = refused();
    expect(() => stage.attach({ scheme })).toThrow(TypeError);
    handle.detach();
    handle.detach();
    stage.attach({ scheme });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('a child of the instance is not attached', async () => {
    const { stage } = Stage.with({});
    const child = stage.api.create();
    expect(await stage.outcome(child.get('/item'))).toEqual({ status: 401, code: 'ERR_BAD_REQUEST' });
    expect(stage.calls[0]?.token).toBeUndefined();
  });
});
