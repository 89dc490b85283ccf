import { AxiosError, AxiosHeaders, type InternalAxiosRequestConfig } from 'axios';
import { RefreshRejectedError } from '../lib/index.js';
import { judge } from '../lib/session/verdict.js';

/** What axios rejects with for an answer of a token endpoint. */
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

const failed = (code: string): AxiosError => new AxiosError('failed', code);
const HTML = '<html>invalid_grant</html>';

// F18, F19, F20
describe('an answer of the token endpoint is judged by status and error code', () => {
  test.each<[number, unknown, 'terminal' | 'configuration' | 'transient', string]>([
    [400, { error: 'invalid_grant' }, 'terminal', 'invalid_grant'],
    [401, { error: 'invalid_grant' }, 'terminal', 'invalid_grant'],
    [403, { error: 'invalid_grant' }, 'terminal', 'invalid_grant'],
    [400, { error: 'invalid_grant', error_description: 'expired' }, 'terminal', 'invalid_grant'],
    [400, '{"error":"invalid_grant"}', 'terminal', 'invalid_grant'],
    [400, ' \n{"error":"invalid_grant"}', 'terminal', 'invalid_grant'],

    [401, { error: 'invalid_client' }, 'configuration', 'invalid_client'],
    [400, { error: 'invalid_client' }, 'configuration', 'invalid_client'],
    [400, { error: 'invalid_request' }, 'configuration', 'invalid_request'],
    [400, { error: 'invalid_scope' }, 'configuration', 'invalid_scope'],
    [400, { error: 'unauthorized_client' }, 'configuration', 'unauthorized_client'],
    [403, { error: 'unauthorized_client' }, 'configuration', 'unauthorized_client'],
    [400, { error: 'unsupported_grant_type' }, 'configuration', 'unsupported_grant_type'],
    [400, '{"error":"unsupported_grant_type"}', 'configuration', 'unsupported_grant_type'],

    // Not the code of a dead refresh token.
    [400, { error: 'temporarily_unavailable' }, 'transient', 'temporarily_unavailable'],
    [400, { error: 'server_error' }, 'transient', 'server_error'],
    [400, { error: 'slow_down' }, 'transient', 'slow_down'],
    [400, { error: 'use_dpop_nonce' }, 'transient', 'use_dpop_nonce'],
    [403, { error: 'access_denied' }, 'transient', 'access_denied'],

    // Not an error document.
    [400, undefined, 'transient', 'ERR_BAD_REQUEST'],
    [400, null, 'transient', 'ERR_BAD_REQUEST'],
    [400, '', 'transient', 'ERR_BAD_REQUEST'],
    [400, 'invalid_grant', 'transient', 'ERR_BAD_REQUEST'],
    [400, HTML, 'transient', 'ERR_BAD_REQUEST'],
    [400, '{"error":"invalid_grant"', 'transient', 'ERR_BAD_REQUEST'],
    [400, '["invalid_grant"]', 'transient', 'ERR_BAD_REQUEST'],
    [400, ['invalid_grant'], 'transient', 'ERR_BAD_REQUEST'],
    [400, {}, 'transient', 'ERR_BAD_REQUEST'],
    [400, { error: '' }, 'transient', 'ERR_BAD_REQUEST'],
    [400, { error: null }, 'transient', 'ERR_BAD_REQUEST'],
    [400, { error: 400 }, 'transient', 'ERR_BAD_REQUEST'],
    [400, { error: { code: 'invalid_grant' } }, 'transient', 'ERR_BAD_REQUEST'],
    [400, { error: ['invalid_grant'] }, 'transient', 'ERR_BAD_REQUEST'],
    [400, { code: 'invalid_grant' }, 'transient', 'ERR_BAD_REQUEST'],
    [400, { message: 'invalid_grant' }, 'transient', 'ERR_BAD_REQUEST'],
    [400, { error_description: 'invalid_grant' }, 'transient', 'ERR_BAD_REQUEST'],
    [400, { error: 'x'.repeat(65) }, 'transient', 'ERR_BAD_REQUEST'],
    [400, { error: 'a\nb' }, 'transient', 'ERR_BAD_REQUEST'],
    [401, HTML, 'transient', 'ERR_BAD_REQUEST'],
    [401, {}, 'transient', 'ERR_BAD_REQUEST'],
    [403, HTML, 'transient', 'ERR_BAD_REQUEST'],
    [404, HTML, 'transient', 'ERR_BAD_REQUEST'],
    [407, '', 'transient', 'ERR_BAD_REQUEST'],
    [408, '', 'transient', 'ERR_BAD_REQUEST'],
    [511, HTML, 'transient', 'ERR_BAD_RESPONSE'],

    // Never a word of the authorization server about the refresh token, whatever the body says.
    [200, { error: 'invalid_grant' }, 'transient', 'invalid_grant'],
    [302, { error: 'invalid_grant' }, 'transient', 'invalid_grant'],
    [429, { error: 'invalid_grant' }, 'transient', 'invalid_grant'],
    [429, { error: 'invalid_client' }, 'transient', 'invalid_client'],
    [429, {}, 'transient', 'ERR_BAD_REQUEST'],
    [500, { error: 'invalid_grant' }, 'transient', 'invalid_grant'],
    [500, { error: 'invalid_request' }, 'transient', 'invalid_request'],
    [502, { error: 'invalid_grant' }, 'transient', 'invalid_grant'],
    [502, HTML, 'transient', 'ERR_BAD_RESPONSE'],
    [503, { error: 'temporarily_unavailable' }, 'transient', 'temporarily_unavailable'],
    [503, '', 'transient', 'ERR_BAD_RESPONSE'],
    [504, HTML, 'transient', 'ERR_BAD_RESPONSE'],
    [520, '', 'transient', 'ERR_BAD_RESPONSE'],
    [530, HTML, 'transient', 'ERR_BAD_RESPONSE'],
  ])('%d with %j is %s (%s)', (status, data, kind, code) => {
    expect(judge(answered(status, data))).toEqual({ kind, code, status });
  });
});

