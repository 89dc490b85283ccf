import type * as OAuth4WebApi from 'oauth4webapi';
import { AxiosError, AxiosHeaders, type InternalAxiosRequestConfig } from 'axios';
import { RefreshRejectedError } from '../lib/index.js';
import { classify, readUnreadBody, type FailureContext, type RefreshFailure } from '../lib/session/refresh-failure.js';
import { requireEsm } from './support/esm.js';

/** Tue, 15 Nov 1994 08:12:31 GMT */
const NOW = 784_887_151_000;

function classified(error: unknown, context: Partial<FailureContext> = {}): RefreshFailure {
  return classify(error, { reason: 'rejected', now: NOW, ...context });
}

/** The error of axios for a response of a token endpoint. */
function answered(status: number, data: unknown, headers: Record<string, string> = {}): AxiosError {
  const config = { headers: new AxiosHeaders() } as InternalAxiosRequestConfig;
  const code = status < 500 ? AxiosError.ERR_BAD_REQUEST : AxiosError.ERR_BAD_RESPONSE;
  return new AxiosError(
    'refused',
    code,
    config,
    {},
    { status, statusText: '', data, headers: new AxiosHeaders(headers), config },
  );
}

const HTML = '<html>invalid_grant</html>';
const TEXT_HTML = { 'Content-Type': 'text/html; charset=utf-8' };
const JSON_TYPE = { 'Content-Type': 'application/json' };

