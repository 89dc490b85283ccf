import http from 'node:http';
import { inspect } from 'node:util';
import axios, { AxiosError, AxiosHeaders } from 'axios';
import { attachAuth, bearer, type AuthError, type BearerOptions } from '../lib/index.js';
import { redactError } from '../lib/redact.js';
import { failureOf, servers } from './support/answers.js';
import { reply } from './support/serve.js';

/** Every secret contains this, so that one search finds them all. */
const CANARY = 'canary-5b1c';
const REFRESH = `${CANARY}-refresh`;
const SECRET = `${CANARY}-client&secret="quoted"`;
const FRESH = `${CANARY}-fresh`;

/** All that inspectors, serializers and error trackers can read, hidden properties included. */
function shown(error: unknown): string {
  const texts = [inspect(error, { depth: Infinity, showHidden: true, getters: true })];
  for (let at = error; at instanceof Error && texts.length < 20; at = at.cause) {
    texts.push(at.message, at.stack ?? '', inspect(Object.assign({}, at)));
  }
  return decodeURIComponent(texts.join('\n').replace(/%(?![\da-f]{2})/gi, '%25'));
}

function expectRedacted(error: unknown): void {
  const text = shown(error);
  const place = text.indexOf(CANARY);
  expect(place < 0 ? '' : text.slice(Math.max(0, place - 200), place + 80)).toBe('');
}

const echo = () => ({
  detail: [{ loc: ['body', 'refresh_token'], msg: `not valid: ${REFRESH}`, input: { refresh_token: REFRESH } }],
  received: `client_secret=${encodeURIComponent(SECRET)}&refresh_token=${REFRESH}`,
});