test.each([
  'INVALID_GRANT',
  ' invalid_grant',
  'invalid_grant.',
  'invalid_clients',
  'my_invalid_client',
  'bad_refresh_token',
])('400 with the unknown code %j is transient', (error) => {
  expect(judge(answered(400, { error }))).toMatchObject({ kind: 'transient', status: 400 });
});

// F16
describe('an error without an answer is transient', () => {
  test.each<[string, unknown, string]>([
    ['ECONNREFUSED', failed('ECONNREFUSED'), 'ECONNREFUSED'],
    ['a timeout', failed('ETIMEDOUT'), 'ETIMEDOUT'],
    ['ERR_NETWORK of a browser', failed('ERR_NETWORK'), 'ERR_NETWORK'],
    [
      'a fetch that failed',
      Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNRESET' } }),
      'ECONNRESET',
    ],
    ['an Error', new Error('invalid_grant'), 'unknown'],
    ['an error with a code that is no code', Object.assign(new Error('x'), { code: 'Bearer SECRET' }), 'unknown'],
    ['a string', 'invalid_grant', 'unknown'],
    ['undefined', undefined, 'unknown'],
    ['null', null, 'unknown'],
    ['an empty object', {}, 'unknown'],
  ])('%s', (_what, error, code) => {
    expect(judge(error)).toEqual({ kind: 'transient', code });
  });
});

describe('a refresh token is dead', () => {
  class Refused extends RefreshRejectedError {}
  const namesake = Object.assign(new Error('x'), { name: 'RefreshRejectedError' });

  test.each([
    ['for a RefreshRejectedError', new RefreshRejectedError()],
    ['for a class of it', new Refused()],
    ['for that of another copy of this package', namesake],
    ['for one that brings an answer of any status', Object.assign(new RefreshRejectedError(), { status: 503 })],
  ])('%s', (_what, error) => {
    expect(judge(error)).toMatchObject({ kind: 'terminal', code: 'rejected' });
  });

  test.each<[string, object]>([
    ['the error carries the code itself', { error: 'invalid_grant' }],
    ['the error carries code and status', { error: 'invalid_grant', status: 400 }],
    ['the cause carries the code', { cause: { error: 'invalid_grant' }, status: 400 }],
  ])('where %s, as OAuth clients have it', (_what, facts) => {
    expect(judge(Object.assign(new Error('x'), facts))).toMatchObject({ kind: 'terminal', code: 'invalid_grant' });
  });

  test('but not where such an error has the status of a failing server', () => {
    expect(judge(Object.assign(new Error('x'), { error: 'invalid_grant', status: 502 }))).toMatchObject({
      kind: 'transient',
      status: 502,
    });
  });
});

// F17
describe('Retry-After and Date of the answer are handed on', () => {
  const expected = { retryAfter: '7', date: 'Tue, 15 Nov 1994 08:12:31 GMT' };
  const headers = { 'retry-after': expected.retryAfter, date: expected.date };

  test.each<[string, unknown]>([
    ['of axios', answered(429, {}, { 'Retry-After': expected.retryAfter, Date: expected.date })],
    ['of fetch', { response: { status: 429, headers: new Headers(headers) } }],
    ['as a plain object', { response: { status: 429, headers } }],
  ])('%s', (_what, error) => {
    expect(judge(error)).toMatchObject({ kind: 'transient', status: 429, ...expected });
  });

  test('unless they are no strings', () => {
    expect(judge({ response: { status: 429, headers: { 'retry-after': 7, date: null } } })).toEqual({
      kind: 'transient',
      code: 'status',
      status: 429,
    });
  });
});

// F90, F97
describe('what is hostile is transient', () => {
  test('getters that throw', () => {
    const trap = new Proxy(
      {},
      {
        get: () => {
          throw new Error('trap');
        },
      },
    );
    expect(judge(trap)).toEqual({ kind: 'transient', code: 'unknown' });
    expect(judge({ response: trap, cause: trap })).toEqual({ kind: 'transient', code: 'unknown' });
  });

  test('a document of more than 64 KiB', () => {
    const data = JSON.stringify({ error: 'invalid_grant', padding: 'x'.repeat(65_536) });
    expect(judge(answered(400, data))).toMatchObject({ kind: 'transient', status: 400 });
  });

  test.each([
    { error: 'invalid_grant' },
    { name: 'RefreshRejectedError' },
    { response: { data: { error: 'invalid_grant' } } },
  ])('a polluted Object.prototype: %j', (planted) => {
    const polluted = Object.prototype as Record<string, unknown>;
    Object.assign(polluted, planted);
    try {
      expect(judge({}).kind).toBe('transient');
      expect(judge(answered(400, {})).kind).toBe('transient');
    } finally {
      for (const key of Object.keys(planted)) Reflect.deleteProperty(polluted, key);
    }
  });
});

test('a status is a number, by whichever of the names that clients give it', () => {
  const statusOf = (facts: object): number | undefined => judge(Object.assign(new Error('no'), facts)).status;
  expect(statusOf({ status: 503 })).toBe(503);
  expect(statusOf({ statusCode: 503 })).toBe(503);
  expect(statusOf({ status: '503' })).toBeUndefined();
});