// F18, F19, F20, F132, F133, F148
describe('a response of the token endpoint means', () => {
  type Row = [status: number, data: unknown, kind: string, kindIfMissing: string, headers?: Record<string, string>];
  const rows: Row[] = [
    // The refresh token is no longer valid.
    [400, { error: 'invalid_grant' }, 'refused', 'not-signed-in'],
    [400, { error: 'invalid_grant', error_description: 'expired' }, 'refused', 'not-signed-in'],
    [400, '{"error":"invalid_grant"}', 'refused', 'not-signed-in'],
    [400, ' \n{"error":"invalid_grant"}', 'refused', 'not-signed-in'],
    [401, { error: 'invalid_grant' }, 'refused', 'not-signed-in'],
    [403, { error: 'invalid_grant' }, 'refused', 'not-signed-in'],
    [200, { error: 'invalid_grant' }, 'refused', 'not-signed-in'],
    [302, { error: 'invalid_grant' }, 'refused', 'not-signed-in'],
    [429, { error: 'invalid_grant' }, 'refused', 'not-signed-in'],
    [500, { error: 'invalid_grant' }, 'refused', 'not-signed-in'],
    [502, { error: 'invalid_grant' }, 'refused', 'not-signed-in'],

    // A plain 401 or 403.
    [401, undefined, 'refused-here', 'not-signed-in'],
    [401, '', 'refused-here', 'not-signed-in'],
    [401, 'Unauthorized', 'refused-here', 'not-signed-in'],
    [401, {}, 'refused-here', 'not-signed-in'],
    [401, { message: 'Unauthenticated.' }, 'refused-here', 'not-signed-in', JSON_TYPE],
    [401, { statusCode: 401, error: 'Unauthorized' }, 'refused-here', 'not-signed-in'],
    [401, { error: 'token_expired' }, 'refused-here', 'not-signed-in'],
    [401, '', 'refused-here', 'not-signed-in', { 'WWW-Authenticate': 'Bearer' }],
    [401, '', 'refused-here', 'not-signed-in', { 'WWW-Authenticate': 'Bearer error="invalid_token"' }],
    [403, undefined, 'refused-here', 'not-signed-in'],
    [403, { detail: 'CSRF Failed' }, 'refused-here', 'not-signed-in'],
    [403, { error: 'access_denied' }, 'refused-here', 'not-signed-in'],

    // HTML comes from a gateway or a captive portal.
    [401, HTML, 'unavailable', 'unavailable'],
    [401, ' \n<!doctype html>', 'unavailable', 'unavailable'],
    [401, '', 'unavailable', 'unavailable', TEXT_HTML],
    [403, HTML, 'unavailable', 'unavailable'],
    [403, 'Access denied', 'unavailable', 'unavailable', { 'content-type': 'Text/HTML' }],
    [400, HTML, 'unavailable', 'unavailable'],
    [404, HTML, 'unavailable', 'unavailable'],
    [511, HTML, 'unavailable', 'unavailable'],
    [200, HTML, 'unavailable', 'unavailable'],

    // Temporary failures.
    [408, '', 'unavailable', 'unavailable'],
    [429, {}, 'unavailable', 'unavailable'],
    [429, { error: 'invalid_client' }, 'unavailable', 'unavailable'],
    [500, {}, 'unavailable', 'unavailable'],
    [500, { error: 'invalid_request' }, 'unavailable', 'unavailable'],
    [502, HTML, 'unavailable', 'unavailable'],
    [503, { error: 'temporarily_unavailable' }, 'unavailable', 'unavailable'],
    [503, '', 'unavailable', 'unavailable'],
    [504, HTML, 'unavailable', 'unavailable'],
    [520, '', 'unavailable', 'unavailable'],
    [530, HTML, 'unavailable', 'unavailable'],

    // The client or its request is refused.
    [401, { error: 'invalid_client' }, 'configuration', 'configuration'],
    [400, { error: 'invalid_client' }, 'configuration', 'configuration'],
    [401, '', 'configuration', 'configuration', { 'WWW-Authenticate': 'Basic realm="as"' }],
    [401, '', 'configuration', 'configuration', { 'WWW-Authenticate': 'Foo error="invalid_client"' }],
    [400, { error: 'invalid_request' }, 'configuration', 'configuration'],
    [400, { error: 'invalid_scope' }, 'configuration', 'configuration'],
    [400, { error: 'unauthorized_client' }, 'configuration', 'configuration'],
    [403, { error: 'unauthorized_client' }, 'configuration', 'configuration'],
    [400, { error: 'unsupported_grant_type' }, 'configuration', 'configuration'],
    [400, '{"error":"unsupported_grant_type"}', 'configuration', 'configuration'],
    [400, { error: 'invalid_target' }, 'configuration', 'configuration'],
    [400, { error: 'use_dpop_nonce' }, 'configuration', 'configuration'],
    [401, { error: 'invalid_dpop_proof' }, 'configuration', 'configuration'],
    [400, { error: 'temporarily_unavailable' }, 'configuration', 'configuration'],
    [400, { error: 'server_error' }, 'configuration', 'configuration'],
    [400, { error: 'slow_down' }, 'configuration', 'configuration'],

    // Any other 4xx. Without an OAuth error code, a first refresh may have found no session.
    [400, undefined, 'configuration', 'not-signed-in'],
    [400, null, 'configuration', 'not-signed-in'],
    [400, '', 'configuration', 'not-signed-in'],
    [400, 'invalid_grant', 'configuration', 'not-signed-in'],
    [400, '{"error":"invalid_grant"', 'configuration', 'not-signed-in'],
    [400, '["invalid_grant"]', 'configuration', 'not-signed-in'],
    [400, ['invalid_grant'], 'configuration', 'not-signed-in'],
    [400, {}, 'configuration', 'not-signed-in'],
    [400, { error: '' }, 'configuration', 'not-signed-in'],
    [400, { error: null }, 'configuration', 'not-signed-in'],
    [400, { error: 400 }, 'configuration', 'not-signed-in'],
    [400, { error: { code: 'invalid_grant' } }, 'configuration', 'not-signed-in'],
    [400, { error: ['invalid_grant'] }, 'configuration', 'not-signed-in'],
    [400, { code: 'invalid_grant' }, 'configuration', 'not-signed-in'],
    [400, { message: 'invalid_grant' }, 'configuration', 'not-signed-in'],
    [400, { error_description: 'invalid_grant' }, 'configuration', 'not-signed-in'],
    [400, { error: 'Bad Request' }, 'configuration', 'not-signed-in'],
    [400, { error: 'no_session' }, 'configuration', 'not-signed-in'],
    [404, {}, 'configuration', 'not-signed-in'],
    [405, '', 'configuration', 'not-signed-in'],
    [407, '', 'configuration', 'not-signed-in'],
    [410, '', 'configuration', 'not-signed-in'],
    [422, { detail: [] }, 'configuration', 'not-signed-in'],

    // No token, no refusal.
    [200, {}, 'configuration', 'configuration'],
    [200, '', 'configuration', 'configuration'],
    [204, '', 'configuration', 'configuration'],
    [200, { error: 'invalid_client' }, 'configuration', 'configuration'],
    [302, '', 'configuration', 'configuration'],
    [304, '', 'configuration', 'configuration'],
  ];

  test.each(rows)('%d with %j: %s, or %s without a session', (status, data, kind, kindIfMissing, headers = {}) => {
    const error = answered(status, data, headers);
    for (const reason of ['rejected', 'expiring', 'manual'] as const)
      expect(classified(error, { reason })).toMatchObject({ kind, status });
    expect(classified(error, { reason: 'missing' })).toMatchObject({ kind: kindIfMissing, status });
    expect(classified(error).mayBeSpent).toBe(status >= 200 && status < 300);
  });

  test.each(rows)(
    '%d with %j is classified the same if refresh() resolves with it or throws it as a response',
    (status, data, kind, _, headers = {}) => {
      const response = { status, data, headers: new AxiosHeaders(headers) };
      expect(classified(response)).toMatchObject({ kind, status });
      expect(classified(response, { isResult: true })).toMatchObject({ kind, status });
      expect(classified(data, { isResult: true, received: response })).toMatchObject({ kind, status });
    },
  );

  test.each([
    'INVALID_GRANT',
    ' invalid_grant',
    'invalid_grant.',
    'invalid_clients',
    'my_invalid_client',
    'bad_refresh_token',
  ])('only a configuration failure for a 400 with the unknown code %j', (error) => {
    expect(classified(answered(400, { error }))).toMatchObject({ kind: 'configuration', status: 400 });
  });
});

