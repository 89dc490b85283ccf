import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { parseChallenges, type Challenge } from '../lib/index.js';
import { anyText } from './support/any-text.js';

/** Params as plain objects, so that `toEqual` compares what they hold. */
function read(header: string | readonly string[] | undefined): object[] {
  return parseChallenges(header).map(({ params, ...rest }) => ({ ...rest, params: { ...params } }));
}

const one = (scheme: string, params: Record<string, string> = {}, token68?: string): object => ({
  scheme,
  params,
  ...(token68 !== undefined && { token68 }),
});

describe('a header that is well formed gives its challenges in order', () => {
  test.each<[string, object[]]>([
    ['Basic', [one('basic')]],
    ['Basic realm="x"', [one('basic', { realm: 'x' })]],
    ['BASIC REALM="X"', [one('basic', { realm: 'X' })]],
    ['Basic   realm="x"', [one('basic', { realm: 'x' })]],
    ['Basic realm=x', [one('basic', { realm: 'x' })]],
    ['Basic realm = "x" ,\tcharset\t=\t"UTF-8"', [one('basic', { realm: 'x', charset: 'UTF-8' })]],
    ['Basic realm=""', [one('basic', { realm: '' })]],
    ['Basic realm="a, b"', [one('basic', { realm: 'a, b' })]],
    ['Basic realm="a\\"b\\\\c\\d"', [one('basic', { realm: 'a"b\\cd' })]],
    ['Basic realm="caf\u00e9"', [one('basic', { realm: 'caf\u00e9' })]],
    ['Basic realm="tab\there"', [one('basic', { realm: 'tab\there' })]],
    ['Basic a=1, a=2', [one('basic', { a: '2' })]],
    ['Basic, Bearer', [one('basic'), one('bearer')]],
    [',, Basic ,, Bearer ,,', [one('basic'), one('bearer')]],
    ['Basic , realm="x"', [one('basic', { realm: 'x' })]],
    ['Basic realm="x", Bearer', [one('basic', { realm: 'x' }), one('bearer')]],
    [
      'Basic realm="x", Bearer error="e", scope=a',
      [one('basic', { realm: 'x' }), one('bearer', { error: 'e', scope: 'a' })],
    ],
    ['Negotiate abc+/-._~==', [one('negotiate', {}, 'abc+/-._~==')]],
    ['Negotiate abc=, NTLM def', [one('negotiate', {}, 'abc='), one('ntlm', {}, 'def')]],
    ['Bearer error=', [one('bearer', {}, 'error=')]],
    ["X!#$%&'*+-.^_`|~9 a=b", [one("x!#$%&'*+-.^_`|~9", { a: 'b' })]],
    ['Scheme __proto__="x", constructor="y"', [{ scheme: 'scheme', params: { ['__proto__']: 'x', constructor: 'y' } }]],
  ])('%j', (header, expected) => {
    expect(read(header)).toEqual(expected);
  });
});

describe('a header that is malformed gives none', () => {
  test.each([
    '',
    ' ',
    ',',
    '"',
    '=',
    'Basic realm="x',
    'Basic realm="x\\"',
    'Basic realm="a\nb"',
    'Basic realm="a\u0000b"',
    'Basic realm="a\\\nb"',
    'Basic realm="x"y',
    'Basic realm="x" charset="y"',
    'Basic realm=x y',
    'Basic realm=\\x',
    'Basic "x"',
    'Basic a=1, b=',
    'Basic a=1, b=, c=3',
    'Basic abc== def',
    'Basic abc==, realm="x"',
    'Basic, realm="x"',
    'Basic realm="x", ???',
    'realm="x"',
    'B\u00e4sic realm="x"',
    'Basic\u00a0realm="x"',
  ])('%j', (header) => {
    expect(parseChallenges(header)).toEqual([]);
  });
});

test('undefined and other types give none', () => {
  for (const header of [undefined, null, 401, {}, [null, 401, {}]])
    expect(parseChallenges(header as never)).toEqual([]);
});

