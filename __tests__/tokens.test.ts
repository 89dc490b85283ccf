import fc from 'fast-check';
import { readTokens, tokensOf } from '../lib/session/tokens.js';

const NOW = Date.UTC(2026, 10, 23);
const NOW_S = NOW / 1000;
const HUNDRED_YEARS_MS = 100 * 365.25 * 86_400_000;
const LAST_INSTANT = NOW + HUNDRED_YEARS_MS;

const read = (answer: unknown, issued: 'just now' | 'earlier' = 'just now') =>
  readTokens(answer, 'refresh()', NOW, issued);
const expiryOf = (fields: object) => read({ accessToken: 'a', ...fields }).expiresAt;

function jwt(claims: unknown): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part(claims)}.signature`;
}

describe('both spellings of a token response are read', () => {
  test.each<[string, object]>([
    ['camel case', { accessToken: 'a', refreshToken: 'r', expiresIn: 60 }],
    [
      'RFC 6749 §5.1',
      { access_token: 'a', refresh_token: 'r', expires_in: 60, token_type: 'Bearer', scope: 's', id_token: 'i' },
    ],
    [
      'a mixture, in which camel case wins',
      { accessToken: 'a', access_token: 'x', refresh_token: 'r', expires_in: '60' },
    ],
    [
      'null for missing fields',
      { accessToken: null, access_token: 'a', refresh_token: 'r', expiresIn: null, expires_in: 60 },
    ],
  ])('%s', (_what, answer) => {
    expect(read(answer)).toEqual({ accessToken: 'a', refreshToken: 'r', expiresAt: NOW + 60_000 });
  });

  test('and other fields are dropped', () => {
    expect(Object.keys(read({ access_token: 'a', id_token: 'i', scope: 's', custom: 1 }))).toEqual(['accessToken']);
  });
});

// F135
test.each([
  { refresh_token: '' },
  { refresh_token: null },
  { refreshToken: '' },
  { refreshToken: null, refresh_token: '' },
  { refreshToken: '', refresh_token: 'kept' },
])('an empty or null refresh token counts as absent: %j', (fields) => {
  const previous = { accessToken: 'before', refreshToken: 'kept' };
  expect(readTokens({ accessToken: 'a', ...fields }, 'refresh()', NOW, 'just now', previous)).toEqual({
    accessToken: 'a',
    refreshToken: 'kept',
  });
});

// F136
test.each<[string, object]>([
  ['expiresIn is a method', { expiresIn: () => 60, expires_in: 60 }],
  ['expires_in is a method', { expires_in: () => 60, expiresIn: '60' }],
  ['expiresIn is no number', { expiresIn: 'soon', expires_in: '60' }],
  ['expiresIn is NaN', { expiresIn: NaN, expires_in: 60 }],
])('of expiresIn and expires_in, the numeric one counts: %s', (_, fields) => {
  expect(expiryOf(fields)).toBe(NOW + 60_000);
});

// F137
test('a JWT without iat that has expired by this clock is used until a 401, if it was just issued', () => {
  const accessToken = jwt({ exp: NOW_S - 3_600 });
  expect(read({ accessToken }).expiresAt).toBeUndefined();
  expect(read({ accessToken }, 'earlier').expiresAt).toBe(NOW - 3_600_000);
});

// F12
describe('a response without a refresh token', () => {
  const previous = { accessToken: 'before', refreshToken: 'kept', expiresAt: 1 };

  test.each([{}, { refresh_token: undefined }, { refreshToken: null }])('keeps the previous one: %j', (fields) => {
    expect(readTokens({ access_token: 'a', ...fields }, 'refresh()', NOW, 'just now', previous)).toEqual({
      accessToken: 'a',
      refreshToken: 'kept',
    });
  });

  test('leaves a session without one', () => {
    for (const before of [undefined, null, tokensOf('before')]) {
      expect(readTokens({ access_token: 'a' }, 'refresh()', NOW, 'just now', before)).not.toHaveProperty(
        'refreshToken',
      );
    }
  });

  test('does not keep the previous one if the response has a new one', () => {
    expect(
      readTokens({ access_token: 'a', refresh_token: 'r' }, 'refresh()', NOW, 'just now', previous).refreshToken,
    ).toBe('r');
  });
});

// F97
describe('a lifetime in seconds counts from now, and is limited to 0 to a hundred years', () => {
  test.each<[unknown, number | undefined]>([
    [3600, NOW + 3_600_000],
    ['3600', NOW + 3_600_000],
    [' 3600 ', NOW + 3_600_000],
    ['3600.5', NOW + 3_600_500],
    [0.5, NOW + 500],
    [0, NOW],
    ['0', NOW],
    [-1, NOW],
    ['-1', NOW],
    [-Infinity, NOW],
    [1e99, LAST_INSTANT],
    ['1e99', LAST_INSTANT],
    [Infinity, LAST_INSTANT],
    [Number.MAX_VALUE, LAST_INSTANT],
    [undefined, undefined],
    [null, undefined],
    [NaN, undefined],
    ['soon', undefined],
    ['60s', undefined],
    ['s60', undefined],
    ['', undefined],
    [' ', undefined],
    ['0x10', undefined],
    ['Infinity', undefined],
    [true, undefined],
    [[60], undefined],
    ['1.25', NOW + 1_250],
    [{}, undefined],
  ])('%p', (seconds, expiresAt) => {
    expect(expiryOf({ expires_in: seconds })).toBe(expiresAt);
    expect(expiryOf({ expiresIn: seconds })).toBe(expiresAt);
  });
});

describe('an instant in epoch ms', () => {
  test.each<[string, unknown, number | undefined]>([
    ['is used unchanged', NOW + 5, NOW + 5],
    ['is limited to a hundred years', 1e99, LAST_INSTANT],
    ['is ignored if it is Infinity', Infinity, undefined],
    ['is ignored if it is NaN', NaN, undefined],
    ['is ignored if it is a string', String(NOW), undefined],
    ['is ignored if it is null', null, undefined],
  ])('%s', (_what, expiresAt, expected) => {
    expect(expiryOf({ expiresAt })).toBe(expected);
  });

  // F137
  test.each([NOW - 1, NOW - 5, NOW - 7_200_000, 0])(
    'that has passed, %d, is ignored for a token that was just issued',
    (expiresAt) => {
      expect(expiryOf({ expiresAt })).toBeUndefined();
      expect(read({ accessToken: 'a', expiresAt }, 'earlier').expiresAt).toBe(expiresAt);
    },
  );

  test.each([NOW_S, NOW_S + 3_600, NOW_S - 3_600])('that looks like seconds, %d, throws a TypeError', (expiresAt) => {
    expect(() => expiryOf({ expiresAt })).toThrow(TypeError);
    expect(() => expiryOf({ expiresAt })).toThrow(/`expiresAt` .*seconds/);
  });

  test('is not taken for seconds if the local clock was never set', () => {
    const sinceStart = 2e9;
    const tokens = { accessToken: 'a', expiresAt: sinceStart + 60_000 };
    expect(readTokens(tokens, 'tokens', sinceStart, 'earlier').expiresAt).toBe(sinceStart + 60_000);
  });

  test('is ignored if there is a lifetime', () => {
    expect(expiryOf({ expiresIn: 60, expiresAt: NOW + 5 })).toBe(NOW + 60_000);
    expect(expiryOf({ expiresIn: 'soon', expiresAt: NOW + 5 })).toBe(NOW + 5);
  });
});

// F45
describe('the exp of a JWT is used if the response has no expiry', () => {
  const aheadS = NOW_S + 86_400;

  test.each<[string, object, 'just now' | 'earlier', number | undefined]>([
    ['without iat', { exp: NOW_S + 60 }, 'just now', NOW + 60_000],
    [
      'issued just now: its lifetime, whatever the clock of its issuer shows',
      { exp: aheadS + 60, iat: aheadS },
      'just now',
      NOW + 60_000,
    ],
    ['issued earlier: its instant', { exp: aheadS + 60, iat: aheadS }, 'earlier', (aheadS + 60) * 1000],
    ['with an iat after its exp: its instant', { exp: NOW_S + 60, iat: NOW_S + 90 }, 'just now', NOW + 60_000],
    ['with an iat that is its exp: its instant', { exp: aheadS, iat: aheadS }, 'just now', aheadS * 1000],
    [
      'with an iat that is no number: its instant',
      { exp: aheadS + 60, iat: String(aheadS) },
      'just now',
      (aheadS + 60) * 1000,
    ],
    ['with claims beyond ASCII', { exp: NOW_S + 60, name: 'Zo\u00eb \u20ac \ud83d\ude00' }, 'just now', NOW + 60_000],
    ['with a string for exp: nothing', { exp: String(NOW_S + 60) }, 'just now', undefined],
    ['without exp: nothing', { iat: NOW_S }, 'just now', undefined],
  ])('%s', (_what, claims, issued, expiresAt) => {
    expect(read({ accessToken: jwt(claims) }, issued).expiresAt).toBe(expiresAt);
  });

  test('in the alphabet of base64url', () => {
    const accessToken = jwt({ exp: NOW_S + 60, sub: '\u00ff?>\u00fe?>~' });
    expect(accessToken).toMatch(/[.].*-.*_.*[.]|[.].*_.*-.*[.]/);
    expect(read({ accessToken }).expiresAt).toBe(NOW + 60_000);
  });

  test('and is ignored if there is a lifetime or an instant', () => {
    const accessToken = jwt({ exp: NOW_S + 60 });
    expect(read({ accessToken, expiresIn: 5 }).expiresAt).toBe(NOW + 5_000);
    expect(read({ accessToken, expiresAt: NOW + 7 }).expiresAt).toBe(NOW + 7);
  });

  test.each([
    'opaque',
    'a.b',
    'a.b.c',
    `a.${Buffer.from('{"exp":').toString('base64url')}.c`,
    `a.${Buffer.from('null').toString('base64url')}.c`,
    `a.${Buffer.from('"exp"').toString('base64url')}.c`,
    `a.${Buffer.from('{"__proto__":{"exp":1}}').toString('base64url')}.c`,
    `${jwt({ exp: NOW_S + 60 })}.d`,
    jwt({ exp: NOW_S + 60 }).replace(/\.signature$/, ''),
    jwt({ exp: NOW_S + 60, padding: 'x'.repeat(20_000) }),
  ])('a token that is not a JWT of up to 16 KiB has no expiry (case %#)', (accessToken) => {
    expect(read({ accessToken })).toEqual({ accessToken });
  });
});

describe('a response without tokens throws a TypeError that names the field, and no value', () => {
  test.each<[RegExp, unknown]>([
    [/accessToken/, undefined],
    [/accessToken/, null],
    [/accessToken/, 'SECRET'],
    [/accessToken/, 42],
    [/accessToken/, () => 'SECRET'],
    [/accessToken/, []],
    [/`accessToken` \(or `access_token`\)/, {}],
    [/`accessToken` .*, but is an empty string$/, { accessToken: '' }],
    [/`accessToken` .*string/, { accessToken: ['SECRET'] }],
    [/`accessToken` .*string/, { accessToken: { token: 'SECRET' } }],
    [/`accessToken` .*string.* number/, { access_token: 7 }],
    [/`accessToken` .*string.* undefined/, { access_token: null, refresh_token: 'SECRET' }],
    [/`accessToken` .*string.* undefined/, { error: 'invalid_grant', error_description: 'SECRET' }],
    [/`refreshToken` \(or `refresh_token`\) .*string.* number/, { accessToken: 'SECRET', refreshToken: 7 }],
    [/`refreshToken` .*string/, { accessToken: 'SECRET', refresh_token: ['SECRET'] }],
  ])('%p: %p', (message, answer) => {
    expect(() => read(answer)).toThrow(TypeError);
    expect(() => read(answer)).toThrow(/^refresh\(\)/);
    expect(() => read(answer)).toThrow(message);
    expect(() => read(answer)).not.toThrow(/SECRET/);
  });
});

// F90
test('inherited fields are not read', () => {
  expect(() => read(Object.create({ accessToken: 'inherited' }))).toThrow(/is undefined/);
  expect(() => read(JSON.parse('{"__proto__":{"accessToken":"planted"}}'))).toThrow(/is undefined/);
  const planted = { accessToken: 'x', refreshToken: 'x', refresh_token: 'x', expiresIn: 1, expiresAt: 1, exp: 1 };
  const polluted = Object.prototype as Record<string, unknown>;
  Object.assign(polluted, planted);
  try {
    expect(JSON.stringify(read({ access_token: jwt({ sub: 'me' }) }))).toBe(
      JSON.stringify({ accessToken: jwt({ sub: 'me' }) }),
    );
  } finally {
    for (const key of Object.keys(planted)) Reflect.deleteProperty(polluted, key);
  }
});

test('any JSON is read as tokens within bounds or refused with a TypeError', () => {
  const field = fc.constantFrom(
    'accessToken',
    'access_token',
    'refreshToken',
    'refresh_token',
    'expiresIn',
    'expires_in',
    'expiresAt',
  );
  const answer = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(field, fc.oneof(fc.jsonValue(), fc.string(), fc.double()), { maxKeys: 7 }),
  );
  fc.assert(
    fc.property(answer, fc.constantFrom('just now' as const, 'earlier' as const), (json, issued) => {
      try {
        const { accessToken, refreshToken, expiresAt = 0 } = read(json, issued);
        expect(accessToken).toMatch(/./su);
        expect(refreshToken).not.toBe('');
        expect(expiresAt).toBeLessThanOrEqual(LAST_INSTANT);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
    }),
  );
});