describe('the code of an event is', () => {
  test.each<[string, unknown, string]>([
    ['the OAuth error code', answered(400, { error: 'invalid_grant' }), 'invalid_grant'],
    ['an unknown OAuth error code, too', answered(400, { error: 'no_session' }), 'no_session'],
    [
      'the error of a challenge',
      answered(401, '', { 'WWW-Authenticate': 'Bearer error="invalid_token"' }),
      'invalid_token',
    ],
    ['no text with a line break', answered(400, { error: 'a\nb' }), 'ERR_BAD_REQUEST'],
    ['no long text', answered(400, { error: 'x'.repeat(65) }), 'ERR_BAD_REQUEST'],
    [
      'no text of a challenge with a space',
      answered(401, '', { 'WWW-Authenticate': 'X error="S E"' }),
      'ERR_BAD_REQUEST',
    ],
    ['`status` if nothing else is known', { response: { status: 500 } }, 'status'],
    ['no network code with a space', Object.assign(new Error('x'), { code: 'Bearer SECRET' }), 'unknown'],
    ['`rejected` for a RefreshRejectedError', new RefreshRejectedError(), 'rejected'],
  ])('%s', (_what, error, code) => {
    expect(classified(error).code).toBe(code);
  });
});

// F16, F130
describe('an error without a response is', () => {
  const failed = (code: string): AxiosError => new AxiosError('failed', code);

  test.each<[string, unknown, string]>([
    ['ECONNRESET', failed('ECONNRESET'), 'ECONNRESET'],
    ['ECONNREFUSED', failed('ECONNREFUSED'), 'ECONNREFUSED'],
    ['DNS', failed('ENOTFOUND'), 'ENOTFOUND'],
    ['DNS for now', failed('EAI_AGAIN'), 'EAI_AGAIN'],
    ['EPIPE', failed('EPIPE'), 'EPIPE'],
    ['no route', failed('EHOSTUNREACH'), 'EHOSTUNREACH'],
    ['ERR_NETWORK of a browser', failed('ERR_NETWORK'), 'ERR_NETWORK'],
    [
      'a fetch that failed',
      Object.assign(new TypeError('fetch failed'), { cause: { code: 'UND_ERR_SOCKET' } }),
      'UND_ERR_SOCKET',
    ],
    ['a fetch that reached none of the addresses', new AggregateError([failed('ECONNREFUSED')]), 'ECONNREFUSED'],
    ['a wrapped error', new Error('no', { cause: failed('ECONNRESET') }), 'ECONNRESET'],
  ])('unreachable with the network code of %s', (_what, error, code) => {
    expect(classified(error)).toEqual({ kind: 'unreachable', mayBeSpent: false, code });
    expect(classified(error, { reason: 'missing' }).kind).toBe('unreachable');
  });

  test.each<[string, unknown, string]>([
    ['a time limit of axios', failed('ECONNABORTED'), 'ECONNABORTED'],
    ['a time limit of axios, by its other name', failed('ETIMEDOUT'), 'ETIMEDOUT'],
    [
      'a time limit that closed the connection',
      new AxiosError('x', 'ECONNABORTED', undefined, undefined, undefined),
      'ECONNABORTED',
    ],
    ['an abort of axios', failed('ERR_CANCELED'), 'ERR_CANCELED'],
    ['an abort of fetch', new DOMException('x', 'AbortError'), 'unknown'],
    ['a time limit of fetch', new DOMException('x', 'TimeoutError'), 'unknown'],
    ['a response that is no HTTP', failed('HPE_INVALID_CONSTANT'), 'HPE_INVALID_CONSTANT'],
    ['a response that is no JSON', new SyntaxError('x'), 'unknown'],
    ['a certificate', failed('CERT_HAS_EXPIRED'), 'CERT_HAS_EXPIRED'],
    ['an Error', new Error('invalid_grant'), 'unknown'],
    ['a fetch without a code', new TypeError('Failed to fetch'), 'unknown'],
    [
      'a time limit, whatever caused it',
      Object.assign(failed('ECONNABORTED'), { cause: failed('ECONNRESET') }),
      'ECONNABORTED',
    ],
    ['a string', 'invalid_grant', 'unknown'],
    ['undefined', undefined, 'unknown'],
    ['null', null, 'unknown'],
    ['an empty object', {}, 'unknown'],
    ['a status of zero', { status: 0 }, 'unknown'],
  ])('unanswered without a network code: %s', (_what, error, code) => {
    expect(classified(error)).toEqual({ kind: 'unanswered', mayBeSpent: false, code });
  });

  // F148
  test.each(['ERR_AUTH_FOREIGN_ORIGIN', 'ERR_AUTH_INSECURE'])(
    'a configuration failure with %s, whatever its response',
    (code) => {
      expect(classified(Object.assign(answered(302, HTML), { code }))).toMatchObject({ kind: 'configuration' });
      expect(classified(failed(code), { reason: 'missing' })).toMatchObject({ kind: 'configuration', code });
    },
  );
});