// F86, F141
describe('an error of an HTTP client does not show the request', () => {
  const body = { grant_type: 'refresh_token', refresh_token: REFRESH, client_secret: SECRET };

  const axiosError = (data: unknown): AxiosError => {
    const config = {
      method: 'post',
      url: `/token?key=${SECRET}`,
      data: JSON.stringify(body),
      headers: new AxiosHeaders(),
      auth: { username: 'id', password: SECRET },
    };
    const headers = new AxiosHeaders({ 'Set-Cookie': `rt=${FRESH}`, 'X-Request-Id': '7' });
    return new AxiosError(
      'status 422',
      'ERR_BAD_REQUEST',
      config,
      { path: REFRESH },
      { status: 422, statusText: '', data, headers, config, request: {} },
    );
  };

  const errors: Record<string, () => unknown> = {
    axios: () => axiosError(echo()),
    'axios, the answer as text': () => axiosError(JSON.stringify(echo())),
    'axios, the answer as bytes': () => axiosError(Buffer.from(JSON.stringify(echo()))),
    'axios, wrapped with its answer in the message': () => {
      const cause = axiosError(echo());
      return new Error(`refused: ${JSON.stringify(cause.response?.data)}`, { cause });
    },
    ky: () => {
      const request = new Request('http://as.test/token', {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { Authorization: `Basic ${btoa(SECRET)}` },
      });
      return Object.assign(new Error(`status code 422: POST http://as.test/token?key=${SECRET}`), {
        name: 'HTTPError',
        request,
        response: Response.json(echo(), { status: 422 }),
        options: { json: body, body: JSON.stringify(body), headers: new Headers({ cookie: `rt=${REFRESH}` }) },
        data: echo(),
      });
    },
    got: () => {
      class Options {
        get json() {
          return body;
        }
        get headers() {
          return { authorization: `Bearer ${REFRESH}` };
        }
      }
      const response = Object.assign(new http.IncomingMessage(null as never), {
        statusCode: 422,
        body: JSON.stringify(echo()),
        rawBody: Buffer.from(JSON.stringify(echo())),
        request: { options: new Options() },
      });
      const error = Object.assign(new Error('Response code 422'), {
        name: 'HTTPError',
        code: 'ERR_NON_2XX_3XX_RESPONSE',
        options: new Options(),
        timings: { start: 1 },
      });
      Object.defineProperty(error, 'response', { enumerable: false, configurable: true, value: response });
      return error;
    },
    'fetch, the response as cause': () => new Error('422', { cause: Response.json(echo(), { status: 422 }) }),
    'fetch, the document as cause': () => new Error('422', { cause: echo() }),
    'fetch, the document attached': () =>
      Object.assign(new Error('422'), { status: 422, body: echo(), headers: new Headers({ 'x-token': FRESH }) }),
    'a document that is thrown': () => ({ ...echo(), error: 'invalid_request' }),
    'several at once': () =>
      new AggregateError([axiosError(echo()), new Error(REFRESH)], `both failed with ${REFRESH}`),
    'a frozen error': () => Object.freeze(Object.assign(new Error(`no ${REFRESH}`), { code: 'E', token: REFRESH })),
    'a frozen error as cause': () => new Error('no', { cause: Object.freeze(new Error(`no ${REFRESH}`)) }),
    'a frozen error among several': () => new AggregateError([Object.freeze(new Error(`no ${REFRESH}`))]),
    'errors that cause each other': () => {
      const one = new Error(REFRESH);
      one.cause = new Error(REFRESH, { cause: one });
      return one;
    },
    'a text': () => `refused: ${REFRESH}`,
    'a URL that is none': () => {
      try {
        return new URL(`http://[bad?token=${SECRET}`);
      } catch (error) {
        return error;
      }
    },
    'a URL that is none, in a fetch': () => fetch(`http://[bad?key=${REFRESH}`).catch((error: unknown) => error),
    'JSON that is none': () => {
      try {
        return JSON.parse(`{"access_token": ${FRESH}}`) as unknown;
      } catch (error) {
        return error;
      }
    },
  };

  test.each(Object.entries(errors))('%s', async (_what, make) => {
    const error = await make();
    expectRedacted(redactError(error, { refreshToken: REFRESH }, body));
  });

  test('name, message, code, status and document are kept', () => {
    const error = redactError(
      axiosError({ ...echo(), error: 'invalid_request', error_description: 'The refresh_token is not valid' }),
    ) as AxiosError;
    expect(error).toMatchObject({
      name: 'AxiosError',
      message: 'status 422',
      code: 'ERR_BAD_REQUEST',
      config: { method: 'post', url: '/token?[redacted]' },
      response: {
        status: 422,
        data: {
          error: 'invalid_request',
          error_description: 'The refresh_token is not valid',
          detail: [{ loc: ['body', 'refresh_token'] }],
        },
      },
    });
    expect((error.response?.headers as AxiosHeaders).get('x-request-id')).toBe('7');
    expect(axios.isAxiosError(error)).toBe(true);
  });

  test('a fetch Response keeps its status and headers, and its body is not readable', () => {
    const response = Response.json(echo(), { status: 422, headers: { 'x-request-id': '7' } });
    const error = redactError(Object.assign(new Error('422', { cause: response }), { response })) as Error & {
      response: unknown;
    };
    for (const redacted of [error.cause, error.response]) {
      expect(redacted).toMatchObject({ status: 422, headers: { 'x-request-id': '7' } });
      for (const method of ['text', 'json', 'clone', 'body']) expect(redacted).not.toHaveProperty(method);
    }
  });

  test('the error and its cause stay the same objects', () => {
    const cause = axiosError(echo());
    const error = new Error('no', { cause });
    expect(redactError(error)).toBe(error);
    expect(error.cause).toBe(cause);
  });

  test('a frozen error keeps name, message, code and status', () => {
    const error = Object.freeze(
      Object.assign(new RangeError('out of reach'), { code: 'E_X', status: 500, token: REFRESH }),
    );
    expect(redactError(error)).toMatchObject({ name: 'RangeError', message: 'out of reach', code: 'E_X', status: 500 });
  });

  test('short values are not redacted inside ordinary words', () => {
    const error = new Error('a token of type abc is not valid');
    redactError(error, { a: 'a', b: 'abc', grant_type: 'token' });
    expect(error.message).toBe('a token of type abc is not valid');
  });

  test.each<object>([
    { status: 422 },
    { status: 422, headers: null, data: REFRESH },
    { status: 200, data: REFRESH, headers: { 'x-token': FRESH } },
    { status: '422', data: REFRESH },
    { data: REFRESH, body: REFRESH },
    {},
  ])('a response of another shape is redacted: %j', (response) => {
    expectRedacted(redactError(Object.assign(new Error('no'), { response }), REFRESH));
  });

  test.each([undefined, null, 7, true])('%p is returned unchanged', (thrown) => {
    expect(redactError(thrown, { a: REFRESH })).toBe(thrown);
  });

  test('getters that throw, and polluted prototypes, do not matter', () => {
    const error = Object.defineProperty(new Error(REFRESH), 'config', {
      enumerable: true,
      get: () => {
        throw new Error(REFRESH);
      },
    });
    Object.assign(Object.prototype, { get: () => REFRESH });
    try {
      redactError(error, REFRESH);
    } finally {
      Reflect.deleteProperty(Object.prototype, 'get');
    }
    expect(error.message).toBe('[redacted]');
  });
});