test('several headers are parsed separately, and a malformed one does not affect the others', () => {
  expect(read(['Basic realm="x', 'Bearer, DPoP algs="ES256"', '', 'Negotiate'])).toEqual([
    one('bearer'),
    one('dpop', { algs: 'ES256' }),
    one('negotiate'),
  ]);
});

// F90
test('params have no prototype: a name that was not sent is undefined', () => {
  const [challenge] = parseChallenges('Scheme __proto__=x') as [Challenge];
  expect(Object.getPrototypeOf(challenge.params)).toBeNull();
  expect(Object.keys(challenge.params)).toEqual(['__proto__']);
  expect('toString' in challenge.params).toBe(false);
});

test('a header may have 16 KiB and no more', () => {
  const realm = 'x'.repeat(16_384 - 'Basic realm=""'.length);
  expect(read(`Basic realm="${realm}"`)).toEqual([one('basic', { realm })]);
  expect(parseChallenges(`Basic realm="${realm}x"`)).toEqual([]);
});

interface Vector {
  readonly description: string;
  readonly header: string;
  readonly expected?: readonly { scheme: string; parameters: Record<string, string>; token68?: string }[];
}
const vectors = join(__dirname, '../../shared/vectors/www-authenticate.json');
if (existsSync(vectors)) {
  test.each(JSON.parse(readFileSync(vectors, 'utf8')) as Vector[])(
    'vector: $description: $header',
    ({ header, expected = [] }) => {
      expect(read(header)).toEqual(expected.map(({ scheme, parameters, token68 }) => one(scheme, parameters, token68)));
    },
  );
}

describe('for all inputs', () => {
  const token = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}$/);
  const value = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,20}$/);
  const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;
  const params = fc.uniqueArray(fc.tuple(token, value), {
    minLength: 1,
    maxLength: 4,
    selector: ([name]) => name.toLowerCase(),
  });
  const challenge = fc.oneof(
    token.map((scheme) => ({ text: scheme, read: one(scheme.toLowerCase()) })),
    fc.tuple(token, fc.stringMatching(/^[0-9A-Za-z\-._~+/]{1,20}={0,2}$/)).map(([scheme, token68]) => ({
      text: `${scheme} ${token68}`,
      read: one(scheme.toLowerCase(), {}, token68),
    })),
    fc.tuple(token, params).map(([scheme, pairs]) => ({
      text: `${scheme} ${pairs.map(([name, text]) => `${name}=${quote(text)}`).join(', ')}`,
      read: one(scheme.toLowerCase(), Object.fromEntries(pairs.map(([name, text]) => [name.toLowerCase(), text]))),
    })),
  );

  test('serialized challenges are parsed back', () => {
    fc.assert(
      fc.property(
        fc.array(challenge, { maxLength: 5 }),
        fc.constantFrom(',', ', ', ' , ', ',,\t'),
        (challenges, comma) => {
          expect(read(challenges.map(({ text }) => text).join(comma))).toEqual(challenges.map((each) => each.read));
        },
      ),
    );
  });

  test('it never throws, and gives challenges of lower-case tokens', () => {
    const fragment = fc.constantFrom('Basic', ' ', ',', '=', '"', '\\', 'realm', 'abc==', '\u0000', '\u00e9', '\ud800');
    const text = fc.oneof(
      anyText(),
      fc.array(fragment, { maxLength: 60 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(fc.oneof(text, fc.array(text)), (header) => {
        for (const { scheme, params: found } of parseChallenges(header)) {
          for (const name of [scheme, ...Object.keys(found)]) expect(name).toMatch(/^[!#$%&'*+\-.^_`|~0-9a-z]+$/);
        }
      }),
    );
  });

  // F96
  test.each(['a', 'a ', 'a=', 'a,', ' ', ',', '"', '\\', '"\\', 'a="', 'a b=', '=', 'a\t', 'a b=c,', 'a b ='])(
    '16 KiB of %j are parsed in time, closed or not',
    (unit) => {
      const hostile = unit.repeat(Math.floor(16_000 / unit.length));
      for (const header of [hostile, `a ${hostile}`, `a b="${hostile}`, `a ${hostile}"`, `a b=${hostile}\u0000`]) {
        expect(Array.isArray(parseChallenges(header))).toBe(true);
      }
    },
  );
});