// F148: the received response counts, whatever error is thrown later.
describe('after a response that context.client received,', () => {
  const received = { status: 200, data: {}, headers: {} };

  test('an error without details means that response', () => {
    expect(classified(new Error('x'), { received })).toMatchObject({
      kind: 'configuration',
      mayBeSpent: true,
      status: 200,
    });
    expect(classified(new Error('x'), { received: { status: 401 } })).toMatchObject({ kind: 'refused-here' });
    expect(classified(new Error('x'), { received: { status: 400, data: { error: 'invalid_grant' } } })).toMatchObject({
      kind: 'refused',
    });
    expect(classified(new Error('x'), { received: { status: 502, headers: { 'retry-after': '3' } } })).toMatchObject({
      kind: 'unavailable',
      retryAfterMs: 3_000,
    });
  });

  test.each<[string, unknown]>([
    ['a reset', new AxiosError('x', 'ECONNRESET')],
    ['a time limit', new AxiosError('x', 'ECONNABORTED')],
    ['a refusal by another endpoint', answered(500, '')],
    ['an error of the app', new TypeError('x is undefined')],
  ])('%s does not override a 2xx', (_what, error) => {
    expect(classified(error, { received }).mayBeSpent).toBe(true);
  });

  test('an error with only a status has the document of that response', () => {
    const page = { status: 200, data: HTML, headers: {} };
    expect(classified({ response: { status: 200 } }, { received: page })).toMatchObject({
      kind: 'unavailable',
      mayBeSpent: true,
    });
  });

  test('a reset does not mean an earlier response', () => {
    expect(classified(new AxiosError('x', 'ECONNRESET'), { received: { status: 401 } })).toMatchObject({
      kind: 'unreachable',
    });
  });

  test('a 401 of another endpoint counts instead', () => {
    expect(classified(answered(401, ''), { received })).toMatchObject({ kind: 'refused-here', mayBeSpent: true });
  });
});

test.each<[string, unknown]>([
  ['an empty document', {}],
  ['undefined', undefined],
  ['a token of another type', { access_token: 7 }],
])('refresh() may have spent its token if it resolves with %s and no status is known', (_what, value) => {
  expect(classified(value, { isResult: true })).toMatchObject({ kind: 'configuration', mayBeSpent: true });
});