describe('a refresh that fails', () => {
  const start = servers();
  const failed = async (refresh: NonNullable<BearerOptions['refresh']>): Promise<AuthError> => {
    const server = await start(({ url, headers, body }, response) => {
      const input = body.toString();
      if (url.startsWith('/token')) reply(response, 422, { error: 'invalid_request', input, headers, again: [input] });
      else reply(response, 401);
    });
    const api = axios.create({ baseURL: server.origin });
    attachAuth(api, { scheme: bearer({ tokens: { accessToken: `${CANARY}-old`, refreshToken: REFRESH }, refresh }) });
    return (await failureOf(api.get('/x'))) as AuthError;
  };
  const asForm = (refreshToken = ''): URLSearchParams =>
    new URLSearchParams({ refresh_token: refreshToken, client_secret: SECRET });

  test.each<[string, NonNullable<BearerOptions['refresh']>]>([
    [
      'its client, as JSON',
      async ({ client, refreshToken }) => (await client.post<never>('/token', { refreshToken, secret: SECRET })).data,
    ],
    [
      'its client, as a form',
      async ({ client, refreshToken }) => (await client.post<never>('/token', asForm(refreshToken))).data,
    ],
    [
      'its client, with Basic',
      async ({ client, refreshToken }) =>
        (await client.post<never>('/token', { refreshToken }, { auth: { username: 'id', password: SECRET } })).data,
    ],
    [
      'its client, in a message of its own',
      async ({ client, refreshToken }) =>
        client.post<never>('/token', asForm(refreshToken)).then(
          ({ data }) => data,
          (error: unknown) => {
            throw Object.assign(new Error(JSON.stringify((error as AxiosError).response?.data)), { status: 422 });
          },
        ),
    ],
    [
      'its client, accepted and thrown',
      async ({ client, refreshToken }) => {
        const { data, status } = await client.post<never>('/token', asForm(refreshToken), {
          validateStatus: () => true,
        });
        throw Object.assign(new Error(`status ${String(status)}: ${JSON.stringify(data)}`), { data });
      },
    ],
    [
      'its client, with Basic, accepted and thrown',
      async ({ client, refreshToken }) => {
        const { data } = await client.post<never>('/token', asForm(refreshToken), {
          auth: { username: 'id', password: SECRET },
          validateStatus: () => true,
        });
        throw Object.assign(new Error(JSON.stringify(data)), { status: 422 });
      },
    ],
    [
      'plain axios',
      async ({ client, refreshToken }) =>
        (await axios.post<never>(`${String(client.defaults.baseURL)}/token`, asForm(refreshToken))).data,
    ],
    [
      'fetch',
      async ({ client, refreshToken }) => {
        const response = await fetch(`${String(client.defaults.baseURL)}/token`, {
          method: 'POST',
          body: asForm(refreshToken),
        });
        throw new Error(await response.clone().text(), { cause: response });
      },
    ],
  ])('through %s, does not show its request', async (_what, refresh) => {
    const error = await failed(refresh);
    expect(error.code).toBe('ERR_AUTH_REFRESH_FAILED');
    expect(error.message).toContain('invalid_request');
    expect(inspect(error, { depth: Infinity })).not.toContain(CANARY);
    expectRedacted(error.cause);
  });

  test("its cause keeps the server's error code and description", async () => {
    const server = await start(({ url }, response) => {
      if (url === '/token')
        reply(response, 401, { error: 'invalid_client', error_description: 'The client secret has expired' });
      else reply(response, 401);
    });
    const api = axios.create({ baseURL: server.origin });
    const refresh: NonNullable<BearerOptions['refresh']> = async ({ client, refreshToken }) =>
      (await client.post<never>('/token', asForm(refreshToken))).data;
    attachAuth(api, { scheme: bearer({ tokens: { refreshToken: REFRESH }, refresh }) });
    const { cause } = (await failureOf(api.get('/x'))) as AuthError;
    expect((cause as AxiosError).response?.data).toEqual({
      error: 'invalid_client',
      error_description: 'The client secret has expired',
    });
  });
});