describe('a refresh token is refused', () => {
  class Refused extends RefreshRejectedError {}
  const namesake = Object.assign(new Error('x'), { name: 'RefreshRejectedError' });

  test.each([
    ['by a RefreshRejectedError', new RefreshRejectedError()],
    ['by a subclass of it', new Refused()],
    ['by that of another copy of this package', namesake],
    ['by one that has a response of any status', Object.assign(new RefreshRejectedError(), { status: 503 })],
  ])('%s', (_what, error) => {
    expect(classified(error)).toMatchObject({ kind: 'refused', code: 'rejected' });
    expect(classified(error, { reason: 'missing' }).kind).toBe('not-signed-in');
  });

  test.each<[string, object]>([
    ['the error carries the code itself', { error: 'invalid_grant' }],
    ['the error carries code and status', { error: 'invalid_grant', status: 400 }],
    ['the cause carries the code', { cause: { error: 'invalid_grant' }, status: 400 }],
    ['the error carries the document', { data: { error: 'invalid_grant' }, status: 400 }],
    ['the error carries the body as text', { body: '{"error":"invalid_grant"}', statusCode: 400 }],
  ])('if %s, as in errors of OAuth clients', (_what, facts) => {
    expect(classified(Object.assign(new Error('x'), facts))).toMatchObject({ kind: 'refused', code: 'invalid_grant' });
  });
});

// F17, F140
describe('Retry-After', () => {
  const headers = { 'retry-after': '7', date: 'Tue, 15 Nov 1994 08:12:31 GMT' };

  test.each<[string, unknown]>([
    ['of axios', answered(429, {}, { 'Retry-After': '7' })],
    ['of fetch', { response: { status: 429, headers: new Headers(headers) } }],
    ['of a fetch Response as the cause', new Error('x', { cause: new Response('', { status: 503, headers }) })],
    ['of a plain object', { response: { status: 429, headers } }],
  ])('%s is read', (_what, error) => {
    expect(classified(error)).toMatchObject({ kind: 'unavailable', retryAfterMs: 7_000 });
  });

  test('is obeyed for 60 s at most', () => {
    expect(classified(answered(503, '', { 'Retry-After': '61' })).retryAfterMs).toBe(60_000);
    expect(classified(answered(503, '', { 'Retry-After': '59' })).retryAfterMs).toBe(59_000);
    expect(classified(answered(503, '', { 'Retry-After': '0' })).retryAfterMs).toBe(0);
  });

  test('is relative to the Date of the response, unless it comes from a cache', () => {
    const served = { 'Retry-After': 'Tue, 15 Nov 1994 09:00:20 GMT', Date: 'Tue, 15 Nov 1994 09:00:00 GMT' };
    expect(classified(answered(503, '', served)).retryAfterMs).toBe(20_000);
    expect(classified(answered(503, '', { ...served, Age: '60' })).retryAfterMs).toBe(60_000);
  });

  test('is read if it is a number, as a mock may give it', () => {
    expect(classified({ response: { status: 429, headers: { 'retry-after': 7, date: null } } })).toEqual({
      kind: 'unavailable',
      mayBeSpent: false,
      code: 'status',
      status: 429,
      retryAfterMs: 7_000,
    });
  });
});

describe('the errors of HTTP and OAuth clients are understood', () => {
  type Answer = [status: number, body: string, headers?: Record<string, string>];
  const GRANT: Answer = [400, '{"error":"invalid_grant"}', JSON_TYPE];
  const PLAIN: Answer = [401, '{"message":"no"}', JSON_TYPE];
  const CLIENT: Answer = [401, '', { 'WWW-Authenticate': 'Basic realm="as"' }];
  const PAGE: Answer = [401, HTML, TEXT_HTML];
  const STRICT: Answer = [200, '{"access_token":"x"}', JSON_TYPE];
  const LATER: Answer = [503, '', { 'Retry-After': '7' }];
  const responseOf = ([status, body, headers]: Answer): Response =>
    new Response(body, { status, ...(headers && { headers }) });

  const clients: Record<string, (answer: Answer) => Promise<unknown>> = {
    'fetch, the response as cause': async (answer) => new Error('no', { cause: responseOf(answer) }),
    'fetch, the response thrown': async (answer) => responseOf(answer),
    'fetch, the document read': async (answer) => {
      const response = responseOf(answer);
      const body: unknown = await response.json().catch(() => undefined);
      return Object.assign(new Error('no', { cause: response }), { body });
    },
    ky: async (answer) =>
      Object.assign(new Error('no'), {
        name: 'HTTPError',
        response: responseOf(answer),
        request: new Request('http://as.test'),
        options: {},
      }),
    got: async ([statusCode, body, headers = {}]) =>
      Object.assign(new Error('no'), {
        name: 'HTTPError',
        code: 'ERR_NON_2XX_3XX_RESPONSE',
        response: {
          statusCode,
          body,
          headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
        },
      }),
    oauth4webapi: async (answer) => {
      const oauth = requireEsm('oauth4webapi') as typeof OAuth4WebApi;
      const server = { issuer: 'https://as.test', token_endpoint: 'https://as.test/token' };
      const client = { client_id: 'c' };
      return oauth.processRefreshTokenResponse(server, client, responseOf(answer)).catch((error: unknown) => error);
    },
  };
  clients['openid-client'] = async (answer) => {
    const cause = (await clients.oauth4webapi!(answer)) as Error & { code: string };
    if (/ResponseBody|WWWAuth/.test(cause.name)) return cause;
    // It passes on the Response if that is malformed, else the error.
    const isResponse = cause.code.startsWith('OAUTH_RESPONSE_');
    return Object.assign(new Error('no', { cause: isResponse ? cause.cause : cause }), {
      name: 'ClientError',
      code: cause.code,
    });
  };

  describe.each(Object.entries(clients))('%s', (_name, errorFor) => {
    test.each<[string, Answer, Partial<RefreshFailure>]>([
      ['invalid_grant', GRANT, { kind: 'refused', code: 'invalid_grant', status: 400 }],
      ['a plain 401', PLAIN, { kind: 'refused-here', status: 401 }],
      ['invalid_client without a document', CLIENT, { kind: 'configuration', status: 401 }],
      ['a page', PAGE, { kind: 'unavailable', status: 401 }],
      ['Retry-After', LATER, { kind: 'unavailable', status: 503, retryAfterMs: 7_000 }],
      ['a 2xx that it does not accept', STRICT, { kind: 'configuration', mayBeSpent: true }],
    ])('%s', async (_what, answer, expected) => {
      const error = await errorFor(answer);
      expect(classified(error, { body: await readUnreadBody(error) })).toMatchObject(expected);
    });
  });

  test('a body that breaks off counts as missing', async () => {
    const body = new ReadableStream({
      start(controller) {
        controller.error(new Error('broken'));
      },
    });
    await expect(readUnreadBody(new Response(body, { status: 400 }))).resolves.toBeUndefined();
  });

  test('nothing is awaited if there is nothing to read', () => {
    expect(readUnreadBody(answered(400, {}))).toBeUndefined();
    expect(readUnreadBody(undefined)).toBeUndefined();
  });
});

// F90, F97
describe('hostile errors count as unanswered:', () => {
  test('getters that throw', () => {
    const trap = new Proxy(
      {},
      {
        get: () => {
          throw new Error('trap');
        },
      },
    );
    expect(classified(trap)).toEqual({ kind: 'unanswered', mayBeSpent: false, code: 'unknown' });
    expect(classified({ response: trap, cause: trap }, { received: trap }).kind).toBe('unanswered');
  });

  test('a document of more than 64 KiB is not read', () => {
    const data = JSON.stringify({ error: 'invalid_grant', padding: 'x'.repeat(65_536) });
    expect(classified(answered(400, data))).toMatchObject({ kind: 'configuration', status: 400 });
  });

  test.each([
    { error: 'invalid_grant' },
    { name: 'RefreshRejectedError' },
    { response: { data: { error: 'invalid_grant' } } },
    { statusCode: 401 },
  ])('a polluted Object.prototype: %j', (planted) => {
    const polluted = Object.prototype as Record<string, unknown>;
    Object.assign(polluted, planted);
    try {
      expect(classified({}).kind).toBe('unanswered');
      expect(classified(answered(400, {})).kind).toBe('configuration');
    } finally {
      for (const key of Object.keys(planted)) Reflect.deleteProperty(polluted, key);
    }
  });
});

test('a status must be a number, under any name that clients use', () => {
  const statusOf = (facts: object): number | undefined => classified(Object.assign(new Error('no'), facts)).status;
  expect(statusOf({ status: 503 })).toBe(503);
  expect(statusOf({ statusCode: 503 })).toBe(503);
  expect(statusOf({ status: '503' })).toBeUndefined();
});
